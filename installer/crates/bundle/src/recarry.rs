//! What of a copy is damaged, for the vendor; and the re-carry file that the vendor makes from it.
//!
//! A site reads its copy, writes a [`DamageList`] and sends it. The vendor's program puts the blobs of that list into a
//! parcel (see [`crate::parcel`]), which mends the copy where it lies.

#[cfg(feature = "write")]
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::digest::{self, digest_of};
use crate::document::{API_VERSION, Product};
use crate::error::{BundleError, Damage};
use crate::member::Member;
use crate::note::{self, NoteError};
use crate::output::target::Replaces;
use crate::signature::TrustedKeys;
#[cfg(feature = "write")]
use crate::{
    document::BlobEntry,
    parcel::{
        self, ParcelDocument, ParcelKind,
        write::{Content, ParcelWriteError},
    },
};

/// Kind of a damage list.
pub(crate) const KIND: &str = "DamageList";

/// The blobs that a copy of a bundle does not have, or not whole. What else a bundle consists of follows from its
/// contents list and is not carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DamageList {
    /// Always [`API_VERSION`]; anything else is a newer format.
    pub api_version: String,
    /// Always `DamageList`.
    pub kind: String,
    /// The product.
    pub product: Product,
    /// Digest of the bundle's `index.json`: names the one bundle that it is about.
    pub index: String,
    /// By offset.
    pub blobs: Vec<DamagedBlob>,
}

/// A blob that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DamagedBlob {
    /// What it should be.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// Where its content starts, bytes from the bundle's start.
    pub offset: u64,
    /// What it is for people; empty where nothing names it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// In a split bundle: file name of the part that it starts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// In a split bundle: where in that part, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_offset: Option<u64>,
}

impl DamageList {
    /// The list for `damage`, as [`Bundle::damage`] and [`BundleError::Damaged`] have it.
    #[must_use]
    pub fn new(bundle: &Bundle, damage: &[Damage]) -> Self {
        let blobs = hurt_members(bundle, damage).into_iter().filter_map(|(_, member)| {
            let damage = damage.iter().find(|damage| in_content(&member, damage))?;
            let place = damage.part.as_ref();
            let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
            Some(DamagedBlob {
                digest: member.digest,
                size: member.size,
                offset: damage.offset,
                what: damage.what.clone(),
                part: place.and_then(|(path, _)| name(path)),
                part_offset: place.map(|(_, offset)| *offset),
            })
        });
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            product: bundle.document().product.clone(),
            index: digest_of(bundle.index_json().as_bytes()),
            blobs: blobs.collect(),
        }
    }

    /// The list for what lies at `path` and was refused as `refusal`. Reads all of it, unless the refusal tells already.
    ///
    /// # Errors
    /// When index, signature or document cannot be read or believed: then nobody knows what should be there.
    pub fn after(
        refusal: &BundleError,
        path: &Path,
        keys: &TrustedKeys,
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self, BundleError> {
        match refusal {
            BundleError::Damaged { damage, .. } => Ok(Self::new(&Bundle::open_damaged(path, keys)?, damage)),
            _ => Self::find(path, keys, threads, progress),
        }
    }

    /// The list for what lies at `path`. Reads all of it; `progress` gets bytes done and bytes in all.
    ///
    /// # Errors
    /// As [`DamageList::after`].
    pub fn find(
        path: &Path,
        keys: &TrustedKeys,
        threads: usize,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<Self, BundleError> {
        let bundle = Bundle::open_damaged(path, keys)?;
        Ok(Self::new(&bundle, &bundle.damage(threads, progress)))
    }

    /// Reads a list.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(path: &Path) -> Result<Self, NoteError> {
        let list: Self = note::read(path, KIND, "a damage list")?;
        for blob in &list.blobs {
            digest::hex(&blob.digest)
                .map_err(|source| NoteError::Digest { path: path.to_owned(), source })?;
        }
        Ok(list)
    }

    /// Writes it to `path`; a damage list that is there is replaced when all is written.
    ///
    /// # Errors
    /// When something else is there, or writing fails; nothing is left behind then.
    pub fn write(&self, path: &Path) -> Result<(), NoteError> {
        note::write(path, self, Replaces::DamageLists)
    }

    /// Bytes of all its blobs.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().fold(0, |sum, blob| sum.saturating_add(blob.size))
    }
}

