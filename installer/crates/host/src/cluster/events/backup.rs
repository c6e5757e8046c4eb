//! Snapshots of this master's member: one is taken, proven and named by the moment; the oldest of this member go.
//!
//! A snapshot bears its name only when it is whole, so what is found in the folder can be trusted. Several masters may
//! have one folder, on a disk that they share: each looks at its own snapshots only.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealift_bundle::digest;

use super::super::etcd::EVENTS;
use crate::context::Context;
use crate::file;
use crate::protocol::{Failure, FailureKind};

/// Longest time for a snapshot. At most 2 GiB come over the loopback address; a disk that takes longer is broken.
const LIMIT: Duration = Duration::from_mins(15);
/// What etcd puts behind a snapshot: SHA-256 of all before it, bytes.
const PROOF: usize = 32;
/// Ends the names of snapshots.
const END: &str = ".db";
/// The moment in a name, UTC: later ones sort behind.
const MOMENT: &str = "%Y%m%dT%H%M%S%.3fZ";

/// What is backed up, and how much of it is kept.
#[derive(Debug, Clone)]
pub struct EventsBackup {
    /// This master's name, with which its snapshots' names begin.
    pub member: String,
    /// Folder on the host.
    pub folder: String,
    /// Snapshots that are kept; the one that is taken always is.
    pub keep: usize,
}

/// A snapshot that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it stands.
    pub file: PathBuf,
    /// Its size, bytes.
    pub bytes: u64,
    /// Older ones that were removed.
    pub removed: usize,
}

/// Takes a snapshot, and removes all but the newest.
pub fn back_up_events(ctx: &Context<'_>, rule: &EventsBackup) -> Result<Snapshot, Failure> {
    let folder = ctx.paths().host(&rule.folder);
    let next = folder.join(format!(".{}.next", rule.member));
    let bytes = take(ctx, &next).inspect_err(|_| clear(&next))?;
    let name = format!("{}_{}{END}", rule.member, jiff::Timestamp::now().strftime(MOMENT));
    let file = folder.join(&name);
    fs::rename(&next, &file).map_err(|error| Failure::io("write", &file, &error))?;
    file::sync_folder(&file)?;
    let removed = remove_old(&folder, rule, &name)?;
    Ok(Snapshot { file, bytes, removed })
}

