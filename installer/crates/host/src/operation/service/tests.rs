use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener};

use sealift_bundle::testing::ClosedPort;
use sealift_plan::operation::FileSpec;

use super::*;
use crate::context::testing::Recorder;
use crate::paths::Paths;

/// Stands for systemd: keeps one unit's state in files beside it and writes down what it was told.
const SYSTEMCTL: &str = r#"#!/bin/sh
here=${0%/*}
echo "$*" >>"$here/told"
case "$1" in
  show) echo "ActiveState=$(cat "$here/active" 2>/dev/null || echo inactive)"
        echo "SubState=x"
        echo "UnitFileState=$(cat "$here/enabled" 2>/dev/null || echo disabled)"
        echo "NeedDaemonReload=no" ;;
  enable) echo enabled >"$here/enabled" ;;
  disable) rm "$here/enabled" ;;
  stop) rm "$here/active" ;;
  restart) cat "$here/becomes" 2>/dev/null >"$here/active" || echo active >"$here/active" ;;
esac
"#;
const JOURNALCTL: &str = "#!/bin/sh\necho 'cannot read config.toml'\n";

struct Host {
    root: tempfile::TempDir,
    paths: Paths,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let programs = paths.host("/usr/local/sbin");
        for (name, script) in [("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)] {
            sealift_bundle::testing::program(&programs.join(name), script);
        }
        Self { root, paths }
    }

    fn put(&self, name: &str, content: &str) {
        fs::write(self.root.path().join("usr/local/sbin").join(name), content).unwrap();
    }

    fn told(&self, verb: &str) -> usize {
        let told = fs::read_to_string(self.root.path().join("usr/local/sbin/told")).unwrap_or_default();
        told.lines().filter(|line| line.starts_with(verb)).count()
    }

    fn apply(&self, service: &ServiceSpec) -> Result<Outcome, Failure> {
        let recorder = Recorder::default();
        apply_within(&Context::new(&self.paths, &recorder, "r", "s"), service, Duration::ZERO)
    }
}

fn containerd(config: &str, ready: Ready) -> ServiceSpec {
    let files =
        [("/etc/systemd/system/containerd.service", "[Service]\n"), ("/etc/containerd/config.toml", config)];
    ServiceSpec {
        unit: "containerd.service".to_owned(),
        files: files
            .iter()
            .map(|(path, content)| FileSpec {
                path: (*path).to_owned(),
                mode: 0o644,
                content: (*content).to_owned(),
            })
            .collect(),
        directories: Vec::new(),
        enabled: true,
        running: true,
        ready,
    }
}

#[test]
fn starts_once_and_restarts_when_a_file_changes() {
    let host = Host::new();
    let first = host.apply(&containerd("version = 3\n", Ready::Active)).unwrap();
    assert_eq!(first.summary, "containerd.service: wrote its files, enabled it, started it");
    let again = host.apply(&containerd("version = 3\n", Ready::Active)).unwrap();
    assert_eq!((again.changed, again.summary.as_str()), (false, "containerd.service runs as wanted"));
    assert_eq!((host.told("restart"), host.told("enable"), host.told("daemon-reload")), (1, 1, 1));
    let other = host.apply(&containerd("version = 3\n# more\n", Ready::Active)).unwrap();
    assert_eq!(other.summary, "containerd.service: wrote its files, restarted it");
    assert_eq!(host.told("restart"), 2);
}

#[test]
fn a_run_killed_between_files_and_restart_is_made_good() {
    let host = Host::new();
    host.apply(&containerd("version = 3\n", Ready::Active)).unwrap();
    // The files are new, the service is not: the unit cannot be asked for a while.
    let systemctl = host.root.path().join("usr/local/sbin/systemctl");
    sealift_bundle::testing::program(&systemctl, "#!/bin/sh\nexit 1\n");
    let new = containerd("version = 3\n# more\n", Ready::Active);
    assert_eq!(host.apply(&new).unwrap_err().kind, FailureKind::Command);
    host.put("systemctl", SYSTEMCTL);
    assert!(host.apply(&new).unwrap().changed);
    assert_eq!(host.told("restart"), 2);
    assert!(!host.apply(&new).unwrap().changed);
}

#[test]
fn a_service_that_fails_shows_its_journal() {
    let host = Host::new();
    host.put("becomes", "failed");
    let failure = host.apply(&containerd("broken\n", Ready::Active)).unwrap_err();
    assert_eq!(failure.message, "containerd.service failed to start");
    assert_eq!(failure.log, ["cannot read config.toml"]);
}

#[test]
fn a_port_counts_as_up_when_it_takes_connections() {
    let host = Host::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    assert!(host.apply(&containerd("a\n", Ready::Port { address, port })).is_ok());
    let closed = ClosedPort::hold();
    let port = closed.number();
    let failure = host.apply(&containerd("b\n", Ready::Port { address, port })).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(failure.message.contains(&format!("127.0.0.1:{port} takes no connection")), "{failure}");
    let failure =
        host.apply(&containerd("b\n", Ready::Socket { path: "/run/none.sock".to_owned() })).unwrap_err();
    assert!(failure.message.contains("/run/none.sock"), "{failure}");
}

#[test]
fn enabled_but_not_started_is_left_to_others() {
    let host = Host::new();
    let kubelet = ServiceSpec { running: false, ..containerd("kubelet\n", Ready::Active) };
    assert_eq!(host.apply(&kubelet).unwrap().summary, "containerd.service: wrote its files, enabled it");
    assert_eq!(host.told("restart"), 0);
    assert!(!host.apply(&kubelet).unwrap().changed);
    let disabled = ServiceSpec { enabled: false, ..kubelet };
    assert_eq!(host.apply(&disabled).unwrap().summary, "containerd.service: disabled it");
    assert!(!host.apply(&disabled).unwrap().changed);
}

#[test]
fn what_is_not_wanted_any_more_is_switched_off_and_stopped() {
    let host = Host::new();
    let none = ServiceSpec {
        files: Vec::new(),
        enabled: false,
        running: false,
        ..containerd("version = 3\n", Ready::Active)
    };
    let never = host.apply(&none).unwrap();
    assert_eq!((never.changed, never.summary.as_str()), (false, "containerd.service is as wanted"));
    host.apply(&containerd("version = 3\n", Ready::Active)).unwrap();
    assert_eq!(host.apply(&none).unwrap().summary, "containerd.service: disabled it, stopped it");
    assert!(!host.apply(&none).unwrap().changed);
    assert_eq!((host.told("stop"), host.told("disable")), (1, 1));
    assert!(host.paths.host("/etc/containerd/config.toml").exists(), "its files stay");
    assert!(host.apply(&containerd("version = 3\n", Ready::Active)).unwrap().changed);
}
