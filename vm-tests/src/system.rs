//! Debian packages that the tests stand on: installed where that is allowed, else named all at once.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::lab::run;

/// What the lab runs on.
pub const LAB: &[&str] = &[
    "e2fsprogs",
    "iproute2",
    "mmdebstrap",
    "mount",
    "nftables",
    "openssh-client",
    "openssl",
    "procps",
    "systemd-container",
    "util-linux",
];

/// What virtual machines need beside [`LAB`].
pub const MACHINES: &[&str] = &["qemu-system-x86", "qemu-utils"];

/// What builds the payload and the installer's static binary.
pub const BUILD: &[&str] =
    &["gcc", "libc6-dev", "libseccomp-dev", "make", "musl-tools", "perl", "pkg-config"];

/// Other people's programs that check our work, or that our work is tried against.
///
/// Chromium prints the reports, in letters of the fonts, and poppler reads what was printed.
pub const CHECKS: &[&str] = &[
    "chromium-headless-shell",
    "fonts-liberation",
    "fonts-wqy-microhei",
    "man-db",
    "minisign",
    "openssh-client",
    "openssh-server",
    "poppler-utils",
    "postgresql-15",
    "skopeo",
    "sudo",
];

/// Makes sure that all these packages are there.
///
/// As root it installs what is missing; anyone else gets one message with all of it.
pub fn ensure(groups: &[&[&str]]) -> Result<()> {
    let wanted: BTreeSet<&str> = groups.iter().flat_map(|group| group.iter().copied()).collect();
    let missing = missing(&wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!("{}", request(&missing));
    }
    println!("installing {}", missing.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // An old package list is no reason to stop: the installation itself says what it cannot find.
    let updated = run(apt().args(["update", "-q"]));
    run(apt().args(["install", "-q", "-y", "--no-install-recommends"]).args(&missing)).with_context(
        || {
            let lists = updated.err().map(|error| format!(" (and {error:#})")).unwrap_or_default();
            format!("cannot install {}{lists}", missing.join(" "))
        },
    )?;
    Ok(())
}

/// The lab changes namespaces, mounts and devices of the machine.
pub fn need_root() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("the lab makes network namespaces, mounts and containers: run this as root");
    }
    Ok(())
}

fn request(missing: &[&str]) -> String {
    format!(
        "missing Debian packages; install them with\n    apt-get install --no-install-recommends {}",
        missing.join(" ")
    )
}

fn missing<'a>(wanted: &BTreeSet<&'a str>) -> Result<Vec<&'a str>> {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"]).args(wanted);
    // It fails when one of them is unknown, and still answers for the others.
    let output = query.output().context("cannot run dpkg-query: this needs Debian")?;
    Ok(not_installed(wanted, &String::from_utf8_lossy(&output.stdout)))
}

fn not_installed<'a>(wanted: &BTreeSet<&'a str>, answer: &str) -> Vec<&'a str> {
    let installed: BTreeSet<&str> =
        answer.lines().filter_map(|line| line.strip_suffix(" installed")).collect();
    wanted.iter().copied().filter(|package| !installed.contains(package)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_package_is_missing_too() {
        let wanted = BTreeSet::from(["gcc", "skopeo", "minisign"]);
        let answer = "gcc installed\nskopeo config-files\n";
        assert_eq!(not_installed(&wanted, answer), ["minisign", "skopeo"]);
    }

    #[test]
    fn debian_itself_is_installed_and_nonsense_is_not() {
        let wanted = BTreeSet::from(["dpkg", "no-such-package-at-all"]);
        assert_eq!(missing(&wanted).unwrap(), ["no-such-package-at-all"]);
    }

    #[test]
    fn one_message_names_all() {
        assert!(request(&["a", "b"]).ends_with("apt-get install --no-install-recommends a b"));
    }
}
