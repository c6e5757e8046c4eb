//! One answer, as people write it, to a value of the profile.

use serde_json::{Number, Value, json};

use super::Kind;
use crate::message::Message;

/// What is wrong with an answer, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What is wrong. Never has the answer in it where that may be a secret.
    pub message: Message,
    /// What to write instead.
    pub remedy: Message,
}

/// `kind` is the last part of the sentences' keys in the catalogue.
fn refused<T>(kind: &str, written: Option<&str>) -> Result<T, Refused> {
    let message = Message::new(format!("form.wrong.{kind}"));
    let message = match written {
        Some(written) => message.word("answer", shown(written)),
        None => message,
    };
    Err(Refused { message, remedy: Message::new(format!("form.wrong.{kind}.next")) })
}

/// The value of a one-line answer to the question with this key.
pub fn value(key: &str, kind: Kind, text: &str) -> Result<Value, Refused> {
    match kind {
        Kind::Text | Kind::Hosts => Ok(json!(text)),
        Kind::Number => number(text),
        Kind::YesNo if key == "needs.availability" => {
            let spare = yes_no(text)?;
            Ok(json!(if spare { "one-machine-may-fail" } else { "no-spare" }))
        }
        Kind::YesNo => Ok(json!(yes_no(text)?)),
        Kind::List => Ok(json!(words(text))),
        Kind::Secret => secret(key, text),
    }
}

/// Words parted by commas, semicolons or tabs, also those of Chinese keyboards.
pub(super) fn words(text: &str) -> Vec<&str> {
    text.split([',', ';', '\t', '，', '；', '、']).map(str::trim).filter(|word| !word.is_empty()).collect()
}

/// `2000`, `2,000`, `0.5`, `20 %`; digits of Chinese keyboards, too.
fn number(text: &str) -> Result<Value, Refused> {
    let plain: String = text
        .chars()
        .map(|c| match c {
            '０'..='９' => char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')).unwrap_or(c),
            '．' => '.',
            '，' => ',',
            '％' => '%',
            other => other,
        })
        .filter(|c| !c.is_whitespace())
        .collect();
    let plain = plain.strip_suffix('%').unwrap_or(&plain);
    let whole = ungrouped(plain).and_then(|digits| digits.parse::<u64>().ok()).map(Number::from);
    let broken = || plain.parse::<f64>().ok().filter(|number| number.is_finite()).and_then(Number::from_f64);
    match whole.or_else(broken) {
        Some(number) => Ok(Value::Number(number)),
        None => refused("number", Some(text)),
    }
}

/// Digits, with commas only where they part thousands.
fn ungrouped(text: &str) -> Option<String> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    let rest: Vec<&str> = groups.collect();
    let parted = rest.is_empty() || first.len() <= 3;
    let right = digits(first) && rest.iter().all(|group| group.len() == 3 && digits(group)) && parted;
    right.then(|| text.replace(',', ""))
}

fn yes_no(text: &str) -> Result<bool, Refused> {
    match text.to_lowercase().as_str() {
        "yes" | "y" | "true" | "on" | "是" => Ok(true),
        "no" | "n" | "false" | "off" | "否" => Ok(false),
        _ => refused("yesNo", Some(text)),
    }
}

/// `file PATH`, `env NAME`, `sealed FILE` or `ask`. What was written in their place is never shown: it may be the secret.
fn secret(key: &str, text: &str) -> Result<Value, Refused> {
    let (way, place) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let place = place.trim();
    match (way.to_lowercase().as_str(), place) {
        ("ask" | "询问", "") => Ok(json!({"prompt": key})),
        ("file" | "文件", place) if !place.is_empty() => Ok(json!({"file": place})),
        ("env" | "变量", place) if !place.is_empty() && !place.contains(char::is_whitespace) => {
            Ok(json!({"env": place}))
        }
        ("sealed" | "密封", place) if !place.is_empty() => Ok(json!({"sealed": place})),
        _ => refused("secret", None),
    }
}

/// A machine: `name, address, steer|work` and, where it is known, its `SHA256:…`.
pub fn host(text: &str) -> Result<Value, Refused> {
    let parts = words(text);
    let (name, address, role, key) = match parts.as_slice() {
        [name, address, role] => (name, address, role, None),
        [name, address, role, key] => (name, address, role, Some(key)),
        _ => return refused("machine", Some(text)),
    };
    let role = match role.to_lowercase().as_str() {
        "steer" | "steers" | "control-plane" | "control plane" | "master" | "管理" => "control-plane",
        "work" | "works" | "worker" | "工作" => "worker",
        _ => return refused("role", Some(role)),
    };
    let mut host = json!({"name": name, "address": address, "role": role});
    if let Some(key) = key {
        host["hostKey"] = json!(key);
    }
    Ok(host)
}

/// Not more than a line of what somebody wrote.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let tame = crate::document::tame(text);
    if tame.chars().nth(MOST).is_none() { tame } else { tame.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2000", json!(2000)),
            ("2,000", json!(2000)),
            ("1,234,567", json!(1_234_567)),
            ("20 %", json!(20)),
            ("0.5", json!(0.5)),
            ("２００", json!(200)),
        ] {
            assert_eq!(number(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "two", "2,00", "12,34,567", "10 GB", "NaN", "inf", "2000 people", "1e999"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_is_never_taken_nor_shown() {
        assert_eq!(secret("k", "file ~/.ssh/id").unwrap(), json!({"file": "~/.ssh/id"}));
        assert_eq!(secret("access.password", "ask").unwrap(), json!({"prompt": "access.password"}));
        assert_eq!(secret("k", "变量 PASS").unwrap(), json!({"env": "PASS"}));
        for wrong in ["hunter2", "hunter2 hunter2", "file", "env A B", "ask hunter2"] {
            let said = format!("{:?}", secret("k", wrong).unwrap_err());
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn machines_are_read_in_both_languages() {
        let expected = json!({"name": "m1", "address": "10.20.0.11", "role": "control-plane"});
        assert_eq!(host("m1, 10.20.0.11, steer").unwrap(), expected);
        assert_eq!(host("m1，10.20.0.11，管理").unwrap(), expected);
        assert_eq!(host("w1;10.20.0.21;work;SHA256:abc").unwrap()["hostKey"], "SHA256:abc");
        for wrong in ["m1", "m1, 10.20.0.11", "m1, 10.20.0.11, boss", "a, b, work, c, d"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }
}
