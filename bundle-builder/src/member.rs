//! One file out of an archive, into the cache: tar (plain, gzip or zstd) and zip, told apart by their first bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use sealift_bundle::digest::HashingReader;

use crate::archive::{self, ArchiveError, Walk};
use crate::cache::{Cache, CacheError, Content};

/// Bytes that a file out of an archive may have: more is a trick, or no file for hosts.
const MOST_BYTES: u64 = 16 << 30;

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
        source: zip::result::ZipError,
    },
    /// Nothing of that name.
    #[error("{} holds no file {member}{}", path.display(), like(nearest))]
    Missing {
        /// The archive.
        path: PathBuf,
        /// What was looked for.
        member: String,
        /// Members whose last part is the same.
        nearest: Vec<String>,
    },
    /// A link in the place of the file.
    #[error("{member} in {} is a link to {link}: name what it leads to", path.display())]
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

fn like(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; there is {}", nearest.join(", ")) }
}

/// Puts the file `member` of the archive at `path` into the cache.
pub fn extract(path: &Path, member: &str, cache: &Cache) -> Result<Content, MemberError> {
    let failed = |source| MemberError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = [0; 4];
    let count = file.read(&mut magic).map_err(failed)?;
    file.rewind().map_err(failed)?;
    let wanted = member.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/");
    let search = Search { path, wanted: &wanted, cache };
    match &magic[..count] {
        b"PK\x03\x04" => search.zip(file),
        [0x1f, 0x8b, ..] => search.tar(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd] => search.tar(zstd::Decoder::new(file).map_err(failed)?),
        _ => search.tar(BufReader::new(file)),
    }
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

impl Search<'_> {
    fn tar(&self, reader: impl Read) -> Result<Content, MemberError> {
        let mut found = None;
        let mut nearest = Vec::new();
        let walked = archive::walk(reader, |member, content| {
            if member.name != self.wanted {
                if last(&member.name) == last(self.wanted) && nearest.len() < 5 {
                    nearest.push(member.name.clone());
                }
                return Ok(Walk::On);
            }
            if let Some(link) = &member.link {
                return Err(Stop::Member(self.link(link.clone())));
            }
            found = Some(self.store(content, member.size).map_err(Stop::Member)?);
            Ok(Walk::Stop)
        });
        match walked {
            Ok(()) => found.ok_or_else(|| self.missing(nearest)),
            Err(Stop::Member(error)) => Err(error),
            Err(Stop::Archive(source)) => Err(MemberError::Archive { path: self.path.to_owned(), source }),
        }
    }

    fn zip(&self, file: File) -> Result<Content, MemberError> {
        let failed = |source| MemberError::Zip { path: self.path.to_owned(), source };
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(failed)?;
        let mut entry = match archive.by_name(self.wanted) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => {
                let names = archive.file_names().filter(|name| last(name) == last(self.wanted));
                let nearest = names.take(5).map(ToOwned::to_owned).collect();
                return Err(self.missing(nearest));
            }
            Err(error) => return Err(failed(error)),
        };
        if entry.is_symlink() {
            let mut link = String::new();
            (&mut entry).take(4096).read_to_string(&mut link).map_err(|error| self.unreadable(error))?;
            return Err(self.link(link));
        }
        let size = entry.size();
        self.store(&mut entry, size)
    }

    /// Copies and hashes at once, into a file that becomes a blob or nothing.
    fn store(&self, content: &mut dyn Read, expected: u64) -> Result<Content, MemberError> {
        let mut target = self.cache.temporary()?;
        let mut reader = HashingReader::new(content.take(MOST_BYTES + 1));
        let mut buffer = vec![0; 1 << 18];
        let mut size = 0;
        loop {
            let count = reader.read(&mut buffer).map_err(|error| self.unreadable(error))?;
            if count == 0 {
                break;
            }
            size += count as u64;
            if size > MOST_BYTES {
                let member = self.wanted.to_owned();
                return Err(MemberError::TooLarge { path: self.path.to_owned(), member });
            }
            target.write_all(&buffer[..count]).map_err(|source| CacheError::File {
                action: "write",
                path: target.path().to_owned(),
                source,
            })?;
        }
        if size != expected {
            return Err(self.unreadable(io::ErrorKind::UnexpectedEof.into()));
        }
        let (digest, _, _) = reader.finish();
        self.cache.adopt(target, &digest)?;
        Ok(Content { digest, size })
    }

    fn missing(&self, nearest: Vec<String>) -> MemberError {
        MemberError::Missing { path: self.path.to_owned(), member: self.wanted.to_owned(), nearest }
    }

    fn link(&self, link: String) -> MemberError {
        MemberError::Link { path: self.path.to_owned(), member: self.wanted.to_owned(), link }
    }

    fn unreadable(&self, source: io::Error) -> MemberError {
        MemberError::Read { path: self.path.to_owned(), source }
    }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::cache;
    use sealift_bundle::digest::digest_of;

    fn tar() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(7);
        header.set_mode(0o755);
        builder.append_data(&mut header, "helm/bin/helm", &b"program"[..]).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        builder.append_link(&mut header, "helm/bin/link", "helm").unwrap();
        builder.into_inner().unwrap()
    }

    fn zip() -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        writer.start_file("helm/bin/helm", zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(b"program").unwrap();
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
        for content in [tar(), gzip(&tar()), zstd::encode_all(&*tar(), 3).unwrap(), zip()] {
            std::fs::write(&path, content).unwrap();
            let found = extract(&path, "./helm/bin/helm", &cache).unwrap();
            assert_eq!(found, Content { digest: digest_of(b"program"), size: 7 });
            assert_eq!(cache.read(&found.digest).unwrap().as_deref(), Some(&b"program"[..]));
            cache.forget(&found.digest).unwrap();
            let error = extract(&path, "bin/helm", &cache).unwrap_err().to_string();
            assert!(error.ends_with("holds no file bin/helm; there is helm/bin/helm"), "{error}");
        }
    }

    #[test]
    fn links_and_broken_archives_are_refused() {
        let (folder, cache) = cache();
        let path = folder.path().join("archive");
        let refused = |content: &[u8], member: &str| {
            std::fs::write(&path, content).unwrap();
            let error = extract(&path, member, &cache).unwrap_err();
            assert!(std::fs::read_dir(folder.path().join("blobs/sha256")).unwrap().next().is_none());
            assert!(std::fs::read_dir(folder.path().join("partial")).unwrap().next().is_none());
            error
        };
        assert!(matches!(refused(&tar(), "helm/bin/link"), MemberError::Link { link, .. } if link == "helm"));
        assert!(matches!(refused(b"no archive at all", "x"), MemberError::Archive { .. }));
        assert!(matches!(refused(b"PK\x03\x04 and nothing", "x"), MemberError::Zip { .. }));
        let cut = gzip(&tar());
        assert!(matches!(refused(&cut[..40], "helm/bin/helm"), MemberError::Archive { .. } | MemberError::Read { .. }));
        let tar = tar();
        assert!(matches!(refused(&tar[..515], "helm/bin/helm"), MemberError::Read { .. } | MemberError::Archive { .. }));
        assert!(matches!(extract(&folder.path().join("none"), "x", &cache), Err(MemberError::Read { .. })));
    }
}
