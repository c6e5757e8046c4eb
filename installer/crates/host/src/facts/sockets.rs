//! Listening sockets and who holds them.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sealift_checks::facts::Listener;

use super::Probe;

/// A row of `/proc/net/tcp` and its siblings that listens.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) inode: u64,
}

pub(super) fn probe(probe: &mut Probe<'_>) -> Vec<Listener> {
    let mut sockets: Vec<(&str, Socket)> = Vec::new();
    for (protocol, file) in [("tcp", "tcp"), ("tcp", "tcp6"), ("udp", "udp"), ("udp", "udp6")] {
        let path = format!("/proc/net/{file}");
        // A host without IPv6 has no such file.
        let text = if file.ends_with('6') {
            probe.text_if_any(&path).unwrap_or_default()
        } else {
            probe.text(&path)
        };
        sockets.extend(parse(&text, protocol).into_iter().map(|socket| (protocol, socket)));
    }
    let holders = holders(probe);
    let mut listeners: Vec<Listener> = sockets
        .into_iter()
        .map(|(protocol, socket)| {
            let (process, unit) = holders.get(&socket.inode).cloned().unwrap_or_default();
            Listener {
                protocol: protocol.to_owned(),
                address: socket.address,
                port: socket.port,
                process,
                unit,
            }
        })
        .collect();
    listeners.sort_by(|a, b| (&a.protocol, a.port, a.address).cmp(&(&b.protocol, b.port, b.address)));
    listeners.dedup();
    listeners
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`: TCP in state LISTEN (0A), UDP
/// without a peer (07).
pub(super) fn parse(text: &str, protocol: &str) -> Vec<Socket> {
    let listening = if protocol == "tcp" { "0A" } else { "07" };
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            if *columns.get(3)? != listening {
                return None;
            }
            let (address, port) = columns.get(1)?.split_once(':')?;
            Some(Socket {
                address: parse_address(address)?,
                port: u16::from_str_radix(port, 16).ok()?,
                inode: columns.get(9)?.parse().ok()?,
            })
        })
        .collect()
}

/// Words of four bytes, each printed as a number of this machine's byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0u8; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at * 8)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

/// Socket inode to process name and unit.
fn holders(probe: &Probe<'_>) -> HashMap<u64, (String, String)> {
    let mut holders = HashMap::new();
    let processes = probe.names("/proc").into_iter().filter(|name| name.bytes().all(|c| c.is_ascii_digit()));
    for process in processes {
        let Ok(descriptors) = fs::read_dir(probe.path(&format!("/proc/{process}/fd"))) else { continue };
        let inodes: Vec<u64> = descriptors
            .flatten()
            .filter_map(|descriptor| socket_inode(&fs::read_link(descriptor.path()).ok()?.to_string_lossy()))
            .collect();
        if inodes.is_empty() {
            continue;
        }
        let name = probe.line_if_any(&format!("/proc/{process}/comm"));
        let unit = parse_unit(&probe.text_if_any(&format!("/proc/{process}/cgroup")).unwrap_or_default());
        for inode in inodes {
            holders.entry(inode).or_insert_with(|| (name.clone(), unit.clone()));
        }
    }
    holders
}

fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The innermost unit in `/proc/PID/cgroup`, else the longest path.
pub(super) fn parse_unit(cgroup: &str) -> String {
    let paths = || cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let is_unit = |part: &&str| matches!(part.rsplit_once('.'), Some((_, "service" | "scope" | "socket")));
    let unit = paths().find_map(|path| path.split('/').rev().find(is_unit));
    let path = || paths().filter(|path| *path != "/").max_by_key(|path| path.len());
    unit.or_else(path).unwrap_or_default().to_owned()
}
