//! References of images as the distribution specification has them, with what they leave out filled in.
//!
//! The library for them (`oci-spec`) takes letters of any alphabet in tags, which no registry does; and to get ready for all
//! of these its regular expression takes longer than everything else that is read before the work begins (60 ms). The
//! grammar stands here again as the specification has it; the tests hold both against each other.

use std::sync::LazyLock;

use regex::Regex;

/// The registry that names without one mean, and its older name.
const DOCKER_HUB: [&str; 2] = ["docker.io", "index.docker.io"];
/// Bytes that a repository's name may have.
const LONGEST_REPOSITORY: usize = 255;

/// Repository and tag: OCI distribution specification 1.1, "Pulling manifests". Digest: OCI image specification 1.1,
/// "Digests", those algorithms that registries know. Host and port stand before the repository as in RFC 3986.
const GRAMMAR: &str = r"(?x-u) ^
    (?<name>
        (?: [a-zA-Z0-9] (?: [a-zA-Z0-9-]* [a-zA-Z0-9] )? (?: \. [a-zA-Z0-9] (?: [a-zA-Z0-9-]* [a-zA-Z0-9] )? )* (?: : [0-9]+ )? / )?
        [a-z0-9]+ (?: (?: \. | _ | __ | -+ ) [a-z0-9]+ )*
        (?: / [a-z0-9]+ (?: (?: \. | _ | __ | -+ ) [a-z0-9]+ )* )*
    )
    (?: : (?<tag> [a-zA-Z0-9_] [a-zA-Z0-9._-]{0,127} ) )?
    (?: @ (?<digest> sha256: [a-fA-F0-9]{64} | sha384: [a-fA-F0-9]{96} | sha512: [a-fA-F0-9]{128} ) )?
$";

/// None would be a mistake above, and no image had a name: every test would fail.
static REFERENCE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(GRAMMAR).ok());

/// The parts of a reference.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// Host, and port if it is not the usual one.
    pub(super) registry: &'a str,
    /// Path inside the registry.
    pub(super) repository: String,
    /// The tag; `latest` where there is neither tag nor digest.
    pub(super) tag: Option<&'a str>,
    /// The digest that pins it.
    pub(super) digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Takes `text` apart; nothing where it is no reference.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let parts = REFERENCE.as_ref()?.captures(text)?;
        let part = |name| parts.name(name).map(|part| part.as_str());
        let (tag, digest) = (part("tag"), part("digest"));
        let (registry, repository) = split(part("name")?);
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
        (repository.len() <= LONGEST_REPOSITORY).then_some(Self { registry, repository, tag, digest })
    }
}

/// Registry and repository of a name, as container runtimes have them: only what looks like a host is one, and images of
/// Docker Hub without a folder are in `library`.
fn split(name: &str) -> (&str, String) {
    let (registry, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => (DOCKER_HUB[0], name),
    };
    if !DOCKER_HUB.contains(&registry) {
        return (registry, path.to_owned());
    }
    let path = if path.contains('/') { path.to_owned() } else { format!("library/{path}") };
    (DOCKER_HUB[0], path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a reference is taken apart as by the library.
    fn agrees(text: &str) -> bool {
        let library = oci_spec::distribution::Reference::try_from(text).ok();
        let expected = library.as_ref().map(|library| Reference {
            registry: library.registry(),
            repository: library.repository().to_owned(),
            tag: library.tag(),
            digest: library.digest(),
        });
        Reference::parse(text) == expected
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
            "a\n",
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
            format!("@sha256:{}\n", hex(64)),
            format!("@sha384:{}", hex(96)),
            format!("@sha512:{}", hex(128)),
            format!("@sha512:{}", hex(64)),
            format!("@sha1:{}", hex(40)),
            format!("@sha256:{}g", hex(62)),
            format!("@sha256:{0}@sha256:{0}", hex(64)),
        ];
        let mut taken = 0;
        for (host, path) in hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path))) {
            for (tag, digest) in tags.iter().flat_map(|tag| digests.iter().map(move |digest| (tag, digest))) {
                let text = format!("{host}{path}{tag}{digest}");
                assert!(agrees(&text), "{text}");
                taken += u32::from(Reference::parse(&text).is_some());
            }
        }
        assert!(taken > 1000, "{taken}");
        for count in [247, 248, 254, 255, 256] {
            assert!(agrees(&"a".repeat(count)) && agrees(&format!("a.b/{}", "a".repeat(count))), "{count}");
        }
    }

    #[test]
    fn tags_have_no_letters_of_other_alphabets() {
        assert!(oci_spec::distribution::Reference::try_from("a:ä").is_ok());
        assert_eq!(Reference::parse("a:ä"), None);
    }
}
