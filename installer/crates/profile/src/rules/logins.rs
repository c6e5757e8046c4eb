//! Ways to log in, and ways to know that a host is the one it says.

use super::Report;
use crate::names::is_fingerprint;
use crate::seal;
use crate::secret::SecretRef;
use crate::site::Site;

pub(super) fn check(site: &Site, report: &mut Report<'_>) {
    let access = &site.access;
    if access.user.trim().is_empty() {
        report.find(
            "user",
            "access.user",
            "the login name is empty".to_owned(),
            "write the name of an account",
        );
    }
    if access.private_key_passphrase.is_some() && access.private_key.is_none() {
        let message = "there is a passphrase and no private key".to_owned();
        report.find(
            "login",
            "access.privateKeyPassphrase",
            message,
            "add `privateKey:`, or take the passphrase out",
        );
    }
    hosts(site, report);
    bastion(site, report);
    references(site, report);
}

fn hosts(site: &Site, report: &mut Report<'_>) {
    let barred = |host| {
        let way = site.access_for(host);
        way.private_key.is_none() && way.password.is_none()
    };
    // One cause, one finding.
    let nobody = !site.hosts.is_empty() && site.hosts.iter().all(barred);
    if nobody {
        let message = "there is no way to log in on any host".to_owned();
        report.find("login", "access", message, "add `privateKey:` or `password:` under `access:`");
    }
    for (i, host) in site.hosts.iter().enumerate() {
        let path = format!("hosts[{i}]");
        if host.user.as_deref().is_some_and(|user| user.trim().is_empty()) {
            let message = format!("the login name for `{}` is empty", host.name);
            report.find(
                "user",
                format!("{path}.user"),
                message,
                "write the name of an account, or take the line out",
            );
        }
        if !nobody && barred(host) {
            let message = format!("there is no way to log in on `{}`", host.name);
            report.find("login", &path, message, "add `privateKey:` or `password:` under `access:`");
        }
        match &host.host_key {
            Some(key) if !is_fingerprint(key) => fingerprint(report, format!("{path}.hostKey"), key),
            None if access_knows_no_keys(site) => {
                let message =
                    format!("there is no way to know that `{}` is the host it says it is", host.name);
                let remedy = "add its `hostKey: SHA256:…` (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its own console), or `knownHosts:` under `access:`";
                report.find("host-key", &path, message, remedy);
            }
            _ => {}
        }
    }
}

fn access_knows_no_keys(site: &Site) -> bool {
    site.access.known_hosts.as_deref().is_none_or(|path| path.trim().is_empty())
}

fn fingerprint(report: &mut Report<'_>, path: String, key: &str) {
    let message = format!("`{key}` is no fingerprint of a host key");
    let remedy =
        "write what `ssh-keygen -lf` prints: `SHA256:` and 43 characters (not MD5, not the key itself)";
    report.find("host-key", path, message, remedy);
}

fn bastion(site: &Site, report: &mut Report<'_>) {
    let Some(bastion) = &site.access.bastion else { return };
    let path = "access.bastion";
    if bastion.address.trim().is_empty() {
        report.find(
            "bastion",
            format!("{path}.address"),
            "the bastion has no address".to_owned(),
            "write it",
        );
    }
    if bastion.user.trim().is_empty() {
        let message = "the login name for the bastion is empty".to_owned();
        report.find("user", format!("{path}.user"), message, "write the name of an account");
    }
    if bastion.private_key.is_none() && bastion.password.is_none() && site.access.private_key.is_none() {
        let message = "there is no way to log in on the bastion".to_owned();
        report.find("login", path, message, "add `privateKey:` or `password:` to it");
    }
    match &bastion.host_key {
        Some(key) if !is_fingerprint(key) => fingerprint(report, format!("{path}.hostKey"), key),
        None if access_knows_no_keys(site) => {
            let message = "there is no way to know that the bastion is the host it says it is".to_owned();
            let remedy = "add its `hostKey: SHA256:…`, or `knownHosts:` under `access:`";
            report.find("host-key", path, message, remedy);
        }
        _ => {}
    }
}

/// References that can never lead anywhere, and secrets among the product's open settings.
fn references(site: &Site, report: &mut Report<'_>) {
    if let Some(SecretRef::Sealed(_)) = &site.unseal {
        let message = "what opens the sealed secrets is sealed itself".to_owned();
        report.find("sealed", "unseal", message, "name it by `{file: …}`, `{env: …}` or `{prompt: …}`");
    }
    let unseal = site.unseal.iter().map(|reference| ("unseal".to_owned(), reference));
    for (path, reference) in site.secret_references_with_paths().chain(unseal) {
        if let SecretRef::Sealed(text) = reference
            && seal::is_sealed_text(text)
            && let Err(error) = seal::inspect(text)
        {
            let why = error.to_string();
            let why = why.lines().next().unwrap_or_default();
            let message = format!("the sealed text of `{path}` cannot be used: {why}");
            let remedy = "paste it once more, whole and with its line breaks, behind `sealed: |`; or seal the secret again with `installer secrets seal`";
            report.find("sealed", format!("{path}.sealed"), message, remedy);
        }
        if let SecretRef::Env(name) = reference {
            let letters = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if name.is_empty() || !name.bytes().all(letters) || name.as_bytes()[0].is_ascii_digit() {
                let message = format!("`{path}.env` is no name of an environment variable");
                let remedy = "write the variable's name (letters, digits, `_`), not its value";
                report.find("secret-place", format!("{path}.env"), message, remedy);
            }
        }
    }
    for (name, value) in &site.product.settings {
        literal(report, &format!("product.settings.{name}"), name, value);
    }
}

fn literal(report: &mut Report<'_>, path: &str, name: &str, value: &serde_json::Value) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                literal(report, &format!("{path}.{name}"), name, value);
            }
        }
        serde_json::Value::Array(items) => {
            for (i, value) in items.iter().enumerate() {
                literal(report, &format!("{path}[{i}]"), "", value);
            }
        }
        serde_json::Value::String(text)
            if !text.is_empty() && (named_secret(name) || is_private_key(text)) =>
        {
            let message = format!("`{path}` looks like a secret itself");
            let remedy = "name it under `product.secrets:` and say there where it is, such as `{file: ~/secret.txt}`; then take it out of this file and change it where it was seen";
            report.find("literal-secret", path, message, remedy);
        }
        _ => {}
    }
}

fn named_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace(['-', '_', '.'], "");
    ["password", "passwd", "passphrase", "secret", "token", "privatekey", "apikey"]
        .iter()
        .any(|word| name.ends_with(word))
}

fn is_private_key(text: &str) -> bool {
    text.contains("-----BEGIN") && text.contains("PRIVATE KEY-----")
}
