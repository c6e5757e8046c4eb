//! Logins, from where Docker keeps them: `config.json` with `auths`, `credHelpers` and `credsStore`. For web servers also
//! from the netrc file: `docker login` can log in only where a registry answers, and that file is what curl reads.
//!
//! Read when a registry asks, not before: who pulls only public images needs no file, and a helper whose logins
//! expire is asked again. Nothing of a login is ever in an error: not even the place in the file that a parser would
//! quote.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;

use super::netrc;

/// Largest `config.json`, and longest answer of a helper, bytes.
const LIMIT: u64 = 1 << 20;
/// How long a helper may take: some ask a person.
const HELPER_LIMIT: Duration = Duration::from_mins(1);
/// The name under which Docker keeps the hub's login.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// What helpers say when they have no login: their protocol has no code for it.
const NO_LOGIN: &str = "credentials not found";

/// How to log in at a registry.
#[derive(Debug, Clone)]
pub enum Login {
    /// By name and password.
    Password {
        /// Name.
        user: String,
        /// Password, or a token that stands in for one.
        password: SecretString,
    },
    /// By a token that the registry's token server changes into others (`identitytoken`).
    Identity(SecretString),
    /// By a token that is sent as it is (`registrytoken`).
    Bearer(SecretString),
}

/// Why there is no login though there should be.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Docker's `config.json`.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not what Docker writes. What stands there is not told: it may be a password.
    #[error("{}:{line}:{column}: not as Docker writes it", path.display())]
    Syntax {
        /// Docker's `config.json`.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// An entry that no login can be read from.
    #[error("{}: the login for {host} is not base64 of `name:password`", path.display())]
    Login {
        /// Docker's `config.json`.
        path: PathBuf,
        /// The registry.
        host: String,
    },
    /// A credential helper failed.
    #[error("the credential helper docker-credential-{name} gives no login for {host}: {why}")]
    Helper {
        /// As the file names it.
        name: String,
        /// The registry.
        host: String,
        /// What happened; nothing that the helper said.
        why: String,
    },
}

/// Where logins are looked up.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    file: Option<PathBuf>,
    netrc: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: SecretString,
    username: String,
    password: SecretString,
    identitytoken: SecretString,
    registrytoken: SecretString,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    secret: SecretString,
}

impl Credentials {
    /// No logins at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Those of Docker's file at `path`.
    #[must_use]
    pub fn from_file(path: PathBuf) -> Self {
        Self { file: Some(path), netrc: None }
    }

    /// Those of this user: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; for web servers also `$NETRC`, else
    /// `~/.netrc`; nothing where these are not there.
    #[must_use]
    pub fn from_environment() -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let netrc = folder("NETRC").or_else(|| folder("HOME").map(|home| home.join(".netrc")));
        let folder = folder("DOCKER_CONFIG").or_else(|| folder("HOME").map(|home| home.join(".docker")));
        Self { file: folder.map(|folder| folder.join("config.json")), netrc }
    }

    /// The login for the web server `host` (with its port where it has one), where there is one. Docker's comes first:
    /// one host may serve a registry, charts and files.
    pub fn login_at_web_server(&self, host: &str) -> Result<Option<Login>, CredentialsError> {
        if let Some(login) = self.login(host)? {
            return Ok(Some(login));
        }
        let Some(path) = &self.netrc else { return Ok(None) };
        let failed = |source| CredentialsError::Read { path: path.clone(), source };
        let file = match std::fs::File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed)?,
        };
        let mut text = zeroize::Zeroizing::new(String::new());
        file.take(LIMIT).read_to_string(&mut text).map_err(failed)?;
        let found = netrc::find(&text, crate::mirrors::without_port(host));
        Ok(found.map(|(user, password)| Login::Password { user, password }))
    }

    /// The login for `host` (with its port where it has one), where there is one. In Docker's order: the registry's own
    /// helper, the helper for all, the file.
    pub fn login(&self, host: &str) -> Result<Option<Login>, CredentialsError> {
        let Some(path) = &self.file else { return Ok(None) };
        let Some(mut config) = read(path)? else { return Ok(None) };
        let own = config.cred_helpers.iter().find(|(key, _)| host_of(key) == canonical(host));
        let helper =
            own.map(|(_, name)| name).or(Some(&config.creds_store)).filter(|name| !name.is_empty()).cloned();
        if let Some(name) = helper
            && let Some(login) = ask(&name, host)?
        {
            return Ok(Some(login));
        }
        let key = config.auths.keys().find(|key| host_of(key) == canonical(host)).cloned();
        let entry = key.and_then(|key| config.auths.remove(&key));
        entry.map_or(Ok(None), |entry| {
            entry.login().map_err(|()| CredentialsError::Login { path: path.clone(), host: host.to_owned() })
        })
    }
}

impl Entry {
    /// Nothing where the entry is empty, as Docker leaves it when a helper keeps the login.
    fn login(self) -> Result<Option<Login>, ()> {
        use secrecy::ExposeSecret as _;
        let given = |secret: &SecretString| !secret.expose_secret().is_empty();
        if given(&self.registrytoken) {
            return Ok(Some(Login::Bearer(self.registrytoken)));
        }
        if given(&self.identitytoken) {
            return Ok(Some(Login::Identity(self.identitytoken)));
        }
        if !self.username.is_empty() {
            return Ok(Some(Login::Password { user: self.username, password: self.password }));
        }
        if !given(&self.auth) {
            return Ok(None);
        }
        let plain = zeroize::Zeroizing::new(STANDARD.decode(self.auth.expose_secret().trim()).map_err(drop)?);
        let text = std::str::from_utf8(&plain).map_err(drop)?;
        // Some versions of Docker pad with zero bytes.
        let (user, password) = text.trim_end_matches('\0').split_once(':').ok_or(())?;
        Ok(Some(Login::Password { user: user.to_owned(), password: password.into() }))
    }
}

