//! The registry behind the tests, with and without TLS and logins.
//!
//! Where the environment variable `SEALIFT_TEST_REGISTRY` names distribution's `registry` program, it is that one, with
//! settings of its own; else it is the small one in this process. Both hold what was pushed into a [`FakeRegistry`].

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::wire::{Certificates, Head, Stream, listen};
use super::{FakeRegistry, serve};

/// Names distribution's program.
pub const PROGRAM: &str = "SEALIFT_TEST_REGISTRY";
/// Who may log in.
pub const USER: &str = "ops";
/// The same person under another name, as a helper that renews logins may give it.
pub const RENEWED: &str = "ops-renewed";
/// With what, both of them.
pub const PASSWORD: &str = "opensesame";
/// The token that `docker login` would keep in place of a password.
pub const IDENTITY: &str = "identity-of-ops";
/// bcrypt of the password.
const PASSWORD_HASH: &str = "$2b$05$abcdefghijklmnopqrstuuQbLfdQZSxZ9gjhA5V9o8Tyc6aQRO0Qi";
const SERVICE: &str = "registry.test";
const ISSUER: &str = "issuer.test";
const KEY_ID: &str = "test";
/// How much longer than it says a token counts: distribution allows for clocks that differ.
const LEEWAY: Duration = Duration::from_mins(1);

/// What Docker's settings have for the registry of this user with `password`.
pub fn by_password(password: &str) -> String {
    format!(r#"{{"auth": "{}"}}"#, STANDARD.encode(format!("{USER}:{password}")))
}

/// Who gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Everyone.
    Open,
    /// Who sends name and password.
    Basic,
    /// Who has a token, which the token server gives for name and password.
    Token,
    /// Who has a token, which the token server gives to everyone.
    Anyone,
}

/// A running registry.
pub struct Upstream {
    /// Host and port.
    pub address: String,
    /// With TLS, where there are any.
    pub certificates: Option<Arc<Certificates>>,
    /// Its token server, where it has one.
    pub tokens: Option<Arc<Tokens>>,
    real: Option<Distribution>,
}

impl Upstream {
    /// A registry with what is in `content` now.
    pub fn start(content: &FakeRegistry, encrypted: bool, guard: Guard) -> Self {
        let certificates = encrypted.then(|| Arc::new(Certificates::new()));
        let tokens = match guard {
            Guard::Open | Guard::Basic => None,
            Guard::Token | Guard::Anyone => {
                Some(Tokens::start(certificates.as_deref(), guard == Guard::Anyone))
            }
        };
        if let Some(program) = std::env::var_os(PROGRAM) {
            let real =
                Distribution::start(Path::new(&program), certificates.as_deref(), guard, tokens.as_deref());
            let upstream = Self { address: real.address.clone(), certificates, tokens, real: Some(real) };
            upstream.upload(content);
            return upstream;
        }
        let (state, door) = (content.shared(), Door { guard, tokens: tokens.clone() });
        let address = listen(certificates.as_deref(), move |reader| serve(reader, &state, &door));
        Self { address, certificates, tokens, real: None }
    }

    /// Whether it has the referrers API: distribution has none.
    pub fn lists_referrers(&self) -> bool {
        self.real.is_none()
    }

    /// What was pushed into `content` since.
    pub fn upload(&self, content: &FakeRegistry) {
        let Some(real) = &self.real else { return };
        let all = content.all();
        let manifests = |path: &str| path.contains("/manifests/");
        for (path, (_, blob)) in all.iter().filter(|(path, _)| path.contains("/blobs/")) {
            real.push_blob(path, blob);
        }
        // An index names manifests that must be there; what has a subject may come in any order.
        let is_index = |content: &[u8]| String::from_utf8_lossy(content).contains("\"manifests\"");
        for indexes in [false, true] {
            for (path, (media_type, content)) in &all {
                if manifests(path) && is_index(content) == indexes {
                    real.push_manifest(path, media_type, content);
                }
            }
        }
    }

    /// Writes a mirrors file that leads all of `registries` here.
    pub fn mirrors(&self, folder: &Path, registries: &[&str]) -> PathBuf {
        write_mirrors(folder, &self.address, self.certificates.as_deref(), registries)
    }
}

/// Writes a mirrors file that leads all of `registries` to `address`.
pub fn write_mirrors(
    folder: &Path,
    address: &str,
    certificates: Option<&Certificates>,
    registries: &[&str],
) -> PathBuf {
    let scheme = if certificates.is_some() { "https" } else { "http" };
    let line = |registry: &&str| format!("  {registry}: {scheme}://{address}/{registry}\n");
    let lines: Vec<String> = registries.iter().map(line).collect();
    let trust = certificates.map_or_else(String::new, |certificates| {
        format!("registries:\n  {address}: {{ca: {}}}\n", certificates.ca().display())
    });
    let path = folder.join("mirrors.yaml");
    std::fs::write(&path, format!("mirrors:\n{}{trust}", lines.concat())).unwrap();
    path
}

