//! Tar archives of other people, walked and never unpacked: names are only compared, never made into files.
//!
//! What a reader would have to guess about (sparse files, two members of one name, names that lead elsewhere) is refused,
//! and so is what would fill the memory. For archives that another program reads after this one there is [`walk_files`].

use std::collections::BTreeSet;
use std::io::{self, Read, Seek};

mod member;

pub(crate) use member::copy;
pub use member::{MemberError, extract};

/// Members that an archive may have.
const MOST_MEMBERS: usize = 200_000;
/// Bytes of a header that extends another (long names, PAX records).
const MOST_EXTENSION: u64 = 1 << 20;
/// Bytes that a name, or what a link leads to, may have: no system opens longer ones (`PATH_MAX`).
const MOST_NAME: usize = 4096;
/// Bytes of all names and what links lead to together, as they are kept.
const MOST_NAMES: usize = 64 << 20;

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
    pub link: Option<Link>,
}

/// A link in an archive, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// From the folder of its own name.
    Symbolic(String),
    /// From the archive's start.
    Hard(String),
}

impl Link {
    /// What is written.
    #[must_use]
    pub fn text(&self) -> &str {
        let (Self::Symbolic(text) | Self::Hard(text)) = self;
        text
    }
}

/// Shows every file and link of the tar `reader` to `visit`, with its content. To the end: a name that comes twice shows
/// only there.
pub fn walk<E: From<ArchiveError>>(
    reader: impl Read,
    visit: impl FnMut(&Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    read(reader, Taken::Contents, visit)
}

/// As [`walk`], where another program reads the same archive by its own rules: all but plain files and empty folders is
/// refused, and so are names that could be written in another way, since the other one may take `./a` for something else
/// than `a`.
pub fn walk_files<E: From<ArchiveError>>(
    reader: impl Read,
    visit: impl FnMut(&Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    read(reader, Taken::FilesOnly, visit)
}

fn read<E: From<ArchiveError>>(
    reader: impl Read,
    taken: Taken,
    visit: impl FnMut(&Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = tar::Archive::new(reader);
    let entries = archive.entries().map_err(ArchiveError::Read)?;
    each(entries, taken, visit)
}

/// Every file and link of the tar `reader`; contents are skipped by seeking.
pub fn list(reader: impl Read + Seek) -> Result<Vec<Member>, ArchiveError> {
    let mut archive = tar::Archive::new(reader);
    let entries = archive.entries_with_seek().map_err(ArchiveError::Read)?;
    let mut members = Vec::new();
    each(entries, Taken::Contents, |member, _| {
        members.push(member.clone());
        Ok::<_, ArchiveError>(())
    })?;
    Ok(members)
}

/// What an archive may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Anything; folders and devices, which hold no content, are passed over.
    Contents,
    /// Files, and folders that are passed over.
    FilesOnly,
}

fn each<R: Read, E: From<ArchiveError>>(
    entries: tar::Entries<'_, R>,
    taken: Taken,
    mut visit: impl FnMut(&Member, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut names = BTreeSet::new();
    let mut kept = 0;
    let mut extension = Extension::default();
    // Raw: the library would read extension headers of any size into memory.
    for (count, entry) in entries.raw(true).enumerate() {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        if count >= MOST_MEMBERS {
            return Err(refused(format!("more than {MOST_MEMBERS} members")).into());
        }
        if extension.take(&mut entry)? {
            continue;
        }
        let extension = std::mem::take(&mut extension);
        if taken == Taken::FilesOnly {
            extension.only_files(&entry)?;
        }
        let Some(member) = extension.member(&entry)? else { continue };
        kept += member.name.len() + member.link.as_ref().map_or(0, |link| link.text().len());
        if kept > MOST_NAMES {
            return Err(refused(format!("names of more than {} MiB", MOST_NAMES >> 20)).into());
        }
        if !names.insert(member.name.clone()) {
            return Err(refused(format!("two members are named {}", member.name)).into());
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
    records: bool,
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
                once(place, &text)?;
            }
            tar::EntryType::XHeader => {
                if std::mem::replace(&mut self.records, true) {
                    return Err(refused("two headers with records for one member"));
                }
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
            b"path" => once(&mut self.name, record.value_bytes())?,
            b"linkpath" => once(&mut self.link, record.value_bytes())?,
            b"size" => return Err(refused("a member of 8 GiB or more")),
            key if key.starts_with(b"GNU.sparse") => return Err(sparse()),
            _ => {}
        }
        Ok(())
    }

    /// The name as it is written.
    fn name<R: Read>(&self, entry: &tar::Entry<'_, R>) -> String {
        let name = self.name.as_deref().map_or_else(|| entry.header().path_bytes(), Into::into);
        String::from_utf8_lossy(&name).into_owned()
    }

    /// Where a link leads.
    fn target<R: Read>(&self, entry: &tar::Entry<'_, R>) -> String {
        let link = self.link.as_deref().map(Into::into).or_else(|| entry.header().link_name_bytes());
        String::from_utf8_lossy(&link.unwrap_or_default()).into_owned()
    }

    /// Refuses what a reader with other rules could understand in another way.
    fn only_files<R: Read>(&self, entry: &tar::Entry<'_, R>) -> Result<(), ArchiveError> {
        let name = self.name(entry);
        let why = match entry.header().entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let same = plain(&name)? == name && !name.contains('\\');
                (!same).then(|| "has a name that programs read in several ways".to_owned())
            }
            // Some programs take what stands there for its content, others for the next member.
            tar::EntryType::Directory => {
                plain(&name)?;
                (entry.size() > 0).then(|| "is a folder with content of its own".to_owned())
            }
            tar::EntryType::Symlink | tar::EntryType::Link => {
                Some(format!("is a link to {}", self.target(entry)))
            }
            _ => Some("is neither a file nor a folder".to_owned()),
        };
        why.map_or(Ok(()), |why| Err(refused(format!("the member {name:?} {why}"))))
    }

    /// The member itself; nothing for folders and devices, which hold no content.
    fn member<R: Read>(&self, entry: &tar::Entry<'_, R>) -> Result<Option<Member>, ArchiveError> {
        let header = entry.header();
        let link = match header.entry_type() {
            tar::EntryType::Regular | tar::EntryType::Continuous => None,
            tar::EntryType::Symlink => Some(Link::Symbolic(self.target(entry))),
            tar::EntryType::Link => Some(Link::Hard(self.target(entry))),
            tar::EntryType::GNUSparse => return Err(sparse()),
            _ => return Ok(None),
        };
        let name = plain(&self.name(entry))?;
        Ok(Some(Member { name, size: entry.size(), offset: entry.raw_file_position(), link }))
    }
}

/// Takes a name; of two, programs disagree which one counts.
fn once(place: &mut Option<Vec<u8>>, name: &[u8]) -> Result<(), ArchiveError> {
    if name.len() > MOST_NAME {
        return Err(refused(format!("a name of {} bytes; the most are {MOST_NAME}", name.len())));
    }
    match place.replace(name.to_vec()) {
        None => Ok(()),
        Some(first) => {
            let first = String::from_utf8_lossy(&first);
            Err(refused(format!("two names for one member, the first is {first:?}")))
        }
    }
}

fn refused(what: impl Into<String>) -> ArchiveError {
    ArchiveError::Refused(what.into())
}

fn sparse() -> ArchiveError {
    refused("a sparse member: its content is not what stands in the archive")
}

fn content<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, ArchiveError> {
    let size = entry.size();
    if size > MOST_EXTENSION {
        return Err(refused(format!("a header of {size} bytes")));
    }
    let mut content = Vec::new();
    entry.take(MOST_EXTENSION).read_to_end(&mut content).map_err(ArchiveError::Read)?;
    Ok(content)
}

/// The name as it is compared; one that leads out of the archive is refused.
fn plain(name: &str) -> Result<String, ArchiveError> {
    if name.starts_with('/') || name.split('/').any(|part| part == "..") || name.contains('\0') {
        return Err(refused(format!("a member named {name:?}, which leads elsewhere")));
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    Ok(parts.join("/"))
}

/// Where the link `member` leads inside its archive; nothing where that is outside.
#[must_use]
pub fn target(member: &Member) -> Option<String> {
    let (link, mut parts) = match member.link.as_ref()? {
        Link::Symbolic(link) => (link, member.name.split('/').collect()),
        Link::Hard(link) => (link, vec![member.name.as_str()]),
    };
    // What is left is the folder from which it leads on.
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
        let long = "x".repeat(MOST_NAME + 1);
        let long_pax = |key: &str| {
            let mut pax = tar::Builder::new(Vec::new());
            pax.append_pax_extensions([(key, long.as_bytes())]).unwrap();
            pax.into_inner().unwrap()
        };
        let too_long = "a name of 4097 bytes; the most are 4096";
        // Helm takes the first of these names, others the second.
        let mut two_names = tar::Builder::new(Vec::new());
        two_names.append(&header("l", tar::EntryType::GNULongName, 1), &b"a"[..]).unwrap();
        two_names.append_pax_extensions([("path", &b"b"[..])]).unwrap();
        let mut twice = tar::Builder::new(Vec::new());
        twice.append_pax_extensions([("path", &b"b"[..])]).unwrap();
        twice.append_pax_extensions([("mtime", &b"1.5"[..])]).unwrap();
        for (archive, expected) in [
            (archive(&[("../x", FILE, b"")]), "leads elsewhere"),
            (archive(&[("/etc/passwd", FILE, b"")]), "leads elsewhere"),
            (archive(&[("a", FILE, b"1"), ("./a", FILE, b"2")]), "two members are named a"),
            (archive(&[("a", tar::EntryType::GNUSparse, b"")]), "a sparse member"),
            (archive(&[("a", tar::EntryType::GNULongName, &bomb)]), "a header of 2097152 bytes"),
            (archive(&[("a", tar::EntryType::XHeader, &bomb)]), "a header of 2097152 bytes"),
            (archive(&[("l", tar::EntryType::GNULongName, long.as_bytes())]), too_long),
            (archive(&[("l", tar::EntryType::GNULongLink, long.as_bytes())]), too_long),
            (long_pax("path"), too_long),
            (long_pax("linkpath"), too_long),
            (two_names.into_inner().unwrap(), "two names for one member, the first is \"a\""),
            (twice.into_inner().unwrap(), "two headers with records for one member"),
            (pax.into_inner().unwrap(), "a sparse member"),
            (large.into_inner().unwrap(), "8 GiB or more"),
        ] {
            let error = listed(&archive).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(matches!(listed(&[1; 1024]), Err(ArchiveError::Read(_))));
    }

    #[test]
    fn what_another_program_could_read_otherwise_is_refused() {
        let walked = |archive: &[u8]| {
            let mut names = Vec::new();
            walk_files(archive, |member, _| {
                names.push(member.name.clone());
                Ok::<_, ArchiveError>(())
            })
            .map(|()| names)
        };
        let folder = tar::EntryType::Directory;
        assert_eq!(walked(&archive(&[("a/", folder, b""), ("a/b", FILE, b"1")])).unwrap(), ["a/b"]);
        let several = "has a name that programs read in several ways";
        for (name, kind, content, expected) in [
            ("./a", FILE, &b""[..], several),
            ("a//b", FILE, b"", several),
            ("a/", FILE, b"", several),
            ("a\\b", FILE, b"", several),
            ("a/", folder, b"1", "is a folder with content of its own"),
            ("../", folder, b"", "leads elsewhere"),
            ("a", tar::EntryType::Symlink, b"", "is a link to "),
            ("a", tar::EntryType::Link, b"", "is a link to "),
            ("a", tar::EntryType::Char, b"", "is neither a file nor a folder"),
            ("a", tar::EntryType::Fifo, b"", "is neither a file nor a folder"),
            ("a", tar::EntryType::new(b'Z'), b"", "is neither a file nor a folder"),
        ] {
            let error = walked(&archive(&[(name, kind, content)])).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains(&format!("{name:?}")), "{name}: {error}");
        }
        assert!(walked(&archive(&[("a", FILE, b"1"), ("a", FILE, b"2")])).is_err());
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

    /// An archive without end, of the members that it makes from their numbers.
    struct Endless<F>(F, io::Cursor<Vec<u8>>, u32);

    impl<F: Fn(u32) -> Vec<u8>> Read for Endless<F> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.1.position() == self.1.get_ref().len() as u64 {
                self.2 += 1;
                self.1 = io::Cursor::new((self.0)(self.2));
            }
            self.1.read(buffer)
        }
    }

    fn why_it_ends(member: impl Fn(u32) -> Vec<u8>) -> String {
        let endless = Endless(member, io::Cursor::default(), 0);
        walk(endless, |_, _| Ok::<_, ArchiveError>(())).unwrap_err().to_string()
    }

    #[test]
    fn too_many_members_are_refused() {
        let error = why_it_ends(|number| header(&number.to_string(), FILE, 0).as_bytes().to_vec());
        assert!(error.contains("more than 200000 members"), "{error}");
    }

    #[test]
    fn names_that_fill_the_memory_are_refused() {
        for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink] {
            let error = why_it_ends(|number| {
                let long = format!("{number:0>MOST_NAME$}");
                let extension = header("l", kind, long.len() as u64);
                let member = header(&number.to_string(), tar::EntryType::Symlink, 0);
                [extension.as_bytes(), long.as_bytes(), member.as_bytes()].concat()
            });
            assert_eq!(error, "names of more than 64 MiB");
        }
    }

    #[test]
    fn links_stay_inside() {
        let target = |name: &str, link: fn(String) -> Link, to: &str| {
            target(&Member { name: name.to_owned(), size: 0, offset: 0, link: Some(link(to.to_owned())) })
        };
        for (link, to, inside) in [
            (Link::Symbolic as fn(String) -> Link, "../b/layer.tar", Some("b/layer.tar")),
            (Link::Symbolic, "b", Some("a/b")),
            (Link::Symbolic, "../../b", None),
            (Link::Symbolic, "/etc/passwd", None),
            (Link::Hard, "b/layer.tar", Some("b/layer.tar")),
            (Link::Hard, "./b", Some("b")),
            (Link::Hard, "../b", None),
            (Link::Hard, "/b", None),
        ] {
            assert_eq!(target("a/layer.tar", link, to).as_deref(), inside, "{to}");
        }
    }
}
