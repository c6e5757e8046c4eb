//! Profile, bundle and facts in, typed steps out: `plan(profile, bundle, facts) -> Plan`.
//!
//! Pure: equal inputs give byte-equal JSON. This room must not know SSH, threads, clocks, displays or how an
//! operation is carried out; it decides what is done, where, and what must be done before.
//!
//! In order of use: [`PlanInput`], [`plan`], [`Plan`], [`Step`], [`operation::Operation`]; then, for those who have to
//! agree to it, [`changes::changes`] (what changes on each host), [`tickets`] (tables for other teams' tickets),
//! [`dns`] (names for their DNS) and [`saved`] (a plan in a file, and in what another one differs from it).

mod build;
pub mod changes;
pub mod dns;
pub mod flows;
pub mod inputs;
pub mod operation;
pub mod saved;
pub mod tickets;

use std::collections::BTreeMap;

use sealift_bundle::document::BundleDocument;
use sealift_checks::facts::Facts;
use sealift_profile::site::Site;
use serde::{Deserialize, Serialize};

pub use build::plan;
use inputs::Inputs;
use operation::Operation;

/// Format of a plan's JSON. The first one did not say what a plan was made from.
pub const API_VERSION: &str = "sealift/v2";

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct PlanInput<'a> {
    /// The site's answers.
    pub site: &'a Site,
    /// What the bundle holds.
    pub document: &'a BundleDocument,
    /// `index.json` of the bundle, byte for byte.
    pub index: &'a str,
    /// `index.json.minisig`.
    pub signature: &'a str,
    /// Base64 line of the public key that verified it.
    pub public_key: &'a str,
    /// Digest of the installer program that becomes the hosts' agent.
    pub agent_digest: &'a str,
    /// Facts by host name, one entry for every host of the site.
    pub facts: &'a BTreeMap<String, Facts>,
}

/// Why no plan can be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A host of the profile has no facts.
    #[error("no facts of host {0}: it was not probed")]
    NoFacts(String),
    /// The profile has no master.
    #[error("the profile names no control-plane host")]
    NoControlPlane,
    /// The bundle names something that it lacks.
    #[error("the bundle has no {what} `{name}`")]
    NotInBundle {
        /// Sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The product asks a question that the profile leaves open.
    #[error("the product's setting `{0}` has no default and no answer under `product.settings`")]
    SettingOpen(String),
    /// The product needs a secret that the profile does not give.
    #[error("the product's secret `{0}` is not given under `product.secrets`")]
    SecretOpen(String),
    /// The profile answers a question that the product does not ask.
    #[error("the product has no setting `{0}`")]
    SettingUnknown(String),
    /// The profile names a service of the site that the product cannot use.
    #[error(
        "the product cannot use the site's own `services.{0}`: it brings what it needs of that itself, or needs none"
    )]
    ServiceUnused(&'static str),
    /// A file could not be rendered.
    #[error("rendering for {host}")]
    Render {
        /// Host name.
        host: String,
        /// Why.
        source: sealift_render::RenderError,
    },
}

/// Everything that will be done, in an order that a person can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Always [`API_VERSION`].
    pub api_version: String,
    /// Site name.
    pub site: String,
    /// Product name and version.
    pub product: String,
    /// Kubernetes version.
    pub kubernetes: String,
    /// What it was made from.
    pub inputs: Inputs,
    /// Host names in the profile's order.
    pub hosts: Vec<String>,
    /// Steps; a step's needs stand before it.
    pub steps: Vec<Step>,
}

/// One operation on one host, and what must be done before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// `HOST.NAME`, unique.
    pub id: String,
    /// Host name.
    pub host: String,
    /// What it does, for people.
    pub title: String,
    /// Identifiers of steps that must have ended well.
    pub needs: Vec<String>,
    /// What is done.
    #[serde(flatten)]
    pub operation: Operation,
}

impl Plan {
    /// The plan as JSON, byte-equal for equal inputs.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A plan holds strings, numbers and maps with string keys only: serialising it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Digest of the plan's JSON.
    #[must_use]
    pub fn digest(&self) -> String {
        sealift_bundle::digest::digest_of(self.to_json().as_bytes())
    }
}
