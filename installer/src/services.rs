//! The services that the site runs itself, tried from every host before anything is installed.

use std::collections::BTreeMap;

use sealift_bundle::services::ServiceKind;
use sealift_checks::facts::Facts;
use sealift_host::protocol::{Progress, Request, Response, SecretFile, SecretFiles};
use sealift_host::services::{Encryption, Language, ServiceTarget};
use sealift_profile::{Endpoint, Site, TlsMode};
use secrecy::ExposeSecret;

use crate::sessions::Sessions;
use crate::site::OpenSite;

/// Asks every probed host to try them, all at once. A host that cannot be asked says so in its findings.
pub(crate) fn try_from_all(site: &OpenSite, sessions: &Sessions, facts: &mut BTreeMap<String, Facts>) {
    let targets = targets(&site.site);
    if targets.is_empty() {
        return;
    }
    let request = || Request::TryServices { targets: targets.clone(), passwords: passwords(site, &targets) };
    let requests = facts.keys().map(|host| (host.clone(), request())).collect();
    let wanted = |response| match response {
        Response::ServicesTried { attempts } => Some(attempts),
        _ => None,
    };
    for (host, result) in sessions.ask_each(requests, &|_: &str, _: Progress| {}, wanted) {
        let Some(facts) = facts.get_mut(&host) else { continue };
        match result {
            Ok(attempts) => facts.services = Some(attempts),
            Err(failure) => {
                let causes: Vec<&str> =
                    std::iter::once(&failure.message).chain(&failure.causes).map(String::as_str).collect();
                facts.unreadable.push(format!("services: {}", causes.join(": ")));
            }
        }
    }
}

/// What hosts shall try, without passwords.
fn targets(site: &Site) -> Vec<ServiceTarget> {
    let services = &site.services;
    let database = services.database.iter().map(|database| ServiceTarget {
        service: ServiceKind::Database,
        host: database.host.clone(),
        port: database.port,
        encryption: match (database.tls.mode, &database.tls.ca) {
            (TlsMode::Disable, _) => Encryption::None,
            (TlsMode::VerifyFull, Some(ca)) => Encryption::Verified { ca: ca.clone() },
            // The profile's rules ask for `ca` with `verify-full`.
            (TlsMode::Require | TlsMode::VerifyFull, _) => Encryption::Unchecked,
        },
        user: Some(database.user.clone()),
        language: Language::Postgresql { database: database.database.clone() },
    });
    let logs = services.logs.iter().filter_map(|endpoint| by_http(ServiceKind::Logs, endpoint));
    let metrics = services.metrics.iter().filter_map(|endpoint| by_http(ServiceKind::Metrics, endpoint));
    database.chain(logs).chain(metrics).collect()
}

fn by_http(service: ServiceKind, endpoint: &Endpoint) -> Option<ServiceTarget> {
    let parts = endpoint.parts()?;
    Some(ServiceTarget {
        service,
        host: parts.host.to_owned(),
        port: parts.port,
        encryption: match &endpoint.ca {
            Some(ca) if parts.encrypted => Encryption::Verified { ca: ca.clone() },
            _ if parts.encrypted => Encryption::Unchecked,
            _ => Encryption::None,
        },
        user: endpoint.user.clone(),
        language: Language::Http { url: endpoint.url.clone() },
    })
}

/// Passwords as far as there are any, by the service's name.
fn passwords(site: &OpenSite, targets: &[ServiceTarget]) -> SecretFiles {
    let file = |target: &ServiceTarget| {
        let name = target.service.name();
        let reference = site.site.product_secret(&format!("services.{name}.password"))?;
        let content = site.secrets.get(reference)?.expose_secret().to_owned();
        Some(SecretFile { name: name.to_owned(), content })
    };
    SecretFiles(targets.iter().filter_map(file).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_service_is_tried_as_the_profile_has_it() {
        let site: Site = serde_json::from_value(json!({
            "apiVersion": "sealift/v1", "kind": "Site", "metadata": {"name": "plant"},
            "access": {"user": "ops", "password": {"env": "OPS"}}, "hosts": [],
            "services": {
                "database": {
                    "host": "10.20.0.9", "database": "orders", "user": "app", "password": {"env": "DB"},
                    "tls": {"mode": "verify-full", "ca": "PEM"},
                },
                "metrics": {"url": "http://[fd00::9]:9090/api/v1/write"},
            },
        }))
        .unwrap();
        let found = targets(&site);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].host.as_str(), found[0].port, found[0].user.as_deref()),
            ("10.20.0.9", 5432, Some("app"))
        );
        assert_eq!(found[0].encryption, Encryption::Verified { ca: "PEM".into() });
        assert_eq!((found[1].host.as_str(), found[1].port), ("fd00::9", 9090));
        assert_eq!(found[1].encryption, Encryption::None);
        let mut open = site.clone();
        open.services.database.as_mut().unwrap().tls.mode = TlsMode::Disable;
        assert_eq!(targets(&open)[0].encryption, Encryption::None);
        open.services = sealift_profile::Services::default();
        assert!(targets(&open).is_empty());
    }
}
