use super::*;
use crate::context::testing::Recorder;
use crate::paths::Paths;

/// A host below a folder, with a `systemctl` and a `timedatectl` that keep their state in files.
struct Host {
    root: tempfile::TempDir,
    recorder: Recorder,
}

const SYSTEMCTL: &str = r#"#!/bin/sh
state="$(dirname "$0")/../state"
echo "$@" >> "$state/calls"
[ "$1" = show ] || exit 0
[ "$2" = earlyoom.service ] && printf 'LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n' && exit 0
printf 'LoadState=not-found\nActiveState=inactive\nUnitFileState=\n'
"#;
const TIMEDATECTL: &str = r#"#!/bin/sh
state="$(dirname "$0")/../state"
case "$1" in
set-ntp) if [ "$2" = true ]; then touch "$state/ntp"; else rm "$state/ntp"; fi ;;
show) if [ -e "$state/ntp" ]; then echo yes; else echo no; fi ;;
esac
"#;

impl Host {
    fn new() -> Self {
        let host = Self { root: tempfile::tempdir().unwrap(), recorder: Recorder::default() };
        for (path, content) in [
            ("/proc/sys/net/ipv4/conf/all/rp_filter", "1\n"),
            // A file is not a kernel: what is written over it must be as long.
            ("/proc/sys/kernel/pid_max", "1048576\n"),
            ("/usr/local/state/calls", ""),
        ] {
            host.put(path, content);
        }
        host.program("systemctl", SYSTEMCTL);
        host.program("timedatectl", TIMEDATECTL);
        fs::create_dir_all(host.paths().host("/tmp")).unwrap();
        file::set_mode(&host.paths().host("/tmp"), 0o755).unwrap();
        fs::create_dir_all(host.paths().host("/etc/sysctl.d")).unwrap();
        fs::create_dir_all(host.paths().host("/var/lib")).unwrap();
        host
    }

    fn paths(&self) -> Paths {
        Paths::below(self.root.path()).recording_below(FOLDER)
    }

    fn program(&self, name: &str, script: &str) {
        sealift_bundle::testing::program(&self.paths().host(&format!("/usr/local/sbin/{name}")), script);
    }

    fn put(&self, path: &str, content: &str) {
        let place = self.paths().host(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.paths().host(path)).unwrap().trim().to_owned()
    }

    fn with<T>(&self, work: impl FnOnce(&Context<'_>) -> T) -> T {
        let paths = self.paths();
        work(&Context::new(&paths, &self.recorder, "r", "fix"))
    }

    /// Every file below the root that a fix may touch, with content and mode.
    fn everything(&self) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.root.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                let name = path.strip_prefix(self.root.path()).unwrap().display().to_string();
                if name.starts_with("run") || name.ends_with("state/calls") {
                    continue;
                }
                let mode = entry.metadata().unwrap().mode();
                let content = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
                if path.is_dir() {
                    folders.push(path);
                }
                found.insert(name, (mode, content));
            }
        }
        found
    }
}

fn setting(name: &str, value: &str) -> Fix {
    Fix::Setting { name: name.to_owned(), value: value.to_owned() }
}

fn all() -> Vec<Fix> {
    vec![
        setting("net.ipv4.conf.all.rp_filter", "2"),
        setting("kernel.pid_max", "4194304"),
        Fix::TimeService,
        Fix::StopUnits { units: vec!["nohang.service".to_owned(), "earlyoom.service".to_owned()] },
        Fix::FolderMode { path: "/tmp".to_owned(), mode: 0o1777 },
    ]
}

