//! Proves a bundle while it is written: each byte is hashed once, as it is read back from the file, unless it was hashed
//! in the same run when its blob was made.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::io;
use std::panic;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::growing::Growing;
use super::{BlobContent, BundleWriter, Packed, Prepared, WriteError, write_file};
use crate::bundle::Bundle;
use crate::digest;
use crate::error::{BundleError, Damage, DamageKind};
use crate::member::Member;
use crate::output::Output;
use crate::signature::TrustedKeys;
use crate::verify::VerifyReport;

/// After how many bytes the system is asked to put on the disk what there is: enough for one long write of any disk.
const SETTLE: u64 = 32 << 20;

impl BundleWriter {
    /// As [`BundleWriter::pack`], and opens and verifies the file as a site does, with `keys`, before it gets its name.
    /// Blobs are hashed only there, by up to `threads` threads that follow the one that writes; meanwhile the system is made
    /// to put on the disk what is there. Each byte is hashed once: those of [`BlobContent::Hashed`] were. `packing` and
    /// `proving` get bytes done and bytes in all.
    ///
    /// # Errors
    /// As [`BundleWriter::pack`], and [`WriteError::Proof`] where what was written is not as it was meant though its sources
    /// are.
    pub fn pack_proved<E>(
        self,
        target: &Path,
        keys: &TrustedKeys,
        threads: usize,
        packing: &(dyn Fn(u64, u64) + Sync),
        proving: &(dyn Fn(u64, u64) + Sync),
        sign: impl FnOnce(&[u8]) -> Result<String, E>,
    ) -> Result<(Packed, VerifyReport), WriteError>
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let cannot = |source| WriteError::Write { path: target.to_owned(), source };
        let prepared = self.prepare(target, sign)?;
        let output = Output::sized(target, prepared.members.total()).map_err(cannot)?;
        let file = output.file();
        let source = Arc::new(Growing::new(file, &prepared.members).map_err(cannot)?);
        let write = || {
            let ending = source.ending();
            // One thread: the system lets only one at a time write to a file, and others would wait in vain.
            write_file(target, file, &prepared, 1, packing, Some(&source))?;
            ending.whole();
            file.sync_all().map_err(cannot)
        };
        let settle = || settle(file, &source).map_err(cannot);
        let hashed = hashed(&prepared);
        let unseen = |member: &Member| !hashed.contains(member.digest.as_str());
        let prove =
            || Bundle::from_source(target, source.clone(), keys)?.verify_where(&unseen, threads, proving);
        let (written, settled, proved) = thread::scope(|scope| {
            let writer = scope.spawn(write);
            // Without it, all goes to the disk at the end.
            let settler = thread::Builder::new().spawn_scoped(scope, settle);
            let proved = prove();
            let written = writer.join().unwrap_or_else(|cause| panic::resume_unwind(cause));
            let settled =
                settler.map(|settler| settler.join().unwrap_or_else(|cause| panic::resume_unwind(cause)));
            (written, settled.unwrap_or(Ok(())), proved)
        });
        // What could not be written cannot be read either: the cause comes first. A disk that fails says so only once, to
        // whoever asks first.
        written?;
        settled?;
        let report = proved.map_err(|error| cause(&prepared, error))?;
        output.name().map_err(cannot)?;
        Ok((prepared.packed, report))
    }
}

/// Digests of what was hashed before.
fn hashed(prepared: &Prepared) -> BTreeSet<&str> {
    let members = prepared.members.as_slice().iter().zip(&prepared.contents);
    let known = members.filter(|(_, content)| matches!(content, BlobContent::Hashed(_)));
    known.map(|(member, _)| member.digest.as_str()).collect()
}

/// Has `file` put on the disk while it is written, so that little is left to wait for at the end.
fn settle(file: &File, source: &Growing) -> io::Result<()> {
    let mut settled = 0;
    while let Some(written) = source.grown(settled + SETTLE) {
        file.sync_data()?;
        settled = written;
    }
    Ok(())
}

/// Why the proof failed: because of a wrong source, where one of those whose blobs are damaged is wrong.
fn cause(prepared: &Prepared, error: BundleError) -> WriteError {
    let damaged: &[Damage] = match &error {
        BundleError::Damaged { damage, .. } => damage,
        _ => &[],
    };
    let mut wrong = damaged.iter().filter(|one| one.kind == DamageKind::Content);
    let source = wrong.find_map(|one| wrong_source(prepared, &one.digest));
    source.unwrap_or_else(|| WriteError::Proof { source: Box::new(error) })
}

/// Says so where the source of the blob `digest` has other content.
fn wrong_source(prepared: &Prepared, digest: &str) -> Option<WriteError> {
    let mut members = prepared.members.as_slice().iter().zip(&prepared.contents);
    let (_, content) = members.find(|(member, _)| member.digest == digest)?;
    let (BlobContent::File(path) | BlobContent::Hashed(path)) = content else { return None };
    let (found, _) = digest::of_all(&mut File::open(path).ok()?).ok()?;
    let (digest, from) = (digest.to_owned(), path.display().to_string());
    (found != digest).then_some(WriteError::Content { digest, from, found })
}
