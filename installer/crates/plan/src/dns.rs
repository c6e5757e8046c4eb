//! Names that a site's DNS team may add: as a zone file (RFC 1035, section 5) and as a table (RFC 4180).
//!
//! The cluster needs none of them, its hosts find each other by `/etc/hosts`: they are for people and other systems.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use sealift_profile::is_dns_label;
use sealift_profile::site::{Host, Site};

use crate::Plan;
use crate::flows;
use crate::operation::Operation;
use crate::tickets::csv_text;

/// How long others may keep an answer, seconds: short, since hosts are replaced.
const TIME_TO_LIVE: u32 = 300;

/// The records of a site, all below the domain of its endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    site: String,
    product: String,
    /// The domain without its last dot; empty where the endpoint is a name of one label.
    domain: String,
    entries: Vec<Record>,
    left_out: Vec<String>,
}

/// One record: `A`, or `AAAA` for an IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    /// Below the domain.
    name: String,
    address: IpAddr,
    purpose: String,
}

impl Records {
    /// The endpoint leads to all masters; a release that opens node ports has its own name, which leads to the workers
    /// (to the masters where there are none); each host has its name.
    #[must_use]
    pub fn of(site: &Site, plan: &Plan) -> Self {
        let (first, domain) = site.cluster.endpoint.split_once('.').unwrap_or((&site.cluster.endpoint, ""));
        let mut records = Self {
            site: site.metadata.name.clone(),
            product: plan.product.clone(),
            domain: domain.to_owned(),
            entries: Vec::new(),
            left_out: Vec::new(),
        };
        let mut taken = BTreeSet::new();
        let masters: Vec<&Host> = site.masters().collect();
        records.add(&mut taken, first, &masters, &|host| format!("the cluster's API on {}", host.name));
        let workers: Vec<&Host> = site.workers().collect();
        let served = if workers.is_empty() { &masters } else { &workers };
        for (release, ports) in pages(plan) {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            let ports = ports.join(", ");
            records.add(&mut taken, release, served, &|host| {
                format!("{release} for its users, port {ports} on {}", host.name)
            });
        }
        for host in &site.hosts {
            records.add(&mut taken, &host.name, &[host], &|_| "a host of the cluster".to_owned());
        }
        records
    }

    fn add(
        &mut self,
        taken: &mut BTreeSet<String>,
        name: &str,
        hosts: &[&Host],
        purpose: &dyn Fn(&Host) -> String,
    ) {
        if !is_dns_label(name) || !taken.insert(name.to_owned()) {
            let why = if is_dns_label(name) { "has another meaning already" } else { "is no single label" };
            let whose: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
            self.left_out.push(format!("`{name}` for {}: the name {why}", whose.join(", ")));
            return;
        }
        let record =
            |host: &&Host| Record { name: name.to_owned(), address: host.address, purpose: purpose(host) };
        self.entries.extend(hosts.iter().map(record));
    }

    /// Records that could not be made, each with its reason.
    #[must_use]
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// For `$INCLUDE` or for pasting into the zone that the domain belongs to: without `SOA` and `NS`, which are its own.
    #[must_use]
    pub fn zone_file(&self) -> String {
        let mut text = format!(
            "; Names for the site {}: {}.\n\
             ; To be added to the zone that the domain belongs to; SOA and NS are its own.\n",
            comment(&self.site),
            comment(&self.product)
        );
        for left_out in &self.left_out {
            let _ = writeln!(text, "; left out: {}", comment(left_out));
        }
        let _ = write!(text, "$ORIGIN {}.\n$TTL {TIME_TO_LIVE}\n", self.domain);
        let width = self.entries.iter().map(|record| record.name.len()).max().unwrap_or_default();
        for Record { name, address, purpose } in &self.entries {
            let (kind, address) = (kind(*address), address.to_string());
            let _ = writeln!(text, "{name:<width$} IN {kind:<4} {address:<15} ; {}", comment(purpose));
        }
        text
    }

    /// The same as a table: whole names, one record a row.
    #[must_use]
    pub fn table(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .entries
            .iter()
            .map(|record| {
                let name = match self.domain.as_str() {
                    "" => record.name.clone(),
                    domain => format!("{}.{domain}", record.name),
                };
                let (kind, address) = (kind(record.address).to_owned(), record.address.to_string());
                vec![name, kind, TIME_TO_LIVE.to_string(), address, record.purpose.clone()]
            })
            .collect();
        csv_text(&["name", "type", "TTL (s)", "value", "purpose"], &rows)
    }
}

/// Releases that open node ports, with these.
fn pages(plan: &Plan) -> impl Iterator<Item = (&str, Vec<u16>)> {
    plan.steps.iter().filter_map(|step| match &step.operation {
        Operation::HelmRelease { release } => {
            let ports = flows::node_ports(&release.values);
            (!ports.is_empty()).then_some((release.name.as_str(), ports))
        }
        _ => None,
    })
}

fn kind(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "A" } else { "AAAA" }
}

/// A comment ends with its line.
fn comment(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