#[test]
fn fixes_are_made_once_and_taken_back_without_a_trace() {
    let host = Host::new();
    let before = host.everything();
    let results = host.with(|ctx| apply(ctx, &all())).unwrap();
    assert!(results.iter().all(|one| one.changed && one.failure.is_none()), "{results:?}");
    assert_eq!(host.text("/proc/sys/net/ipv4/conf/all/rp_filter"), "2");
    let kept = host.text(SETTINGS_FILE);
    assert!(kept.contains("kernel.pid_max = 4194304\nnet.ipv4.conf.all.rp_filter = 2"), "{kept}");
    let calls = host.text("/usr/local/state/calls");
    assert!(calls.contains("disable earlyoom.service\nstop earlyoom.service"), "{calls}");
    assert!(host.paths().host("/usr/local/state/ntp").exists());

    let again = host.with(|ctx| apply(ctx, &all()[..3])).unwrap();
    assert!(again.iter().all(|one| !one.changed && one.failure.is_none()), "{again:?}");

    let told = host.with(recorded).unwrap();
    assert_eq!(host.with(undo).unwrap(), told);
    assert_eq!(told[0], "set the mode of /tmp back to 0755");
    assert!(told.contains(&"start earlyoom.service again".to_owned()), "{told:?}");
    assert!(told.contains(&"set kernel.pid_max back to 1048576".to_owned()), "{told:?}");
    let differing: Vec<_> =
        host.everything().into_iter().filter(|(name, now)| before.get(name) != Some(now)).collect();
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(host.everything().len(), before.len());
    assert!(host.text("/usr/local/state/calls").ends_with("enable earlyoom.service"));
    assert_eq!(host.with(undo).unwrap(), Vec::<String>::new(), "there is nothing to take back");
}

#[test]
fn one_that_fails_leaves_the_others_and_no_line_behind() {
    let host = Host::new();
    let fixes = [setting("kernel.no_such_thing", "1"), setting("kernel.pid_max", "4194304")];
    let results = host.with(|ctx| apply(ctx, &fixes)).unwrap();
    assert!(results[0].failure.as_ref().unwrap().message.contains("kernel.no_such_thing"), "{results:?}");
    assert!(results[1].changed);
    assert!(!host.text(SETTINGS_FILE).contains("no_such_thing"));
}

#[test]
fn a_host_of_a_cluster_keeps_its_fixes() {
    let host = Host::new();
    host.with(|ctx| apply(ctx, &all()[..1])).unwrap();
    host.put("/var/lib/sealift/host.json", r#"{"site": "plant", "host": "w1"}"#);
    let failure = host.with(undo).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.message.contains("w1 of the site plant"), "{failure}");
    assert_eq!(host.text("/proc/sys/net/ipv4/conf/all/rp_filter"), "2");
}

#[test]
fn what_cannot_be_taken_back_stays_recorded_with_all_that_is_older() {
    let host = Host::new();
    host.with(|ctx| apply(ctx, &all()[..1])).unwrap();
    host.with(|ctx| ctx.record(Change::SwapOff { path: "/swapfile".to_owned() })).unwrap();
    host.program("swapon", "#!/bin/sh\necho \"swapon: $1: no such thing\" >&2\nexit 255\n");
    let failure = host.with(undo).unwrap_err();
    assert!(failure.message.starts_with("cannot switch the swap on /swapfile on again"), "{failure}");
    assert_eq!(host.with(recorded).unwrap().len(), 3);
    host.program("swapon", "#!/bin/sh\n");
    assert_eq!(host.with(undo).unwrap().len(), 3);
    assert_eq!(host.text("/proc/sys/net/ipv4/conf/all/rp_filter"), "1");
}

#[test]
fn what_somebody_wrote_after_the_fix_is_not_lost() {
    let host = Host::new();
    host.put("/proc/swaps", "Filename Type Size Used Priority\n");
    host.put("/etc/fstab", "UUID=1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0\n");
    assert!(host.with(|ctx| apply(ctx, &[Fix::SwapOff])).unwrap()[0].changed);
    let fixed = host.text("/etc/fstab");
    host.put("/etc/fstab", &format!("{fixed}\n/dev/sdb1 /var/lib/etcd ext4 defaults 0 2\n"));
    let failure = host.with(undo).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert!(failure.message.starts_with("/etc/fstab was changed by somebody"), "{failure}");
    assert!(failure.hint.unwrap().contains("/fixes/undo/"));
    assert!(host.text("/etc/fstab").contains("/dev/sdb1"));
    host.put("/etc/fstab", &format!("{fixed}\n"));
    assert!(host.with(undo).unwrap().contains(&"put /etc/fstab back as it was".to_owned()));
    assert_eq!(host.text("/etc/fstab"), "UUID=1 / ext4 defaults 0 1\n/swapfile none swap sw 0 0");
}
