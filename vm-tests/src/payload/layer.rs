//! Image layers: tar and zstd, the same bytes for the same entries.

use std::{
    fs::{self, File},
    io::{BufWriter, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use sealift_bundle::{
    digest::{Hasher, HashingWriter},
    layout,
};
use serde::{Deserialize, Serialize};

/// Media type of the layers written here.
pub const MEDIA_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Good for programs without making builds wait.
const LEVEL: i32 = 6;
/// The number of workers is part of the result's bytes, so it does not follow the machine.
const WORKERS: u32 = 2;

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A folder.
    Folder,
    /// A file, in memory.
    Bytes(Vec<u8>),
    /// A file, copied from there.
    File(PathBuf),
    /// A symbolic link to there.
    Symlink(PathBuf),
    /// Another name of an earlier entry.
    Hardlink(PathBuf),
}

/// One entry of a layer. Times are not kept, and owners only by number: both would differ for no reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Path below the image's root, without a leading slash.
    pub path: PathBuf,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// What it is.
    pub content: Content,
}

impl Entry {
    /// An entry that belongs to root.
    pub fn new(path: impl Into<PathBuf>, mode: u32, content: Content) -> Self {
        Self { path: path.into(), mode, uid: 0, gid: 0, content }
    }

    /// Reads one member of a tar archive; none for the root folder and for devices, which containers get anew.
    pub fn from_tar(member: &mut tar::Entry<impl Read>) -> Result<Option<Self>> {
        let path: PathBuf = member.path()?.components().skip_while(|part| part.as_os_str() == ".").collect();
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        let kind = member.header().entry_type();
        let target = || -> Result<PathBuf> {
            Ok(member.link_name()?.with_context(|| format!("{} links nowhere", path.display()))?.into_owned())
        };
        let content = match kind {
            tar::EntryType::Directory => Content::Folder,
            tar::EntryType::Symlink => Content::Symlink(target()?),
            tar::EntryType::Link => {
                Content::Hardlink(target()?.components().skip_while(|part| part.as_os_str() == ".").collect())
            }
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                member.read_to_end(&mut bytes).with_context(|| format!("read {}", path.display()))?;
                Content::Bytes(bytes)
            }
            tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => return Ok(None),
            other => bail!("{} is a {other:?}, which no layer holds", path.display()),
        };
        let header = member.header();
        Ok(Some(Self {
            mode: header.mode()? & 0o7777,
            uid: header.uid()?,
            gid: header.gid()?,
            path,
            content,
        }))
    }

    /// A digest of everything that the layer would keep of this entry.
    pub fn fingerprint(&self) -> Result<String> {
        let mut hasher = Hasher::new();
        hasher.update(format!("{:o} {} {} ", self.mode, self.uid, self.gid).as_bytes());
        match &self.content {
            Content::Folder => hasher.update(b"folder"),
            Content::Bytes(bytes) => {
                hasher.update(b"file ");
                hasher.update(bytes);
            }
            Content::File(source) => {
                hasher.update(b"file ");
                hasher.update(&fs::read(source).with_context(|| format!("read {}", source.display()))?);
            }
            Content::Symlink(target) => hasher.update(format!("symlink {}", target.display()).as_bytes()),
            Content::Hardlink(target) => hasher.update(format!("hardlink {}", target.display()).as_bytes()),
        }
        Ok(hasher.finish())
    }
}

/// A layer that lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Digest of the compressed bytes: the blob's name.
    pub digest: String,
    /// Digest of the tar inside, as the image's config lists it.
    pub diff_id: String,
    /// Compressed size, bytes.
    pub size: u64,
}

type Compressed = HashingWriter<BufWriter<File>>;

/// Writes one layer.
pub struct LayerWriter {
    tar: tar::Builder<HashingWriter<zstd::Encoder<'static, Compressed>>>,
    root: PathBuf,
    unnamed: PathBuf,
}

impl LayerWriter {
    /// Starts a layer that will be a blob of the OCI layout folder `root`.
    pub fn create(root: &Path) -> Result<Self> {
        fs::create_dir_all(layout::blobs_folder(root))
            .with_context(|| format!("create {}", root.display()))?;
        let unnamed = layout::blobs_folder(root).join("unnamed");
        let file = File::create(&unnamed).with_context(|| format!("create {}", unnamed.display()))?;
        let mut encoder = zstd::Encoder::new(HashingWriter::new(BufWriter::new(file)), LEVEL)?;
        encoder.multithread(WORKERS)?;
        encoder.include_checksum(true)?;
        Ok(Self { tar: tar::Builder::new(HashingWriter::new(encoder)), root: root.to_path_buf(), unnamed })
    }

    /// Adds one entry.
    pub fn append(&mut self, entry: &Entry) -> Result<()> {
        self.write(entry).with_context(|| format!("add {} to a layer", entry.path.display()))
    }

