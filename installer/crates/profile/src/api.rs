//! The API server's operating choices: who is let in, what is written down, what is encrypted, what pods may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::certificates::Certificates;
use crate::site::Site;

/// What the API servers do beyond the plain cluster. All but `oidc` is chosen at install: a later change is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Api {
    /// A log on each master of who asked for what and when, without the content of secrets; none where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Secrets encrypted in etcd, with a key that is made on the first master; plain where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_at_rest: Option<EncryptionAtRest>,
    /// People who log in through the site's own OpenID Connect issuer; nobody where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<Oidc>,
    /// What pods may do in every namespace that has no labels of its own about it; anything where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_security: Option<PodSecurity>,
    /// The settings of the CIS Kubernetes Benchmark that change nothing for a product that follows the rules.
    pub hardened: bool,
}

/// The audit log of each API server, `/var/log/kubernetes/audit/audit.log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Audit {
    /// Days after which a closed log file is removed. Default and floor of CIS 1.2.17.
    #[schemars(range(min = 1, max = 3650))]
    pub max_age_days: u32,
    /// Closed log files that are kept. Default and floor of CIS 1.2.18.
    #[schemars(range(min = 1, max = 1000))]
    pub max_files: u32,
    /// Size at which a log file is closed, megabytes. Default and floor of CIS 1.2.19.
    #[schemars(range(min = 1, max = 2048))]
    pub max_file_megabytes: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self { max_age_days: 30, max_files: 10, max_file_megabytes: 100 }
    }
}

/// What is encrypted in etcd. Secrets always are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EncryptionAtRest {
    /// Whether config maps are encrypted, too.
    pub config_maps: bool,
}

/// An OpenID Connect issuer whose tokens the API servers take. They start, and go on, while it is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oidc {
    /// Its URL, `https://…`, exactly as its tokens have it.
    pub issuer: String,
    /// Client names of which a token must be for one or more.
    #[schemars(length(min = 1))]
    pub audiences: Vec<String>,
    /// Who signed the issuer's certificate; `customerCa` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<Certificates>,
    /// The claim that is the user's name.
    #[serde(default = "username_claim")]
    pub username_claim: String,
    /// What stands before every user name of this issuer, so that it is no other's.
    #[serde(default = "prefix")]
    pub username_prefix: String,
    /// The claim with the user's groups.
    #[serde(default = "groups_claim")]
    pub groups_claim: String,
    /// What stands before every group of this issuer.
    #[serde(default = "prefix")]
    pub groups_prefix: String,
    /// What groups may do in the whole cluster. A user without one of these may log in and do nothing.
    #[serde(default)]
    #[schemars(extend("x-merge-by" = "name"))]
    pub groups: Vec<GroupRole>,
}

fn username_claim() -> String {
    "sub".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

fn prefix() -> String {
    "oidc:".to_owned()
}

impl Oidc {
    /// Host (without brackets) and port of the issuer, which masters have to reach.
    #[must_use]
    pub fn endpoint(&self) -> (&str, u16) {
        let rest = self.issuer.strip_prefix("https://").unwrap_or(&self.issuer);
        let authority = rest.split('/').next().unwrap_or_default();
        // An IPv6 address has colons of its own, in brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap_or(443)),
            _ => (authority, 443),
        };
        (host.trim_start_matches('[').trim_end_matches(']'), port)
    }
}

/// What a group of the issuer may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupRole {
    /// The group as the issuer names it, without the prefix.
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// The roles that every cluster has for people (Kubernetes, "Using RBAC Authorization", user-facing roles).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees everything but secrets.
    View,
    /// Changes everything but rights and quotas.
    Edit,
    /// Changes everything inside of namespaces.
    Admin,
    /// May do anything.
    ClusterAdmin,
}

impl Role {
    /// Name of the `ClusterRole`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Edit => "edit",
            Self::Admin => "admin",
            Self::ClusterAdmin => "cluster-admin",
        }
    }
}

/// Pod Security Standards for namespaces that have no labels about them. The namespaces of the platform are exempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PodSecurity {
    /// A pod that breaks this standard is refused.
    pub enforce: Standard,
    /// Whoever makes a pod that breaks this standard is warned, and the audit log says so.
    pub warn: Standard,
    /// More namespaces that are exempt.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exempt_namespaces: Vec<String>,
}

impl Default for PodSecurity {
    fn default() -> Self {
        Self { enforce: Standard::Baseline, warn: Standard::Restricted, exempt_namespaces: Vec::new() }
    }
}

/// A Pod Security Standard, as Kubernetes names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Standard {
    /// Everything is allowed.
    Privileged,
    /// Nothing that is known to lead out of the pod.
    Baseline,
    /// What current practice asks of a pod.
    Restricted,
}

impl Standard {
    /// The name in Kubernetes' configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl Api {
    /// Whether nothing is chosen.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

impl Site {
    /// Who signed the certificate of the OpenID Connect issuer: its own, else the site's.
    #[must_use]
    pub fn oidc_ca(&self) -> Option<&Certificates> {
        self.api.oidc.as_ref()?.ca.as_ref().or(self.customer_ca.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuers_host_and_port() {
        let endpoint = |issuer: &str| {
            let json = serde_json::json!({"issuer": issuer, "audiences": ["a"]});
            let oidc: Oidc = serde_json::from_value(json).unwrap();
            let (host, port) = oidc.endpoint();
            format!("{host} {port}")
        };
        assert_eq!(endpoint("https://login.example/realms/x"), "login.example 443");
        assert_eq!(endpoint("https://10.77.0.2:8443"), "10.77.0.2 8443");
        assert_eq!(endpoint("https://[fd00::2]/x"), "fd00::2 443");
        assert_eq!(endpoint("https://[fd00::2]:8443"), "fd00::2 8443");
    }
}
