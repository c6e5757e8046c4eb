//! What of a finding can be mended by itself: a value that says what would be changed, and nothing that changes it.
//!
//! A fix is small, goes with what the check's remedy tells a person to do, and can be taken back. What loses data, picks
//! a value that only the site knows, or touches other people's software is no fix: there the words of the remedy stay.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::finding::Finding;

/// The file that holds every kernel setting that a fix sets, so that it lasts. It comes after the files of distributions
/// (`sysctl.d(5)`) and after our own, which sets others.
pub const SETTINGS_FILE: &str = "/etc/sysctl.d/95-sealift-fixes.conf";

/// One change on one host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", tag = "kind")]
pub enum Fix {
    /// A kernel setting, now and at every start ([`SETTINGS_FILE`]).
    Setting {
        /// Name with dots.
        name: String,
        /// Value.
        value: String,
    },
    /// Swap off, now and at every start.
    SwapOff,
    /// The host's own time service on, now and at every start (`timedatectl(1)`, `set-ntp`).
    TimeService,
    /// Services stopped, now and at every start; those that the host does not have are passed over.
    StopUnits {
        /// Their units.
        units: Vec<String>,
    },
    /// Permission bits of a folder.
    FolderMode {
        /// Absolute path.
        path: String,
        /// The bits.
        mode: u32,
    },
}

impl fmt::Display for Fix {
    /// One clause for people, without a full stop: what will be changed and where.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { name, value } => {
                write!(formatter, "set {name} = {value}, now and in {SETTINGS_FILE}")
            }
            Self::SwapOff => formatter.write_str("switch swap off, now and in /etc/fstab"),
            Self::TimeService => {
                formatter.write_str("switch the host's time service on (timedatectl set-ntp true)")
            }
            Self::StopUnits { units } => write!(formatter, "stop and disable {}", units.join(" and ")),
            Self::FolderMode { path, mode } => write!(formatter, "set the mode of {path} to {mode:04o}"),
        }
    }
}

/// A change of one host, and the check that asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wish {
    /// The host's name in the profile. Not written: lists of wishes are written by host.
    #[serde(skip)]
    pub host: String,
    /// The check's id.
    pub check: &'static str,
    /// What would be changed.
    pub fix: Fix,
}

impl fmt::Display for Wish {
    /// What would be changed and for which check; the host stands before it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.fix, self.check)
    }
}

/// Everything that findings ask for and that can be made by itself: each change of a host once, with the hosts in the
/// order of their names.
#[must_use]
pub fn wishes<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Wish> {
    let mut wishes: Vec<Wish> = Vec::new();
    for finding in findings {
        let Some(host) = &finding.host else { continue };
        for fix in &finding.fixes {
            if !wishes.iter().any(|wish| wish.host == *host && wish.fix == *fix) {
                wishes.push(Wish { host: host.clone(), check: finding.check, fix: fix.clone() });
            }
        }
    }
    wishes.sort_by(|a, b| a.host.cmp(&b.host));
    wishes
}
