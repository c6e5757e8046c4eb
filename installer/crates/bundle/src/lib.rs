//! The bundle format: what a vendor hands over as one file, and how to trust it.
//!
//! A bundle is an OCI image layout in a plain tar. Its `index.json` is signed and leads by digest to every other
//! byte, members stand in a fixed order, and every tar header is the one that name and size give. So offsets follow
//! from the document's list of blobs: the reader seeks, never scans, never unpacks, and any byte that is not the
//! expected one is noticed.
//!
//! Member order: `oci-layout`, `index.json`, `index.json.minisig`, then under `blobs/sha256/` the bundle document's
//! manifest, config and layer, then every blob of [`BundleDocument::blobs`] in its order; two zero blocks end the file.
//!
//! Split, it is `NAME.001`, `NAME.002` and so on: plain pieces of the file, read where they lie by whoever opens the first.
//!
//! This room must not know hosts, profiles, registries or the network, nor where a vendor's files come from.
//!
//! In order of use:
//! - [`TrustedKeys`]: whose signature counts.
//! - [`rotation::Rotation`]: the old key names the one that follows it; [`fingerprint`]: keys compared by phone.
//! - [`Bundle`]: an opened bundle: document, blobs, [`Bundle::verify`].
//! - [`document::BundleDocument`]: what is in it; [`sizing::SizingModel`]: what its product needs for how much work;
//!   [`services`]: what a site may run itself, and what is left out then; [`values`]: where a site's go in a chart's.
//! - [`digest`]: the one place that computes content digests.
//! - [`layout`]: paths in an OCI layout folder (stores and caches).
//! - [`oci`]: index, manifest and descriptor as this format writes them.
//! - [`recarry::DamageList`]: what of a copy is damaged; [`inventory::Inventory`]: what a site has, by digests alone.
//! - [`parcel::Parcel`]: what a bundle needs besides another one: a delta or a re-carry file.
//! - `write`, `rebuild`, `delta`, `split`, `repair` (feature `write`): pack a bundle, make it anew from another version,
//!   cut and mend it.
//! - [`output::Output`]: a file that gets its name when it is whole, and [`output::target`]: what it may replace;
//!   [`small`]: keys and the like; [`unfinished`]: what goes when a signal comes first;
//!   `room` (feature `write`): whether a disk has room for it.
//! - `testing` (feature `testing`): a complete small bundle for tests.

mod bundle;
mod check;
mod error;
mod inspect;
mod member;
mod note;
mod open;
mod parts;
mod remains;
#[cfg(feature = "write")]
mod resemblance;
mod signature;
mod source;
mod usage;
mod verify;
mod workers;

#[cfg(feature = "write")]
pub mod delta;
pub mod digest;
pub mod document;
pub mod fingerprint;
#[cfg(feature = "write")]
pub mod frame;
pub mod inventory;
pub mod layout;
pub mod oci;
pub mod output;
pub mod parcel;
#[cfg(feature = "write")]
pub mod rebuild;
pub mod recarry;
#[cfg(feature = "write")]
pub mod repair;
#[cfg(feature = "write")]
pub mod room;
pub mod rotation;
pub mod services;
pub mod sizing;
pub mod small;
#[cfg(feature = "write")]
pub mod split;
#[cfg(feature = "testing")]
pub mod testing;
pub mod unfinished;
pub mod values;
#[cfg(feature = "write")]
pub mod write;

pub use bundle::{BlobReader, Bundle};
pub use document::{BlobEntry, BundleDocument};
pub use error::{BundleError, Damage, DamageKind};
pub use note::NoteError;
pub use signature::{KeyError, TrustedKeys};
pub use source::{FileSource, Part, Source};
pub use verify::VerifyReport;
