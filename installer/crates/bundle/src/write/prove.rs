//! Proves a bundle before it gets its name: each byte is hashed once, as it stands in the finished file.

use std::error::Error;
use std::fs::File;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use super::{BlobContent, BundleWriter, Packed, WriteError, Written};
use crate::bundle::Bundle;
use crate::digest;
use crate::error::{BundleError, Damage, DamageKind};
use crate::output::Output;
use crate::signature::TrustedKeys;
use crate::source::FileSource;
use crate::verify::VerifyReport;

/// A bundle that is written whole and has no name yet: nobody has looked at what became of it. Dropped, it is gone.
#[must_use = "it is gone unless it is proved"]
pub struct Unproven {
    written: Written,
    output: Output,
    target: PathBuf,
}

impl BundleWriter {
    /// As [`BundleWriter::pack`], for a bundle that is verified before it gets its name: then content of files need not be
    /// hashed while it is copied, since [`Unproven::prove`] hashes what became of it.
    ///
    /// # Errors
    /// As [`BundleWriter::pack`], but a source with other content than its digest says shows only in the proof.
    pub fn write<E>(
        self,
        target: &Path,
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
        sign: impl FnOnce(&[u8]) -> Result<String, E>,
    ) -> Result<Unproven, WriteError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let (written, output) = self.written(target, threads, progress, sign, false)?;
        Ok(Unproven { written, output, target: target.to_owned() })
    }
}

impl Unproven {
    /// What was written.
    #[must_use]
    pub fn packed(&self) -> &Packed {
        &self.written.packed
    }

    /// Opens and verifies the file as a site does, with `keys` and up to `threads` threads, while the system puts it on the
    /// disk; then gives it its name.
    ///
    /// # Errors
    /// [`WriteError::Content`] where a blob is wrong because its source is; [`WriteError::Proof`] where anything else is
    /// not as it was meant; and when the file cannot be put on the disk. Nothing is left behind then.
    pub fn prove(
        self,
        keys: &TrustedKeys,
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<(Packed, VerifyReport), WriteError> {
        let cannot = |source| WriteError::Write { path: self.target.clone(), source };
        let file = self.output.file();
        let source = file.try_clone().and_then(FileSource::new).map_err(cannot)?;
        let verify = || Bundle::from_source(&self.target, Arc::new(source), keys)?.verify(threads, progress);
        // The disk works while the processors hash.
        let (synced, verified) = thread::scope(|scope| {
            let sync = scope.spawn(|| file.sync_all());
            let verified = verify();
            (sync.join().unwrap_or_else(|cause| panic::resume_unwind(cause)), verified)
        });
        let report = verified.map_err(|error| self.cause(error))?;
        synced
            .and_then(|()| self.output.name())
            .map_err(|source| WriteError::Write { path: self.target, source })?;
        Ok((self.written.packed, report))
    }

    /// Why the proof failed: because of a wrong source, where one of those whose blobs are damaged is wrong.
    fn cause(&self, error: BundleError) -> WriteError {
        let damaged: &[Damage] = match &error {
            BundleError::Damaged { damage, .. } => damage,
            _ => &[],
        };
        let mut wrong = damaged.iter().filter(|one| one.kind == DamageKind::Content);
        let source = wrong.find_map(|one| self.wrong_source(&one.digest));
        source.unwrap_or_else(|| WriteError::Proof { source: Box::new(error) })
    }

    /// Says so where the source of the blob `digest` has other content.
    fn wrong_source(&self, digest: &str) -> Option<WriteError> {
        let mut members = self.written.members.as_slice().iter().zip(&self.written.contents);
        let (_, content) = members.find(|(member, _)| member.digest == digest)?;
        let BlobContent::File(path) = content else { return None };
        let (found, _) = digest::of_all(&mut File::open(path).ok()?).ok()?;
        let (digest, from) = (digest.to_owned(), path.display().to_string());
        (found != digest).then_some(WriteError::Content { digest, from, found })
    }
}
