//! `cargo xtask bench check`: how long `installer check` takes on the five hosts of a lab, and on a hundred that are
//! simulated.
//!
//! Simulated hosts are one real SSH server in a network namespace of its own with as many addresses: what it answers are
//! the facts of this machine, once for each address, and the agents of all of them run here, beside the seat. So the
//! figure has the work of a hundred hosts in it that a real site spreads over a hundred machines; what it has not are
//! a hundred disks: the agent's program is brought once and found by the others. Beside each figure stands the time of
//! one plain SSH login, which is what a host costs at the least.

use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::figure::{Figure, median};
use super::surroundings;
use crate::bundle::{self, Made};
use crate::demo::seat::Seat;
use crate::lab::{Lab, LabSpec, run as run_command};
use crate::programs::{self, Programs};
use crate::{cache, payload, system, wait};

/// Name of the lab.
const LAB: &str = "bench-check";
/// Exit codes: all well, and findings that stand in the way.
const DONE: i32 = 0;
const CHECKS: i32 = 3;
/// How long the simulated server may need to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many simulated hosts
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=200))]
    simulated: u16,
    /// How often each is measured; medians count
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    runs: u32,
}

/// Measures and gives the figures.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    system::need_root()?;
    system::ensure(&[system::LAB, payload::PACKAGES, system::BUILD, &["openssh-server", "openssh-client"]])?;
    let cache = cache::root();
    for line in surroundings::lines() {
        println!("{line}");
    }
    let programs = programs::build()?;
    let payload = payload::build(&cache, payload::KUBERNETES)?;
    let made = bundle::make(&cache, &programs, &payload)?;
    let five = of_lab(&cache, &programs, &made, options.runs)?;
    let many = of_simulated(&cache, &programs, &made, options)?;
    Ok(vec![
        Figure { name: "check-5-hosts", value: five, unit: "s", target: 5.0 },
        Figure { name: "check-100-hosts", value: many, unit: "s", target: 30.0 },
    ])
}

/// A lab that goes down with the one who asked for it.
struct Fresh<'a> {
    cache: &'a Path,
    lab: Lab,
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if let Err(error) = Lab::down(self.cache, LAB) {
            println!("lab {LAB} does not go down: {error:#}");
        }
    }
}

fn of_lab(cache: &Path, programs: &Programs, made: &Made, runs: u32) -> Result<f64> {
    Lab::down(cache, LAB)?;
    let fresh = Fresh { cache, lab: Lab::up(cache, LAB, &LabSpec::standard(0))? };
    let seat = Seat::prepare(&fresh.lab, programs, made)?;
    let check = ["check", "--output=json", "--profile", "profiles/demo.yaml", "--bundle", "orders.bundle"];
    // The seat's own settings: ssh looks for others in the home that the system knows, which is not the seat's.
    let login = ["ssh", "-F", ".ssh/config", "-o", "BatchMode=yes", "ops@10.77.0.11", "true"];
    measure("lab", runs, 5, || seat.installer(&check), || fresh.lab.seat_command(&login))
}

/// Each in turn, so that both see the same machine; gives the median of the checks.
fn measure(
    name: &str,
    runs: u32,
    hosts: usize,
    check: impl Fn() -> Command,
    login: impl Fn() -> Command,
) -> Result<f64> {
    let (mut checks, mut logins) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let begun = Instant::now();
        run_command(&mut login())?;
        logins.push(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        let output = check().stdin(Stdio::null()).output().context("cannot start the installer")?;
        checks.push(begun.elapsed().as_secs_f64());
        let said = String::from_utf8_lossy(&output.stdout);
        let code = output.status.code();
        ensure!(code == Some(DONE) || code == Some(CHECKS), "the check ended with {code:?}:\n{said}");
        judged(&said, hosts)?;
    }
    println!(
        "{name:<12} {hosts} hosts: check {:.2} s (of {runs}), one SSH login {:.2} s",
        median(&checks),
        median(&logins)
    );
    Ok(median(&checks))
}

/// A check that saw too few hosts is quick and proves nothing.
fn judged(said: &str, hosts: usize) -> Result<()> {
    let mut lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let Some(check) = lines.rfind(|line| line["topic"] == "check") else {
        bail!("the check said nothing of its findings:\n{said}");
    };
    let findings = check["data"].as_array().context("the findings are no list")?;
    let seen = findings.iter().filter(|one| one["check"] == "kernel.version" && one["state"] != "blocked");
    let count = seen.count();
    ensure!(count == hosts, "{count} of {hosts} hosts were judged");
    Ok(())
}

/// A server that stands for many hosts; it ends when this is dropped.
struct Simulated {
    server: Child,
    folder: tempfile::TempDir,
    addresses: Vec<Ipv4Addr>,
}

/// Addresses on the loopback interface (not every kernel has others that lead nowhere), folders of its own where agents go,
/// an account without what this machine's own does at each login, and the server in the foreground.
const SCRIPT: &str = "set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /var/tmp
mount -t tmpfs tmpfs /root
mkdir -p /run/sshd
ip link set lo up
folder=$1; shift
for address in \"$@\"; do ip address add $address/32 dev lo; done
exec /usr/sbin/sshd -D -E \"$folder/log\" -f \"$folder/sshd_config\"";

