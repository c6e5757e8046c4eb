//! What is left of a bundle: a file or parts in any state, with holes where something is missing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::BundleError;
use crate::parts::{MOST_PARTS, part_path, part_paths, whole_path};
use crate::source::{FileSource, Part, Source, part_index};

/// The files that there are.
pub(crate) enum Remains {
    /// One file, perhaps of the wrong length.
    One(PathBuf),
    /// Parts, perhaps not all, perhaps of the wrong length.
    Parts {
        /// Their common name.
        whole: PathBuf,
        /// Those that are there.
        present: BTreeMap<usize, PathBuf>,
        /// Bytes of each but the last: of the largest that is there.
        part_size: u64,
    },
}

impl Remains {
    /// Finds the files of the bundle that `path` names as [`crate::Bundle::open`] would.
    pub(crate) fn find(path: &Path) -> Result<Self, BundleError> {
        let cannot = |source| BundleError::Open { path: path.to_owned(), source };
        let whole = match whole_path(path) {
            Some(whole) => whole,
            None if path.exists() => return Ok(Self::One(path.to_owned())),
            None => path.to_owned(),
        };
        let present = part_paths(&whole).map_err(cannot)?;
        let mut part_size = 0;
        for part in present.values() {
            let metadata =
                fs::metadata(part).map_err(|source| BundleError::Open { path: part.clone(), source })?;
            if !metadata.is_file() {
                let reason = "it is not a regular file".to_owned();
                return Err(BundleError::NotABundle { path: part.clone(), reason });
            }
            part_size = part_size.max(metadata.len());
        }
        // A file that only happens to be called so.
        if present.len() == 1 && path.exists() && !present.contains_key(&1) {
            return Ok(Self::One(path.to_owned()));
        }
        if part_size == 0 {
            return Err(cannot(io::Error::new(io::ErrorKind::NotFound, "there is no such file")));
        }
        Ok(Self::Parts { whole, present, part_size })
    }

    /// Their bytes, each part at its place. Without `total`, the bytes of the whole bundle, it ends with the last file.
    pub(crate) fn source(&self, total: Option<u64>) -> Result<Arc<dyn Source>, BundleError> {
        let open = |path: &Path| {
            let cannot = |source| BundleError::Open { path: path.to_owned(), source };
            File::open(path).and_then(FileSource::new).map_err(cannot)
        };
        let (present, part_size) = match self {
            Self::One(path) => return Ok(Arc::new(open(path)?)),
            Self::Parts { present, part_size, .. } => (present, *part_size),
        };
        let last = present.keys().last().copied().unwrap_or(1);
        let total = total.unwrap_or(last as u64 * part_size);
        let mut files = Vec::new();
        let parts = self.layout(total)?;
        for number in 1..=parts.len() {
            files.push(present.get(&number).map(|path| open(path)).transpose()?);
        }
        Ok(Arc::new(Holes { files, parts, total }))
    }

    /// The parts that a bundle of `total` bytes has; none for a bundle in one file.
    pub(crate) fn layout(&self, total: u64) -> Result<Vec<Part>, BundleError> {
        let Self::Parts { whole, part_size, .. } = self else { return Ok(Vec::new()) };
        let parts = layout(whole, total, *part_size);
        parts.ok_or_else(|| BundleError::ForeignPart {
            path: part_path(whole, 1),
            reason: format!("parts of {part_size} bytes would be more than {MOST_PARTS}"),
        })
    }

    /// What of a bundle of `total` bytes is not there at all: start and end of each gap, in order.
    #[cfg(feature = "write")]
    pub(crate) fn gaps(&self, total: u64) -> Result<Vec<(u64, u64)>, BundleError> {
        let size_of = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let mut parts = self.layout(total)?;
        if let Self::One(path) = self {
            parts.push(Part { path: path.clone(), start: 0, size: total });
        }
        let gap = |part: &Part| (part.start + size_of(&part.path).min(part.size), part.start + part.size);
        Ok(parts.iter().map(gap).filter(|(start, end)| start < end).collect())
    }

    /// The one file, where it is one.
    #[cfg(feature = "write")]
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::One(path) => Some(path),
            Self::Parts { .. } => None,
        }
    }
}

/// The parts of `part_size` bytes that `total` bytes make; nothing where they would be too many.
pub(crate) fn layout(whole: &Path, total: u64, part_size: u64) -> Option<Vec<Part>> {
    let count =
        usize::try_from(total.div_ceil(part_size.max(1))).ok().filter(|count| *count <= MOST_PARTS)?;
    let part = |number: usize| {
        let start = (number as u64 - 1) * part_size;
        Part { path: part_path(whole, number), start, size: part_size.min(total - start) }
    };
    Some((1..=count).map(part).collect())
}

/// Parts at their places, some of them missing or short.
struct Holes {
    files: Vec<Option<FileSource>>,
    parts: Vec<Part>,
    total: u64,
}

impl Source for Holes {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(index) = part_index(&self.parts, offset) else { return Ok(0) };
        let (part, file) = (&self.parts[index], &self.files[index]);
        let name = part.path.display();
        let Some(file) = file else {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{name} is missing")));
        };
        let inside = offset - part.start;
        let left = usize::try_from(part.size.saturating_sub(inside)).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        match file.read_at(&mut buffer[..length], inside) {
            Ok(0) if length > 0 => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} is cut short")))
            }
            Err(error) => Err(io::Error::new(error.kind(), format!("{name}: {error}"))),
            read => read,
        }
    }

    fn size(&self) -> u64 {
        self.total
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }
}
