//! Drop-in files, and making them effective now: kernel modules and sysctls.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use sealift_checks::facts::ModuleState;
use sealift_plan::operation::FileSpec;

use crate::command::Command;
use crate::context::Context;
use crate::facts::modules;
use crate::journal::Change;
use crate::protocol::{Failure, FailureKind, Outcome};

pub(crate) fn apply(
    ctx: &Context<'_>,
    files: &[FileSpec],
    load_modules: &[String],
    apply_sysctls: bool,
) -> Result<Outcome, Failure> {
    let mut written = 0;
    for file in files {
        written += usize::from(ctx.write_file(&file.path, file.content.as_bytes(), file.mode)?);
    }
    let mut loaded = 0;
    for module in load_modules {
        loaded += usize::from(load(ctx, module)?);
    }
    let mut set = 0;
    if apply_sysctls {
        // The last file in the order of their names wins, as at boot.
        let mut drop_ins: Vec<&FileSpec> =
            files.iter().filter(|file| is_sysctl_drop_in(&file.path)).collect();
        drop_ins.sort_by_key(|file| &file.path);
        for sysctl in drop_ins.iter().flat_map(|file| parse(&file.content)) {
            set += usize::from(sysctl.apply(ctx)?);
        }
    }
    let summary = match (written, loaded, set) {
        (0, 0, 0) => "all files and settings are as wanted".to_owned(),
        _ => format!("wrote {written} files, loaded {loaded} modules, set {set} sysctls"),
    };
    Ok(Outcome::new(written + loaded + set > 0, summary))
}

/// Loads a module that the kernel does not have yet.
fn load(ctx: &Context<'_>, name: &str) -> Result<bool, Failure> {
    if usable(ctx, name) {
        return Ok(false);
    }
    ctx.record(Change::ModuleLoaded { name: name.to_owned() })?;
    let finished = ctx.run_to_end(Command::new("modprobe").arg(name))?;
    if usable(ctx, name) {
        return Ok(true);
    }
    let failure = Failure::new(FailureKind::Conflict, format!("the kernel has no module {name}"))
        .log(finished.last_lines())
        .hint("use a kernel that has it; inside a container, load it on the machine that runs the container");
    Err(failure)
}

fn usable(ctx: &Context<'_>, name: &str) -> bool {
    matches!(modules::state(ctx.paths(), name), ModuleState::Loaded | ModuleState::BuiltIn)
}

/// Sets one kernel setting now. Gives whether it was another.
pub(crate) fn set(ctx: &Context<'_>, name: &str, value: &str) -> Result<bool, Failure> {
    Sysctl { name: name.to_owned(), value: value.to_owned(), optional: false }.apply(ctx)
}

fn is_sysctl_drop_in(path: &str) -> bool {
    path.starts_with("/etc/sysctl.d/")
        && Path::new(path).extension().is_some_and(|extension| extension == "conf")
}

#[derive(Debug, PartialEq, Eq)]
struct Sysctl {
    name: String,
    value: String,
    /// Written with a leading `-`: a kernel without it is fine.
    optional: bool,
}

/// The settings of a drop-in, as sysctl.d(5) reads them.
fn parse(content: &str) -> Vec<Sysctl> {
    let lines =
        content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            let name = name.trim();
            let optional = name.starts_with('-');
            let name = name.trim_start_matches('-').to_owned();
            Sysctl { name, value: value.trim().to_owned(), optional }
        })
        .collect()
}

