//! Mirrors: other places that give the same content as a registry.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::image::ImageName;
use crate::recipe::{self, RecipeError};

/// Other places to pull from: registry name to base URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(BTreeMap<String, Base>);

/// Where a registry's repositories are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Base {
    plain: bool,
    host: String,
    prefix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MirrorsFile {
    mirrors: BTreeMap<String, String>,
}

impl Mirrors {
    /// Reads a mirrors file: `mirrors: {registry.k8s.io: "https://mirror.example/k8s"}`.
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
        if findings.is_empty() {
            Ok(Self(bases))
        } else {
            Err(RecipeError::Findings { path: path.to_owned(), findings })
        }
    }

    /// Hosts that are spoken to without TLS, because their URL says so.
    #[must_use]
    pub fn plain_hosts(&self) -> Vec<String> {
        self.0.values().filter(|base| base.plain).map(|base| base.host.clone()).collect()
    }

    /// The host to ask for `image`.
    #[must_use]
    pub fn host(&self, image: &ImageName) -> String {
        self.0.get(image.registry()).map_or_else(|| image.registry().to_owned(), |base| base.host.clone())
    }

    /// The repository of `image` on that host.
    #[must_use]
    pub fn repository(&self, image: &ImageName) -> String {
        match self.0.get(image.registry()) {
            Some(base) if !base.prefix.is_empty() => format!("{}/{}", base.prefix, image.repository()),
            _ => image.repository().to_owned(),
        }
    }

    /// The registry's name for messages, and which mirror stands in for it.
    #[must_use]
    pub fn name(&self, image: &ImageName) -> String {
        match self.0.get(image.registry()) {
            Some(base) => format!("{} (mirror {})", image.registry(), base.url()),
            None => image.registry().to_owned(),
        }
    }

    /// The URL that `image` comes from.
    #[must_use]
    pub fn origin(&self, image: &ImageName) -> String {
        let base =
            self.0.get(image.registry()).map_or_else(|| format!("https://{}", image.registry()), Base::url);
        format!("{base}/{}", self.repository(image))
    }
}

impl Base {
    fn url(&self) -> String {
        format!("{}://{}", if self.plain { "http" } else { "https" }, self.host)
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
    (!host.is_empty()).then(|| Base { plain, host: host.to_owned(), prefix: prefix.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_stand_in_for_registries() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mirrors.yaml");
        std::fs::write(
            &path,
            "mirrors: {registry.k8s.io: \"http://127.0.0.1:5000/k8s/\", ghcr.io: https://m}",
        )
        .unwrap();
        let mirrors = Mirrors::load(&path).unwrap();
        let base = |plain, host: &str, prefix: &str| Base { plain, host: host.into(), prefix: prefix.into() };
        assert_eq!(mirrors.0["registry.k8s.io"], base(true, "127.0.0.1:5000", "k8s"));
        assert_eq!(mirrors.0["ghcr.io"], base(false, "m", ""));
        assert_eq!(mirrors.plain_hosts(), ["127.0.0.1:5000"]);
        let origin = |text: &str| mirrors.origin(&text.parse().unwrap());
        assert_eq!(origin("registry.k8s.io/pause:3.10.2"), "http://127.0.0.1:5000/k8s/pause");
        assert_eq!(origin("quay.io/a/b:1"), "https://quay.io/a/b");

        std::fs::write(&path, "mirrors: {ghcr.io: \"127.0.0.1:5000\", quay.io: ftp://x}").unwrap();
        let error = Mirrors::load(&path).unwrap_err();
        assert!(matches!(error, RecipeError::Findings { findings, .. } if findings.len() == 2));
    }
}
