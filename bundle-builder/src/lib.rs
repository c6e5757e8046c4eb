//! The vendor's program: recipe to signed bundle.
//!
//! For: reading a recipe, pinning everything it names in a lock, fetching it into a content-addressed cache, proving that
//! nothing is missing, packing and signing. It must not know hosts, sites or SSH; what a bundle looks like inside is the
//! business of `sealift_bundle`.
//!
//! Main types in order of use:
//! - [`recipe::Recipe`]: what the vendor writes.
//! - [`init::init`]: a first one, from a folder of charts.
//! - [`source`]: where its paths lead, and every kind of place that images, charts and files come from ([`archive`],
//!   [`stored`]); [`cosign`] says who signed an image, [`referrer`] what else stands beside it.
//! - [`cache::Cache`]: blobs by digest; one build at a time.
//! - [`registry::Registries`]: manifests and blobs from registries, resumed and retried; [`mirrors`] says where and how.
//!   The only network, the only async.
//! - [`lock::Lock`]: what every name stood for.
//! - [`gate`]: charts render, and every image they name is there ([`closure`], [`helm`]).
//! - [`pull`], [`compress`], [`pack`]: the bytes.
//! - [`key::SigningKey`]: signs, the same each time.
//! - [`build::build`]: all of it in order, [`stages`] of it side by side.
//! - [`carry::carry`]: the folder that goes onto a disk, with installers and what the person who carries it must know.
//! - [`trust::Trust`]: whose bundles are opened; [`inspect`], [`diff`], [`sbom`]: what is in them.
//! - [`manual`]: manual pages, from the command line's definition.
//! - [`fill`]: texts with places in them; `nearest`: the name that was meant by a wrong one.
//! - [`failure::Failure`]: what went wrong, what to do next, which exit code.
//!
//! Nothing but [`cli`] prints.

pub mod archive;
pub mod atomic;
pub mod build;
pub mod cache;
pub mod carry;
pub mod chart;
pub mod cli;
pub mod closure;
pub mod compress;
pub mod cosign;
pub mod diff;
pub mod failure;
pub mod fill;
pub mod gate;
pub mod helm;
pub mod image;
pub mod init;
pub mod inspect;
pub mod key;
pub mod lock;
pub mod manifest;
pub mod manual;
pub mod mirrors;
mod nearest;
pub mod pack;
pub mod parallel;
pub mod progress;
pub mod pull;
pub mod recipe;
pub mod referrer;
pub mod registry;
pub mod sbom;
pub mod source;
pub mod stages;
pub mod stored;
pub mod trust;
