//! Against a real OpenSSH server on loopback. Needs root, as the server does.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sealift_bundle::testing::ClosedPort;
use sealift_profile::Draft;
use secrecy::ExposeSecret as _;

use super::*;

/// An OpenSSH server: one process for each connection, on a port that is open before anybody asks.
struct Server {
    port: u16,
    folder: tempfile::TempDir,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn keygen(arguments: &[&str]) -> String {
    let output = Command::new("ssh-keygen").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn new_key(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    keygen(&["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path.to_str().unwrap()]);
    path
}

fn fingerprint(key: &Path) -> String {
    keygen(&["-l", "-f", key.to_str().unwrap()]).split(' ').nth(1).unwrap().to_owned()
}

impl Server {
    fn start() -> Self {
        fs::create_dir_all("/run/sshd").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let host_key = new_key(folder.path(), "host");
        let user_key = new_key(folder.path(), "user");
        let config = folder.path().join("sshd_config");
        let text = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM yes\nUseDNS no\nStrictModes no\n\
             PermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n",
            host_key.display(),
            user_key.with_extension("pub").display()
        );
        fs::write(&config, text).unwrap();
        let log = folder.path().join("log");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut sessions = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if is_over.load(Ordering::SeqCst) {
                    break;
                }
                let twin = stream.try_clone().unwrap();
                let session = Command::new("/usr/sbin/sshd")
                    .args(["-i", "-f", config.to_str().unwrap(), "-E", log.to_str().unwrap()])
                    .stdin(Stdio::from(OwnedFd::from(stream)))
                    .stdout(Stdio::from(OwnedFd::from(twin)))
                    .spawn();
                sessions.push(session.unwrap());
            }
            for mut session in sessions {
                session.wait().unwrap();
            }
        });
        Self { port, folder, over, thread: Some(thread) }
    }

    fn fingerprint(&self) -> String {
        fingerprint(&self.folder.path().join("host"))
    }

    fn user_key(&self) -> String {
        self.folder.path().join("user").display().to_string()
    }

