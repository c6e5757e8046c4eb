//! Mirrors: other places that give the same content as a registry, and how to speak to each host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::image::ImageName;
use crate::recipe::{self, RecipeError};

/// The host behind `docker.io`: the name in image references is not the one that serves them.
const DOCKER_HUB: &str = "registry-1.docker.io";

/// Other places to pull from, and how to speak to the hosts there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors {
    /// Registry name to base URL.
    bases: BTreeMap<String, Base>,
    /// Host, with its port where it has one, to how it is spoken to.
    hosts: BTreeMap<String, HostSettings>,
    /// CA files that count for every host.
    authorities: BTreeSet<PathBuf>,
}

/// How a host is spoken to; what is not said is left to the defaults: TLS with the system's roots, and plain HTTP on
/// this machine itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct HostSettings {
    ca: Option<PathBuf>,
    plain_http: Option<bool>,
    insecure: bool,
}

/// A host, and how to speak to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Host, with its port where it has one.
    pub host: String,
    /// Without TLS.
    pub plain: bool,
    /// With TLS, but without a look at the certificate.
    pub unchecked: bool,
    /// CA files (PEM) that count beside the system's roots.
    pub authorities: BTreeSet<PathBuf>,
}

impl Endpoint {
    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.plain { "http" } else { "https" }
    }
}

/// Where a registry's repositories are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Base {
    plain: bool,
    host: String,
    prefix: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct MirrorsFile {
    mirrors: BTreeMap<String, String>,
    registries: BTreeMap<String, HostSettings>,
}

impl Mirrors {
    /// Reads a mirrors file:
    ///
    /// ```yaml
    /// mirrors:
    ///   registry.k8s.io: https://mirror.example/k8s
    /// registries:
    ///   mirror.example: {ca: company-ca.pem}
    ///   10.0.0.5:5000: {plainHttp: true}
    ///   old.example: {insecure: true}
    /// ```
    ///
    /// `registries` names hosts as they are asked, mirrors included; `ca` starts from the file's own folder.
    pub fn load(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        let file: MirrorsFile = recipe::yaml(&text, path)?;
        let mut findings = Vec::new();
        let mut bases = BTreeMap::new();
        for (registry, url) in file.mirrors {
            match base(&url) {
                Some(base) => drop(bases.insert(registry, base)),
                None => {
                    findings.push(format!("mirrors.{registry}: `{url}` must look like https://host/path"));
                }
            }
        }
        let mut hosts = file.registries;
        for (host, settings) in &mut hosts {
            if let Some(ca) = &mut settings.ca {
                *ca = path.parent().unwrap_or(Path::new("")).join(&*ca);
            }
            findings.extend(contradiction(host, settings, &bases));
        }
        if findings.is_empty() {
            Ok(Self { bases, hosts, authorities: BTreeSet::new() })
        } else {
            Err(RecipeError::Findings { path: path.to_owned(), findings })
        }
    }

    /// Speaks plain HTTP to `host`, as with `plainHttp: true`.
    pub fn allow_plain_http(&mut self, host: &str) {
        self.hosts.entry(host.to_owned()).or_default().plain_http = Some(true);
    }

    /// Trusts the CA certificates (PEM) in `file`, at every host, beside the system's own.
    pub fn trust(&mut self, file: PathBuf) {
        self.authorities.insert(file);
    }

    /// The host to ask for `image`.
    #[must_use]
    pub fn host(&self, image: &ImageName) -> String {
        match self.bases.get(image.registry()) {
            Some(base) => base.host.clone(),
            None if image.registry() == "docker.io" => DOCKER_HUB.to_owned(),
            None => image.registry().to_owned(),
        }
    }

    /// The host to ask for `image`, and how.
    #[must_use]
    pub fn endpoint(&self, image: &ImageName) -> Endpoint {
        let host = self.host(image);
        let settings = self.hosts.get(&host).cloned().unwrap_or_default();
        let plain = match self.bases.get(image.registry()) {
            Some(base) => base.plain,
            None => settings
                .plain_http
                .unwrap_or_else(|| is_loopback(&host) && settings.ca.is_none() && !settings.insecure),
        };
        let authorities = settings.ca.into_iter().chain(self.authorities.iter().cloned()).collect();
        Endpoint { host, plain, unchecked: settings.insecure, authorities }
    }

