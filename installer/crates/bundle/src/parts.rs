//! Bundles cut into parts for media with small files: `NAME.001`, `NAME.002` and so on, read where they lie.
//!
//! The parts are plain pieces of the file, all but the last of one size: `cat NAME.???` joins them. Nothing marks a part
//! as one, so whether it is the right one shows by the tar headers that must stand in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::BundleError;
use crate::layout;
use crate::member::{BLOCK, BLOCK_BYTES, FoundHeader, Member, MemberList, header};
use crate::source::{FileSource, Part, Source, part_index, read_full};

/// Most parts that three digits can number.
pub(crate) const MOST_PARTS: usize = 999;
/// How many headers of a part are looked at to say that it is another bundle's.
const HEADERS_LOOKED_AT: usize = 8;

/// Name of part `number` (from 1) of the bundle `whole`.
pub(crate) fn part_path(whole: &Path, number: usize) -> PathBuf {
    let mut name = whole.as_os_str().to_owned();
    name.push(format!(".{number:03}"));
    name.into()
}

/// The bundle's name without its part's number; nothing where `path` does not end in one.
pub(crate) fn whole_path(path: &Path) -> Option<PathBuf> {
    let bytes = path.as_os_str().as_bytes();
    let (whole, digits) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let numbered = digits[0] == b'.' && digits[1..].iter().all(u8::is_ascii_digit) && &digits[1..] != b"000";
    let named = !matches!(whole.last(), None | Some(b'/'));
    (numbered && named).then(|| PathBuf::from(std::ffi::OsString::from_vec(whole.to_vec())))
}

/// Opens the bundle at `path`: one file, or all its parts when `path` is the first of them or the name that they share.
pub(crate) fn open(path: &Path) -> Result<Arc<dyn Source>, BundleError> {
    let whole = match whole_path(path) {
        Some(whole) if path.as_os_str().as_bytes().ends_with(b".001") || part_path(&whole, 1).exists() => {
            whole
        }
        _ if path.exists() => return Ok(Arc::new(open_file(path)?)),
        _ => path.to_owned(),
    };
    let paths = part_paths(&whole).map_err(|source| BundleError::Open { path: path.to_owned(), source })?;
    if paths.is_empty() {
        let source = io::Error::new(io::ErrorKind::NotFound, "there is no such file");
        return Err(BundleError::Open { path: path.to_owned(), source });
    }
    let mut files = Vec::with_capacity(paths.len());
    for (place, (number, path)) in paths.iter().enumerate() {
        if *number != place + 1 {
            let (path, next) = (part_path(&whole, place + 1), shown(path));
            return Err(BundleError::MissingPart { path, reason: format!("{next} is there") });
        }
        files.push((path.clone(), open_file(path)?));
    }
    Ok(Arc::new(PartsSource::new(files)))
}

/// Opens a regular file.
fn open_file(path: &Path) -> Result<FileSource, BundleError> {
    let cannot = |source| BundleError::Open { path: path.to_owned(), source };
    // Asked before opening: opening a pipe would wait for a writer.
    if !fs::metadata(path).map_err(cannot)?.is_file() {
        let reason = "it is not a regular file".to_owned();
        return Err(BundleError::NotABundle { path: path.to_owned(), reason });
    }
    File::open(path).and_then(FileSource::new).map_err(cannot)
}

/// The parts of `whole` that are there, by number.
pub(crate) fn part_paths(whole: &Path) -> io::Result<BTreeMap<usize, PathBuf>> {
    let name = whole.file_name().unwrap_or_default().as_bytes();
    let folder = folder_of(whole);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?.file_name();
        let Some(digits) = entry.as_bytes().strip_prefix(name).and_then(|rest| rest.strip_prefix(b"."))
        else {
            continue;
        };
        if digits.len() == 3 && digits.iter().all(u8::is_ascii_digit) {
            let number = digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
            if number > 0 {
                found.insert(number, part_path(whole, number));
            }
        }
    }
    Ok(found)
}