/// Who gets into the registry in this process.
pub struct Door {
    guard: Guard,
    tokens: Option<Arc<Tokens>>,
}

impl Door {
    /// Lets everyone in.
    pub fn open() -> Self {
        Self { guard: Guard::Open, tokens: None }
    }

    /// What to ask for, where who asks does not get in.
    pub fn challenge(&self, head: &Head) -> Option<String> {
        let sent = head.get("authorization").unwrap_or_default();
        if let Some(tokens) = &self.tokens {
            let known = sent.strip_prefix("Bearer ").is_some_and(|token| tokens.counts(token));
            let repository = head.second().strip_prefix("/v2/").unwrap_or_default();
            let name = ["/manifests/", "/blobs/", "/referrers/"]
                .iter()
                .find_map(|part| repository.split_once(part))
                .map_or("", |(name, _)| name);
            let realm = &tokens.realm;
            return (!known).then(|| {
                format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\",scope=\"repository:{name}:pull\"")
            });
        }
        let refused = self.guard == Guard::Basic && !is_login(sent);
        refused.then(|| "Basic realm=\"test\"".to_owned())
    }
}

fn is_login(header: &str) -> bool {
    let sent = header.strip_prefix("Basic ");
    [USER, RENEWED].iter().any(|user| sent == Some(&STANDARD.encode(format!("{user}:{PASSWORD}"))))
}

/// A token server as distribution's specification has it (its `spec/auth/token` and `spec/auth/oauth`).
pub struct Tokens {
    pub realm: String,
    key: Ed25519KeyPair,
    state: Mutex<TokensState>,
}

struct TokensState {
    anonymous: bool,
    seconds: u64,
    granted: BTreeMap<String, Instant>,
    asked: usize,
    status: Option<u16>,
}

impl Tokens {
    fn start(certificates: Option<&Certificates>, anonymous: bool) -> Arc<Self> {
        let key = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        // The server must know itself, and its address is known only when it listens.
        let slot: Arc<Mutex<Option<Arc<Self>>>> = Arc::default();
        let own = Arc::clone(&slot);
        let address = listen(certificates, move |reader| {
            let tokens = own.lock().unwrap().clone();
            tokens.expect("asked before it is told of").serve(reader);
        });
        let scheme = if certificates.is_some() { "https" } else { "http" };
        let state = TokensState { anonymous, seconds: 300, granted: BTreeMap::new(), asked: 0, status: None };
        let tokens =
            Arc::new(Self { realm: format!("{scheme}://{address}/token"), key, state: Mutex::new(state) });
        *slot.lock().unwrap() = Some(Arc::clone(&tokens));
        tokens
    }

    /// How long new tokens count, seconds.
    pub fn live(&self, seconds: u64) {
        self.state.lock().unwrap().seconds = seconds;
    }

    /// Answers with this status from now on.
    pub fn fail(&self, status: Option<u16>) {
        self.state.lock().unwrap().status = status;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked
    }

    fn counts(&self, token: &str) -> bool {
        self.state.lock().unwrap().granted.get(token).is_some_and(|until| Instant::now() < *until)
    }