    fn write(&mut self, entry: &Entry) -> Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_uid(entry.uid);
        header.set_gid(entry.gid);
        header.set_mtime(0);
        header.set_size(0);
        match &entry.content {
            Content::Folder => {
                header.set_entry_type(tar::EntryType::Directory);
                // Tools tell folders by the slash, too.
                self.tar.append_data(&mut header, entry.path.join(""), std::io::empty())?;
            }
            Content::Bytes(bytes) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(bytes.len() as u64);
                self.tar.append_data(&mut header, &entry.path, bytes.as_slice())?;
            }
            Content::File(source) => {
                let file = File::open(source).with_context(|| format!("open {}", source.display()))?;
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(file.metadata()?.len());
                self.tar.append_data(&mut header, &entry.path, file)?;
            }
            Content::Symlink(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                self.tar.append_link(&mut header, &entry.path, target)?;
            }
            Content::Hardlink(target) => {
                header.set_entry_type(tar::EntryType::Link);
                self.tar.append_link(&mut header, &entry.path, target)?;
            }
        }
        Ok(())
    }

    /// Ends the layer and gives the blob its name.
    pub fn finish(self) -> Result<Layer> {
        let (diff_id, _, encoder) = self.tar.into_inner()?.finish();
        let (digest, size, file) = encoder.finish()?.finish();
        file.into_inner()?;
        fs::rename(&self.unnamed, layout::blob_path(&self.root, &digest)?)?;
        Ok(Layer { digest, diff_id, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(source: &Path) -> Vec<Entry> {
        vec![
            Entry::new("usr/local/bin", 0o755, Content::Folder),
            Entry::new("usr/local/bin/program", 0o755, Content::File(source.to_path_buf())),
            Entry { uid: 999, ..Entry::new("etc/name", 0o640, Content::Bytes(b"postgres".to_vec())) },
            Entry::new("bin/sh", 0o777, Content::Symlink("dash".into())),
            Entry::new("bin/dash2", 0o755, Content::Hardlink("bin/dash".into())),
            Entry::new("x".repeat(150), 0o644, Content::Bytes(Vec::new())),
        ]
    }

    fn layer(root: &Path, entries: &[Entry]) -> Layer {
        let mut writer = LayerWriter::create(root).unwrap();
        for entry in entries {
            writer.append(entry).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn same_entries_same_bytes_whatever_the_time_and_place() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        // More than one of the compressor's jobs, so that threads have a chance to differ.
        let content: Vec<u8> =
            (0..8_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(&one, &content).unwrap();
        fs::write(&two, &content).unwrap();
        File::open(&two).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let first = layer(&folder.path().join("a"), &entries(&one));
        let second = layer(&folder.path().join("b"), &entries(&two));
        assert_eq!(first, second);
        let blob = fs::read(layout::blob_path(&folder.path().join("a"), &first.digest).unwrap()).unwrap();
        assert_eq!(blob.len() as u64, first.size);
        assert_eq!(sealift_bundle::digest::digest_of(&blob), first.digest);
        let tar = zstd::decode_all(blob.as_slice()).unwrap();
        assert_eq!(sealift_bundle::digest::digest_of(&tar), first.diff_id);
    }

    #[test]
    fn any_property_that_containers_see_changes_the_layer() {
        let folder = tempfile::tempdir().unwrap();
        let base = Entry::new("etc/name", 0o644, Content::Bytes(b"a".to_vec()));
        let digest = |entry: &Entry| layer(folder.path(), std::slice::from_ref(entry)).digest;
        let known = digest(&base);
        for other in [
            Entry { mode: 0o600, ..base.clone() },
            Entry { uid: 1, ..base.clone() },
            Entry { gid: 1, ..base.clone() },
            Entry { path: "etc/names".into(), ..base.clone() },
            Entry { content: Content::Bytes(b"b".to_vec()), ..base.clone() },
            Entry { content: Content::Symlink("a".into()), ..base.clone() },
        ] {
            assert_ne!(known, digest(&other), "{other:?}");
            if other.path == base.path {
                assert_ne!(base.fingerprint().unwrap(), other.fingerprint().unwrap(), "{other:?}");
            }
        }
    }

    #[test]
    fn what_was_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("program");
        fs::write(&source, "content").unwrap();
        let written = entries(&source);
        let layer = layer(folder.path(), &written);
        let blob = File::open(layout::blob_path(folder.path(), &layer.digest).unwrap()).unwrap();
        let mut archive = tar::Archive::new(zstd::Decoder::new(blob).unwrap());
        let read: Vec<Entry> = archive
            .entries()
            .unwrap()
            .map(|member| Entry::from_tar(&mut member.unwrap()).unwrap().unwrap())
            .collect();
        let fingerprints =
            |entries: &[Entry]| entries.iter().map(|entry| entry.fingerprint().unwrap()).collect::<Vec<_>>();
        assert_eq!(fingerprints(&read), fingerprints(&written));
        assert_eq!(read[5].path, written[5].path);
    }
}
