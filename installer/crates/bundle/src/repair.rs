//! Mends a bundle in place: only what is damaged or missing is written, from a second copy or a re-carry file.
//!
//! Every write puts the right bytes to their place and nothing depends on their order, so an interrupted repair is a
//! smaller damage: the same command goes on from there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::bundle::{BlobReader, Bundle};
use crate::digest::Hasher;
use crate::document::Product;
use crate::error::{BundleError, Damage};
use crate::layout::LAYOUT_CONTENT;
use crate::member::{Member, padding_length};
use crate::parcel::{Parcel, ParcelKind};
use crate::recarry::{hurt_members, in_content};
use crate::remains::Remains;
use crate::signature::TrustedKeys;
use crate::source::{Part, part_index};

/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// Where good bytes come from.
#[derive(Debug)]
pub enum Spare {
    /// Another copy of the bundle, which may be damaged itself.
    Copy(Box<Bundle>),
    /// A re-carry file.
    Recarry(Box<Parcel>),
}

/// What was mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired {
    /// The damage there was.
    pub damage: Vec<Damage>,
    /// Bytes of blobs that were taken from the spare.
    pub bytes: u64,
    /// Whether all of the bundle was read; else only what the re-carry file is for, and what else was missing.
    pub all_read: bool,
}

/// Why a bundle is not whole yet. What could be mended is mended.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Bundle or spare cannot be opened, or the result still has damage.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The spare is of something else.
    #[error("{}: is of another bundle: {} {} (serial {}), not {} {} (serial {})", .path.display(),
        .found.name, .found.version, .found.serial, .expected.name, .expected.version, .expected.serial)]
    OtherBundle {
        /// The spare.
        path: PathBuf,
        /// What it is of.
        found: Box<Product>,
        /// What is to be mended.
        expected: Box<Product>,
    },
    /// The spare has no good copy of some blobs.
    #[error("{}: holds no good copy of {} damaged {}: {}", .path.display(), .blobs.len(),
        if .blobs.len() == 1 { "blob" } else { "blobs" }, .blobs.join(", "))]
    NotInSpare {
        /// The spare.
        path: PathBuf,
        /// Digests, and what they are for people.
        blobs: Vec<String>,
    },
    /// The file is no re-carry file, but a delta.
    #[error("{}: is a delta, which makes a new bundle and mends none", .path.display())]
    Delta {
        /// The file.
        path: PathBuf,
    },
    /// What should be mended is a re-carry file itself.
    #[error("{}: is a re-carry file, which mends a bundle and is none", .path.display())]
    Recarry {
        /// The file.
        path: PathBuf,
    },
    /// Nothing shows that what should be mended was ever this bundle. It is not written to.
    #[error("{}: is no damaged copy of {} {} (serial {}): {reason}", .path.display(),
        .expected.name, .expected.version, .expected.serial)]
    NotACopy {
        /// What should be mended.
        path: PathBuf,
        /// What the spare is of.
        expected: Box<Product>,
        /// How that shows.
        reason: &'static str,
    },
    /// The bundle cannot be written to.
    #[error("{}: cannot be written", .path.display())]
    Write {
        /// The bundle or part.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Spare {
    /// Opens a re-carry file or another copy of the bundle, damaged or not.
    ///
    /// # Errors
    /// When it is neither.
    pub fn open(path: &Path, keys: &TrustedKeys) -> Result<Self, RepairError> {
        match Parcel::open(path) {
            Ok(parcel) if parcel.document().kind == ParcelKind::Delta => {
                Err(RepairError::Delta { path: path.to_owned() })
            }
            Ok(parcel) => Ok(Self::Recarry(Box::new(parcel))),
            // A damaged copy may serve as well: its good blobs are good.
            Err(no_parcel) => match (Bundle::open_damaged(path, keys), no_parcel) {
                (Ok(bundle), _) => Ok(Self::Copy(Box::new(bundle))),
                (Err(BundleError::NotABundle { .. }), no_parcel) => Err(no_parcel.into()),
                (Err(error), BundleError::NotAParcel { .. }) => Err(error.into()),
                (Err(_), no_parcel) => Err(no_parcel.into()),
            },
        }
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Copy(bundle) => bundle.path(),
            Self::Recarry(parcel) => parcel.path(),
        }
    }

    fn reader(&self, member: &Member) -> Option<BlobReader> {
        match self {
            Self::Copy(bundle) => bundle.blob_reader(&member.digest, 0).ok(),
            Self::Recarry(parcel) => carried(parcel, member),
        }
    }
}

/// The blob of `member` in a re-carry file. Nobody has signed the sizes that stand there: with another one than the
/// bundle's it is not that blob, and would be written over what follows.
fn carried(parcel: &Parcel, member: &Member) -> Option<BlobReader> {
    let size = parcel.size_of(&member.digest)?;
    (size == member.size).then(|| parcel.blob_reader(&member.digest, 0).ok())?
}

