//! One file out of an archive, into the cache: tar (plain, gzip or zstd) and zip, told apart by their first bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use sealift_bundle::digest::HashingReader;
use tempfile::NamedTempFile;
use zip::result::ZipError;

use super::{ArchiveError, MOST_MEMBERS};
use crate::cache::{Cache, CacheError, Content, require_room};

/// Bytes that a file out of an archive may have: more is a trick, or no file for hosts.
const MOST_BYTES: u64 = 16 << 30;
/// Bytes that a compressed archive may unpack to.
const MOST_UNPACKED: u64 = 64 << 30;
/// Names longer than this are not offered as the nearest one.
const LONGEST_OFFERED: usize = 200;

/// Why a member cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The archive cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no archive that this program knows, or one made to trick.
    #[error("{} cannot be used as an archive", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// It is no zip archive that this program reads.
    #[error("{} cannot be used as a zip archive", path.display())]
    Zip {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: ZipError,
    },
    /// Nothing of that name.
    #[error("{} holds no file {member}", path.display())]
    Missing {
        /// The archive.
        path: PathBuf,
        /// What was looked for.
        member: String,
        /// The member whose name is most like it.
        nearest: Option<String>,
    },
    /// A link in the place of the file.
    #[error("{member} in {} is a link to {link}", path.display())]
    Link {
        /// The archive.
        path: PathBuf,
        /// The member.
        member: String,
        /// Where it leads.
        link: String,
    },
    /// Far too large.
    #[error("{member} in {} has more than {} GiB", path.display(), MOST_BYTES >> 30)]
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// The member.
        member: String,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

/// Puts the file `member` of the archive at `path` into the cache.
pub fn extract(path: &Path, member: &str, cache: &Cache) -> Result<Content, MemberError> {
    let failed = |source| MemberError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = Vec::new();
    (&mut file).take(4).read_to_end(&mut magic).map_err(failed)?;
    file.rewind().map_err(failed)?;
    let wanted = member.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/");
    let search = Search { path, wanted: &wanted, cache };
    let (file, content) = match *magic {
        [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => search.zip(file)?,
        [0x1f, 0x8b, ..] => search.tar(flate2::read::MultiGzDecoder::new(BufReader::new(file)))?,
        [0x28, 0xb5, 0x2f, 0xfd] => search.tar(zstd::Decoder::new(file).map_err(failed)?)?,
        _ => search.tar(BufReader::new(file))?,
    };
    cache.adopt(file, &content.digest)?;
    Ok(content)
}

struct Search<'a> {
    path: &'a Path,
    wanted: &'a str,
    cache: &'a Cache,
}

/// A refusal on the walk, before it knows the archive's path.
enum Stop {
    Archive(ArchiveError),
    Member(MemberError),
}

impl From<ArchiveError> for Stop {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

/// A file that becomes a blob, and what it holds.
type Found = (NamedTempFile, Content);

impl Search<'_> {
    fn tar(&self, reader: impl Read) -> Result<Found, MemberError> {
        let mut reader = reader.take(MOST_UNPACKED);
        let mut found = None;
        let mut nearest = Nearest::to(self.wanted);
        let walked = super::walk(&mut reader, |member, content| {
            if member.name != self.wanted {
                nearest.offer(&member.name);
                return Ok(());
            }
            if let Some(link) = &member.link {
                return Err(Stop::Member(self.link(link.text().to_owned())));
            }
            found = Some(self.store(content, member.size).map_err(Stop::Member)?);
            Ok(())
        });
        match walked {
            Ok(()) => {}
            Err(Stop::Member(error)) => return Err(error),
            Err(Stop::Archive(source)) => return Err(self.unusable(source)),
        }
        // What compresses it has a checksum at its end.
        io::copy(&mut reader, &mut io::sink()).map_err(|error| self.unreadable(error))?;
        found.ok_or_else(|| self.missing(nearest))
    }

