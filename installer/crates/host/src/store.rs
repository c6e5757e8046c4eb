//! The blob store: an OCI layout whose blobs are whole or not there.
//!
//! A blob grows as a partial under `partial/`, is hashed while it grows, and gets its name only after its digest
//! matched and its bytes are on disk. So presence with the right size is proof enough, and a cut transfer goes on
//! where it was. Partials of an earlier boot are thrown away: their last bytes may never have reached the disk.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sealift_bundle::digest::{self, Hasher};
use sealift_bundle::layout;
use sealift_plan::operation::Blob;

use crate::context::Context;
use crate::failure::mount_point;
use crate::file::{self, sync_folder};
use crate::lock;
use crate::protocol::{BlobNeed, Failure, FailureKind};

/// How long another session may take for the same blob.
const PATIENCE: Duration = Duration::from_mins(30);

/// The store of one host.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The host's store, made where there is none.
    pub fn open(ctx: &Context<'_>) -> Result<Self, Failure> {
        let store = Self { root: ctx.paths().store() };
        file::make_state_folder(&layout::blobs_folder(&store.root))?;
        file::make_state_folder(&store.partials())?;
        file::write_atomic(&layout::layout_path(&store.root), layout::LAYOUT_CONTENT.as_bytes(), 0o644)?;
        store.drop_partials_of_other_boots(&ctx.paths().host("/proc/sys/kernel/random/boot_id"))?;
        Ok(store)
    }

    /// A store that only gets read.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a blob is, or would be.
    pub fn blob(&self, digest: &str) -> Result<PathBuf, Failure> {
        layout::blob_path(&self.root, digest).map_err(|error| Failure::other("not a blob").because(&error))
    }

    /// Whether the store has the whole blob.
    pub fn holds(&self, blob: &Blob) -> Result<bool, Failure> {
        Ok(fs::metadata(self.blob(&blob.digest)?).is_ok_and(|metadata| metadata.len() == blob.size))
    }

    /// The blobs that the store lacks, each once, with what their partials have already.
    pub fn missing(&self, blobs: &[Blob]) -> Result<Vec<BlobNeed>, Failure> {
        let mut seen = BTreeSet::new();
        let mut needs = Vec::new();
        for blob in blobs {
            if seen.insert(&blob.digest) && !self.holds(blob)? {
                let partial = fs::metadata(self.partial(&blob.digest)?).map_or(0, |metadata| metadata.len());
                let offset = if partial <= blob.size { partial } else { 0 };
                needs.push(BlobNeed { blob: blob.clone(), offset });
            }
        }
        Ok(needs)
    }

    /// Fails where the file system cannot take what is needed.
    pub fn check_space(&self, needs: &[BlobNeed]) -> Result<(), Failure> {
        let wanted: u64 = needs.iter().map(|need| need.blob.size - need.offset).sum();
        let file_system = rustix::fs::statvfs(&self.root)
            .map_err(|error| Failure::io("measure", &self.root, &error.into()))?;
        let available = file_system.f_bavail.saturating_mul(file_system.f_frsize);
        if wanted <= available {
            return Ok(());
        }
        let mount = mount_point(&self.root);
        Err(Failure::new(
            FailureKind::DiskFull,
            format!(
                "{} is too small for the store {}: {wanted} bytes are needed, {available} are free, {} are missing",
                mount.display(),
                self.root.display(),
                wanted - available
            ),
        )
        .hint(format!("free space on {}, or give {} a larger disk, and run again", mount.display(), self.root.display())))
    }

    /// Starts or goes on with a blob. Waits while another session is at it; `None` where the store has it then.
    pub fn begin(&self, ctx: &Context<'_>, blob: &Blob) -> Result<Option<Incoming>, Failure> {
        let place = self.blob(&blob.digest)?;
        let path = self.partial(&blob.digest)?;
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|error| Failure::io("open", &path, &error))?;
            lock::wait_for(ctx, &file, PATIENCE, "waiting for another session that brings the same blob")?;
            // While we waited the partial may have become the blob, or another session's new partial.
            if self.holds(blob)? {
                return Ok(None);
            }
            if same_file(&file, &path) {
                return Incoming {
                    store: self.clone(),
                    blob: blob.clone(),
                    place,
                    path,
                    file,
                    hasher: Hasher::new(),
                    offset: 0,
                }
                .rewind()
                .map(Some);
            }
        }
    }

    /// Takes a damaged blob out, so that the next run brings it again.
    pub fn discard(&self, digest: &str) -> Result<(), Failure> {
        let path = self.blob(digest)?;
        fs::remove_file(&path).map_err(|error| Failure::io("remove", &path, &error))
    }

    /// Makes the names of new blobs last.
    pub fn sync(&self) -> Result<(), Failure> {
        sync_folder(&layout::blobs_folder(&self.root).join("x"))
    }

    fn partials(&self) -> PathBuf {
        self.root.join("partial")
    }

    fn partial(&self, digest: &str) -> Result<PathBuf, Failure> {
        let hex = digest::hex(digest).map_err(|error| Failure::other("not a blob").because(&error))?;
        Ok(self.partials().join(hex))
    }

    fn drop_partials_of_other_boots(&self, boot_id: &Path) -> Result<(), Failure> {
        let now = file::read_if_exists(boot_id)?.unwrap_or_default();
        let mark = self.partials().join("boot-id");
        if file::read_if_exists(&mark)?.unwrap_or_default() == now {
            return Ok(());
        }
        let failed = |error: io::Error| Failure::io("clear", &self.partials(), &error);
        for entry in fs::read_dir(self.partials()).map_err(failed)? {
            fs::remove_file(entry.map_err(failed)?.path()).map_err(failed)?;
        }
        file::write_atomic(&mark, &now, 0o644).map(drop)
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => identity(&open) == identity(&named),
        _ => false,
    }
}

