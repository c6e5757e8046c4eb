//! The API server's choices as the files that it reads and the arguments that name them; hardening of all components.
//!
//! Everything the API server reads lies in one folder that is mounted into its pod, so the pod is the same on all
//! masters. Sources: the Kubernetes pages "Auditing", "Encrypting Confidential Data at Rest", "Authenticating" and
//! "Enforce Pod Security Standards by Configuring the Built-in Admission Controller"; items of the CIS Kubernetes
//! Benchmark v1.12.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sealift_bundle::digest::digest_of;
use sealift_bundle::document::{BundleDocument, Stage};
use sealift_profile::Authority;
use sealift_profile::api::{Oidc, PodSecurity};
use sealift_profile::site::Site;
use serde_json::{Value, json};

use crate::nodes::Arguments;
use crate::{RenderError, events};

/// Folder of the files that API servers read, on every master.
pub const FOLDER: &str = "/etc/sealift/api";
/// The encryption configuration with its key (JSON, which is YAML, too). Made on the first master, never rendered.
pub const ENCRYPTION: &str = "/etc/sealift/api/encryption.json";
/// Folder of the audit log.
pub const AUDIT_FOLDER: &str = "/var/log/kubernetes/audit";
/// The kernel settings of a hardened host.
pub const KERNEL_DEFAULTS_FILE: &str = "/etc/sysctl.d/91-sealift-kernel-defaults.conf";

const AUDIT_POLICY: &str = "/etc/sealift/api/audit-policy.yaml";
const AUTHENTICATION: &str = "/etc/sealift/api/authentication.yaml";
const ADMISSION: &str = "/etc/sealift/api/admission.yaml";

/// Every argument that a choice can set: one that stands in a running API server and is not wanted, or the other way
/// round, is a choice that has changed.
pub const ARGUMENTS: [&str; 13] = [
    "admission-control-config-file",
    "audit-log-maxage",
    "audit-log-maxbackup",
    "audit-log-maxsize",
    "audit-log-path",
    "audit-policy-file",
    "authentication-config",
    "encryption-provider-config",
    "etcd-servers-overrides",
    "profiling",
    "service-account-extend-token-expiration",
    "tls-cipher-suites",
    "tls-min-version",
];

/// The kernel settings that the kubelet wants when it may not set them itself (`setupKernelTunables` in its container
/// manager), by dotted name.
pub const KERNEL_DEFAULTS: [(&str, u32); 6] = [
    ("kernel.keys.root_maxbytes", 25_000_000),
    ("kernel.keys.root_maxkeys", 1_000_000),
    ("kernel.panic", 10),
    ("kernel.panic_on_oops", 1),
    ("vm.overcommit_memory", 1),
    ("vm.panic_on_oom", 0),
];

/// Strong ciphers of TLS 1.2 (of those in CIS 1.2.29 and 4.2.12); those of TLS 1.3 are all strong and cannot be chosen.
const CIPHERS: [&str; 4] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
];

/// A file that API servers read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiFile {
    /// Absolute path, in [`FOLDER`].
    pub path: &'static str,
    /// Whole content.
    pub content: String,
    /// Whether a running API server takes up a change of it by itself.
    pub reloaded: bool,
}

/// The files that follow from the profile, in the order of their names.
pub fn files(site: &Site, document: &BundleDocument) -> Result<Vec<ApiFile>, RenderError> {
    let mut files = Vec::new();
    let mut add = |path, what, value: &Value, reloaded| {
        let content = crate::yaml_document(what, value)?;
        files.push(ApiFile { path, content, reloaded });
        Ok::<(), RenderError>(())
    };
    if let Some(security) = &site.api.pod_security {
        add(ADMISSION, "admission configuration", &admission(security, document), false)?;
    }
    if site.api.audit.is_some() {
        add(AUDIT_POLICY, "audit policy", &audit_policy(), false)?;
    }
    if has_authentication(site) {
        add(AUTHENTICATION, "authentication configuration", &authentication(site)?, true)?;
    }
    Ok(files)
}

/// Hardening alone narrows what nobody in particular may ask for.
fn has_authentication(site: &Site) -> bool {
    site.api.oidc.is_some() || site.api.hardened
}