/// Writes a snapshot and holds it against its proof. Gives its size.
fn take(ctx: &Context<'_>, next: &Path) -> Result<u64, Failure> {
    // A snapshot waits without end for a member that is down.
    ctx.run(EVENTS.own_status())?;
    ctx.run(EVENTS.save_snapshot(next, LIMIT))?;
    // etcdctl writes for root alone; this says so whatever its version does.
    file::set_mode(next, 0o600)?;
    let unread = |error: std::io::Error| Failure::io("read", next, &error);
    let mut file = File::open(next).map_err(unread)?;
    let bytes = file.metadata().map_err(unread)?.len();
    let content = bytes.saturating_sub(PROOF as u64);
    let (found, _) = digest::of_all(&mut (&mut file).take(content)).map_err(unread)?;
    let mut proof = Vec::with_capacity(PROOF);
    file.read_to_end(&mut proof).map_err(unread)?;
    if content > 0 && found == format!("{}{}", digest::PREFIX, hex(&proof)) {
        return Ok(bytes);
    }
    let message = format!("the snapshot {} is not what the database of events sent", next.display());
    Err(Failure::new(FailureKind::Verification, message)
        .cause(format!("its {bytes} bytes do not end with the SHA-256 of all before"))
        .hint("nothing is lost, and the older snapshots stay; if the next one fails, too, have the host's disk and memory tested"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Takes away what was not finished, as far as it can: the next snapshot is written over it.
fn clear(next: &Path) {
    // etcdctl's own name for what is still coming: it stays where etcdctl was killed.
    for path in [next.with_extension("next.part"), next.to_owned()] {
        let _ = fs::remove_file(path);
    }
}

/// Removes this member's oldest snapshots but never the one just taken, whatever the clock says. Gives how many.
fn remove_old(folder: &Path, rule: &EventsBackup, taken: &str) -> Result<usize, Failure> {
    let unread = |error: std::io::Error| Failure::io("read", folder, &error);
    let mut others = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let name = entry.map_err(unread)?.file_name();
        others.extend(
            name.to_str().filter(|name| *name != taken && is_of(name, &rule.member)).map(str::to_owned),
        );
    }
    others.sort_unstable();
    others.truncate((others.len() + 1).saturating_sub(rule.keep.max(1)));
    for name in &others {
        file::remove_if_exists(&folder.join(name))?;
    }
    Ok(others.len())
}

/// Whether a file is a snapshot of this member: no name of a host has the mark between name and moment.
fn is_of(name: &str, member: &str) -> bool {
    let moment = name.strip_prefix(member).and_then(|rest| rest.strip_prefix('_')?.strip_suffix(END));
    moment.is_some_and(|moment| jiff::civil::DateTime::strptime(MOMENT, moment).is_ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    const FOLDER: &str = "/mnt/copies";

    /// A master whose `etcdctl` writes down what it was told and gives this file as its snapshot.
    fn master(content: &[u8]) -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        for folder in [FOLDER, "/usr/local/bin"] {
            fs::create_dir_all(paths.host(folder)).unwrap();
        }
        let script = "#!/bin/sh\nhere=${0%/*}\necho \"$*\" >>\"$here/told\"\nfor file; do :; done\n\
            case \"$*\" in *' endpoint status') [ ! -e \"$here/down\" ]; exit ;; esac\n\
            cp \"$here/sent\" \"$file\"\nchmod 644 \"$file\"\n[ ! -e \"$here/broken\" ] || exit 1\n";
        sealift_bundle::testing::program(&paths.host("/usr/local/bin/etcdctl"), script);
        fs::write(paths.host("/usr/local/bin/sent"), content).unwrap();
        (root, paths)
    }

    /// As etcd sends it.
    fn snapshot() -> Vec<u8> {
        let mut content = vec![7; 4096];
        let proof = digest::digest_of(&content);
        let hex = digest::hex(&proof).unwrap().as_bytes().chunks(2);
        content.extend(hex.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()));
        content
    }

    fn run(paths: &Paths, member: &str, keep: usize) -> Result<Snapshot, Failure> {
        let rule = EventsBackup { member: member.to_owned(), folder: FOLDER.to_owned(), keep };
        back_up_events(&Context::new(paths, &Recorder::default(), "", ""), &rule)
    }

    fn told(paths: &Paths) -> Vec<String> {
        let told = fs::read_to_string(paths.host("/usr/local/bin/told")).unwrap();
        told.lines().map(str::to_owned).collect()
    }

    fn names(paths: &Paths) -> Vec<String> {
        let entries = fs::read_dir(paths.host(FOLDER)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_snapshot_is_taken_of_the_own_member_and_is_for_root_alone() {
        let (_root, paths) = master(&snapshot());
        let taken = run(&paths, "m1", 3).unwrap();
        assert_eq!((taken.bytes, taken.removed), (4096 + PROOF as u64, 0));
        assert_eq!(fs::read(&taken.file).unwrap(), snapshot());
        assert_eq!(fs::metadata(&taken.file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(names(&paths), [taken.file.file_name().unwrap().to_str().unwrap()]);
        let told = told(&paths);
        assert!(told.iter().all(|one| one.starts_with("--endpoints=https://127.0.0.1:2382 ")), "{told:?}");
        assert!(!told[1].contains("--command-timeout"), "all of a database takes its time: {told:?}");
    }

    #[test]
    fn the_newest_of_this_member_are_kept() {
        let (_root, paths) = master(&snapshot());
        let old = ["m1_20260101T000000.000Z.db", "m1_20260101T010000.000Z.db", "m1_20260101T020000.000Z.db"];
        let others = ["m1-2_20250101T000000.000Z.db", "m10_20250101T000000.000Z.db", "m1_notes.db", "m2.db"];
        for name in old.iter().chain(&others) {
            fs::write(paths.host(FOLDER).join(name), "x").unwrap();
        }
        assert_eq!(run(&paths, "m1", 3).unwrap().removed, 1);
        let left = names(&paths);
        assert!(!left.iter().any(|name| name == old[0]), "{left:?}");
        assert!(others.iter().chain(&old[1..]).all(|name| left.iter().any(|one| one == name)), "{left:?}");
        assert_eq!(run(&paths, "m1", 1).unwrap().removed, 3);
        assert_eq!(names(&paths).len(), others.len() + 1);
    }

    #[test]
    fn the_one_just_taken_stays_when_the_clock_was_set_back() {
        let (_root, paths) = master(&snapshot());
        let later = "m1_29990101T000000.000Z.db";
        fs::write(paths.host(FOLDER).join(later), "x").unwrap();
        let taken = run(&paths, "m1", 1).unwrap();
        assert!(taken.file.exists() && taken.removed == 1);
        assert_eq!(names(&paths).len(), 1);
    }

    #[test]
    fn what_is_cut_or_wrong_is_never_kept_and_takes_no_older_one_away() {
        let whole = snapshot();
        let mut flipped = whole.clone();
        flipped[100] ^= 1;
        for content in [&flipped[..], &whole[..whole.len() - 1], &whole[..4096], &whole[4096..], &[]] {
            let (_root, paths) = master(content);
            let old = "m1_20260101T000000.000Z.db";
            fs::write(paths.host(FOLDER).join(old), "x").unwrap();
            let failure = run(&paths, "m1", 1).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Verification, "{failure}");
            assert!(failure.causes[0].contains(&format!("its {} bytes", content.len())), "{failure:?}");
            assert_eq!(names(&paths), [old]);
        }
    }

    #[test]
    fn a_database_that_sends_nothing_leaves_nothing() {
        let (_root, paths) = master(&snapshot());
        fs::write(paths.host("/usr/local/bin/broken"), "").unwrap();
        assert_eq!(run(&paths, "m1", 3).unwrap_err().kind, FailureKind::Command);
        assert!(names(&paths).is_empty());

        fs::write(paths.host("/usr/local/bin/down"), "").unwrap();
        assert_eq!(run(&paths, "m1", 3).unwrap_err().kind, FailureKind::Command);
        let last = told(&paths).pop().unwrap();
        assert!(last.ends_with(" --command-timeout=5s endpoint status"), "nobody waits for it: {last}");
    }
}
