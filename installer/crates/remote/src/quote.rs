//! The one quoting function for shell commands.

/// `text` as one word of a POSIX shell, whatever it holds but NUL bytes.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\'' => quoted.push_str("'\\''"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::quote;

    fn through_shell(word: &str) -> String {
        let script = format!("printf %s {word}");
        let output = Command::new("sh").arg("-c").arg(script).output().expect("sh runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("same bytes")
    }

    #[test]
    fn quotes_and_expansions_stay_text() {
        for text in ["", "it's", "'", "$(id) `id` $HOME", "a\nb", "\\", "* ? ~", "-n", "!x"] {
            assert_eq!(through_shell(&quote(text)), text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_comes_back(text in "[^\0]{0,40}") {
            prop_assert_eq!(through_shell(&quote(&text)), text.clone());
            // Twice, as a script inside a script.
            let inner = format!("printf %s {}", quote(&text));
            prop_assert_eq!(through_shell(&format!("\"$(sh -c {}; printf x)\"", quote(&inner))), format!("{text}x"));
        }
    }
}