/// Bytes that [`repair`] adds to the disk of the bundle at `path`: those of it that are not there at all. What is there and
/// damaged is written over, and takes no more.
///
/// # Errors
/// When [`repair`] would not begin.
pub fn room(path: &Path, keys: &TrustedKeys, spare: &Spare) -> Result<u64, RepairError> {
    let bundle = open(path, keys, spare)?;
    let gaps = Remains::find(path)?.gaps(bundle.size())?;
    Ok(gaps.iter().map(|(start, end)| end - start).sum())
}

/// Mends what is damaged or missing in the bundle at `path` from `spare`, and reads that again. With another copy the
/// bundle is read once to find the damage; with a re-carry file only what it carries, what is not there at all, and
/// everything between the blobs. `progress` gets bytes done and bytes in all, of the reading.
///
/// # Errors
/// When `path` does not lead to what is left of the spare's bundle, which is then not touched, or something stays damaged.
pub fn repair(
    path: &Path,
    keys: &TrustedKeys,
    spare: &Spare,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Repaired, RepairError> {
    let bundle = open(path, keys, spare)?;
    let remains = Remains::find(path)?;
    let damage = match spare {
        Spare::Copy(_) => bundle.damage(threads, progress),
        Spare::Recarry(parcel) => expected_damage(&bundle, &remains, parcel, threads, progress)?,
    };
    let hurt = hurt_members(&bundle, &damage);
    let file = Mender::open(&remains, bundle.size())?;
    let mut bytes = 0;
    let mut missing = Vec::new();
    for (index, member) in &hurt {
        let content_hurt = damage.iter().any(|damage| in_content(member, damage));
        match mend(&bundle, *index, member, content_hurt, spare, &file)? {
            Some(taken) => bytes += taken,
            None => missing.push(said(&member.digest, &damage)),
        }
    }
    file.write(&[0; 1024], bundle.members().end())?;
    file.finish()?;
    if !missing.is_empty() {
        return Err(RepairError::NotInSpare { path: spare.path().to_owned(), blobs: missing });
    }
    // Sizes and parts are looked at anew; of the content only what was written.
    let mended = Bundle::open(path, keys)?;
    let members: Vec<Member> = hurt.into_iter().map(|(_, member)| member).collect();
    let still = mended.check().damage(&members, threads, &|_, _| {});
    if !still.is_empty() {
        return Err(BundleError::Damaged { path: path.to_owned(), damage: still }.into());
    }
    Ok(Repaired { damage, bytes, all_read: matches!(spare, Spare::Copy(_)) })
}

/// The damage that a re-carry file is for. Everything that is not there at all must be in it, and be right: once the gap
/// is filled, with zeros or with anything else, only reading all would find what was not mended.
fn expected_damage(
    bundle: &Bundle,
    remains: &Remains,
    parcel: &Parcel,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Vec<Damage>, RepairError> {
    let gaps = remains.gaps(bundle.size())?;
    let in_gap = |member: &Member| {
        member.size > 0
            && gaps.iter().any(|(start, end)| member.content() < *end && *start < member.padding())
    };
    let named = |member: &Member| parcel.size_of(&member.digest).is_some();
    let good = |member: &Member| {
        let check = |reader: BlobReader| reader.check(parcel.path(), &member.digest, &mut vec![0; PIECE]);
        carried(parcel, member).is_some_and(|reader| check(reader).is_ok())
    };
    let members = bundle.members().as_slice();
    let front = members.get(2).map_or(0, Member::end);
    let wanted = |member: &Member| member.end() <= front || named(member) || in_gap(member);
    let damage = bundle.check().damage_where(members, &wanted, threads, progress);
    let lacking: Vec<String> = members
        .iter()
        .filter(|member| member.end() > front && in_gap(member) && !good(member))
        .map(|member| said(&member.digest, &damage))
        .collect();
    if lacking.is_empty() {
        return Ok(damage);
    }
    Err(RepairError::NotInSpare { path: parcel.path().to_owned(), blobs: lacking })
}

/// The bundle as it is, with the contents list of whoever still has one.
fn open(path: &Path, keys: &TrustedKeys, spare: &Spare) -> Result<Bundle, RepairError> {
    let theirs = match spare {
        Spare::Copy(bundle) => bundle,
        Spare::Recarry(parcel) => &parcel.target(keys)?,
    };
    match Bundle::open_damaged(path, keys) {
        Ok(own) if own.index_json() == theirs.index_json() => Ok(own),
        Ok(own) => Err(RepairError::OtherBundle {
            path: spare.path().to_owned(),
            found: Box::new(theirs.document().product.clone()),
            expected: Box::new(own.document().product.clone()),
        }),
        // Signed by nobody who is trusted here, or by a newer program: that is no damage.
        Err(
            error @ (BundleError::WrongKey { .. }
            | BundleError::NewerFormat { .. }
            | BundleError::Open { .. }),
        ) => Err(error.into()),
        Err(_) => damaged_copy(path, keys, theirs),
    }
}

/// What cannot be opened as a bundle, taken for a copy of `theirs` where it may be.
fn damaged_copy(path: &Path, keys: &TrustedKeys, theirs: &Bundle) -> Result<Bundle, RepairError> {
    let path_of = || path.to_owned();
    match Parcel::open(path).map(|parcel| parcel.document().kind) {
        Ok(ParcelKind::Recarry) => return Err(RepairError::Recarry { path: path_of() }),
        Ok(ParcelKind::Delta) => return Err(RepairError::Delta { path: path_of() }),
        Err(_) => {}
    }
    theirs.damaged_copy(path, keys)?.map_err(|reason| {
        let expected = Box::new(theirs.document().product.clone());
        RepairError::NotACopy { path: path_of(), expected, reason }
    })
}

fn said(digest: &str, damage: &[Damage]) -> String {
    let what = damage.iter().find(|damage| damage.digest == digest).map_or("", |damage| &damage.what);
    if what.is_empty() { digest.to_owned() } else { format!("{digest} ({what})") }
}

/// Writes a member anew: header and padding, and the content where that is hurt. Gives the bytes taken from the spare,
/// or nothing where it has no good copy.
fn mend(
    bundle: &Bundle,
    index: usize,
    member: &Member,
    content_hurt: bool,
    spare: &Spare,
    mender: &Mender,
) -> Result<Option<u64>, RepairError> {
    mender.write(&member.header(), member.offset)?;
    let texts = [LAYOUT_CONTENT, bundle.index_json(), bundle.signature()];
    let taken = match texts.get(index) {
        _ if !content_hurt => Some(0),
        Some(text) => mender.write(text.as_bytes(), member.content()).map(|()| Some(0))?,
        None => copy(member, spare, mender)?,
    };
    mender.write(&vec![0; padding_length(member.size)], member.padding())?;
    Ok(taken)
}

/// Writes a member's content from the spare. Gives its bytes, or nothing where the spare has no good copy.
///
/// Its digest is known only when all of it is written, as it may be too large to keep or to read twice. A wrong content
/// has the right size and lies over one that was wrong already: nothing good is lost.
fn copy(member: &Member, spare: &Spare, mender: &Mender) -> Result<Option<u64>, RepairError> {
    let Some(mut reader) = spare.reader(member) else { return Ok(None) };
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; PIECE];
    let mut written = 0;
    // What the spare cannot give, or gives wrongly, it does not have.
    while let Ok(count) = reader.read(&mut buffer) {
        if count == 0 {
            return Ok((hasher.finish() == member.digest).then_some(written));
        }
        hasher.update(&buffer[..count]);
        mender.write(&buffer[..count], member.content() + written)?;
        written += count as u64;
    }
    Ok(None)
}

/// Writes into the file or the parts of a bundle. What is missing grows as it is written, in order: a repair that was
/// stopped leaves no hole that the next one would take for content.
struct Mender {
    /// Start and path of each file.
    parts: Vec<Part>,
    files: Vec<File>,
}

impl Mender {
    /// Opens what is there, makes what is missing, and cuts off what is too long.
    fn open(remains: &Remains, total: u64) -> Result<Self, RepairError> {
        let mut parts = remains.layout(total)?;
        if let Some(path) = remains.file() {
            parts.push(Part { path: path.to_owned(), start: 0, size: total });
        }
        let mut files = Vec::new();
        for part in &parts {
            let cannot = |source| RepairError::Write { path: part.path.clone(), source };
            let open = OpenOptions::new().write(true).create(true).truncate(false).open(&part.path);
            let file = open.map_err(cannot)?;
            if file.metadata().map_err(cannot)?.len() > part.size {
                file.set_len(part.size).map_err(cannot)?;
            }
            files.push(file);
        }
        Ok(Self { parts, files })
    }

    fn write(&self, mut bytes: &[u8], mut offset: u64) -> Result<(), RepairError> {
        while !bytes.is_empty() {
            let Some(index) = part_index(&self.parts, offset) else { return Ok(()) };
            let part = &self.parts[index];
            let inside = offset - part.start;
            let cannot = |source| RepairError::Write { path: part.path.clone(), source };
            let Some(room) = part.size.checked_sub(inside).filter(|room| *room > 0) else {
                return Err(cannot(io::Error::other(format!("byte {offset} is behind the bundle's end"))));
            };
            let length = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            self.files[index].write_all_at(&bytes[..length], inside).map_err(cannot)?;
            (bytes, offset) = (&bytes[length..], offset + length as u64);
        }
        Ok(())
    }

    /// Gives everything its length, where the spare had less, and brings it to the disk.
    fn finish(&self) -> Result<(), RepairError> {
        for (file, part) in self.files.iter().zip(&self.parts) {
            let finish = || {
                if file.metadata()?.len() < part.size {
                    file.set_len(part.size)?;
                }
                file.sync_all()
            };
            finish().map_err(|source| RepairError::Write { path: part.path.clone(), source })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_behind_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        std::fs::write(&path, [0; 10]).unwrap();
        let mender = Mender::open(&Remains::find(&path).unwrap(), 10).unwrap();
        for offset in [4, 10, 11] {
            let error = mender.write(&[7; 7], offset).unwrap_err();
            assert!(matches!(&error, RepairError::Write { path: named, .. } if *named == path), "{error}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), [0, 0, 0, 0, 7, 7, 7, 7, 7, 7]);
    }
}
