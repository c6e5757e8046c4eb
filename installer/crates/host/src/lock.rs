//! Keeps two runs apart on one host, and two sessions apart on one step.
//!
//! Both are kernel locks on files below `/run/sealift`: they go with the process that holds them, so a killed
//! agent leaves nothing stale, and a boot clears all. The run's lock is shared by all sessions of that run; who
//! holds it stands in the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use sealift_bundle::digest::digest_of;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::file;
use crate::protocol::{Failure, FailureKind};

/// How long a lock is waited for: agents need this long to notice that their seat's cable was pulled for good
/// (20 seconds of silence) and to end what they do.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the agent of the same step may need to end.
const STEP_PATIENCE: Duration = Duration::from_mins(2);

/// Who holds a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Holder {
    owner: String,
    run: String,
    /// Process that took it first; others of the same run may have joined.
    pid: u32,
    boot_id: String,
}

/// A locked file, until dropped. It gives the lock back itself: closing the file would leave it with the copy that a
/// program being started on another thread has of every open file until it is loaded (flock(2)).
#[derive(Debug)]
pub(crate) struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Where this fails, the lock goes with the last copy.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// A run's hold on this host, until dropped.
#[derive(Debug)]
pub(crate) struct RunLock {
    run: String,
    _file: Locked,
}

impl RunLock {
    pub(crate) fn run(&self) -> &str {
        &self.run
    }
}

/// Takes the host for a run. Another run that holds it gets [`PATIENCE`] to end, then it is named.
pub(crate) fn take(ctx: &Context<'_>, owner: &str, run: &str) -> Result<RunLock, Failure> {
    let holder = Holder {
        owner: owner.to_owned(),
        run: run.to_owned(),
        pid: std::process::id(),
        boot_id: boot_id(ctx),
    };
    take_within(ctx, &holder, PATIENCE)
}

fn take_within(ctx: &Context<'_>, holder: &Holder, patience: Duration) -> Result<RunLock, Failure> {
    let started = Instant::now();
    loop {
        match try_take(ctx, holder)? {
            Ok(lock) => return Ok(lock),
            Err(other) if started.elapsed() >= patience => return Err(locked_by(&other)),
            Err(other) => {
                ctx.still_wanted()?;
                ctx.progress(format!("waiting for the run of {} to let go of this host", other.owner), 0, 0);
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

/// One attempt; the inner error is the run that holds the host.
fn try_take(ctx: &Context<'_>, holder: &Holder) -> Result<Result<RunLock, Holder>, Failure> {
    file::make_state_folder(&ctx.paths().run())?;
    let path = ctx.paths().run().join("lock");
    let failed = |error: io::Error| Failure::io("lock", &path, &error);
    // All takers pass through the guard, one at a time, so that taking and writing down who took it are one.
    let guard = open(&ctx.paths().run().join("lock.guard"))?;
    flock(&guard, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
    let mut file = open(&path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => write_holder(&mut file, holder).map_err(failed)?,
        Err(Errno::WOULDBLOCK) => {
            let other = read_holder(&mut file).map_err(failed)?;
            if other.run != holder.run {
                return Ok(Err(other));
            }
        }
        Err(error) => return Err(failed(error.into())),
    }
    flock(&file, FlockOperation::NonBlockingLockShared).map_err(|error| failed(error.into()))?;
    Ok(Ok(RunLock { run: holder.run.clone(), _file: Locked(file) }))
}

fn locked_by(other: &Holder) -> Failure {
    Failure::new(FailureKind::Locked, format!("{} is working on this host (run {})", other.owner, other.run))
        .hint(format!(
            "wait until that run ends; if its seat is gone for good, end its agent on the host: `kill {}`",
            other.pid
        ))
}

/// The turn of one step on this host, until dropped: the agent of a lost session may still be at it.
pub(crate) fn step(ctx: &Context<'_>) -> Result<Locked, Failure> {
    let folder = ctx.paths().run().join("steps");
    file::make_state_folder(&folder)?;
    let name = digest_of(ctx.step_id().as_bytes());
    let file = open(&folder.join(name.trim_start_matches("sha256:")))?;
    wait_for(ctx, &file, STEP_PATIENCE, "waiting for an earlier session to end this step")?;
    Ok(Locked(file))
}

/// Waits for an exclusive lock on an open file.
pub(crate) fn wait_for(
    ctx: &Context<'_>,
    file: &File,
    patience: Duration,
    message: &str,
) -> Result<(), Failure> {
    let started = Instant::now();
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK) if started.elapsed() < patience => {
                ctx.still_wanted()?;
                ctx.progress(message, 0, 0);
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(Failure::new(FailureKind::Locked, "an earlier session is still at this step"));
            }
            Err(error) => return Err(Failure::other("cannot lock a file").because(&error)),
        }
    }
}

fn boot_id(ctx: &Context<'_>) -> String {
    let path = ctx.paths().host("/proc/sys/kernel/random/boot_id");
    std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn open(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::io("open", path, &error))
}

fn write_holder(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&serde_json::to_vec(holder)?)
}

fn read_holder(file: &mut File) -> io::Result<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    fn holder(run: &str) -> Holder {
        Holder { owner: "ann@seat".to_owned(), run: run.to_owned(), pid: 7, boot_id: String::new() }
    }

    #[test]
    fn sessions_of_one_run_share_and_another_run_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "", "");
        let first = take(&ctx, "ann@seat", "run-1").unwrap();
        let second = take(&ctx, "ann@seat", "run-1").unwrap();
        assert_eq!((first.run(), second.run()), ("run-1", "run-1"));
        let refused = take_within(&ctx, &holder("run-2"), Duration::ZERO).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Locked);
        assert!(refused.message.contains("ann@seat") && refused.message.contains("run-1"), "{refused}");
        // The first taker may end; the second still holds the host.
        drop(first);
        assert!(take_within(&ctx, &holder("run-2"), Duration::ZERO).is_err());
        drop(second);
        assert_eq!(take_within(&ctx, &holder("run-2"), Duration::ZERO).unwrap().run(), "run-2");
    }

    #[test]
    fn a_run_that_ends_meanwhile_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "", "");
        let first = take(&ctx, "ann@seat", "run-1").unwrap();
        let taken = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let ctx = Context::new(&paths, &recorder, "", "");
                take(&ctx, "bob@seat", "run-2").map(|lock| lock.run().to_owned())
            });
            // Lets go once the other one has said that it waits.
            while recorder.0.lock().unwrap().is_empty() {
                std::thread::yield_now();
            }
            drop(first);
            waiting.join().unwrap()
        });
        assert_eq!(taken.unwrap(), "run-2");
    }

    #[test]
    fn one_step_is_done_by_one_session_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let turn = step(&Context::new(&paths, &recorder, "r", "step-1")).unwrap();
        let other_step = step(&Context::new(&paths, &recorder, "r", "step-2"));
        assert!(other_step.is_ok());
        let path = paths.run().join("steps").join(&digest_of(b"step-1")[7..]);
        let again = File::open(path).unwrap();
        assert_eq!(flock(&again, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
        // What a child has between its fork and its exec.
        let child = turn.0.try_clone().unwrap();
        drop(turn);
        assert_eq!(flock(&again, FlockOperation::NonBlockingLockExclusive), Ok(()));
        drop(child);
    }
}
