//! Measures the host. A probe changes nothing: it only reads, mostly below `/proc`, `/sys` and `/etc`.
//!
//! Parsers are pure functions over text; this file joins them. What cannot be read is named in
//! [`Facts::unreadable`], never guessed.

mod clock;
mod details;
mod disks;
mod guards;
mod leftovers;
pub(crate) mod modules;
mod network;
mod settings;
mod sockets;
pub(crate) mod system;
mod unprivileged;
mod writes;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sealift_checks::facts::Facts;

use crate::command::Command;
use crate::context::Context;
use crate::operation::claim;
use crate::protocol::ProbeOptions;

pub use clock::now;
pub use unprivileged::unseen_without_root;
pub use writes::time_writes;

/// Largest file that is read whole, bytes; what is larger is cut off. (`/proc/cpuinfo` of 512 processors has 700 kB.)
const MAX_FILE: u64 = 4 << 20;
/// Most entries of a list of details.
const MAX_ENTRIES: usize = 512;
/// Longest text of a detail, bytes.
const MAX_TEXT: usize = 256;

/// All facts of this host.
#[must_use]
pub fn probe(ctx: &Context<'_>, options: &ProbeOptions) -> Facts {
    let mut probe = Probe { ctx, unreadable: Vec::new() };
    let kernel = rustix::system::uname();
    let meminfo = probe.text("/proc/meminfo");
    let swaps = probe.text("/proc/swaps");
    let status = probe.text("/proc/self/status");
    let (interfaces, routes) = network::probe(&mut probe);
    let mut modules = modules::probe(ctx.paths(), &options.modules);
    let (firewall, nft_works) = guards::firewall(&mut probe);
    if nft_works {
        modules::seen_at_work(&mut modules, "nf_tables");
    }
    let details = details::probe(&mut probe, options, firewall);
    Facts {
        hostname: probe.line("/proc/sys/kernel/hostname"),
        machine_id: probe.line_if_any("/etc/machine-id"),
        product_uuid: system::product_uuid(&probe),
        boot_id: probe.line("/proc/sys/kernel/random/boot_id"),
        os: system::os(&mut probe),
        kernel: kernel.release().to_string_lossy().into_owned(),
        architecture: kernel.machine().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism()
            .map_or(0, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory_bytes: system::parse_memory_total(&meminfo)
            .unwrap_or_else(|| probe.miss("/proc/meminfo: MemTotal")),
        swap: system::parse_swaps(&swaps),
        cgroup: system::cgroup(&probe),
        cap_sys_resource: system::parse_cap_sys_resource(&status),
        conntrack_writable: system::conntrack_writable(&probe),
        disks: disks::probe(&mut probe, &options.paths),
        listeners: sockets::probe(&mut probe),
        clock: clock::probe(&probe),
        interfaces,
        routes,
        nameservers: system::parse_nameservers(&probe.text_if_any("/etc/resolv.conf").unwrap_or_default()),
        modules,
        leftovers: leftovers::probe(&mut probe, &options.paths),
        claim: claim::read(ctx.paths()).unwrap_or_else(|failure| probe.miss(failure.message)),
        systemd: system::systemd(&mut probe),
        details: Some(details),
        etcd_writes: None,
        attempts: None,
        services: None,
        unreadable: probe.unreadable,
    }
}

/// Reads, and writes down what could not be read.
pub(crate) struct Probe<'a> {
    ctx: &'a Context<'a>,
    unreadable: Vec<String>,
}

impl Probe<'_> {
    fn path(&self, path: &str) -> PathBuf {
        self.ctx.paths().host(path)
    }

    fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// Notes what is missing and stands in for it.
    fn miss<T: Default>(&mut self, what: impl Into<String>) -> T {
        self.unreadable.push(what.into());
        T::default()
    }

    /// A file that every host has.
    fn text(&mut self, path: &str) -> String {
        match read(&self.path(path)) {
            Ok(text) => text,
            Err(error) => self.miss(format!("{path}: {error}")),
        }
    }

    /// A file that a host may lack.
    fn text_if_any(&self, path: &str) -> Option<String> {
        read(&self.path(path)).ok()
    }

    fn line(&mut self, path: &str) -> String {
        self.text(path).trim().to_owned()
    }

    fn line_if_any(&self, path: &str) -> String {
        self.text_if_any(path).unwrap_or_default().trim().to_owned()
    }

    /// Output of a program that reads only.
    fn output(&mut self, command: Command) -> Option<String> {
        match self.ctx.run(command) {
            Ok(finished) => Some(finished.text()),
            Err(failure) => {
                let last = failure.log.last().map(|line| format!(": {line}")).unwrap_or_default();
                self.miss(format!("{}{last}", failure.message))
            }
        }
    }

    /// Names in a folder, sorted; none where there is no folder.
    fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

/// Whether a file's name ends so, e.g. `conf`.
fn is_kind(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

/// The text of a file, up to [`MAX_FILE`].
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A text of bounded length.
fn short(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests;
