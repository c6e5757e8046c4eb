//! Names of container images, in the one spelling that the bundle uses.

use std::fmt;
use std::str::FromStr;

/// The registry that names without one mean, and its older name.
const DOCKER_HUB: [&str; 2] = ["docker.io", "index.docker.io"];
/// Letters that a repository's name may have.
const LONGEST_REPOSITORY: usize = 255;
/// Letters that a tag may have.
const LONGEST_TAG: usize = 128;

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
        let (None, Some(tag)) = (reference.digest, reference.tag) else {
            return Err(ImageNameError::NoTag(text.to_owned()));
        };
        let name = Self {
            registry: reference.registry.to_owned(),
            repository: reference.repository,
            tag: tag.to_owned(),
        };
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
        let reference = Reference::parse(text)?;
        let repository = format!("{}/{}", reference.registry, reference.repository);
        let name = match reference.tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => repository,
        };
        Some(Self { name, digest: reference.digest.map(ToOwned::to_owned) })
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
        split_tag(&self.name)
    }
}

impl fmt::Display for PodImage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(formatter, "@{digest}"))
    }
}

/// A reference as the distribution specification has it, with what it leaves out filled in.
///
/// Read by hand: the regular expression of the library for this takes 80 ms to get ready, longer than everything else that
/// is read before the work begins. The tests hold both against each other.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    registry: &'a str,
    repository: String,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (named, digest) =
            text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
        let (name, tag) = split_tag(named);
        let (first, rest) = name.split_once('/').map_or((name, None), |(first, rest)| (first, Some(rest)));
        let begins = is_component(first) || (rest.is_some() && is_host(first));
        let goes_on = rest.is_none_or(|rest| rest.split('/').all(is_component));
        if !(begins && goes_on && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)) {
            return None;
        }
        let (registry, path) = match rest {
            Some(rest) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DOCKER_HUB[0], name),
        };
        let of_hub = DOCKER_HUB.contains(&registry);
        let registry = if of_hub { DOCKER_HUB[0] } else { registry };
        let repository =
            if of_hub && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
        (repository.len() <= LONGEST_REPOSITORY).then_some(Self { registry, repository, tag, digest })
    }
}

/// A name and the tag behind it; a colon before the last part is that of a port.
fn split_tag(named: &str) -> (&str, Option<&str>) {
    match named.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (named, None),
    }
}

/// Whether `text` can stand between slashes: small letters and digits, with separators between them.
fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separates = |between: &str| matches!(between, "." | "_" | "__") || between.bytes().all(|c| c == b'-');
    text.starts_with(plain) && text.ends_with(plain) && text.split(plain).all(separates)
}

/// Whether `text` is a host, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let plain = |c: char| c.is_ascii_alphanumeric();
    let is_label = |label: &str| {
        label.starts_with(plain) && label.ends_with(plain) && label.chars().all(|c| plain(c) || c == '-')
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|c| c.is_ascii_digit());
    port.is_none_or(is_port) && host.split('.').all(is_label)
}

fn is_tag(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= LONGEST_TAG
        && text.starts_with(plain)
        && text.chars().all(|c| plain(c) || matches!(c, '.' | '-'))
}

fn is_digest(text: &str) -> bool {
    let lengths = [("sha256:", 64), ("sha384:", 96), ("sha512:", 128)];
    lengths.iter().any(|(algorithm, length)| {
        text.strip_prefix(algorithm)
            .is_some_and(|hex| hex.len() == *length && hex.bytes().all(|c| c.is_ascii_hexdigit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a reference is taken apart as by the library.
    fn agrees(text: &str) -> bool {
        let library = oci_spec::distribution::Reference::try_from(text).ok();
        let ours = Reference::parse(text);
        let expected = library.as_ref().map(|library| Reference {
            registry: library.registry(),
            repository: library.repository().to_owned(),
            tag: library.tag(),
            digest: library.digest(),
        });
        ours == expected
    }

    #[test]
    fn references_are_taken_apart_as_by_the_library() {
        let hosts = [
            "",
            "docker.io/",
            "index.docker.io/",
            "localhost/",
            "localhost:5000/",
            "127.0.0.1:80/",
            "a.b-c.io/",
            "Host/",
            "A.b:1/",
            "foo_bar.com/",
            "-a.io/",
            "a-.io/",
            "a..b/",
            "a.b:/",
            "a.b:x/",
            "a:1:2/",
            "/",
            ".a/",
        ];
        let paths = [
            "",
            "a",
            "a/b",
            "a/b/c",
            "a//b",
            "a/",
            "A",
            "a/B",
            "a-b",
            "a--b",
            "a_b",
            "a__b",
            "a___b",
            "a.b",
            "a..b",
            "a._b",
            "a-_b",
            "-a",
            "a-",
            "a b",
            "ä",
            "0",
            "library/a",
            "a.b/c",
        ];
        let (longest, longer) = (format!(":{}", "t".repeat(128)), format!(":{}", "t".repeat(129)));
        let tags = [
            "",
            ":",
            ":1",
            ":v1.2-x_Y",
            ":_",
            ":.a",
            ":-a",
            ":a:b",
            ":a b",
            ":a+b",
            ":5000/a",
            &longest,
            &longer,
        ];
        let hex = |count: usize| "aF".repeat(count / 2);
        let digests = [
            String::new(),
            "@".to_owned(),
            "@sha256:ab".to_owned(),
            format!("@sha256:{}", hex(64)),
            format!("@sha384:{}", hex(96)),
            format!("@sha512:{}", hex(128)),
            format!("@sha512:{}", hex(64)),
            format!("@sha1:{}", hex(40)),
            format!("@sha256:{}g", hex(62)),
            format!("@sha256:{0}@sha256:{0}", hex(64)),
        ];
        for host in hosts {
            for path in paths {
                for tag in tags {
                    for digest in &digests {
                        let text = format!("{host}{path}{tag}{digest}");
                        assert!(agrees(&text), "{text}");
                    }
                }
            }
        }
        for count in [247, 248, 254, 255, 256] {
            assert!(agrees(&"a".repeat(count)) && agrees(&format!("a.b/{}", "a".repeat(count))), "{count}");
        }
    }

    #[test]
    fn tags_are_plain_letters() {
        // The library takes what is a letter in any language; no registry does.
        assert_eq!(Reference::parse("a:ä"), None);
    }

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
