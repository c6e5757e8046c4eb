//! How fast small writes reach a disk, each waited for, as etcd's log does it.
//!
//! The figures are those of the recipe that etcd's own documentation gives for `fio`: 2300-byte writes, `fdatasync`
//! after each, 22 MiB in all. Three runs, because one run on a shared disk says little; the median of their 99th
//! percentiles counts. The file has no name from the start, so nothing is left behind however this ends.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use sealift_checks::facts::WriteTimes;

use crate::context::Context;
use crate::protocol::Failure;

/// One write, bytes.
const WRITE: usize = 2300;
/// Writes of one run: 22 MiB.
const WRITES: usize = (22 << 20) / WRITE;
/// Runs.
const RUNS: u64 = 3;
/// Longest run. A disk on which it ends early is slow enough to tell from fewer writes.
const LONGEST: Duration = Duration::from_secs(20);
/// Room that must be there, bytes: the file is on a disk that others need.
const ROOM: u64 = 256 << 20;
/// Writes between two looks whether anybody still wants to know.
const LOOK: usize = 128;

/// Measures below the nearest existing folder of `path`.
pub fn time_writes(ctx: &Context<'_>, path: &str) -> Result<WriteTimes, Failure> {
    time(ctx, path, WRITES)
}

/// With so many writes in each run.
pub(super) fn time(ctx: &Context<'_>, path: &str, count: usize) -> Result<WriteTimes, Failure> {
    let mut folders =
        Path::new(path).ancestors().map(|folder| ctx.paths().host(&folder.display().to_string()));
    let folder = folders
        .find(|folder| folder.is_dir())
        .ok_or_else(|| Failure::other(format!("no folder of {path} exists")))?;
    let refused = |what: &str, error: &io::Error| {
        Failure::other(format!("{what} below {path} ({})", folder.display())).because(error)
    };
    let size =
        rustix::fs::statvfs(&folder).map_err(|error| refused("cannot measure the room", &error.into()))?;
    if size.f_bavail.saturating_mul(size.f_frsize) < ROOM {
        return Err(Failure::other(format!(
            "less than {} MiB are free for the measurement below {path}",
            ROOM >> 20
        )));
    }
    let mut file = nameless(&folder).map_err(|error| refused("cannot make a file without a name", &error))?;
    let (mut runs, mut writes) = (Vec::new(), 0);
    for run in 0..RUNS {
        file.rewind()
            .and_then(|()| file.set_len(0))
            .map_err(|error| refused("cannot empty the file", &error))?;
        let times = one_run(ctx, &mut file, run, count).map_err(|error| refused("cannot write", &error))?;
        ctx.still_wanted()?;
        writes += times.len() as u64;
        runs.push(percentile_99(times));
    }
    Ok(WriteTimes { path: folder.display().to_string(), p99_micros: median(&runs), runs, writes })
}

fn one_run(ctx: &Context<'_>, file: &mut File, run: u64, count: usize) -> io::Result<Vec<u64>> {
    let content = [0x5a; WRITE];
    let started = Instant::now();
    let mut times = Vec::with_capacity(count);
    while times.len() < count && started.elapsed() < LONGEST {
        if times.len() % LOOK == 0 {
            if ctx.reporter().lost() {
                break;
            }
            let done = run * count as u64 + times.len() as u64;
            ctx.progress("timing writes to the database's disk", done, RUNS * count as u64);
        }
        let before = Instant::now();
        file.write_all(&content)?;
        rustix::fs::fdatasync(&*file)?;
        times.push(u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(times)
}

/// A file that is gone when its last user is; where the file system cannot make one, it is made and removed at once.
fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(File::from(file)),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => {
            let path = folder.join(format!(".sealift-writes-{}", std::process::id()));
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            std::fs::remove_file(&path)?;
            Ok(file)
        }
        Err(error) => Err(error.into()),
    }
}

/// The value that 99 of 100 do not exceed; 0 of none.
pub(super) fn percentile_99(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or(0)
}

/// The middle one; of an even number the upper of the two in the middle.
pub(super) fn median(runs: &[u64]) -> u64 {
    let mut sorted = runs.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}
