//! The carry folder: what goes onto the disk for a customer, with all that the person who carries it must know.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sealift_bundle::Bundle;
use sealift_bundle::digest::{self, Hasher};
use sealift_bundle::output::Output;
use sealift_bundle::rotation::Rotation;
use sealift_bundle::split::{SplitError, split};

use crate::atomic;
use crate::cache::{CacheError, Room, require_room};
use crate::progress::Progress;

mod folder;
mod installer;
mod texts;

use folder::{Workplace, written};
pub use installer::Installer;

/// Checksums of every other file, as `sha256sum -c` reads them.
pub const SUMS: &str = "SHA256SUMS";
/// What to do, for the field engineer.
pub const START: &str = "START-HERE.txt";
/// The key's fingerprint, to compare by phone.
pub const FINGERPRINT: &str = "KEY-FINGERPRINT.txt";
/// Bytes read at a time.
const STEP: usize = 1 << 20;
/// More than the texts, keys and sums ever are.
const SMALL_FILES: u64 = 1 << 20;

/// What to put where.
pub struct Order<'a> {
    /// The bundle, verified by whoever orders.
    pub bundle: &'a Bundle,
    /// Installers, at least one for each platform of the bundle.
    pub installers: &'a [Installer],
    /// Statements that the bundle's key follows keys that customers trust.
    pub rotations: &'a [Rotation],
    /// A larger bundle is cut into parts of this many bytes.
    pub part_size: Option<u64>,
    /// The folder.
    pub target: &'a Path,
}

/// A folder that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// Names of its files, sorted.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the bundle shares its blocks with the original: no second copy on this disk.
    pub shared: bool,
}

/// Why there is no carry folder. Nothing is left behind then, and an earlier folder stays.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// A platform that installers are not made for.
    #[error("there are no installers for `{platform}`")]
    Platform {
        /// What was given.
        platform: String,
        /// The valid name closest to it, where one is close.
        nearest: Option<&'static str>,
        /// All valid names.
        known: Vec<&'static str>,
    },
    /// Two installers for one platform.
    #[error("there are two installers for {platform}")]
    Twice {
        /// Which.
        platform: String,
    },
    /// The bundle has a platform without installer.
    #[error("the bundle is for {platform}, but no installer is")]
    NoInstaller {
        /// Which.
        platform: String,
    },
    /// A program that would not run on the hosts.
    #[error("{} is no installer for {platform}: {reason}", path.display())]
    Installer {
        /// The program.
        path: PathBuf,
        /// What it was given for.
        platform: String,
        /// How that shows.
        reason: String,
    },
    /// The folder holds something else.
    #[error("{} holds {}, which no carry folder does", folder.display(), name.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// The first such thing.
        name: OsString,
    },
    /// Something is there that is no folder.
    #[error("{} is there, and is no folder", path.display())]
    NoFolder {
        /// What was named.
        path: PathBuf,
    },
    /// The top folder of a disk: it cannot be made beside its place.
    #[error("{} is the top folder of a disk", folder.display())]
    TopFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The bundle is in parts.
    #[error("{} is in parts", path.display())]
    InParts {
        /// The bundle.
        path: PathBuf,
    },
    /// The bundle cannot be cut.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Too little space.
    #[error(transparent)]
    Room(#[from] CacheError),
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Whether `installers` serve all `platforms`, and a carry folder may be written to `target`: to be asked before the long
/// work that makes the bundle.
pub fn check(installers: &[Installer], platforms: &[String], target: &Path) -> Result<(), CarryError> {
    installer::cover(installers, platforms)?;
    folder::check(target).map(drop)
}

/// Writes the folder.
pub fn carry(order: &Order<'_>, progress: &dyn Progress) -> Result<Carried, CarryError> {
    check(order.installers, &order.bundle.document().platforms, order.target)?;
    let mut room = Room::default();
    room.add(SMALL_FILES);
    for installer in order.installers {
        room.add(size(installer.path())?);
    }
    require_room(order.target, room.needed())?;
    let workplace = Workplace::begin(order.target)?;
    let mut folder = Folder { path: workplace.path(), sums: BTreeMap::new() };
    let (bundle, shared) = folder.bundle(order, room, progress)?;
    for installer in order.installers {
        folder.copy(installer.path(), &installer.file_name(), 0o755, &mut |_| {})?;
    }
    let key = format!("{}.pub", file_name(&order.bundle.document().product.name));
    let id = order.bundle.key_id();
    folder.text(
        &key,
        &format!("untrusted comment: minisign public key {id}\n{}\n", order.bundle.public_key()),
    )?;
    let mut rotations = Vec::new();
    for rotation in order.rotations {
        // Several keys may be followed by one.
        let name = format!("{}-{}.rotation", file_name(rotation.old_id()), file_name(rotation.new_id()));
        if !rotations.contains(&name) {
            folder.text(&name, rotation.text())?;
            rotations.push(name);
        }
    }
    let names =
        texts::Names { bundle: &bundle, key: &key, rotations: &rotations, installers: order.installers };
    folder.text(FINGERPRINT, &texts::fingerprint(order.bundle))?;
    folder.text(START, &texts::start(order.bundle, &names))?;
    let sums: Vec<String> = folder.sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    folder.text(SUMS, &sums.concat())?;
    let files: Vec<String> = folder.sums.into_keys().collect();
    let sizes: Result<Vec<u64>, _> = files.iter().map(|name| size(&workplace.path().join(name))).collect();
    let bytes = sizes?.iter().sum();
    workplace.finish()?;
    Ok(Carried { files, bytes, shared })
}

/// The files of the folder, and their sums.
struct Folder<'a> {
    path: &'a Path,
    sums: BTreeMap<String, String>,
}

