//! Fields as data: what is asked on each page, with what kind of answer, and whom to ask.

use std::sync::LazyLock;

use sealift_bundle::document::BundleDocument;
use sealift_profile::Cluster;
use serde_json::{Value as Json, json};

use crate::model::Model;
use crate::page::PageId;
use crate::part::Part;
use crate::risks::{RISKS, path_of};

/// What an answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One line of text.
    Text,
    /// A number.
    Number,
    /// Yes or no.
    YesNo,
    /// Several words, parted by commas.
    List,
    /// Where a secret is; never the secret.
    Secret,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A file whose text is taken into the profile.
    TextOfFile,
}

/// Who knows the answer; key of a word for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Those whose work the product does.
    Business,
    /// Whoever owns the machines.
    Machines,
    /// Whoever owns the network.
    Network,
    /// Whoever decides about accounts and keys.
    Security,
    /// Whoever runs the databases and services of the site.
    Services,
    /// The vendor of the product.
    Vendor,
    /// Whoever answers for the site.
    Responsible,
    /// Whoever sits here.
    Yourself,
}

impl Who {
    /// Key in the tables of words.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Business => "who.business",
            Self::Machines => "who.machines",
            Self::Network => "who.network",
            Self::Security => "who.security",
            Self::Services => "who.services",
            Self::Vendor => "who.vendor",
            Self::Responsible => "who.responsible",
            Self::Yourself => "who.yourself",
        }
    }
}

/// One question of a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Path in the profile, e.g. `needs.users` or `hosts[1].address`; `start.…` for what is not in the profile.
    pub path: String,
    /// What may be answered.
    pub kind: Kind,
    /// Whom to ask.
    pub who: Who,
    /// Path of the field that must have an answer before this one can have one.
    pub gate: Option<String>,
    /// What holds where nothing is answered.
    pub default: Option<Json>,
    /// The vendor's own words, for fields that the bundle brings.
    pub asked: Option<String>,
    /// Whether most sites have an answer; what only some need is asked on demand where one asks after the other.
    pub usual: bool,
}

impl Field {
    /// Key of its words: its path without numbers of items, or of all questions of the product.
    #[must_use]
    pub fn words_key(&self) -> String {
        for start in ["product.settings", "product.secrets"] {
            if self.path.starts_with(start) {
                return start.to_owned();
            }
        }
        match self.path.split_once('[') {
            Some((list, rest)) => {
                format!("{list}{}", rest.split_once(']').map_or("", |(_, rest)| rest))
            }
            None => self.path.clone(),
        }
    }

    /// Whether the answer is a setting of the wizard and not of the profile.
    #[must_use]
    pub fn is_of_wizard(&self) -> bool {
        is_of_wizard(&self.path)
    }
}

/// Whether a path is that of a setting of the wizard and not of the profile.
pub(crate) fn is_of_wizard(path: &str) -> bool {
    path.starts_with("start.") || path.starts_with("confirm.")
}

/// Languages by the words that choose them.
pub const LANGUAGES: &[&str] = &["en", "zh"];
/// What somebody came for.
pub const PURPOSES: &[&str] = &["install", "check", "plan"];
const ENVIRONMENTS: &[&str] = &["production", "pre-release", "test"];
/// What a host does.
pub const ROLES: &[&str] = &["control-plane", "worker"];
const TLS_MODES: &[&str] = &["verify-full", "require", "disable"];

type Row = (&'static str, Kind, Who, Option<&'static str>);

const START: [Row; 6] = [
    ("start.language", Kind::Choice(LANGUAGES), Who::Yourself, None),
    ("start.file", Kind::Text, Who::Yourself, None),
    ("start.bundle", Kind::Text, Who::Vendor, None),
    ("metadata.name", Kind::Text, Who::Yourself, None),
    ("environment", Kind::Choice(ENVIRONMENTS), Who::Business, None),
    (PURPOSE, Kind::Choice(PURPOSES), Who::Yourself, None),
];

