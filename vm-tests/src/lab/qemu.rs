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

/// Leaves QEMU with a known status: `mov al, 16; mov dx, 0xf4; out dx, al; hlt`.
const EXIT_PROGRAM: [u8; 7] = [0xb0, 0x10, 0xba, 0xf4, 0x00, 0xee, 0xf4];
/// The status that [`EXIT_PROGRAM`] gives: twice the value it wrote, and one.
const EXIT_STATUS: i32 = 33;

/// What `SEALIFT_ACCEL` asks for, else KVM where a guest really runs under it, else emulation.
pub fn acceleration() -> Result<Acceleration> {
    match std::env::var("SEALIFT_ACCEL").as_deref() {
        Ok("kvm") => Ok(Acceleration::Kvm),
        Ok("tcg") => Ok(Acceleration::Tcg),
        Ok("" | "auto") | Err(_) => Ok(if kvm_works() { Acceleration::Kvm } else { Acceleration::Tcg }),
        Ok(other) => bail!("SEALIFT_ACCEL={other}: not one of auto, kvm, tcg"),
    }
}

/// Runs a seven-byte guest: a device file alone proves nothing on a machine that is itself virtual.
fn kvm_works() -> bool {
    if !Path::new("/dev/kvm").exists() {
        return false;
    }
    try_guest().unwrap_or(false)
}

fn try_guest() -> Result<bool> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let disk = folder.path().join("boot");
    let mut sector = vec![0; 512];
    sector[..EXIT_PROGRAM.len()].copy_from_slice(&EXIT_PROGRAM);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    fs::write(&disk, sector).context("cannot write a boot sector")?;
    let mut child = Command::new("qemu-system-x86_64")
        .args(["-accel", "kvm", "-m", "16", "-nodefaults", "-no-user-config", "-display", "none"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive"])
        .arg(format!("file={},format=raw,if=ide", disk.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for QEMU")? {
            return Ok(status.code() == Some(EXIT_STATUS));
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
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
        Acceleration::Tcg => ("tcg,thread=multi", "max"),
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
            "root=LABEL=lab-root rw console=ttyS0 quiet net.ifnames=0 mitigations=off panic=5 \
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
