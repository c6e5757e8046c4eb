//! The database of events: its authority and certificates, and this master's member of it.
//!
//! `sealift_render::events` says who trusts whom.

mod member;
mod pki;

pub(super) use member::join;
pub(super) use pki::{ensure, export, install};

/// Folder of its certificates.
const FOLDER: &str = "/etc/kubernetes/pki/etcd-events";
/// Its static pod.
const MANIFEST: &str = "/etc/kubernetes/manifests/etcd-events.yaml";
