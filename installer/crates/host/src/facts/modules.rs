//! Kernel modules: loaded, part of the kernel, loadable, or missing; also in containers, which have no `/lib/modules`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};

use sealift_checks::facts::{Module, ModuleState};

use crate::paths::Paths;

/// What a module that cannot be seen by its name leaves where it is at work.
const TRACES: [(&str, &str); 5] = [
    ("br_netfilter", "/proc/sys/net/bridge"),
    ("nf_conntrack", "/proc/sys/net/netfilter/nf_conntrack_max"),
    ("ip_tables", "/proc/net/ip_tables_names"),
    ("tun", "/sys/devices/virtual/misc/tun"),
    ("loop", "/sys/block/loop0"),
];

pub(super) fn probe(paths: &Paths, names: &[String]) -> Vec<Module> {
    names.iter().map(|name| Module { name: name.replace('-', "_"), state: state(paths, name) }).collect()
}

/// A module that was seen at work is there, whatever the files say.
pub(super) fn seen_at_work(modules: &mut [Module], name: &str) {
    let found =
        modules.iter_mut().filter(|module| module.name == name && module.state == ModuleState::Missing);
    found.for_each(|module| module.state = ModuleState::BuiltIn);
}

/// How the kernel has a module.
pub(crate) fn state(paths: &Paths, name: &str) -> ModuleState {
    let name = name.replace('-', "_");
    let read = |path: &str| fs::read_to_string(paths.host(path)).unwrap_or_default();
    if read("/proc/modules").lines().any(|line| line.split_whitespace().next() == Some(&name)) {
        return ModuleState::Loaded;
    }
    let folder = format!("/lib/modules/{}", rustix::system::uname().release().to_string_lossy());
    let at_work = paths.host(&format!("/sys/module/{name}")).exists()
        || is_file_system(&read("/proc/filesystems"), &name)
        || TRACES.iter().any(|(module, trace)| *module == name && paths.host(trace).exists());
    if at_work || lists(&read(&format!("{folder}/modules.builtin")), &name) {
        return ModuleState::BuiltIn;
    }
    if lists(&read(&format!("{folder}/modules.dep")), &name) {
        return ModuleState::Available;
    }
    if has_entry_point(paths, &name) { ModuleState::BuiltIn } else { ModuleState::Missing }
}

/// `nodev overlay`.
fn is_file_system(filesystems: &str, name: &str) -> bool {
    filesystems.lines().any(|line| line.split_whitespace().last() == Some(name))
}

/// Lines such as `kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/…`; file names may have hyphens.
fn lists(list: &str, name: &str) -> bool {
    list.lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        file.split_once(".ko").is_some_and(|(stem, _)| stem.replace('-', "_") == name)
    })
}

/// Last resort: the kernel's own symbols have the module's entry point, and not as part of a loaded module.
fn has_entry_point(paths: &Paths, name: &str) -> bool {
    let Ok(symbols) = File::open(paths.host("/proc/kallsyms")) else { return false };
    let wanted = [format!("{name}_init"), format!("{name}_init_module"), format!("{name}_module_init")];
    BufReader::new(symbols).lines().map_while(Result::ok).any(|line| {
        let mut columns = line.split_whitespace();
        let symbol = columns.nth(2);
        columns.next().is_none() && symbol.is_some_and(|symbol| wanted.iter().any(|wanted| wanted == symbol))
    })
}

#[cfg(test)]
mod tests {
    use ModuleState::{Available, BuiltIn, Loaded, Missing};

    use super::*;

    fn put(paths: &Paths, path: &str, content: &str) {
        let place = paths.host(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    #[test]
    fn each_way_a_kernel_has_a_module() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let folder = format!("/lib/modules/{}", rustix::system::uname().release().to_string_lossy());
        put(&paths, "/proc/modules", "nf_tables 12 3 - Live 0x0\n");
        put(&paths, "/proc/filesystems", "nodev\tsysfs\n\text4\nnodev\toverlay\n");
        put(&paths, "/proc/sys/net/bridge/bridge-nf-call-iptables", "1");
        put(&paths, "/sys/module/nf_conntrack/parameters/hashsize", "1");
        put(&paths, &format!("{folder}/modules.builtin"), "kernel/drivers/block/loop.ko\n");
        put(&paths, &format!("{folder}/modules.dep"), "kernel/net/ipv4/ip-tunnel.ko.xz: kernel/x.ko\n");
        put(&paths, "/proc/kallsyms", "0 t vxlan_init_module\n0 t ip_vs_init\t[ip_vs]\n");
        let found: Vec<ModuleState> = [
            "nf_tables",
            "overlay",
            "br_netfilter",
            "nf-conntrack",
            "loop",
            "ip_tunnel",
            "vxlan",
            "ip_vs",
            "none",
        ]
        .map(|name| state(&paths, name))
        .to_vec();
        assert_eq!(found, [Loaded, BuiltIn, BuiltIn, BuiltIn, BuiltIn, Available, BuiltIn, Missing, Missing]);
    }
}
