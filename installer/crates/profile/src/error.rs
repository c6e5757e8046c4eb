//! What can be wrong with a profile, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Findings printed by [`Invalid`]'s `Display`; the rest is counted. All stay in [`Invalid::findings`].
const SHOWN: usize = 100;

/// A place in a profile file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file as it was named by the caller.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Where each value of a site came from: path in the profile (`hosts[1].address`) to place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(pub(crate) BTreeMap<String, Place>);

impl Places {
    /// The place of a value; of the nearest value around it where it is not written itself (a default).
    #[must_use]
    pub fn nearest(&self, path: &str) -> Option<&Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return Some(place);
            }
            if path.is_empty() {
                return None;
            }
            path = parent(path);
        }
    }

    /// The place of a value that is written in a file.
    #[must_use]
    pub fn exact(&self, path: &str) -> Option<&Place> {
        self.0.get(path)
    }

    /// All written values in the order of their paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Place)> {
        self.0.iter().map(|(path, place)| (path.as_str(), place))
    }
}

/// `hosts[1].address` → `hosts[1]` → `hosts` → the empty path of the whole profile.
pub(crate) fn parent(path: &str) -> &str {
    path.rfind(['.', '[']).map_or("", |end| &path[..end])
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileFinding {
    /// Stable name of the rule, e.g. `unknown-key`.
    pub rule: &'static str,
    /// Path in the profile, e.g. `hosts[1].address`; empty for the whole profile.
    pub path: String,
    /// Where; none where the site was not read from a file (the wizard).
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for ProfileFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "\n    next: {}", self.remedy)?;
        }
        Ok(())
    }
}

/// All findings of one profile, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// At least one.
    pub findings: Vec<ProfileFinding>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.findings.len();
        write!(f, "the site profile cannot be used: {count} finding{}", if count == 1 { "" } else { "s" })?;
        for finding in self.findings.iter().take(SHOWN) {
            write!(f, "\n  {finding}")?;
        }
        if count > SHOWN {
            write!(f, "\n  and {} more", count - SHOWN)?;
        }
        Ok(())
    }
}

/// Why there is no site.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No file was named.
    #[error("no site profile is named\n  next: name one with --profile FILE")]
    NoFile,
    /// A file cannot be read.
    #[error("the site profile {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than any profile.
    #[error("the site profile {} is larger than {limit} bytes: this is not a site profile", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, bytes.
        limit: u64,
    },
    /// A file is not text.
    #[error(
        "the site profile {} is not UTF-8 text (byte {offset})\n  next: save it as UTF-8 in your editor",
        path.display()
    )]
    NotText {
        /// The file.
        path: PathBuf,
        /// First byte that is not UTF-8, from 0.
        offset: usize,
    },
    /// A file with certificates cannot be read any more.
    #[error("the certificates in {} cannot be read", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The files were read and are wrong.
    #[error("{0}")]
    Invalid(Invalid),
}

impl ProfileError {
    /// The findings, where the files could be read.
    #[must_use]
    pub fn findings(&self) -> &[ProfileFinding] {
        match self {
            Self::Invalid(invalid) => &invalid.findings,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_place_is_that_of_the_value_around() {
        let place = |line| Place { file: "a.yaml".into(), line, column: 1 };
        let places = Places(BTreeMap::from([(String::new(), place(1)), ("hosts[1]".to_owned(), place(7))]));
        assert_eq!(places.nearest("hosts[1].address"), Some(&place(7)));
        assert_eq!(places.nearest("cluster.endpoint"), Some(&place(1)));
        assert_eq!(places.exact("hosts[1].address"), None);
    }
}
