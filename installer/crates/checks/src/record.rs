//! Facts in a file: what a host's owner measured days before (`installer kit`), for the seat to judge later.
//!
//! The file is one JSON object: `apiVersion`, `kind`, `tool`, `takenUnixMillis`, `role` where it was told, `facts`, and
//! `checksum` over all the others. The checksum finds damage; it is no signature: facts are measurements of the site's own
//! people, and are treated like everything that a host says of itself. Nothing in the file is secret: the host's own
//! identities are kept as digests, which still tell clones apart.

use std::collections::BTreeMap;

use sealift_bundle::digest::digest_of;
use sealift_profile::HostRole;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::facts::Facts;

/// `apiVersion` of the files that this program writes and reads.
pub const API_VERSION: &str = "sealift/v1";
/// `kind` of a facts file.
pub const KIND: &str = "HostFacts";
/// Largest facts file, bytes (4 MiB). A host with thousands of connections and mounts fills a tenth of it.
pub const MAX_BYTES: u64 = 4 << 20;

/// Facts and when they were taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Version of the program that took them.
    pub tool: String,
    /// When, milliseconds since the Unix epoch, by the host's own clock.
    pub taken_unix_millis: i64,
    /// What the host shall be for, as far as its owner knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<HostRole>,
    /// What was measured.
    pub facts: Facts,
}

/// Why a facts file is refused.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is larger than any that this program writes.
    #[error("it is larger than {} MiB, and no facts file is", MAX_BYTES >> 20)]
    TooLarge,
    /// It is no JSON.
    #[error("it is no JSON")]
    NotJson(#[source] serde_json::Error),
    /// It is something else.
    #[error("it is no facts file: its kind is {0}, not {KIND}")]
    OtherKind(String),
    /// A later program wrote it.
    #[error("it is of the format {0}, and this installer knows {API_VERSION}")]
    Newer(String),
    /// Its content is not what was written.
    #[error("it was damaged or edited after it was written: its checksum does not fit")]
    Damaged,
    /// Something is missing in it, or has another form.
    #[error("its facts cannot be understood")]
    NotFacts(#[source] serde_json::Error),
}

impl Record {
    /// Facts as they go into a file: with digests in the place of the machine's identities.
    #[must_use]
    pub fn new(mut facts: Facts, tool: &str, taken_unix_millis: i64, role: Option<HostRole>) -> Self {
        // machine-id(5) asks for this; the product's UUID is as telling.
        for identity in [&mut facts.machine_id, &mut facts.product_uuid] {
            if !identity.trim().is_empty() {
                *identity = digest_of(identity.trim().to_lowercase().as_bytes());
            }
        }
        Self { tool: tool.to_owned(), taken_unix_millis, role, facts }
    }

    /// The file, byte-equal for equal records.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, numbers and maps with string keys only: serialising cannot fail.
        let mut value = serde_json::to_value(self).unwrap_or_default();
        value["apiVersion"] = API_VERSION.into();
        value["kind"] = KIND.into();
        value["checksum"] = checksum(&value).into();
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a file, which may be anything.
    pub fn from_json(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(RecordError::TooLarge);
        }
        let mut value: Value = serde_json::from_slice(bytes).map_err(RecordError::NotJson)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, version, written) = (text("kind"), text("apiVersion"), text("checksum"));
        if kind != KIND {
            let kind = if kind.is_empty() { "not named".to_owned() } else { short(&kind) };
            return Err(RecordError::OtherKind(kind));
        }
        if version != API_VERSION {
            return Err(RecordError::Newer(short(&version)));
        }
        if let Some(members) = value.as_object_mut() {
            members.remove("checksum");
        }
        if checksum(&value) != written {
            return Err(RecordError::Damaged);
        }
        serde_json::from_value(value).map_err(RecordError::NotFacts)
    }

    /// The address that the host most likely goes by: that of the interface of its default route, else any.
    #[must_use]
    pub fn likely_address(&self) -> Option<std::net::IpAddr> {
        let default = self.facts.routes.iter().find(|route| route.destination.prefix_len() == 0)?;
        let name = &default.interface;
        let way_out = self.facts.interfaces.iter().find(|interface| interface.name == *name)?;
        way_out.addresses.first().map(ipnet::IpNet::addr)
    }

    /// The addresses that the host had, without those of the loopback interface.
    pub fn addresses(&self) -> impl Iterator<Item = std::net::IpAddr> + '_ {
        let nets = self.facts.interfaces.iter().flat_map(|interface| &interface.addresses);
        nets.map(ipnet::IpNet::addr).filter(|address| !address.is_loopback())
    }
}

/// Text of a stranger for a message: short, and nothing that moves a terminal's cursor.
fn short(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Over the content and not over the bytes: a tool that sets the white space anew does no harm.
fn checksum(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    digest_of(text.as_bytes())
}

/// Keys in order, no white space. The reader bounds the depth (128).
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            text.push('{');
            for (key, value) in sorted {
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                canonical(value, text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
