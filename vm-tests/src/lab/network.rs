//! The lab's network: one bridge in a namespace of its own, one namespace per host, and a dead end that counts.

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::command::{run, run_with_input};
use super::spec::{Backend, CONTROL, GATEWAY, HostSpec, LabSpec, SEAT};

/// The namespace of one end of a lab: a host, `lab` (the bridge), `seat` or `ctl`.
pub fn namespace(lab: &str, end: &str) -> String {
    format!("sl-{lab}-{end}")
}

/// The file that stands for a namespace.
pub fn namespace_path(lab: &str, end: &str) -> PathBuf {
    Path::new("/run/netns").join(namespace(lab, end))
}

/// All namespaces of a lab that exist, with the numbers by which processes in them are found.
pub fn namespaces(lab: &str) -> Vec<(String, u64)> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let own = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        // A host's name has no hyphen, so the last one ends the lab's name.
        let (owner, _) = name.strip_prefix("sl-")?.rsplit_once('-')?;
        if owner != lab {
            return None;
        }
        let inode = fs::metadata(entry.path()).ok()?.ino();
        Some((name, inode))
    };
    entries.filter_map(own).collect()
}

/// Makes the bridge, the counting dead end, the seat and the lab's own end.
pub fn create(lab: &str, spec: &LabSpec) -> Result<()> {
    let bridge = namespace(lab, "lab");
    run(Command::new("ip").args(["netns", "add", &bridge]))?;
    batch(
        &bridge,
        &format!(
            "link set lo up\nlink add br0 type bridge stp_state 0 mcast_snooping 0\n\
             address add {GATEWAY}/24 dev br0\nlink set br0 up\n"
        ),
    )?;
    // Frames between hosts stay frames, and are not looked at. A kernel without these switches does so anyway.
    let _ =
        sysctl(&bridge, &["net.bridge.bridge-nf-call-iptables=0", "net.bridge.bridge-nf-call-ip6tables=0"]);
    run_with_input(inside(lab, "lab").args(["nft", "-f", "-"]), rules(&spec.own_networks).as_bytes())
        .context("cannot set up the counting dead end")?;
    attach(lab, "seat", SEAT)?;
    attach(lab, "ctl", CONTROL)?;
    run(Command::new("ip").args(["-n", &bridge, "link", "set", "br0", "alias", COMPLETE])).map(drop)
}

/// Written on the bridge when all of [`create`] is done: a run may be killed in the middle of it.
const COMPLETE: &str = "complete";

/// Whether the lab's network is there, whole.
pub fn is_complete(lab: &str) -> bool {
    let shown = run(Command::new("ip").args(["-j", "-n", &namespace(lab, "lab"), "link", "show", "br0"]));
    let links = shown.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    links.is_some_and(|links| links[0]["ifalias"] == COMPLETE)
}

/// Plugs a host in. What an earlier life of the host left in its namespace goes with the namespace.
pub fn attach_host(lab: &str, host: &HostSpec) -> Result<()> {
    detach_host(lab, &host.name)?;
    match host.backend {
        Backend::Nspawn => attach(lab, &host.name, host.address),
        Backend::Qemu => batch(
            &namespace(lab, "lab"),
            &format!("tuntap add dev {0} mode tap\nlink set {0} master br0 up\n", host.name),
        ),
    }
}

/// Unplugs a host: its cable and, for a container, its whole namespace go.
pub fn detach_host(lab: &str, host: &str) -> Result<()> {
    let bridge = namespace(lab, "lab");
    if namespace_path(lab, "lab").exists()
        && run(Command::new("ip").args(["-n", &bridge, "link", "show", host])).is_ok()
    {
        run(Command::new("ip").args(["-n", &bridge, "link", "delete", host]))?;
    }
    if namespace_path(lab, host).exists() {
        run(Command::new("ip").args(["netns", "delete", &namespace(lab, host)]))?;
    }
    Ok(())
}

