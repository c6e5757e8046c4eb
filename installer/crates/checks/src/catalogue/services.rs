//! The services that the site runs itself, tried from every host: a pod may run on any of them.

use sealift_bundle::document::BundleDocument;
use sealift_bundle::services::ServiceKind;
use sealift_profile::TlsMode;

use super::{Check, HostInput, Look, Severity, Verdict};
use crate::facts::{ServiceAttempt, ServiceStage, ServiceTrouble};
use crate::finding::Group;
use crate::run::CheckInput;
use crate::services::services_of;
use crate::text::list;

/// Time to the database and back, microseconds, from which pages feel it: each asks the database several times.
const SLOW: u64 = 5_000;

const REACHABLE: &str = "pods run on every host and reach the service through it: a firewall before a single host fails the product now and then.";
const TLS: &str = "without encryption, or without a certificate that holds, whoever sits on the way reads passwords and data.";
const LOGIN: &str =
    "the product logs in with the same user and password, and does not start where they are refused.";
const VERSION: &str = "the product asks for things that an older or another service does not know.";

pub(super) const CHECKS: &[Check] = &[
    Check::of_site(
        Severity::Stop,
        "product.services",
        "Services that the site runs itself",
        "a service that the product cannot use would stay empty, and somebody believes that data are there.",
        known,
    ),
    way("service.database.reachable", "Way to the site's database", REACHABLE, |input| {
        reachable(input, DATABASE)
    }),
    way("service.database.tls", "Encryption to the site's database", TLS, |input| tls(input, DATABASE)),
    answer("service.database.login", "Login at the site's database", LOGIN, |input| login(input, DATABASE)),
    answer("service.database.version", "Version of the site's database", VERSION, |input| {
        version(input, DATABASE)
    }),
    way("service.logs.reachable", "Way to the site's logs", REACHABLE, |input| reachable(input, LOGS)),
    way("service.logs.tls", "Encryption to the site's logs", TLS, |input| tls(input, LOGS)),
    answer("service.logs.login", "Login at the site's logs", LOGIN, |input| login(input, LOGS)),
    answer("service.logs.version", "Answer of the site's logs", VERSION, |input| version(input, LOGS)),
    way("service.metrics.reachable", "Way to the site's metrics", REACHABLE, |input| {
        reachable(input, METRICS)
    }),
    way("service.metrics.tls", "Encryption to the site's metrics", TLS, |input| tls(input, METRICS)),
    answer("service.metrics.login", "Login at the site's metrics", LOGIN, |input| login(input, METRICS)),
    answer("service.metrics.version", "Answer of the site's metrics", VERSION, |input| {
        version(input, METRICS)
    }),
];

const DATABASE: ServiceKind = ServiceKind::Database;
const LOGS: ServiceKind = ServiceKind::Logs;
const METRICS: ServiceKind = ServiceKind::Metrics;

/// A check of the way to a service.
const fn way(id: &'static str, title: &'static str, why: &'static str, look: Look) -> Check {
    Check::on_host((Group::Network, Severity::Block), id, title, why, &["services"], look)
}

/// A check of what the service says.
const fn answer(id: &'static str, title: &'static str, why: &'static str, look: Look) -> Check {
    Check::on_host((Group::Product, Severity::Block), id, title, why, &["services"], look)
}

fn known(input: &CheckInput<'_>, document: &BundleDocument) -> Verdict {
    let (external, offered) = (services_of(input.site), &document.services);
    let title = &document.product.title;
    let name = |kind: &ServiceKind| format!("services.{}", kind.name());
    let unused: Vec<String> = external.iter().filter(|kind| !offered.contains_key(kind)).map(name).collect();
    if !unused.is_empty() {
        let can: Vec<String> = offered.keys().map(name).collect();
        let can = if can.is_empty() { "none".to_owned() } else { list(&can) };
        let remedy = format!("take {} out of the profile; {title} can use: {can}", list(&unused));
        return Verdict::fail(format!("{title} cannot use {}", list(&unused)), remedy);
    }
    match external.len() {
        0 => Verdict::pass("none: the product brings all that it needs"),
        _ => Verdict::pass(list(&external.iter().map(name).collect::<Vec<_>>())),
    }
}

/// What this host saw of a service, or why there is nothing to say.
fn of<'a>(input: &HostInput<'a>, kind: ServiceKind) -> Result<&'a ServiceAttempt, Verdict> {
    if !services_of(input.site).contains(&kind) {
        return Err(Verdict::not_run("the site names none: the product brings its own, or needs none"));
    }
    let attempts = input.facts.services.as_deref().unwrap_or_default();
    attempts
        .iter()
        .find(|attempt| attempt.service == kind)
        .ok_or_else(|| Verdict::not_run("not tried from this host: `installer check` does it over SSH"))
}

/// What went wrong at this stage; an earlier stage that failed leaves nothing to say about this one.
fn at(attempt: &ServiceAttempt, stage: ServiceStage) -> Result<Option<&ServiceTrouble>, Verdict> {
    match &attempt.trouble {
        Some(trouble) if trouble.stage < stage => {
            Err(Verdict::not_run("not tried: an earlier step failed, see the findings before this one"))
        }
        Some(trouble) if trouble.stage == stage => Ok(Some(trouble)),
        _ => Ok(None),
    }
}