    fn serve(&self, mut reader: BufReader<Stream>) {
        while let Some(head) = Head::read(&mut reader) {
            let mut form = vec![0; usize::try_from(head.length().unwrap_or(0)).unwrap()];
            reader.read_exact(&mut form).unwrap();
            let form = String::from_utf8(form).unwrap();
            let (status, body) = self.answer(&head, &form);
            let answer = format!(
                "HTTP/1.1 {status} Token\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, head: &Head, form: &str) -> (u16, String) {
        let mut state = self.state.lock().unwrap();
        state.asked += 1;
        if let Some(status) = state.status {
            return (status, String::new());
        }
        let identified =
            form.contains("grant_type=refresh_token") && form.contains(&format!("refresh_token={IDENTITY}"));
        let known = head.get("authorization").is_some_and(is_login) || identified;
        if !known && !state.anonymous {
            return (401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"wrong login"}]}"#.to_owned());
        }
        let query = if form.is_empty() { head.second() } else { form };
        let scope = query.split(['?', '&']).find_map(|pair| pair.strip_prefix("scope=")).unwrap_or_default();
        let scope = percent_encoding::percent_decode_str(scope).decode_utf8_lossy();
        let repository = scope.split(':').nth(1).unwrap_or_default();
        let token = self.sign(repository, state.seconds, state.asked);
        let until = Instant::now() + Duration::from_secs(state.seconds) + LEEWAY;
        state.granted.insert(token.clone(), until);
        (200, format!(r#"{{"token":"{token}","expires_in":{}}}"#, state.seconds))
    }

    /// A JSON web token as distribution reads it.
    fn sign(&self, repository: &str, seconds: u64, number: usize) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let head = format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{KEY_ID}"}}"#);
        let claims = serde_json::json!({
            "iss": ISSUER, "sub": USER, "aud": SERVICE, "exp": now + seconds, "nbf": now, "iat": now,
            "jti": number.to_string(),
            "access": [{"type": "repository", "name": repository, "actions": ["pull"]}],
        });
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = self.key.sign(text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// The public half of its key, as distribution's settings want it.
    fn key_set(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref());
        serde_json::json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": KEY_ID, "alg": "EdDSA", "use": "sig", "x": x}]})
            .to_string()
    }
}

/// Distribution's registry: one process that guards, and one beside it on the same storage that takes what is pushed.
struct Distribution {
    address: String,
    open: String,
    agent: ureq::Agent,
    _processes: [Process; 2],
    _folder: tempfile::TempDir,
}

/// Ends with its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Distribution {
    fn start(
        program: &Path,
        certificates: Option<&Certificates>,
        guard: Guard,
        tokens: Option<&Tokens>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut http = serde_json::json!({});
        if let Some(certificates) = certificates {
            http["tls"] =
                serde_json::json!({"certificate": certificates.certificate(), "key": certificates.key()});
        }
        let mut auth = serde_json::json!({});
        if guard == Guard::Basic {
            let path = folder.path().join("htpasswd");
            std::fs::write(&path, format!("{USER}:{PASSWORD_HASH}\n{RENEWED}:{PASSWORD_HASH}\n")).unwrap();
            auth["htpasswd"] = serde_json::json!({"realm": "test", "path": path});
        }
        if let Some(tokens) = tokens {
            let path = folder.path().join("keys.json");
            std::fs::write(&path, tokens.key_set()).unwrap();
            auth["token"] = serde_json::json!({
                "realm": tokens.realm, "service": SERVICE, "issuer": ISSUER, "jwks": path,
            });
        }
        let (guarded, address) = launch(program, folder.path(), "guarded", &http, &auth);
        let nothing = serde_json::json!({});
        let (open, open_address) = launch(program, folder.path(), "open", &nothing, &nothing);
        let agent = ureq::Agent::config_builder().proxy(None).http_status_as_error(false).build().new_agent();
        Self { address, open: open_address, agent, _processes: [guarded, open], _folder: folder }
    }

    fn push_blob(&self, path: &str, content: &[u8]) {
        let base = format!("http://{}", self.open);
        if self.agent.head(format!("{base}{path}")).call().unwrap().status() == 200 {
            return;
        }
        let (repository, digest) = path.split_once("/blobs/").unwrap();
        let begun = self.agent.post(format!("{base}{repository}/blobs/uploads/")).send_empty().unwrap();
        assert_eq!(begun.status(), 202, "upload to {repository}");
        let place = begun.headers()["location"].to_str().unwrap();
        let join = if place.contains('?') { '&' } else { '?' };
        let answer = self
            .agent
            .put(format!("{place}{join}digest={digest}"))
            .content_type("application/octet-stream")
            .send(content)
            .unwrap();
        assert_eq!(answer.status(), 201, "{path}");
    }

    fn push_manifest(&self, path: &str, media_type: &str, content: &[u8]) {
        let mut answer = self
            .agent
            .put(format!("http://{}{path}", self.open))
            .content_type(media_type)
            .send(content)
            .unwrap();
        let said = answer.body_mut().read_to_string().unwrap_or_default();
        assert_eq!(answer.status(), 201, "{path}: {said}");
    }
}

/// Starts `program` on a port that is held for it, and waits until it listens.
fn launch(
    program: &Path,
    folder: &Path,
    name: &str,
    http: &serde_json::Value,
    auth: &serde_json::Value,
) -> (Process, String) {
    let held = sealift_bundle::testing::ClosedPort::hold();
    let address = held.address().to_string();
    let mut http = http.clone();
    http["addr"] = address.as_str().into();
    // JSON is YAML, too.
    let settings = serde_json::json!({
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": true}},
        "storage": {"filesystem": {"rootdirectory": folder.join("storage")}},
        "http": http,
        "auth": auth,
    });
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, settings.to_string()).unwrap();
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .arg("serve")
        .arg(&path)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join(format!("{name}.log"))).unwrap())
        .spawn()
        .unwrap();
    let mut process = Process(child);
    while process.0.try_wait().unwrap().is_none() {
        if std::net::TcpStream::connect(&address).is_ok() && process.0.try_wait().unwrap().is_none() {
            return (process, address);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let log = std::fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
    panic!("{} does not start: {log}", program.display());
}