/// Why no re-carry file was made.
#[cfg(feature = "write")]
#[derive(Debug, thiserror::Error)]
pub enum RecarryError {
    /// The list is about another bundle.
    #[error("the damage list is of another bundle: {} {} (serial {}), not {} {} (serial {})",
        .listed.name, .listed.version, .listed.serial, .given.name, .given.version, .given.serial)]
    OtherBundle {
        /// What the list is about.
        listed: Box<Product>,
        /// What was given.
        given: Box<Product>,
    },
    /// The list names a blob that the bundle does not have.
    #[error("the damage list names blob {digest}, which is not in the bundle")]
    Unknown {
        /// The blob.
        digest: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] ParcelWriteError),
}

/// Bytes that [`recarry`] writes. Sizes are those of the bundle: the list may say anything.
#[cfg(feature = "write")]
#[must_use]
pub fn room(bundle: &Bundle, list: Option<&DamageList>) -> u64 {
    let listed: BTreeSet<&str> =
        list.iter().flat_map(|list| &list.blobs).map(|blob| blob.digest.as_str()).collect();
    // The first three are in every parcel.
    let blobs = bundle.blobs().iter().skip(3);
    parcel::write::room(bundle, blobs.filter(|blob| listed.contains(blob.digest.as_str())))
}

/// Writes a re-carry file with the blobs of `list` to `target`; without a list one that mends what is in front of the
/// blobs, so that a copy which has lost its contents list can be read again. Gives its size. `progress` gets bytes done
/// and bytes in all.
///
/// # Errors
/// When the list is of another bundle, a blob is damaged here too, `target` is there already, or writing fails.
#[cfg(feature = "write")]
pub fn recarry(
    bundle: &Bundle,
    list: Option<&DamageList>,
    target: &Path,
    threads: usize,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<u64, RecarryError> {
    let index = digest_of(bundle.index_json().as_bytes());
    let product = &bundle.document().product;
    if let Some(list) = list.filter(|list| list.index != index) {
        let (listed, given) = (Box::new(list.product.clone()), Box::new(product.clone()));
        return Err(RecarryError::OtherBundle { listed, given });
    }
    // Sizes as signed: the list may say anything.
    let sizes: BTreeMap<&str, u64> =
        bundle.blobs().iter().map(|blob| (blob.digest.as_str(), blob.size)).collect();
    let mut content = Vec::new();
    for DamagedBlob { digest, .. } in list.iter().flat_map(|list| &list.blobs) {
        let Some(size) = sizes.get(digest.as_str()) else {
            return Err(RecarryError::Unknown { digest: digest.clone() });
        };
        content.push((BlobEntry { digest: digest.clone(), size: *size }, Content::Blob));
    }
    let document = ParcelDocument {
        api_version: API_VERSION.to_owned(),
        kind: ParcelKind::Recarry,
        product: product.clone(),
        index,
        base: None,
        zstd: None,
        patches: Vec::new(),
    };
    Ok(parcel::write::write(target, bundle, &document, content, threads, progress)?)
}

/// The members that have damage, and their places in the order.
pub(crate) fn hurt_members(bundle: &Bundle, damage: &[Damage]) -> Vec<(usize, Member)> {
    let members = bundle.members().as_slice();
    let mut hurt: Vec<usize> = damage
        .iter()
        .filter_map(|damage| {
            let index = members.partition_point(|member| member.offset <= damage.offset).checked_sub(1)?;
            (damage.offset < members[index].end()).then_some(index)
        })
        .collect();
    hurt.dedup();
    hurt.into_iter().map(|index| (index, members[index].clone())).collect()
}

/// Whether it is the content of this member that is damaged.
pub(crate) fn in_content(member: &Member, damage: &Damage) -> bool {
    damage.offset == member.content() && damage.size == member.size && member.size > 0
}
