//! Which host keys are trusted, and the comparison. There is no way to switch it off.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};
use ssh2::{CheckResult, KnownHostFileKind, Session};

/// Trusted host keys: pinned fingerprints, and `known_hosts` text as OpenSSH writes it (hashed names, `[host]:port`,
/// wildcards and `@revoked` lines included; certificate authorities are not).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostKeys {
    fingerprints: Vec<String>,
    known_hosts: String,
}

/// A host key as shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Key type, e.g. `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, self.fingerprint)
    }
}

impl HostKey {
    /// The key of an SSH key blob.
    pub(crate) fn from_blob(blob: &[u8]) -> Self {
        Self { algorithm: algorithm(blob).to_owned(), fingerprint: fingerprint(blob) }
    }
}

impl HostKeys {
    /// Trusts one more key by its `SHA256:…` fingerprint; the prefix and the padding may be left out.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: &str) -> Self {
        let bare = fingerprint.trim();
        let bare = bare.strip_prefix("SHA256:").unwrap_or(bare).trim_end_matches('=');
        self.fingerprints.push(format!("SHA256:{bare}"));
        self
    }

    /// Trusts the keys of a `known_hosts` file, beside what is trusted already.
    #[must_use]
    pub fn with_known_hosts(mut self, text: &str) -> Self {
        self.known_hosts.push_str(text);
        self.known_hosts.push('\n');
        self
    }

    /// What this host may show, looked up by address and by name.
    pub(crate) fn expected(&self, name: &str, address: &str, port: u16) -> Expected {
        let mut expected = Expected { fingerprints: self.fingerprints.clone(), ..Expected::default() };
        let mut wanted = Vec::new();
        for host in [address, name] {
            wanted.push(format!("[{host}]:{port}"));
            wanted.push(host.to_owned());
        }
        for line in self.known_hosts.lines() {
            let Some(entry) = Entry::parse(line) else { continue };
            if !wanted.iter().any(|host| entry.names(host)) {
                continue;
            }
            if entry.revoked { expected.revoked.push(entry.blob) } else { expected.known.push(entry.blob) }
        }
        expected
    }
}

/// What one host may show.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    fingerprints: Vec<String>,
    known: Vec<Vec<u8>>,
    revoked: Vec<Vec<u8>>,
}

/// Result of the comparison.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Trusted,
    Unknown,
    Changed(Vec<String>),
    Revoked,
}

impl Expected {
    pub(crate) fn judge(&self, blob: &[u8]) -> Verdict {
        let got = fingerprint(blob);
        if self.revoked.iter().any(|key| key == blob) {
            Verdict::Revoked
        } else if self.fingerprints.contains(&got) || self.known.iter().any(|key| key == blob) {
            Verdict::Trusted
        } else if self.fingerprints.is_empty() && self.known.is_empty() {
            Verdict::Unknown
        } else {
            let known = self.known.iter().map(|key| fingerprint(key));
            let mut expected: Vec<String> = self.fingerprints.iter().cloned().chain(known).collect();
            expected.sort();
            expected.dedup();
            Verdict::Changed(expected)
        }
    }

    /// Method preferences to try in turn. A host has several keys and shows the one of the negotiated algorithm: known
    /// types go first; a bare fingerprint does not tell its type, so each family gets its turn before the key counts as
    /// changed. Certificate algorithms are left out: what they show is not the plain key.
    pub(crate) fn preferences(&self) -> Vec<String> {
        let known: Vec<&str> = self.known.iter().flat_map(|key| methods(algorithm(key))).copied().collect();
        let rest = FAMILIES.iter().flat_map(|family| family.iter()).filter(|method| !known.contains(method));
        let first = known.iter().chain(rest).copied().collect::<Vec<_>>().join(",");
        let mut all = vec![first];
        if !self.fingerprints.is_empty() {
            all.extend(FAMILIES.iter().map(|family| family.join(",")));
        }
        all
    }
}

const ED25519: &[&str] = &["ssh-ed25519"];
const ECDSA: &[&str] = &["ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
const RSA: &[&str] = &["rsa-sha2-512", "rsa-sha2-256"];
const FAMILIES: [&[&str]; 3] = [ED25519, ECDSA, RSA];

fn methods(algorithm: &str) -> &'static [&'static str] {
    match algorithm {
        "ssh-ed25519" => ED25519,
        "ssh-rsa" => RSA,
        other => ECDSA.iter().position(|method| *method == other).map_or(&[], |at| &ECDSA[at..=at]),
    }
}

fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// The first field of a key blob: a length and the type's name.
fn algorithm(blob: &[u8]) -> &str {
    let name = blob.split_first_chunk::<4>().and_then(|(length, rest)| {
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        std::str::from_utf8(rest.get(..length)?).ok()
    });
    name.unwrap_or("unknown")
}

