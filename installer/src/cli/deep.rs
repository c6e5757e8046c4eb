//! `installer check --deep`: measurements that make load or open ports for a moment; each is announced before.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sealift_checks::facts::Facts;
use sealift_checks::mesh_ports;
use sealift_host::protocol::{MeshPort, MeshTarget, Progress, Request, Response};
use sealift_profile::{Host, HostRole, Site};
use serde_json::json;

use super::prepare::Prepared;
use crate::failure::Failure;
use crate::output::Output;

/// Longest silence while something is measured.
const SILENCE: Duration = Duration::from_secs(4);
/// Longest time that ports stay open, seconds; the agent closes them when it ends, which is sooner.
const OPEN_SECONDS: u32 = 90;
/// Packet size where no interface is known to have the host's address; `network.address` fails there anyway, bytes.
const USUAL_PACKET: u32 = 1500;

/// Measures all of it. A host that cannot be measured says so in its findings.
pub(super) fn measure(prepared: &mut Prepared, output: Output) {
    time_writes(prepared, output);
    try_ports(prepared, output);
}

fn time_writes(prepared: &mut Prepared, output: Output) {
    let folder = prepared.site.site.etcd.folder.clone();
    let masters = prepared.site.site.hosts.iter().filter(|host| host.role == HostRole::ControlPlane);
    let names: Vec<String> = masters.map(|host| host.name.clone()).collect();
    let text = format!(
        "writing 3 times 22 MiB below {folder} on {}, each small write waited for: up to a minute; what runs there may feel it",
        names.join(", ")
    );
    output.line("deep", &text, &json!({"hosts": names, "path": folder}));
    let request = |name: String| (name, Request::TimeWrites { path: folder.clone() });
    let requests = names.into_iter().map(request).collect();
    let wanted = |response| match response {
        Response::WriteTimes(times) => Some(times),
        _ => None,
    };
    let told = Told::new(output, "writes");
    for (host, result) in
        prepared.sessions.ask_each(requests, &|host: &str, now: Progress| told.say(host, &now), wanted)
    {
        let Some(facts) = prepared.facts.get_mut(&host) else { continue };
        match result {
            Ok(times) => facts.etcd_writes = Some(times),
            Err(failure) => unread(facts, "etcdWrites", &failure),
        }
    }
}

/// Every host opens what the others must reach, then every host tries all others: so both directions are seen.
fn try_ports(prepared: &mut Prepared, output: Output) {
    let site = prepared.site.site.clone();
    let text = format!(
        "opening the cluster's ports on {} hosts for {OPEN_SECONDS} s at most, and trying them from all others",
        site.hosts.len()
    );
    output.line("deep", &text, &json!({"hosts": site.hosts.len(), "seconds": OPEN_SECONDS}));
    let token = token();
    let open = |host: &Host| {
        let request =
            Request::OpenPorts { ports: opened(&site, host), token: token.clone(), seconds: OPEN_SECONDS };
        (host.name.clone(), request)
    };
    let silent = |_: &str, _: Progress| {};
    let held = |response| match response {
        Response::PortsOpen { held } => Some(held),
        _ => None,
    };
    let answers = prepared.sessions.ask_each(site.hosts.iter().map(open).collect(), &silent, held);
    let mut open = BTreeMap::new();
    for (host, result) in answers {
        match result {
            Ok(held) => drop(open.insert(host, held)),
            Err(failure) => {
                let Some(facts) = prepared.facts.get_mut(&host) else { continue };
                unread(facts, "attempts", &failure);
            }
        }
    }
    let requests = site.hosts.iter().filter(|host| open.contains_key(&host.name)).map(|host| {
        let targets = targets(&site, host, &open, &prepared.facts);
        (host.name.clone(), Request::Reach { targets, token: token.clone() })
    });
    let reached = |response| match response {
        Response::Reached { attempts } => Some(attempts),
        _ => None,
    };
    let told = Told::new(output, "hosts");
    let requests = requests.collect();
    for (host, result) in
        prepared.sessions.ask_each(requests, &|host: &str, now: Progress| told.say(host, &now), reached)
    {
        let Some(facts) = prepared.facts.get_mut(&host) else { continue };
        match result {
            Ok(attempts) => facts.attempts = Some(attempts),
            Err(failure) => unread(facts, "attempts", &failure),
        }
    }
}

