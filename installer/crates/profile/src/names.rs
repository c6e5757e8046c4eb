//! Names: what is allowed, and which known one somebody may have meant.

/// Whether a name is a DNS label (RFC 1123): lowercase letters, digits and inner hyphens, at most 63 characters.
#[must_use]
pub fn is_dns_label(name: &str) -> bool {
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.iter().all(|&b| letters(b) || b == b'-')
        && letters(bytes[0])
        && letters(bytes[bytes.len() - 1])
}

/// Whether some reader of YAML (1.1 above all, which tools of Kubernetes still use) takes an unquoted text for a truth
/// value, a number or nothing: `no`, `on`, `y`, `null`, `12`, `1e3`, `0x1f`.
///
/// Source: the YAML 1.1 type repository (bool, int, float, null), in lower case, which is all that names have.
pub(crate) fn is_yaml_word(name: &str) -> bool {
    let number =
        |digits: &str| digits.parse::<f64>().is_ok() || digits.replace('_', "").parse::<f64>().is_ok();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)];
    matches!(name, "y" | "yes" | "n" | "no" | "on" | "off" | "true" | "false" | "null")
        || number(name)
        || based.iter().any(|(prefix, radix)| {
            name.strip_prefix(prefix).is_some_and(|digits| u128::from_str_radix(digits, *radix).is_ok())
        })
}

/// Whether a name is a DNS name: labels with dots between them, at most 253 characters.
pub(crate) fn is_dns_name(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

/// Whether a text can be a Kubernetes label value (also the name part of a key, unless empty).
pub(crate) fn is_label_value(text: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    bytes.is_empty()
        || (bytes.len() <= 63
            && bytes.iter().all(|&b| letters(b) || matches!(b, b'-' | b'_' | b'.'))
            && letters(bytes[0])
            && letters(bytes[bytes.len() - 1]))
}

/// Whether a text can be a Kubernetes label key: a name, or a DNS name, a slash and a name.
pub(crate) fn is_label_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    !name.is_empty() && is_label_value(name) && prefix.is_none_or(is_dns_name)
}

/// Whether a text is an OpenSSH fingerprint: `SHA256:` and 43 characters of base64.
pub(crate) fn is_fingerprint(text: &str) -> bool {
    text.strip_prefix("SHA256:").is_some_and(|code| {
        code.len() == 43 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
    })
}

/// The known name that is most like the given one, if any is like it at all.
///
/// Case, hyphens and underscores do not count: `host_key` is `hostKey`.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.replace(['-', '_', ' '], "").to_lowercase();
    let wanted = plain(name);
    known
        .into_iter()
        .map(|candidate| (strsim::normalized_damerau_levenshtein(&wanted, &plain(candidate)), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["m1", "a", "site-2", "9lives", &"a".repeat(63)] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "M1", "-a", "a-", "a_b", "a.b", &"a".repeat(64)] {
            assert!(!is_dns_label(bad), "{bad}");
        }
    }

    #[test]
    fn words_of_yaml() {
        for word in ["no", "on", "y", "n", "off", "yes", "true", "false", "null", "7", "1e3", "0x1f", "0b1"] {
            assert!(is_yaml_word(word), "{word}");
        }
        for name in ["m1", "norway", "no-1", "one", "0xg", "e3", "1-2"] {
            assert!(!is_yaml_word(name), "{name}");
        }
    }

    #[test]
    fn label_keys_and_values() {
        assert!(is_label_key("topology.kubernetes.io/zone") && is_label_key("rack"));
        assert!(!is_label_key("") && !is_label_key("a/b/c") && !is_label_key("/x") && !is_label_key("x/"));
        assert!(is_label_value("") && is_label_value("Row_3.a") && !is_label_value("row 3"));
    }

    #[test]
    fn the_nearest_name() {
        let known = ["address", "hostKey", "role"];
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("host_key", known), Some("hostKey"));
        assert_eq!(nearest("zone", known), None);
    }
}
