//! What the fuzz targets do with their input. `bundle-builder/tests/program/corpus.rs` does the same with every file of the
//! corpus, without a fuzzer.
//!
//! Refusing is right whatever the words; wrong is a panic, a hang, or memory without bound.

mod bundle;
mod delta;
mod manifest;
mod parcel;
mod recipe;

pub use bundle::bundle;
pub use manifest::manifest;
pub use parcel::parcel;
pub use recipe::recipe;