/// The field that says what somebody came for.
pub(crate) const PURPOSE: &str = "start.purpose";
/// The field that lets an install begin.
pub(crate) const SITE_AGAIN: &str = "confirm.site";

const CONFIRM: [Row; 1] = [(SITE_AGAIN, Kind::Text, Who::Yourself, None)];

const NEEDS: [Row; 11] = [
    ("needs.users", Kind::Number, Who::Business, None),
    ("needs.concurrentPercent", Kind::Number, Who::Business, None),
    ("needs.thinkSeconds", Kind::Number, Who::Business, None),
    ("needs.responseSeconds", Kind::Number, Who::Business, None),
    ("needs.peakFactor", Kind::Number, Who::Business, None),
    ("needs.dataGigabytesPerDay", Kind::Number, Who::Business, None),
    ("needs.retentionDays", Kind::Number, Who::Business, None),
    ("needs.growth.usersPercentPerYear", Kind::Number, Who::Business, None),
    ("needs.growth.dataPercentPerYear", Kind::Number, Who::Business, None),
    ("needs.growth.years", Kind::Number, Who::Business, None),
    ("needs.availability", Kind::YesNo, Who::Business, None),
];

const SIZING: [Row; 7] = [
    ("sizing.workers.count", Kind::Number, Who::Business, None),
    ("sizing.workers.reason", Kind::Text, Who::Business, Some("sizing.workers.count")),
    ("sizing.masters.count", Kind::Number, Who::Business, None),
    ("sizing.masters.reason", Kind::Text, Who::Business, Some("sizing.masters.count")),
    ("sizing.machine.cpus", Kind::Number, Who::Machines, None),
    ("sizing.machine.memoryGigabytes", Kind::Number, Who::Machines, Some("sizing.machine.cpus")),
    ("sizing.machine.reason", Kind::Text, Who::Business, Some("sizing.machine.cpus")),
];

const HOST: [Row; 11] = [
    ("name", Kind::Text, Who::Machines, None),
    ("address", Kind::Text, Who::Network, None),
    ("role", Kind::Choice(ROLES), Who::Yourself, None),
    ("hostKey", Kind::Text, Who::Machines, None),
    ("user", Kind::Text, Who::Security, None),
    ("port", Kind::Number, Who::Security, None),
    ("password", Kind::Secret, Who::Security, None),
    ("sudoPassword", Kind::Secret, Who::Security, None),
    ("placement.region", Kind::Text, Who::Machines, None),
    ("placement.zone", Kind::Text, Who::Machines, None),
    ("placement.unit", Kind::Text, Who::Machines, None),
];

/// What every host needs.
const USUAL_OF_HOST: [&str; 4] = ["name", "address", "role", "hostKey"];

const BASTION: Option<&str> = Some("access.bastion.address");

const ACCESS: [Row; 14] = [
    ("access.user", Kind::Text, Who::Security, None),
    ("access.port", Kind::Number, Who::Security, None),
    ("access.privateKey", Kind::Secret, Who::Security, None),
    ("access.privateKeyPassphrase", Kind::Secret, Who::Security, Some("access.privateKey")),
    ("access.password", Kind::Secret, Who::Security, None),
    ("access.sudoPassword", Kind::Secret, Who::Security, None),
    ("access.knownHosts", Kind::Text, Who::Security, None),
    ("access.bastion.address", Kind::Text, Who::Network, None),
    ("access.bastion.port", Kind::Number, Who::Network, BASTION),
    ("access.bastion.user", Kind::Text, Who::Security, BASTION),
    ("access.bastion.privateKey", Kind::Secret, Who::Security, BASTION),
    ("access.bastion.password", Kind::Secret, Who::Security, BASTION),
    ("access.bastion.hostKey", Kind::Text, Who::Security, BASTION),
    ("unseal", Kind::Secret, Who::Security, None),
];

