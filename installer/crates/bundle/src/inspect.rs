//! Says what happened to an archive whose member at some place is not the expected one.
//!
//! Only messages come from here: the archive is refused whatever is found, so nothing here needs to be trusted.

use std::path::Path;

use crate::error::{BundleError, Damage, DamageKind};
use crate::layout;
use crate::member::{BLOCK, FoundHeader, header, is_blob_name};
use crate::source::{Source, read_full};

/// How many headers are looked at to explain a mismatch.
const LOOK_AHEAD: usize = 100_000;
/// Zeros at the end that other tar programs may write (their record size).
const LONGEST_PADDING: u64 = 64 << 10;

/// An archive and what is known about it.
pub(crate) struct Archive<'a> {
    /// For messages.
    pub(crate) path: &'a Path,
    /// The bytes.
    pub(crate) source: &'a dyn Source,
    /// Names of the members in order: all of them when `size` is known, else as far as they are.
    pub(crate) names: &'a [String],
    /// Bytes the archive must have, once the document is read.
    pub(crate) size: Option<u64>,
}

impl Archive<'_> {
    /// Why the header at `offset` is not that of member number `index`.
    pub(crate) fn explain(&self, index: usize, offset: u64) -> BundleError {
        match self.try_explain(index, offset) {
            Ok(error) => error,
            Err(source) => BundleError::Read { path: self.path.to_owned(), offset, source },
        }
    }

    fn try_explain(&self, index: usize, offset: u64) -> std::io::Result<BundleError> {
        let expected = &self.names[index];
        let mut block = [0; BLOCK];
        if read_full(self.source, &mut block, offset)? < BLOCK {
            return Ok(self.truncated());
        }
        // A file of the right size that ends in zeros lost content in a copy; nobody removed a member.
        let right_size = self.size == Some(self.source.size());
        if block == [0; BLOCK] && !right_size && self.only_zeros_from(offset)? {
            return Ok(self.missing(expected));
        }
        let Some(found) = FoundHeader::parse(&block) else {
            return Ok(self.garbled(expected, offset));
        };
        let path = self.path.to_owned();
        if found.trick {
            let what = format!("member {} at byte {offset}", found.name);
            return Ok(BundleError::PathTrick { path, what });
        }
        if let Some(kind) = found.odd_kind {
            return Ok(BundleError::MemberKind { path, member: found.name, offset, kind });
        }
        if found.name == *expected {
            let fields = other_fields(&block, &header(expected, found.size));
            return Ok(BundleError::MemberHeader { path, member: found.name, offset, fields });
        }
        let (expected, member) = (expected.clone(), found.name.clone());
        let comes_later = found.end(offset).map_or(Ok(false), |end| self.has_member(end, &expected))?;
        Ok(match (comes_later, self.belongs(index, &member)) {
            (true, true) => BundleError::MemberOrder { path, expected, found: member, offset },
            (true, false) => BundleError::ExtraMember { path, member, offset },
            (false, true) => self.missing(&expected),
            (false, false) => BundleError::MemberName { path, expected, found: member, offset },
        })
    }

    /// Why the archive does not end at `offset` as it should.
    pub(crate) fn explain_end(&self, offset: u64, expected: u64) -> BundleError {
        let (path, got) = (self.path.to_owned(), self.source.size());
        let mut block = [0; BLOCK];
        match read_full(self.source, &mut block, offset) {
            Err(source) => return BundleError::Read { path, offset, source },
            Ok(BLOCK) => {
                if let Some(found) = FoundHeader::parse(&block) {
                    return BundleError::ExtraMember { path, member: found.name, offset };
                }
            }
            Ok(_) => {}
        }
        if got < expected { self.truncated() } else { BundleError::TrailingData { path, expected, got } }
    }

    /// Why the first block is not the header of `oci-layout`.
    pub(crate) fn explain_start(&self) -> BundleError {
        let path = self.path.to_owned();
        let mut start = [0; BLOCK + layout::LAYOUT_CONTENT.len()];
        let count = match read_full(self.source, &mut start, 0) {
            Ok(count) => count,
            Err(source) => return BundleError::Read { path, offset: 0, source },
        };
        let own = header(layout::LAYOUT_FILE, layout::LAYOUT_CONTENT.len() as u64);
        let not_a_bundle =
            |reason: &str| BundleError::NotABundle { path: path.clone(), reason: reason.to_owned() };
        let Some((block, content)) = start.split_first_chunk::<BLOCK>() else {
            return not_a_bundle("it is too short");
        };
        if count == 0 {
            return not_a_bundle("it is empty");
        }
        if count < BLOCK && own.starts_with(&block[..count]) {
            return self.truncated();
        }
        if let Some(found) = FoundHeader::parse(block) {
            return match self.has_member(0, layout::SIGNATURE_FILE) {
                Ok(true) => self.explain(0, 0),
                Ok(false) if found.name == layout::LAYOUT_FILE => {
                    not_a_bundle("it is an OCI archive of another program, without a signature")
                }
                Ok(false) => not_a_bundle(&format!("its first member is {}", found.name)),
                Err(source) => BundleError::Read { path, offset: 0, source },
            };
        }
        if content == layout::LAYOUT_CONTENT.as_bytes() {
            return damaged(self.path, layout::LAYOUT_FILE, 0, BLOCK as u64, DamageKind::Header);
        }
        not_a_bundle("it is not a tar archive")
    }

    /// Too few bytes.
    pub(crate) fn truncated(&self) -> BundleError {
        BundleError::Truncated { path: self.path.to_owned(), expected: self.size, got: self.source.size() }
    }

    fn missing(&self, member: &str) -> BundleError {
        if member == layout::SIGNATURE_FILE {
            return BundleError::Unsigned { path: self.path.to_owned() };
        }
        BundleError::MissingMember { path: self.path.to_owned(), member: member.to_owned() }
    }

    /// No header at all where one should be: bytes lost, bytes added, or bits flipped.
    fn garbled(&self, member: &str, offset: u64) -> BundleError {
        let got = self.source.size();
        match self.size {
            Some(expected) if got < expected => self.truncated(),
            Some(expected) if got > expected => {
                BundleError::TrailingData { path: self.path.to_owned(), expected, got }
            }
            _ => damaged(self.path, member, offset, BLOCK as u64, DamageKind::Header),
        }
    }

    /// Whether `name` is that of a member which should come after number `index`.
    fn belongs(&self, index: usize, name: &str) -> bool {
        let (before, after) = self.names.split_at(index);
        if after.iter().any(|known| known == name) {
            return true;
        }
        // Without the document any blob may be a right one.
        self.size.is_none() && is_blob_name(name) && !before.iter().any(|known| known == name)
    }

    /// Whether a member of this name stands at `offset` or behind it.
    fn has_member(&self, mut offset: u64, name: &str) -> std::io::Result<bool> {
        let mut block = [0; BLOCK];
        for _ in 0..LOOK_AHEAD {
            if read_full(self.source, &mut block, offset)? < BLOCK {
                return Ok(false);
            }
            let Some(found) = FoundHeader::parse(&block) else { return Ok(false) };
            if found.name == name {
                return Ok(true);
            }
            let Some(end) = found.end(offset) else { return Ok(false) };
            offset = end;
        }
        Ok(false)
    }

    fn only_zeros_from(&self, offset: u64) -> std::io::Result<bool> {
        let rest = self.source.size().saturating_sub(offset);
        if rest > LONGEST_PADDING {
            return Ok(false);
        }
        let mut bytes = vec![0; usize::try_from(rest).unwrap_or(0)];
        let count = read_full(self.source, &mut bytes, offset)?;
        Ok(bytes[..count].iter().all(|byte| *byte == 0))
    }
}