/// Arguments of every API server, by name.
#[must_use]
pub fn api_server_arguments(site: &Site) -> Arguments {
    let api = &site.api;
    let mut arguments: Vec<(&str, String)> = Vec::new();
    if let Some(audit) = &api.audit {
        arguments.push(("audit-policy-file", AUDIT_POLICY.to_owned()));
        arguments.push(("audit-log-path", format!("{AUDIT_FOLDER}/audit.log")));
        arguments.push(("audit-log-maxage", audit.max_age_days.to_string()));
        arguments.push(("audit-log-maxbackup", audit.max_files.to_string()));
        arguments.push(("audit-log-maxsize", audit.max_file_megabytes.to_string()));
    }
    if api.encryption_at_rest.is_some() {
        arguments.push(("encryption-provider-config", ENCRYPTION.to_owned()));
    }
    if has_authentication(site) {
        arguments.push(("authentication-config", AUTHENTICATION.to_owned()));
    }
    if api.pod_security.is_some() {
        arguments.push(("admission-control-config-file", ADMISSION.to_owned()));
    }
    if api.hardened {
        // CIS 1.2.15, 1.2.29, 1.2.30.
        arguments.push(("profiling", "false".to_owned()));
        arguments.push(("service-account-extend-token-expiration", "false".to_owned()));
        arguments.push(("tls-min-version", "VersionTLS12".to_owned()));
        arguments.push(("tls-cipher-suites", CIPHERS.join(",")));
    }
    let arguments = arguments.into_iter().map(|(name, value)| (name.to_owned(), value));
    arguments.chain(events::api_server_arguments(site)).collect()
}

/// Folders that are mounted into the API servers' pods, under their own paths.
#[must_use]
pub fn api_server_mounts(site: &Site) -> Vec<&'static str> {
    let api = &site.api;
    let mut folders = Vec::new();
    if has_authentication(site)
        || api.audit.is_some()
        || api.encryption_at_rest.is_some()
        || api.pod_security.is_some()
    {
        folders.push(FOLDER);
    }
    if api.audit.is_some() {
        folders.push(AUDIT_FOLDER);
    }
    folders
}

/// [`api_server_mounts`] as kubeadm's `extraVolumes`.
#[must_use]
pub fn api_server_volumes(site: &Site) -> Value {
    let volume = |path: &str| {
        let name = if path == AUDIT_FOLDER { "sealift-audit" } else { "sealift-api" };
        json!({
            "name": name, "hostPath": path, "mountPath": path, "readOnly": path != AUDIT_FOLDER,
            "pathType": "Directory",
        })
    };
    api_server_mounts(site).into_iter().map(volume).collect()
}

/// Arguments of the controller manager and of the scheduler alike: no profiling (CIS 1.3.2 and 1.4.1).
#[must_use]
pub fn other_arguments(site: &Site) -> Arguments {
    let hardened = site.api.hardened.then(|| ("profiling".to_owned(), "false".to_owned()));
    hardened.into_iter().collect()
}

/// The part of `KubeletConfiguration` that hardening sets; the rest of CIS 4.2 is kubeadm's or the kubelet's default.
#[must_use]
pub(crate) fn kubelet_settings(site: &Site) -> Value {
    if !site.api.hardened {
        return json!({});
    }
    json!({
        // Not of the benchmark any more (it was 4.2.6), but of RKE2's profile: settings that change are seen.
        "protectKernelDefaults": true,
        // CIS 4.2.14.
        "seccompDefault": true,
        // CIS 4.2.5: not for ever, and shorter than the default of four hours.
        "streamingConnectionIdleTimeout": "5m0s",
        // CIS 4.2.12.
        "tlsMinVersion": "VersionTLS12",
        "tlsCipherSuites": CIPHERS,
    })
}

/// [`KERNEL_DEFAULTS_FILE`] of a hardened site's hosts.
#[must_use]
pub fn kernel_defaults(site: &Site) -> Option<String> {
    let mut text =
        "# Written by Sealift: what the kubelet wants and may not set itself (protectKernelDefaults).\n"
            .to_owned();
    for (name, value) in KERNEL_DEFAULTS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = {value}");
    }
    site.api.hardened.then_some(text)
}

