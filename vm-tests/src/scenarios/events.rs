//! The care for the database of events, under rules of its own: snapshots that are taken and go again, and certificates
//! that are made anew before they end.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use serde_json::Value;

use super::Test;
use super::etcd::{PREFIX, written};
use crate::cluster::{Cluster, Database};
use crate::lab::{HostSpec, run};
use crate::test::Context;

/// On the cluster of [`etcd::TESTS`](super::etcd::TESTS), behind those.
pub const TESTS: &[Test] = &[
    Test::cluster("events::snapshots_are_whole_and_only_the_newest_stay", snapshots),
    Test::cluster("events::certificates_near_their_end_are_made_anew", renewal),
];

/// What [`etcd::PROFILE`](super::etcd::PROFILE) says.
const KEPT: usize = 2;
const TIMER: &str = "sealift-events-backup.timer";
const SERVICE: &str = "sealift-events-backup.service";
/// By default.
const FOLDER: &str = "/var/lib/sealift/backup/etcd-events";
const PKI: &str = "/etc/kubernetes/pki/etcd-events";
const DAY: Duration = Duration::from_hours(24);

fn snapshots(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    for HostSpec { name: master, .. } in lab.masters() {
        timer(context, master)?;
        let mode = lab.run(master, &["stat", "--format=%a %U", FOLDER])?;
        ensure!(mode.trim() == "700 root", "{FOLDER} of {master} is {mode}");
    }
    ensure!(!lab.exec("w1", &["systemctl", "cat", TIMER])?.status.success(), "a worker takes snapshots");

    written(context, "m1", "etcd-tests-in-a-snapshot")?;
    let first = take(context, "m1")?;
    let mut newest = first.clone();
    for _ in 0..KEPT {
        let next = take(context, "m1")?;
        ensure!(next > newest, "after {newest} came {next}");
        newest = next;
    }
    let kept = names(context, "m1")?;
    ensure!(kept.len() == KEPT && !kept.contains(&first), "{KEPT} were to be kept, {first} not: {kept:?}");
    for name in &kept {
        let mode = lab.run("m1", &["stat", "--format=%a %U", &format!("{FOLDER}/{name}")])?;
        ensure!(mode.trim() == "600 root", "{name} is {mode}");
    }
    holds_events(context, &newest, &format!("{PREFIX}default/etcd-tests-in-a-snapshot"))
}

/// It is on, now and after a boot, and knows when it is next.
fn timer(context: &Context<'_>, master: &str) -> Result<()> {
    let properties = "--property=UnitFileState,ActiveState,NextElapseUSecMonotonic";
    let state = context.lab.run(master, &["systemctl", "show", TIMER, properties])?;
    let state: BTreeMap<&str, &str> = state.lines().filter_map(|line| line.split_once('=')).collect();
    let of = |name: &str| state.get(name).copied().unwrap_or_default();
    let next = of("NextElapseUSecMonotonic");
    ensure!(
        of("UnitFileState") == "enabled" && of("ActiveState") == "active",
        "{TIMER} of {master} is {state:?}"
    );
    ensure!(!["", "0", "infinity"].contains(&next), "{TIMER} of {master} has no next moment: {state:?}");
    Ok(())
}

