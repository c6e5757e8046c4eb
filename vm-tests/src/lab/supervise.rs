//! The process beside each host: it plugs the host in, starts it, starts it again when it reboots, and stays
//! after the program that asked for it has ended.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::command::run;
use super::process::ProcessId;
use super::spec::{Backend, HostSpec};
use super::{State, cgroup, identity, network, nspawn, qemu};

/// nspawn's way to say that the system in the container asked for a reboot.
const REBOOT: i32 = 133;

/// What runs for a host: written by its supervisor.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Running {
    /// The supervisor.
    pub supervisor: ProcessId,
    /// nspawn or QEMU.
    pub process: ProcessId,
}

impl Running {
    /// What was last written about a host; nothing, if it was never started.
    pub fn read(host_folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(host_folder.join("running.json")).ok()?).ok()
    }
}

/// Starts a host's supervisor, on its own from the first moment: no terminal, no parent, own log.
///
/// It runs from a copy of this program, so that a build beside a running lab changes nothing.
pub fn start(lab_folder: &Path, host: &str) -> Result<()> {
    let host_folder = lab_folder.join("hosts").join(host);
    // What an earlier life left must not be taken for this one's.
    let _ = fs::remove_file(host_folder.join("running.json"));
    let log = host_folder.join("supervisor.log");
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot open {}", log.display()))?;
    let errors = file.try_clone().with_context(|| format!("cannot open {}", log.display()))?;
    let status = Command::new("setsid")
        .arg("--fork")
        .arg(lab_folder.join("supervisor"))
        .args(["lab", "supervise", host, "--folder"])
        .arg(lab_folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .status()
        .context("cannot start setsid")?;
    if !status.success() {
        bail!("the supervisor of {host} did not start: {status}; see {}", log.display());
    }
    Ok(())
}

/// The supervisor's own life: returns when the host is off.
pub fn supervise(lab_folder: &Path, host: &str) -> Result<()> {
    let state = State::read(lab_folder)?;
    let host = state.spec.host(host)?;
    let folder = lab_folder.join("hosts").join(&host.name);
    cgroup::join(&state.name, &host.name, host.memory_mib.filter(|_| host.backend == Backend::Nspawn))?;
    loop {
        network::attach_host(&state.name, host)?;
        let status = spawn(&state, lab_folder, host).and_then(|child| watch(&folder, child))?;
        let off = format!("{} is off: {status}", host.name);
        append_log(&folder, &off);
        if status.code() != Some(REBOOT) || status.signal().is_some() {
            return network::detach_host(&state.name, &host.name);
        }
    }
}

fn spawn(state: &State, lab_folder: &Path, host: &HostSpec) -> Result<Child> {
    let folder = lab_folder.join("hosts").join(&host.name);
    let console = fs::OpenOptions::new().create(true).append(true).open(folder.join("console.log"));
    let console = console.context("cannot open the host's console log")?;
    let mut command = match host.backend {
        // Mounts in a namespace of their own end with the host, however it ends.
        Backend::Nspawn => {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "slave", "--"]).arg(lab_folder.join("supervisor"));
            command.args(["lab", "boot", &host.name, "--folder"]).arg(lab_folder);
            command
        }
        Backend::Qemu => qemu::command(state, lab_folder, host)?,
    };
    command
        .stdin(Stdio::null())
        .stdout(console.try_clone().context("cannot share the console log")?)
        .stderr(console);
    command.spawn().with_context(|| format!("cannot start {}", host.name))
}

fn watch(folder: &Path, mut child: Child) -> Result<ExitStatus> {
    let running =
        Running { supervisor: ProcessId::of(std::process::id())?, process: ProcessId::of(child.id())? };
    let text = serde_json::to_vec(&running).context("cannot describe what runs")?;
    // Whole or not at all: others read it at any time.
    let temporary = folder.join(".running.json");
    identity::write_private(&temporary, &text)?;
    fs::rename(&temporary, folder.join("running.json")).context("cannot put running.json in place")?;
    child.wait().context("cannot wait for the host")
}

fn append_log(folder: &Path, line: &str) {
    use std::io::Write as _;
    let file = fs::OpenOptions::new().create(true).append(true).open(folder.join("supervisor.log"));
    // A log that cannot be written must not keep a host from starting.
    if let Ok(mut file) = file {
        let _ = writeln!(file, "{} {line}", jiff::Timestamp::now());
    }
}

/// Inside the host's mount namespace: mounts its disks and becomes nspawn.
pub fn boot(lab_folder: &Path, host: &str) -> Result<()> {
    let state = State::read(lab_folder)?;
    let host = state.spec.host(host)?;
    let folder = lab_folder.join("hosts").join(&host.name);
    let root = nspawn::mount(&state, &folder, host)?;
    if !folder.join(nspawn::SEEDED).exists() {
        let mut command = Command::new("tar");
        command.args(["--extract", "--preserve-permissions", "--numeric-owner", "--directory"]).arg(&root);
        run(command.arg("--file").arg(folder.join("seed.tar")))?;
        fs::write(folder.join(nspawn::SEEDED), "").context("cannot note that the host has its identity")?;
    }
    nspawn::become_host(&state, &folder, host, &root)
}