/// Who did what, when and from where; nothing of what was sent or answered, so nothing of any secret.
///
/// Left out is what the cluster says to itself all the time: health, events, leases, status of nodes, and what its own
/// components read. CIS 3.2.1 and 3.2.2.
fn audit_policy() -> Value {
    let core = |resources: &[&str]| json!([{"group": "", "resources": resources}]);
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": true,
        "rules": [
            {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/metrics", "/version", "/openapi/*"]},
            {"level": "None", "resources": [
                {"group": "", "resources": ["events"]},
                {"group": "events.k8s.io", "resources": ["events"]},
                {"group": "coordination.k8s.io", "resources": ["leases"]},
            ]},
            // Before what is left out by user: reading secrets is never noise.
            {"level": "Metadata", "resources": core(&["secrets", "serviceaccounts/token", "pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "services/proxy", "nodes/proxy"])},
            {"level": "None", "userGroups": ["system:nodes"], "verbs": ["update", "patch"],
                "resources": core(&["nodes/status", "pods/status"])},
            {"level": "None", "verbs": ["get", "list", "watch"],
                "userGroups": ["system:nodes", "system:serviceaccounts:kube-system"]},
            {"level": "None", "verbs": ["get", "list", "watch"], "users": [
                "system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy",
            ]},
            {"level": "Metadata"},
        ],
    })
}

/// The issuer of the site, and what may be asked without a name: health alone, for kubelets' probes and load balancers.
///
/// `apiserver.config.k8s.io/v1` is served from Kubernetes 1.34 on. Hosts join with a discovery file that holds a token,
/// so nobody needs `cluster-info` without a name.
fn authentication(site: &Site) -> Result<Value, RenderError> {
    let issuers = match &site.api.oidc {
        Some(oidc) => vec![jwt(site, oidc)?],
        None => Vec::new(),
    };
    Ok(json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": issuers,
        "anonymous": {
            "enabled": true,
            "conditions": [{"path": "/livez"}, {"path": "/readyz"}, {"path": "/healthz"}],
        },
    }))
}

fn jwt(site: &Site, oidc: &Oidc) -> Result<Value, RenderError> {
    let mut issuer = json!({"url": oidc.issuer, "audiences": oidc.audiences});
    if oidc.audiences.len() > 1 {
        issuer["audienceMatchPolicy"] = json!("MatchAny");
    }
    if let Some(certificates) = site.oidc_ca() {
        let authorities =
            certificates.authorities().ok_or(RenderError::CertificatesNotRead("api.oidc.ca"))?;
        issuer["certificateAuthority"] = json!(bundle(&authorities));
    }
    Ok(json!({
        "issuer": issuer,
        "claimMappings": {
            "username": {"claim": oidc.username_claim, "prefix": oidc.username_prefix},
            "groups": {"claim": oidc.groups_claim, "prefix": oidc.groups_prefix},
        },
    }))
}

/// Certificates one behind the other.
#[must_use]
pub fn bundle(authorities: &[Authority]) -> String {
    authorities.iter().map(|authority| authority.pem.as_str()).collect()
}

/// A `ClusterRoleBinding` for a group of the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its name. A group may have any letters, an object's name may not: part of the group's digest stands for it.
    pub name: String,
    /// The group with its prefix, as the API server sees it.
    pub group: String,
    /// Name of the `ClusterRole`.
    pub role: &'static str,
}

/// What groups of the issuer may do, in the profile's order.
#[must_use]
pub fn bindings(oidc: &Oidc) -> Vec<Binding> {
    let binding = |group: &str, role| {
        let group = format!("{}{group}", oidc.groups_prefix);
        let digest = digest_of(group.as_bytes());
        let short: String = digest.trim_start_matches("sha256:").chars().take(16).collect();
        Binding { name: format!("sealift:group:{short}"), group, role }
    };
    oidc.groups.iter().map(|group| binding(&group.name, group.role.name())).collect()
}

/// Pod Security Standards for namespaces without labels. The platform's own namespaces need the host itself.
fn admission(security: &PodSecurity, document: &BundleDocument) -> Value {
    let platform = document.components.iter().filter(|component| component.stage == Stage::Platform);
    let mut exempt: BTreeSet<&str> = platform.map(|component| component.namespace.as_str()).collect();
    exempt.insert("kube-system");
    exempt.extend(security.exempt_namespaces.iter().map(String::as_str));
    let (enforce, warn) = (security.enforce.name(), security.warn.name());
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{
            "name": "PodSecurity",
            "configuration": {
                "apiVersion": "pod-security.admission.config.k8s.io/v1",
                "kind": "PodSecurityConfiguration",
                "defaults": {
                    "enforce": enforce, "enforce-version": "latest",
                    "audit": warn, "audit-version": "latest",
                    "warn": warn, "warn-version": "latest",
                },
                "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": exempt},
            },
        }],
    })
}
