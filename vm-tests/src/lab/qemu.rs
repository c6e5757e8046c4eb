//! A host as a virtual machine: its own kernel, control groups of version 2, modules, swap, clock and reboots.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::State;
use super::command::run;
use super::network::namespace_path;
use super::spec::HostSpec;

/// What executes a virtual machine's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Acceleration {
    /// The processor, through the kernel.
    Kvm,
    /// Emulation: always there, many times slower.
    Tcg,
}

/// How long the trial of KVM may take: a guest that works is through in a few seconds.
const TRIAL_WITHIN: Duration = Duration::from_secs(25);
/// What the kernel says when its first program ends at once: it got as far as running programs.
const TRIAL_PASSED: &str = "Attempted to kill init";
/// What QEMU says when the kernel below it cannot run a guest's instruction.
const TRIAL_FAILED: &str = "KVM internal error";

/// What `SEALIFT_ACCEL` asks for, else KVM where this machine image's kernel really runs under it, else emulation.
pub fn acceleration(image: &Path) -> Result<Acceleration> {
    match std::env::var("SEALIFT_ACCEL").as_deref() {
        Ok("kvm") => Ok(Acceleration::Kvm),
        Ok("tcg") => Ok(Acceleration::Tcg),
        Ok("" | "auto") | Err(_) => Ok(if kvm_works(image)? { Acceleration::Kvm } else { Acceleration::Tcg }),
        Ok(other) => bail!("SEALIFT_ACCEL={other}: not one of auto, kvm, tcg"),
    }
}

/// Tries it out, once per boot of this machine. A device file proves nothing, and neither does a guest of a few
/// instructions: where this machine is itself virtual, KVM may be there and lack just what a real kernel needs.
fn kvm_works(image: &Path) -> Result<bool> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(false);
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("cannot read this machine's boot id")?;
    let note = image.join("kvm");
    if let Some(answer) = fs::read_to_string(&note).ok().as_deref().and_then(|text| text.strip_prefix(&boot))
    {
        return Ok(answer == "works");
    }
    let works = try_kernel(image)?;
    fs::write(&note, format!("{boot}{}", if works { "works" } else { "fails" }))
        .context("cannot note how KVM did")?;
    Ok(works)
}

/// Boots the kernel with a first program that ends at once, and looks whether it got there.
fn try_kernel(image: &Path) -> Result<bool> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let log = folder.path().join("console");
    let console = fs::File::create(&log).context("cannot make a console log")?;
    let mut child = Command::new("qemu-system-x86_64")
        .args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"])
        .args(["-machine", "q35", "-accel", "kvm", "-cpu", "host", "-smp", "2", "-m", "512M", "-kernel"])
        .arg(image.join("vmlinuz"))
        .arg("-initrd")
        .arg(image.join("initrd"))
        .args(["-append", "console=ttyS0 panic=-1 rdinit=/bin/true"])
        .stdin(Stdio::null())
        .stdout(console.try_clone().context("cannot share the console log")?)
        .stderr(console)
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let deadline = Instant::now() + TRIAL_WITHIN;
    let read = || String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
    let ended = loop {
        if child.try_wait().context("cannot wait for QEMU")?.is_some() {
            break true;
        }
        if Instant::now() > deadline || read().contains(TRIAL_FAILED) {
            break false;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().context("cannot wait for QEMU")?;
    Ok(ended && read().contains(TRIAL_PASSED))
}

/// Prepares what a virtual machine needs before its first start: a layer above the base image's disk.
pub fn create(folder: &Path, base: &Path) -> Result<()> {
    let mut command = Command::new("qemu-img");
    command.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(base.join("disk"));
    run(command.arg(folder.join("disk.qcow2"))).map(drop)
}

/// QEMU in the bridge's namespace, on the tap that is plugged in for it.
pub fn command(state: &State, lab_folder: &Path, host: &HostSpec) -> Result<Command> {
    let folder = lab_folder.join("hosts").join(&host.name);
    let image = state.machine_image.as_ref().context("this lab was made without virtual machines")?;
    let acceleration = state.acceleration.unwrap_or(Acceleration::Tcg);
    let machine_id =
        fs::read_to_string(folder.join("machine-id")).context("cannot read the host's machine-id")?;
    let [_, _, _, last] = host.address.octets();
    let (accel, cpu) = match acceleration {
        Acceleration::Kvm => ("kvm", "host"),
        // Emulated, the newer instructions for ciphers and vectors are slower than what programs do without them: a TLS
        // download takes a quarter of the time. This is x86-64-v2, which distributions of today ask for.
        Acceleration::Tcg => ("tcg,thread=multi", "Nehalem"),
    };
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--net={}", namespace_path(&state.name, "lab").display()))
        .args(["--", "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-name", &host.name, "-machine", "q35", "-accel", accel, "-cpu", cpu])
        .args(["-smp", &host.cpus.to_string(), "-m", &format!("{}M", host.memory_mib.unwrap_or(2048))])
        .args(["-rtc", "base=utc", "-serial", "stdio", "-device", "virtio-rng-pci"])
        .arg("-kernel")
        .arg(image.join("vmlinuz"))
        .arg("-initrd")
        .arg(image.join("initrd"))
        .arg("-append")
        .arg(format!(
            "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 mitigations=off panic=5 \
             systemd.machine_id={machine_id} systemd.show_status=1"
        ))
        .arg("-drive")
        .arg(format!("file={},format=qcow2,if=virtio,discard=unmap", folder.join("disk.qcow2").display()))
        .arg("-drive")
        .arg(format!("file={},format=raw,if=virtio,readonly=on", folder.join("seed.tar").display()))
        .arg("-netdev")
        .arg(format!("tap,id=net,ifname={},script=no,downscript=no", host.name))
        .arg("-device")
        .arg(format!("virtio-net-pci,netdev=net,mac=02:53:4c:00:00:{last:02x}"));
    Ok(command)
}
