//! The database of events: its authority and certificates, this master's member of it, and snapshots of that.
//!
//! `sealift_render::events` says who trusts whom.

mod backup;
mod member;
mod pki;

pub use backup::{EventsBackup, Snapshot, back_up_events};
pub(super) use member::join;
pub(super) use pki::{ensure, export, install};

/// Folder of its certificates.
const FOLDER: &str = "/etc/kubernetes/pki/etcd-events";
/// Its static pod.
const MANIFEST: &str = "/etc/kubernetes/manifests/etcd-events.yaml";
