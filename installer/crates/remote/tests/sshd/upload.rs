//! Bringing the program over.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_remote::{AgentProgram, AgentSession, RemoteError, Timeouts};

use crate::fixture::{Account, Program, Sshd, ask, connect, names};

/// A file system on which nothing may run, unmounted when dropped.
struct NoExec(PathBuf);

impl NoExec {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).expect("own folder");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "noexec,size=64m", "none"]).arg(&at).output();
        let mounted = mounted.expect("mount runs: Debian package mount");
        assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
        Self(at)
    }
}

impl Drop for NoExec {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn the_program_is_brought_once_used_again_and_removed() {
    let sshd = Sshd::with("MaxSessions 1\n", &["ed25519"]);
    let program = Program::new();
    let digest = &program.agent.digest["sha256:".len()..];
    let name = format!(".sealift-agent-{}", &digest[..16]);
    let first = connect(&sshd.target(), &program);
    assert_eq!(program.on_host(), std::slice::from_ref(&name));
    let path = Path::new(&program.agent.folders[0]).join(&name);
    assert_eq!(first.temporary_program(), path.to_str());
    let before = fs::metadata(&path).expect("the program");
    assert_eq!(before.permissions().mode() & 0o7777, 0o700);
    let second = connect(&sshd.target(), &program);
    assert_eq!(fs::metadata(&path).expect("the program").ino(), before.ino());
    second.finish().expect("a clean end");
    assert_eq!(program.on_host(), [name]);
    first.cleanup().expect("a clean end");
    assert!(program.on_host().is_empty());
}

#[test]
fn other_hosts_take_the_program_from_the_first_one() {
    let sshd = Sshd::start();
    let program = Program::new();
    // Another host is another folder here.
    let neighbour = |name: &str| {
        let folder = program.folder.path().join(name);
        fs::create_dir(&folder).expect("own folder");
        AgentProgram { folders: vec![folder.to_str().expect("plain").to_owned()], ..program.agent.clone() }
    };
    let first = connect(&sshd.target(), &program);
    // The seat could not bring it any more.
    let kept = fs::read(&program.agent.path).expect("the program");
    fs::remove_file(&program.agent.path).expect("own file");
    let second = neighbour("second");
    let session = AgentSession::connect(&sshd.target(), &second, Timeouts::default()).expect("a session");
    assert!(
        session.temporary_program().is_some_and(|path| path.starts_with(&second.folders[0])),
        "{session:?}"
    );
    // The first one is gone: the seat brings it again.
    first.finish().expect("a clean end");
    let third = neighbour("third");
    let error = AgentSession::connect(&sshd.target(), &third, Timeouts::default()).expect_err("no program");
    assert!(matches!(error, RemoteError::AgentProgram { .. }), "{error:?}");
    fs::write(&program.agent.path, kept).expect("own folder");
    AgentSession::connect(&sshd.target(), &third, Timeouts::default()).expect("a session");
}

#[test]
fn an_installed_program_of_the_same_digest_is_used_in_place() {
    let sshd = Sshd::start();
    let program = Program::new();
    fs::copy(&program.agent.path, &program.agent.installed_at).expect("own folder");
    fs::set_permissions(&program.agent.installed_at, fs::Permissions::from_mode(0o755)).expect("own file");
    let mut session = connect(&sshd.target(), &program);
    assert_eq!(session.temporary_program(), None);
    assert_eq!(
        ask(&mut session, "uid").expect("an answer"),
        format!("uid 0 from {}", program.agent.installed_at)
    );
    session.cleanup().expect("a clean end");
    assert!(program.on_host().is_empty() && Path::new(&program.agent.installed_at).exists());
    // Another version of it does not count.
    fs::remove_file(&program.agent.installed_at).expect("own file");
    fs::write(&program.agent.installed_at, "an older one").expect("own file");
    assert!(connect(&sshd.target(), &program).temporary_program().is_some());
}

#[test]
fn folders_that_do_not_let_programs_run_are_passed_over() {
    let sshd = Sshd::start();
    let mut program = Program::new();
    let good = program.agent.folders[0].clone();
    let noexec = NoExec::mount(program.folder.path().join("no exec 'here'"));
    let noexec_name = noexec.0.to_str().expect("plain").to_owned();
    program.agent.folders =
        vec!["/nowhere/at/all".to_owned(), noexec_name.clone(), "/proc".to_owned(), good.clone()];
    let session = connect(&sshd.target(), &program);
    assert!(session.temporary_program().is_some_and(|path| path.starts_with(&good)), "{session:?}");
    drop(session);
    program.agent.folders.pop();
    let error = AgentSession::connect(&sshd.target(), &program.agent, Timeouts::default())
        .expect_err("nowhere to go");
    let RemoteError::NoExecFolder { refusals, .. } = &error else { panic!("{error:?}") };
    let told: Vec<_> =
        refusals.iter().map(|refusal| (refusal.folder.as_str(), refusal.reason.as_str())).collect();
    let expected = [
        ("/nowhere/at/all", "no such folder"),
        (noexec_name.as_str(), "does not let programs run"),
        ("/proc", "cannot be written"),
    ];
    assert_eq!(told, expected);
    assert!(names(&noexec.0).is_empty());
}

#[test]
fn a_folder_that_is_too_full_is_passed_over_and_left_clean() {
    let sshd = Sshd::start();
    let mut program = Program::new();
    let full = NoExec(program.folder.path().join("full"));
    fs::create_dir(&full.0).expect("own folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(&full.0).status();
    assert!(mounted.expect("mount runs: Debian package mount").success());
    let good = program.agent.folders[0].clone();
    program.agent.folders = vec![full.0.to_str().expect("plain").to_owned(), good.clone()];
    let session = connect(&sshd.target(), &program);
    assert!(session.temporary_program().is_some_and(|path| path.starts_with(&good)), "{session:?}");
    drop(session);
    assert!(names(&full.0).is_empty());
    program.agent.folders.pop();
    let error =
        AgentSession::connect(&sshd.target(), &program.agent, Timeouts::default()).expect_err("no room");
    assert!(error.to_string().contains("No space left on device"), "{error}");
}

#[test]
fn what_others_could_have_changed_is_not_run() {
    let sshd = Sshd::start();
    let other = Account::new();
    let program = Program::new();
    let digest = &program.agent.digest["sha256:".len()..];
    let path = Path::new(&program.agent.folders[0]).join(format!(".sealift-agent-{}", &digest[..16]));
    let inode = |path: &Path| fs::symlink_metadata(path).expect("it is there").ino();
    let plant = |mode| {
        let _ = fs::remove_file(&path);
        fs::copy(&program.agent.path, &path).expect("own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
        inode(&path)
    };
    // Right digest, and writable for others.
    let planted = plant(0o777);
    drop(connect(&sshd.target(), &program));
    assert_ne!(inode(&path), planted);
    // Right digest, and somebody else's.
    let planted = plant(0o700);
    let owned = Command::new("chown").arg(&other.name).arg(&path).status().expect("chown runs");
    assert!(owned.success());
    drop(connect(&sshd.target(), &program));
    assert_ne!(inode(&path), planted);
    // A link to the right file.
    fs::remove_file(&path).expect("own folder");
    symlink(&program.agent.path, &path).expect("own folder");
    drop(connect(&sshd.target(), &program));
    assert!(!fs::symlink_metadata(&path).expect("it is there").is_symlink());
    assert_eq!(fs::symlink_metadata(&path).expect("it is there").uid(), 0);
}

#[test]
fn sessions_that_start_at_once_do_not_disturb_each_other() {
    let sshd = Sshd::start();
    let program = Program::new();
    let target = sshd.target();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut session = connect(&target, &program);
                    ask(&mut session, "uid").expect("an answer")
                })
            })
            .collect();
        for thread in threads {
            assert!(thread.join().expect("no panic").starts_with("uid 0"));
        }
    });
    assert_eq!(program.on_host().len(), 1);
}

