//! A beginning for tests, and hosts that answer.

use std::path::PathBuf;

use jiff::civil::date;
use sealift_profile::Site;

use crate::{KnownBy, Language, NewKey, Reached, ShownKey, Start, Trouble, Whose};

/// In English, with one check that can be accepted, a bundle, and files that need not be there.
#[must_use]
pub fn start() -> Start {
    Start {
        language: Language::English,
        today: date(2026, 11, 22),
        checks: vec!["disk.space"],
        file: PathBuf::from("site.yaml"),
        bundle: Some(PathBuf::from("orders.bundle")),
        trust: Vec::new(),
    }
}

/// The key that a host of this name shows.
#[must_use]
pub fn key_of(host: &str) -> ShownKey {
    let letters = host.chars().filter(char::is_ascii_alphanumeric).chain(['x']);
    let code: String = letters.collect::<Vec<_>>().into_iter().cycle().take(43).collect();
    ShownKey { algorithm: "ssh-ed25519".to_owned(), fingerprint: format!("SHA256:{code}") }
}

/// What trying a host of a site comes to: `w1` refuses the password, the others let in whoever knows their key.
#[must_use]
pub fn reached(host: &str, site: &Site) -> Reached {
    let key = key_of(host);
    let pinned = site.host(host).and_then(|host| host.host_key.clone());
    let known_by = match pinned {
        Some(pinned) if pinned != key.fingerprint => {
            let message = format!(
                "{host} shows another host key than the trusted one: expected {pinned}, got ssh-ed25519 {}",
                key.fingerprint
            );
            let remedies = vec![format!("someone may be between you and {host}, or it was installed anew")];
            let trouble = Trouble { message, causes: Vec::new(), remedies };
            return Reached::Failed { key: Some(key), trouble };
        }
        Some(_) => KnownBy::Profile,
        None if site.access.known_hosts.is_some() => KnownBy::KnownHosts,
        None => return Reached::NewKey(NewKey { whose: Whose::Host(host.to_owned()), key }),
    };
    if host == "w1" {
        return Reached::Failed { key: Some(key), trouble: refused(host) };
    }
    Reached::In { key, known_by, root: false, cpus: Some(8), memory_bytes: Some(33_000_000_000) }
}

fn refused(host: &str) -> Trouble {
    Trouble {
        message: format!("{host} (10.20.0.21) refused the password of user ops"),
        causes: Vec::new(),
        remedies: vec![format!(
            "check the password of ops, and ask the owner of {host} whether password login is allowed"
        )],
    }
}
