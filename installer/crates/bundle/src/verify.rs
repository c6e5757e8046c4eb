//! Checks every byte of a bundle, many blobs at once.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::Hasher;
use crate::error::{BundleError, Damage, DamageKind};
use crate::inspect::Archive;
use crate::member::{BLOCK, BLOCK_BYTES, Member, MemberList, TRAILER, padding_length};
use crate::open::{blobs, names};
use crate::source::{Source, read_full};
use crate::workers;

/// What a good bundle was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Blobs whose digest was computed, the document's own included.
    pub blobs: usize,
    /// Bytes read: the whole file.
    pub bytes: u64,
}

/// Reads everything; `progress` gets bytes done and bytes in all, from any of the threads.
pub(crate) fn verify(
    path: &Path,
    source: &dyn Source,
    members: &MemberList,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<VerifyReport, BundleError> {
    let total = members.total();
    let done = AtomicU64::new(0);
    let advance = |bytes: u64| {
        let done = done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        progress(done, total);
    };
    // Largest first: no thread is left alone with a large one at the end.
    let mut queue: Vec<&Member> = members.as_slice().iter().collect();
    queue.sort_by_key(|member| Reverse(member.size));
    let found =
        workers::for_each(threads, &queue, |member, buffer| check_member(source, member, buffer, &advance));
    let mut damage: Vec<Damage> = found.into_iter().flatten().collect();
    damage.extend(check_trailer(source, members.end()));
    advance(TRAILER);
    if damage.is_empty() && source.size() == total {
        return Ok(VerifyReport { blobs: blobs(members.as_slice()).len(), bytes: total });
    }
    damage.sort_by_key(|damage| damage.offset);
    Err(refusal(path, source, members, damage))
}

/// The refusal for this damage: a member that was moved, renamed or exchanged is said to be that.
fn refusal(path: &Path, source: &dyn Source, members: &MemberList, damage: Vec<Damage>) -> BundleError {
    let names = names(members);
    let archive = Archive { path, source, names: &names, size: Some(members.total()) };
    if source.size() != members.total() {
        return archive.explain_end(members.end(), members.total());
    }
    let wrong_headers = damage.iter().filter(|damage| damage.kind == DamageKind::Header);
    for header in wrong_headers {
        let index = members.as_slice().iter().position(|member| member.offset == header.offset);
        match index.map(|index| archive.explain(index, header.offset)) {
            None | Some(BundleError::Damaged { .. }) => {}
            Some(structural) => return structural,
        }
    }
    BundleError::Damaged { path: path.to_owned(), damage }
}

/// Checks header, content and padding of one member.
fn check_member(
    source: &dyn Source,
    member: &Member,
    buffer: &mut [u8],
    advance: &dyn Fn(u64),
) -> Vec<Damage> {
    let mut damage = Vec::new();
    let mut note =
        |offset, size, kind| damage.push(Damage { member: member.name.clone(), offset, size, kind });
    let mut block = [0; BLOCK];
    match read_exactly(source, &mut block, member.offset) {
        Ok(()) if block == member.header() => {}
        Ok(()) => note(member.offset, BLOCK_BYTES, DamageKind::Header),
        Err(message) => note(member.offset, BLOCK_BYTES, DamageKind::Unreadable(message)),
    }
    match hash(source, member, buffer, advance) {
        Ok(digest) if digest == member.digest => {}
        Ok(_) => note(member.content(), member.size, DamageKind::Content),
        Err(message) => note(member.content(), member.size, DamageKind::Unreadable(message)),
    }
    let padding = &mut block[..padding_length(member.size)];
    let length = padding.len() as u64;
    match read_exactly(source, padding, member.padding()) {
        Ok(()) if padding.iter().all(|byte| *byte == 0) => {}
        Ok(()) => note(member.padding(), length, DamageKind::Padding),
        Err(message) => note(member.padding(), length, DamageKind::Unreadable(message)),
    }
    advance(BLOCK_BYTES + length);
    damage
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

fn check_trailer(source: &dyn Source, offset: u64) -> Option<Damage> {
    let mut blocks = [0; 2 * BLOCK];
    let kind = match read_exactly(source, &mut blocks, offset) {
        Ok(()) if blocks.iter().all(|byte| *byte == 0) => return None,
        Ok(()) => DamageKind::Trailer,
        Err(message) => DamageKind::Unreadable(message),
    };
    Some(Damage { member: "end of archive".to_owned(), offset, size: TRAILER, kind })
}

fn read_exactly(source: &dyn Source, buffer: &mut [u8], offset: u64) -> Result<(), String> {
    match read_full(source, buffer, offset) {
        Ok(count) if count == buffer.len() => Ok(()),
        Ok(_) => Err("the file ends before it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