/// The folder that `path` lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The file name alone, for messages that name another file of the same folder.
fn shown(path: &Path) -> String {
    path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned()
}

/// Several files as one.
struct PartsSource {
    files: Vec<FileSource>,
    parts: Vec<Part>,
}

impl PartsSource {
    fn new(files: Vec<(PathBuf, FileSource)>) -> Self {
        let mut source = Self { files: Vec::new(), parts: Vec::new() };
        for (path, file) in files {
            source.parts.push(Part { path, start: source.size(), size: file.size() });
            source.files.push(file);
        }
        source
    }
}

impl Source for PartsSource {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let Some(index) = part_index(&self.parts, offset) else { return Ok(0) };
        let (part, file) = (&self.parts[index], &self.files[index]);
        let inside = offset - part.start;
        let left = usize::try_from(part.size.saturating_sub(inside)).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        file.read_at(&mut buffer[..length], inside)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", part.path.display())))
    }

    fn size(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.start + part.size)
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }
}

/// A better reason for `error`, met before the document was read, where the parts themselves are wrong.
pub(crate) fn explain_front(source: &dyn Source, error: BundleError) -> BundleError {
    let parts = source.parts();
    let Some((first, others)) = parts.split_first() else { return error };
    if let Some(short) = short_part(parts) {
        return short;
    }
    let start = header(layout::LAYOUT_FILE, layout::LAYOUT_CONTENT.len() as u64);
    if stands_at(source, &start, 0) {
        return match error {
            // The front itself goes on where there is nothing more.
            BundleError::Truncated { .. } => missing_after(parts, None),
            other => other,
        };
    }
    match others.iter().find(|part| stands_at(source, &start, part.start)) {
        Some(other) => BundleError::SwappedPart { path: other.path.clone(), belongs: first.path.clone() },
        None => error,
    }
}

/// Refuses parts that are not, together and in this order, the bundle of these members. What this lets pass is looked
/// at as the bytes of one file are.
pub(crate) fn check(source: &dyn Source, members: &MemberList) -> Result<(), BundleError> {
    let parts = source.parts();
    let Some(last) = parts.last() else { return Ok(()) };
    if let Some(short) = short_part(parts) {
        return Err(short);
    }
    let total = members.total();
    if source.size() < total {
        return Err(too_few_bytes(source, members));
    }
    if source.size() > total && last.start >= total && parts.len() > 1 {
        let reason = "the bundle ends before it".to_owned();
        return Err(BundleError::ForeignPart { path: last.path.clone(), reason });
    }
    if source.size() > total {
        let (expected, got) = (total - last.start, last.size);
        return Err(BundleError::TrailingData { path: last.path.clone(), expected, got });
    }
    parts.iter().try_for_each(|part| belongs(source, members, part))
}

/// A part before the last that is shorter than others: with three and more it is plain which one was cut.
fn short_part(parts: &[Part]) -> Option<BundleError> {
    let (_, full) = parts.split_last()?;
    let expected = full.iter().map(|part| part.size).max()?;
    let short = full.iter().find(|part| part.size < expected)?;
    Some(BundleError::ShortPart { path: short.path.clone(), expected: Some(expected), got: short.size })
}

/// Which part is cut short or missing, when all together are too few bytes.
fn too_few_bytes(source: &dyn Source, members: &MemberList) -> BundleError {
    let parts = source.parts();
    let (total, missing) = (members.total(), members.total() - source.size());
    let short =
        |part: &Part, expected| BundleError::ShortPart { path: part.path.clone(), expected, got: part.size };
    let [first, .., last] = parts else { return missing_after(parts, Some(total)) };
    // Of two parts it may be the first that was cut: then everything in the second stands too early.
    if parts.len() == 2 && (last.size > first.size || shifted(source, members, last, missing)) {
        return short(first, Some(total - last.size));
    }
    if last.size == first.size {
        return missing_after(parts, Some(total));
    }
    short(last, Some((total - last.start).min(first.size)))
}

