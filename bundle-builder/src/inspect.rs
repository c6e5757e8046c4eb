//! What is in a bundle: read from its document and its small blobs, without unpacking anything.
//!
//! - [`summary::Summary`]: the whole in a page: sizes by component and role, shared layers, disk needed per role.
//! - [`list::entries`]: one line per image, chart and file.
//! - [`extract`]: one entry as a file that other programs read.

pub mod extract;
pub mod list;
mod naming;
pub mod summary;

pub(crate) use naming::ChartText;