fn failed(attempt: &ServiceAttempt, trouble: &ServiceTrouble, remedy: String) -> Verdict {
    Verdict::fail(format!("{}: {}", attempt.address, trouble.problem), remedy)
}

/// The verdict about one stage of an attempt: `well` where it is through, a failure with this remedy where it ended
/// there, and what stands already where it did not come so far.
fn judged(
    input: &HostInput<'_>,
    kind: ServiceKind,
    stage: ServiceStage,
    remedy: impl FnOnce() -> String,
    well: impl FnOnce(&ServiceAttempt) -> Verdict,
) -> Verdict {
    let seen = of(input, kind).and_then(|attempt| Ok((attempt, at(attempt, stage)?)));
    match seen {
        Err(verdict) => verdict,
        Ok((attempt, Some(trouble))) => failed(attempt, trouble, remedy()),
        Ok((attempt, None)) => well(attempt),
    }
}

fn reachable(input: &HostInput<'_>, kind: ServiceKind) -> Verdict {
    let remedy = || {
        format!(
            "see that the service runs and listens on that address, and ask the owner of the network to let {} ({}) reach it; the address stands under services.{} in the profile",
            input.host.name,
            input.host.address,
            kind.name()
        )
    };
    judged(input, kind, ServiceStage::Reach, remedy, |attempt| {
        let micros = attempt.micros.unwrap_or_default();
        let show = |micros: u64| format!("{:.1} ms", micros as f64 / 1e3);
        let measured = format!("{} in {}", attempt.address, show(micros));
        if kind != DATABASE {
            return Verdict::pass(measured);
        }
        if micros >= SLOW {
            let remedy = "put the database near to the hosts, or find what slows the way: each page waits for several answers of it";
            return Verdict::warn(measured, remedy).limit(format!("less than {}", show(SLOW)));
        }
        Verdict::pass(measured).limit(format!("less than {}", show(SLOW)))
    })
}

fn tls(input: &HostInput<'_>, kind: ServiceKind) -> Verdict {
    let place = if kind == DATABASE {
        "services.database.tls".to_owned()
    } else {
        format!("services.{}", kind.name())
    };
    let remedy = || {
        format!(
            "ask the owner of the service to switch TLS on, with a certificate that names this address and is signed by the authority under `ca:`; or correct {place} in the profile"
        )
    };
    let unchecked = input.site.services.database.as_ref().is_some_and(|one| one.tls.mode == TlsMode::Require);
    judged(input, kind, ServiceStage::Tls, remedy, |attempt| match &attempt.tls {
        Some(version) if kind == DATABASE && unchecked => {
            Verdict::pass(format!("{version}; nobody looks whose certificate it is (mode: require)"))
        }
        Some(version) => Verdict::pass(format!("{version}, the certificate holds")),
        None => {
            let remedy = format!("switch TLS on at the service, and ask for it at {place} in the profile");
            Verdict::warn("not encrypted, as the profile wants it", remedy)
        }
    })
}

fn login(input: &HostInput<'_>, kind: ServiceKind) -> Verdict {
    let (name, services) = (kind.name(), &input.site.services);
    let remedy = || {
        let there = if kind == DATABASE {
            "that the database is there, that its user may log in from this host (pg_hba.conf)"
        } else {
            "that the user may log in"
        };
        format!(
            "ask the owner of the service to see {there}, and that services.{name} leads to the right password"
        )
    };
    judged(input, kind, ServiceStage::Login, remedy, |_| {
        let endpoint = services.endpoints().find(|(one, _)| *one == name).map(|(_, endpoint)| endpoint);
        let user = match kind {
            DATABASE => services.database.as_ref().map(|database| database.user.as_str()),
            _ => endpoint.and_then(|endpoint| endpoint.user.as_deref()),
        };
        user.map_or_else(
            || Verdict::pass("the profile gives no login, and none is wanted"),
            |user| Verdict::pass(format!("user {user} is let in")),
        )
    })
}

fn version(input: &HostInput<'_>, kind: ServiceKind) -> Verdict {
    let remedy = || {
        format!(
            "see that services.{} in the profile leads to such a service, and that it is well: its own log says more",
            kind.name()
        )
    };
    judged(input, kind, ServiceStage::Answer, remedy, |attempt| {
        let Some(version) = attempt.version.as_deref() else {
            return Verdict::pass("answers, and says no version");
        };
        let wanted = input.site.services.database.as_ref().and_then(|database| database.minimum_version);
        match wanted.filter(|_| kind == DATABASE) {
            Some(wanted) => new_enough(version, wanted),
            None => Verdict::pass(version),
        }
    })
}

fn new_enough(version: &str, wanted: u32) -> Verdict {
    match major(version) {
        None => Verdict::warn(
            format!("a version that is none: {version}"),
            format!("ask its owner whether it is PostgreSQL {wanted} or newer"),
        ),
        Some(major) if major < wanted => Verdict::fail(
            version,
            format!("ask its owner for PostgreSQL {wanted} or newer, or lower services.database.minimumVersion if the product's vendor agrees"),
        ),
        Some(_) => Verdict::pass(version),
    }
    .limit(format!("{wanted} or newer"))
}

/// `15.14 (Debian 15.14-0+deb12u1)` is 15; `17beta1` is 17.
fn major(version: &str) -> Option<u32> {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
