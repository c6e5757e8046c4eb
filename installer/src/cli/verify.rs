//! `installer verify BUNDLE`.

use std::path::{Path, PathBuf};

use sealift_bundle::output::target::Replaces;
use sealift_bundle::recarry::DamageList;
use sealift_bundle::{Bundle, BundleError, TrustedKeys};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes};
use crate::seat::threads;
use crate::site::verify_bundle;
use crate::trust::Trust;
use crate::written;

/// What `verify` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bundle.
    bundle: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// If the bundle is damaged or incomplete: write the list of what is needed here. The vendor makes a small file from
    /// it that mends this copy.
    #[arg(long, value_name = "FILE")]
    damage_list: Option<PathBuf>,
    /// Write what the bundle asks of hosts here: a small file for `installer kit --requirements` on hosts that the bundle
    /// itself has not reached yet.
    #[arg(long, value_name = "FILE")]
    requirements: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let notes = [(&arguments.damage_list, Replaces::DamageLists), (&arguments.requirements, Replaces::Files)];
    for (file, replaces) in notes {
        if let Some(file) = file {
            arguments.trust.may_replace(file, replaces, &arguments.bundle)?;
        }
    }
    let keys = arguments.trust.trusted(&arguments.bundle)?;
    let checked = Bundle::open(&arguments.bundle, &keys).and_then(|bundle| {
        Trust::show(&bundle, output);
        verify_bundle(&bundle, output).map(|()| bundle)
    });
    let refusal = match checked {
        Ok(bundle) => {
            return arguments.requirements.as_ref().map_or(Ok(()), |file| ask(&bundle, file, output));
        }
        Err(refusal) => refusal,
    };
    let listed = match &arguments.damage_list {
        Some(file) => list(&arguments.bundle, &keys, &refusal, file, output)?,
        None => false,
    };
    let mut failure = Failure::from(refusal);
    if let Some(file) = arguments.damage_list.as_ref().filter(|_| listed) {
        failure.hints = vec![format!(
            "send {} to the vendor, who makes a small file from it: `installer bundle repair {} --from THAT-FILE` mends \
             this copy",
            file.display(),
            arguments.bundle.display(),
        )];
    }
    Err(failure)
}

/// Writes the bundle's document: names, digests and sizes, and nothing of what they name.
fn ask(bundle: &Bundle, file: &Path, output: Output) -> Result<(), Failure> {
    let document = bundle.document();
    let text = serde_json::to_string(document).map_err(|error| Failure::of(Kind::Internal, &error))?;
    written::write(file, &text)?;
    let told = format!("what {} asks of hosts is in {}", document.product.title, file.display());
    output.line("asked", &told, &json!({"path": file, "bytes": text.len()}));
    Ok(())
}

/// Writes the list, where there can be one: not without a contents list to believe, and not where parts only changed
/// their names.
fn list(
    bundle: &Path,
    keys: &TrustedKeys,
    refusal: &BundleError,
    file: &Path,
    output: Output,
) -> Result<bool, Failure> {
    if matches!(refusal, BundleError::SwappedPart { .. }) {
        return Ok(false);
    }
    let Ok(list) = DamageList::after(refusal, bundle, keys, threads(), &|_, _| {}) else { return Ok(false) };
    list.write(file).map_err(|error| {
        Failure::of(Kind::Usage, &error).hint("choose another place for the list, one that you may write to")
    })?;
    let number = list.blobs.len();
    let noun = if number == 1 { "blob" } else { "blobs" };
    let text = format!("{number} {noun}, {}, listed in {}", bytes(list.bytes()), file.display());
    output.line("damage", &text, &json!({"list": file, "blobs": list.blobs.len(), "bytes": list.bytes()}));
    Ok(true)
}