impl Folder<'_> {
    /// Puts the bundle in, whole or in parts: their names, and whether it shares its blocks with the original.
    fn bundle(
        &mut self,
        order: &Order<'_>,
        mut room: Room,
        progress: &dyn Progress,
    ) -> Result<(Vec<String>, bool), CarryError> {
        let (source, total) = (order.bundle.path(), order.bundle.size());
        // By its first part, or by the name that parts share.
        if !source.metadata().is_ok_and(|file| file.len() == total) {
            return Err(CarryError::InParts { path: source.to_owned() });
        }
        let product = &order.bundle.document().product;
        let name = format!("{}-{}.bundle", file_name(&product.name), file_name(&product.version));
        let part_size = order.part_size.filter(|size| *size < total);
        let target = self.path.join(&name);
        if part_size.is_none() && share(source, &target) {
            let sums = piece_sums(source, total, &|done| progress.advance("checksum", done, total))?;
            self.sums.extend(sums.into_iter().map(|sum| (name.clone(), sum)));
            return Ok((vec![name], true));
        }
        room.add(total);
        require_room(order.target, room.needed())?;
        let Some(part_size) = part_size else {
            self.copy(source, &name, 0o644, &mut |done| progress.advance("copy", done, total))?;
            return Ok((vec![name], false));
        };
        // Beside the cutting, of what is in memory then anyway: the kernel copies the parts.
        let (sums, parts) = std::thread::scope(|scope| {
            let sums = scope.spawn(|| piece_sums(source, part_size, &|_| {}));
            let advance = |done, total| progress.advance("split", done, total);
            let parts = split(source, part_size, self.path, &advance);
            (sums.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), parts)
        });
        let mut names = Vec::new();
        for ((number, path), sum) in parts?.into_iter().enumerate().zip(sums?) {
            let part = format!("{name}.{:03}", number + 1);
            fs::rename(&path, self.path.join(&part)).map_err(written(&path))?;
            self.sums.insert(part.clone(), sum);
            names.push(part);
        }
        Ok((names, false))
    }

    /// Copies a file, hashed while it is copied.
    fn copy(
        &mut self,
        source: &Path,
        name: &str,
        mode: u32,
        advance: &mut dyn FnMut(u64),
    ) -> Result<(), CarryError> {
        let target = self.path.join(name);
        let mut output = Output::with_mode(&target, mode).map_err(written(&target))?;
        let mut hasher = Hasher::new();
        let mut done = 0;
        read_all(source, &mut |piece| {
            hasher.update(piece);
            output.write_all(piece).map_err(written(&target))?;
            done += piece.len() as u64;
            advance(done);
            Ok(())
        })?;
        output.finish().map_err(written(&target))?;
        self.sums.insert(name.to_owned(), hexadecimal(&hasher.finish()));
        Ok(())
    }

    fn text(&mut self, name: &str, text: &str) -> Result<(), CarryError> {
        let target = self.path.join(name);
        atomic::write(&target, text.as_bytes()).map_err(written(&target))?;
        self.sums.insert(name.to_owned(), hexadecimal(&digest::digest_of(text.as_bytes())));
        Ok(())
    }
}

