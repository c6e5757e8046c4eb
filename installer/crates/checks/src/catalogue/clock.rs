//! Clocks, compared with each other.

use super::{Check, HostInput, Peer, PeerVerdicts, SEAT, Scope, Severity, Verdict};
use crate::finding::Group;
use crate::fix::Fix;
use crate::text::{list, span};

/// Offset from the other hosts from which on nobody can accept it, milliseconds (the limit of k0sctl, too).
const STOP: u64 = 30_000;
/// Offset from which on the install is refused, milliseconds.
const FAIL: u64 = 2_000;
/// Offset from which on there is a warning, milliseconds.
const WARN: u64 = 500;
/// Hardware clock's offset from which on there is a warning, seconds.
const HARDWARE: u64 = 60;

pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "clock.skew",
        title: "Clock",
        why: "certificates made on one host are not valid yet, or no longer, on a host with another time; the database and the logs suffer too.",
        group: Group::Time,
        severity: Severity::Block,
        beyond: Some(Severity::Stop),
        deep: false,
        fixable: false,
        facts: &["clock", SEAT],
        scope: Scope::Peers(skew),
    },
    Check {
        id: "time.synchronised",
        title: "Time source",
        why: "clocks that nothing keeps in time drift apart within weeks.",
        group: Group::Time,
        severity: Severity::Advice,
        beyond: None,
        deep: false,
        fixable: true,
        facts: &["clock"],
        scope: Scope::Host(synchronised),
    },
    Check::on_host(
        (Group::Time, Severity::Advice),
        "time.one-service",
        "One keeper of time",
        "two services that set one clock pull it to and fro.",
        &["processes"],
        one_service,
    ),
    Check::on_host(
        (Group::Time, Severity::Advice),
        "time.hardware-clock",
        "Hardware clock",
        "after a power cut the host starts with this time, before anything can correct it.",
        &["hardwareClock"],
        hardware_clock,
    ),
    Check::among_hosts(
        (Group::Time, Severity::Advice),
        "time.zone",
        "Time zone",
        "people who compare logs of two hosts are misled by hours when the zones differ.",
        &["zone"],
        zone,
    ),
];

fn skew<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    let against = match peers {
        [] => return Vec::new(),
        [one] => return vec![(Some(one.host), alone(one.facts.clock.skew_millis))],
        [_, _] => "the other host".to_owned(),
        _ => format!("the middle of all {} hosts", peers.len()),
    };
    let mut skews: Vec<i64> = peers.iter().map(|peer| peer.facts.clock.skew_millis).collect();
    let judge = |peer: &Peer<'a>, reference: i64| {
        let verdict = offset(peer, peer.facts.clock.skew_millis.saturating_sub(reference), &against);
        (Some(peer.host), verdict)
    };
    // Of two clocks nobody can tell which one is wrong: each is held against the other.
    if let [a, b] = peers {
        return vec![judge(a, skews[1]), judge(b, skews[0])];
    }
    skews.sort_unstable();
    let middle = skews.len() / 2;
    let median =
        if skews.len() % 2 == 1 { skews[middle] } else { i64::midpoint(skews[middle - 1], skews[middle]) };
    let mut verdicts: Vec<_> = peers.iter().map(|peer| judge(peer, median)).collect();
    if median.unsigned_abs() >= STOP {
        let seat = alone(median);
        verdicts
            .push((None, Verdict { measured: format!("the hosts' clocks are {}", seat.measured), ..seat }));
    }
    verdicts
}

fn limit() -> String {
    format!(
        "less than {} apart (warning from {} on, no acceptance from {} on)",
        span(FAIL),
        span(WARN),
        span(STOP)
    )
}

fn words(offset: i64, against: &str) -> String {
    let direction = if offset < 0 { "behind" } else { "ahead of" };
    format!("{} {direction} {against}", span(offset.unsigned_abs()))
}

fn offset(peer: &Peer<'_>, offset: i64, against: &str) -> Verdict {
    let measured = words(offset, against);
    let remedy = if against == "the other host" {
        "find out which of the two is wrong, set its clock and give both one time source (chrony or systemd-timesyncd)".to_owned()
    } else {
        format!(
            "set the clock of {}, give it the time source of the others (chrony or systemd-timesyncd), then check again",
            peer.host.name
        )
    };
    // Of an offset that was read over a slow line, only what is surely there counts.
    let unsure = peer.facts.clock.round_trip_millis / 2;
    match offset.unsigned_abs().saturating_sub(unsure) {
        STOP.. => Verdict::fail(measured, remedy).beyond_acceptance(),
        FAIL.. => Verdict::fail(measured, remedy),
        WARN.. => Verdict::warn(measured, remedy),
        _ => Verdict::pass(measured),
    }
    .limit(limit())
}

/// Against the seat's clock, which the cluster does not depend on.
fn alone(offset: i64) -> Verdict {
    let measured = words(offset, "the clock of the machine that runs the installer");
    match offset.unsigned_abs() {
        STOP.. => {
            Verdict::warn(measured, "find out which clock is wrong and set it; the times in reports differ")
                .limit(limit())
        }
        _ => Verdict::pass(measured),
    }
}

/// Services that keep the clock in time, as the kernel names them: at most 15 characters.
const KEEPERS: [&str; 5] = ["chronyd", "ntpd", "openntpd", "systemd-timesyn", "ptp4l"];

fn synchronised(input: &HostInput<'_>) -> Verdict {
    if input.facts.clock.synchronised {
        return Verdict::pass("something keeps the clock in time");
    }
    let details = input.details();
    // One that runs and keeps no time lacks a server, and which one that is only the site knows.
    let idle = !KEEPERS.iter().any(|name| details.processes.contains(*name));
    let can = details.commands.get("timedatectl").copied().unwrap_or(false) && !details.machine.container;
    let remedy = "give all hosts one time source: chrony or systemd-timesyncd with a server of the site, or one of the masters";
    Verdict::warn("nothing keeps the clock in time", remedy)
        .limit("synchronised")
        .fixed_by((idle && can).then_some(Fix::TimeService))
}

fn one_service(input: &HostInput<'_>) -> Verdict {
    let processes = &input.details().processes;
    let found: Vec<&str> = KEEPERS.into_iter().filter(|name| processes.contains(*name)).collect();
    let verdict = match found.as_slice() {
        [] => Verdict::pass("none runs: see time.synchronised"),
        [one] => Verdict::pass(*one),
        _ => Verdict::warn(list(&found), "keep one of them, for good: systemctl disable --now the others"),
    };
    verdict.limit("one")
}

fn hardware_clock(input: &HostInput<'_>) -> Verdict {
    let clock = &input.details().hardware_clock;
    let limit = format!("universal time, less than {HARDWARE} s off");
    let Some(offset) = clock.offset_seconds else { return Verdict::pass("this host has none of its own") };
    let measured = format!("{} off the host's time", span(offset.unsigned_abs().saturating_mul(1000)));
    if clock.local {
        let remedy = "let it show universal time: timedatectl set-local-rtc 0";
        Verdict::warn("it is said to show local time", remedy)
    } else if offset.unsigned_abs() >= HARDWARE {
        Verdict::warn(measured, "set it from the host's time: hwclock --systohc")
    } else {
        Verdict::pass(measured)
    }
    .limit(limit)
}

fn zone<'a>(peers: &[Peer<'a>]) -> PeerVerdicts<'a> {
    let remedy = "give all hosts one zone, best UTC: timedatectl set-timezone UTC";
    super::clones::unlike_the_others(peers, |facts| facts.zone.clone(), remedy)
}
