//! What was signed is what is done: a plan file binds an install, and its change list is what the hosts then have and
//! what their own journals say.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};
use sealift_bundle::digest::digest_of;
use serde::Deserialize;
use serde_json::Value;

use super::Test;
use crate::lab::Lab;
use crate::test::{Context, SIGNED_PLAN};

/// In order.
pub const TESTS: &[Test] = &[
    Test::fresh("plan::another_site_is_refused_before_anything_changes", another_site_is_refused),
    Test::fresh("plan::tables_for_tickets", tables_for_tickets),
    Test::cluster("plan::hosts_changed_as_was_signed", hosts_changed_as_was_signed),
];

/// Exit code of wrong use.
const USAGE: i32 = 2;
const PLAN: [&str; 5] = ["plan", "--profile", "profiles/demo.yaml", "--bundle", "orders.bundle"];
const INSTALL: [&str; 6] =
    ["install", "--yes", "--profile", "profiles/demo.yaml", "--bundle", "orders.bundle"];

fn another_site_is_refused(context: &Context<'_>) -> Result<()> {
    let host = "w1";
    let before = context.lab.snapshot_files(host, &[])?;
    context.installer(&[&PLAN[..], &["--write", "other.json"]].concat())?.expect_code(0)?;
    let install = |extra: &[&str]| context.installer(&[&INSTALL[..], extra].concat());

    let other = context.overlay("other-network", "cluster:\n  podCidr: 10.1.0.0/16\n")?;
    let ended = install(&["--profile", &other, "--plan", "other.json"])?;
    ended.expect_code(USAGE)?.expect_text(&["cluster.podCidr was 10.244.0.0/16, is 10.1.0.0/16"])?;

    let path = context.lab.seat_home().join("other.json");
    let text = fs::read_to_string(&path)?;
    fs::write(&path, text.replace("10.77.0.22", "10.77.0.29"))?;
    let ended = install(&["--plan", "other.json"])?;
    ended.expect_code(USAGE)?.expect_text(&["damaged or edited", "next: "])?;
    fs::write(&path, text.replace("sealift/v2", "sealift/v9"))?;
    let ended = install(&["--plan", "other.json"])?;
    ended.expect_code(USAGE)?.expect_text(&["sealift/v9", "next: "])?;
    fs::remove_file(&path)?;

    let differences = crate::lab::differences(&before, &context.lab.snapshot_files(host, &[])?);
    if !differences.is_empty() {
        bail!("{host} was changed: {differences:?}");
    }
    Ok(())
}

fn tables_for_tickets(context: &Context<'_>) -> Result<()> {
    let tables = ["--firewall", "firewall.csv", "--machines", "machines.csv", "--diff"];
    let names = ["--dns-zone", "names.zone", "--dns-records", "names.csv"];
    let ended = context.installer(&[&PLAN[..], &tables, &names].concat())?;
    let shown = ["m2, m3", "w1, w2", "+net.ipv4.ip_forward = 1", "users, groups, packages"];
    ended.expect_code(0)?.expect_text(&shown)?;
    let read = |name: &str| fs::read_to_string(context.lab.seat_home().join(name)).context("no table");
    let (firewall, machines) = (read("firewall.csv")?, read("machines.csv")?);
    for host in context.hosts() {
        if !firewall.contains(host) || !machines.contains(&format!("\n{host},")) {
            bail!("{host} is missing:\n{firewall}\n{machines}");
        }
    }
    if !firewall.contains(",2380,") || !firewall.contains(",30080,") {
        bail!("flows are missing:\n{firewall}");
    }
    let (zone, names) = (read("names.zone")?, read("names.csv")?);
    for (name, address) in [("api", "10.77.0.11"), ("orders", "10.77.0.21"), ("w2", "10.77.0.22")] {
        let in_zone = zone.lines().any(|line| line.starts_with(name) && line.contains(address));
        if !in_zone || !names.contains(&format!("\n{name}.demo.internal,A,300,{address},")) {
            bail!("{name} is missing:\n{zone}\n{names}");
        }
    }
    Ok(())
}

/// One host's part of a change list, as far as it is compared.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changes {
    host: String,
    files: Vec<File>,
    lines: Vec<Lines>,
    folders: Vec<Folder>,
    units: Vec<Service>,
    sysctls: Vec<Sysctl>,
    modules: Vec<Named>,
    ports: Vec<Port>,
    swap: Option<Swap>,
    commands: Vec<Command>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    path: String,
    mode: String,
    content: Value,
    #[serde(default)]
    removed_afterwards: bool,
}

