//! The plan as tables for other teams' tickets: firewall rules and machines, as CSV (RFC 4180).
//!
//! Cells that a spreadsheet would take for a formula get an apostrophe in front (OWASP, "CSV Injection").

use std::collections::BTreeMap;

use sealift_bundle::document::BundleDocument;
use sealift_checks::facts::Facts;
use sealift_checks::{DiskNeed, Requirements, paths};
use sealift_profile::site::{Host, HostRole, Site};

use crate::Plan;
use crate::flows::{self, NODE_PORTS, Peer};
use crate::operation::Operation;

/// Stands where only the site knows.
const OPEN: &str = "(to be filled in)";
/// Ports that Linux gives to programs that ask for any (`ip_local_port_range`, its default).
const ANY_PORTS: &str = "32768-60999";

const FIREWALL_HEADER: [&str; 8] = [
    "source",
    "source address",
    "destination",
    "destination address",
    "protocol",
    "port",
    "purpose",
    "direction",
];

/// One end of a flow.
#[derive(Clone)]
struct End {
    names: String,
    addresses: String,
}

impl End {
    fn of<'a>(hosts: impl IntoIterator<Item = &'a Host>) -> Self {
        let (names, addresses): (Vec<String>, Vec<String>) =
            hosts.into_iter().map(|host| (host.name.clone(), host.address.to_string())).unzip();
        Self { names: names.join("; "), addresses: addresses.join("; ") }
    }

    fn named(name: &str, address: &str) -> Self {
        Self { names: name.to_owned(), addresses: address.to_owned() }
    }
}

/// Every flow that firewalls between the ends must let through, in the order in which an install needs them. Names and
/// addresses of several hosts stand in one cell, parted by `; `: any of the one may reach any of the other.
#[must_use]
pub fn firewall(site: &Site, plan: &Plan) -> String {
    let mut rows = Vec::new();
    let all = || End::of(&site.hosts);
    seat_rows(site, &mut rows);
    if site.hosts.len() > 1 {
        let purpose =
            "the installer's own program is handed on, minutes; without this the seat sends it to each host";
        rows.push(row(&all(), &all(), "tcp", ANY_PORTS, purpose, "between hosts"));
    }
    for role in [HostRole::ControlPlane, HostRole::Worker] {
        for part in flows::parts_of(role, &site.etcd) {
            // What runs on every host stands there once.
            if part == flows::Part::Node && role == HostRole::Worker {
                continue;
            }
            for one in flows::listening(part, &site.cluster) {
                let source = match one.from {
                    Peer::Itself | Peer::Users => continue,
                    Peer::Masters => End::of(site.masters()),
                    Peer::Hosts => all(),
                };
                let target = if part == flows::Part::Node { all() } else { End::of(site.masters()) };
                // A single host reaches itself without any firewall.
                if source.names != target.names || target.names.contains("; ") {
                    let port = one.port.to_string();
                    let purpose = format!("{}: {}", one.listener, one.purpose);
                    rows.push(row(&source, &target, one.protocol.name(), &port, &purpose, "between hosts"));
                }
            }
        }
    }
    for server in &site.cluster.nameservers {
        let server = End::named("name server", &server.to_string());
        for protocol in ["udp", "tcp"] {
            rows.push(row(
                &all(),
                &server,
                protocol,
                "53",
                "names outside of the cluster",
                "out of the site",
            ));
        }
    }
    if let Some(oidc) = &site.api.oidc {
        let (host, port) = oidc.endpoint();
        let issuer = End::named("issuer of people's logins", host);
        let purpose = "API servers fetch the keys that logins are signed with";
        rows.push(row(
            &End::of(site.masters()),
            &issuer,
            "tcp",
            &port.to_string(),
            purpose,
            "out of the site",
        ));
    }
    for (name, host, port) in site.services.addresses() {
        let service = End::named(&format!("the site's {name}"), host);
        let purpose = "the product uses it, and every host tries it before an install";
        rows.push(row(&all(), &service, "tcp", &port.to_string(), purpose, "out of the site"));
    }
    for (port, purpose) in user_ports(plan) {
        let users = End::named("users", OPEN);
        rows.push(row(&users, &all(), "tcp", &port, &purpose, "into the site"));
    }
    csv_text(&FIREWALL_HEADER, &rows)
}