    fn zip(&self, file: File) -> Result<Found, MemberError> {
        let failed = |source| MemberError::Zip { path: self.path.to_owned(), source };
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(failed)?;
        if archive.len() > MOST_MEMBERS {
            return Err(self.unusable(ArchiveError::Refused(format!("more than {MOST_MEMBERS} members"))));
        }
        if archive.has_duplicate_names() {
            let twice = "two members have the same name".to_owned();
            return Err(self.unusable(ArchiveError::Refused(twice)));
        }
        let Some(index) = archive.index_for_name(self.wanted) else {
            let mut nearest = Nearest::to(self.wanted);
            archive.file_names().filter_map(Result::ok).for_each(|name| nearest.offer(&name));
            return Err(self.missing(nearest));
        };
        let mut entry = archive.by_index(index).map_err(failed)?;
        if entry.is_symlink() {
            let mut link = Vec::new();
            (&mut entry).take(4096).read_to_end(&mut link).map_err(|error| self.unreadable(error))?;
            return Err(self.link(String::from_utf8_lossy(&link).into_owned()));
        }
        let size = entry.size();
        self.store(&mut entry, size)
    }

    /// Copies and hashes at once.
    fn store(&self, content: &mut dyn Read, size: u64) -> Result<Found, MemberError> {
        if size > MOST_BYTES {
            let member = self.wanted.to_owned();
            return Err(MemberError::TooLarge { path: self.path.to_owned(), member });
        }
        require_room(self.cache.folder(), size)?;
        let mut target = self.cache.temporary()?;
        // One byte more than promised: what is longer is noticed.
        let mut reader = HashingReader::new(content.take(size + 1));
        copy(&mut reader, &mut target, |error| self.unreadable(error), &|_| ())?;
        let (digest, count, _) = reader.finish();
        if count != size {
            return Err(self.unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok((target, Content { digest, size }))
    }

    fn missing(&self, nearest: Nearest<'_>) -> MemberError {
        let (path, member) = (self.path.to_owned(), self.wanted.to_owned());
        MemberError::Missing { path, member, nearest: nearest.name }
    }

    fn link(&self, link: String) -> MemberError {
        MemberError::Link { path: self.path.to_owned(), member: self.wanted.to_owned(), link }
    }

    fn unusable(&self, source: ArchiveError) -> MemberError {
        MemberError::Archive { path: self.path.to_owned(), source }
    }

    fn unreadable(&self, source: io::Error) -> MemberError {
        MemberError::Read { path: self.path.to_owned(), source }
    }
}

/// Copies all of `from`: a failed read and a failed write are different errors. `advanced` hears how many bytes came.
pub(crate) fn copy<E: From<CacheError>>(
    from: &mut dyn Read,
    to: &mut NamedTempFile,
    unreadable: impl Fn(io::Error) -> E,
    advanced: &dyn Fn(i64),
) -> Result<(), E> {
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = from.read(&mut buffer).map_err(&unreadable)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count]).map_err(|source| CacheError::File {
            action: "write",
            path: to.path().to_owned(),
            source,
        })?;
        advanced((count as u64).cast_signed());
    }
}

/// The name that is most like another: one with the same last part, else the one with the fewest other letters.
struct Nearest<'a> {
    to: &'a str,
    name: Option<String>,
    distance: (bool, usize),
}

impl<'a> Nearest<'a> {
    fn to(to: &'a str) -> Self {
        Self { to, name: None, distance: (true, LONGEST_OFFERED) }
    }

    fn offer(&mut self, name: &str) {
        let last = |name: &str| name.rsplit('/').next().map(ToOwned::to_owned);
        if name.len() <= LONGEST_OFFERED && self.to.len() <= LONGEST_OFFERED && !name.ends_with('/') {
            let distance = (last(name) != last(self.to), strsim::damerau_levenshtein(self.to, name));
            if distance < self.distance {
                (self.name, self.distance) = (Some(name.to_owned()), distance);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::cache;
    use sealift_bundle::digest::digest_of;

    fn file(builder: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, content).unwrap();
    }

    fn tar() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        file(&mut builder, "helm/bin/helm", b"program");
        file(&mut builder, "helm/LICENSE", b"text");
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "helm/bin/link", "helm").unwrap();
        builder.into_inner().unwrap()
    }

