//! A public key's fingerprint: short enough to read aloud over the phone, long enough that nobody finds another key
//! with the same one.
//!
//! A minisign key's id is no such thing: whoever makes a key chooses its id.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::digest;

/// Groups of a fingerprint.
pub const GROUPS: usize = 8;
/// Hexadecimal digits of a group.
const GROUP_LENGTH: usize = 4;
/// Bytes of a decoded minisign public key: algorithm, id, key.
const KEY_LENGTH: usize = 42;
/// How digits are said: the words that radio operators use for letters, plain numbers for the others.
const WORDS: [&str; 16] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ALFA", "BRAVO",
    "CHARLIE", "DELTA", "ECHO", "FOXTROT",
];

/// The first 128 bits of the SHA-256 of a public key's bytes (algorithm, id, key), as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    digits: String,
}

impl Fingerprint {
    /// The fingerprint of a public key, given as the second line of its file; nothing where that is no key.
    #[must_use]
    pub fn of(public_key: &str) -> Option<Self> {
        let bytes = STANDARD.decode(public_key).ok().filter(|bytes| bytes.len() == KEY_LENGTH)?;
        let digest = digest::digest_of(&bytes);
        let digits = digest::hex(&digest).ok()?.get(..GROUPS * GROUP_LENGTH)?.to_ascii_uppercase();
        Some(Self { digits })
    }

    /// The groups, four digits each.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        (0..GROUPS).filter_map(|number| self.digits.get(number * GROUP_LENGTH..(number + 1) * GROUP_LENGTH))
    }
}

impl fmt::Display for Fingerprint {
    /// `9F3A 77C1 …`, 39 characters.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.groups().collect::<Vec<_>>().join(" "))
    }
}

/// How a group is said over the phone: `9F3A` is `nine FOXTROT three ALFA`.
#[must_use]
pub fn spoken(group: &str) -> String {
    let words = group.chars().filter_map(|digit| digit.to_digit(16)).map(|value| WORDS[value as usize]);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn it_follows_from_every_bit_of_the_key() {
        let fingerprint = Fingerprint::of(KEY).unwrap();
        assert_eq!(fingerprint.to_string().len(), 39);
        assert_eq!(fingerprint.groups().count(), GROUPS);
        assert_eq!(
            fingerprint.to_string().replace(' ', "").to_lowercase(),
            digest::hex(&digest::digest_of(&STANDARD.decode(KEY).unwrap())).unwrap()[..32]
        );
        let mut bytes = STANDARD.decode(KEY).unwrap();
        bytes[41] ^= 1;
        assert_ne!(Fingerprint::of(&STANDARD.encode(bytes)).unwrap(), fingerprint);
    }

    #[test]
    fn what_is_no_key_has_none() {
        for text in ["", "x", &KEY[4..], "untrusted comment: x"] {
            assert_eq!(Fingerprint::of(text), None, "{text}");
        }
    }

    #[test]
    fn groups_are_said_digit_by_digit() {
        assert_eq!(spoken("9F3A"), "nine FOXTROT three ALFA");
        assert_eq!(spoken("0BCD"), "zero BRAVO CHARLIE DELTA");
    }
}
