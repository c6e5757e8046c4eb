//! What a host saw of the services that the site runs itself.

use sealift_bundle::services::ServiceKind;
use serde::{Deserialize, Serialize};

/// One try to use a service of the site, from this host: as far as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAttempt {
    /// Which service.
    pub service: ServiceKind,
    /// Where it was tried, e.g. `10.20.0.9:5432`; as the profile has it where the name was not found.
    pub address: String,
    /// Time to connect, there and back once, microseconds; none where there was no connection.
    pub micros: Option<u64>,
    /// Version of TLS that was agreed on, e.g. `TLSv1.3`; none where there is no encryption.
    pub tls: Option<String>,
    /// The version that it says it has; none where it says none.
    pub version: Option<String>,
    /// Where it ended before its end, and why.
    pub trouble: Option<ServiceTrouble>,
}

/// What ended a try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTrouble {
    /// How far it had come.
    pub stage: ServiceStage,
    /// What happened, in words.
    pub problem: String,
}

/// What a try does, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceStage {
    /// Find the name, connect.
    Reach,
    /// Agree on encryption, look at the certificate.
    Tls,
    /// Log in.
    Login,
    /// Get an answer of the kind that such a service gives.
    Answer,
}