/// A namespace with one cable to the bridge and a default route to the dead end.
fn attach(lab: &str, end: &str, address: Ipv4Addr) -> Result<()> {
    let (bridge, own) = (namespace(lab, "lab"), namespace(lab, end));
    run(Command::new("ip").args(["netns", "add", &own]))?;
    // The same hardware address in every life, so that the others need not learn a new one.
    let [_, _, _, last] = address.octets();
    batch(
        &bridge,
        &format!(
            "link add {end} type veth peer name eth0 address 02:53:4c:00:00:{last:02x} netns {own}\n\
             link set {end} master br0 up\n"
        ),
    )?;
    // Without an address of its own there is no way out over IPv6; the switch is missing where the kernel has none.
    let _ = sysctl(&own, &["net.ipv6.conf.eth0.disable_ipv6=1"]);
    batch(
        &own,
        &format!(
            "link set lo up\naddress add {address}/24 dev eth0\nlink set eth0 up\nroute add default via {GATEWAY}\n"
        ),
    )
}

/// Removes all namespaces of the lab, and with them every link and route.
pub fn remove(lab: &str) -> Result<()> {
    for (name, _) in namespaces(lab) {
        run(Command::new("ip").args(["netns", "delete", &name]))?;
    }
    Ok(())
}

/// Pulls a host's (or the seat's) cable, or puts it back.
pub fn set_link(lab: &str, end: &str, up: bool) -> Result<()> {
    let state = if up { "up" } else { "down" };
    run(Command::new("ip").args(["-n", &namespace(lab, "lab"), "link", "set", end, state])).map(drop)
}

/// Limits the seat's cable to this rate in both directions (megabits per second), or lifts the limit.
pub fn shape_seat(lab: &str, megabits: Option<u32>) -> Result<()> {
    for (end, device) in [("seat", "eth0"), ("lab", "seat")] {
        let mut command = Command::new("tc");
        command.args(["-n", &namespace(lab, end), "qdisc"]);
        if let Some(rate) = megabits {
            let rate = format!("{rate}mbit");
            command.args([
                "replace", "dev", device, "root", "tbf", "rate", &rate, "burst", "256kb", "latency", "100ms",
            ]);
            run(&mut command)?;
        } else {
            command.args(["delete", "dev", device, "root"]);
            // There may be none.
            let _ = run(&mut command);
        }
    }
    Ok(())
}

/// Makes the seat forget its connections, as one that was switched off.
pub fn forget_seat_connections(lab: &str) -> Result<()> {
    let ss = |arguments: &[&str]| {
        run(Command::new("ip")
            .args(["netns", "exec", &namespace(lab, "seat"), "ss", "-H", "-t", "-n"])
            .args(arguments))
    };
    ss(&["-K", "state", "all"])?;
    let left = ss(&["state", "connected"])?;
    ensure!(left.trim().is_empty(), "the seat still has connections:\n{left}");
    Ok(())
}

/// Bytes that the seat has sent and received on its cable since the lab came up.
pub fn seat_bytes(lab: &str) -> Result<(u64, u64)> {
    let text =
        run(Command::new("ip").args(["-j", "-s", "-n", &namespace(lab, "lab"), "link", "show", "seat"]))?;
    let links: Value = serde_json::from_str(&text).context("ip answered something that is not JSON")?;
    let counter = |direction: &str| links[0]["stats64"][direction]["bytes"].as_u64();
    // The bridge's end of the cable receives what the seat sends.
    counter("rx").zip(counter("tx")).context("ip shows no counters for the seat's cable")
}

/// What arrived at the dead end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets towards anywhere outside the lab.
    pub outside: u64,
    /// Packets towards the cluster's own networks ([`LabSpec::own_networks`]) that lost their way.
    pub astray: u64,
    /// Who sent the packets outside, and where to.
    pub offenders: Vec<Offender>,
}

/// Packets of one sender to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offender {
    /// Sender's address.
    pub from: String,
    /// Receiver's address.
    pub to: String,
    /// Protocol, such as `udp`.
    pub protocol: String,
    /// Receiver's port, where the protocol has ports.
    pub port: Option<String>,
    /// How many.
    pub packets: u64,
}

