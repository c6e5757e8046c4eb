//! What a site has, by digests alone: a vendor cuts a delta against it without that version at hand.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::digest::{self, digest_of};
use crate::document::{API_VERSION, Product};
use crate::note::{self, NoteError};
use crate::output::target::Replaces;
use crate::usage;

/// Kind of an inventory.
pub(crate) const KIND: &str = "Inventory";

/// The blobs of one bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inventory {
    /// Always [`API_VERSION`]; anything else is a newer format.
    pub api_version: String,
    /// Always `Inventory`.
    pub kind: String,
    /// The product.
    pub product: Product,
    /// Digest of the bundle's `index.json`.
    pub index: String,
    /// All of its blobs, in member order.
    pub blobs: Vec<InventoryBlob>,
}

/// One blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InventoryBlob {
    /// Its digest.
    pub digest: String,
    /// Its size, bytes.
    pub size: u64,
    /// What it belongs to, e.g. `file kubelet v1.36.3`; empty where nothing names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub of: String,
}

impl Inventory {
    /// What is in `bundle`.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        let mut uses = usage::of(bundle.document());
        let blob = |blob: &crate::BlobEntry| InventoryBlob {
            digest: blob.digest.clone(),
            size: blob.size,
            of: uses.remove(blob.digest.as_str()).unwrap_or_default(),
        };
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            product: bundle.document().product.clone(),
            index: digest_of(bundle.index_json().as_bytes()),
            blobs: bundle.blobs().iter().map(blob).collect(),
        }
    }

    /// Reads an inventory.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(path: &Path) -> Result<Self, NoteError> {
        let inventory: Self = note::read(path, KIND, "an inventory")?;
        for text in inventory.blobs.iter().map(|blob| &blob.digest).chain([&inventory.index]) {
            digest::hex(text).map_err(|source| NoteError::Digest { path: path.to_owned(), source })?;
        }
        Ok(inventory)
    }

    /// Writes it to `path`; an inventory that is there is replaced when all is written.
    ///
    /// # Errors
    /// When something else is there, or writing fails; nothing is left behind then.
    pub fn write(&self, path: &Path) -> Result<(), NoteError> {
        note::write(path, self, Replaces::Inventories)
    }
}