/// Whether the headers in `part` stand `missing` bytes before their places.
fn shifted(source: &dyn Source, members: &MemberList, part: &Part, missing: u64) -> bool {
    headers_in(members, part.start + missing, source.size() + missing)
        .next()
        .is_some_and(|member| stands_at(source, &member.header(), member.offset - missing))
}

/// The part after these is not there.
fn missing_after(parts: &[Part], total: Option<u64>) -> BundleError {
    let (path, so_far) = match parts.last() {
        Some(last) => (next_path(&last.path, parts.len()), last.start + last.size),
        None => (PathBuf::new(), 0),
    };
    let reason = match total {
        Some(total) => format!("the parts before it hold {so_far} of {total} bytes"),
        None => format!("the parts before it hold {so_far} bytes, not even the bundle's contents list"),
    };
    BundleError::MissingPart { path, reason }
}

fn next_path(last: &Path, count: usize) -> PathBuf {
    whole_path(last).map_or_else(|| last.to_owned(), |whole| part_path(&whole, count + 1))
}

/// Refuses a part in which no header stands where one must.
fn belongs(source: &dyn Source, members: &MemberList, part: &Part) -> Result<(), BundleError> {
    let expected: Vec<&Member> =
        headers_in(members, part.start, part.start + part.size).take(HEADERS_LOOKED_AT).collect();
    let Some(first) = expected.first() else { return Ok(()) };
    if expected.iter().any(|member| stands_at(source, &member.header(), member.offset)) {
        return Ok(());
    }
    let home = source.parts().iter().filter(|other| *other != part).find(|other| {
        let inside = headers_in(members, other.start, other.start + part.size.min(other.size)).next();
        inside.is_some_and(|member| {
            stands_at(source, &member.header(), part.start + member.offset - other.start)
        })
    });
    if let Some(home) = home {
        return Err(BundleError::SwappedPart { path: part.path.clone(), belongs: home.path.clone() });
    }
    // A single wrong header may be damage; another member's is not.
    let mut block = [0; BLOCK];
    let read = read_full(source, &mut block, first.offset).unwrap_or(0);
    if expected.len() > 1 || (read == BLOCK && FoundHeader::parse(&block).is_some()) {
        let reason = format!("{} is not at byte {}", first.name, first.offset - part.start);
        return Err(BundleError::ForeignPart { path: part.path.clone(), reason });
    }
    Ok(())
}

/// Members whose headers lie between these two bytes.
fn headers_in(members: &MemberList, start: u64, end: u64) -> impl Iterator<Item = &Member> {
    let members = members.as_slice();
    let first = members.partition_point(|member| member.offset < start);
    members[first..].iter().take_while(move |member| member.offset + BLOCK_BYTES <= end)
}

/// Whether this block stands at `offset`.
pub(crate) fn stands_at(source: &dyn Source, expected: &[u8; BLOCK], offset: u64) -> bool {
    let mut block = [0; BLOCK];
    matches!(read_full(source, &mut block, offset), Ok(BLOCK)) && block == *expected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_numbers_are_parts() {
        let whole = |path: &str| whole_path(Path::new(path)).map(|path| path.display().to_string());
        assert_eq!(whole("a/orders.bundle.001").as_deref(), Some("a/orders.bundle"));
        assert_eq!(whole("orders.042").as_deref(), Some("orders"));
        for other in ["orders", "orders.01", "orders.0001x", "orders.000", ".001", "a/.001", "001"] {
            assert_eq!(whole(other), None, "{other}");
        }
        assert_eq!(part_path(Path::new("a/b"), 7), Path::new("a/b.007"));
    }

    #[test]
    fn a_place_is_found_in_its_part() {
        let part = |name: &str, start, size| Part { path: name.into(), start, size };
        let parts = [part("a", 0, 10), part("b", 10, 0), part("c", 10, 5)];
        let found = |offset| crate::source::place(&parts, offset).unwrap();
        assert_eq!(found(9), (Path::new("a"), 9));
        assert_eq!(found(10), (Path::new("c"), 0));
        assert_eq!(found(99), (Path::new("c"), 89));
        assert_eq!(crate::source::place(&[], 3), None);
    }
}