fn read(path: &Path) -> Result<Option<DockerConfig>, CredentialsError> {
    let failed = |source| CredentialsError::Read { path: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    let mut text = zeroize::Zeroizing::new(Vec::new());
    file.take(LIMIT).read_to_end(&mut text).map_err(failed)?;
    serde_json::from_slice(&text).map(Some).map_err(|error| CredentialsError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })
}

/// The host that a key of the file means: old versions wrote URLs.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    canonical(rest.split('/').next().unwrap_or(rest))
}

/// The hub has three names.
fn canonical(host: &str) -> &str {
    match host {
        "registry-1.docker.io" | "index.docker.io" => "docker.io",
        other => other,
    }
}

/// Asks a credential helper.
fn ask(name: &str, host: &str) -> Result<Option<Login>, CredentialsError> {
    let failed = |why: String| CredentialsError::Helper { name: name.to_owned(), host: host.to_owned(), why };
    // The name comes from a file and becomes a program: only one that PATH leads to.
    if name.contains('/') {
        return Err(failed("its name must hold no `/`".to_owned()));
    }
    let key = if canonical(host) == "docker.io" { HUB_KEY } else { host };
    let (succeeded, answer) = run(&format!("docker-credential-{name}"), key).map_err(failed)?;
    if !succeeded {
        let none = String::from_utf8_lossy(&answer).contains(NO_LOGIN);
        return if none { Ok(None) } else { Err(failed("it ended with an error".to_owned())) };
    }
    let answer: Answer = serde_json::from_slice(&answer)
        .map_err(|_| failed("its answer is not that of a credential helper".to_owned()))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Login::Identity(answer.secret),
        _ => Login::Password { user: answer.username, password: answer.secret },
    }))
}

/// Whether `program get` succeeded, and what it printed.
fn run(program: &str, key: &str) -> Result<(bool, zeroize::Zeroizing<Vec<u8>>), String> {
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("it does not start: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // A helper that does not read is heard all the same.
        let _ = input.write_all(key.as_bytes());
    }
    let output = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut answer = zeroize::Zeroizing::new(Vec::new());
        let read = output.map_or(Ok(0), |output| output.take(LIMIT).read_to_end(&mut answer));
        // Nobody listens any more when it took too long.
        let _ = sender.send(read.map(|_| answer));
    });
    let answer = receiver.recv_timeout(HELPER_LIMIT);
    if answer.is_err() {
        // It may have ended by itself just now.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match answer {
        Err(_) => Err(format!("no answer in {} s", HELPER_LIMIT.as_secs())),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(answer)) => Ok((status.success(), answer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn credentials(text: &str) -> (tempfile::TempDir, Credentials) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, text).unwrap();
        (folder, Credentials::from_file(path))
    }

    fn shown(login: Option<Login>) -> String {
        match login {
            None => "none".to_owned(),
            Some(Login::Password { user, password }) => format!("{user} {}", password.expose_secret()),
            Some(Login::Identity(token)) => format!("identity {}", token.expose_secret()),
            Some(Login::Bearer(token)) => format!("bearer {}", token.expose_secret()),
        }
    }

    #[test]
    fn entries_are_found_by_host() {
        let plain = STANDARD.encode("ops:pass:word");
        let (_folder, credentials) = credentials(&format!(
            r#"{{"auths": {{"https://index.docker.io/v1/": {{"auth": "{plain}"}},
                "m.example:5000": {{"username": "a", "password": "b"}}, "i.example": {{"identitytoken": "t"}},
                "https://r.example/v2/": {{"registrytoken": "r"}}, "empty.example": {{}}}}, "HttpHeaders": {{}}}}"#
        ));
        let login = |host: &str| shown(credentials.login(host).unwrap());
        assert_eq!(login("registry-1.docker.io"), "ops pass:word");
        assert_eq!(login("m.example:5000"), "a b");
        assert_eq!(login("i.example"), "identity t");
        assert_eq!(login("r.example"), "bearer r");
        assert_eq!([login("m.example"), login("empty.example")], ["none", "none"]);
    }

    #[test]
    fn no_file_is_no_login() {
        let nowhere = Credentials::from_file("/nonexistent/config.json".into());
        assert_eq!(shown(nowhere.login("m.example").unwrap()), "none");
        assert_eq!(shown(Credentials::none().login("m.example").unwrap()), "none");
    }

    #[test]
    fn errors_do_not_quote_the_file() {
        let (_folder, broken) = credentials(r#"{"auths": {"m": "canary"}}"#);
        let error = broken.login("m").unwrap_err();
        assert!(matches!(error, CredentialsError::Syntax { line: 1, .. }));
        let (_folder, broken) = credentials(r#"{"auths": {"m": {"auth": "canary"}}}"#);
        let other = broken.login("m").unwrap_err();
        assert!(matches!(other, CredentialsError::Login { .. }));
        for error in [error, other] {
            assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
        }
        let (_folder, found) = credentials(r#"{"auths": {"m": {"username": "a", "password": "canary"}}}"#);
        assert!(!format!("{:?}", found.login("m").unwrap()).contains("canary"));
    }

    #[test]
    fn helpers_are_only_programs_of_the_path() {
        let (_folder, credentials) = credentials(r#"{"credHelpers": {"m": "../../evil", "n": "not-there"}}"#);
        let error = credentials.login("m").unwrap_err().to_string();
        assert!(error.contains("docker-credential-../../evil") && error.contains("no `/`"), "{error}");
        let error = credentials.login("n").unwrap_err().to_string();
        assert!(error.contains("it does not start"), "{error}");
        assert!(credentials.login("o").unwrap().is_none());
    }
}
