//! The netrc file, in which curl, wget and git look for logins at web servers (format: curl's manual, "netrc").
//!
//! Its `default` entry is not used: that login would go to whichever host asks for one.

use secrecy::SecretString;

/// What a word after a keyword is.
enum Value {
    Machine,
    User,
    Password,
    Other,
}

/// Name and password for `host` (without port) in `text`, the content of a netrc file: of the first entry that has both.
pub(super) fn find(text: &str, host: &str) -> Option<(String, SecretString)> {
    let (mut here, mut in_macro) = (false, false);
    let (mut user, mut password) = (None, None);
    let mut awaited = None;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        for word in words(line) {
            match awaited.take() {
                Some(Value::Machine) => {
                    here = word.eq_ignore_ascii_case(host);
                    (user, password) = (None, None);
                }
                Some(Value::User) if here => user = Some(word),
                Some(Value::Password) if here => password = Some(SecretString::from(word)),
                Some(_) => {}
                None => match word.as_str() {
                    "machine" => awaited = Some(Value::Machine),
                    "login" => awaited = Some(Value::User),
                    "password" => awaited = Some(Value::Password),
                    "account" => awaited = Some(Value::Other),
                    "default" => here = false,
                    "macdef" => in_macro = true,
                    _ => {}
                },
            }
            if in_macro {
                break;
            }
            if user.is_some() && password.is_some() {
                return user.zip(password);
            }
        }
    }
    None
}

/// The words of a line up to a `#`; one in double quotes may hold spaces, and `\` takes the next character as it is.
fn words(line: &str) -> impl Iterator<Item = String> {
    let mut rest = line.chars().peekable();
    std::iter::from_fn(move || {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none_or(|first| *first == '#') {
            return None;
        }
        let quoted = rest.next_if_eq(&'"').is_some();
        let mut word = String::new();
        while let Some(c) = rest.next_if(|c| quoted || !c.is_whitespace()) {
            match c {
                '"' if quoted => break,
                '\\' if quoted => word.extend(rest.next()),
                c => word.push(c),
            }
        }
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn found(text: &str, host: &str) -> String {
        find(text, host).map_or_else(
            || "none".to_owned(),
            |(user, password)| format!("{user} {}", password.expose_secret()),
        )
    }

    #[test]
    fn entries_are_found_by_host_in_every_layout() {
        let text = "# ours\nmachine a.example login ops password open#sesame\n\
                    machine b.example\n\tlogin\n  ops2 account x\n\tpassword \"two \\\"words\"\n\
                    macdef init\nmachine c.example login no password no\n\n\
                    machine c.example password only\nmachine c.example login yes password yes\n\
                    default login anybody password everywhere\n";
        assert_eq!(found(text, "A.example"), "ops open#sesame");
        assert_eq!(found(text, "b.example"), "ops2 two \"words");
        assert_eq!(found(text, "c.example"), "yes yes");
        assert_eq!(found(text, "d.example"), "none");
    }

    #[test]
    fn what_is_no_netrc_holds_no_login() {
        for text in ["", "machine", "machine x login", "login a password b", "\"", "machine x login \"a"] {
            assert_eq!(found(text, "x"), "none", "{text}");
        }
    }
}
