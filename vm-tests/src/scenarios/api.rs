//! The API server's choices on a running cluster: what is written down, what stands encrypted in etcd, who is let in,
//! whom hosts and product trust, what pods may not do.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::Test;
use crate::cluster::Cluster;
use crate::issuer::{self, Issuer};
use crate::lab::HostSpec;
use crate::test::Context;
use crate::wait::{until, until_true};

/// In order. They need a cluster that was installed with [`PROFILE`] over the demo's.
pub const TESTS: &[Test] = &[
    Test::cluster("api::audit_log_says_who_did_what_and_no_secret", audit),
    Test::cluster("api::secrets_stand_encrypted_in_etcd", encryption),
    Test::cluster("api::groups_of_the_issuer_may_do_what_the_profile_says", groups),
    Test::cluster("api::nobody_without_a_name_asks_for_more_than_health", without_a_name),
    Test::cluster("api::hosts_and_product_trust_the_customers_authority", authority),
    Test::cluster("api::pods_keep_to_the_standard", pod_security),
    Test::cluster("api::components_are_hardened", hardened),
];

/// What a profile says for these tests, to be laid over that of the demo. The seat's home must have the authority
/// before: [`issuer::prepare`].
pub const PROFILE: &str = "api:
  audit: {}
  encryptionAtRest: {}
  oidc:
    issuer: https://10.77.0.2:8443
    audiences: [kubernetes]
    groups:
      - {name: viewers, role: view}
  podSecurity: {}
  hardened: true
customerCa: {file: ~/.sealift/customer-ca.pem}
";

/// Longest wait for something that takes seconds on an idle machine.
const WITHIN: Duration = Duration::from_mins(2);
const AUDIT: &str = "/var/log/kubernetes/audit";
const ENCRYPTION: &str = "/etc/sealift/api/encryption.json";
/// Nothing else has this text.
const CANARY: &str = "canary-b1f7-of-the-api-tests";
const SECRET: &str = "api-tests-secret";

/// Makes a secret, in whose annotations kubectl repeats the content.
fn make_secret(cluster: &Cluster<'_>) -> Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": SECRET, "namespace": "default"}, "stringData": {"text": CANARY},
    });
    cluster.apply(&secret.to_string())
}

fn remove(cluster: &Cluster<'_>, kind: &str, name: &str) -> Result<()> {
    cluster.kubectl(&["delete", kind, name, "--ignore-not-found"]).map(drop)
}

/// Files of a host in which one of these lines stands.
fn found_in(context: &Context<'_>, host: &str, lines: &str, places: &[&str]) -> Result<String> {
    let words = [&["grep", "-rlsF", "-f", "-"], places].concat();
    let output = context.lab.exec_with_input(host, &words, lines.as_bytes())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn audit(context: &Context<'_>) -> Result<()> {
    let (lab, cluster) = (context.lab, context.cluster());
    let name = "api-tests-audited";
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
        "data": {"text": CANARY},
    });
    cluster.apply(&map.to_string())?;
    make_secret(&cluster)?;
    let said = |event: &Value, verb: &str, resource: &str, name: &str| {
        event["verb"] == verb
            && event["level"] == "Metadata"
            && event.pointer("/objectRef/resource").is_some_and(|one| one == resource)
            && event.pointer("/objectRef/name").is_some_and(|one| one == name)
    };
    for (resource, name) in [("configmaps", name), ("secrets", SECRET)] {
        until_true(&format!("a line about {resource} {name} in an audit log"), WITHIN, || {
            for HostSpec { name: master, .. } in context.lab.masters() {
                let log = lab.run(master, &["grep", "-rhF", name, AUDIT]).unwrap_or_default();
                let mut events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                if events.any(|event| said(&event, "create", resource, name)) {
                    return Ok(true);
                }
            }
            Ok(false)
        })?;
    }
    // In base64 as the API takes it, and plain as kubectl's annotation has it.
    let base64 = lab.run("m1", &["sh", "-c", "printf %s \"$1\" | base64 --wrap=0", "sh", CANARY])?;
    for HostSpec { name: master, .. } in context.lab.masters() {
        let files = found_in(context, master, &format!("{CANARY}\n{}\n", base64.trim()), &[AUDIT])?;
        ensure!(files.is_empty(), "{files} of {master} holds what a secret holds");
        let mode = lab.run(master, &["stat", "--format=%a %U", AUDIT])?;
        ensure!(mode.trim() == "700 root", "{AUDIT} of {master} is {mode}");
        let leases = lab.exec(master, &["grep", "-rqF", "\"resource\":\"leases\"", AUDIT])?;
        ensure!(!leases.status.success(), "{master} writes down leases: noise");
    }
    remove(&cluster, "configmap", name)?;
    remove(&cluster, "secret", SECRET)
}