#[test]
fn a_program_that_cannot_be_read_or_named_is_the_seats_own_trouble() {
    let sshd = Sshd::start();
    let mut program = Program::new();
    program.agent.path = program.folder.path().join("missing");
    let error =
        AgentSession::connect(&sshd.target(), &program.agent, Timeouts::default()).expect_err("no file");
    assert!(matches!(error, RemoteError::AgentProgram { .. }), "{error:?}");
    program.agent.digest = "sha256:; rm -rf /".to_owned();
    let error =
        AgentSession::connect(&sshd.target(), &program.agent, Timeouts::default()).expect_err("no digest");
    assert!(matches!(error, RemoteError::AgentProgram { .. }), "{error:?}");
}

#[test]
fn a_file_that_is_not_what_its_digest_says_is_not_run() {
    let sshd = Sshd::start();
    let program = Program::new();
    fs::write(&program.agent.path, "changed since").expect("own folder");
    let error =
        AgentSession::connect(&sshd.target(), &program.agent, Timeouts::default()).expect_err("another file");
    let RemoteError::NoExecFolder { refusals, .. } = &error else { panic!("{error:?}") };
    assert!(refusals[0].reason.contains("does not have the digest"), "{error}");
    assert!(program.on_host().is_empty());
}

#[test]
fn a_program_that_does_not_start_is_named_with_its_words() {
    use sha2::Digest;
    let sshd = Sshd::start();
    let mut program = Program::new();
    let script = "#!/bin/sh\necho this is not for your processor >&2\nexit 3\n";
    fs::write(&program.agent.path, script).expect("own folder");
    program.agent.digest = format!("sha256:{}", crate::fixture::hex(&sha2::Sha256::digest(script)));
    let error =
        AgentSession::connect(&sshd.target(), &program.agent, Timeouts::default()).expect_err("no agent");
    let RemoteError::AgentStart { said_text, .. } = &error else { panic!("{error:?}") };
    assert!(said_text.contains("not for your processor"), "{said_text}");
}
