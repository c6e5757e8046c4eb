//! Choices of the API server, and certificates of the site.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{LABEL, Report};
use crate::api::Oidc;
use crate::certificates::{Authority, Certificates, Content};
use crate::circumstances::Circumstances;
use crate::names::is_dns_label;
use crate::site::Site;

pub(super) fn check(site: &Site, circumstances: &Circumstances<'_>, report: &mut Report<'_>) {
    if let Some(oidc) = &site.api.oidc {
        issuer(&oidc.issuer, report);
        claims(oidc, report);
        groups(oidc, report);
        if let Some(ca) = &oidc.ca {
            authorities("api.oidc.ca", ca, circumstances, report);
        }
    }
    if let Some(security) = &site.api.pod_security {
        for (i, namespace) in security.exempt_namespaces.iter().enumerate() {
            if !is_dns_label(namespace) {
                let path = format!("api.podSecurity.exemptNamespaces[{i}]");
                report.find("namespace", path, format!("`{namespace}` is no name of a namespace"), LABEL);
            }
        }
    }
    if let Some(ca) = &site.customer_ca {
        authorities("customerCa", ca, circumstances, report);
    }
}

/// What the API server takes as an issuer (Kubernetes, "Authenticating", structured authentication configuration).
fn issuer(issuer: &str, report: &mut Report<'_>) {
    let rest = issuer.strip_prefix("https://");
    let why = match rest {
        None => "does not begin with https://",
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':']) => "names no host",
        Some(rest) if rest.contains(['?', '#']) => "has a query or a fragment",
        Some(rest) if rest.contains('@') => "has a user in it",
        Some(rest) if rest.contains(|c: char| c.is_whitespace() || c.is_control()) => "has a space in it",
        Some(_) => return,
    };
    let remedy = "write the `issuer` of its /.well-known/openid-configuration, letter for letter";
    report.find("oidc-issuer", "api.oidc.issuer", format!("the issuer `{issuer}` {why}"), remedy);
}

fn claims(oidc: &Oidc, report: &mut Report<'_>) {
    if oidc.audiences.is_empty() {
        let message = "no audience is named, so no token would be for this cluster".to_owned();
        report.find(
            "oidc-audience",
            "api.oidc.audiences",
            message,
            "name the client that people log in with",
        );
    }
    for (i, audience) in oidc.audiences.iter().enumerate() {
        let path = format!("api.oidc.audiences[{i}]");
        if audience.trim().is_empty() {
            let remedy = "write the name of a client, or take the line out";
            report.find("oidc-audience", path, "an audience is empty".to_owned(), remedy);
        } else if oidc.audiences[..i].contains(audience) {
            let message = format!("the audience `{audience}` stands there twice");
            report.find("oidc-audience", path, message, "take one out");
        }
    }
    for (key, claim) in [("usernameClaim", &oidc.username_claim), ("groupsClaim", &oidc.groups_claim)] {
        if claim.trim().is_empty() {
            let path = format!("api.oidc.{key}");
            report.find("oidc-claim", path, format!("`{key}` is empty"), "write the name of a claim");
        }
    }
    for (key, prefix) in [("usernamePrefix", &oidc.username_prefix), ("groupsPrefix", &oidc.groups_prefix)] {
        // Without one, the issuer could name somebody `system:masters`.
        let why = match prefix.as_str() {
            "" => "is empty",
            prefix if prefix.starts_with("system:") => "is that of the cluster's own users",
            _ => continue,
        };
        let message = format!("`{key}` {why}: the issuer could give anybody all rights");
        report.find("oidc-prefix", format!("api.oidc.{key}"), message, "write a prefix such as `oidc:`");
    }
}

fn groups(oidc: &Oidc, report: &mut Report<'_>) {
    for (i, group) in oidc.groups.iter().enumerate() {
        let path = format!("api.oidc.groups[{i}].name");
        if group.name.trim().is_empty() {
            let remedy = "write the group as the issuer names it";
            report.find("oidc-group", path, "a group has no name".to_owned(), remedy);
        } else if oidc.groups[..i].iter().any(|other| other.name == group.name) {
            let message = format!("the group `{}` stands there twice", group.name);
            report.find("oidc-group", path, message, "keep the role that includes the other one");
        }
    }
}

/// Certificates that can be read, of authorities, that hold today.
fn authorities(path: &str, given: &Certificates, circumstances: &Circumstances<'_>, report: &mut Report<'_>) {
    let at = match (&given.file, &given.text) {
        (Some(_), None) => format!("{path}.file"),
        (None, Some(_)) => format!("{path}.text"),
        (Some(_), Some(_)) => {
            let message = format!("`{path}` has both `file` and `text`");
            return report.find("certificates", path, message, "keep one of the two");
        }
        (None, None) => {
            let message = format!("`{path}` names no certificate");
            let remedy = "write `file:` with the path of a PEM file, or `text: |` and the certificates";
            return report.find("certificates", path, message, remedy);
        }
    };
    if given.file.is_some() && !circumstances.files {
        return;
    }
    let shown = given.file.as_ref().map_or_else(|| format!("`{at}`"), |file| format!("the file {file}"));
    let text = match given.read() {
        Ok(text) => text,
        Err(error) => {
            let message = format!("{shown} with certificates cannot be read: {error}");
            return report.find("certificates", at, message, "correct the path, or bring the file there");
        }
    };
    let content = Content::of(&text);
    for (why, remedy) in content.faults {
        report.find("certificates", &at, format!("{shown}: {why}"), remedy);
    }
    let today = circumstances.today;
    content.authorities.iter().for_each(|authority| validity(&at, &shown, authority, today, report));
}

fn validity(at: &str, shown: &str, authority: &Authority, today: Date, report: &mut Report<'_>) {
    let subject = &authority.subject;
    let day = |second: i64| {
        jiff::Timestamp::from_second(second).ok().map(|time| time.to_zoned(TimeZone::UTC).date())
    };
    if let Some(until) = day(authority.until).filter(|until| *until < today) {
        let message = format!("{shown}: the certificate of {subject} ran out on {until}");
        report.find("certificates", at, message, "ask the authority's owner for the one that followed it");
    }
    if let Some(from) = day(authority.from).filter(|from| *from > today) {
        let message = format!("{shown}: the certificate of {subject} holds from {from} on only");
        report.find(
            "certificates",
            at,
            message,
            "set the clock of this machine, or give the one that holds now",
        );
    }
}