fn encryption(context: &Context<'_>) -> Result<()> {
    let (lab, cluster) = (context.lab, context.cluster());
    make_secret(&cluster)?;
    let stored = cluster.etcd_value(&format!("/registry/secrets/default/{SECRET}"))?;
    let start = String::from_utf8_lossy(&stored[..stored.len().min(32)]).into_owned();
    ensure!(start.starts_with("k8s:enc:secretbox:v1:key1:"), "in etcd it begins with {start:?}");
    let plain = stored.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
    ensure!(!plain, "the secret's text stands in etcd");
    let mut keys = Vec::new();
    for HostSpec { name: master, .. } in context.lab.masters() {
        // With its own API server and so with its own copy of the key.
        let read = Cluster::through(lab, master).get(&["secret", SECRET])?;
        ensure!(read.pointer("/data/text").is_some(), "{master} cannot read the secret: {read}");
        let mode = lab.run(master, &["stat", "--format=%a %U", ENCRYPTION])?;
        ensure!(mode.trim() == "600 root", "{ENCRYPTION} of {master} is {mode}");
        keys.push(lab.read_file(master, ENCRYPTION)?);
    }
    ensure!(keys.windows(2).all(|pair| pair[0] == pair[1]), "masters have different keys");
    let configuration: Value = serde_json::from_slice(&keys[0])?;
    let key =
        configuration.pointer("/resources/0/providers/0/secretbox/keys/0/secret").and_then(Value::as_str);
    let key = key.context("the encryption configuration has no key")?;
    for host in context.hosts() {
        let places =
            ["/var/log", "/var/lib/sealift/journal.jsonl", "/run/sealift", "/etc/kubernetes", "/tmp"];
        let files = found_in(context, host, &format!("{key}\n"), &places)?;
        ensure!(files.is_empty(), "the key stands in {files} of {host}");
    }
    let mut search = lab.seat_command(&["grep", "-rlsF", "-f", "-", "runs", "profiles", ".sealift"]);
    let seat = crate::lab::output(&mut search, Some(format!("{key}\n").as_bytes()))?;
    ensure!(seat.stdout.is_empty(), "the key stands at the seat: {}", String::from_utf8_lossy(&seat.stdout));
    remove(&cluster, "secret", SECRET)
}