impl Simulated {
    fn start(cache: &Path, count: u16) -> Result<Self> {
        fs::create_dir_all(cache.join("bench"))?;
        let folder = tempfile::Builder::new().prefix("check-").tempdir_in(cache.join("bench"))?;
        let place = folder.path();
        // The server reads the keys of those who log in.
        fs::set_permissions(place, fs::Permissions::from_mode(0o755))?;
        for key in ["host", "user"] {
            let mut command = Command::new("ssh-keygen");
            command.args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"]).arg(place.join(key));
            run_command(&mut command)?;
        }
        let shown = place.display();
        let config = format!(
            "HostKey {shown}/host\nAuthorizedKeysFile {shown}/user.pub\nPidFile none\nUsePAM yes\nUseDNS no\n\
             StrictModes no\nMaxStartups 1000\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPrintMotd no\n"
        );
        fs::write(place.join("sshd_config"), config)?;
        let addresses: Vec<Ipv4Addr> = (0..count).map(address).collect();
        let mut command = Command::new("unshare");
        command.args(["--net", "--mount", "sh", "-c", SCRIPT, "sh"]).arg(place);
        command.args(addresses.iter().map(ToString::to_string));
        let server = command.stdin(Stdio::null()).spawn().context("cannot start the simulated hosts")?;
        let simulated = Self { server, folder, addresses };
        simulated.profile()?;
        wait::until_true("the simulated hosts answer", PATIENCE, || {
            Ok(simulated.login().output().context("cannot start ssh")?.status.success())
        })?;
        Ok(simulated)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The site, its secrets and the known keys.
    fn profile(&self) -> Result<()> {
        let key = fs::read_to_string(self.path("host.pub"))?;
        let key: Vec<&str> = key.split_whitespace().take(2).collect();
        let known: Vec<String> =
            self.addresses.iter().map(|one| format!("{one} {}", key.join(" "))).collect();
        fs::write(self.path("known_hosts"), known.join("\n") + "\n")?;
        fs::write(self.path("secret"), "of nobody\n")?;
        fs::set_permissions(self.path("secret"), fs::Permissions::from_mode(0o600))?;
        fs::write(self.path("site.yaml"), self.site())?;
        Ok(())
    }

    fn site(&self) -> String {
        let mut text = format!(
            "apiVersion: sealift/v1\nkind: Site\nmetadata: {{name: simulated}}\naccess:\n  user: root\n  \
             privateKey: {{file: {}}}\n  knownHosts: {}\nproduct:\n  secrets:\n    adminPassword: {{file: {}}}\nhosts:\n",
            self.path("user").display(),
            self.path("known_hosts").display(),
            self.path("secret").display(),
        );
        for (index, address) in self.addresses.iter().enumerate() {
            let role = if index < 3 { "control-plane" } else { "worker" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  - {{name: host-{index}, address: {address}, role: {role}}}");
        }
        text
    }

    /// A command in the network of the simulated hosts.
    fn inside(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.server.id())).arg("--").arg(program);
        command
    }

    fn login(&self) -> Command {
        let mut command = self.inside("ssh");
        command.arg("-i").arg(self.path("user")).args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=5",
            "-o",
        ]);
        command.arg(format!("UserKnownHostsFile={}", self.path("known_hosts").display()));
        command.arg(format!("root@{}", self.addresses[0])).arg("true");
        command
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        // One that has ended takes no signal.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Away from the networks of clusters.
fn address(index: u16) -> Ipv4Addr {
    let [high, low] = (index + 1).to_be_bytes();
    Ipv4Addr::new(10, 79, high, low)
}

fn of_simulated(cache: &Path, programs: &Programs, made: &Made, options: &Options) -> Result<f64> {
    let simulated = Simulated::start(cache, options.simulated)?;
    println!("simulated    {} addresses of one server", simulated.addresses.len());
    let check = || {
        let mut command = simulated.inside(&programs.installer);
        command.args(["check", "--output=json", "--profile"]).arg(simulated.path("site.yaml"));
        command.arg("--bundle").arg(&made.bundle).arg("--trust-key").arg(&made.public_key);
        command
    };
    measure("simulated", options.runs, simulated.addresses.len(), check, || simulated.login())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_hosts_have_addresses_of_their_own() {
        let all: std::collections::BTreeSet<Ipv4Addr> = (0..200).map(address).collect();
        assert_eq!(all.len(), 200);
        assert!(all.iter().all(|address| address.octets()[..2] == [10, 79] && address.octets()[3] != 255));
    }

    #[test]
    fn a_check_that_saw_too_few_hosts_is_no_figure() {
        let finding = |state: &str| serde_json::json!({"check": "kernel.version", "state": state});
        let line = |states: &[&str]| {
            let findings: Vec<Value> = states.iter().map(|state| finding(state)).collect();
            serde_json::json!({"topic": "check", "data": findings}).to_string()
        };
        assert!(judged(&line(&["pass", "warn"]), 2).is_ok());
        assert!(judged(&line(&["pass", "blocked"]), 2).is_err());
        assert!(judged(&line(&["pass"]), 2).is_err());
        assert!(judged("{}", 0).is_err());
    }
}