#[derive(Debug, Deserialize)]
struct Lines {
    path: String,
    lines: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Folder {
    path: String,
}

#[derive(Debug, Deserialize)]
struct Service {
    unit: String,
    enabled: bool,
    started: bool,
}

#[derive(Debug, Deserialize)]
struct Sysctl {
    name: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Port {
    port: String,
    protocol: String,
}

#[derive(Debug, Deserialize)]
struct Swap {
    areas: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Command {
    command: String,
}

fn hosts_changed_as_was_signed(context: &Context<'_>) -> Result<()> {
    // It was made with the plan.
    context.installed()?;
    let text = fs::read_to_string(context.lab.seat_home().join(SIGNED_PLAN))?;
    let mut plan: Value = serde_json::from_str(&text)?;
    let signed: Vec<Changes> =
        serde_json::from_value(plan["changes"].take()).context("the plan file has no such change list")?;
    let mut differences = Vec::new();
    for host in &signed {
        let journal = context.lab.read_file(&host.host, "/var/lib/sealift/journal.jsonl")?;
        let found = unsigned(host, &String::from_utf8_lossy(&journal))?
            .into_iter()
            .chain(undone(context.lab, host)?)
            .map(|line| format!("{}: {line}", host.host));
        differences.extend(found);
    }
    if signed.len() != context.hosts().len() || !differences.is_empty() {
        bail!("{} of the change list and the hosts differ:\n{}", differences.len(), differences.join("\n"));
    }
    Ok(())
}

/// What a host's journal says was changed, and the list does not.
fn unsigned(signed: &Changes, journal: &str) -> Result<Vec<String>> {
    let mut written: BTreeSet<&str> = signed.files.iter().map(|file| file.path.as_str()).collect();
    written.extend(signed.lines.iter().map(|lines| lines.path.as_str()));
    if signed.swap.is_some() {
        written.insert("/etc/fstab");
    }
    let mut placed = written.clone();
    placed.extend(signed.folders.iter().map(|folder| folder.path.as_str()));
    let mut found = Vec::new();
    let mut entries = 0;
    for line in journal.lines() {
        let entry: Value = serde_json::from_str(line).with_context(|| format!("journal entry {line}"))?;
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        let listed = match text("change") {
            "fileCreated" | "fileReplaced" | "fileRemoved" | "linkReplaced" => written.contains(text("path")),
            "modeChanged" | "ownerChanged" => placed.contains(text("path")),
            "directoryCreated" => {
                let below = format!("{}/", text("path"));
                placed.contains(text("path")) || placed.iter().any(|path| path.starts_with(&below))
            }
            "sysctl" => signed.sysctls.iter().any(|one| one.name == text("name")),
            "moduleLoaded" => signed.modules.iter().any(|one| one.name == text("name")),
            "swapOff" => signed.swap.iter().any(|swap| swap.areas.iter().any(|area| area == text("path"))),
            "unitMasked" => signed.swap.is_some() && text("unit").rsplit('.').next() == Some("swap"),
            "unitEnabled" | "unitStarted" => signed.units.iter().any(|one| one.unit == text("unit")),
            "command" => {
                let own = |command: &str| text("command").strip_prefix(command).map(str::to_owned);
                let fits = |rest: String| rest.is_empty() || rest.starts_with(':');
                signed.commands.iter().any(|one| own(&one.command).is_some_and(fits))
            }
            _ => false,
        };
        entries += 1;
        if !listed {
            found.push(format!("nobody signed {line}"));
        }
    }
    if entries == 0 {
        bail!("the journal of {} is empty", signed.host);
    }
    Ok(found)
}

/// What the list says, and is not so on the host.
fn undone(lab: &Lab, signed: &Changes) -> Result<Vec<String>> {
    let host = signed.host.as_str();
    let lasting: Vec<&File> = signed.files.iter().filter(|file| !file.removed_afterwards).collect();
    let paths: Vec<&str> = lasting.iter().map(|file| file.path.as_str()).collect();
    // A path that is missing is told on standard error, and is then missing among the lines.
    let script = "stat --format='%04a %U:%G %n' \"$@\"; sha256sum \"$@\"; true";
    let said = lab.run(host, &[&["sh", "-c", script, "sh"], &paths[..]].concat())?;
    let mut found = Vec::new();
    for file in lasting {
        let stands = format!("{} root:root {}", file.mode, file.path);
        if !said.lines().any(|line| line == stands) {
            let is = said.lines().find(|line| line.ends_with(&format!(" {}", file.path)));
            found.push(format!("signed {stands}, is {is:?}"));
        }
        let digest = match file.content["kind"].as_str() {
            Some("text") => digest_of(file.content["text"].as_str().unwrap_or_default().as_bytes()),
            Some("binary") => file.content["digest"].as_str().unwrap_or_default().to_owned(),
            _ => continue,
        };
        let sum = format!("{}  {}", digest.trim_start_matches("sha256:"), file.path);
        if !said.lines().any(|line| line == sum) {
            found.push(format!("the content of {} is not the signed one", file.path));
        }
    }
    for own in &signed.lines {
        let text = String::from_utf8_lossy(&lab.read_file(host, &own.path)?).into_owned();
        let missing = own.lines.iter().filter(|line| !text.lines().any(|one| one == line.as_str()));
        found.extend(missing.map(|line| format!("{} lacks {line}", own.path)));
    }
    for sysctl in &signed.sysctls {
        let place = format!("/proc/sys/{}", sysctl.name.replace('.', "/"));
        let value = lab.run(host, &["cat", &place])?;
        if value.trim() != sysctl.value {
            found.push(format!("{} is {}, signed {}", sysctl.name, value.trim(), sysctl.value));
        }
    }
    for unit in &signed.units {
        let show = ["systemctl", "show", &unit.unit, "--property=UnitFileState,ActiveState"];
        let state = lab.run(host, &show)?;
        let is = |line: &str| state.lines().any(|one| one == line);
        if is("UnitFileState=enabled") != unit.enabled || is("ActiveState=active") != unit.started {
            found.push(format!("{unit:?} is {state:?}"));
        }
    }
    let sockets = lab.run(
        host,
        &["sh", "-c", "for t in tcp tcp6 udp udp6; do sed \"s/^/$t /\" /proc/net/$t; done 2>/dev/null; true"],
    )?;
    let open = listening(&sockets);
    // Node ports are rules of the packet filter, not sockets.
    for port in signed.ports.iter().filter(|port| port.port.parse().is_ok_and(|port: u16| port < 30_000)) {
        if !open.contains(&(port.protocol.clone(), port.port.clone())) {
            found.push(format!("nobody listens on {}/{}", port.port, port.protocol));
        }
    }
    Ok(found)
}

/// From lines `tcp6   0: ADDRESS:PORT REMOTE STATE …` of `/proc/net`: TCP in state `LISTEN`, UDP unconnected.
fn listening(text: &str) -> BTreeSet<(String, String)> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let protocol = words.first()?.trim_end_matches('6');
        let state = if protocol == "tcp" { "0A" } else { "07" };
        let port = u16::from_str_radix(words.get(2)?.rsplit(':').next()?, 16).ok()?;
        (*words.get(4)? == state).then(|| (protocol.to_owned(), port.to_string()))
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed() -> Changes {
        serde_json::from_value(serde_json::json!({
            "host": "m1",
            "files": [{"path": "/etc/a/b.conf", "mode": "0644", "content": {"kind": "text", "text": "x"}}],
            "lines": [{"path": "/etc/hosts", "lines": ["10.0.0.1 m1"]}],
            "folders": [{"path": "/var/lib/etcd"}],
            "units": [{"unit": "a.service", "enabled": true, "started": true}],
            "sysctls": [{"name": "a.b", "value": "1"}], "modules": [{"name": "overlay"}],
            "ports": [], "swap": {"areas": ["/swapfile"]},
            "commands": [{"command": "kubeadm join"}, {"command": "pull a/b:1"}],
        }))
        .unwrap()
    }