/// Reads the counters.
pub fn traffic(lab: &str) -> Result<Traffic> {
    let text = run(inside(lab, "lab").args(["nft", "-j", "list", "table", "inet", "sealift"]))?;
    parse_traffic(&serde_json::from_str(&text).context("nft answered something that is not JSON")?)
}

fn parse_traffic(answer: &Value) -> Result<Traffic> {
    let objects = answer["nftables"].as_array().context("nft's answer has no list of objects")?;
    let counter = |name: &str| {
        objects
            .iter()
            .find(|object| object["counter"]["name"] == name)
            .and_then(|object| object["counter"]["packets"].as_u64())
            .with_context(|| format!("nft shows no counter {name}"))
    };
    let mut offenders: Vec<_> = objects
        .iter()
        .filter_map(|object| object["set"]["elem"].as_array())
        .flatten()
        .filter_map(|element| parse_offender(&element["elem"]))
        .collect();
    offenders.sort_by(|a, b| b.packets.cmp(&a.packets).then_with(|| a.to.cmp(&b.to)));
    Ok(Traffic { outside: counter("outside")?, astray: counter("astray")?, offenders })
}

fn parse_offender(element: &Value) -> Option<Offender> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let [from, to, protocol, port @ ..] = element["val"]["concat"].as_array()?.as_slice() else {
        return None;
    };
    Some(Offender {
        from: word(from),
        to: word(to),
        protocol: word(protocol),
        port: port.first().map(word),
        packets: element["counter"]["packets"].as_u64()?,
    })
}

fn rules(own_networks: &[String]) -> String {
    let elements = if own_networks.is_empty() {
        String::new()
    } else {
        format!("elements = {{ {} }};", own_networks.join(", "))
    };
    include_str!("files/network.rules").replace("@OWN_NETWORKS@", &elements)
}

/// A command that will run in one of the lab's namespaces; its program and arguments are still to be added.
pub fn inside(lab: &str, end: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", namespace_path(lab, end).display())).arg("--");
    command
}

fn batch(namespace: &str, commands: &str) -> Result<()> {
    run_with_input(Command::new("ip").args(["-n", namespace, "-batch", "-"]), commands.as_bytes()).map(drop)
}

fn sysctl(namespace: &str, settings: &[&str]) -> Result<()> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{namespace}")).args(["--", "sysctl", "-q", "-w"]).args(settings);
    run(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counters_and_offenders_are_read() {
        let answer = json!({"nftables": [
            {"metainfo": {}},
            {"counter": {"name": "outside", "packets": 7, "bytes": 500}},
            {"counter": {"name": "astray", "packets": 2, "bytes": 120}},
            {"set": {"name": "own_networks"}},
            {"set": {"name": "ports", "elem": [
                {"elem": {"val": {"concat": ["10.77.0.11", "192.0.2.1", "udp", 53]}, "counter": {"packets": 3, "bytes": 1}}},
                {"elem": {"val": {"concat": ["10.77.0.2", "192.0.2.9", "tcp", 443]}, "counter": {"packets": 4, "bytes": 1}}},
            ]}},
        ]});
        let traffic = parse_traffic(&answer).unwrap();
        assert_eq!((traffic.outside, traffic.astray), (7, 2));
        assert_eq!(traffic.offenders[0].to, "192.0.2.9");
        assert_eq!(traffic.offenders[1].port.as_deref(), Some("53"));
    }

    #[test]
    fn an_answer_without_counters_is_an_error_not_a_zero() {
        assert!(parse_traffic(&json!({"nftables": []})).unwrap_err().to_string().contains("outside"));
    }

    #[test]
    fn own_networks_get_into_the_rules() {
        assert!(!rules(&[]).contains("elements"));
        assert!(
            rules(&["10.96.0.0/12".into(), "10.244.0.0/16".into()])
                .contains("{ 10.96.0.0/12, 10.244.0.0/16 }")
        );
    }
}
