//! How long machines take: `fixed phases + bytes ÷ (speed × parallel) + steps of each host`.
//!
//! Seconds below are those of installs of the sample product on virtual machines, 2026; earlier runs of a site's own
//! replace them in proportion.

use std::collections::BTreeSet;

use sealift_events::{Record, StepEvent};
use sealift_profile::HostRole;

use crate::figure::{Range, Unit};
use crate::input::Input;
use crate::message::Message;

/// The first of the machines that steer, seconds.
const FIRST: u64 = 60;
/// Each further one; they join one after the other, seconds.
const FURTHER: u64 = 30;
/// Machines that work, so many beside each other, seconds.
const WORKING: u64 = 45;
const BESIDE: u64 = 8;
/// Each component of the product, seconds.
const COMPONENT: u64 = 15;
/// A link of 1 Gbit/s where nothing is known, Mbit/s.
const USUAL_LINK: u64 = 1000;
/// Share of a link that is reached, percent.
const REACHED: u64 = 70;
/// What a disk or a stick gives when the bundle is read against its signature, bytes per second.
const READ: u64 = 100_000_000;
/// Minutes until the person with the bundle has logged in.
const ARRIVE: u64 = 30;
/// An earlier run counts at most so much in either direction, percent.
const CREDIBLE: std::ops::RangeInclusive<u64> = 20..=500;

/// Carrying the bundle in, and reading every byte of it against its signature.
pub(crate) fn carry(input: &Input<'_>) -> Range {
    let bytes = input.bundle.bytes;
    let reason = Message::new("phase.carry.why").number("bytes", bytes, Unit::DiskBytes);
    Range::around(ARRIVE + (bytes / READ).div_ceil(60), Unit::Minutes, reason)
}

/// The installation itself; what it took where it is over.
pub(crate) fn install(input: &Input<'_>) -> Range {
    if let Some(millis) = input.run.and_then(super::took) {
        let minutes = millis.div_ceil(60_000).max(1);
        let reason = Message::new("phase.install.measured");
        return Range {
            optimistic: minutes,
            likely: minutes,
            pessimistic: minutes,
            unit: Unit::Minutes,
            reason,
        };
    }
    let masters = input.site.hosts.iter().filter(|host| host.role == HostRole::ControlPlane).count() as u64;
    let hosts = Hosts { masters, all: input.site.hosts.len() as u64 };
    let (speed, link) = speed(input);
    let ratios: Vec<u64> = input.earlier.iter().filter_map(|run| ratio(run, input, speed)).collect();
    let percent = if ratios.is_empty() { 100 } else { ratios.iter().sum::<u64>() / ratios.len() as u64 };
    let seconds = seconds(&hosts, input, speed).saturating_mul(percent) / 100;
    let basis = if ratios.is_empty() {
        Message::new("phase.install.uncalibrated")
    } else {
        Message::new("phase.install.calibrated").number("runs", ratios.len() as u64, Unit::Runs).number(
            "percent",
            percent,
            Unit::Percent,
        )
    };
    let reason = Message::new("phase.install.why")
        .number("bytes", input.document.host_bytes(), Unit::DiskBytes)
        .part("link", link)
        .number("programs", input.document.images.len() as u64, Unit::Programs)
        .number("machines", hosts.all, Unit::Machines)
        .part("basis", basis);
    Range::around(seconds.div_ceil(60).max(1), Unit::Minutes, reason)
}

struct Hosts {
    masters: u64,
    all: u64,
}

fn seconds(hosts: &Hosts, input: &Input<'_>, speed: u64) -> u64 {
    let bytes = input.document.host_bytes();
    let images = sealift_sizing::BundleBytes::of(input.document).workers.images;
    let masters = hosts.masters.max(1);
    let workers = hosts.all.saturating_sub(masters);
    // Once over the operator's link, once more to the other masters beside each other; then all fetch from all masters.
    let upload = bytes / speed;
    let spread = if masters > 1 { bytes / speed } else { 0 };
    let fetch = images.saturating_mul(workers) / speed.saturating_mul(masters).max(1);
    let components = input.document.components.len() as u64;
    FIRST
        + upload
        + spread
        + fetch
        + (masters - 1).saturating_mul(FURTHER)
        + workers.div_ceil(BESIDE).saturating_mul(WORKING)
        + components.saturating_mul(COMPONENT)
}

/// Bytes per second to the slowest host, and how that is known.
fn speed(input: &Input<'_>) -> (u64, Message) {
    let links = input.site.hosts.iter().filter_map(|host| {
        let facts = input.facts.get(&host.name)?;
        facts.interface_of(host.address)?.speed.filter(|speed| *speed > 0).map(u64::from)
    });
    let measured = links.min();
    let link = measured.unwrap_or(USUAL_LINK);
    let bytes = link.saturating_mul(1_000_000 / 8) * REACHED / 100;
    let say = if measured.is_some() { "phase.install.link.told" } else { "phase.install.link.assumed" };
    (bytes.max(1), Message::new(say).number("speed", bytes, Unit::DiskBytes))
}

/// What an earlier run of this product took, percent of what would have been calculated.
fn ratio(run: &[Record], input: &Input<'_>, speed: u64) -> Option<u64> {
    let (product, all) = run.iter().find_map(|record| match &record.event {
        StepEvent::RunStarted { product, hosts, .. } => Some((product, hosts.len() as u64)),
        _ => None,
    })?;
    if !product.starts_with(&input.document.product.title) {
        return None;
    }
    // A run that found most in place says nothing about one that does not.
    let fresh = run.iter().any(|record| match record.event {
        StepEvent::RunFinished { changed, unchanged, .. } => changed > unchanged,
        _ => false,
    });
    let masters: BTreeSet<&str> = run
        .iter()
        .filter_map(|record| match &record.event {
            StepEvent::StepFinished { step, host, .. } if step.ends_with(".registry") => Some(host.as_str()),
            _ => None,
        })
        .collect();
    let millis = super::took(run).filter(|_| fresh)?;
    let hosts = Hosts { masters: (masters.len() as u64).max(1), all };
    let expected = seconds(&hosts, input, speed).max(1).saturating_mul(1000);
    Some((millis.saturating_mul(100) / expected).clamp(*CREDIBLE.start(), *CREDIBLE.end()))
}
