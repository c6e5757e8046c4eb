//! Cuts a bundle into parts, and joins parts: the vendor's half of [`crate::parts`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::BundleError;
use crate::layout::{LAYOUT_CONTENT, LAYOUT_FILE};
use crate::member::{BLOCK, header};
use crate::output::{Output, finish_all_new};
use crate::parts::{self, MOST_PARTS, part_paths};
use crate::remains::layout;
use crate::source::{Part, read_full};

/// Smallest part. What is smaller serves no medium.
pub const SMALLEST_PART: u64 = 4 << 10;
/// Bytes copied between two reports of progress.
const STEP: u64 = 16 << 20;

/// Why a bundle was not split or joined. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// What should be split or joined cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Parts below the floor, or too many of them.
    #[error("parts of {part_size} bytes: {reason}")]
    PartSize {
        /// Bytes of a part.
        part_size: u64,
        /// Why that does not do.
        reason: String,
    },
    /// Something is there under a name that would be written.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The bundle cannot be read.
    #[error("{}: cannot be read", .path.display())]
    Read {
        /// The bundle.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Bytes of the bundle that `path` names: one file, or parts, by the first of them or their common name.
///
/// # Errors
/// When it is not there, or a part is missing.
pub fn size(path: &Path) -> Result<u64, SplitError> {
    Ok(parts::open(path)?.size())
}

/// Cuts the bundle file `bundle` into parts of `part_size` bytes, named as it is, in `folder`; gives their paths. All
/// get their names when all are written. `progress` gets bytes done and bytes in all.
///
/// # Errors
/// When `bundle` is none, the parts would be too small or too many, parts are there already, or writing fails.
pub fn split(
    bundle: &Path,
    part_size: u64,
    folder: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<Vec<PathBuf>, SplitError> {
    let cannot = |source| SplitError::Read { path: bundle.to_owned(), source };
    let mut file = File::open(bundle).map_err(cannot)?;
    let total = file.metadata().map_err(cannot)?.len();
    let mut block = [0; BLOCK];
    let count = file.read(&mut block).map_err(cannot)?;
    if count < BLOCK || block != header(LAYOUT_FILE, LAYOUT_CONTENT.len() as u64) {
        let reason = "it does not start as one".to_owned();
        return Err(BundleError::NotABundle { path: bundle.to_owned(), reason }.into());
    }
    let whole = folder.join(bundle.file_name().unwrap_or_default());
    let parts = planned(&whole, total, part_size)?;
    let mut done = 0;
    let mut written = Vec::new();
    for part in parts {
        let output = Output::create(&part.path).map_err(write_error(&part.path))?;
        copy(bundle, &file, &part, output.file(), &mut |count| {
            done += count;
            progress(done, total);
        })?;
        written.push(output);
    }
    finish_all_new(written).map_err(|(path, error)| write_error(&path)(error))
}

/// The parts, when nothing speaks against them.
fn planned(whole: &Path, total: u64, part_size: u64) -> Result<Vec<Part>, SplitError> {
    let refused = |reason: String| SplitError::PartSize { part_size, reason };
    if part_size < SMALLEST_PART {
        return Err(refused(format!("at least {SMALLEST_PART} bytes are needed")));
    }
    let parts = layout(whole, total, part_size).ok_or_else(|| {
        let least = total.div_ceil(MOST_PARTS as u64);
        refused(format!("there would be more than {MOST_PARTS}; take at least {least} bytes"))
    })?;
    // Also one behind the last: a reader would take it for a part.
    let present = part_paths(whole).map_err(write_error(whole))?;
    match present.into_values().next() {
        Some(path) => Err(SplitError::Exists { path }),
        None => Ok(parts),
    }
}

fn copy(
    bundle: &Path,
    mut file: &File,
    part: &Part,
    mut output: &File,
    advance: &mut dyn FnMut(u64),
) -> Result<(), SplitError> {
    let cannot_read = |source| SplitError::Read { path: bundle.to_owned(), source };
    io::Seek::seek(&mut file, io::SeekFrom::Start(part.start)).map_err(cannot_read)?;
    let mut left = part.size;
    while left > 0 {
        // Between files the kernel copies, and shares blocks where the file system can.
        let count = io::copy(&mut file.take(left.min(STEP)), &mut output).map_err(write_error(&part.path))?;
        if count == 0 {
            return Err(cannot_read(io::ErrorKind::UnexpectedEof.into()));
        }
        left -= count;
        advance(count);
    }
    output.sync_all().map_err(write_error(&part.path))
}

/// Joins the parts that `path` names (the first, or their common name) into the file `target`; gives its size. What is
/// in it is not looked at: opening and verifying the parts does that.
///
/// # Errors
/// When a part is missing, reading or writing fails, or `target` is there already.
pub fn join(path: &Path, target: &Path, progress: &dyn Fn(u64, u64)) -> Result<u64, SplitError> {
    let source = parts::open(path)?;
    if target.symlink_metadata().is_ok() {
        return Err(SplitError::Exists { path: target.to_owned() });
    }
    let total = source.size();
    let mut output = Output::create(target).map_err(write_error(target))?;
    let mut buffer = vec![0; 1 << 20];
    let mut done = 0;
    while done < total {
        let count = read_full(source.as_ref(), &mut buffer, done)
            .map_err(|source| SplitError::Read { path: path.to_owned(), source })?;
        if count == 0 {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(SplitError::Read { path: path.to_owned(), source });
        }
        io::Write::write_all(&mut output, &buffer[..count]).map_err(write_error(target))?;
        done += count as u64;
        progress(done, total);
    }
    output.finish_new().map_err(write_error(target))?;
    Ok(total)
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> SplitError {
    let path = path.to_owned();
    move |source| match source.kind() {
        // Somebody made it in the meantime.
        io::ErrorKind::AlreadyExists => SplitError::Exists { path: path.clone() },
        _ => SplitError::Write { path: path.clone(), source },
    }
}