    #[test]
    fn what_nobody_signed_is_seen() {
        let entry = |change: &str, name: &str, value: &str| {
            serde_json::json!({"change": change, name: value}).to_string()
        };
        let listed = [
            entry("fileCreated", "path", "/etc/a/b.conf"),
            entry("fileReplaced", "path", "/etc/hosts"),
            entry("fileReplaced", "path", "/etc/fstab"),
            entry("directoryCreated", "path", "/etc/a"),
            entry("modeChanged", "path", "/var/lib/etcd"),
            entry("sysctl", "name", "a.b"),
            entry("moduleLoaded", "name", "overlay"),
            entry("swapOff", "path", "/swapfile"),
            entry("unitMasked", "unit", "swapfile.swap"),
            entry("unitStarted", "unit", "a.service"),
            entry("command", "command", "kubeadm join: preflight"),
            entry("command", "command", "pull a/b:1"),
        ];
        assert_eq!(unsigned(&signed(), &listed.join("\n")).unwrap(), Vec::<String>::new());
        let others = [
            entry("fileCreated", "path", "/etc/other"),
            entry("directoryCreated", "path", "/etc/a/b.conf.d"),
            entry("sysctl", "name", "a.c"),
            entry("swapOff", "path", "/dev/sdb"),
            entry("unitMasked", "unit", "ssh.service"),
            entry("unitStopped", "unit", "a.service"),
            entry("command", "command", "pull a/b:12"),
            entry("somethingNew", "path", "/etc/a/b.conf"),
        ];
        assert_eq!(unsigned(&signed(), &others.join("\n")).unwrap().len(), others.len());
        assert!(unsigned(&signed(), "").is_err(), "a journal without an entry proves nothing");
    }

    #[test]
    fn listening_sockets_are_read_from_the_kernels_tables() {
        let text = "tcp   sl  local_address rem_address   st tx_queue\n\
            tcp    0: 0100007F:2816 00000000:0000 0A 00000000:00000000\n\
            tcp6    1: 00000000000000000000000000000000:280A 00000000000000000000000000000000:0000 0A 0\n\
            tcp    2: 0100007F:1234 0100007F:280A 01 0\n\
            udp    3: 00000000:2118 00000000:0000 07 0\n";
        let expected = [("tcp", "10250"), ("tcp", "10262"), ("udp", "8472")];
        assert_eq!(listening(text), expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
    }
}