/// What a host must open so that every other host of the site can try what it needs.
fn opened(site: &Site, host: &Host) -> Vec<MeshPort> {
    let others = site.hosts.iter().filter(|other| other.name != host.name);
    let needs = others.flat_map(|other| mesh_ports(site, other.role, host.role));
    let mut ports: Vec<MeshPort> = Vec::new();
    for need in needs {
        let port = MeshPort { protocol: need.protocol, port: need.port };
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports
}

/// What a host shall try: ports of hosts that could be asked, but for those that a program there holds already.
fn targets(
    site: &Site,
    from: &Host,
    open: &BTreeMap<String, Vec<MeshPort>>,
    facts: &BTreeMap<String, Facts>,
) -> Vec<MeshTarget> {
    let interface = facts.get(&from.name).and_then(|facts| facts.interface_of(from.address));
    let packet = interface.map_or(USUAL_PACKET, |interface| interface.mtu);
    let others = site.hosts.iter().filter(|other| other.name != from.name);
    let target = |to: &Host| {
        let held = open.get(&to.name)?;
        let ports: Vec<MeshPort> = mesh_ports(site, from.role, to.role)
            .into_iter()
            .map(|need| MeshPort { protocol: need.protocol, port: need.port })
            .filter(|port| !held.contains(port))
            .collect();
        Some(MeshTarget { host: to.name.clone(), address: to.address, packet, ports })
    };
    others.filter_map(target).filter(|target| !target.ports.is_empty()).collect()
}

/// What the hosts of this check know each other by. No secret: it only tells our listeners from others.
fn token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("sealift-mesh-{:x}-{:x}", now.as_nanos(), std::process::id())
}

fn unread(facts: &mut Facts, fact: &str, failure: &Failure) {
    let causes: Vec<&str> =
        std::iter::once(&failure.message).chain(&failure.causes).map(String::as_str).collect();
    facts.unreadable.push(format!("{fact}: {}", causes.join(": ")));
}

/// A line now and then, so that it is never silent for long.
struct Told {
    output: Output,
    what: &'static str,
    last: Mutex<Instant>,
}

impl Told {
    fn new(output: Output, what: &'static str) -> Self {
        Self { output, what, last: Mutex::new(Instant::now()) }
    }

    fn say(&self, host: &str, progress: &Progress) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= SILENCE && progress.total > 0 {
            *last = Instant::now();
            let text = format!("deep      {host}: {} of {} {}", progress.done, progress.total, self.what);
            self.output.remark(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        let host = |name: &str, last: u8, role: &str| json!({"name": name, "address": format!("10.20.0.{last}"), "role": role});
        serde_json::from_value(json!({
            "apiVersion": "sealift/v1", "kind": "Site", "metadata": {"name": "plant"},
            "access": {"user": "ops", "password": {"env": "OPS_PASSWORD"}},
            "hosts": [
                host("m1", 1, "control-plane"), host("m2", 2, "control-plane"), host("w1", 3, "worker"),
            ],
        }))
        .unwrap()
    }

    #[test]
    fn every_way_is_tried_but_to_ports_that_are_held() {
        let site = site();
        let ports = |ports: &[MeshPort]| ports.iter().map(|port| port.port).collect::<Vec<_>>();
        assert_eq!(ports(&opened(&site, &site.hosts[0])), [2379, 2380, 5443, 6443, 8472, 10250]);
        assert_eq!(ports(&opened(&site, &site.hosts[2])), [8472, 10250]);
        let held = opened(&site, &site.hosts[2]);
        // m2 could not be asked, w1 holds all of its ports.
        let mut open = BTreeMap::from([("m1".to_owned(), Vec::new()), ("w1".to_owned(), held)]);
        let none = BTreeMap::new();
        assert!(targets(&site, &site.hosts[0], &open, &none).is_empty());
        open.insert("m2".to_owned(), opened(&site, &site.hosts[2]));
        let found = targets(&site, &site.hosts[0], &open, &none);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].host.as_str(), ports(&found[0].ports)), ("m2", vec![2379, 2380, 5443, 6443]));
        assert_eq!(found[0].packet, 1500);
        let from_worker = targets(&site, &site.hosts[2], &open, &none);
        assert_eq!(from_worker.iter().map(|target| target.host.as_str()).collect::<Vec<_>>(), ["m1", "m2"]);
        assert_eq!(ports(&from_worker[0].ports), [5443, 6443, 8472, 10250]);
    }
}
