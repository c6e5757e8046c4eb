//! What people see while a build works, on a terminal and without one.

use std::process::{Command, Output};
use std::time::Duration;

use crate::support::fault_proxy::{FaultProxy, Trick};
use crate::support::upstream::{Guard, Upstream};
use crate::support::vendor::{REGISTRIES, Vendor, build};

/// A build whose largest blob takes its time, so that there is something to show.
fn slow(wrap: impl FnOnce(&Vendor) -> Command) -> Output {
    let vendor = Vendor::new();
    let upstream = Upstream::start(&vendor.registry, false, Guard::Open);
    let proxy = FaultProxy::before(&upstream);
    proxy.mirrors(vendor.folder.path(), &REGISTRIES);
    vendor.lock();
    vendor.build("cache", "first.bundle");
    let largest = proxy.passed_for("/blobs/").into_iter().max_by_key(|passed| passed.sent).unwrap().path;
    let late = [Trick::CutAfter(100_000), Trick::Delay(Duration::from_millis(700))];
    proxy.script(&largest, late);
    wrap(&vendor).output().unwrap()
}

#[test]
fn a_terminal_shows_a_bar_bytes_rate_and_time_left() {
    let output = slow(|vendor| {
        let plain = vendor.command(&build("fresh", "orders.bundle"));
        let words: Vec<String> = std::iter::once(plain.get_program())
            .chain(plain.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap()))
            .collect();
        let mut command = Command::new("script");
        command.args(["-qefc", &words.join(" "), "/dev/null"]).current_dir(vendor.folder.path());
        command.env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env_remove("NO_COLOR").env_remove("CI");
        command.stdin(std::process::Stdio::null());
        command
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    let redrawn: Vec<&str> = said.split("\r\x1b[K").filter(|line| line.starts_with("pull      ")).collect();
    let whole = |line: &&str| {
        let words = ["░\x1b[0m ", "B of ", "B/s, ", " left"];
        words.iter().all(|word| line.contains(word))
    };
    assert!(redrawn.iter().any(whole), "{redrawn:?}");
    assert!(said.contains("\x1b[1mretry\x1b[0m 1 of 5 in 0.5 s: "), "{said}");
}

#[test]
fn without_a_terminal_there_are_plain_lines() {
    let output = slow(|vendor| vendor.command(&build("fresh", "orders.bundle")));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(['\r', '\x1b']), "{said:?}");
    let words: Vec<&str> = said.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["gate", "pull", "retry", "compress", "pack", "verify"], "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("built     orders.bundle: "));
}
