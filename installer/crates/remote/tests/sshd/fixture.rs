//! A server of its own for each test, temporary accounts, an agent program with a digest of its own.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sealift_bundle::testing::ClosedPort;
use sealift_host::protocol::{Progress, Request, Response};
use sealift_remote::{AgentProgram, AgentSession, BlobSource, CallError, HostKeys, Target, Timeouts};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

static COUNT: AtomicU32 = AtomicU32::new(0);

fn unique() -> String {
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Polls until `condition` gives something; panics with `what` after a minute.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run(program: &str, package: &str, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{program} does not start ({error}): install the Debian package {package}")
    });
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("the program reads its input");
    let output = child.wait_with_output().expect("it was started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A key pair.
pub struct Key {
    pub private: String,
    pub public: String,
    pub path: PathBuf,
}

impl Key {
    pub fn new(folder: &Path, kind: &str, passphrase: &str) -> Self {
        let path = folder.join(format!("{kind}-{}", unique()));
        let name = path.to_str().expect("a plain path");
        let size = if kind == "rsa" { "2048" } else { "256" };
        let arguments = ["-q", "-t", kind, "-b", size, "-N", passphrase, "-C", "test", "-f", name];
        run("ssh-keygen", "openssh-client", &arguments, "").expect("a new key");
        let private = fs::read_to_string(&path).expect("the key");
        let public = fs::read_to_string(path.with_extension("pub")).expect("its public half");
        Self { private, public: public.trim().to_owned(), path }
    }

    /// As `ssh-keygen -l` says it.
    pub fn fingerprint(&self) -> String {
        let name = self.path.to_str().expect("a plain path");
        let line = run("ssh-keygen", "openssh-client", &["-l", "-f", name], "").expect("a fingerprint");
        line.split(' ').nth(1).expect("size, fingerprint, comment").to_owned()
    }
}

/// An OpenSSH server on loopback with its own keys. Ends with its sessions when dropped.
pub struct Sshd {
    child: Child,
    pub port: u16,
    pub folder: TempDir,
    pub host_keys: Vec<Key>,
    pub user_key: Key,
}

impl Sshd {
    pub fn start() -> Self {
        Self::with("", &["ed25519"])
    }

    /// With more lines of `sshd_config`, and host keys of these types.
    pub fn with(config: &str, host_key_types: &[&str]) -> Self {
        Self::launch("", config, host_key_types)
    }

    /// A host on which sudo is not to be found: the server sees a file system of its own.
    pub fn without_sudo() -> Self {
        let hide = "mount --bind /dev/null /usr/bin/sudo && exec \"$@\"";
        Self::launch(&format!("unshare --mount sh -c '{hide}' sh "), "", &["ed25519"])
    }

    fn launch(before: &str, config: &str, host_key_types: &[&str]) -> Self {
        const SSHD: &str = "/usr/sbin/sshd";
        assert!(Path::new(SSHD).exists(), "no {SSHD}: install the Debian package openssh-server");
        fs::create_dir_all("/run/sshd").expect("the tests run as root");
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Other accounts read their keys here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("own folder");
        let host_keys: Vec<Key> =
            host_key_types.iter().map(|kind| Key::new(folder.path(), kind, "")).collect();
        let user_key = Key::new(folder.path(), "ed25519", "");
        let authorized = folder.path().join("authorized_keys");
        fs::write(&authorized, format!("{}\n", user_key.public)).expect("own folder");
        let mut text = String::from(config);
        text.push_str("\nListenAddress 127.0.0.1\nPidFile none\nUsePAM yes\nUseDNS no\nStrictModes no\nMaxStartups 100\n");
        text.push_str("PermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nPrintMotd no\n");
        let keys: Vec<_> = host_keys.iter().map(|key| format!("HostKey {}", key.path.display())).collect();
        let text = format!("{text}AuthorizedKeysFile {}\n{}\n", authorized.display(), keys.join("\n"));
        let (child, port) = listen(&format!("{before}{SSHD}"), folder.path(), &text);
        Self { child, port, folder, host_keys, user_key }
    }

    /// Root by key, with the first host key pinned.
    pub fn target(&self) -> Target {
        Target {
            name: "m1".to_owned(),
            address: "127.0.0.1".to_owned(),
            port: self.port,
            user: "root".to_owned(),
            private_key: Some(self.user_key.private.clone().into()),
            passphrase: None,
            password: None,
            sudo_password: None,
            host_keys: HostKeys::default().with_fingerprint(&self.host_keys[0].fingerprint()),
            bastion: None,
        }
    }

    /// `user` by the server's key.
    pub fn target_for(&self, user: &Account) -> Target {
        Target { user: user.name.clone(), ..self.target() }
    }

    pub fn authorize(&self, key: &Key) {
        let path = self.folder.path().join("authorized_keys");
        fs::write(path, format!("{}\n{}\n", self.user_key.public, key.public)).expect("own folder");
    }

    /// Sends a signal to the processes of the sessions, not to the server itself.
    pub fn signal_sessions(&self, signal: Signal) {
        let server = self.child.id();
        let sessions: Vec<u32> = children(server).into_iter().filter(|child| is_sshd(*child)).collect();
        assert!(!sessions.is_empty(), "a session is running");
        for session in sessions {
            send(session, signal);
        }
    }

    pub fn has_sessions(&self) -> bool {
        !children(self.child.id()).is_empty()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let mut doomed = vec![self.child.id()];
        let mut at = 0;
        while let Some(parent) = doomed.get(at) {
            doomed.extend(children(*parent));
            at += 1;
        }
        for pid in doomed {
            send(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Starts the server on a port that is held for it until it listens.
fn listen(command: &str, folder: &Path, config: &str) -> (Child, u16) {
    let held = ClosedPort::hold();
    let port = held.number();
    let file = folder.join("sshd_config");
    fs::write(&file, format!("Port {port}\n{config}")).expect("own folder");
    let log = fs::File::create(folder.join("log")).expect("own folder");
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {command} -D -e -f {}", file.display())])
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("sh runs");
    wait_for("sshd to listen", || {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(child.try_wait().expect("own child").is_none(), "sshd ended: {log}");
        let mut greeting = [0; 4];
        let heard =
            TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| stream.read_exact(&mut greeting));
        (heard.is_ok() && &greeting == b"SSH-").then_some(())
    });
    (child, port)
}

fn children(parent: u32) -> Vec<u32> {
    let pids = fs::read_dir("/proc")
        .expect("proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let ppid =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        ppid == Some(parent)
    };
    pids.filter(is_child).collect()
}

fn is_sshd(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
    // It may have ended by itself.
    let _ = kill_process(pid, signal);
}

/// An account for one test, removed when dropped.
pub struct Account {
    pub name: String,
    pub password: String,
    sudoers: Option<PathBuf>,
}

impl Account {
    pub fn new() -> Self {
        Self::with_shell("/bin/sh")
    }

    pub fn with_shell(shell: &str) -> Self {
        let name = format!("slt{}", unique());
        let password = format!("it's \"secret\" {}", unique());
        patiently(&["useradd", "--create-home", "--shell", shell, &name], "");
        patiently(&["chpasswd"], &format!("{name}:{password}\n"));
        Self { name, password, sudoers: None }
    }

    /// Allows sudo: `rule` is what stands behind the name, e.g. `ALL=(ALL) ALL`.
    pub fn allow_sudo(mut self, rule: &str) -> Self {
        assert!(Path::new("/usr/bin/sudo").exists(), "no sudo: install the Debian package sudo");
        let path = PathBuf::from(format!("/etc/sudoers.d/{}", self.name));
        fs::write(&path, format!("{} {rule}\n", self.name)).expect("the tests run as root");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).expect("own file");
        self.sudoers = Some(path);
        self
    }

    pub fn secret(&self) -> SecretString {
        self.password.clone().into()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(path) = &self.sudoers {
            let _ = fs::remove_file(path);
        }
        patiently(&["userdel", "--force", "--remove", &self.name], "");
    }
}

/// Account tools hold a lock on the account files: other tests may be at them.
fn patiently(command: &[&str], input: &str) {
    wait_for(command[0], || match run(command[0], "passwd", &command[1..], input) {
        Ok(_) => Some(()),
        Err(error) if error.contains("lock") => None,
        // userdel complains of a missing mail spool, and has done its work.
        Err(_) if command[0] == "userdel" => Some(()),
        Err(error) => panic!("{command:?}: {error}"),
    });
}

/// The test agent without what only a debugger reads: a tenth of it, and it is brought over dozens of times.
static AGENT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let stripped = folder.path().join("agent");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&stripped).arg(env!("CARGO_BIN_EXE_remote-test-agent"));
    let output = strip.output().expect("strip runs: Debian package binutils");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::read(&stripped).expect("the stripped agent")
});

