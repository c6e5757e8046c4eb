//! Checks every byte of a bundle, many blobs at once.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Hasher;
use crate::error::{BundleError, Damage, DamageKind};
use crate::inspect::Archive;
use crate::member::{BLOCK, BLOCK_BYTES, Member, MemberList, TRAILER, padding_length};
use crate::open::{blobs, names};
use crate::source::{Source, place, read_full};
use crate::workers;

/// What a good bundle was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Blobs whose digest was computed, the document's own included.
    pub blobs: usize,
    /// Bytes read: the whole file.
    pub bytes: u64,
}

/// How many wrong headers are looked at to find out what happened to the archive.
const EXPLAINED: usize = 16;

/// What is checked.
pub(crate) struct Check<'a> {
    /// For messages.
    pub(crate) path: &'a Path,
    /// The bytes.
    pub(crate) source: &'a dyn Source,
    /// What they must be.
    pub(crate) members: &'a MemberList,
    /// Digest to what the blob is for people.
    pub(crate) uses: BTreeMap<&'a str, String>,
}

impl Check<'_> {
    /// Reads everything but contents that are not `wanted`; `progress` gets bytes done and bytes in all, from any of the
    /// threads.
    pub(crate) fn verify(
        &self,
        wanted: &(dyn Fn(&Member) -> bool + Sync),
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<VerifyReport, BundleError> {
        let total = self.members.total();
        let damage = self.damage_where(self.members.as_slice(), wanted, threads, progress);
        if damage.is_empty() && self.source.size() == total {
            return Ok(VerifyReport { blobs: blobs(self.members.as_slice()).len(), bytes: total });
        }
        Err(self.refusal(damage))
    }

    /// Reads `members`, and the archive's end, and lists what is not as it must be, by offset.
    pub(crate) fn damage(
        &self,
        members: &[Member],
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Vec<Damage> {
        self.damage_where(members, &|_| true, threads, progress)
    }

    /// As [`Check::damage`], but reads only the contents that `wanted` names; headers and padding of all.
    pub(crate) fn damage_where(
        &self,
        members: &[Member],
        wanted: &(dyn Fn(&Member) -> bool + Sync),
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Vec<Damage> {
        let bytes = |member: &Member| {
            let content = if wanted(member) { 0 } else { member.size };
            member.end() - member.offset - content
        };
        let total = members.iter().map(bytes).sum::<u64>() + TRAILER;
        let done = AtomicU64::new(0);
        let advance = |bytes: u64| {
            let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
            progress(done, total);
        };
        // Largest first: no thread is left alone with a large one at the end.
        let mut queue: Vec<&Member> = members.iter().collect();
        queue.sort_by_key(|member| Reverse(member.size));
        let found = workers::for_each(threads, &queue, |member, buffer| {
            self.member(member, wanted(member), buffer, &advance)
        });
        let mut damage: Vec<Damage> = found.into_iter().flatten().collect();
        damage.extend(self.trailer());
        advance(TRAILER);
        damage.sort_by_key(|damage| damage.offset);
        damage
    }

    /// The refusal for this damage: a member that was moved, renamed or exchanged is said to be that.
    fn refusal(&self, damage: Vec<Damage>) -> BundleError {
        let names = names(self.members);
        let (path, total) = (self.path, self.members.total());
        let archive = Archive { path, source: self.source, names: &names, size: Some(total) };
        if self.source.size() != total {
            return archive.explain_end(self.members.end(), total);
        }
        let members = self.members.as_slice();
        let wrong = damage.iter().filter(|damage| damage.kind == DamageKind::Header);
        for header in wrong.take(EXPLAINED) {
            let index = members.binary_search_by_key(&header.offset, |member| member.offset);
            match index.map(|index| archive.explain(index, header.offset)) {
                Err(_) | Ok(BundleError::Damaged { .. }) => {}
                Ok(structural) => return structural,
            }
        }
        BundleError::Damaged { path: path.to_owned(), damage }
    }

    /// Checks header and padding of one member, and its content where that is wanted.
    fn member(
        &self,
        member: &Member,
        content: bool,
        buffer: &mut [u8],
        advance: &dyn Fn(u64),
    ) -> Vec<Damage> {
        let mut damage = Vec::new();
        let mut note = |offset, size, kind| damage.push(self.one(member, offset, size, kind));
        let mut block = [0; BLOCK];
        match read_exactly(self.source, &mut block, member.offset) {
            Ok(()) if block == member.header() => {}
            Ok(()) => note(member.offset, BLOCK_BYTES, DamageKind::Header),
            Err(message) => note(member.offset, BLOCK_BYTES, DamageKind::Unreadable(message)),
        }
        if content {
            match hash(self.source, member, buffer, advance) {
                Ok(digest) if digest == member.digest => {}
                Ok(_) => note(member.content(), member.size, DamageKind::Content),
                Err(message) => note(member.content(), member.size, DamageKind::Unreadable(message)),
            }
        }
        let padding = &mut block[..padding_length(member.size)];
        let length = padding.len() as u64;
        match read_exactly(self.source, padding, member.padding()) {
            Ok(()) if padding.iter().all(|byte| *byte == 0) => {}
            Ok(()) => note(member.padding(), length, DamageKind::Padding),
            Err(message) => note(member.padding(), length, DamageKind::Unreadable(message)),
        }
        advance(BLOCK_BYTES + length);
        damage
    }

    fn one(&self, member: &Member, offset: u64, size: u64, kind: DamageKind) -> Damage {
        Damage {
            member: member.name.clone(),
            digest: member.digest.clone(),
            what: self.uses.get(member.digest.as_str()).cloned().unwrap_or_default(),
            offset,
            size,
            kind,
            part: self.part(offset),
        }
    }

    fn trailer(&self) -> Option<Damage> {
        let offset = self.members.end();
        let mut blocks = [0; 2 * BLOCK];
        let kind = match read_exactly(self.source, &mut blocks, offset) {
            Ok(()) if blocks.iter().all(|byte| *byte == 0) => return None,
            Ok(()) => DamageKind::Trailer,
            Err(message) => DamageKind::Unreadable(message),
        };
        let (member, part) = ("end of archive".to_owned(), self.part(offset));
        Some(Damage { member, digest: String::new(), what: String::new(), offset, size: TRAILER, kind, part })
    }

    fn part(&self, offset: u64) -> Option<(PathBuf, u64)> {
        place(self.source.parts(), offset).map(|(part, inside)| (part.to_owned(), inside))
    }
}

/// The digest of a member's content. Bytes that cannot be read count as done, so that progress ends at the total.
fn hash(
    source: &dyn Source,
    member: &Member,
    buffer: &mut [u8],
    advance: &dyn Fn(u64),
) -> Result<String, String> {
    let mut hasher = Hasher::new();
    let mut left = member.size;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let piece = &mut buffer[..length];
        if let Err(message) = read_exactly(source, piece, member.padding() - left) {
            advance(left);
            return Err(message);
        }
        hasher.update(piece);
        left -= length as u64;
        advance(length as u64);
    }
    Ok(hasher.finish())
}

fn read_exactly(source: &dyn Source, buffer: &mut [u8], offset: u64) -> Result<(), String> {
    match read_full(source, buffer, offset) {
        Ok(count) if count == buffer.len() => Ok(()),
        Ok(_) => Err("the file ends before it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