    fn zip(method: zip::CompressionMethod) -> Vec<u8> {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        writer.start_file("helm/bin/helm", options).unwrap();
        writer.write_all(b"program").unwrap();
        writer.add_symlink("helm/bin/link", "helm", options).unwrap();
        writer.finish().unwrap().into_inner()
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_comes_out_of_every_kind_of_archive() {
        let (folder, cache) = cache();
        let path = folder.path().join("archive");
        let stored = zip(zip::CompressionMethod::Stored);
        let deflated = zip(zip::CompressionMethod::Deflated);
        for content in [tar(), gzip(&tar()), zstd::encode_all(&*tar(), 3).unwrap(), stored, deflated] {
            std::fs::write(&path, content).unwrap();
            let found = extract(&path, "./helm/bin/helm", &cache).unwrap();
            assert_eq!(found, Content { digest: digest_of(b"program"), size: 7 });
            assert_eq!(cache.read(&found.digest, found.size).unwrap().as_deref(), Some(&b"program"[..]));
            cache.forget(&found.digest).unwrap();
            for wrong in ["bin/helm", "helm/bin/helmm"] {
                let MemberError::Missing { nearest, .. } = extract(&path, wrong, &cache).unwrap_err() else {
                    panic!("found {wrong}")
                };
                assert_eq!(nearest.as_deref(), Some("helm/bin/helm"), "{wrong}");
            }
            let link = extract(&path, "helm/bin/link", &cache).unwrap_err();
            assert!(matches!(link, MemberError::Link { link, .. } if link == "helm"));
        }
    }

    #[test]
    fn doubles_and_broken_archives_are_refused_and_leave_nothing() {
        let (folder, cache) = cache();
        let path = folder.path().join("archive");
        let refused = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            let error = extract(&path, "helm/bin/helm", &cache).unwrap_err();
            for place in ["blobs/sha256", "partial"] {
                assert!(std::fs::read_dir(folder.path().join(place)).unwrap().next().is_none(), "{error}");
            }
            error
        };
        assert!(matches!(refused(b"no archive at all"), MemberError::Archive { .. }));
        assert!(matches!(refused(b""), MemberError::Missing { nearest: None, .. }));
        assert!(matches!(refused(b"PK\x03\x04 and nothing"), MemberError::Zip { .. }));
        let whole = gzip(&tar());
        let cut = refused(&whole[..whole.len() - 6]);
        assert!(matches!(cut, MemberError::Read { .. } | MemberError::Archive { .. }), "{cut:?}");
        assert!(matches!(refused(&tar()[..515]), MemberError::Read { .. } | MemberError::Archive { .. }));

        let mut builder = tar::Builder::new(Vec::new());
        file(&mut builder, "helm/bin/helm", b"one");
        file(&mut builder, "./helm/bin/helm", b"two");
        let MemberError::Archive { source, .. } = refused(&builder.into_inner().unwrap()) else {
            panic!("taken")
        };
        assert_eq!(source.to_string(), "two members are named helm/bin/helm");

        let mut huge = tar::Header::new_gnu();
        huge.set_path("helm/bin/helm").unwrap();
        huge.set_size(MOST_BYTES + 1);
        huge.set_cksum();
        assert!(matches!(refused(huge.as_bytes()), MemberError::TooLarge { .. }));

        let mut lying = zip(zip::CompressionMethod::Stored);
        let at = lying.windows(7).position(|piece| piece == b"program").unwrap();
        lying[at] = b'P';
        assert!(matches!(refused(&lying), MemberError::Read { .. }));
        assert!(matches!(extract(&folder.path().join("none"), "x", &cache), Err(MemberError::Read { .. })));
    }
}
