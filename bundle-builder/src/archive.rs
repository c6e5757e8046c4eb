//! Tar archives of other people, walked and never unpacked: names are only compared, never made into files.
//!
//! What a reader would have to guess about (sparse files, two members of one name, names that lead elsewhere) is refused.

use std::collections::BTreeSet;
use std::io::{self, Read, Seek};

mod member;

pub(crate) use member::copy;
pub use member::{MemberError, extract};

/// Members that an archive may have.
const MOST_MEMBERS: usize = 200_000;
/// Bytes of a header that extends another (long names, PAX records).
const MOST_EXTENSION: u64 = 1 << 20;

/// Why an archive is not walked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading fails, or it is no tar.
    #[error("not readable as a tar archive")]
    Read(#[source] io::Error),
    /// Made to trick, or by a program whose extensions mean something else here.
    #[error("{0}")]
    Refused(String),
}

/// A member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, without `./` at its start and `/` at its end.
    pub name: String,
    /// Bytes of content.
    pub size: u64,
    /// Where its content starts, bytes from the archive's start.
    pub offset: u64,
    /// Where a link leads; a plain file where absent.
    pub link: Option<String>,
}

/// Shows every file and link of the tar `reader` to `visit`, with its content. To the end: a name that comes twice shows
/// only there.
pub fn walk<E: From<ArchiveError>>(
    reader: impl Read,
    visit: impl FnMut(&Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = tar::Archive::new(reader);
    let entries = archive.entries().map_err(ArchiveError::Read)?;
    each(entries, visit)
}

/// Every file and link of the tar `reader`; contents are skipped by seeking.
pub fn list(reader: impl Read + Seek) -> Result<Vec<Member>, ArchiveError> {
    let mut archive = tar::Archive::new(reader);
    let entries = archive.entries_with_seek().map_err(ArchiveError::Read)?;
    let mut members = Vec::new();
    each(entries, |member, _| {
        members.push(member.clone());
        Ok::<_, ArchiveError>(())
    })?;
    Ok(members)
}

fn each<R: Read, E: From<ArchiveError>>(
    entries: tar::Entries<'_, R>,
    mut visit: impl FnMut(&Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut names = BTreeSet::new();
    let mut extension = Extension::default();
    // Raw: the library would read extension headers of any size into memory.
    for (count, entry) in entries.raw(true).enumerate() {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        if count >= MOST_MEMBERS {
            return Err(ArchiveError::Refused(format!("more than {MOST_MEMBERS} members")).into());
        }
        if extension.take(&mut entry)? {
            continue;
        }
        let Some(member) = std::mem::take(&mut extension).member(&entry)? else { continue };
        if !names.insert(member.name.clone()) {
            return Err(ArchiveError::Refused(format!("two members are named {}", member.name)).into());
        }
        visit(&member, &mut entry)?;
    }
    Ok(())
}

/// What extension headers say about the next member.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Extension {
    /// Whether `entry` is such a header.
    fn take<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<bool, ArchiveError> {
        let kind = entry.header().entry_type();
        match kind {
            tar::EntryType::GNULongName | tar::EntryType::GNULongLink => {
                let mut text = content(entry)?;
                text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
                let place = if kind == tar::EntryType::GNULongName { &mut self.name } else { &mut self.link };
                *place = Some(text);
            }
            tar::EntryType::XHeader => {
                let records = content(entry)?;
                for record in tar::PaxExtensions::new(&records) {
                    self.record(&record.map_err(ArchiveError::Read)?)?;
                }
            }
            // Holds for all members; what it may say (times, owners, comments) is of no interest.
            tar::EntryType::XGlobalHeader => drop(content(entry)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn record(&mut self, record: &tar::PaxExtension<'_>) -> Result<(), ArchiveError> {
        match record.key_bytes() {
            b"path" => self.name = Some(record.value_bytes().to_vec()),
            b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
            b"size" => return Err(ArchiveError::Refused("a member of 8 GiB or more".to_owned())),
            key if key.starts_with(b"GNU.sparse") => return Err(sparse()),
            _ => {}
        }
        Ok(())
    }

    /// The member itself; nothing for folders and devices, which hold no content.
    fn member<R: Read>(self, entry: &tar::Entry<'_, R>) -> Result<Option<Member>, ArchiveError> {
        let header = entry.header();
        let link = match header.entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => None,
            tar::EntryType::Symlink | tar::EntryType::Link => {
                let target = self.link.or_else(|| header.link_name_bytes().map(|name| name.to_vec()));
                Some(String::from_utf8_lossy(&target.unwrap_or_default()).into_owned())
            }
            tar::EntryType::GNUSparse => return Err(sparse()),
            _ => return Ok(None),
        };
        let name = self.name.unwrap_or_else(|| header.path_bytes().to_vec());
        let name = plain(&String::from_utf8_lossy(&name))?;
        Ok(Some(Member { name, size: entry.size(), offset: entry.raw_file_position(), link }))
    }
}

fn sparse() -> ArchiveError {
    ArchiveError::Refused("a sparse member: its content is not what stands in the archive".to_owned())
}

fn content<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, ArchiveError> {
    let size = entry.size();
    if size > MOST_EXTENSION {
        return Err(ArchiveError::Refused(format!("a header of {size} bytes")));
    }
    let mut content = Vec::new();
    entry.take(MOST_EXTENSION).read_to_end(&mut content).map_err(ArchiveError::Read)?;
    Ok(content)
}

/// The name as it is compared; one that leads out of the archive is refused.
fn plain(name: &str) -> Result<String, ArchiveError> {
    if name.starts_with('/') || name.split('/').any(|part| part == "..") || name.contains('\0') {
        return Err(ArchiveError::Refused(format!("a member named {name:?}, which leads elsewhere")));
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok(parts.join("/"))
}

/// Where the link `member` leads inside its archive; nothing where that is outside.
#[must_use]
pub fn target(member: &Member) -> Option<String> {
    let link = member.link.as_deref()?;
    let mut parts: Vec<&str> = member.name.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!link.starts_with('/')).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        // Names that the library would refuse to write.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        header
    }

    fn archive(members: &[(&str, tar::EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in members {
            builder.append(&header(name, *kind, content.len() as u64), *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn listed(archive: &[u8]) -> Result<Vec<Member>, ArchiveError> {
        list(io::Cursor::new(archive))
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    #[test]
    fn members_are_found_where_they_stand() {
        let mut builder = tar::Builder::new(Vec::new());
        let long = format!("{}/layer.tar", "x".repeat(200));
        for (name, content) in [("./a", "one"), (long.as_str(), "two")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        let archive = builder.into_inner().unwrap();
        let members = listed(&archive).unwrap();
        let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["a", &long]);
        for (member, content) in members.iter().zip(["one", "two"]) {
            let start = usize::try_from(member.offset).unwrap();
            assert_eq!(&archive[start..start + 3], content.as_bytes());
        }
        let mut read = Vec::new();
        walk(&*archive, |member, content| {
            let mut text = String::new();
            content.read_to_string(&mut text).map_err(ArchiveError::Read)?;
            read.push((member.name.clone(), text));
            Ok::<_, ArchiveError>(())
        })
        .unwrap();
        assert_eq!(read[1], (long, "two".to_owned()));
    }

    #[test]
    fn pax_names_count() {
        let mut builder = tar::Builder::new(Vec::new());
        builder.append_pax_extensions([("path", &b"blobs/sha256/x"[..]), ("mtime", b"1.5")]).unwrap();
        builder.append(&header("short", FILE, 1), &b"x"[..]).unwrap();
        let members = listed(&builder.into_inner().unwrap()).unwrap();
        assert_eq!(members[0].name, "blobs/sha256/x");
    }

    #[test]
    fn tricks_are_refused() {
        let mut pax = tar::Builder::new(Vec::new());
        pax.append_pax_extensions([("GNU.sparse.major", &b"1"[..])]).unwrap();
        let mut large = tar::Builder::new(Vec::new());
        large.append_pax_extensions([("size", &b"9000000000"[..])]).unwrap();
        let bomb = vec![0; 2 << 20];
        for (archive, expected) in [
            (archive(&[("../x", FILE, b"")]), "leads elsewhere"),
            (archive(&[("/etc/passwd", FILE, b"")]), "leads elsewhere"),
            (archive(&[("a", FILE, b"1"), ("./a", FILE, b"2")]), "two members are named a"),
            (archive(&[("a", tar::EntryType::GNUSparse, b"")]), "a sparse member"),
            (archive(&[("a", tar::EntryType::GNULongName, &bomb)]), "a header of 2097152 bytes"),
            (archive(&[("a", tar::EntryType::XHeader, &bomb)]), "a header of 2097152 bytes"),
            (pax.into_inner().unwrap(), "a sparse member"),
            (large.into_inner().unwrap(), "8 GiB or more"),
        ] {
            let error = listed(&archive).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(listed(&[1; 1024]), Err(ArchiveError::Read(_))));
    }

    #[test]
    fn sizes_behind_the_end_are_seen() {
        let good = archive(&[("a", FILE, b"1"), ("b", FILE, b"2")]);
        for size in [1025, 1 << 33, i64::MAX as u64, u64::MAX - 1023, u64::MAX] {
            for front in [0, 1024] {
                let mut changed = good[..front].to_vec();
                changed.extend(header("c", FILE, size).as_bytes());
                changed.extend([0; 1024]);
                assert!(walk(&*changed, |_, _| Ok::<_, ArchiveError>(())).is_err(), "{size} behind {front}");
                // Whoever seeks comes to no end: there the place tells.
                let end = changed.len() as u64;
                let behind = |one: &Member| one.offset.saturating_add(one.size) > end;
                assert!(listed(&changed).map_or(true, |all| all.iter().any(behind)), "{size} behind {front}");
            }
        }
    }

    #[test]
    fn too_many_members_are_refused() {
        struct Endless(Vec<u8>, usize, u32);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.1 == self.0.len() {
                    self.2 += 1;
                    (self.0, self.1) = (header(&self.2.to_string(), FILE, 0).as_bytes().to_vec(), 0);
                }
                let count = buffer.len().min(self.0.len() - self.1);
                buffer[..count].copy_from_slice(&self.0[self.1..self.1 + count]);
                self.1 += count;
                Ok(count)
            }
        }
        let error = walk(Endless(Vec::new(), 0, 0), |_, _| Ok::<_, ArchiveError>(())).unwrap_err();
        assert!(error.to_string().contains("more than 200000 members"), "{error}");
    }

    #[test]
    fn links_stay_inside() {
        let member = |name: &str, link: &str| Member {
            name: name.to_owned(),
            size: 0,
            offset: 0,
            link: Some(link.to_owned()),
        };
        assert_eq!(target(&member("a/layer.tar", "../b/layer.tar")).as_deref(), Some("b/layer.tar"));
        assert_eq!(target(&member("a/layer.tar", "../../b")), None);
        assert_eq!(target(&member("a", "/etc/passwd")), None);
    }
}