const NETWORK: [Row; 5] = [
    ("cluster.endpoint", Kind::Text, Who::Network, None),
    ("cluster.endpointPort", Kind::Number, Who::Network, None),
    ("cluster.podCidr", Kind::Text, Who::Network, None),
    ("cluster.serviceCidr", Kind::Text, Who::Network, None),
    ("cluster.nameservers", Kind::List, Who::Network, None),
];

const DATABASE: Option<&str> = Some("services.database.host");
const LOGS: Option<&str> = Some("services.logs.url");
const METRICS: Option<&str> = Some("services.metrics.url");

const STORAGE: [Row; 17] = [
    ("cluster.registryPort", Kind::Number, Who::Network, None),
    ("customerCa.file", Kind::Text, Who::Security, None),
    ("services.database.host", Kind::Text, Who::Services, None),
    ("services.database.port", Kind::Number, Who::Services, DATABASE),
    ("services.database.database", Kind::Text, Who::Services, DATABASE),
    ("services.database.user", Kind::Text, Who::Services, DATABASE),
    ("services.database.password", Kind::Secret, Who::Services, DATABASE),
    ("services.database.tls.mode", Kind::Choice(TLS_MODES), Who::Services, DATABASE),
    ("services.database.tls.ca", Kind::TextOfFile, Who::Services, DATABASE),
    ("services.logs.url", Kind::Text, Who::Services, None),
    ("services.logs.ca", Kind::TextOfFile, Who::Services, LOGS),
    ("services.logs.user", Kind::Text, Who::Services, LOGS),
    ("services.logs.password", Kind::Secret, Who::Services, LOGS),
    ("services.metrics.url", Kind::Text, Who::Services, None),
    ("services.metrics.ca", Kind::TextOfFile, Who::Services, METRICS),
    ("services.metrics.user", Kind::Text, Who::Services, METRICS),
    ("services.metrics.password", Kind::Secret, Who::Services, METRICS),
];

const RISK: [Row; 4] = [
    ("person", Kind::Text, Who::Responsible, None),
    ("reason", Kind::Text, Who::Responsible, None),
    ("until", Kind::Text, Who::Responsible, None),
    ("host", Kind::Text, Who::Yourself, None),
];

/// Every field with words of its own, as the tables name them.
pub fn word_keys() -> impl Iterator<Item = String> {
    let host = HOST.iter().map(|row| format!("hosts.{}", row.0));
    let pages: [&[Row]; 7] = [&START, &NEEDS, &SIZING, &ACCESS, &NETWORK, &STORAGE, &CONFIRM];
    let fixed = pages.into_iter().flatten().map(|row| row.0.to_owned());
    let risk = RISK.iter().map(|row| format!("{RISKS}.{}", row.0));
    fixed.chain(host).chain(risk).chain(["product.settings", "product.secrets"].map(str::to_owned))
}

/// The fields of the model's page, those that cannot be answered yet included. On the page of hosts, those of the host
/// that is looked at; on the page of checks, those of the risk.
#[must_use]
pub fn fields(model: &Model) -> Vec<Field> {
    match (model.page(), model.part()) {
        (PageId::Checks, Some(Part::Risk(index))) => of_risk(*index),
        (PageId::Checks, _) => Vec::new(),
        (page, _) => of_page(model, page),
    }
}

/// The fields of a page.
pub(crate) fn of_page(model: &Model, page: PageId) -> Vec<Field> {
    match page {
        PageId::Hosts => model.host().map(of_host).unwrap_or_default(),
        PageId::Product => model.product().map(of_product).unwrap_or_default(),
        PageId::Checks => (0..model.risk_count()).flat_map(of_risk).collect(),
        _ => rows(page).iter().map(|row| field(row, "")).collect(),
    }
}

