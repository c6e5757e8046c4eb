//! Whose facts are these? Facts files and the hosts of a profile, put together.

use std::collections::BTreeMap;

use sealift_profile::{Host, Site};

use crate::record::Record;
use crate::text::list;

/// A facts file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsFile {
    /// Its path, for messages.
    pub path: String,
    /// What is in it.
    pub record: Record,
}

/// Why files and hosts do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// A file is of no host of the profile.
    #[error(
        "{path} is of a host that the profile does not name: it calls itself {hostname} and has {addresses}"
    )]
    Stranger {
        /// The file.
        path: String,
        /// What the host calls itself.
        hostname: String,
        /// Its addresses, in words.
        addresses: String,
    },
    /// Several files are of one host.
    #[error("{paths} are all of {host}")]
    Twice {
        /// The host's name in the profile.
        host: String,
        /// The files, in words.
        paths: String,
    },
}

/// The records by the host's name in the profile, or everything that does not go together.
///
/// The address decides: it is what the installer will connect to. Where no host of the profile has an address of the
/// file's, the name does, full or without its domain. (A file that is taken by its name and has another address, and one
/// that is taken by its address and has another name, are findings: `network.address`, `identity.profile-name`.)
pub fn assign(site: &Site, files: Vec<FactsFile>) -> Result<BTreeMap<String, Record>, Vec<ImportError>> {
    let mut errors = Vec::new();
    let mut found: BTreeMap<String, Vec<FactsFile>> = BTreeMap::new();
    for file in files {
        match host_of(site, &file.record) {
            Some(host) => found.entry(host.name.clone()).or_default().push(file),
            None => errors.push(stranger(&file)),
        }
    }
    let mut records = BTreeMap::new();
    for (host, mut files) in found {
        match files.pop() {
            Some(only) if files.is_empty() => drop(records.insert(host, only.record)),
            last => {
                let paths: Vec<String> = files.into_iter().chain(last).map(|file| file.path).collect();
                errors.push(ImportError::Twice { host, paths: list(&paths) });
            }
        }
    }
    if errors.is_empty() { Ok(records) } else { Err(errors) }
}

fn host_of<'a>(site: &'a Site, record: &Record) -> Option<&'a Host> {
    let by_address =
        || site.hosts.iter().find(|host| record.addresses().any(|address| address == host.address));
    let says = record.facts.hostname.to_lowercase();
    let name = says.split('.').next().unwrap_or_default();
    by_address().or_else(|| site.hosts.iter().find(|host| host.name == name || host.name == says))
}

fn stranger(file: &FactsFile) -> ImportError {
    const SHOWN: usize = 4;
    let mut addresses: Vec<String> = file.record.addresses().map(|address| address.to_string()).collect();
    if addresses.len() > SHOWN {
        let more = addresses.len() - SHOWN;
        addresses.truncate(SHOWN);
        addresses.push(format!("{more} more"));
    }
    let hostname: String = file.record.facts.hostname.chars().filter(|c| !c.is_control()).take(80).collect();
    ImportError::Stranger {
        path: file.path.clone(),
        hostname: if hostname.is_empty() { "nothing".to_owned() } else { hostname },
        addresses: if addresses.is_empty() { "no address".to_owned() } else { list(&addresses) },
    }
}