/// All that stands in the folder, oldest first.
fn names(context: &Context<'_>, master: &str) -> Result<Vec<String>> {
    let listed = context.lab.run(master, &["ls", "-1A", FOLDER])?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Has a snapshot taken at once. Gives its name.
fn take(context: &Context<'_>, master: &str) -> Result<String> {
    // Ends with the service, and as the service.
    context.lab.run(master, &["systemctl", "start", SERVICE])?;
    names(context, master)?.pop().with_context(|| format!("{SERVICE} of {master} left nothing"))
}

/// etcd's own tool reads the snapshot, and there are events in it and nothing else.
fn holds_events(context: &Context<'_>, name: &str, key: &str) -> Result<()> {
    let bytes = context.lab.read_file("m1", &format!("{FOLDER}/{name}"))?;
    let folder = tempfile::tempdir()?;
    let (file, data) = (folder.path().join(name), folder.path().join("restored"));
    fs::write(&file, &bytes)?;
    let etcdutl = || Command::new(context.payload.bin.join("etcdutl"));
    let status = run(etcdutl().args(["snapshot", "status", "--write-out=json"]).arg(&file))?;
    let status: Value = serde_json::from_str(&status).context("etcdutl snapshot status")?;
    let number = |name: &str| status[name].as_u64().unwrap_or_default();
    ensure!(number("hash") > 0 && number("totalKey") > 0, "{name} is {status}");
    // Which holds it against the digest at its end.
    run(etcdutl().args(["snapshot", "restore", "--data-dir"]).arg(&data).arg(&file))?;
    ensure!(data.join("member/snap/db").is_file(), "{name} was not restored");

    let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
    ensure!(has(key), "{key} is not in {name}");
    for other in ["/registry/pods/", "/registry/secrets/", "/registry/minions/", "/registry/leases/"] {
        ensure!(!has(other), "something of {other} is in {name}");
    }
    context.note(format!("{} keys in a snapshot of {} bytes", number("totalKey"), bytes.len()));
    Ok(())
}

fn renewal(context: &Context<'_>) -> Result<()> {
    let (lab, master) = (context.lab, "m2");
    let cluster = Cluster::through(lab, master);
    written(context, master, "etcd-tests-before-renewal")?;
    let before = certificates(context)?;
    let pairs = [("server", "2382"), ("peer", "2383")];
    let mut aged = Vec::new();
    for (pair, port) in pairs {
        age(context, master, pair)?;
        let (file, served) = (in_file(context, master, pair)?, served(context, master, port)?);
        ensure!(file == served, "{master} does not read {pair}.crt anew: it shows {served}, not {file}");
        aged.push(file);
    }
    let container = container(&cluster)?;

    let ended = context.install(&[])?;
    ended.expect_code(0)?;
    let changed: Vec<String> = ended
        .events()
        .filter(|event| event["changed"] == true)
        .map(|event| event["step"].as_str().unwrap_or_default().to_owned())
        .collect();
    ensure!(changed == [format!("{master}.events-pki")], "the run changed {changed:?}");
    for ((pair, port), aged) in pairs.into_iter().zip(&aged) {
        let (file, served) = (in_file(context, master, pair)?, served(context, master, port)?);
        ensure!(file != *aged, "{pair}.crt of {master} is still the one that ends soon");
        ensure!(file == served, "{master} shows {served} at {port}, in the file is {file}");
        let holds = (holds_for(context, master, pair, 364)?, holds_for(context, master, pair, 366)?);
        ensure!(holds == (true, false), "{pair}.crt of {master} does not hold for about a year: {holds:?}");
    }
    let after = certificates(context)?;
    let replaced: Vec<&String> = before
        .iter()
        .filter(|(path, digest)| after.get(*path) != Some(*digest))
        .map(|(path, _)| path)
        .collect();
    let wanted =
        ["peer.crt", "peer.key", "server.crt", "server.key"].map(|name| format!("{master} {PKI}/{name}"));
    ensure!(replaced == wanted.iter().collect::<Vec<_>>(), "other files changed, too: {replaced:?}");
    ensure!(before.len() == after.len(), "files came or went: {:?}", after.keys());

    let same = self::container(&cluster)?;
    ensure!(same == container, "the member of {master} was restarted: {container} became {same}");
    let key = format!("{PREFIX}default/etcd-tests-before-renewal");
    ensure!(cluster.keys(Database::Events, PREFIX)?.contains(&key), "{key} is gone");
    for HostSpec { name, .. } in lab.masters() {
        let voters = Cluster::through(lab, name).voters(Database::Events)?;
        ensure!(voters == 3, "{name} sees {voters} voters of events");
        written(context, name, &format!("etcd-tests-renewed-{name}"))?;
    }
    take(context, master).map(drop)
}

/// Digests of all that stands among the certificates and keys of masters, by `HOST PATH`.
fn certificates(context: &Context<'_>) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for HostSpec { name: master, .. } in context.lab.masters() {
        let words = ["find", "/etc/kubernetes/pki", "-type", "f", "-exec", "sha256sum", "{}", "+"];
        let listed = context.lab.run(master, &words)?;
        let lines = listed.lines().filter_map(|line| line.split_once("  "));
        found.extend(lines.map(|(digest, path)| (format!("{master} {path}"), digest.to_owned())));
    }
    Ok(found)
}

/// Puts a pair in place of this one that ends in ten days: the same authority, names and uses.
fn age(context: &Context<'_>, master: &str, pair: &str) -> Result<()> {
    let lab = context.lab;
    let read = |name: &str| -> Result<String> {
        Ok(String::from_utf8(lab.read_file(master, &format!("{PKI}/{name}"))?)?)
    };
    let authority = Issuer::from_ca_cert_pem(&read("ca.crt")?, KeyPair::from_pem(&read("ca.key")?)?)?;
    let address = lab.spec().host(master)?.address.to_string();
    let mut params =
        CertificateParams::new([master, &address, "localhost", "127.0.0.1", "::1"].map(str::to_owned))?;
    params.distinguished_name.push(DnType::CommonName, "A member near its end");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + 10 * DAY).into();
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority)?;
    lab.write_file(master, &format!("{PKI}/{pair}.key"), key.serialize_pem().as_bytes())?;
    lab.write_file(master, &format!("{PKI}/{pair}.crt"), certificate.pem().as_bytes())
}

/// The fingerprint of a certificate in its file.
fn in_file(context: &Context<'_>, master: &str, pair: &str) -> Result<String> {
    let path = format!("{PKI}/{pair}.crt");
    context.lab.run(master, &["openssl", "x509", "-in", &path, "-noout", "-fingerprint", "-sha256"])
}

/// The fingerprint of the one that the member shows to who connects.
fn served(context: &Context<'_>, master: &str, port: &str) -> Result<String> {
    // The member shows it before it refuses one who shows none. Other members meet it at the host's own address.
    let end = format!("{}:{port}", context.lab.spec().host(master)?.address);
    let script = "openssl s_client -connect \"$1\" -CAfile \"$2/ca.crt\" -verify_return_error </dev/null \
        | openssl x509 -noout -fingerprint -sha256";
    context.lab.run(master, &["sh", "-c", script, "sh", &end, PKI])
}

/// Whether a certificate holds for so many days from now on.
fn holds_for(context: &Context<'_>, master: &str, pair: &str, days: u64) -> Result<bool> {
    let (path, seconds) = (format!("{PKI}/{pair}.crt"), (days * 86_400).to_string());
    let words = ["openssl", "x509", "-in", &path, "-noout", "-checkend", &seconds];
    Ok(context.lab.exec(master, &words)?.status.success())
}

/// The container that a master's member runs in.
fn container(cluster: &Cluster<'_>) -> Result<String> {
    let pod = cluster.get(&["pod", "-n", "kube-system", &format!("etcd-events-{}", cluster.master)])?;
    let id = pod.pointer("/status/containerStatuses/0/containerID").and_then(Value::as_str);
    Ok(id.with_context(|| format!("the member of {} has no container", cluster.master))?.to_owned())
}
