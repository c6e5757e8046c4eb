//! Names of container images, in the one spelling that the bundle uses.

use std::fmt;
use std::str::FromStr;

mod reference;

use reference::Reference;

/// A full image name: registry, repository and tag, e.g. `docker.io/library/postgres:15`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    registry: String,
    repository: String,
    tag: String,
}

/// Why a text is no full image name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageNameError {
    /// Not a reference at all.
    #[error("`{0}` is no image reference")]
    Invalid(String),
    /// Right, but not in full.
    #[error("`{found}` must be written in full: `{full}`")]
    NotFull {
        /// What stood there.
        found: String,
        /// How it must be written.
        full: String,
    },
    /// Only a digest.
    #[error("`{0}` must carry a tag and no digest: the lock pins the digest")]
    NoTag(String),
}

impl ImageName {
    /// Host and port of the registry.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path inside the registry.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

impl FromStr for ImageName {
    type Err = ImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reference = Reference::parse(text).ok_or_else(|| ImageNameError::Invalid(text.to_owned()))?;
        let Reference { registry, repository, tag: Some(tag), digest: None } = reference else {
            return Err(ImageNameError::NoTag(text.to_owned()));
        };
        let name = Self { registry: registry.to_owned(), repository, tag: tag.to_owned() };
        let full = name.to_string();
        if full == text { Ok(name) } else { Err(ImageNameError::NotFull { found: text.to_owned(), full }) }
    }
}

/// How a pod spec names an image: in full, with whatever it left out filled in as the container runtime would.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodImage {
    /// Registry, repository and tag (`latest` where there is neither tag nor digest); without digest.
    pub name: String,
    /// A digest that pins it.
    pub digest: Option<String>,
}

impl PodImage {
    /// Reads an `image:` of a pod spec; nothing where it is no reference.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Reference { registry, repository, tag, digest } = Reference::parse(text)?;
        let name = match tag {
            Some(tag) => format!("{registry}/{repository}:{tag}"),
            None => format!("{registry}/{repository}"),
        };
        Some(Self { name, digest: digest.map(ToOwned::to_owned) })
    }

    /// Registry and repository.
    #[must_use]
    pub fn repository(&self) -> &str {
        self.split().0
    }

    /// The tag; none where only a digest stands.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.split().1
    }

    fn split(&self) -> (&str, Option<&str>) {
        // A colon before the last part is that of a port.
        match self.name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (&self.name, None),
        }
    }
}

impl fmt::Display for PodImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(formatter, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_taken_apart() {
        let name: ImageName = "registry.k8s.io/coredns/coredns:v1.14.2".parse().unwrap();
        assert_eq!(
            (name.registry(), name.repository(), name.tag()),
            ("registry.k8s.io", "coredns/coredns", "v1.14.2")
        );
        assert_eq!(name.to_string(), "registry.k8s.io/coredns/coredns:v1.14.2");
        let local: ImageName = "127.0.0.1:5000/a/b:1".parse().unwrap();
        assert_eq!(local.registry(), "127.0.0.1:5000");
    }

    #[test]
    fn short_names_are_refused_with_the_full_one() {
        let refused = |text: &str| text.parse::<ImageName>().unwrap_err().to_string();
        assert_eq!(
            refused("postgres:15"),
            "`postgres:15` must be written in full: `docker.io/library/postgres:15`"
        );
        assert!(refused("docker.io/library/postgres").contains("docker.io/library/postgres:latest"));
        assert!(
            refused("ghcr.io/a/b@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
                .contains("must carry a tag")
        );
        assert!(refused("Not An Image").contains("no image reference"));
    }

    #[test]
    fn pod_specs_may_be_short() {
        let parse = |text: &str| PodImage::parse(text).unwrap();
        assert_eq!(parse("postgres:15").name, "docker.io/library/postgres:15");
        assert_eq!(parse("haproxy").name, "docker.io/library/haproxy:latest");
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let pinned = parse(&format!("ghcr.io/a/b@{digest}"));
        assert_eq!((pinned.name.as_str(), pinned.digest.as_deref()), ("ghcr.io/a/b", Some(digest)));
        assert_eq!(pinned.to_string(), format!("ghcr.io/a/b@{digest}"));
        let port = parse(&format!("127.0.0.1:5000/a@{digest}"));
        assert_eq!((port.repository(), port.tag()), ("127.0.0.1:5000/a", None));
        assert_eq!(
            (parse("haproxy").repository(), parse("haproxy").tag()),
            ("docker.io/library/haproxy", Some("latest"))
        );
        assert_eq!(PodImage::parse("{{ x }}"), None);
    }
}