struct Entry<'a> {
    patterns: &'a str,
    revoked: bool,
    key: &'a str,
    blob: Vec<u8>,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let mut patterns = fields.next().filter(|field| !field.starts_with('#'))?;
        let marker = patterns.starts_with('@').then_some(patterns);
        if marker.is_some() {
            patterns = fields.next()?;
        }
        if marker.is_some_and(|marker| marker != "@revoked") {
            return None;
        }
        let kind = fields.next()?;
        let key = fields.next()?;
        let blob = STANDARD.decode(key).ok().filter(|blob| algorithm(blob) == kind)?;
        Some(Self { patterns, revoked: marker.is_some(), key, blob })
    }

    /// Whether the line speaks of this host (`name` or `[name]:port`).
    fn names(&self, host: &str) -> bool {
        if self.patterns.starts_with('|') {
            return self.hash_names(host).unwrap_or(false);
        }
        let host = host.to_ascii_lowercase();
        let mut named = false;
        for pattern in self.patterns.to_ascii_lowercase().split(',') {
            if let Some(negated) = pattern.strip_prefix('!') {
                if wildcard(negated.as_bytes(), host.as_bytes()) {
                    return false;
                }
            } else if wildcard(pattern.as_bytes(), host.as_bytes()) {
                named = true;
            }
        }
        named
    }

    /// Hashed names: the library knows the hash. A list of this line alone matches its own key exactly where the name fits.
    fn hash_names(&self, host: &str) -> Result<bool, ssh2::Error> {
        let mut list = Session::new()?.known_hosts()?;
        let line = format!("{} {} {}\n", self.patterns, algorithm(&self.blob), self.key);
        list.read_str(&line, KnownHostFileKind::OpenSSH)?;
        Ok(!host.contains('\0') && matches!(list.check(host, &self.blob), CheckResult::Match))
    }
}

/// `*` is any run of characters, `?` any one.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skip| wildcard(rest, &text[skip..])),
        (Some((b'?', pattern)), Some((_, text))) => wildcard(pattern, text),
        (Some((wanted, pattern)), Some((got, text))) if wanted == got => wildcard(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(algorithm: &str, body: u8) -> Vec<u8> {
        let mut blob = u32::try_from(algorithm.len()).expect("short").to_be_bytes().to_vec();
        blob.extend_from_slice(algorithm.as_bytes());
        blob.extend_from_slice(&[0, 0, 0, 1, body]);
        blob
    }

    fn line(patterns: &str, blob: &[u8]) -> String {
        format!("{patterns} {} {} a comment\n", algorithm(blob), STANDARD.encode(blob))
    }

    #[test]
    fn plain_port_and_wildcard_entries_match_by_address_and_by_name() {
        let key = blob("ssh-ed25519", 1);
        for patterns in ["10.0.0.7", "m1", "x,M1,y", "[m1]:2222", "[10.0.0.7]:2222", "10.0.0.*", "m?,!m2"] {
            let keys = HostKeys::default().with_known_hosts(&line(patterns, &key));
            assert_eq!(keys.expected("m1", "10.0.0.7", 2222).judge(&key), Verdict::Trusted, "{patterns}");
        }
        for patterns in ["10.0.0.70", "[m1]:22", "m*,!m1", "@cert-authority m1", "#m1"] {
            let keys = HostKeys::default().with_known_hosts(&line(patterns, &key));
            assert_eq!(keys.expected("m1", "10.0.0.7", 2222).judge(&key), Verdict::Unknown, "{patterns}");
        }
    }

    #[test]
    fn another_key_is_changed_and_names_what_was_expected() {
        let (key, other) = (blob("ssh-ed25519", 1), blob("ssh-ed25519", 2));
        let keys = HostKeys::default().with_known_hosts(&line("m1", &key));
        assert_eq!(keys.expected("m1", "::1", 22).judge(&other), Verdict::Changed(vec![fingerprint(&key)]));
        let pinned = HostKeys::default().with_fingerprint(&format!("{}=", fingerprint(&key)));
        assert_eq!(pinned.expected("m1", "::1", 22).judge(&other), Verdict::Changed(vec![fingerprint(&key)]));
        assert_eq!(pinned.expected("m1", "::1", 22).judge(&key), Verdict::Trusted);
        assert_eq!(HostKeys::default().expected("m1", "::1", 22).judge(&key), Verdict::Unknown);
    }

    #[test]
    fn a_revoked_key_is_refused_even_where_it_is_pinned() {
        let key = blob("ssh-ed25519", 1);
        let keys = HostKeys::default()
            .with_fingerprint(&fingerprint(&key))
            .with_known_hosts(&format!("@revoked {}", line("*", &key)));
        assert_eq!(keys.expected("m1", "10.0.0.7", 22).judge(&key), Verdict::Revoked);
    }

    #[test]
    fn the_known_type_is_asked_for_first() {
        let keys = HostKeys::default().with_known_hosts(&line("m1", &blob("ssh-rsa", 1)));
        let preferences = keys.expected("m1", "10.0.0.7", 22).preferences();
        assert_eq!(preferences.len(), 1);
        assert!(preferences[0].starts_with("rsa-sha2-512,rsa-sha2-256,ssh-ed25519,"), "{preferences:?}");
        let pinned =
            HostKeys::default().with_fingerprint("SHA256:x").expected("m1", "10.0.0.7", 22).preferences();
        assert_eq!(pinned.len(), 4);
    }

    #[test]
    fn broken_lines_are_passed_over() {
        let keys = HostKeys::default()
            .with_known_hosts("m1\nm1 ssh-rsa\nm1 ssh-rsa !!!\nm1 ssh-rsa AAAA\n|1|x ssh-rsa AAAA\n\n");
        assert_eq!(keys.expected("m1", "10.0.0.7", 22).judge(&blob("ssh-rsa", 1)), Verdict::Unknown);
    }
}
