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
///
/// Its members' certificates hold for a year, and every run of the installer makes those anew that end within 90 days.
/// No member is restarted for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Events {
    /// Folder of its data on each master.
    pub folder: String,
    /// Snapshots that each master takes of its own member. A later run takes up what is changed here.
    pub backup: Backup,
}

impl Default for Events {
    fn default() -> Self {
        Self { folder: "/var/lib/etcd-events".to_owned(), backup: Backup::default() }
    }
}

/// Where snapshots stand that the profile puts nowhere else: the one place in our own folder that is free for them.
pub(crate) const BACKUPS: &str = "/var/lib/sealift/backup";

/// Snapshots of the database of events.
///
/// An event is gone after an hour (kube-apiserver's `--event-ttl`), and the cluster goes on well without. So they are
/// for people who look into a fault some hours later: one an hour has every event once, and few are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Backup {
    /// Hours from one snapshot to the next. An event is gone after one.
    #[schemars(range(min = 1, max = 168))]
    pub every_hours: u32,
    /// Snapshots that are kept, the newest ones. With 0 none is taken, and those that are there stay.
    #[schemars(range(max = 168))]
    pub keep: u32,
    /// Folder of the snapshots on each master, for root alone. When it is changed, those in the old one stay.
    pub folder: String,
}

impl Default for Backup {
    fn default() -> Self {
        Self { every_hours: 1, keep: 3, folder: format!("{BACKUPS}/etcd-events") }
    }
}

impl Events {
    /// The snapshots' rule; nothing where none are taken.
    #[must_use]
    pub fn backup(&self) -> Option<&Backup> {
        (self.backup.keep > 0).then_some(&self.backup)
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

    /// The folder of snapshots; nothing where none are taken.
    #[must_use]
    pub fn backup_folder(&self) -> Option<&str> {
        self.events.as_ref()?.backup().map(|backup| backup.folder.as_str())
    }
}