/// Makes `target` the same file as `source` without a second copy: blocks shared where the file system can, else a second
/// name. `false` where neither works.
fn share(source: &Path, target: &Path) -> bool {
    let clone = || {
        let (from, to) = (File::open(source)?, Output::create(target)?);
        rustix::fs::ioctl_ficlone(to.file(), &from)?;
        to.finish()
    };
    if clone().is_ok() {
        return true;
    }
    // The file itself, where the source is a link to it.
    fs::canonicalize(source).and_then(|source| fs::hard_link(source, target)).is_ok()
}

/// Sums of a file's pieces, each of `length` bytes but the last.
fn piece_sums(path: &Path, length: u64, advance: &dyn Fn(u64)) -> Result<Vec<String>, CarryError> {
    let (mut sums, mut hasher, mut left, mut done) = (Vec::new(), Hasher::new(), length, 0);
    read_all(path, &mut |mut piece| {
        while !piece.is_empty() {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            hasher.update(&piece[..count]);
            (piece, left, done) = (&piece[count..], left - count as u64, done + count as u64);
            if left == 0 {
                sums.push(hexadecimal(&std::mem::replace(&mut hasher, Hasher::new()).finish()));
                left = length;
            }
        }
        advance(done);
        Ok(())
    })?;
    if left < length {
        sums.push(hexadecimal(&hasher.finish()));
    }
    Ok(sums)
}

/// Hands over all of a file, piece by piece.
fn read_all(path: &Path, take: &mut dyn FnMut(&[u8]) -> Result<(), CarryError>) -> Result<(), CarryError> {
    let cannot = |source| CarryError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(cannot)?;
    let mut buffer = vec![0; STEP];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot(error)),
        }
    }
}

fn size(path: &Path) -> Result<u64, CarryError> {
    let cannot = |source| CarryError::Read { path: path.to_owned(), source };
    path.metadata().map(|file| file.len()).map_err(cannot)
}

fn hexadecimal(digest: &str) -> String {
    digest.trim_start_matches(digest::PREFIX).to_owned()
}

/// `text` as part of a file's name that every disk takes.
fn file_name(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._+-".contains(c) { c } else { '-' };
    text.chars().take(60).map(plain).collect::<String>().trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_their_own_sums() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..2_500_000_u32).map(|number| (number % 251) as u8).collect();
        fs::write(&path, &content).unwrap();
        for length in [1_000_000, 1_250_000, 2_500_000, 9_000_000, 1 << 20] {
            let expected: Vec<String> = content
                .chunks(usize::try_from(length).unwrap())
                .map(|piece| hexadecimal(&digest::digest_of(piece)))
                .collect();
            assert_eq!(piece_sums(&path, length, &|_| {}).unwrap(), expected, "{length}");
        }
    }

    #[test]
    fn a_shared_file_is_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (source, target) = (folder.path().join("source"), folder.path().join("target"));
        fs::write(&source, "content").unwrap();
        assert!(share(&source, &target));
        assert_eq!(fs::read(&target).unwrap(), b"content");
        assert!(!share(&folder.path().join("missing"), &folder.path().join("other")));
        assert!(!folder.path().join("other").exists());
    }

    #[test]
    fn names_suit_every_disk() {
        assert_eq!(file_name("4.2.0+build 7"), "4.2.0+build-7");
        assert_eq!(file_name("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(file_name(&"ä".repeat(100)), "-".repeat(60));
    }
}