/// Fields of a ustar header and where they stand (POSIX.1, pax interchange format, ustar).
const FIELDS: [(&str, std::ops::Range<usize>); 10] = [
    ("mode", 100..108),
    ("owner", 108..124),
    ("way to write its size", 124..136),
    ("time", 136..148),
    ("type", 156..157),
    ("link target", 157..257),
    ("archive format", 257..265),
    ("owner name", 265..329),
    ("device", 329..345),
    ("name prefix", 345..512),
];

/// The fields in which `found` differs from `own`, the header that the format gives to its name and size.
fn other_fields(found: &[u8; BLOCK], own: &[u8; BLOCK]) -> String {
    let differ = |(_, range): &&(&str, std::ops::Range<usize>)| found[range.clone()] != own[range.clone()];
    let names: Vec<&str> = FIELDS.iter().filter(differ).map(|(name, _)| *name).collect();
    // All as it should be for this size: then it is the size that is another.
    if names.is_empty() { "size".to_owned() } else { names.join(", ") }
}

/// One damaged place in front of the blobs.
pub(crate) fn damaged(path: &Path, member: &str, offset: u64, size: u64, kind: DamageKind) -> BundleError {
    let damage = Damage {
        member: member.to_owned(),
        digest: String::new(),
        what: String::new(),
        offset,
        size,
        kind,
        part: None,
    };
    BundleError::Damaged { path: path.to_owned(), damage: vec![damage] }
}
