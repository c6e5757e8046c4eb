//! Services of the site: reachable by the names and addresses that are given, and known by their certificates.

use std::net::IpAddr;

use super::Report;
use crate::services::{Database, Endpoint, TlsMode, is_host};
use crate::site::Site;

/// Longest name of a database or user, bytes (PostgreSQL: `NAMEDATALEN` less one).
const LONGEST_NAME: usize = 63;
/// Where a certificate of an authority comes from, as a remedy.
const CA: &str = "add `ca: |` and below it, indented, the certificate of the authority that signed the server's: lines from BEGIN CERTIFICATE to END CERTIFICATE";

pub(super) fn check(site: &Site, report: &mut Report<'_>) {
    if let Some(database) = &site.services.database {
        self::database(database, report);
        host(site, report, "services.database.host", &database.host);
    }
    for (name, endpoint) in site.services.endpoints() {
        let path = format!("services.{name}");
        self::endpoint(endpoint, &path, report);
        if let Some(parts) = endpoint.parts() {
            host(site, report, &format!("{path}.url"), parts.host);
        } else {
            let message = format!("`{}` is no address of a service", tame(&endpoint.url));
            let remedy = "write http:// or https://, a name or an address, and a port, such as https://logs.plant.example:9200/; the login goes to `user:` and `password:`";
            report.find("service-url", format!("{path}.url"), message, remedy);
        }
    }
}

fn database(database: &Database, report: &mut Report<'_>) {
    let path = "services.database";
    for (key, what, name) in [("database", "database", &database.database), ("user", "user", &database.user)]
    {
        if name.trim().is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
            let message = match tame(name).trim() {
                "" => format!("the {what} has no name"),
                name => format!("`{name}` is no name of a {what}"),
            };
            let remedy = format!("write the name that the server has for it, at most {LONGEST_NAME} bytes");
            report.find("service-name", format!("{path}.{key}"), message, remedy);
        }
    }
    let tls_path = format!("{path}.tls");
    match (database.tls.mode, &database.tls.ca) {
        (_, Some(ca)) if holds_key(ca) => certificate(ca, format!("{tls_path}.ca"), report),
        (TlsMode::VerifyFull, None) => {
            let message = "nothing says by whose word the database's certificate is trusted".to_owned();
            let remedy = format!("{CA}; or set `mode: require`, which takes whoever answers for the server");
            report.find("service-ca", tls_path, message, remedy);
        }
        (TlsMode::VerifyFull, Some(ca)) => certificate(ca, format!("{tls_path}.ca"), report),
        (mode, Some(_)) => {
            let message = format!("with `mode: {}` nobody looks at `ca`", mode.name());
            let remedy = "set `mode: verify-full`, or take `ca` out";
            report.find("service-ca", format!("{tls_path}.ca"), message, remedy);
        }
        (_, None) => {}
    }
}

fn endpoint(endpoint: &Endpoint, path: &str, report: &mut Report<'_>) {
    let encrypted = endpoint.parts().map(|parts| parts.encrypted);
    match (encrypted, &endpoint.ca) {
        (_, Some(ca)) if holds_key(ca) => certificate(ca, format!("{path}.ca"), report),
        (Some(true), None) => {
            let message = format!("nothing says by whose word the certificate of `{path}` is trusted");
            report.find("service-ca", path, message, CA);
        }
        (Some(false), Some(_)) => {
            let message = "an http:// address has no certificate: nobody looks at `ca`".to_owned();
            let remedy = "write https://, or take `ca` out";
            report.find("service-ca", format!("{path}.ca"), message, remedy);
        }
        (_, Some(ca)) => certificate(ca, format!("{path}.ca"), report),
        (_, None) => {}
    }
    if endpoint.user.is_some() != endpoint.password.is_some() {
        let message = format!("`{path}` has half a login: a user and a password belong together");
        report.find("service-login", path, message, "give both `user:` and `password:`, or neither");
    }
    if endpoint.user.as_ref().is_some_and(|user| user.is_empty() || user.contains([':', '\n', '\r'])) {
        let message = format!("the user of `{path}` is empty or has a colon or a line break in it");
        report.find(
            "service-login",
            format!("{path}.user"),
            message,
            "write the name that the service knows",
        );
    }
}

/// PEM with at least one certificate and nothing secret.
fn certificate(text: &str, path: String, report: &mut Report<'_>) {
    if holds_key(text) {
        let message = format!("`{path}` holds a private key");
        let remedy =
            "put the certificate alone there, take the key out of this file, and change it where it was seen";
        report.find("literal-secret", path, message, remedy);
    } else if !(text.contains("-----BEGIN CERTIFICATE-----") && text.contains("-----END CERTIFICATE-----")) {
        let message = format!("`{path}` is no certificate");
        report.find("service-ca", path, message, CA);
    }
}

fn holds_key(text: &str) -> bool {
    text.contains("PRIVATE KEY-----")
}

/// A service must have an address that hosts and pods reach, or a name that they find.
fn host(site: &Site, report: &mut Report<'_>, path: &str, host: &str) {
    let Ok(address) = host.parse::<IpAddr>() else {
        if !is_host(host) {
            let message = format!("`{}` is neither an address nor a DNS name", tame(host));
            report.find(
                "service-host",
                path,
                message,
                "write an address such as 10.20.0.9, or a name in lowercase",
            );
        } else if site.cluster.nameservers.is_empty() {
            let message = format!("`{host}` is a name, and pods find no names outside of the cluster");
            let remedy = "write its address instead (the certificate must hold for it), or give `nameservers:` under `cluster:`";
            report.find("service-host", path, message, remedy);
        }
        return;
    };
    if address.is_loopback() || address.is_unspecified() {
        let message = format!("{address} means another machine on every host");
        report.find("service-host", path, message, "write the address that all hosts reach");
    }
    let networks = [("pod network", site.cluster.pod_cidr), ("service network", site.cluster.service_cidr)];
    for (name, network) in networks.into_iter().filter(|(_, network)| network.contains(&address)) {
        let message = format!("{address} lies in the {name} {network}: no host will reach it");
        let remedy = "choose another network for the cluster, under `cluster:`";
        report.find("cidr-service", path, message, remedy);
    }
}

/// Short enough for a message; whatever stands before an `@` may be a login.
fn tame(text: &str) -> String {
    let text = text.rsplit_once('@').map_or(text, |(_, after)| after);
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}
