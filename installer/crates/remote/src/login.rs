//! Logging in: key, password, keyboard-interactive.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use ssh2::{KeyboardInteractivePrompt, Prompt, Session};

use crate::connection::is;
use crate::error::{LostCause, RemoteError};
use crate::target::Target;

/// Tries the key, then the password, each where the target has one and the host offers the way.
pub(crate) fn login(session: &Session, target: &Target) -> Result<(), RemoteError> {
    let (peer, user) = (target.peer(), target.user.clone());
    let Some(mut offered) = offers(session, target)? else { return Ok(()) };
    let has = |offered: &[String], method: &str| offered.iter().any(|offer| offer == method);
    let mut key_also = false;
    if let Some(key) = target.private_key.as_ref().filter(|_| has(&offered, "publickey")) {
        if by_key(session, target, key)? {
            return Ok(());
        }
        key_also = true;
        if target.password.is_some() {
            // A host that wants key and password offers the password only now.
            match offers(session, target)? {
                Some(now) => offered = now,
                None => return Ok(()),
            }
        }
    }
    let directly = has(&offered, "password");
    match &target.password {
        Some(password) if directly || has(&offered, "keyboard-interactive") => {
            let taken = by_password(session, target, password, directly)?;
            if taken { Ok(()) } else { Err(RemoteError::PasswordRejected { peer, user, offered, key_also }) }
        }
        _ if key_also => Err(RemoteError::KeyRejected { peer, user, offered }),
        _ => Err(RemoteError::NoLoginMethod { peer, user, offered }),
    }
}

/// The ways that the host offers now; `None` where it asks for nothing more.
fn offers(session: &Session, target: &Target) -> Result<Option<Vec<String>>, RemoteError> {
    match session.auth_methods(&target.user) {
        Ok(list) => Ok(Some(list.split(',').map(str::to_owned).collect())),
        Err(_) if session.authenticated() => Ok(None),
        Err(error) => Err(gone(session, target, &error)),
    }
}

/// Whether the host took the key; an unusable key is an error.
fn by_key(session: &Session, target: &Target, key: &SecretString) -> Result<bool, RemoteError> {
    let (peer, user) = (target.peer(), target.user.clone());
    let encrypted = is_encrypted(key.expose_secret());
    let passphrase = target.passphrase.as_ref().filter(|_| encrypted);
    if encrypted && passphrase.is_none() {
        return Err(RemoteError::PassphraseNeeded { peer, user });
    }
    let passphrase = passphrase.map(ExposeSecret::expose_secret);
    let Err(error) = session.userauth_pubkey_memory(&user, None, key.expose_secret(), passphrase) else {
        return Ok(true);
    };
    let rejected =
        [libssh2_sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED, libssh2_sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED];
    if rejected.iter().any(|code| is(&error, *code)) {
        return Ok(false);
    }
    if cut(&error) {
        return Err(gone(session, target, &error));
    }
    // A wrong passphrase looks to the library like a format that it does not know.
    Err(if encrypted {
        RemoteError::PassphraseWrong { peer, user }
    } else {
        RemoteError::KeyUnreadable { peer, user, source: error.into() }
    })
}

/// Whether the host took the password.
fn by_password(
    session: &Session,
    target: &Target,
    password: &SecretString,
    directly: bool,
) -> Result<bool, RemoteError> {
    let tried = if directly {
        session.userauth_password(&target.user, password.expose_secret())
    } else {
        session.userauth_keyboard_interactive(&target.user, &mut Answers { password })
    };
    match tried {
        Ok(()) => Ok(session.authenticated()),
        Err(error) if is(&error, libssh2_sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED) => Ok(false),
        Err(error) if is(&error, libssh2_sys::LIBSSH2_ERROR_PASSWORD_EXPIRED) => {
            Err(RemoteError::PasswordExpired { peer: target.peer(), user: target.user.clone() })
        }
        Err(error) => Err(gone(session, target, &error)),
    }
}

/// Answers every hidden question with the password, every other with nothing.
struct Answers<'a> {
    password: &'a SecretString,
}

impl KeyboardInteractivePrompt for Answers<'_> {
    fn prompt(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        let answer = |prompt: &Prompt<'_>| {
            if prompt.echo { String::new() } else { self.password.expose_secret().to_owned() }
        };
        prompts.iter().map(answer).collect()
    }
}

fn gone(session: &Session, target: &Target, error: &ssh2::Error) -> RemoteError {
    let (peer, doing) = (target.peer(), "while logging in");
    if is(error, libssh2_sys::LIBSSH2_ERROR_TIMEOUT) {
        return RemoteError::TimedOut { peer, doing, after: Duration::from_millis(session.timeout().into()) };
    }
    RemoteError::Lost {
        peer,
        doing,
        cause: LostCause::Connection(error.message().to_owned()),
        log: String::new(),
    }
}

/// Whether the host hung up.
fn cut(error: &ssh2::Error) -> bool {
    use libssh2_sys::{
        LIBSSH2_ERROR_SOCKET_DISCONNECT as DISCONNECT, LIBSSH2_ERROR_SOCKET_RECV as RECEIVE,
        LIBSSH2_ERROR_SOCKET_SEND as SEND, LIBSSH2_ERROR_TIMEOUT as TIMEOUT,
    };
    [DISCONNECT, RECEIVE, SEND, TIMEOUT].iter().any(|code| is(error, *code))
}

/// Whether a private key needs a passphrase, by its text alone.
fn is_encrypted(pem: &str) -> bool {
    if pem.contains("ENCRYPTED") {
        return true;
    }
    let body: String = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let Ok(bytes) = STANDARD.decode(body) else { return false };
    let bytes = zeroize::Zeroizing::new(bytes);
    // OpenSSH's own format: a magic, then the cipher's name as length and text.
    let Some(rest) = bytes.strip_prefix(b"openssh-key-v1\0") else { return false };
    rest.get(..8).is_some_and(|cipher| cipher != b"\0\0\0\x04none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_whether_they_are_encrypted() {
        let openssh = |cipher: &[u8]| {
            let mut body = b"openssh-key-v1\0".to_vec();
            body.extend_from_slice(&u32::try_from(cipher.len()).expect("short").to_be_bytes());
            body.extend_from_slice(cipher);
            let text = STANDARD.encode(body);
            format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{text}\n-----END OPENSSH PRIVATE KEY-----\n")
        };
        assert!(!is_encrypted(&openssh(b"none")));
        assert!(is_encrypted(&openssh(b"aes256-ctr")));
        assert!(is_encrypted(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
        ));
        assert!(!is_encrypted("not a key"));
    }
}
