//! Members of the bundle's tar: their one possible header, and their places.

use crate::layout;

/// Bytes of a tar block.
pub(crate) const BLOCK: usize = 512;
/// [`BLOCK`] as an offset.
pub(crate) const BLOCK_BYTES: u64 = BLOCK as u64;
/// Bytes of the two zero blocks that end the archive.
pub(crate) const TRAILER: u64 = 2 * BLOCK_BYTES;
/// No bundle is larger than this; so sums of offsets never overflow.
pub(crate) const MAX_SIZE: u64 = 1 << 50;

/// One member and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Name in the archive.
    pub(crate) name: String,
    /// Digest of its content.
    pub(crate) digest: String,
    /// Bytes of its content.
    pub(crate) size: u64,
    /// Where its header starts.
    pub(crate) offset: u64,
}

impl Member {
    /// Where its content starts.
    pub(crate) fn content(&self) -> u64 {
        self.offset + BLOCK_BYTES
    }

    /// Where the zeros behind its content start.
    pub(crate) fn padding(&self) -> u64 {
        self.content() + self.size
    }

    /// Where the next member starts.
    pub(crate) fn end(&self) -> u64 {
        self.padding() + padding_length(self.size) as u64
    }

    /// The only header it may have.
    pub(crate) fn header(&self) -> [u8; BLOCK] {
        header(&self.name, self.size)
    }
}

/// The members in order; places follow from sizes.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemberList {
    members: Vec<Member>,
}

impl MemberList {
    /// Appends a member; gives back the bytes it would make too many.
    pub(crate) fn push(&mut self, name: String, digest: String, size: u64) -> Result<(), u64> {
        let member = Member { name, digest, size, offset: self.end() };
        if size > MAX_SIZE || member.end() + TRAILER > MAX_SIZE {
            return Err(size);
        }
        self.members.push(member);
        Ok(())
    }

    /// All members.
    pub(crate) fn as_slice(&self) -> &[Member] {
        &self.members
    }

    /// Where the next member, or the archive's end, starts.
    pub(crate) fn end(&self) -> u64 {
        self.members.last().map_or(0, Member::end)
    }

    /// Bytes of the whole archive.
    pub(crate) fn total(&self) -> u64 {
        self.end() + TRAILER
    }
}

/// Zeros behind `size` bytes of content.
pub(crate) fn padding_length(size: u64) -> usize {
    // Below 512, so it fits.
    ((BLOCK_BYTES - size % BLOCK_BYTES) % BLOCK_BYTES) as usize
}

/// The header that the format gives to this name and size. Names of this format have at most 77 characters.
pub(crate) fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = tar::Header::new_ustar();
    let length = name.len().min(100);
    header.as_old_mut().name[..length].copy_from_slice(&name.as_bytes()[..length]);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    // Above 8 GiB this is base-256, which GNU, libarchive and Go read.
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

/// What a header in a file says, wherever it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundHeader {
    /// The name, with anything unprintable made visible.
    pub(crate) name: String,
    /// Bytes of content it announces.
    pub(crate) size: u64,
    /// Whether it is a link or its name leads outside.
    pub(crate) trick: bool,
    /// What it is instead of a plain file.
    pub(crate) odd_kind: Option<&'static str>,
}

impl FoundHeader {
    /// Reads a header block; none where the checksum does not match.
    pub(crate) fn parse(block: &[u8; BLOCK]) -> Option<Self> {
        let header = tar::Header::from_byte_slice(block);
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(i, byte)| if (148..156).contains(&i) { 32 } else { u32::from(*byte) })
            .sum();
        if header.cksum().ok()? != sum || block[0] == 0 {
            return None;
        }
        let size = header.entry_size().ok()?;
        let raw = header.path_bytes();
        let text = String::from_utf8_lossy(&raw);
        let kind = header.entry_type();
        let trick = kind.is_symlink()
            || kind.is_hard_link()
            || text.starts_with('/')
            || text.split('/').any(|part| part == "..");
        Some(Self { name: text.escape_debug().to_string(), size, trick, odd_kind: odd_kind(kind) })
    }

    /// Where the member behind this header ends, when the header stands at `offset`.
    pub(crate) fn end(&self, offset: u64) -> Option<u64> {
        offset.checked_add(BLOCK_BYTES)?.checked_add(self.size)?.checked_add(padding_length(self.size) as u64)
    }
}

/// What a member of this type is; nothing for plain files and links (which count as tricks).
fn odd_kind(kind: tar::EntryType) -> Option<&'static str> {
    use tar::EntryType;
    match kind {
        EntryType::Regular | EntryType::Symlink | EntryType::Link => None,
        EntryType::Directory => Some("a folder"),
        EntryType::Char | EntryType::Block => Some("a device"),
        EntryType::Fifo => Some("a pipe"),
        EntryType::GNUSparse => Some("a sparse file"),
        EntryType::GNULongName | EntryType::GNULongLink => Some("a GNU long name"),
        EntryType::XHeader => Some("a PAX header"),
        EntryType::XGlobalHeader => Some("a PAX header for all that follows"),
        _ => Some("of an unknown type"),
    }
}

/// Whether this is the name of a blob.
pub(crate) fn is_blob_name(name: &str) -> bool {
    name.strip_prefix(layout::BLOBS_FOLDER)
        .and_then(|rest| rest.strip_prefix('/'))
        .is_some_and(|hex| crate::digest::is_valid(&format!("{}{hex}", crate::digest::PREFIX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_back_by_the_tar_crate() {
        for size in [0, 1, 511, 512, 8_589_934_591, 8_589_934_592, 1 << 49] {
            let block = header("index.json", size);
            let found = FoundHeader::parse(&block).unwrap();
            assert_eq!(found, FoundHeader { name: "index.json".into(), size, trick: false, odd_kind: None });
            assert_eq!(&block[257..265], b"ustar\x0000");
        }
    }

    #[test]
    fn places_follow_from_sizes() {
        let mut list = MemberList::default();
        for (name, size) in [("a", 0), ("b", 1), ("c", 512), ("d", 513)] {
            list.push(name.into(), String::new(), size).unwrap();
        }
        let offsets: Vec<u64> = list.as_slice().iter().map(|member| member.offset).collect();
        assert_eq!(offsets, [0, 512, 1536, 2560]);
        assert_eq!(list.total(), 2560 + 512 + 1024 + 1024);
        assert_eq!(list.push("e".into(), String::new(), u64::MAX), Err(u64::MAX));
        assert_eq!(list.push("e".into(), String::new(), MAX_SIZE), Err(MAX_SIZE));
    }

    #[test]
    fn tricks_are_seen() {
        let parse = |name: &str| FoundHeader::parse(&header(name, 0)).unwrap().trick;
        assert!(parse("../etc/passwd") && parse("/etc/passwd") && parse("blobs/../../x"));
        assert!(!parse("blobs/sha256/..x"));
        let mut link = tar::Header::new_ustar();
        link.set_path("index.json").unwrap();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        link.set_cksum();
        assert!(FoundHeader::parse(link.as_bytes()).unwrap().trick);
    }
}
