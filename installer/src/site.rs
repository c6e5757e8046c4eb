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
        let known_hosts = match &site.access.known_hosts {
            Some(path) => read_known_hosts(path)?,
            None => String::new(),
        };
        Ok(Self { site, secrets, known_hosts })
    }

    /// How each host is reached, in the profile's order.
    pub(crate) fn targets(&self) -> BTreeMap<String, Target> {
        self.site.hosts.iter().map(|host| (host.name.clone(), self.target(host))).collect()
    }

    fn target(&self, host: &Host) -> Target {
        let access = self.site.access_for(host);
        Target {
            name: host.name.clone(),
            address: host.address.to_string(),
            port: access.port,
            user: access.user.to_owned(),
            private_key: self.secret(access.private_key),
            passphrase: self.secret(access.private_key_passphrase),
            password: self.secret(access.password),
            sudo_password: self.secret(access.sudo_password),
            host_keys: self.host_keys(access.host_key),
            bastion: access.bastion.map(|bastion| Box::new(self.bastion(bastion))),
        }
    }

    fn bastion(&self, bastion: &Bastion) -> Target {
        Target {
            name: "bastion".to_owned(),
            address: bastion.address.clone(),
            port: bastion.port,
            user: bastion.user.clone(),
            private_key: self.secret(bastion.private_key.as_ref().or(self.site.access.private_key.as_ref())),
            passphrase: self.secret(self.site.access.private_key_passphrase.as_ref()),
            password: self.secret(bastion.password.as_ref()),
            sudo_password: None,
            host_keys: self.host_keys(bastion.host_key.as_deref()),
            bastion: None,
        }
    }

    fn host_keys(&self, fingerprint: Option<&str>) -> HostKeys {
        let keys = HostKeys::default().with_known_hosts(&self.known_hosts);
        match fingerprint {
            Some(fingerprint) => keys.with_fingerprint(fingerprint),
            None => keys,
        }
    }

    fn secret(&self, reference: Option<&SecretRef>) -> Option<SecretString> {
        reference.and_then(|reference| self.secrets.get(reference)).cloned()
    }
}

fn read_known_hosts(path: &str) -> Result<String, Failure> {
    let place = written_path(path);
    std::fs::read_to_string(&place).map_err(|error| {
        let message = format!("known hosts file {} cannot be read", place.display());
        Failure { causes: vec![error.to_string()], ..Failure::new(Kind::Usage, message) }
            .hint("correct `access.knownHosts`, or give each host its `hostKey`")
    })
}

/// Asks a person, without echo; refused where there is no terminal.
pub(crate) fn ask(label: &str) -> io::Result<SecretString> {
    if !io::stdin().is_terminal() {
        return Err(io::Error::other("there is no terminal to ask at"));
    }
    rpassword::prompt_password(format!("{label}: ")).map(SecretString::from)
}