    /// How the web server `host` (with its port where it has one) is spoken to; its URL says whether with TLS.
    #[must_use]
    pub fn web(&self, host: &str, plain: bool) -> Endpoint {
        let settings = self.hosts.get(host).cloned().unwrap_or_default();
        let authorities = settings.ca.into_iter().chain(self.authorities.iter().cloned()).collect();
        Endpoint { host: host.to_owned(), plain, unchecked: settings.insecure, authorities }
    }

    /// Whether somebody said that `host` may be spoken to without TLS, so that it may also be sent a login so; this machine
    /// itself always.
    #[must_use]
    pub fn is_plain_allowed(&self, host: &str) -> bool {
        let said = self.hosts.get(host).and_then(|settings| settings.plain_http);
        said.unwrap_or_else(|| is_loopback(host))
    }

    /// The repository of `image` on that host.
    #[must_use]
    pub fn repository(&self, image: &ImageName) -> String {
        match self.bases.get(image.registry()) {
            Some(base) if !base.prefix.is_empty() => format!("{}/{}", base.prefix, image.repository()),
            _ => image.repository().to_owned(),
        }
    }

    /// The registry's name for messages, and which mirror stands in for it.
    #[must_use]
    pub fn name(&self, image: &ImageName) -> String {
        match self.bases.get(image.registry()) {
            Some(base) => format!("{} (mirror {})", image.registry(), base.url()),
            None => image.registry().to_owned(),
        }
    }

    /// The URL that `image` comes from.
    #[must_use]
    pub fn origin(&self, image: &ImageName) -> String {
        let endpoint = self.endpoint(image);
        // What people know the hub by, not the host that serves it today.
        let host = if endpoint.host == DOCKER_HUB { "docker.io" } else { &endpoint.host };
        format!("{}://{host}/{}", endpoint.scheme(), self.repository(image))
    }
}

impl Base {
    fn url(&self) -> String {
        format!("{}://{}", if self.plain { "http" } else { "https" }, self.host)
    }
}

/// What cannot be meant together.
fn contradiction(host: &str, settings: &HostSettings, bases: &BTreeMap<String, Base>) -> Option<String> {
    let mirrored = |plain| bases.values().any(|base| base.host == host && base.plain == plain);
    let encrypted = settings.plain_http == Some(false) || settings.ca.is_some() || settings.insecure;
    let what = if host.contains('/') {
        "must be a host, with its port where it has one, as in `mirror.example:5000`"
    } else if settings.plain_http == Some(true) && (settings.ca.is_some() || settings.insecure) {
        "`plainHttp: true` leaves no certificate for `ca` or `insecure` to be about"
    } else if settings.ca.is_some() && settings.insecure {
        "`insecure` would make `ca` useless; keep one of them"
    } else if encrypted && mirrored(true) {
        "a mirror's URL says http:// for this host; say https:// there"
    } else if settings.plain_http == Some(true) && mirrored(false) {
        "a mirror's URL says https:// for this host; say http:// there"
    } else {
        return None;
    };
    Some(format!("registries.{host}: {what}"))
}

/// Whether `host` (with or without port) is this machine itself.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host).trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `host` without its port, where it has one.
pub(crate) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.ends_with(':') && port.bytes().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    }
}