/// The file of a setting in `/proc/sys`: whichever of `.` and `/` comes first is the separator.
pub(crate) fn place_of(name: &str) -> String {
    let slashes = match (name.find('.'), name.find('/')) {
        (Some(dot), Some(slash)) => slash < dot,
        (None, Some(_)) => true,
        _ => false,
    };
    if slashes {
        return format!("/proc/sys/{name}");
    }
    let swapped = name.chars().map(|c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    format!("/proc/sys/{}", swapped.collect::<String>())
}

impl Sysctl {
    fn apply(&self, ctx: &Context<'_>) -> Result<bool, Failure> {
        let place = ctx.paths().host(&place_of(&self.name));
        let failed = |error: &io::Error| {
            Failure::new(
                FailureKind::Conflict,
                format!("cannot set the sysctl {} to {}", self.name, self.value),
            )
            .because(error)
        };
        let before = match fs::read_to_string(&place) {
            Ok(text) => words(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.optional => return Ok(false),
            Err(error) => return Err(failed(&error).hint("the kernel does not have this setting")),
        };
        if before == words(&self.value) {
            return Ok(false);
        }
        let refused = |error: &io::Error| {
            failed(error)
                .cause(format!("it stands at {before}"))
                .hint("set it on the machine that runs this container, or use a virtual machine instead")
        };
        let mut setting = OpenOptions::new().write(true).open(&place).map_err(|error| refused(&error))?;
        ctx.record(Change::Sysctl { name: self.name.clone(), before: before.clone() })?;
        setting.write_all(format!("{}\n", self.value).as_bytes()).map_err(|error| refused(&error))?;
        let after = fs::read_to_string(&place).map_err(|error| failed(&error))?;
        if words(&after) == words(&self.value) {
            return Ok(true);
        }
        Err(failed(&io::Error::other(format!("the kernel keeps it at {}", words(&after)))))
    }
}

/// Values of several words come back with tabs between them.
fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::journal::Journal;
    use crate::paths::Paths;

    fn file(path: &str, content: &str) -> FileSpec {
        FileSpec { path: path.to_owned(), mode: 0o644, content: content.to_owned() }
    }

    fn put(paths: &Paths, path: &str, content: &str) {
        let place = paths.host(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    #[test]
    fn drop_ins_are_read_as_sysctl_does() {
        let parsed = parse(
            "# ours\n; too\nnet.ipv4.ip_forward = 1\n-net/netfilter/nf_conntrack_max=5\n\nkernel.pid_max\t=\t9 9\n",
        );
        assert_eq!(parsed.len(), 3);
        assert_eq!(place_of(&parsed[0].name), "/proc/sys/net/ipv4/ip_forward");
        assert_eq!(
            (place_of(&parsed[1].name).as_str(), parsed[1].optional),
            ("/proc/sys/net/netfilter/nf_conntrack_max", true)
        );
        assert_eq!(parsed[2].value, "9 9");
        assert_eq!(
            place_of("net.ipv4.conf.eth0/100.forwarding"),
            "/proc/sys/net/ipv4/conf/eth0.100/forwarding"
        );
    }

    #[test]
    fn settings_are_set_once_and_their_old_values_kept() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        put(&paths, "/proc/sys/net/ipv4/ip_forward", "0\n");
        put(&paths, "/proc/sys/net/ipv4/ip_local_reserved_ports", "6443\t2379\n");
        put(&paths, "/sys/module/overlay/refcnt", "1\n");
        let files = [
            file(
                "/etc/sysctl.d/90-sealift.conf",
                "net.ipv4.ip_forward=1\nnet.ipv4.ip_local_reserved_ports = 6443 2379\n",
            ),
            file("/etc/modules-load.d/sealift.conf", "overlay\n"),
        ];
        let modules = ["overlay".to_owned()];
        let outcome = apply(&ctx, &files, &modules, true).unwrap();
        assert_eq!(outcome.summary, "wrote 2 files, loaded 0 modules, set 1 sysctls");
        let entries = Journal::new(&paths).entries().unwrap();
        let before = Change::Sysctl { name: "net.ipv4.ip_forward".to_owned(), before: "0".to_owned() };
        assert!(entries.iter().any(|entry| entry.change == before), "{entries:?}");
        assert!(!apply(&ctx, &files, &modules, true).unwrap().changed);
        assert_eq!(Journal::new(&paths).entries().unwrap().len(), entries.len());
    }

    #[test]
    fn what_the_kernel_lacks_is_named() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let missing = [file("/etc/sysctl.d/90-sealift.conf", "net.bridge.bridge-nf-call-iptables = 1\n")];
        let failure = apply(&ctx, &missing, &[], true).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(failure.message.contains("net.bridge.bridge-nf-call-iptables"), "{failure}");
        sealift_bundle::testing::program(
            &paths.host("/usr/local/sbin/modprobe"),
            "#!/bin/sh\necho \"FATAL: Module $1 not found\" >&2\nexit 1\n",
        );
        let failure = apply(&ctx, &[], &["no_such_module".to_owned()], false).unwrap_err();
        assert!(failure.message.contains("no_such_module"), "{failure}");
        assert_eq!(failure.log, ["FATAL: Module no_such_module not found"]);
    }
}
