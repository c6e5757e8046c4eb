//! How registries are reached: what every verb that pulls takes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::Failure;
use crate::mirrors::Mirrors;
use crate::recipe::RecipeError;
use crate::registry::credentials::Credentials;
use crate::registry::{Patience, Registries};

/// Mirrors, certificates and logins.
#[derive(Debug, Args)]
pub(super) struct Access {
    /// Other places to pull from, and how to speak to them: a YAML file `mirrors: {registry.k8s.io:
    /// "https://mirror.example/k8s"}`, `registries: {mirror.example: {ca: company-ca.pem}}`; instead of `ca` also
    /// `plainHttp: true` or `insecure: true` (no look at the certificate)
    #[arg(long, value_name = "FILE")]
    mirrors: Option<PathBuf>,
    /// CA certificates (PEM) to trust beside the system's own; may be repeated
    #[arg(long = "ca", value_name = "FILE")]
    authorities: Vec<PathBuf>,
    /// Registry to speak plain HTTP to, as it stands in image names, or web server that may get a login so; may be
    /// repeated. This machine itself needs none
    #[arg(long, value_name = "HOST[:PORT]")]
    plain_http: Vec<String>,
}

impl Access {
    /// The files that are read for it.
    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.mirrors.iter().chain(&self.authorities).cloned()
    }

    /// Registries with the logins that `docker login` made.
    pub(super) fn open(&self) -> Result<Registries, Failure> {
        let mut mirrors = self.mirrors.as_deref().map(mirrors).transpose()?.unwrap_or_default();
        for file in &self.authorities {
            mirrors.trust(file.clone());
        }
        for host in &self.plain_http {
            mirrors.allow_plain_http(host);
        }
        let credentials = Credentials::from_environment();
        Ok(Registries::with_credentials(mirrors, Patience::default(), credentials)?)
    }
}

/// The mirrors in the file at `path`. It is read as recipes are, and named by another flag.
fn mirrors(path: &Path) -> Result<Mirrors, Failure> {
    Mirrors::load(path).map_err(|error| {
        let unread =
            matches!(&error, RecipeError::Read { source, .. } if source.kind() != ErrorKind::InvalidData);
        let mut failure = Failure::from(error);
        if unread {
            failure.next = Some("say where it is, e.g. `--mirrors mirrors.yaml`".to_owned());
        }
        failure
    })
}