fn base(url: &str) -> Option<Base> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, prefix) =
        rest.trim_end_matches('/').split_once('/').unwrap_or((rest.trim_end_matches('/'), ""));
    let plain = match scheme {
        "http" => true,
        "https" => false,
        _ => return None,
    };
    // A password in a URL would stand in locks and messages.
    let named = !host.is_empty() && !host.contains('@');
    named.then(|| Base { plain, host: host.to_owned(), prefix: prefix.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Mirrors, RecipeError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mirrors.yaml");
        std::fs::write(&path, text).unwrap();
        Mirrors::load(&path)
    }

    fn findings(text: &str) -> Vec<String> {
        match load(text) {
            Err(RecipeError::Findings { findings, .. }) => findings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn web_servers_are_trusted_as_registries_are() {
        let mut mirrors =
            load("registries: {'dl.example:8443': {ca: own.pem}, old.example: {insecure: true}}").unwrap();
        mirrors.trust("all.pem".into());
        let server = mirrors.web("dl.example:8443", false);
        let names: Vec<_> = server.authorities.iter().filter_map(|path| path.file_name()).collect();
        assert!(names.len() == 2 && !server.unchecked && !server.plain, "{server:?}");
        assert!(mirrors.web("old.example", false).unchecked);
        assert_eq!(mirrors.web("other.example", true).scheme(), "http");
    }

    #[test]
    fn mirrors_stand_in_for_registries() {
        let mirrors =
            load("mirrors: {registry.k8s.io: \"http://127.0.0.1:5000/k8s/\", ghcr.io: https://m}").unwrap();
        let base = |plain, host: &str, prefix: &str| Base { plain, host: host.into(), prefix: prefix.into() };
        assert_eq!(mirrors.bases["registry.k8s.io"], base(true, "127.0.0.1:5000", "k8s"));
        assert_eq!(mirrors.bases["ghcr.io"], base(false, "m", ""));
        let origin = |text: &str| mirrors.origin(&text.parse().unwrap());
        assert_eq!(origin("registry.k8s.io/pause:3.10.2"), "http://127.0.0.1:5000/k8s/pause");
        assert_eq!(origin("quay.io/a/b:1"), "https://quay.io/a/b");
        assert_eq!(origin("docker.io/library/haproxy:2.6"), "https://docker.io/library/haproxy");
        assert_eq!(findings("mirrors: {ghcr.io: \"127.0.0.1:5000\", quay.io: ftp://x}").len(), 2);
        assert_eq!(findings("mirrors: {ghcr.io: \"https://me:secret@m\"}").len(), 1);
    }

    #[test]
    fn hosts_are_spoken_to_as_they_ask_for() {
        let mut mirrors = load(
            "mirrors: {quay.io: \"https://127.0.0.1:5001\"}\n\
             registries: {m.example: {ca: ca.pem}, lab: {plainHttp: true}, old: {insecure: true}, \"127.0.0.1:5002\": {ca: /x}}",
        )
        .unwrap();
        mirrors.allow_plain_http("10.0.0.5:5000");
        mirrors.trust("/all.pem".into());
        let endpoint = |text: &str| mirrors.endpoint(&text.parse().unwrap());
        let plain = |text: &str| endpoint(text).plain;
        assert_eq!(
            ["lab.example/a:1", "10.0.0.5:5000/a:1", "localhost:5000/a:1", "127.0.0.1:5000/a:1"].map(plain),
            [false, true, true, true]
        );
        // Said otherwise, by URL or by naming a CA.
        assert!(!plain("quay.io/a:1") && !plain("127.0.0.1:5002/a:1"));
        let files = endpoint("m.example/a:1").authorities;
        assert!(files.len() == 2 && files.iter().any(|file| file.is_absolute() && file.ends_with("ca.pem")));
        assert!(!endpoint("m.example/a:1").unchecked && !endpoint("quay.io/a:1").unchecked);
        assert_eq!(endpoint("docker.io/library/haproxy:2.6").host, DOCKER_HUB);
    }

    #[test]
    fn a_registry_that_stands_twice_is_shown_with_its_place() {
        for text in [
            "mirrors:\n  docker.io: https://one\n  docker.io: https://two\n",
            "registries:\n  m.example: {insecure: true}\n  m.example: {plainHttp: true}\n",
        ] {
            let found = findings(text);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with("3:3: ") && found[0].contains("duplicate key"), "{found:?}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let one = |settings: &str| {
            findings(&format!("mirrors: {{q: \"http://h\", r: \"https://s\"}}\nregistries: {settings}")).len()
        };
        assert_eq!(one("{x: {plainHttp: true, ca: y}}"), 1);
        assert_eq!(one("{x: {plainHttp: true, insecure: true}, y: {ca: z, insecure: true}}"), 2);
        assert_eq!(one("{h: {ca: y}, s: {plainHttp: true}, x/y: {}}"), 3);
    }
}
