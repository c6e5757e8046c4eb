//! Hosts that cannot be installed on: each cause has its own message with host, cause and next step, its exit code,
//! and leaves every host as it was.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Test;
pub use crate::demo::seat::DEMO;
use crate::lab::{self, Backend, FileState, Lab};
use crate::test::{Context, Ended, joined};

/// In order; the first one shows that nothing but the cause of each case stands in the way.
pub const TESTS: &[Test] = &[
    Test::fresh("hosts::check_passes_and_changes_nothing", check_passes),
    Test::fresh("hosts::environment_decides_what_stands_in_the_way", environment),
    Test::fresh("hosts::wrong_host_key", wrong_host_key),
    Test::fresh("hosts::unknown_host_key", unknown_host_key),
    Test::fresh("hosts::wrong_password", wrong_password),
    Test::fresh("hosts::no_sudo", no_sudo),
    Test::fresh("hosts::wrong_sudo_password", wrong_sudo_password),
    Test::fresh("hosts::host_down", host_down),
    Test::fresh("hosts::disk_too_small", disk_too_small),
    Test::fresh("hosts::port_taken", port_taken),
    Test::fresh("hosts::leftover_of_another_cluster", leftover_of_another_cluster),
];

/// The installer's exit code when hosts or checks stand in the way.
const CHECKS: i32 = 3;

/// What the operating system writes when somebody logs in and uses sudo: not the installer's doing.
const LOGIN_TRACES: &[&str] = &["/var/lib/sudo"];

/// Folders that a snapshot does not look into because clusters change them all the time: here they must be empty.
const CLUSTER_FOLDERS: &[&str] = &["/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd"];

/// What only packages fill. An emulated machine takes half a minute to read it; the containers' cases look there.
const PACKAGED: &[&str] = &["/boot", "/usr/lib", "/usr/share"];

/// All files of a fresh host, without what logins leave.
pub fn files(lab: &Lab, host: &str) -> Result<BTreeMap<String, FileState>> {
    match lab.spec().host(host)?.backend {
        Backend::Nspawn => lab.snapshot_files(host, LOGIN_TRACES),
        Backend::Qemu => lab.snapshot_files(host, &[LOGIN_TRACES, PACKAGED].concat()),
    }
}

fn names(lab: &Lab) -> Vec<&str> {
    lab.hosts().map(|host| host.name.as_str()).collect()
}

/// The files of hosts, by name and path.
pub type HostFiles<'a> = BTreeMap<&'a str, BTreeMap<String, FileState>>;

/// Looks at these hosts, at the same time.
pub fn look<'a>(lab: &Lab, hosts: &[&'a str]) -> Result<HostFiles<'a>> {
    std::thread::scope(|scope| {
        let looks: Vec<_> = hosts.iter().map(|host| (*host, scope.spawn(|| files(lab, host)))).collect();
        looks.into_iter().map(|(host, look)| Ok((host, joined(look)?))).collect()
    })
}

/// What hosts look like before a case.
pub struct Before<'a> {
    lab: &'a Lab,
    hosts: HostFiles<'a>,
}

impl<'a> Before<'a> {
    /// Looks at these hosts.
    pub fn look(lab: &'a Lab, hosts: &[&'a str]) -> Result<Self> {
        Ok(Self { lab, hosts: look(lab, hosts)? })
    }

    /// Fails when anything differs now, or something of the installer is left.
    pub fn unchanged(&self) -> Result<()> {
        as_before(self.lab, &self.hosts)
    }
}

fn as_before(lab: &Lab, before: &HostFiles<'_>) -> Result<()> {
    let names: Vec<&str> = before.keys().copied().collect();
    let after = look(lab, &names)?;
    for (host, files) in before {
        let differences = lab::differences(files, &after[host]);
        if !differences.is_empty() {
            bail!("files of {host} are not as before:\n{}", differences.join("\n"));
        }
        nothing_left(lab, host)?;
    }
    Ok(())
}

/// No process, no uploaded program, no data of a cluster.
fn nothing_left(lab: &Lab, host: &str) -> Result<()> {
    let script = "find /var/tmp /tmp /home -type f -size +1M; \
        for folder in \"$@\"; do find \"$folder\" -mindepth 1 ! -name lost+found ! -name filler; done; \
        readlink /proc/[0-9]*/exe | grep -E 'installer|sealift' || true";
    let mut words = vec!["sh", "-c", script, "look"];
    words.extend(CLUSTER_FOLDERS);
    let left = lab.run(host, &words)?;
    if !left.trim().is_empty() {
        bail!("something is left on {host}:\n{left}");
    }
    Ok(())
}

/// Installs with a profile and more over it, in plain words as a person reads them.
pub fn install(context: &Context<'_>, profile: &str, overlays: &[&str]) -> Result<Ended> {
    let mut arguments = vec!["install", "--bundle", "orders.bundle", "--yes", "--profile", profile];
    for overlay in overlays {
        arguments.extend(["--profile", overlay]);
    }
    context.installer(&arguments)
}

