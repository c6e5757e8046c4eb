//! The cluster's database: where its data stand, and whether events have a database of their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The cluster's database, etcd, on each master. Chosen at install: data are never moved by a later run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Etcd {
    /// Folder of the data on each master.
    pub folder: String,
    /// Whether each database folder has to be the mount point of a file system of its own on every master.
    ///
    /// Checked before an install; the kubelet, which starts the database, waits for the mount at every boot.
    pub own_disk: bool,
    /// A database of their own for events, which are most of what a large cluster writes and matter for an hour; with
    /// everything else where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
}

impl Default for Etcd {
    fn default() -> Self {
        Self { folder: "/var/lib/etcd".to_owned(), own_disk: false, events: None }
    }
}

/// The database of events: a member on each master, beside that of the cluster's own database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Events {
    /// Folder of its data on each master.
    pub folder: String,
}

impl Default for Events {
    fn default() -> Self {
        Self { folder: "/var/lib/etcd-events".to_owned() }
    }
}

impl Etcd {
    /// Whether nothing is chosen.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The folders of all databases, the cluster's own first.
    #[must_use]
    pub fn folders(&self) -> Vec<&str> {
        let events = self.events.iter().map(|events| events.folder.as_str());
        [self.folder.as_str()].into_iter().chain(events).collect()
    }
}
