//! Deltas: what a newer bundle has and an older one has not, as a [`crate::parcel`].
//!
//! Blobs of the newer bundle that the older one has are not carried. Others are carried whole, or as a patch against a
//! blob of the older bundle (the same file, or a layer of the same image) where that is smaller. [`apply`] makes the newer
//! bundle from the older one and the delta, byte for byte, and believes nothing but the newer one's own signature.

mod apply;
mod cut;
pub mod patch;

use std::path::PathBuf;

use crate::document::Product;
use crate::error::BundleError;
use crate::parcel::ParcelKind;
use crate::parcel::write::ParcelWriteError;
use crate::write::WriteError;

pub use apply::{Delta, apply, room};
pub use cut::{Against, Report, cut, room_to_cut};
use patch::PatchError;

/// Why a delta was not cut or applied. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// A bundle or the delta cannot be opened or read, or is damaged.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The new bundle cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The delta cannot be written.
    #[error(transparent)]
    Parcel(#[from] ParcelWriteError),
    /// Old and new are one bundle.
    #[error("both are {} {} (serial {}), the same bundle", .product.name, .product.version, .product.serial)]
    Same {
        /// What both are.
        product: Box<Product>,
    },
    /// Something is there already.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The parcel is for something else.
    #[error("{}: is {found}, not a delta", .path.display())]
    Kind {
        /// The parcel.
        path: PathBuf,
        /// What it is.
        found: ParcelKind,
    },
    /// The delta starts from another bundle.
    #[error("{}: starts from {} {} (serial {}), not from this {} {} (serial {}){}", .path.display(),
        .expected.name, .expected.version, .expected.serial, .found.name, .found.version, .found.serial,
        if .expected == .found { ": it was built anew" } else { "" })]
    OtherBase {
        /// The delta.
        path: PathBuf,
        /// What it starts from.
        expected: Box<Product>,
        /// What was given.
        found: Box<Product>,
    },
    /// Neither the old bundle nor the delta has a blob of the new one.
    #[error("{}: the delta lacks blob {digest}, and the old bundle does not have it", .path.display())]
    Lacking {
        /// The delta.
        path: PathBuf,
        /// The blob.
        digest: String,
    },
    /// A patch does not lead to the blob that it is for.
    #[error("{}: the patch for blob {digest} does not fit", .path.display())]
    Patch {
        /// The delta.
        path: PathBuf,
        /// The blob.
        digest: String,
        /// How that shows.
        source: PatchError,
    },
    /// The content is right, but compressed it is another blob.
    #[error(
        "{}: blob {digest} was compressed by zstd {made_with}; zstd {here} in this program gives other bytes",
        .path.display()
    )]
    Zstd {
        /// The delta.
        path: PathBuf,
        /// The blob.
        digest: String,
        /// What made the blob, as [`crate::frame::maker`].
        made_with: String,
        /// What makes it here.
        here: String,
    },
    /// What is put aside while patches are made or applied cannot be kept.
    #[error("{}: no temporary file can be kept in this folder", .folder.display())]
    Temporary {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
