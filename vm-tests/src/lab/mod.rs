//! The lab: hosts to install on, a seat to install from, and no way out.
//!
//! Hosts are containers with a whole system in them or virtual machines, behind one description. All of them hang
//! on one bridge in a network namespace of the lab's own; their default route ends at a counter. A lab outlives
//! the program that made it, and everything of it is found again by looking at the machine.
//!
//! In order of use: [`LabSpec`], [`Lab::up`], [`Lab::seat_command`], [`Lab::exec`], [`Lab::kill_host`],
//! [`Lab::start_host`], [`Lab::traffic`], [`Lab::down`].
//!
//! It must not know what is installed: no word about clusters, bundles or the installer.

mod cgroup;
mod check;
mod command;
mod create;
mod identity;
mod leftovers;
mod limits;
mod network;
mod nspawn;
mod process;
mod qemu;
mod rootfs;
mod snapshot;
mod spec;
pub mod supervise;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

pub use check::check;
pub use command::{output, run, run_with_input, shell_word};
pub use leftovers::Leftovers;
pub use network::Traffic;
pub use qemu::Acceleration;
use snapshot::Digests;
pub use snapshot::{FileState, differences};
pub use spec::{Backend, HostSpec, LabSpec, Role, SEAT};

/// How long a container may take until it answers; a virtual machine under emulation gets five times that.
const ANSWER_WITHIN: Duration = Duration::from_mins(2);

/// A lab that is up, or was when it was opened.
pub struct Lab {
    folder: PathBuf,
    state: State,
    /// Whether [`Lab::up`] found it there, as asked for, and went on with it.
    pub reused: bool,
    /// Digests that snapshots of its files have read, by host.
    digests: Mutex<BTreeMap<String, Digests>>,
}

/// What is written down about a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    name: String,
    spec: LabSpec,
    /// The tree below every container's own layer.
    tree: PathBuf,
    /// Folder of the base image of virtual machines.
    machine_image: Option<PathBuf>,
    acceleration: Option<Acceleration>,
}

impl State {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("lab.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", path.display()))
    }
}

impl Lab {
    fn new(folder: PathBuf, state: State, reused: bool) -> Self {
        Self { folder, state, reused, digests: Mutex::default() }
    }

    /// Opens a lab that was made before.
    pub fn open(cache: &Path, name: &str) -> Result<Self> {
        let folder = folder(cache, name)?;
        if !folder.join("lab.json").exists() {
            bail!("there is no lab {name}; `cargo xtask lab up --name {name}` makes one");
        }
        Ok(Self::new(folder.clone(), State::read(&folder)?, true))
    }

    /// Makes the lab, or goes on with one of the same name and description: hosts that are off are started.
    /// Whatever else there is under that name is cleared first. Returns when every host answers.
    pub fn up(cache: &Path, name: &str, spec: &LabSpec) -> Result<Self> {
        let _lock = lock(cache, name)?;
        let folder = folder(cache, name)?;
        spec.check()?;
        limits::raise()?;
        let lab = match create::reusable(cache, &folder, spec)? {
            Some(state) => Self::new(folder, state, true),
            None => Self::new(folder.clone(), create::create(cache, name, &folder, spec)?, false),
        };
        if !network::is_complete(name) {
            // Its folder may be whole while the rest went with a reboot of this machine, or was never finished.
            Leftovers::clear_running(name, &lab.folder)?;
            network::create(name, &lab.state.spec)?;
        }
        lab.start_all()?;
        Ok(lab)
    }

    /// Takes the lab down: processes, namespaces, mounts, loop devices, control groups, folder. None there is fine.
    /// Returns what there was.
    pub fn down(cache: &Path, name: &str) -> Result<Leftovers> {
        let _lock = lock(cache, name)?;
        let folder = folder(cache, name)?;
        let found = Leftovers::find(name, &folder)?;
        Leftovers::clear(name, &folder)?;
        Ok(found)
    }

