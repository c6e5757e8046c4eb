//! Short shell scripts on the host, told apart from whatever the login shell prints around them.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::quote::quote;

/// A script wrapped so that its output and status can be found between banners.
///
/// Scripts are one line, without `!` and without backslashes before quotes, so that any login shell hands them to `sh` as
/// they are.
pub(crate) struct Script {
    begin: String,
    end: String,
    command: String,
}

/// What a script left between its marks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// It ran: status and output.
    Ran(i32, String),
    /// It began and was cut off.
    CutOff,
    /// Nothing of it was seen.
    NeverRan,
}

impl Script {
    pub(crate) fn new(script: &str) -> Self {
        let mark = nonce();
        let (begin, end) = (format!("sealift-begin-{mark}"), format!("sealift-end-{mark}"));
        // The account's own search path comes first; sudo and find may be elsewhere.
        let path = "PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
        let body = format!("{path}; export PATH; echo {begin}; ( {script} ); echo {end} $? .");
        Self { begin, end, command: format!("sh -c {}", quote(&body)) }
    }

    /// The command line for the login shell.
    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    pub(crate) fn read(&self, stdout: &[u8]) -> Output {
        let text = String::from_utf8_lossy(stdout);
        let Some((_, rest)) = text.split_once(&format!("{}\n", self.begin)) else { return Output::NeverRan };
        let Some((output, tail)) = rest.split_once(&self.end) else { return Output::CutOff };
        match tail.split_once('.').and_then(|(status, _)| status.trim().parse().ok()) {
            Some(status) => Output::Ran(status, output.to_owned()),
            None => Output::CutOff,
        }
    }
}

/// 16 hex digits that nobody else has.
pub(crate) fn nonce() -> String {
    let mut bytes = [0u8; 8];
    if getrandom(&mut bytes, GetRandomFlags::empty()).is_err() {
        // A kernel without the call: time and process tell sessions apart well enough for names.
        let time = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_nanos());
        bytes.copy_from_slice(&time.to_be_bytes()[8..]);
        bytes[..4].copy_from_slice(&std::process::id().to_be_bytes());
    }
    format!("{:016x}", u64::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn output_and_status_are_found_between_banners() {
        let script = Script::new("printf 'no newline'; exit 7");
        let ran = Command::new("sh").arg("-c").arg(script.command()).output().expect("sh runs");
        let noisy = [b"Welcome.".as_slice(), &ran.stdout, b"Bye.\n"].concat();
        assert_eq!(script.read(&noisy), Output::Ran(7, "no newline".to_owned()));
    }

    #[test]
    fn a_script_that_was_cut_off_or_never_ran_is_no_success() {
        let script = Script::new("true");
        assert_eq!(script.read(b"This account is currently not available.\n"), Output::NeverRan);
        assert_eq!(script.read(format!("{}\nhalf", script.begin).as_bytes()), Output::CutOff);
        assert_eq!(script.read(format!("{}\n{} 0", script.begin, script.end).as_bytes()), Output::CutOff);
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(nonce(), nonce());
        assert_eq!(nonce().len(), 16);
    }
}