/// The test agent under a digest of its own, with a folder on the "host" of its own.
pub struct Program {
    pub folder: TempDir,
    pub agent: AgentProgram,
}

impl Program {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut bytes = AGENT.clone();
        // Bytes behind an executable's end change nothing but its digest.
        bytes.extend_from_slice(unique().as_bytes());
        let path = folder.path().join("installer");
        fs::write(&path, &bytes).expect("own folder");
        let host = folder.path().join("host");
        fs::create_dir(&host).expect("own folder");
        let mut agent = AgentProgram::new(&path, format!("sha256:{}", hex(&Sha256::digest(&bytes))));
        let plain = |path: &Path| path.to_str().expect("a plain path").to_owned();
        agent.installed_at = plain(&folder.path().join("not-installed"));
        agent.folders = vec![plain(&host)];
        Self { folder, agent }
    }

    /// For accounts that cannot enter the test's folder.
    pub fn at_home() -> Self {
        let mut program = Self::new();
        program.agent.folders = vec!["~".to_owned()];
        program
    }

    /// Names in the folder on the "host".
    pub fn on_host(&self) -> Vec<String> {
        names(Path::new(&self.agent.folders[0]))
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

pub fn connect(target: &Target, program: &Program) -> AgentSession {
    AgentSession::connect(target, &program.agent, Timeouts::default()).expect("a session")
}

/// The order to the test agent.
pub fn order(text: &str) -> Request {
    Request::Lock { owner: text.to_owned(), run: "test".to_owned() }
}

/// Gives an order without blobs; the outcome's summary.
pub fn ask(session: &mut AgentSession, text: &str) -> Result<String, CallError> {
    ask_with(session, text, &mut |_| {}, &mut Blobs::default())
}

pub fn ask_with(
    session: &mut AgentSession,
    text: &str,
    events: &mut dyn FnMut(Progress),
    blobs: &mut dyn BlobSource,
) -> Result<String, CallError> {
    match session.call(&order(text), events, blobs)? {
        Response::Outcome(outcome) => Ok(outcome.summary),
        other => panic!("not an outcome: {other:?}"),
    }
}

/// Blobs of a repeating pattern, of any name; ends early where `cut_at` says.
#[derive(Default)]
pub struct Blobs {
    pub opened: Vec<(String, u64)>,
    pub read: u64,
    pub cut_at: Option<u64>,
}

impl BlobSource for Blobs {
    fn open(&mut self, digest: &str, offset: u64) -> io::Result<Box<dyn Read + '_>> {
        self.opened.push((digest.to_owned(), offset));
        let left = self.cut_at.map_or(u64::MAX, |end| end - offset);
        Ok(Box::new(Pattern { at: offset, left, read: &mut self.read }))
    }
}

struct Pattern<'a> {
    at: u64,
    left: u64,
    read: &'a mut u64,
}

impl Read for Pattern<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        for byte in &mut buffer[..count] {
            *byte = pattern_byte(self.at);
            self.at += 1;
        }
        self.left -= count as u64;
        *self.read += count as u64;
        Ok(count)
    }
}

fn pattern_byte(at: u64) -> u8 {
    // A prime period: a lost or doubled chunk shifts what follows.
    u8::try_from(at % 251).expect("below 251")
}

/// Digest of the pattern's bytes from `offset` to `size`, as the test agent gives it.
pub fn pattern_digest(offset: u64, size: u64) -> String {
    let bytes: Vec<u8> = (offset..size).map(pattern_byte).collect();
    hex(&Sha256::digest(&bytes))
}
