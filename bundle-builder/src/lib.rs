//! The vendor's program: recipe to signed bundle.
//!
//! For: reading a recipe, pinning everything it names in a lock, fetching it into a content-addressed cache, proving that
//! nothing is missing, packing and signing. It must not know hosts, sites or SSH; what a bundle looks like inside is the
//! business of `sealift_bundle`.
//!
//! Main types in order of use: [`recipe::Recipe`] (what the vendor writes).

pub mod recipe;
