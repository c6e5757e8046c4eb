//! The lab's promises, tried on real hosts: a test of the ground that all other tests stand on.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::{Backend, Lab, LabSpec, differences, process, run};

/// Makes two labs side by side, tries what the lab promises, and takes them down.
///
/// With `machine`, one host is a virtual machine. Calls `show` with each promise once it was seen to hold.
pub fn check(cache: &Path, name: &str, machine: bool, show: &mut dyn FnMut(&str)) -> Result<()> {
    let spec = LabSpec::new(2, u8::from(machine), u8::from(machine));
    let other = format!("{name}-b");
    Lab::down(cache, name)?;
    Lab::down(cache, &other)?;
    let lab = Lab::up(cache, name, &spec)?;
    let result = Lab::up(cache, &other, &LabSpec::new(1, 0, 0)).and_then(|beside| {
        show("two labs with the same addresses are up");
        promises(cache, &lab, &beside, show)
    });
    let gone = Lab::down(cache, name).and(Lab::down(cache, &other));
    result?;
    gone?;
    for name in [name, &other] {
        let again = Lab::down(cache, name)?;
        ensure!(again.is_empty(), "lab {name} was taken down and still has {again}");
    }
    show("nothing is left of them");
    Ok(())
}

fn promises(cache: &Path, lab: &Lab, beside: &Lab, show: &mut dyn FnMut(&str)) -> Result<()> {
    logins(lab)?;
    show("keys, passwords and sudo of each user are as described");
    counting(lab, beside)?;
    show("packets towards outside are counted, in their own lab only");
    for host in &lab.spec().hosts {
        power(lab, &host.name)?;
        show(&format!("{} loses power, starts, reboots, and keeps its files", host.name));
    }
    blackout(lab)?;
    show("all hosts lose power at once and come back; one shuts down in order");
    links(lab)?;
    show("a cut cable is cut, and works again when plugged in");
    seat(lab)?;
    show("the seat's bytes are counted; what runs there can be killed");
    reuse(cache, lab)?;
    show("a lab that is there is gone on with; what a killed run left half made is made whole");
    Ok(())
}

fn at_seat(lab: &Lab, script: &str) -> Result<String> {
    run(&mut lab.seat_command(&["sh", "-c", script])).context("at the seat")
}

fn logins(lab: &Lab) -> Result<()> {
    for host in &lab.spec().hosts {
        let (name, address) = (&host.name, host.address);
        let seen = at_seat(
            lab,
            &format!(
                "ssh -F .ssh/config {name} id -un && ssh -F .ssh/config {address} hostname && \
                 ssh -F .ssh/config admin@{name} sudo -n id -un && \
                 ssh -F .ssh/config {name} sudo -S -p \"''\" id -un <.sealift/ops-password && \
                 ! ssh -F .ssh/config plain@{name} sudo -n true 2>/dev/null && \
                 ! ssh -F .ssh/config {name} sudo -n true 2>/dev/null && \
                 ssh -F .ssh/config -J plain@m1 plain@{name} id -un"
            ),
        )?;
        ensure!(seen == format!("ops\n{name}\nroot\nroot\nplain\n"), "{name}: logins gave {seen:?}");
    }
    Ok(())
}

fn counting(lab: &Lab, beside: &Lab) -> Result<()> {
    ensure!(lab.packets_outside()? == 0, "packets before any were sent: {:?}", lab.traffic()?);
    for host in &lab.spec().hosts {
        let output = lab.exec(&host.name, &["ping", "-c", "1", "-W", "1", "192.0.2.1"])?;
        ensure!(!output.status.success(), "{} reached the outside", host.name);
    }
    let traffic = lab.traffic()?;
    let hosts = lab.spec().hosts.len();
    ensure!(traffic.outside == hosts as u64, "{hosts} pings gave {traffic:?}");
    ensure!(traffic.offenders.len() == hosts, "{hosts} senders gave {traffic:?}");
    ensure!(beside.packets_outside()? == 0, "the other lab counted {:?}", beside.traffic()?);
    Ok(())
}