/// A blob on its way into the store. Dropped before [`Incoming::finish`], its partial stays for the next attempt.
pub struct Incoming {
    store: Store,
    blob: Blob,
    place: PathBuf,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    offset: u64,
}

impl Incoming {
    /// Bytes that are there, from the start.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The blob.
    #[must_use]
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// Hashes what the partial has.
    fn rewind(mut self) -> Result<Self, Failure> {
        let length = self.file.metadata().map_err(|error| Failure::io("read", &self.path, &error))?.len();
        if length > self.blob.size {
            self.restart()?;
        } else {
            self.resume_at(length)?;
        }
        Ok(self)
    }

    /// Goes back to a byte that the partial has, and hashes up to it.
    pub fn resume_at(&mut self, offset: u64) -> Result<(), Failure> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0u8; 256 << 10];
        let mut left = offset;
        let mut hash = || -> io::Result<()> {
            self.file.seek(SeekFrom::Start(0))?;
            while left > 0 {
                let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                self.file.read_exact(&mut buffer[..want])?;
                hasher.update(&buffer[..want]);
                left -= want as u64;
            }
            self.file.set_len(offset)
        };
        hash().map_err(|error| Failure::io("read", &self.path, &error))?;
        self.hasher = hasher;
        self.offset = offset;
        Ok(())
    }

    /// Throws away what is there.
    pub fn restart(&mut self) -> Result<(), Failure> {
        self.resume_at(0)
    }

    /// Adds the next bytes. More than the blob's size is a verification failure.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let offset = self.offset + bytes.len() as u64;
        if offset > self.blob.size {
            return Err(self.wrong(format!("more than its {} bytes came", self.blob.size)));
        }
        if let Err(error) = self.file.write_all(bytes) {
            // What got written of it is not hashed: cut it off.
            let _ = self.file.set_len(self.offset);
            let missing = self.blob.size - self.offset;
            return Err(Failure::io("write", &self.path, &error)
                .cause(format!("{missing} bytes of the blob {} are missing", self.blob.digest)));
        }
        self.hasher.update(bytes);
        self.offset = offset;
        Ok(())
    }

    /// Verifies, makes the bytes last and gives the blob its name. A wrong digest removes the partial.
    pub fn finish(self) -> Result<(), Failure> {
        let found = self.hasher.clone().finish();
        if self.offset != self.blob.size || found != self.blob.digest {
            let failure = self.wrong(format!("{} bytes with digest {found} came", self.offset));
            fs::remove_file(&self.path).map_err(|error| Failure::io("remove", &self.path, &error))?;
            return Err(failure);
        }
        self.file.sync_data().map_err(|error| Failure::io("write", &self.path, &error))?;
        fs::rename(&self.path, &self.place).map_err(|error| Failure::io("write", &self.place, &error))
    }

    /// Whether all bytes are there, right or wrong.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.offset == self.blob.size
    }

    fn wrong(&self, what: String) -> Failure {
        let store = self.store.root.display();
        Failure::new(FailureKind::Verification, format!("the blob {} came damaged", self.blob.digest))
            .cause(what)
            .hint(format!("nothing of it was used; what came was taken out of {store}; run again"))
    }
}

#[cfg(test)]
mod tests;
