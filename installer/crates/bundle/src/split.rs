//! Cuts a bundle into parts, and joins parts: the vendor's half of [`crate::parts`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::BundleError;
use crate::layout::{LAYOUT_CONTENT, LAYOUT_FILE};
use crate::member::{BLOCK, header};
use crate::open;
use crate::output::{Output, finish_all_new};
use crate::parts::{self, MOST_PARTS, part_path, part_paths, whole_path};
use crate::remains::layout;
use crate::source::{Part, Source, read_full};

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
    /// What should be split is a part, or all that is there are its parts.
    #[error("{}: is in parts already", .path.display())]
    InParts {
        /// What was named.
        path: PathBuf,
    },
    /// What should be joined is a whole bundle.
    #[error("{}: is a bundle in one file, no part of one", .path.display())]
    InOneFile {
        /// What was named.
        path: PathBuf,
    },
    /// What is joined would get the name of a part.
    #[error("{}: would be taken for a part of {}", .path.display(), .whole.display())]
    PartName {
        /// The file that would be written.
        path: PathBuf,
        /// The bundle whose parts lie there.
        whole: PathBuf,
    },
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
/// When `bundle` is none or in parts already, the parts would be too small or too many, parts are there already, or writing fails.
pub fn split(
    bundle: &Path,
    part_size: u64,
    folder: &Path,
    progress: &dyn Fn(u64, u64),
) -> Result<Vec<PathBuf>, SplitError> {
    if in_parts(bundle) {
        return Err(SplitError::InParts { path: bundle.to_owned() });
    }
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

/// Whether `path` names parts: one of them, or what they share.
fn in_parts(path: &Path) -> bool {
    let begin = |whole: &Path| part_path(whole, 1).exists();
    whole_path(path).is_some_and(|whole| begin(&whole)) || (!path.exists() && begin(path))
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
/// the blobs is not looked at: opening and verifying the parts does that.
///
/// # Errors
/// When these are no parts, one is missing, cut short or out of place, their contents list is damaged, reading or writing
/// fails, or `target` is there already or has the name of a part.
pub fn join(path: &Path, target: &Path, progress: &dyn Fn(u64, u64)) -> Result<u64, SplitError> {
    let source = all_parts(path)?;
    if target.symlink_metadata().is_ok() {
        return Err(SplitError::Exists { path: target.to_owned() });
    }
    no_part_name(target)?;
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

/// The parts that `path` names, when they are all there.
fn all_parts(path: &Path) -> Result<Arc<dyn Source>, SplitError> {
    let source = parts::open(path)?;
    let complete = open::complete(path, &source);
    if !source.parts().is_empty() {
        complete?;
        return Ok(source);
    }
    Err(match (complete, whole_path(path)) {
        (Ok(()), _) => SplitError::InOneFile { path: path.to_owned() },
        // Without the first part each looks like any other file.
        (Err(BundleError::NotABundle { .. }), Some(whole)) => {
            let reason = "another one is there".to_owned();
            BundleError::MissingPart { path: part_path(&whole, 1), reason }.into()
        }
        (Err(error), _) => error.into(),
    })
}

/// Refuses a name by which a reader would take the file for one more part of what lies there.
fn no_part_name(target: &Path) -> Result<(), SplitError> {
    let Some(whole) = whole_path(target) else { return Ok(()) };
    if part_paths(&whole).map_err(write_error(target))?.is_empty() {
        return Ok(());
    }
    Err(SplitError::PartName { path: target.to_owned(), whole })
}

fn write_error(path: &Path) -> impl Fn(io::Error) -> SplitError {
    let path = path.to_owned();
    move |source| match source.kind() {
        // Somebody made it in the meantime.
        io::ErrorKind::AlreadyExists => SplitError::Exists { path: path.clone() },
        _ => SplitError::Write { path: path.clone(), source },
    }
}