/// The whole case: refused with this code, these words and a next step, and all hosts are as they were before the first
/// case.
fn refused(context: &Context<'_>, overlays: &[&str], words: &[&str]) -> Result<()> {
    context.fresh_files()?;
    let ended = install(context, DEMO, overlays)?;
    says(&ended, words)?;
    unchanged(context)
}

/// No host differs from what it was before the first case.
fn unchanged(context: &Context<'_>) -> Result<()> {
    as_before(context.lab, context.fresh_files()?)
}

/// Refused before a run began, with these words and a next step.
pub fn says(ended: &Ended, words: &[&str]) -> Result<()> {
    ended.expect_code(CHECKS)?.expect_text(words)?.expect_text(&["error: ", "next: "])?;
    // A run that began would have a folder and changes.
    if ended.output.lines().any(|line| line.starts_with("run ")) {
        bail!("a run was begun:\n{}", ended.output);
    }
    Ok(())
}

fn check_passes(context: &Context<'_>) -> Result<()> {
    context.fresh_files()?;
    let ended =
        context.installer(&["check", "--profile", "profiles/demo.yaml", "--bundle", "orders.bundle"])?;
    ended.expect_code(0)?.expect_text(&["0 failed", "nothing was changed"])?;
    unchanged(context)
}

/// One master and one worker: refused for production, and no word about it for a test.
fn environment(context: &Context<'_>) -> Result<()> {
    const PROFILE: &str = "profiles/one-of-each.yaml";
    context.fresh_files()?;
    let home = context.lab.seat_home();
    let mut site: serde_yaml::Value = serde_yaml::from_str(&fs::read_to_string(home.join(DEMO))?)?;
    let hosts = site["hosts"].as_sequence_mut().context("the demo names no hosts")?;
    hosts.retain(|host| host["name"].as_str().is_some_and(|name| ["m1", "w1"].contains(&name)));
    fs::write(home.join(PROFILE), serde_yaml::to_string(&site)?)?;
    let check = |environment: &str| {
        let overlay = context
            .overlay(&format!("environment-{environment}"), &format!("environment: {environment}\n"))?;
        let words =
            ["check", "--bundle", "orders.bundle", "--profile", PROFILE, "--profile", overlay.as_str()];
        context.installer(&words)
    };
    let refused = ["site.masters", "site.workers", "acceptedRisks"];
    check("production")?.expect_code(CHECKS)?.expect_text(&refused)?;
    let test = check("test")?;
    test.expect_code(0)?;
    if refused.iter().any(|word| test.text().contains(word)) {
        bail!("a site for tests is judged like another one:\n{}", test.text());
    }
    unchanged(context)
}

/// The demo's list of known keys, with the line of one host changed by `change` (or taken out).
fn known_hosts(context: &Context<'_>, name: &str, host: &str, change: Option<&str>) -> Result<String> {
    let home = context.lab.seat_home();
    let known = fs::read_to_string(home.join(".ssh/known_hosts"))?;
    let lines = known.lines().filter_map(|line| match line.split_once(' ') {
        Some((names, _)) if names.split(',').any(|known| known == host) => {
            change.map(|key| format!("{names} {key}\n"))
        }
        _ => Some(format!("{line}\n")),
    });
    fs::write(home.join(format!(".ssh/{name}")), lines.collect::<String>())?;
    context.overlay(name, &format!("access:\n  knownHosts: ~/.ssh/{name}\n"))
}

fn wrong_host_key(context: &Context<'_>) -> Result<()> {
    let other = tempfile::tempdir()?;
    let key = other.path().join("key");
    lab::run(
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "other", "-f"]).arg(&key),
    )?;
    let public = fs::read_to_string(key.with_extension("pub"))?;
    let words: Vec<&str> = public.split_whitespace().take(2).collect();
    let overlay = known_hosts(context, "wrong-host-key", "m3", Some(&words.join(" ")))?;
    let expected = lab::run(Command::new("ssh-keygen").arg("-lf").arg(&key))?;
    let expected = expected.split_whitespace().nth(1).context("ssh-keygen names no fingerprint")?.to_owned();
    let got = context.lab.run("m3", &["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"])?;
    let got = got.split_whitespace().nth(1).context("ssh-keygen names no fingerprint")?.to_owned();
    refused(
        context,
        &[&overlay],
        &["m3 (10.77.0.13)", "another host key", &expected, &got, "ssh-keygen -lf", "someone may be between"],
    )
}

fn unknown_host_key(context: &Context<'_>) -> Result<()> {
    let overlay = known_hosts(context, "unknown-host-key", "m2", None)?;
    refused(context, &[&overlay], &["the host key of m2 (10.77.0.12) is not known", "SHA256:", "hostKey"])
}