fn power(lab: &Lab, host: &str) -> Result<()> {
    lab.write_file(host, "/etc/lab check/kept", b"kept")?;
    lab.run(host, &["sync"])?;
    let before = lab.snapshot_files(host, &[])?;
    lab.kill_host(host)?;
    ensure!(!lab.is_up(host), "{host} is up after it lost power");
    ensure!(
        lab.exec(host, &["true"]).is_err() || !lab.exec(host, &["true"])?.status.success(),
        "{host} answers"
    );
    lab.start_host(host)?;
    lab.wait_ssh(host)?;
    lab.reboot_host(host)?;
    ensure!(lab.read_file(host, "/etc/lab check/kept")? == b"kept", "{host} lost a file");
    let after = lab.snapshot_files(host, &[])?;
    let changed = differences(&before, &after);
    ensure!(changed.is_empty(), "{host}: power and reboot changed {changed:?}");
    if lab.spec().host(host)?.backend == Backend::Qemu {
        let swap = lab.run(host, &["cat", "/proc/swaps"])?;
        ensure!(swap.contains("/swapfile"), "{host} has no swap: {swap}");
    }
    Ok(())
}

fn blackout(lab: &Lab) -> Result<()> {
    lab.kill_all()?;
    for host in &lab.spec().hosts {
        ensure!(!lab.is_up(&host.name), "{} is up after all lost power", host.name);
    }
    lab.start_all()?;
    lab.stop_host("m2")?;
    ensure!(!lab.is_up("m2"), "m2 is up after it was shut down");
    lab.start_host("m2")?;
    lab.wait_ssh("m2")
}

fn links(lab: &Lab) -> Result<()> {
    let reaches = || lab.exec("m2", &["ping", "-c", "1", "-W", "2", "10.77.0.11"]);
    lab.cut_link("m1")?;
    ensure!(!reaches()?.status.success(), "m1 is reached without a cable");
    lab.restore_link("m1")?;
    ensure!(reaches()?.status.success(), "m1 is not reached with its cable plugged in");
    Ok(())
}

fn seat(lab: &Lab) -> Result<()> {
    let (sent, received) = (lab.seat_tx_bytes()?, lab.seat_rx_bytes()?);
    lab.shape_seat(Some(400))?;
    at_seat(lab, "head -c 3000000 /dev/zero | ssh -F .ssh/config m1 'cat >/dev/null'")?;
    lab.shape_seat(None)?;
    let (sent, received) = (lab.seat_tx_bytes()? - sent, lab.seat_rx_bytes()? - received);
    ensure!((3_000_000..4_500_000).contains(&sent), "3 MB sent were counted as {sent}");
    ensure!(received < 600_000, "answers to 3 MB were counted as {received} bytes");
    let home = at_seat(lab, "echo $HOME; pwd")?;
    let expected = lab.seat_home().display().to_string();
    ensure!(home == format!("{expected}\n{expected}\n"), "home and folder at the seat are {home}");
    let mut child =
        lab.seat_command(&["sleep", "600"]).stdout(Stdio::null()).spawn().context("cannot start sleep")?;
    child.kill().context("cannot kill a program at the seat")?;
    let status = child.wait().context("cannot wait for a program at the seat")?;
    ensure!(!status.success(), "a killed program ended with {status}");
    Ok(())
}

fn reuse(cache: &Path, lab: &Lab) -> Result<()> {
    lab.kill_host("m2")?;
    let again = Lab::up(cache, lab.name(), lab.spec())?;
    ensure!(again.reused && again.is_up("m2"), "the lab was not gone on with");
    // As if the run that made it had been killed half-way: a network without its seat.
    run(Command::new("ip").args(["netns", "delete", &super::network::namespace(lab.name(), "ctl")]))?;
    run(Command::new("ip").args([
        "-n",
        &super::network::namespace(lab.name(), "lab"),
        "link",
        "set",
        "br0",
        "alias",
        "",
    ]))?;
    let again = Lab::up(cache, lab.name(), lab.spec())?;
    ensure!(again.reused, "a folder that was whole was thrown away");
    ensure!(lab.read_file("m1", "/etc/lab check/kept")? == b"kept", "m1 lost a file");
    // As if it had been killed while the folder was made.
    fs::remove_file(lab.folder().join("lab.json")).context("cannot remove the lab's description")?;
    let made = Lab::up(cache, lab.name(), &LabSpec::new(1, 0, 0))?;
    ensure!(!made.reused, "half a folder was taken for a lab");
    let Some(init) = made.init("m1") else { bail!("m1 of the new lab has no first process") };
    ensure!(process::ProcessId::of(init)?.is_alive(), "m1 of the new lab does not run");
    Ok(())
}
