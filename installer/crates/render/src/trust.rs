//! The customer's authorities as the files that a host's trust store is made from.

use sealift_profile::Authority;

/// How a distribution keeps the authorities that its programs trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustStore {
    /// `update-ca-certificates` and `/usr/local/share/ca-certificates` (Debian, Ubuntu).
    Debian,
    /// `update-ca-trust` and `/etc/pki/ca-trust/source/anchors` (RHEL and its relatives, openEuler, Anolis).
    RedHat,
    /// `update-ca-certificates` and `/etc/pki/trust/anchors` (SLES, openSUSE).
    Suse,
}

/// How the names of our files in a trust store begin.
pub const PREFIX: &str = "sealift-customer-ca-";

impl TrustStore {
    /// The one of a release, by `ID` of its `os-release`. Releases that nobody has tried are mostly relatives of RHEL.
    #[must_use]
    pub fn of(release: &str) -> Self {
        match release {
            "debian" | "ubuntu" | "linuxmint" | "raspbian" | "deepin" | "uos" => Self::Debian,
            name if name.starts_with("sles") || name.contains("suse") => Self::Suse,
            _ => Self::RedHat,
        }
    }

    /// Folder of the authorities that were added.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Debian => "/usr/local/share/ca-certificates",
            Self::RedHat => "/etc/pki/ca-trust/source/anchors",
            Self::Suse => "/etc/pki/trust/anchors",
        }
    }

    /// The program, without arguments, that takes up what has changed there.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::Debian | Self::Suse => "update-ca-certificates",
            Self::RedHat => "update-ca-trust",
        }
    }

    /// One file for each authority, since `update-ca-certificates` takes one certificate from each: path and content.
    #[must_use]
    pub fn files(self, authorities: &[Authority]) -> Vec<(String, String)> {
        let path = |number: usize| format!("{}/{PREFIX}{number}.crt", self.folder());
        authorities.iter().enumerate().map(|(i, one)| (path(i + 1), one.pem.clone())).collect()
    }
}
