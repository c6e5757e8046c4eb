//! Starting the agent as root and reading its opening.
//!
//! The password goes to sudo's stdin, and only as the answer to sudo's own question: a sudo that asks nothing must not
//! pass it on to the agent. A second question means that the first answer was wrong.

use sealift_host::protocol::MAGIC;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::error::{LostCause, RemoteError};
use crate::frames::discard;
use crate::quote::quote;
use crate::shell::nonce;
use crate::wire::{Outgoing, Wire};

const DOING: &str = "while starting the agent";
/// Bytes of banners before the agent's opening.
const BANNERS: usize = 64 << 10;

/// How the login user becomes root.
pub(crate) enum Privilege<'a> {
    /// Logged in as root.
    Root,
    /// By sudo without a password.
    Sudo,
    /// By sudo with this password, where it asks.
    SudoPassword(&'a SecretString),
}

/// What became of a start.
pub(crate) enum Started {
    Agent(Wire),
    /// It did not run; what was said instead.
    NotRunning(String),
}

/// Starts the agent at `path`.
pub(crate) fn launch(
    connection: &Connection,
    path: &str,
    privilege: &Privilege<'_>,
) -> Result<Started, RemoteError> {
    let question = format!("sealift-password-{}:", nonce());
    let channel = connection.execute(&command(path, privilege, &question), DOING)?;
    let mut start = Start { connection, wire: Wire::new(channel), question, answered: false };
    loop {
        start.wire.turn(connection, true).map_err(|cause| connection.lost(DOING, cause))?;
        if start.opened() {
            start.wire.stderr.clear();
            return Ok(Started::Agent(start.wire));
        }
        start.answer(privilege)?;
        if start.wire.ended {
            return start.refusal(privilege);
        }
        if start.wire.stdout.len() > BANNERS {
            let cause = LostCause::Protocol("no opening in the first 64 KiB".to_owned());
            return Err(connection.lost(DOING, cause));
        }
        // sudo delays a wrong answer, login servers may be far: silence counts, not the time in all.
        if start.wire.unheard >= connection.timeouts.login {
            return Err(start.silent(privilege));
        }
    }
}

fn command(path: &str, privilege: &Privilege<'_>, question: &str) -> String {
    let agent = quote(path);
    let sudo = match privilege {
        Privilege::Root => String::new(),
        Privilege::Sudo => "sudo -n -- ".to_owned(),
        // -k: neither use nor leave a cached login, so that each start behaves alike.
        Privilege::SudoPassword(_) => format!("sudo -k -S -p {} -- ", quote(question)),
    };
    let path = "PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
    format!("sh -c {}", quote(&format!("{path}; export PATH; exec env LC_ALL=C {sudo}{agent} agent")))
}

struct Start<'a> {
    connection: &'a Connection,
    wire: Wire,
    question: String,
    answered: bool,
}

impl Start<'_> {
    /// Whether the opening has come; takes it and everything before it off.
    fn opened(&mut self) -> bool {
        let Some(at) = self.wire.stdout.windows(MAGIC.len()).position(|window| window == MAGIC) else {
            return false;
        };
        discard(&mut self.wire.stdout, at + MAGIC.len());
        true
    }

    fn answer(&mut self, privilege: &Privilege<'_>) -> Result<(), RemoteError> {
        let asked = self.wire.stderr.text().matches(&self.question).count();
        let Privilege::SudoPassword(password) = privilege else { return Ok(()) };
        match (asked, self.answered) {
            (0, _) | (1, true) => Ok(()),
            (1, false) => {
                let mut line = Zeroizing::new(Vec::with_capacity(password.expose_secret().len() + 1));
                line.extend_from_slice(password.expose_secret().as_bytes());
                line.push(b'\n');
                self.wire.send(Outgoing::Secret(line));
                self.answered = true;
                Ok(())
            }
            _ => Err(self.password_wrong()),
        }
    }

    fn password_wrong(&self) -> RemoteError {
        let (peer, user) = (self.connection.peer.clone(), self.connection.user.clone());
        RemoteError::SudoPasswordWrong { peer, user }
    }

    /// Nothing more comes: sudo may wait for what nobody can give it here, a second factor or a finger.
    fn silent(&self, privilege: &Privilege<'_>) -> RemoteError {
        let (peer, user) = (self.connection.peer.clone(), self.connection.user.clone());
        let said_text = last_line(&self.said());
        if matches!(privilege, Privilege::Root) || said_text.is_empty() {
            return RemoteError::TimedOut { peer, doing: DOING, after: self.connection.timeouts.login };
        }
        RemoteError::NoSudo { peer, user, said_text }
    }

    fn said(&self) -> String {
        self.wire.stderr.text().replace(&self.question, "").trim().to_owned()
    }

    /// It ended instead of opening: what sudo says decides.
    fn refusal(mut self, privilege: &Privilege<'_>) -> Result<Started, RemoteError> {
        let said_text = self.said();
        let says = |texts: &[&str]| texts.iter().any(|text| said_text.contains(text));
        let (peer, user) = (self.connection.peer.clone(), self.connection.user.clone());
        if !matches!(privilege, Privilege::Root) {
            if says(&[
                "not in the sudoers",
                "not allowed to",
                "may not run sudo",
                "must have a tty",
                "no valid sudoers",
            ]) {
                return Err(RemoteError::NoSudo { peer, user, said_text: last_line(&said_text) });
            }
            if self.answered
                && says(&[
                    "incorrect password",
                    "incorrect authentication",
                    "Sorry, try again",
                    "uthentication fail",
                ])
            {
                return Err(self.password_wrong());
            }
            if says(&["password is required", "authentication is required", "uthentication required"]) {
                return Err(RemoteError::SudoPasswordNeeded { peer, user });
            }
        }
        let end = self.wire.end(self.connection);
        Ok(Started::NotRunning(if said_text.is_empty() { end.to_string() } else { said_text }))
    }
}

fn last_line(text: &str) -> String {
    text.lines().next_back().unwrap_or_default().trim().to_owned()
}
