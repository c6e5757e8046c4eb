//! The site profile's types, exactly as the file has them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::certificates::Certificates;
use crate::etcd::Etcd;
use crate::needs::{Needs, SizingOverrides};
use crate::operation::{Environment, Nodes, Placement, Replicas};
use crate::secret::SecretRef;
use crate::services::Services;

/// `apiVersion` of the profiles that this installer reads.
pub const API_VERSION: &str = "sealift/v1";
/// `kind` of every site profile.
pub const KIND: &str = "Site";

/// All answers of one site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Site {
    /// Always `sealift/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// Always `Site`.
    #[schemars(extend("const" = KIND))]
    pub kind: String,
    /// The site's name.
    pub metadata: Metadata,
    /// Sections that are left open, for the wizard to ask; nothing runs unattended as long as one is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interactive: Vec<String>,
    /// What the site is for; decides what is judged and assumed, and changes nothing on the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// Networks and endpoint of the cluster.
    #[serde(default)]
    pub cluster: Cluster,
    /// What the API servers do beyond the plain cluster.
    #[serde(default, skip_serializing_if = "Api::is_plain")]
    pub api: Api,
    /// The cluster's database on each master.
    #[serde(default, skip_serializing_if = "Etcd::is_plain")]
    pub etcd: Etcd,
    /// Authorities that the site trusts: hosts do, and the product finds them in the config map `customer-ca`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_ca: Option<Certificates>,
    /// How the hosts are reached.
    pub access: Access,
    /// What opens the sealed secrets: where an age identity (`AGE-SECRET-KEY-1…`) or a passphrase is. Asked for at the
    /// terminal where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseal: Option<SecretRef>,
    /// The hosts.
    #[schemars(extend("x-merge-by" = "name"))]
    pub hosts: Vec<Host>,
    /// How much work the product will have to do; what is missing is assumed, and shown as assumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
    /// Numbers of machines that the site decides itself, each with its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizing: Option<SizingOverrides>,
    /// How nodes behave, and how the controllers watch them.
    #[serde(default)]
    pub nodes: Nodes,
    /// Numbers of copies that the site decides itself.
    #[serde(default, skip_serializing_if = "Replicas::is_calculated")]
    pub replicas: Replicas,
    /// Services that the site runs already, used in place of those that the product would bring.
    #[serde(default, skip_serializing_if = "Services::is_empty")]
    pub services: Services,
    /// Answers to the product's questions.
    #[serde(default)]
    pub product: ProductAnswers,
    /// Findings that somebody accepts.
    #[serde(default)]
    pub accepted_risks: Vec<AcceptedRisk>,
}

/// Name of the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Lowercase DNS label, at most 63 characters.
    pub name: String,
}

/// The cluster's networks and endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Cluster {
    /// Name of the API endpoint; resolved by the hosts' own `/etc/hosts`.
    pub endpoint: String,
    /// Port of the API endpoint.
    #[schemars(range(min = 1))]
    pub endpoint_port: u16,
    /// Pod network.
    #[schemars(with = "String", extend("format" = "cidr"))]
    pub pod_cidr: IpNet,
    /// Service network; the tenth address is the cluster DNS.
    #[schemars(with = "String", extend("format" = "cidr"))]
    pub service_cidr: IpNet,
    /// Port on which masters serve their store as registry.
    #[schemars(range(min = 1))]
    pub registry_port: u16,
    /// Name servers for names outside the cluster; none on a closed site.
    pub nameservers: Vec<IpAddr>,
}

impl Default for Cluster {
    fn default() -> Self {
        let net = |text: &str| text.parse().unwrap_or_else(|_| unreachable!("constant CIDR"));
        Self {
            endpoint: "api.cluster.internal".to_owned(),
            endpoint_port: 6443,
            pod_cidr: net("10.244.0.0/16"),
            service_cidr: net("10.96.0.0/12"),
            registry_port: 5443,
            nameservers: Vec::new(),
        }
    }
}

/// How the hosts are reached. A host may have a user, port and passwords of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Access {
    /// Login name.
    pub user: String,
    /// SSH port.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretRef>,
    /// Passphrase of the private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_passphrase: Option<SecretRef>,
    /// Login password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Password for sudo; the login password is tried where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_password: Option<SecretRef>,
    /// A `known_hosts` file whose keys are trusted, beside each host's `hostKey`. `~/` is the home of the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<String>,
    /// A host to go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bastion: Option<Bastion>,
}

/// A host that connections go through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bastion {
    /// Address or name.
    pub address: String,
    /// SSH port.
    #[serde(default = "ssh_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Private key; that of the hosts where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<SecretRef>,
    /// Login password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// `SHA256:…` fingerprint of its host key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
}

fn ssh_port() -> u16 {
    22
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// Node name: lowercase DNS label.
    pub name: String,
    /// The address that the other hosts and the seat use.
    pub address: IpAddr,
    /// What it does.
    pub role: HostRole,
    /// `SHA256:…` fingerprint of its SSH host key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// Login name where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// SSH port where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Login password where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// Password for sudo where it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_password: Option<SecretRef>,
    /// Where it stands; becomes labels of its node.
    #[serde(default, skip_serializing_if = "Placement::is_unknown")]
    pub placement: Placement,
    /// Node labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What a host does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostRole {
    /// A master: API server, etcd, registry.
    ControlPlane,
    /// Runs the product.
    Worker,
}

/// Answers to the product's questions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProductAnswers {
    /// Setting name to value.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Secret name to where it comes from.
    pub secrets: BTreeMap<String, SecretRef>,
}

/// A finding that somebody accepts, so that it blocks no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AcceptedRisk {
    /// Check id.
    pub check: String,
    /// Host name; every host where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Who accepts it.
    pub person: String,
    /// Why.
    pub reason: String,
    /// Until when, `YYYY-MM-DD`, that day included.
    #[schemars(extend("format" = "date"))]
    pub until: String,
}
