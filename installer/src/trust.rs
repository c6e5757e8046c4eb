//! Whose bundles are opened here.

use std::path::{Path, PathBuf};

use sealift_bundle::fingerprint::Fingerprint;
use sealift_bundle::output::target::{self, Replaces};
use sealift_bundle::rotation::Rotation;
use sealift_bundle::{Bundle, TrustedKeys};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::{Output, bytes};
use crate::seat::written_path;

/// Folders that are searched for the vendor's public keys (`*.pub`) and for statements that other keys follow them
/// (`*.rotation`) where no key is named.
const FOLDERS: [&str; 2] = ["~/.sealift/trusted", "/etc/sealift/trusted"];

/// Whom to trust.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Trust {
    /// A public key of the vendor; may be given more than once. Without it, what lies in ~/.sealift/trusted and
    /// /etc/sealift/trusted counts.
    #[arg(long = "trust-key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// The vendor's statement that another key follows a trusted one; may be given more than once.
    #[arg(long = "rotation", value_name = "FILE")]
    rotations: Vec<PathBuf>,
}

impl Trust {
    /// As words of a command line, for commands that somebody gives next.
    pub(crate) fn words(&self) -> Vec<String> {
        let given = [("--trust-key", &self.keys), ("--rotation", &self.rotations)];
        let word = |flag: &str, path: &PathBuf| [flag.to_owned(), path.display().to_string()];
        given
            .into_iter()
            .flat_map(|(flag, paths)| paths.iter().flat_map(move |path| word(flag, path)))
            .collect()
    }

    /// Refuses `target` where something is that `replaces` does not name, or that is read with `bundle`: itself and these
    /// keys.
    pub(crate) fn may_replace(
        &self,
        target: &Path,
        replaces: Replaces,
        bundle: &Path,
    ) -> Result<(), Failure> {
        let given = self.keys.iter().chain(&self.rotations).map(PathBuf::as_path);
        Ok(target::check(target, replaces, [bundle].into_iter().chain(given))?)
    }

    /// Opens the bundle at `path` and says what it is and who signed it.
    pub(crate) fn open(&self, path: &Path, output: Output) -> Result<Bundle, Failure> {
        let bundle = Bundle::open(path, &self.trusted(path)?)?;
        Self::show(&bundle, output);
        Ok(bundle)
    }

    /// Says what a bundle is and who signed it.
    pub(crate) fn show(bundle: &Bundle, output: Output) {
        let document = bundle.document();
        let product = &document.product;
        let text = format!(
            "{} {} (serial {}), signed by key {}, {}, {} images, {} charts, {} binaries",
            product.title,
            product.version,
            product.serial,
            bundle.key_id(),
            bytes(bundle.size()),
            document.images.len(),
            document.charts.len(),
            document.files.len(),
        );
        let fingerprint = Fingerprint::of(bundle.public_key()).map(|it| it.to_string()).unwrap_or_default();
        let data = json!({
            "product": product, "key": bundle.key_id(), "fingerprint": fingerprint,
            "comment": bundle.trusted_comment(), "bytes": bundle.size(),
            "images": document.images.len(), "charts": document.charts.len(), "files": document.files.len(),
        });
        output.line("bundle", &text, &data);
        output.remark(&format!("key       fingerprint {fingerprint}"));
    }

    /// The keys, and those that follow them; `bundle` is for messages.
    pub(crate) fn trusted(&self, bundle: &Path) -> Result<TrustedKeys, Failure> {
        let mut rotations = self.rotations.clone();
        let keys = if self.keys.is_empty() {
            rotations.extend(installed("rotation"));
            installed("pub")
        } else {
            self.keys.clone()
        };
        if keys.is_empty() {
            let message = format!("no public key to verify {} with", bundle.display());
            return Err(Failure::new(Kind::Usage, message).hint(format!(
                "give the vendor's key with `--trust-key FILE`, or put it into {}",
                FOLDERS.join(" or ")
            )));
        }
        let statements: Result<Vec<_>, _> = rotations.iter().map(|path| Rotation::from_file(path)).collect();
        Ok(TrustedKeys::from_files(&keys)?.after(&statements?)?)
    }
}

/// Files with this extension in the folders.
fn installed(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        // A folder that is not there holds nothing.
        let entries = std::fs::read_dir(written_path(folder)).into_iter().flatten().flatten();
        found.extend(
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == extension)),
        );
    }
    found.sort();
    found
}