/// SSH from the seat, through the bastion where there is one; hosts with another port stand in a row of their own.
fn seat_rows(site: &Site, rows: &mut Vec<Vec<String>>) {
    let seat = End::named("seat of the installer", OPEN);
    let mut by_port: BTreeMap<u16, Vec<&Host>> = BTreeMap::new();
    for host in &site.hosts {
        by_port.entry(site.access_for(host).port).or_default().push(host);
    }
    let mut source = seat.clone();
    if let Some(bastion) = &site.access.bastion {
        source = End::named("bastion", &bastion.address);
        let port = bastion.port.to_string();
        rows.push(row(&seat, &source, "tcp", &port, "SSH of the installer", "into the site"));
    }
    for (port, hosts) in by_port {
        let (target, port) = (End::of(hosts), port.to_string());
        rows.push(row(&source, &target, "tcp", &port, "SSH of the installer", "into the site"));
    }
}

/// Where users come in: the node ports that the releases' values name, else the range that Services may take.
fn user_ports(plan: &Plan) -> Vec<(String, String)> {
    let releases = plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::HelmRelease { release } => Some(release),
        _ => None,
    });
    let named: Vec<(String, String)> = releases
        .flat_map(|release| {
            let ports = flows::node_ports(&release.values);
            ports.into_iter().map(|port| (port.to_string(), format!("users of {}", release.name)))
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let range = format!("{}-{}", NODE_PORTS.start(), NODE_PORTS.end());
    vec![(range, "users, where the product opens node ports; it names none beforehand".to_owned())]
}

fn row(from: &End, to: &End, protocol: &str, port: &str, purpose: &str, direction: &str) -> Vec<String> {
    [&from.names, &from.addresses, &to.names, &to.addresses, protocol, port, purpose, direction]
        .map(str::to_owned)
        .into()
}

/// What each machine must have, and what its operating system is where it was probed. Sizes in GB (10^9 bytes), rounded
/// up; each path's figure is what must be free there.
#[must_use]
pub fn machines(site: &Site, document: &BundleDocument, facts: &BTreeMap<String, Facts>) -> String {
    let needs = Requirements::new(site, Some(document));
    let mut header: Vec<String> =
        ["name", "role", "address", "cpus", "memory (GB)"].map(str::to_owned).into();
    let paths = paths(&site.etcd);
    header.extend(paths.iter().map(|path| format!("free at {path} (GB)")));
    header.extend(["operating system", "ports"].map(str::to_owned));
    let rows: Vec<Vec<String>> = site
        .hosts
        .iter()
        .map(|host| {
            let need = needs.of(host.role);
            let disk = |path: &&str| need.disks.iter().find(|disk| disk.path == **path);
            let ports: Vec<String> =
                need.ports.iter().map(|one| format!("{}/{}", one.port, one.protocol.name())).collect();
            let role = match host.role {
                HostRole::ControlPlane => "control plane",
                HostRole::Worker => "worker",
            };
            let mut row = vec![host.name.clone(), role.to_owned(), host.address.to_string()];
            row.extend([need.cpus.to_string(), gigabytes(need.memory_bytes)]);
            row.extend(paths.iter().map(|path| disk(path).map_or_else(String::new, free)));
            row.push(facts.get(&host.name).map(|facts| facts.os.name.clone()).unwrap_or_default());
            row.push(ports.join("; "));
            row
        })
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    csv_text(&header, &rows)
}

fn free(disk: &DiskNeed) -> String {
    gigabytes(disk.bytes)
}

/// One digit behind the point, rounded up: a ticket must not ask for less than is needed.
fn gigabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000_000);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// Rows as RFC 4180 has them: CRLF, quotes where they are needed.
pub(crate) fn csv_text(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    // Rows of one length into memory: writing them cannot fail.
    let _ = writer.write_record(header);
    for row in rows {
        let _ = writer.write_record(row.iter().map(|cell| harmless(cell)));
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A cell that no spreadsheet takes for a formula.
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_cells() {
        let hostile = ["=1+1", "+cmd", "-2", "@SUM(A1)", "a,b", "say \"no\"", "two\nlines", "plain"];
        let row: Vec<String> = hostile.map(str::to_owned).into();
        let text = csv_text(&hostile.map(|_| "column"), &[row]);
        assert!(text.ends_with("\r\n"));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let back: Vec<String> = reader.records().next().unwrap().unwrap().iter().map(str::to_owned).collect();
        let expected = ["'=1+1", "'+cmd", "'-2", "'@SUM(A1)", "a,b", "say \"no\"", "two\nlines", "plain"];
        assert_eq!(back, expected);
    }

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!([0, 1, 100_000_000, 1_782_579_200].map(gigabytes), ["0.0", "0.1", "0.1", "1.8"]);
    }
}
