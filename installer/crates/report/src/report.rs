//! The report as data: what all of its forms (HTML, text, JSON) and languages are made from.

use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};

use crate::annex::Annex;
use crate::figure::{Figure, Quantity, Range};
use crate::message::Message;

/// Format of the JSON.
pub const API_VERSION: &str = "sealift/v1";
/// `kind` of the JSON.
pub const KIND: &str = "Report";

/// Everything that a report says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Always [`KIND`].
    pub kind: String,
    /// What it is about, when and by whom it was made.
    pub heading: Heading,
    /// What one needs to know to decide.
    pub decision: Decision,
    /// What the site told, and what follows; assumed answers first.
    pub answers: Vec<Told>,
    /// Numbers that the site decided against the calculation.
    pub decided: Vec<Message>,
    /// Machines and their load, now and later; none where the vendor gave no model.
    pub resources: Option<Resources>,
    /// Who does what, and how long that takes.
    pub timeline: Timeline,
    /// What may go wrong, the gravest first.
    pub risks: Vec<Risk>,
    /// Who is responsible for what.
    pub duties: Vec<Duty>,
    /// How one sees that it works.
    pub acceptance: Vec<Test>,
    /// For engineers.
    pub annex: Annex,
}

/// What the report is about, when and by whom it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heading {
    /// Name of the product for people.
    pub product: String,
    /// Its version.
    pub version: String,
    /// Name of the site.
    pub site: String,
    /// Before, during or after.
    pub stage: Stage,
    /// When the data were gathered, local time of whoever did.
    pub made: DateTime,
    /// Who gathered them.
    pub by: String,
    /// The program and its version.
    pub tool: String,
    /// Whether the machines were looked at.
    pub looked: bool,
}

/// Where the site stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Nothing was changed yet.
    Proposal,
    /// An installation is under way, or was stopped.
    Running,
    /// It is installed.
    Handover,
}

/// What one needs to know to decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// What will be installed, and for whom.
    pub sentence: Message,
    /// How it stands, a word.
    pub readiness: Readiness,
    /// What that means, one sentence.
    pub meaning: Message,
    /// Machines to provide.
    pub machines: Vec<MachineLine>,
    /// What happens when one of them fails.
    pub spare: Message,
    /// How many of them are named in the profile, and whether they suffice.
    pub there: Message,
    /// What is needed from the site, by when.
    pub asks: Vec<Ask>,
}

/// How it stands. The words are those of cloud migration assessments: readers know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Readiness {
    /// Nothing stands in the way.
    Ready,
    /// Something must be mended, or a risk was accepted.
    WithConditions,
    /// Something stands in the way that nobody may accept.
    NotReady,
    /// Nobody has looked at the machines.
    Unknown,
    /// An installation is under way.
    Installing,
    /// An installation has stopped; the same command goes on.
    Stopped,
    /// Everything was installed and has passed its tests.
    Installed,
}

/// Equal machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineLine {
    /// What they do.
    pub purpose: Message,
    /// How many.
    pub count: Figure,
    /// Processors of each.
    pub cores: Figure,
    /// Memory of each.
    pub memory: Figure,
    /// Disk of each, all folders together.
    pub disk: Figure,
}

/// Something that is needed from the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ask {
    /// What.
    pub what: Message,
    /// By when.
    pub due: Date,
    /// From whom.
    pub owner: Owner,
}

/// Who does something. The order is that of the list of responsibilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Owner {
    /// Whoever sells the product.
    Vendor,
    /// The customer's project lead.
    Lead,
    /// Who provides machines.
    Machines,
    /// Who provides disks.
    Storage,
    /// Who provides networks, names and firewalls.
    Network,
    /// Who decides about security.
    Security,
    /// Who signs.
    Management,
}

impl Owner {
    /// Key of its name.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Vendor => "owner.vendor",
            Self::Lead => "owner.lead",
            Self::Machines => "owner.machines",
            Self::Storage => "owner.storage",
            Self::Network => "owner.network",
            Self::Security => "owner.security",
            Self::Management => "owner.management",
        }
    }
}

/// An answer and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Told {
    /// Key in the profile.
    pub key: String,
    /// Whether nobody said so.
    pub assumed: bool,
    /// The answer.
    pub told: Message,
    /// The number that follows, and why.
    pub means: Figure,
}

/// Machines and their load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// Years that the third column looks ahead.
    pub years: u64,
    /// Lines of the table.
    pub rows: Vec<ResourceRow>,
    /// Whether all still fits when one machine is lost.
    pub one_down: Message,
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceRow {
    /// What is counted.
    pub what: Message,
    /// At least today, recommended today, after the years to come, today with one machine lost.
    pub cells: [Option<Quantity>; 4],
    /// Why.
    pub reason: Message,
}

/// Who does what, and how long that takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timeline {
    /// In the order in which they begin.
    pub phases: Vec<Phase>,
    /// From the day of the data to the end.
    pub total: Range,
    /// Of that, what the site does.
    pub site: Range,
    /// The day on which all is done if all goes well.
    pub earliest: Date,
    /// The day on which all is done if much goes wrong.
    pub latest: Date,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Phase {
    /// Stable name, e.g. `machines`.
    pub id: String,
    /// Who does it.
    pub owner: Owner,
    /// How long it takes, and why.
    pub time: Range,
    /// The day on which it should be done, as it usually goes.
    pub due: Date,
    /// Whether it is done already.
    pub done: bool,
}

/// Something that may go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Risk {
    /// `R1`, `R2` …
    pub id: String,
    /// What it is about, the same in every report: `disk-speed`.
    pub topic: String,
    /// Checks that found it.
    pub checks: Vec<String>,
    /// Machines that it concerns; none for the site as a whole.
    pub hosts: Vec<String>,
    /// What is the matter.
    pub what: Message,
    /// What that leads to.
    pub effect: Message,
    /// How likely.
    pub likelihood: Level,
    /// How bad.
    pub impact: Level,
    /// Who mends it.
    pub owner: Owner,
    /// What to do.
    pub action: Message,
    /// By when.
    pub due: Date,
    /// What is to be done about it.
    pub state: RiskState,
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// What is to be done about a risk. The order is that of the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum RiskState {
    /// Stands in the way: must be mended first.
    MustMend,
    /// Somebody has to know and to decide.
    Watch,
    /// Somebody accepted it.
    Accepted {
        /// Who.
        person: String,
        /// Why.
        reason: String,
        /// Until when, `YYYY-MM-DD`.
        until: String,
    },
}

/// What somebody is responsible for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Duty {
    /// Who.
    pub owner: Owner,
    /// What for.
    pub duty: Message,
}

/// A test that shows that it works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Test {
    /// What one does and sees.
    pub what: Message,
    /// How it came out.
    pub result: TestResult,
}

/// How a test came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind", content = "said")]
pub enum TestResult {
    /// Not made yet.
    Open,
    /// As it should be; what the run said about it.
    Passed(String),
    /// Not as it should be; what the run said about it.
    Failed(String),
}