fn rows(page: PageId) -> &'static [Row] {
    match page {
        PageId::Start => &START,
        PageId::Needs => &NEEDS,
        PageId::Sizing => &SIZING,
        PageId::Access => &ACCESS,
        PageId::Network => &NETWORK,
        PageId::Storage => &STORAGE,
        PageId::Confirm => &CONFIRM,
        PageId::Hosts
        | PageId::Product
        | PageId::Checks
        | PageId::Review
        | PageId::Install
        | PageId::Result => &[],
    }
}

/// The fields of one host.
pub(crate) fn of_host(index: usize) -> Vec<Field> {
    HOST.iter().map(|row| field(row, &format!("hosts[{index}]."))).collect()
}

/// The fields of one accepted risk.
fn of_risk(index: usize) -> Vec<Field> {
    let before = format!("{}.", path_of(index));
    RISK.iter().map(|row| Field { usual: true, ..field(row, &before) }).collect()
}

fn field(row: &Row, before: &str) -> Field {
    let (key, kind, who, gate) = *row;
    let path = format!("{before}{key}");
    let usual = (before.is_empty() && key != PURPOSE) || USUAL_OF_HOST.contains(&key);
    Field { default: default(&path), path, kind, who, gate: gate.map(str::to_owned), asked: None, usual }
}

/// The profile's own defaults of the cluster: written out once, since every page is looked through for its fields again
/// and again.
static CLUSTER: LazyLock<Json> =
    LazyLock::new(|| serde_json::to_value(Cluster::default()).unwrap_or_default());

/// What the profile takes where nothing is said.
fn default(path: &str) -> Option<Json> {
    if let Some(key) = path.strip_prefix("cluster.") {
        return CLUSTER.get(key).filter(|value| *value != &json!([])).cloned();
    }
    match path {
        PURPOSE => Some(json!(PURPOSES[0])),
        "access.port" | "access.bastion.port" => Some(json!(22)),
        "services.database.port" => Some(json!(5432)),
        "services.database.tls.mode" => Some(json!("verify-full")),
        _ => None,
    }
}

fn of_product(document: &BundleDocument) -> Vec<Field> {
    let settings = document.settings.iter().filter_map(|(name, setting)| {
        let kind = match &setting.default {
            Some(Json::Bool(_)) => Kind::YesNo,
            Some(Json::Number(_)) => Kind::Number,
            None | Some(Json::String(_) | Json::Null) => Kind::Text,
            Some(Json::Array(items)) if items.iter().all(Json::is_string) => Kind::List,
            // Such a setting is written into the file by hand.
            Some(Json::Array(_) | Json::Object(_)) => return None,
        };
        Some(Field {
            path: format!("product.settings.{name}"),
            kind,
            who: Who::Vendor,
            gate: None,
            default: setting.default.clone(),
            asked: Some(setting.description.clone()),
            usual: true,
        })
    });
    let mut names: Vec<&String> =
        document.secrets.iter().flat_map(|secret| secret.from_site.values()).collect();
    names.sort();
    names.dedup();
    let secrets = names.into_iter().map(|name| Field {
        path: format!("product.secrets.{name}"),
        kind: Kind::Secret,
        who: Who::Security,
        gate: None,
        default: None,
        asked: Some(name.clone()),
        usual: true,
    });
    settings.chain(secrets).collect()
}

/// The page that asks for a path, and its field there, if there is one: the field of the value itself or of what holds it.
pub(crate) fn asking(model: &Model, path: &str) -> Option<(PageId, String)> {
    let holds = |field: &Field| {
        path.strip_prefix(&field.path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    if let Some(rest) = path.strip_prefix("hosts[") {
        let index = rest.split_once(']').and_then(|(index, _)| index.parse().ok())?;
        let field = of_host(index).into_iter().find(holds)?;
        return Some((PageId::Hosts, field.path));
    }
    let page = |page: PageId| Some((page, of_page(model, page).into_iter().find(holds)?.path));
    PageId::ALL.into_iter().filter(|one| *one != PageId::Hosts).find_map(page)
}