/// Asks an API server with a token, or with none. Gives the status of HTTP.
fn ask(
    context: &Context<'_>,
    address: std::net::Ipv4Addr,
    path: &str,
    token: Option<&str>,
) -> Result<String> {
    let url = format!("https://{address}:6443{path}");
    let header =
        token.map(|token| format!("header = \"Authorization: Bearer {token}\"\n")).unwrap_or_default();
    let words = [
        "curl",
        "--config",
        "-",
        "--silent",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        "--max-time",
        "10",
        "--cacert",
        "/etc/kubernetes/pki/ca.crt",
        &url,
    ];
    let output = context.lab.exec_with_input("m1", &words, header.as_bytes())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn groups(context: &Context<'_>) -> Result<()> {
    const PODS: &str = "/api/v1/namespaces/kube-system/pods";
    const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
    let issuer = Issuer::start(context.lab)?;
    let viewer = issuer.token("li", &["viewers"])?;
    let stranger = issuer.token("mallory", &["others"])?;
    let forged = Issuer::forged("mallory", &["viewers", "system:masters"])?;
    let usurper = issuer.token("mallory", &["system:masters"])?;
    for &HostSpec { name: ref master, address, .. } in context.lab.masters() {
        // API servers were started while the issuer was down, and ask it from time to time.
        until_true(&format!("{master} lets a viewer list pods"), WITHIN, || {
            let code = ask(context, address, PODS, Some(&viewer))?;
            if code == "200" { Ok(true) } else { bail!("it answers {code}") }
        })?;
        for (who, token, path, wanted) in [
            ("a viewer who asks for secrets", &viewer, SECRETS, "403"),
            ("a stranger", &stranger, PODS, "403"),
            ("one who says to be a master of the system", &usurper, PODS, "403"),
            ("one whose token is forged", &forged, PODS, "401"),
        ] {
            let code = ask(context, address, path, Some(token))?;
            ensure!(code == wanted, "{master} answers {code} to {who}, not {wanted}");
        }
    }
    Ok(())
}

fn without_a_name(context: &Context<'_>) -> Result<()> {
    for &HostSpec { name: ref master, address, .. } in context.lab.masters() {
        for (path, wanted) in [
            ("/livez", "200"),
            ("/readyz", "200"),
            ("/version", "401"),
            ("/api", "401"),
            ("/api/v1/namespaces/kube-public/configmaps/cluster-info", "401"),
        ] {
            let code = ask(context, address, path, None)?;
            ensure!(code == wanted, "{master} answers {code} to {path} without a name, not {wanted}");
        }
    }
    Ok(())
}

fn authority(context: &Context<'_>) -> Result<()> {
    let _issuer = Issuer::start(context.lab)?;
    let url = format!("{}/.well-known/openid-configuration", issuer::url());
    for host in context.hosts() {
        // No word about whom to trust: the host's own store decides.
        let answer =
            context.lab.run(host, &["curl", "--silent", "--show-error", "--max-time", "10", &url])?;
        let answer: Value = serde_json::from_str(&answer).context("the issuer's answer")?;
        ensure!(answer["issuer"] == issuer::url(), "{host} got {answer}");
    }
    let map = context.cluster().get(&["-n", "orders", "configmap", "customer-ca"])?;
    let given = std::fs::read_to_string(context.lab.seat_home().join(issuer::AUTHORITY))?;
    let held = map.pointer("/data/ca.crt").and_then(Value::as_str).unwrap_or_default();
    let lines = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    ensure!(lines(held) == lines(&given), "the product finds another authority: {map}");
    Ok(())
}

fn pod_security(context: &Context<'_>) -> Result<()> {
    let cluster = context.cluster();
    let pod = |namespace: &str, host_network: bool| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "api-tests-pod", "namespace": namespace},
            "spec": {
                "hostNetwork": host_network,
                "containers": [{"name": "one", "image": "registry.k8s.io/pause:3.10.2"}],
            },
        })
    };
    let attempt = |namespace: &str, host_network: bool| -> Result<String> {
        let words = [
            "env",
            "KUBECACHEDIR=/run/sealift/kube-cache",
            "/usr/local/bin/kubectl",
            "--kubeconfig=/etc/kubernetes/admin.conf",
            "create",
            "--dry-run=server",
            "-f",
            "-",
        ];
        let object = pod(namespace, host_network).to_string();
        let output = context.lab.exec_with_input(cluster.master, &words, object.as_bytes())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(format!("{} {said}", if output.status.success() { "taken" } else { "refused" }))
    };
    let said = until("an answer about a pod", WITHIN, || attempt("default", true).map(Some))?;
    ensure!(said.starts_with("refused") && said.contains("violates PodSecurity \"baseline"), "{said}");
    let said = attempt("default", false)?;
    ensure!(said.starts_with("taken") && said.contains("would violate PodSecurity \"restricted"), "{said}");
    let said = attempt("kube-system", true)?;
    ensure!(said.starts_with("taken"), "the platform's own namespaces are exempt: {said}");
    Ok(())
}

fn hardened(context: &Context<'_>) -> Result<()> {
    for host in context.hosts() {
        let text = String::from_utf8(context.lab.read_file(host, "/var/lib/kubelet/config.yaml")?)?;
        let kubelet: Value = serde_yaml::from_str(&text).context("kubelet's configuration")?;
        for key in ["protectKernelDefaults", "seccompDefault"] {
            ensure!(kubelet[key] == true, "{host}: {key} is {}", kubelet[key]);
        }
        ensure!(kubelet["tlsMinVersion"] == "VersionTLS12", "{host}: {}", kubelet["tlsMinVersion"]);
    }
    for &HostSpec { name: ref master, address, .. } in context.lab.masters() {
        for component in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            let manifest = format!("/etc/kubernetes/manifests/{component}.yaml");
            let manifest = String::from_utf8(context.lab.read_file(master, &manifest)?)?;
            ensure!(
                manifest.contains("- --profiling=false"),
                "{component} of {master} lets itself be profiled"
            );
        }
        // Without profiling there is no such page, even for the administrator.
        let own = Cluster::through(context.lab, master);
        let server = format!("--server=https://{address}:6443");
        own.kubectl(&["get", "--raw", "/readyz", &server])?;
        ensure!(
            own.kubectl(&["get", "--raw", "/debug/pprof/", &server]).is_err(),
            "{master} shows its profile"
        );
    }
    Ok(())
}