/// A profile like the demo's but with a password instead of a key, and another password for w1.
fn wrong_password(context: &Context<'_>) -> Result<()> {
    let home = context.lab.seat_home();
    let by_key = fs::read_to_string(home.join(DEMO))?;
    let by_password: String = by_key
        .lines()
        .map(|line| {
            let key = line.trim_start().starts_with("privateKey:");
            if key { "  password: {file: ~/.sealift/ops-password}\n".to_owned() } else { format!("{line}\n") }
        })
        .collect();
    fs::write(home.join("profiles/by-password.yaml"), by_password)?;
    fs::write(home.join(".sealift/wrong-password"), "not-the-password\n")?;
    let overlay = context.overlay(
        "wrong-password",
        "hosts:\n  - name: w1\n    password: {file: ~/.sealift/wrong-password}\n",
    )?;
    context.fresh_files()?;
    let ended = install(context, "profiles/by-password.yaml", &[&overlay])?;
    says(&ended, &["w1 (10.77.0.21) refused the password of user ops", "check the password of ops"])?;
    // The others take the right one.
    if ["m1", "m2", "m3"].iter().any(|host| ended.errors.contains(&format!("{host} (10.77"))) {
        bail!("a host that takes the password is blamed too:\n{}", ended.errors);
    }
    unchanged(context)
}

fn no_sudo(context: &Context<'_>) -> Result<()> {
    let overlay = context.overlay(
        "no-sudo",
        "hosts:\n  - name: m2\n    user: plain\n    sudoPassword: {file: ~/.sealift/plain-password}\n",
    )?;
    refused(
        context,
        &[&overlay],
        &["user plain cannot become root on m2 (10.77.0.12)", "let plain use sudo on m2"],
    )
}

fn wrong_sudo_password(context: &Context<'_>) -> Result<()> {
    fs::write(context.lab.seat_home().join(".sealift/wrong-password"), "not-the-password\n")?;
    let overlay = context.overlay(
        "wrong-sudo-password",
        "hosts:\n  - name: m3\n    sudoPassword: {file: ~/.sealift/wrong-password}\n",
    )?;
    refused(
        context,
        &[&overlay],
        &["sudo on m3 (10.77.0.13) refused the password of user ops", "`sudoPassword` for m3"],
    )
}

fn host_down(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let others: Vec<&str> = names(lab).into_iter().filter(|host| *host != "w1").collect();
    let before = Before::look(lab, &others)?;
    lab.kill_host("w1")?;
    let ended = install(context, DEMO, &[]);
    let checked = context.installer(&["check", "--bundle", "orders.bundle", "--profile", DEMO]);
    lab.start_host("w1")?;
    lab.wait_ssh("w1")?;
    let silent = ["w1 (10.77.0.21)", "check that w1 is switched on"];
    says(&ended?, &silent)?;
    // What stands on the others is shown all the same.
    let checked = checked?;
    checked.expect_code(CHECKS)?.expect_text(&silent)?;
    checked.expect_text(&["         m1 m2 m3 w1 w2", " on 4 hosts: ", " blocked"])?;
    before.unchanged()
}

fn disk_too_small(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let filler = "/var/lib/containerd/filler";
    // Space that is taken without being written: the file system is as full as it says, the machine's disk is not.
    lab.run("w1", &["fallocate", "--length", "11500MiB", filler])?;
    let result = refused(
        context,
        &[],
        &["disk.space on w1", "/var/lib/containerd", "limit", "what to do", "larger disk"],
    );
    lab.run("w1", &["rm", filler])?;
    result
}

fn port_taken(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let unit = "occupant";
    lab.run(
        "m2",
        &["systemd-run", "--quiet", "--unit", unit, "socat", "TCP-LISTEN:6443,fork,reuseaddr", "EXEC:cat"],
    )?;
    let listening = "until ss -Htln 'sport = :6443' | grep -q .; do sleep 0.05; done";
    lab.run("m2", &["timeout", "30", "sh", "-c", listening])?;
    let result =
        refused(context, &[], &["ports.free on m2", "6443/tcp", "socat", "occupant.service", "what to do"]);
    lab.run("m2", &["systemctl", "stop", unit])?;
    result
}

fn leftover_of_another_cluster(context: &Context<'_>) -> Result<()> {
    let lab = context.lab;
    let file = "/etc/kubernetes/pki/ca.crt";
    lab.write_file("m1", file, b"of a cluster that somebody may still want\n")?;
    let before = Before::look(lab, &names(lab))?;
    let result = install(context, DEMO, &[])
        .and_then(|ended| says(&ended, &["leftovers on m1", "/etc/kubernetes", "ask whose cluster this was"]))
        .and_then(|()| before.unchanged());
    let kept = lab.read_file("m1", file);
    lab.run("m1", &["rm", "--recursive", "/etc/kubernetes"])?;
    result?;
    if kept? != b"of a cluster that somebody may still want\n" {
        bail!("{file} on m1 was changed");
    }
    Ok(())
}
