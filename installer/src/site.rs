//! What a verb starts from: the profile, the bundle, the secrets, and how each host is reached.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use sealift_bundle::{Bundle, BundleError};
use sealift_profile::{Bastion, Host, ResolvedSecrets, SecretRef, Site};
use sealift_remote::{HostKeys, Target};
use secrecy::SecretString;
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes};
use crate::seat::{threads, written_path};

/// Reads every byte of the bundle against its signature.
pub(crate) fn verify_bundle(bundle: &Bundle, output: Output) -> Result<(), BundleError> {
    let started = std::time::Instant::now();
    let report = bundle.verify(threads(), &output.moving("verify"))?;
    let seconds = started.elapsed().as_secs_f64();
    let text = format!(
        "{} in {seconds:.1} s, every one of {} blobs matches the signature",
        bytes(report.bytes),
        report.blobs
    );
    output.line("verify", &text, &json!({"bytes": report.bytes, "blobs": report.blobs, "seconds": seconds}));
    Ok(())
}

/// A profile with its secrets.
pub(crate) struct OpenSite {
    pub(crate) site: Site,
    pub(crate) secrets: ResolvedSecrets,
    known_hosts: String,
}

impl OpenSite {
    /// Loads the profile (overlays in order) and fetches every secret that it refers to.
    pub(crate) fn load(profiles: &[PathBuf], output: Output) -> Result<Self, Failure> {
        Self::load_asking(profiles, output, &ask)
    }

    /// The same, asking for passwords in another way than at the terminal.
    pub(crate) fn load_asking(
        profiles: &[PathBuf],
        output: Output,
        ask: &dyn Fn(&str) -> io::Result<SecretString>,
    ) -> Result<Self, Failure> {
        let site = crate::profiles::load(profiles)?;
        let secrets = ResolvedSecrets::resolve(&site, ask).map_err(|errors| {
            let message = format!("{} of the profile's secrets cannot be had", errors.len());
            Failure::together(message, errors.into_iter().map(Failure::from).collect())
        })?;
        for exposure in secrets.exposures() {
            output.line("warning", &exposure.to_string(), &json!({"path": exposure.path}));
        }
        let known_hosts = known_hosts_of(&site)?;
        Ok(Self { site, secrets, known_hosts })
    }

    /// How each host is reached, in the profile's order.
    pub(crate) fn targets(&self) -> BTreeMap<String, Target> {
        self.site.hosts.iter().map(|host| (host.name.clone(), self.target(host))).collect()
    }

    fn target(&self, host: &Host) -> Target {
        target(&self.site, host, &self.known_hosts, &|reference| self.secrets.get(reference).cloned())
    }
}

/// The known hosts that a site trusts, as text. A file that is not there is missed only where a key would be looked for
/// in it.
fn known_hosts_of(site: &Site) -> Result<String, Failure> {
    let bastion = site.access.bastion.as_ref().map(|bastion| &bastion.host_key);
    let mut keys = site.hosts.iter().map(|host| &host.host_key).chain(bastion);
    read_known_hosts(site, keys.all(Option::is_some))
}

/// The same before anybody has confirmed a key: a file that is not there yet knows none.
pub(crate) fn known_hosts_so_far(site: &Site) -> Result<String, Failure> {
    read_known_hosts(site, true)
}

fn read_known_hosts(site: &Site, may_be_missing: bool) -> Result<String, Failure> {
    let Some(path) = &site.access.known_hosts else { return Ok(String::new()) };
    let place = written_path(path);
    std::fs::read_to_string(&place).or_else(|error| {
        if may_be_missing && error.kind() == io::ErrorKind::NotFound {
            return Ok(String::new());
        }
        let message = format!("known hosts file {} cannot be read", place.display());
        let failure = Failure { causes: vec![error.to_string()], ..Failure::new(Kind::Usage, message) };
        Err(failure.hint("correct `access.knownHosts`, or give each host its `hostKey`"))
    })
}

/// How a host is reached, with the secrets that are at hand.
pub(crate) fn target(
    site: &Site,
    host: &Host,
    known_hosts: &str,
    secret: &dyn Fn(&SecretRef) -> Option<SecretString>,
) -> Target {
    let access = site.access_for(host);
    let bastion = |bastion: &Bastion| {
        let key = bastion.private_key.as_ref().or(site.access.private_key.as_ref());
        Target {
            name: "bastion".to_owned(),
            address: bastion.address.clone(),
            port: bastion.port,
            user: bastion.user.clone(),
            private_key: key.and_then(secret),
            passphrase: site.access.private_key_passphrase.as_ref().and_then(secret),
            password: bastion.password.as_ref().and_then(secret),
            sudo_password: None,
            host_keys: host_keys(known_hosts, bastion.host_key.as_deref()),
            bastion: None,
        }
    };
    Target {
        name: host.name.clone(),
        address: host.address.to_string(),
        port: access.port,
        user: access.user.to_owned(),
        private_key: access.private_key.and_then(secret),
        passphrase: access.private_key_passphrase.and_then(secret),
        password: access.password.and_then(secret),
        sudo_password: access.sudo_password.and_then(secret),
        host_keys: host_keys(known_hosts, access.host_key),
        bastion: access.bastion.map(|way| Box::new(bastion(way))),
    }
}

fn host_keys(known_hosts: &str, fingerprint: Option<&str>) -> HostKeys {
    let keys = HostKeys::default().with_known_hosts(known_hosts);
    match fingerprint {
        Some(fingerprint) => keys.with_fingerprint(fingerprint),
        None => keys,
    }
}

/// Asks a person, without echo; refused where there is no terminal.
pub(crate) fn ask(label: &str) -> io::Result<SecretString> {
    if !io::stdin().is_terminal() {
        return Err(io::Error::other("there is no terminal to ask at"));
    }
    rpassword::prompt_password(format!("{label}: ")).map(SecretString::from)
}

#[cfg(test)]
mod tests {
    use sealift_profile::Draft;

    use super::*;

    #[test]
    fn a_missing_file_of_known_hosts_is_missed_only_where_a_key_is_looked_for_in_it() {
        let site = |known_hosts: &str, more_of_host: &str| {
            let text = format!(
                "apiVersion: sealift/v1\nkind: Site\nmetadata: {{name: plant}}\naccess: {{user: ops, privateKey: \
                 {{file: /k}}, knownHosts: {known_hosts}}}\nhosts:\n  - {{name: m1, address: 10.20.0.11, role: \
                 control-plane{more_of_host}}}\n"
            );
            Draft::read(&text, "site.yaml").unwrap().so_far().unwrap()
        };
        let pinned = ", hostKey: \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"";
        let missing = known_hosts_of(&site("/nowhere/hosts", "")).unwrap_err();
        assert!(missing.message.contains("/nowhere/hosts cannot be read"), "{missing:?}");
        assert_eq!(known_hosts_of(&site("/nowhere/hosts", pinned)).unwrap(), "");
        assert_eq!(known_hosts_so_far(&site("/nowhere/hosts", "")).unwrap(), "");
        // One that is there and cannot be read is told in every case: a folder is no file.
        assert!(known_hosts_of(&site("/", pinned)).is_err());
        assert!(known_hosts_so_far(&site("/", "")).is_err());
    }
}
