//! A short visit: which key a host shows, and whether it lets the user in. Brings nothing over and leaves nothing behind.

use crate::command;
use crate::connection::Connection;
use crate::error::{LostCause, RemoteError};
use crate::host_keys::HostKey;
use crate::target::{Target, Timeouts};

const DOING: &str = "while looking at the account";

/// What a try to log in came to.
#[derive(Debug)]
pub struct Visit {
    /// The key that the host showed, where it is a trusted one.
    pub host_key: Option<HostKey>,
    /// The account, or why nobody can work with it.
    pub account: Result<Account, RemoteError>,
}

/// What one small command says about an account and its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// Number of the user; 0 is root. Others have a `sudo` at hand; whether they may use it, only using it tells.
    pub uid: u32,
    /// Processors, where the host tells.
    pub cpus: Option<u32>,
    /// Memory, where the host tells.
    pub memory_bytes: Option<u64>,
}

/// Compares the key that the host shows with those that are trusted. Nobody is logged in: not one secret of the target is
/// used, but those of its bastion.
pub fn look(target: &Target, timeouts: Timeouts) -> Result<HostKey, RemoteError> {
    Connection::open_trusted(target, timeouts)?.host_key()
}

/// Logs in and asks the account for what one small command can tell. As everywhere in this room, an untrusted host gets no
/// secret.
#[must_use]
pub fn visit(target: &Target, timeouts: Timeouts) -> Visit {
    let mut host_key = None;
    let account = Connection::open_trusted(target, timeouts).and_then(|connection| {
        host_key = Some(connection.host_key()?);
        account(&connection.logged_in(target)?)
    });
    Visit { host_key, account }
}

fn account(connection: &Connection) -> Result<Account, RemoteError> {
    let script = "echo uid $(id -u); if command -v sudo >/dev/null 2>&1; then echo sudo yes; fi; \
                  echo cpus $(getconf _NPROCESSORS_ONLN 2>/dev/null); \
                  grep -s MemTotal: /proc/meminfo; true";
    let finished = command::run(connection, script, DOING)?;
    let Some((account, has_sudo)) = parse(&finished.stdout) else {
        let cause = LostCause::Protocol(format!("{} {}", finished.stdout.trim(), finished.stderr));
        return Err(connection.lost(DOING, cause));
    };
    if account.uid == 0 || has_sudo {
        return Ok(account);
    }
    Err(RemoteError::NoSudo {
        peer: connection.peer.clone(),
        user: connection.user.clone(),
        said_text: "there is no sudo on the host".to_owned(),
    })
}

/// The account, and whether there is a `sudo`.
fn parse(text: &str) -> Option<(Account, bool)> {
    let value = |key: &str| {
        let mut words = text.lines().map(str::split_whitespace);
        words.find_map(|mut words| (words.next() == Some(key)).then(|| words.next()).flatten())
    };
    let uid = value("uid")?.parse().ok()?;
    let cpus = value("cpus").and_then(|count| count.parse().ok());
    let kibibytes = value("MemTotal:").and_then(|count| count.parse::<u64>().ok());
    let memory_bytes = kibibytes.and_then(|count| count.checked_mul(1024));
    Some((Account { uid, cpus, memory_bytes }, value("sudo") == Some("yes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_does_not_tell_is_not_known() {
        let whole = "uid 1000\nsudo yes\ncpus 8\nMemTotal:       32768000 kB\n";
        let account = Account { uid: 1000, cpus: Some(8), memory_bytes: Some(32_768_000 << 10) };
        assert_eq!(parse(whole), Some((account, true)));
        let bare = Account { uid: 0, cpus: None, memory_bytes: None };
        assert_eq!(parse("uid 0\ncpus\n"), Some((bare, false)));
        assert_eq!(parse("cpus 8\n"), None);
        let huge = format!("uid 0\nMemTotal: {} kB\n", u64::MAX);
        assert_eq!(parse(&huge), Some((bare, false)));
    }
}