    /// Waits until all sessions have ended, so that all of it is there.
    fn log(mut self) -> String {
        self.end();
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.over.store(true, Ordering::SeqCst);
            drop(TcpStream::connect(("127.0.0.1", self.port)).unwrap());
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// A site with one host on loopback, which no rule would allow.
fn site(port: u16, access: &str, more_of_host: &str) -> Site {
    let text = format!(
        "apiVersion: sealift/v1\nkind: Site\nmetadata: {{name: plant}}\naccess: {{user: root, {access}}}\nhosts:\n  \
         - {{name: m1, address: 127.0.0.1, role: control-plane, port: {port}{more_of_host}}}\n"
    );
    Draft::read(&text, "site.yaml").unwrap().so_far().unwrap()
}

fn nobody(_: &str) -> std::io::Result<SecretString> {
    Err(std::io::Error::other("nobody is asked here"))
}

fn door<'a>(memory: &'a Memory, ask: Ask<'a>) -> Door<'a> {
    Door { memory, ask, timeouts: Timeouts { login: Duration::from_secs(5), ..Timeouts::default() } }
}

fn try_it(memory: &Memory, ask: Ask<'_>, round: u64, site: &Site) -> Reached {
    let message = door(memory, ask).try_host(round, "m1".to_owned(), site);
    let Message::Reached { serial, host, outcome } = message else { unreachable!("{message:?}") };
    assert_eq!((serial, host.as_str()), (round, "m1"));
    outcome
}

fn why(outcome: &Reached) -> &Trouble {
    let Reached::Failed { trouble, .. } = outcome else { panic!("it should not get in: {outcome:?}") };
    assert!(!trouble.remedies.is_empty(), "{trouble:?}");
    trouble
}

#[test]
fn an_unknown_key_is_shown_and_confirmed_it_lets_in() {
    let server = Server::start();
    let memory = Memory::default();
    let by_key = format!("privateKey: {{file: {}}}", server.user_key());
    let outcome = try_it(&memory, &nobody, 1, &site(server.port, &by_key, ""));
    let key = ShownKey { algorithm: "ssh-ed25519".to_owned(), fingerprint: server.fingerprint() };
    let new = NewKey { whose: Whose::Host("m1".to_owned()), key: key.clone() };
    assert_eq!(outcome, Reached::NewKey(new));
    // Nobody is asked for a password for a machine that nobody knows.
    let asked = "password: {prompt: access.password}";
    let outcome = try_it(&memory, &nobody, 2, &site(server.port, asked, ""));
    assert!(matches!(outcome, Reached::NewKey(_)), "{outcome:?}");

    let pinned = format!(", hostKey: \"{}\"", server.fingerprint());
    let outcome = try_it(&memory, &nobody, 3, &site(server.port, &by_key, &pinned));
    let Reached::In { key: got, known_by, root, cpus, memory_bytes } = outcome else {
        panic!("it should get in: {outcome:?}")
    };
    assert_eq!((got, known_by, root), (key, KnownBy::Profile, true));
    assert!(cpus.is_some_and(|count| count > 0) && memory_bytes.is_some_and(|bytes| bytes > 0));
    let public = fs::read_to_string(server.folder.path().join("host.pub")).unwrap();
    let known = server.folder.path().join("known_hosts");
    fs::write(&known, format!("[127.0.0.1]:{} {public}", server.port)).unwrap();
    let by_file = format!("{by_key}, knownHosts: {}", known.display());
    let outcome = try_it(&memory, &nobody, 4, &site(server.port, &by_file, ""));
    assert!(matches!(outcome, Reached::In { known_by: KnownBy::KnownHosts, .. }), "{outcome:?}");

    let log = server.log();
    assert_eq!(log.matches("Accepted publickey for root").count(), 2, "{log}");
    assert!(!log.contains("Failed"), "no login was tried before the key was known: {log}");
}

#[test]
fn a_changed_key_is_told_with_both_and_nothing_is_sent() {
    let server = Server::start();
    let old = fingerprint(&new_key(server.folder.path(), "old"));
    let site = site(server.port, "password: {prompt: access.password}", &format!(", hostKey: \"{old}\""));
    let outcome = try_it(&Memory::default(), &nobody, 1, &site);
    let Trouble { message, remedies, .. } = why(&outcome);
    assert!(message.contains(&old) && message.contains(&server.fingerprint()), "{message}");
    assert!(remedies.iter().any(|remedy| remedy.contains("take the old one back by hand")), "{remedies:?}");
    let Reached::Failed { key: Some(key), .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(key.fingerprint, server.fingerprint());
    let log = server.log();
    assert!(!log.contains("Failed") && !log.contains("Accepted"), "{log}");
}

#[test]
fn a_wrong_password_is_told_and_asked_for_again_the_next_time() {
    let server = Server::start();
    let memory = Memory::default();
    let count = AtomicUsize::new(0);
    let ask = |label: &str| {
        assert_eq!(label, "access.password");
        Ok(SecretString::from(format!("canary {}", count.fetch_add(1, Ordering::SeqCst))))
    };
    let pinned = format!(", hostKey: \"{}\"", server.fingerprint());
    let site = site(server.port, "password: {prompt: access.password}", &pinned);
    let outcome = try_it(&memory, &ask, 1, &site);
    let trouble = why(&outcome);
    assert!(trouble.message.contains("refused the password of user root"), "{trouble:?}");
    assert!(trouble.remedies[0].contains("check the password of root"), "{trouble:?}");
    let Reached::Failed { key: Some(key), .. } = &outcome else { panic!("{outcome:?}") };
    assert_eq!(key.fingerprint, server.fingerprint());
    assert!(!format!("{outcome:?}").contains("canary"));
    // The other hosts of the round try the same, the next round asks anew.
    try_it(&memory, &ask, 1, &site);
    assert_eq!(count.load(Ordering::SeqCst), 1);
    try_it(&memory, &ask, 2, &site);
    assert_eq!(count.load(Ordering::SeqCst), 2);
    let other = memory.recall("access.password", &|_: &str| Ok("typed".into())).unwrap();
    assert_eq!(other.expose_secret(), "typed", "what was refused is not used elsewhere");
}

#[test]
fn nobody_who_listens_a_server_that_says_nothing_and_a_secret_that_is_not_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let memory = Memory::default();
    let folder = tempfile::tempdir().unwrap();
    let by_key = format!("privateKey: {{file: {}}}", new_key(folder.path(), "user").display());
    let timeouts = Timeouts { login: Duration::from_secs(1), ..Timeouts::default() };
    let silent = Door { timeouts, ..door(&memory, &nobody) };
    // The kernel takes the connection, nobody answers on it.
    let Message::Reached { outcome, .. } = silent.try_host(1, "m1".to_owned(), &site(port, &by_key, ""))
    else {
        unreachable!("an outcome")
    };
    let message = &why(&outcome).message;
    assert!(message.contains("did not answer within 1 s during the SSH handshake"), "{message}");
    let closed = ClosedPort::hold();
    let outcome = try_it(&memory, &nobody, 2, &site(closed.number(), &by_key, ""));
    let trouble = why(&outcome);
    assert!(trouble.message.contains("refuses the connection"), "{trouble:?}");
    assert!(trouble.remedies[0].contains("is m1 up"), "{trouble:?}");
    let lost = try_it(&memory, &nobody, 3, &site(port, "privateKey: {file: /nowhere/key}", ""));
    let Reached::Failed { trouble, .. } = &lost else { panic!("{lost:?}") };
    assert!(trouble.message.contains("/nowhere/key cannot be read"), "{trouble:?}");
    // A folder is no file of known hosts.
    let lost = try_it(&memory, &nobody, 4, &site(port, &format!("{by_key}, knownHosts: /"), ""));
    assert!(why(&lost).message.contains("known hosts file / cannot be read"), "{lost:?}");
}

#[test]
fn several_are_tried_at_once_and_one_password_is_asked_for_once() {
    let server = Server::start();
    let memory = Memory::default();
    let asked = AtomicUsize::new(0);
    let ask = |_: &str| {
        asked.fetch_add(1, Ordering::SeqCst);
        Ok(SecretString::from("not this one"))
    };
    let pinned = format!(", hostKey: \"{}\"", server.fingerprint());
    let site = Arc::new(site(server.port, "password: {prompt: access.password}", &pinned));
    let effects: Vec<Effect> = ["m1", "m1", "m1", "m9"]
        .into_iter()
        .map(|host| Effect::Reach { serial: 1, host: host.to_owned(), site: Arc::clone(&site) })
        .collect();
    let told = door(&memory, &ask).try_together(effects);
    let mut names: Vec<_> = told
        .iter()
        .map(|message| match message {
            Message::Reached { host, outcome: Reached::Failed { .. }, .. } => host.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    names.sort_unstable();
    assert_eq!((names, asked.load(Ordering::SeqCst)), (vec!["m1", "m1", "m1", "m9"], 1));
}

#[test]
fn no_host_waits_for_another() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It answers nobody before all are there.
    let server = std::thread::spawn(move || {
        let mut streams: Vec<_> = listener.incoming().take(AT_ONCE).map(Result::unwrap).collect();
        for stream in &mut streams {
            assert!(stream.read(&mut [0; 64]).unwrap() > 0, "they greet first");
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let by_key = format!("privateKey: {{file: {}}}", new_key(folder.path(), "user").display());
    let site = Arc::new(site(port, &by_key, ""));
    let one = || Effect::Reach { serial: 1, host: "m1".to_owned(), site: Arc::clone(&site) };
    let memory = Memory::default();
    let told = door(&memory, &nobody).try_together((0..AT_ONCE).map(|_| one()).collect());
    assert_eq!(told.len(), AT_ONCE);
    for message in told {
        let Message::Reached { outcome, .. } = message else { unreachable!("{message:?}") };
        assert!(why(&outcome).message.contains("the SSH handshake with m1"), "{outcome:?}");
    }
    server.join().unwrap();
}

#[test]
fn a_bastion_shows_its_key_before_the_host_behind_it() {
    let server = Server::start();
    let memory = Memory::default();
    let through = |pin_of_bastion: &str, pin_of_host: &str| {
        let way = format!("{{address: 127.0.0.1, port: {}, user: root{pin_of_bastion}}}", server.port);
        let access = format!("privateKey: {{file: {}}}, bastion: {way}", server.user_key());
        site(server.port, &access, pin_of_host)
    };
    let pin = format!(", hostKey: \"{}\"", server.fingerprint());
    let whose = |outcome: Reached| match outcome {
        Reached::NewKey(NewKey { whose, key }) => {
            assert_eq!(key.fingerprint, server.fingerprint());
            whose
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(whose(try_it(&memory, &nobody, 1, &through("", &pin))), Whose::Bastion);
    // A file of known hosts that is not there yet knows nobody.
    let access = format!("privateKey: {{file: {}}}, knownHosts: /nowhere/hosts", server.user_key());
    let missing = site(server.port, &access, "");
    assert_eq!(whose(try_it(&memory, &nobody, 1, &missing)), Whose::Host("m1".to_owned()));
    let confirmed = site(server.port, &access, &pin);
    assert!(matches!(try_it(&memory, &nobody, 1, &confirmed), Reached::In { .. }));
    assert_eq!(whose(try_it(&memory, &nobody, 2, &through(&pin, ""))), Whose::Host("m1".to_owned()));
    let outcome = try_it(&memory, &nobody, 3, &through(&pin, &pin));
    assert!(matches!(outcome, Reached::In { .. }), "{outcome:?}");
}