    /// Names of all labs that have a folder.
    pub fn list(cache: &Path) -> Vec<String> {
        let entries = fs::read_dir(cache.join("labs")).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// What it was made from.
    pub fn spec(&self) -> &LabSpec {
        &self.state.spec
    }

    /// The hosts in use: all but the spare ones that nobody has started.
    pub fn hosts(&self) -> impl Iterator<Item = &HostSpec> {
        self.state.spec.hosts.iter().filter(|host| !host.spare || self.is_up(&host.name))
    }

    /// The masters among them.
    pub fn masters(&self) -> impl Iterator<Item = &HostSpec> {
        self.hosts().filter(|host| host.role == Role::Master)
    }

    /// What runs its virtual machines, if it has any.
    pub fn acceleration(&self) -> Option<Acceleration> {
        self.state.acceleration
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The home folder at the seat: `.ssh/{id_ed25519,known_hosts,config}`, `.sealift/{ops,plain}-password`.
    pub fn seat_home(&self) -> PathBuf {
        self.folder.join("seat")
    }

    /// Console output and supervisor's log of a host, for a look at what went wrong.
    pub fn logs(&self, host: &str) -> [PathBuf; 2] {
        ["console.log", "supervisor.log"].map(|name| self.host_folder(host).join(name))
    }

    /// A program at the seat: in its network namespace, with its home as home and current folder, on this machine's
    /// file system, without this process's environment. The process is the program itself, so it can be killed.
    pub fn seat_command(&self, argv: &[&str]) -> Command {
        let home = self.seat_home();
        let mut command = network::inside(self.name(), "seat");
        command.args(argv).current_dir(&home).env_clear().env("HOME", &home).env("USER", "root");
        command.env("LANG", "C.UTF-8").env("SHELL", "/bin/bash");
        for name in ["PATH", "TERM"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    /// A command on a host as root, over the lab's own way: it is in no count of the seat's bytes, and for a
    /// container it needs no network at all.
    pub fn host_command(&self, host: &str, argv: &[&str]) -> Result<Command> {
        let spec = self.state.spec.host(host)?;
        match spec.backend {
            Backend::Nspawn => self.enter(host, argv),
            Backend::Qemu => Ok(self.ssh_command(host, argv)),
        }
    }

    fn enter(&self, host: &str, argv: &[&str]) -> Result<Command> {
        let init = self.init(host).with_context(|| format!("{host} is off"))?;
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &init.to_string(),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
        ]);
        command.arg("--").args(argv).env_clear().env("HOME", "/root").env("LANG", "C.UTF-8");
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Ok(command)
    }

    /// `ssh` to a host as root from the lab's own end, with these words as its command (none: a login shell).
    pub fn ssh_command(&self, host: &str, argv: &[&str]) -> Command {
        let mut command = network::inside(self.name(), "ctl");
        command.args(["ssh", "-F"]).arg(self.folder.join("control/config")).arg(host);
        if !argv.is_empty() {
            let words: Vec<_> = argv.iter().map(|word| shell_word(word)).collect();
            command.arg("--").arg(words.join(" "));
        }
        command
    }

    /// Runs a command on a host as root, to its end, whatever that is.
    pub fn exec(&self, host: &str, argv: &[&str]) -> Result<Output> {
        command::output(&mut self.host_command(host, argv)?, None)
    }

    /// As [`Lab::exec`], with bytes for its standard input.
    pub fn exec_with_input(&self, host: &str, argv: &[&str], input: &[u8]) -> Result<Output> {
        command::output(&mut self.host_command(host, argv)?, Some(input))
    }

    /// Runs a command on a host as root that has to succeed; returns what it printed.
    pub fn run(&self, host: &str, argv: &[&str]) -> Result<String> {
        run(&mut self.host_command(host, argv)?).with_context(|| format!("on {host}"))
    }

    /// A file's content on a host.
    pub fn read_file(&self, host: &str, path: &str) -> Result<Vec<u8>> {
        let output = self.exec(host, &["cat", path])?;
        if !output.status.success() {
            bail!("{host}: cannot read {path}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(output.stdout)
    }

    /// Writes a file on a host, with the folders above it; a file that is there keeps its owner and mode.
    pub fn write_file(&self, host: &str, path: &str, content: &[u8]) -> Result<()> {
        let script = "mkdir -p \"$(dirname \"$1\")\" && cat >\"$1\"";
        let output = self.exec_with_input(host, &["sh", "-c", script, "sh", path], content)?;
        if !output.status.success() {
            bail!("{host}: cannot write {path}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// All files of a host, without the trees that a running system changes by itself and those named in `more`.
    pub fn snapshot_files(&self, host: &str, more: &[&str]) -> Result<BTreeMap<String, FileState>> {
        let digests = || self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = digests().remove(host).unwrap_or_default();
        let files = snapshot::take(self, host, more, &mut known);
        digests().insert(host.to_owned(), known);
        files
    }

    /// Whether the host has power.
    pub fn is_up(&self, host: &str) -> bool {
        supervise::Running::read(&self.host_folder(host)).is_some_and(|running| running.process.is_alive())
    }

    /// Takes a host's power away: everything on it ends at once, nothing is told.
    pub fn kill_host(&self, host: &str) -> Result<()> {
        self.state.spec.host(host)?;
        // The first process takes the whole container with it in one stroke; the rest is what stood beside it.
        if let Some(init) = self.init(host).and_then(|pid| process::ProcessId::of(pid).ok()) {
            init.kill();
        }
        process::kill_all(host, || cgroup::processes(self.name(), Some(host)))?;
        leftovers::wait_for_loops(&self.host_folder(host))?;
        cgroup::remove(self.name(), Some(host))?;
        network::detach_host(self.name(), host)
    }

    /// Gives a host power; does not wait for it to answer. One that is up stays as it is.
    pub fn start_host(&self, host: &str) -> Result<()> {
        self.state.spec.host(host)?;
        if self.is_up(host) {
            return Ok(());
        }
        self.power_on(host)?;
        self.wait_power(host)
    }

    fn power_on(&self, host: &str) -> Result<()> {
        // Removes what the host's last life left.
        self.kill_host(host)?;
        supervise::start(&self.folder, host)
    }

    fn wait_power(&self, host: &str) -> Result<()> {
        self.wait(host, "does not start", |lab| Ok(lab.is_up(host)))
    }

    /// Shuts a host down in order and waits until it is off.
    pub fn stop_host(&self, host: &str) -> Result<()> {
        if self.is_up(host) {
            self.run(host, &["systemctl", "poweroff"])?;
            self.wait(host, "does not go off", |lab| Ok(!lab.is_up(host)))?;
        }
        self.kill_host(host)
    }

    /// Reboots a host from inside and waits until it answers again.
    pub fn reboot_host(&self, host: &str) -> Result<()> {
        let boot_id = |lab: &Self| lab.run(host, &["cat", "/proc/sys/kernel/random/boot_id"]);
        let before = boot_id(self)?;
        // The connection may break before the command is through.
        let _ = self.exec(host, &["systemctl", "reboot"]);
        self.wait(host, "does not come back from a reboot", |lab| {
            Ok(boot_id(lab).is_ok_and(|now| now != before))
        })?;
        self.wait_ssh(host)
    }

    /// Waits until a host lets people log in over SSH.
    pub fn wait_ssh(&self, host: &str) -> Result<()> {
        self.wait(host, "does not answer", |lab| {
            // Between two lives of a host that reboots itself, its supervisor is there.
            let running = supervise::Running::read(&lab.host_folder(host));
            if !running.is_some_and(|running| running.supervisor.is_alive()) {
                bail!("{host} is off; {}", lab.last_words(host));
            }
            let mut probe = lab.ssh_command(host, &["test", "!", "-e", "/run/nologin"]);
            Ok(command::output(&mut probe, None)?.status.success())
        })
    }

    fn wait(&self, host: &str, problem: &str, mut done: impl FnMut(&Self) -> Result<bool>) -> Result<()> {
        let emulated = self.state.spec.host(host)?.backend == Backend::Qemu;
        let deadline = Instant::now() + if emulated { ANSWER_WITHIN * 5 } else { ANSWER_WITHIN };
        while !done(self)? {
            if Instant::now() > deadline {
                bail!("{host} {problem}; {}", self.last_words(host));
            }
            std::thread::sleep(Duration::from_millis(if emulated { 500 } else { 150 }));
        }
        Ok(())
    }

    /// The end of what a host's console and supervisor said: the files go with the lab, the message stays.
    fn last_words(&self, host: &str) -> String {
        let tail = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<_> = text.lines().collect();
            format!("the end of {}:\n{}", path.display(), lines[lines.len().saturating_sub(10)..].join("\n"))
        };
        self.logs(host).iter().map(tail).collect::<Vec<_>>().join("\n")
    }

    /// Starts all hosts that are off, at the same time, and waits until all answer. Spare ones are left as they are.
    pub fn start_all(&self) -> Result<()> {
        let mut hosts: Vec<_> = self.hosts().collect();
        // The slow ones first.
        hosts.sort_by_key(|host| host.backend != Backend::Qemu);
        let off: Vec<_> = hosts.iter().filter(|host| !self.is_up(&host.name)).collect();
        off.iter().try_for_each(|host| self.power_on(&host.name))?;
        off.iter().try_for_each(|host| self.wait_power(&host.name))?;
        hosts.iter().try_for_each(|host| self.wait_ssh(&host.name))
    }

    /// Takes the power of all hosts away at the same time.
    pub fn kill_all(&self) -> Result<()> {
        let inits: Vec<_> = self.state.spec.hosts.iter().filter_map(|host| self.init(&host.name)).collect();
        for init in inits.into_iter().filter_map(|pid| process::ProcessId::of(pid).ok()) {
            init.kill();
        }
        self.state.spec.hosts.iter().try_for_each(|host| self.kill_host(&host.name))
    }

    /// Gives all hosts new disks: they are as on their first day, with the names, keys and addresses that they had.
    pub fn set_up_anew(&self) -> Result<()> {
        self.kill_all()?;
        for host in &self.state.spec.hosts {
            create::create_disks(&self.state, &self.host_folder(&host.name), host)?;
        }
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.start_all()
    }

    /// Pulls a host's network cable. `seat` is allowed too.
    pub fn cut_link(&self, host: &str) -> Result<()> {
        network::set_link(self.name(), host, false)
    }

    /// Plugs a host's network cable back in.
    pub fn restore_link(&self, host: &str) -> Result<()> {
        network::set_link(self.name(), host, true)
    }

    /// Limits the seat's cable in both directions, or lifts the limit.
    pub fn shape_seat(&self, megabits_per_second: Option<u32>) -> Result<()> {
        network::shape_seat(self.name(), megabits_per_second)
    }

    /// Makes the seat forget its connections without a word to anyone, as one that was switched off.
    pub fn forget_seat_connections(&self) -> Result<()> {
        network::forget_seat_connections(self.name())
    }

    /// Bytes that the seat has sent since the lab came up.
    pub fn seat_tx_bytes(&self) -> Result<u64> {
        Ok(network::seat_bytes(self.name())?.0)
    }

    /// Bytes that the seat has received since the lab came up.
    pub fn seat_rx_bytes(&self) -> Result<u64> {
        Ok(network::seat_bytes(self.name())?.1)
    }

    /// What arrived at the dead end behind the default route.
    pub fn traffic(&self) -> Result<Traffic> {
        network::traffic(self.name())
    }

    /// Packets that went towards anywhere outside the lab.
    pub fn packets_outside(&self) -> Result<u64> {
        Ok(self.traffic()?.outside)
    }

    fn host_folder(&self, host: &str) -> PathBuf {
        self.folder.join("hosts").join(host)
    }

    /// The process that everything on the host hangs on: a container's first one, or QEMU.
    fn init(&self, host: &str) -> Option<u32> {
        let running =
            supervise::Running::read(&self.host_folder(host)).filter(|found| found.process.is_alive())?;
        let host = self.state.spec.host(host).ok()?;
        match host.backend {
            Backend::Nspawn => process::namespace_init(running.process.pid),
            Backend::Qemu => Some(running.process.pid),
        }
    }
}

fn folder(cache: &Path, name: &str) -> Result<PathBuf> {
    spec::check_lab_name(name)?;
    Ok(cache.join("labs").join(name))
}

/// Keeps two runs from making and clearing the same lab at once.
fn lock(cache: &Path, name: &str) -> Result<fs::File> {
    spec::check_lab_name(name)?;
    let labs = cache.join("labs");
    fs::create_dir_all(&labs).with_context(|| format!("cannot make {}", labs.display()))?;
    let path = labs.join(format!(".{name}.lock"));
    let file = fs::File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}
