//! The worlds that make the finer checks speak up.

pub mod services;

use sealift_checks::Protocol;
use sealift_checks::State::{Blocked, Error, Fail, NotRun, Pass, Warn};
use sealift_checks::facts::{Attempt, BootSetting, Claim, Drops, ModuleState, Proxy};
use sealift_profile::Environment;

use crate::world::{GB, World, hosts_line, interface, module, setting, tcp};
use crate::{Fault, fault};

fn set(w: &mut World, host: &str, name: &str, value: &str) {
    w.details(host).settings.insert(name.to_owned(), setting(value));
}

fn runs(w: &mut World, host: &str, process: &str) {
    w.details(host).processes.insert(process.to_owned());
}

fn lacks_module(w: &mut World, host: &str, name: &str) {
    let found = w.host(host).modules.iter_mut().find(|module| module.name == name).unwrap();
    *found = module(name, ModuleState::Missing);
}

fn lacks_command(w: &mut World, host: &str, name: &str) {
    w.details(host).commands.insert(name.to_owned(), false);
}

/// The zones of the first hosts.
fn zones(w: &mut World, zones: &[&str]) {
    for (host, zone) in w.site.hosts.iter_mut().zip(zones) {
        host.placement.zone = Some((*zone).to_owned());
    }
}

fn drops(w: &mut World, host: &str, hook: &str, chain: &str) {
    w.details(host).firewall.drops.push(Drops { hook: hook.into(), chain: chain.into() });
}

fn at_boot(w: &mut World, host: &str, file: &str, name: &str, value: &str) {
    let setting = BootSetting { file: file.into(), name: name.into(), value: value.into() };
    w.details(host).boot_settings.push(setting);
}

fn mounted_with(w: &mut World, host: &str, path: &str, option: &str) {
    w.disk(host, path).options.push(option.to_owned());
}

fn proxy(w: &mut World, host: &str, direct: &[&str]) {
    w.details(host).proxies.push(Proxy {
        file: "/etc/environment".into(),
        variable: "https_proxy".into(),
        direct: direct.iter().map(|entry| (*entry).to_owned()).collect(),
    });
}

/// Seen so by every run: m1 got p99 figures of these microseconds.
fn etcd_writes(w: &mut World, micros: u64) {
    let times = w.host("m1").etcd_writes.as_mut().unwrap();
    (times.p99_micros, times.runs) = (micros, vec![micros; 3]);
}

/// Nothing gets from one host to another over this protocol.
fn cut(w: &mut World, from: &str, to: &str, protocol: Protocol) {
    let cut = |attempt: &&mut Attempt| attempt.host == to && attempt.protocol == protocol;
    for attempt in w.attempts(from).iter_mut().filter(cut) {
        (attempt.micros, attempt.problem) = (None, "no answer: dropped on the way".into());
    }
}

fn slow(w: &mut World, from: &str, to: &str, micros: u64) {
    let there = |attempt: &&mut Attempt| attempt.host == to;
    w.attempts(from).iter_mut().filter(there).for_each(|attempt| attempt.micros = Some(micros));
}

/// Of an authority, until the first day of 2125.
const AUTHORITY: &str = include_str!("../../../profile/tests/authority.pem");

/// The site names an authority, and so many days are left for it by the seat's clock; hosts are an hour off.
fn days_left(w: &mut World, days: i64) {
    let text = Some(AUTHORITY.to_owned());
    w.site.customer_ca = Some(sealift_profile::Certificates { file: None, text });
    w.every_host(|facts| {
        facts.clock.skew_millis = 3_600_000;
        facts.clock.unix_millis = 4_891_363_200_000 - days * 86_400_000 + 3_600_000;
    });
}

pub(crate) const MORE: &[Fault] = &[
    fault("certificates.validity", "a quarter of a year", Warn, "-", |w| days_left(w, 89)),
    fault("certificates.validity", "long enough", Pass, "-", |w| days_left(w, 90)),
    fault("certificates.validity", "two weeks", Fail, "-", |w| days_left(w, 13)),
    fault("certificates.validity", "run out", Fail, "-", |w| days_left(w, -1)),
    fault("certificates.validity", "not read", Error, "-", |w| {
        let file = Some("/ca.pem".to_owned());
        w.site.customer_ca = Some(sealift_profile::Certificates { file, text: None });
    }),
    fault("facts.age", "three weeks old", Warn, "w1", |w| {
        w.in_files().insert("w1".into(), 21 * 86_400_000);
    }),
    fault("facts.age", "from tomorrow", Warn, "w1", |w| {
        w.in_files().insert("w1".into(), -26 * 3_600_000);
    }),
    fault("facts.age", "five days old", Pass, "w1", |w| {
        w.in_files().insert("w1".into(), 5 * 86_400_000);
    }),
    fault("facts.age", "no file of it", NotRun, "w1", |w| {
        w.in_files();
        w.facts.remove("w1");
    }),
    fault("site.capacity", "twice as many people", Fail, "-", |w| w.work_for(200_000)),
    fault("site.capacity", "no reserve", Warn, "-", |w| w.work_for(95_000)),
    fault("site.capacity", "a worker gave no facts", Blocked, "-", |w| {
        w.work_for(1_000);
        w.facts.remove("w1");
    }),
    fault("site.capacity", "a thousand people", Pass, "-", |w| w.work_for(1_000)),
    fault("cpu.count", "for the work of the profile", Warn, "m1", |w| {
        w.work_for(1_000);
        w.host("m1").cpus = 3;
    }),
    fault("memory.size", "too little for a master of a site with work", Fail, "m1", |w| {
        w.work_for(1_000);
        w.host("m1").memory_bytes = 7 << 30;
    }),
    fault("disk.space", "enough for this version only", Warn, "m1", |w| {
        w.work_for(1_000);
        w.disk("m1", "/var/lib/etcd").available_bytes = 10 * GB;
    }),
    fault("network.mesh-tcp", "a firewall in one direction", Fail, "m1", |w| {
        cut(w, "m1", "m2", Protocol::Tcp);
    }),
    fault("network.mesh-tcp", "cut off from many", Fail, "w1", |w| {
        for to in ["m1", "m2", "m3"] {
            cut(w, "w1", to, Protocol::Tcp);
        }
    }),
    fault("network.mesh-tcp", "a running cluster holds all ports", NotRun, "w1", |w| {
        w.attempts("w1").clear();
    }),
    fault("network.mesh-tcp", "nobody asked for it", NotRun, "w1", |w| w.host("w1").attempts = None),
    fault("network.mesh-udp", "the overlay is dropped", Fail, "w2", |w| cut(w, "w2", "w1", Protocol::Udp)),
    fault("network.latency", "two buildings", Warn, "m3", |w| slow(w, "m3", "m1", 3_400)),
    fault("network.latency", "two cities", Fail, "m3", |w| slow(w, "m3", "m1", 18_000)),
    fault("access.root", "sudo to another user", Fail, "m1", |w| w.details("m1").privileges.user = 33),
    fault("access.capabilities", "a small container", Fail, "w1", |w| {
        w.details("w1").privileges.capabilities &= !(1 << 21 | 1 << 12);
    }),
    fault("access.user-namespace", "an unprivileged container", Warn, "w1", |w| {
        w.details("w1").privileges.whole_machine = false;
    }),
    fault("access.round-trip", "over a satellite", Warn, "w2", |w| {
        w.host("w2").clock.round_trip_millis = 640;
    }),
    fault("identity.address", "a clone's second address", Fail, "m1", |w| {
        w.host("w2").interfaces.push(interface("eth1", "52:54:00:00:01:01", &["10.20.0.11/24"]));
    }),
    fault("identity.profile-name", "hosts exchanged", Warn, "w1", |w| {
        w.host("w1").hostname = "db7.plant.example".into();
    }),
    fault("identity.profile-name", "a full name", Pass, "w1", |w| {
        w.host("w1").hostname = "w1.plant.example".into();
    }),
    fault("identity.kernel", "containers on one machine", Warn, "m1 m2", |w| {
        w.host("m2").boot_id = w.facts["m1"].boot_id.clone();
    }),
    fault("os.alike", "one of another release", Warn, "w2", |w| w.host("w2").os.version = "13".into()),
    fault("kernel.alike", "one of another series", Warn, "w2", |w| w.host("w2").kernel = "6.12.1".into()),
    fault("kernel.alike", "another build of the series", Pass, "w2", |w| {
        w.host("w2").kernel = "6.1.0-31-amd64".into();
    }),
    fault("os.architecture-alike", "one of another", Warn, "w2", |w| {
        w.host("w2").architecture = "aarch64".into();
    }),
    fault("names.hosts-file", "an old address of a host", Fail, "w1", |w| {
        w.details("w1").hosts_file.push(hosts_line("10.9.9.9", "m1 m1.plant"));
    }),
    fault("names.hosts-file", "a strange endpoint", Fail, "w1", |w| {
        w.details("w1").hosts_file.push(hosts_line("10.9.9.9", "api.cluster.internal"));
    }),
    fault("names.hosts-file", "our own lines", Pass, "w1", |w| {
        let lines = [("127.0.0.1", "api.cluster.internal"), ("10.20.0.11", "m1"), ("10.20.0.21", "w1")];
        w.details("w1").hosts_file.extend(lines.map(|(address, names)| hosts_line(address, names)));
    }),
    fault("names.own", "as some installers write it", Warn, "m2", |w| {
        w.details("m2").hosts_file.push(hosts_line("127.0.1.1", "m2"));
    }),
    fault("names.localhost", "another host", Fail, "m2", |w| {
        w.details("m2").hosts_file = vec![hosts_line("10.20.0.9", "localhost")];
    }),
    fault("names.localhost", "no line", Warn, "m2", |w| w.details("m2").hosts_file.clear()),
    fault("leftovers.interfaces", "of flannel", Fail, "w1", |w| {
        w.host("w1").interfaces.push(interface("cni0", "0a:00:00:00:00:01", &[]));
        w.host("w1").interfaces.push(interface("flannel.1", "0a:00:00:00:00:02", &[]));
    }),
    fault("leftovers.interfaces", "of another pod network, beside ours", Fail, "w1", |w| {
        w.host("w1").claim = Some(Claim { site: "harbin-plant".into(), host: "w1".into() });
        w.host("w1").interfaces.push(interface("cilium_host", "0a:00:00:00:00:01", &[]));
    }),
    fault("leftovers.drop-ins", "of a package", Fail, "m1", |w| {
        w.details("m1").drop_ins = vec!["/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf".into()];
    }),
    fault("cpu.level", "a virtual machine of type kvm64", Fail, "w1", |w| {
        w.details("w1").cpu.flags = ["fpu", "sse", "sse2", "pni", "cx16"].map(str::to_owned).into();
    }),
    fault("cpu.level", "no flags", Error, "w1", |w| w.details("w1").cpu.flags.clear()),
    fault("memory.available", "something else lives there", Warn, "m1", |w| {
        w.details("m1").memory.available_bytes = 900 << 20;
    }),
    fault("memory.huge-pages", "a database's", Warn, "w1", |w| {
        w.details("w1").memory.huge_pages_bytes = 16 << 30;
    }),
    fault("memory.killer", "systemd's", Warn, "w1", |w| runs(w, "w1", "systemd-oomd")),
    fault("os.known", "an unknown one", Warn, "w1", |w| w.host("w1").os.id = "gentoo".into()),
    fault("os.known", "an old one", Warn, "w1", |w| w.host("w1").os.version = "11".into()),
    fault("cgroup.controllers", "memory switched off", Fail, "w1", |w| {
        w.details("w1").controllers.remove("memory");
    }),
    fault("machine.proc", "for reading only", Fail, "w1", |w| {
        w.details("w1").machine.proc_options = vec!["ro".into()];
    }),
    fault("machine.proc", "processes hidden", Warn, "w1", |w| {
        w.details("w1").machine.proc_options.push("hidepid=2".into());
    }),
    fault("machine.proc", "not mounted", Error, "w1", |w| w.details("w1").machine.proc_options.clear()),
    fault("machine.kernel-log", "a container without", Fail, "w1", |w| {
        w.details("w1").machine.kernel_log = false;
    }),
    fault("machine.shared-mounts", "a container without", Warn, "w1", |w| {
        w.details("w1").machine.shared_mounts = false;
    }),
    fault("kernel.module-overlay", "a reduced kernel", Fail, "m1", |w| lacks_module(w, "m1", "overlay")),
    fault("kernel.module-overlay", "nobody looked", Error, "m1", |w| w.host("m1").modules.clear()),
    fault("kernel.module-br-netfilter", "a reduced kernel", Fail, "m1", |w| {
        lacks_module(w, "m1", "br_netfilter");
    }),
    fault("kernel.module-nf-conntrack", "a reduced kernel", Fail, "m1", |w| {
        lacks_module(w, "m1", "nf_conntrack");
    }),
    fault("kernel.module-vxlan", "a reduced kernel", Fail, "m1", |w| lacks_module(w, "m1", "vxlan")),
    fault("kernel.module-nf-tables", "a reduced kernel", Fail, "m1", |w| lacks_module(w, "m1", "nf_tables")),
    fault("sysctl.writable", "a container that may not", Fail, "w1", |w| {
        w.details("w1").settings.values_mut().for_each(|setting| setting.writable = false);
    }),
    fault("sysctl.writable", "may not, and need not", Pass, "w1", |w| {
        set(w, "w1", "net.ipv4.ip_forward", "1");
        set(w, "w1", "fs.inotify.max_user_instances", "8192");
        w.details("w1").settings.values_mut().for_each(|setting| setting.writable = false);
    }),
    fault("sysctl.writable", "nobody looked", Error, "w1", |w| w.details("w1").settings.clear()),
    fault("sysctl.at-boot", "hardening that comes later", Fail, "w1", |w| {
        at_boot(w, "w1", "/etc/sysctl.d/99-hardening.conf", "net.ipv4.ip_forward", "0");
    }),
    fault("sysctl.at-boot", "the old file", Fail, "w1", |w| {
        at_boot(w, "w1", "/etc/sysctl.conf", "net.ipv4.ip_forward", "0");
    }),
    fault("sysctl.at-boot", "one that comes before ours", Pass, "w1", |w| {
        at_boot(w, "w1", "/usr/lib/sysctl.d/50-default.conf", "net.ipv4.ip_forward", "0");
    }),
    fault("limits.processes", "far too few", Fail, "w1", |w| set(w, "w1", "kernel.pid_max", "2048")),
    fault("limits.processes", "the kernel's old default", Warn, "w1", |w| {
        set(w, "w1", "kernel.pid_max", "32768");
    }),
    fault("limits.open-files", "far too few", Fail, "w1", |w| set(w, "w1", "fs.file-max", "65536")),
    fault("limits.open-files", "just enough", Warn, "w1", |w| set(w, "w1", "fs.file-max", "200000")),
    fault("kernel.entropy", "an old virtual machine", Warn, "w1", |w| {
        set(w, "w1", "kernel.random.entropy_avail", "38");
    }),
    fault("kernel.trouble", "died, and bad memory", Warn, "w1", |w| set(w, "w1", "kernel.tainted", "160")),
    fault("kernel.trouble", "a driver of its maker", Pass, "w1", |w| set(w, "w1", "kernel.tainted", "12289")),
    fault("kernel.restart-pending", "after an update", Warn, "w1", |w| {
        w.details("w1").machine.restart_pending = true;
    }),
    fault("commands.iproute", "missing", Fail, "w1", |w| lacks_command(w, "w1", "ip")),
    fault("commands.iproute", "nobody looked", Error, "w1", |w| w.details("w1").commands.clear()),
    fault("commands.mount", "two missing", Fail, "w1", |w| {
        lacks_command(w, "w1", "umount");
        lacks_command(w, "w1", "nsenter");
    }),
    fault("commands.trust-store", "neither is there", Fail, "w1", |w| {
        days_left(w, 9999);
        lacks_command(w, "w1", "update-ca-certificates");
        lacks_command(w, "w1", "update-ca-trust");
    }),
    fault("commands.trust-store", "one of RHEL", Pass, "w1", |w| {
        days_left(w, 9999);
        lacks_command(w, "w1", "update-ca-certificates");
    }),
    fault("commands.modprobe", "missing", Fail, "w1", |w| lacks_command(w, "w1", "modprobe")),
    fault("commands.systemd-run", "missing", Fail, "w1", |w| lacks_command(w, "w1", "systemd-run")),
    fault("commands.ethtool", "missing", Warn, "w1", |w| lacks_command(w, "w1", "ethtool")),
    fault("commands.tc", "missing", Warn, "w1", |w| lacks_command(w, "w1", "tc")),
    fault("protection.selinux", "it refuses", Warn, "w1", |w| {
        w.details("w1").security.selinux_enforcing = true;
    }),
    fault("protection.apparmor", "no loader", Warn, "w1", |w| w.details("w1").security.apparmor = true),
    fault("protection.fapolicyd", "it runs", Fail, "w1", |w| runs(w, "w1", "fapolicyd")),
    fault("protection.scanners", "two run", Warn, "w1", |w| {
        runs(w, "w1", "clamd");
        runs(w, "w1", "ds_agent");
    }),
    fault("firewall.firewalld", "it runs", Warn, "w1", |w| runs(w, "w1", "firewalld")),
    fault("firewall.ufw", "it is on", Warn, "w1", |w| w.details("w1").firewall.ufw = true),
    fault("firewall.input", "drops", Warn, "w1", |w| drops(w, "w1", "input", "inet filter input")),
    fault("firewall.forward", "drops", Warn, "w1", |w| drops(w, "w1", "forward", "ip filter FORWARD")),
    fault("time.one-service", "two", Warn, "m3", |w| runs(w, "m3", "systemd-timesyn")),
    fault("time.hardware-clock", "an hour off", Warn, "m3", |w| {
        w.details("m3").hardware_clock.offset_seconds = Some(-3600);
    }),
    fault("time.hardware-clock", "local time", Warn, "m3", |w| {
        w.details("m3").hardware_clock.local = true;
    }),
    fault("time.hardware-clock", "a container has none", Pass, "m3", |w| {
        w.details("m3").hardware_clock.offset_seconds = None;
    }),
    fault("time.zone", "one differs", Warn, "w2", |w| w.details("w2").zone = "Asia/Shanghai".into()),
    fault("network.speed", "an old switch", Fail, "w1", |w| w.host("w1").interfaces[1].speed = Some(10)),
    fault("network.speed", "not slow enough to refuse", Warn, "w1", |w| {
        w.host("w1").interfaces[1].speed = Some(100);
    }),
    fault("network.speed", "a virtual one says none", Pass, "w1", |w| {
        w.host("w1").interfaces[1].speed = None;
    }),
    fault("network.speed", "no interface to look at", NotRun, "w1", |w| {
        w.host("w1").interfaces.pop();
    }),
    fault("network.duplex", "half", Warn, "w1", |w| w.host("w1").interfaces[1].half_duplex = true),
    fault("network.broken-packets", "a bad cable", Warn, "w1", |w| w.host("w1").interfaces[1].errors = 2_000),
    fault("network.reverse-path", "strict", Warn, "w1", |w| {
        w.host("w1").interfaces[1].reverse_path_filter = 1;
    }),
    fault("network.arp", "does not answer all", Warn, "w1", |w| {
        set(w, "w1", "net.ipv4.conf.all.arp_ignore", "1");
    }),
    fault("network.connection-table", "nearly full", Warn, "w1", |w| {
        set(w, "w1", "net.netfilter.nf_conntrack_count", "250000");
    }),
    fault("network.ipv6", "off, and needed", Fail, "w1", |w| {
        w.site.hosts[3].address = "fd00::21".parse().unwrap();
        set(w, "w1", "net.ipv6.conf.all.disable_ipv6", "1");
    }),
    fault("network.ipv6", "off, and not needed", Pass, "w1", |w| {
        set(w, "w1", "net.ipv6.conf.all.disable_ipv6", "1");
    }),
    fault("network.proxy", "for everything", Warn, "w1", |w| proxy(w, "w1", &[])),
    fault("network.proxy", "not for the hosts, but for Services", Warn, "w1", |w| {
        proxy(w, "w1", &["localhost", "10.20.0.0/24", "10.244.0.0/16"]);
    }),
    fault("network.proxy", "not for the site", Pass, "w1", |w| {
        proxy(w, "w1", &["localhost", "10.0.0.0/8"]);
    }),
    fault("dns.in-cluster-network", "a host's", Fail, "w1", |w| {
        w.host("w1").nameservers = vec!["10.96.0.53".into()];
    }),
    fault("dns.silent-resolver", "it does not run", Warn, "w1", |w| {
        w.host("w1").nameservers = vec!["127.0.0.53".into()];
    }),
    fault("dns.silent-resolver", "it runs", Pass, "w1", |w| {
        w.host("w1").nameservers = vec!["127.0.0.53".into()];
        w.host("w1").listeners.push(tcp(53, "systemd-resolve", "systemd-resolved.service"));
    }),
    fault("ports.of-services", "one is taken", Warn, "w1", |w| {
        w.host("w1").listeners.push(tcp(30080, "node", "shop.service"));
    }),
    fault("ports.outgoing", "a wide range", Warn, "w1", |w| {
        set(w, "w1", "net.ipv4.ip_local_port_range", "1024 65535");
    }),
    fault("ports.outgoing", "nonsense", Error, "w1", |w| {
        set(w, "w1", "net.ipv4.ip_local_port_range", "many");
    }),
    fault("disk.inodes", "used up", Fail, "w1", |w| {
        w.disk("w1", "/var/lib/containerd").available_files = 100_000;
    }),
    fault("disk.inodes", "few left", Warn, "w1", |w| {
        w.disk("w1", "/var/lib/containerd").available_files = 600_000;
    }),
    fault("disk.read-only", "after a disk error", Fail, "w1", |w| {
        mounted_with(w, "w1", "/var/lib/kubelet", "ro");
    }),
    fault("disk.noexec", "hardened", Fail, "w1", |w| mounted_with(w, "w1", "/opt/cni/bin", "noexec")),
    fault("disk.nosuid", "hardened", Warn, "w1", |w| {
        mounted_with(w, "w1", "/var/lib/containerd", "nosuid");
    }),
    fault("disk.entry-kinds", "an old xfs", Fail, "w1", |w| {
        w.disk("w1", "/var/lib/containerd").entry_kinds = Some(false);
    }),
    fault("disk.entry-kinds", "an empty disk", NotRun, "w1", |w| {
        w.disk("w1", "/var/lib/containerd").entry_kinds = None;
    }),
    fault("disk.links", "to a larger disk", Fail, "w1", |w| {
        w.disk("w1", "/var/lib/kubelet").link = Some("/var/lib/kubelet leads to /data/kubelet".into());
    }),
    fault("disk.closed-parents", "hardened", Warn, "w1", |w| {
        w.disk("w1", "/var/lib/containerd").closed = vec!["/var/lib".into()];
    }),
    fault("disk.open-parents", "chmod 777", Fail, "w1", |w| {
        w.disk("w1", "/usr/local/bin").open = vec!["/usr/local".into(), "/usr/local/bin".into()];
    }),
    fault("disk.errors", "counted", Fail, "m1", |w| w.disk("m1", "/var/lib/etcd").errors = Some(3)),
    fault("disk.mounted-at-boot", "by hand", Warn, "m1", |w| w.disk("m1", "/var/lib/etcd").at_boot = false),
    fault("disk.mounted-at-boot", "by the machine below", Pass, "m1", |w| {
        w.disk("m1", "/var/lib/etcd").at_boot = false;
        w.details("m1").machine.container = true;
    }),
    fault("disk.logs", "nearly full", Fail, "w1", |w| w.disk("w1", "/var/log").available_bytes = GB / 2),
    fault("disk.logs", "some room", Warn, "w1", |w| w.disk("w1", "/var/log").available_bytes = 2 * GB),
    fault("disk.temporary", "wrong mode", Warn, "w1", |w| w.details("w1").machine.temporary_mode = 0o755),
    fault("disk.temporary", "full", Warn, "w1", |w| w.disk("w1", "/tmp").available_bytes = 1_000_000),
    fault("disk.temporary", "for reading only", Warn, "w1", |w| mounted_with(w, "w1", "/tmp", "ro")),
    fault("disk.etcd-own", "with the system", Fail, "m1", |w| {
        w.site.etcd.own_disk = true;
        let images = w.disk("m1", "/var/lib/containerd").clone();
        let etcd = w.disk("m1", "/var/lib/etcd");
        (etcd.device, etcd.mount_point) = (images.device, images.mount_point);
    }),
    fault("disk.etcd-own", "a folder of the system's disk, mounted once more", Fail, "m2", |w| {
        w.site.etcd.own_disk = true;
        w.disk("m2", "/var/lib/etcd").device = "/dev/sda2".into();
    }),
    fault("disk.etcd-own", "a folder on a data disk", Fail, "m1 m2 m3", |w| {
        w.own_disk_at("/data/etcd");
        w.every_host(|facts| {
            let disk = facts.disks.iter_mut().find(|disk| disk.path == "/data/etcd").unwrap();
            disk.mount_point = "/data".into();
        });
    }),
    fault("disk.etcd-own", "mounted by hand", Fail, "m3", |w| {
        w.site.etcd.own_disk = true;
        w.disk("m3", "/var/lib/etcd").at_boot = false;
    }),
    fault("disk.etcd-own", "by the machine below a container", Pass, "m1 m2 m3", |w| {
        w.site.etcd.own_disk = true;
        w.disk("m3", "/var/lib/etcd").at_boot = false;
        w.details("m3").machine.container = true;
    }),
    fault("disk.etcd-own", "at another place", Pass, "m1 m2 m3", |w| w.own_disk_at("/data/etcd")),
    fault("disk.etcd-own", "nobody measured it", Error, "m1 m2 m3", |w| {
        w.site.etcd.folder = "/data/etcd".into();
        w.site.etcd.own_disk = true;
    }),
    fault("disk.etcd-own", "one disk for both databases", Fail, "m1 m2 m3", |w| {
        w.site.etcd.own_disk = true;
        w.events_at("/var/lib/etcd-events");
        w.every_host(|facts| {
            facts.disks.iter_mut().filter(|disk| disk.path == "/var/lib/etcd-events").for_each(|disk| {
                disk.device = "/dev/sdb1".into();
            });
        });
    }),
    fault("disk.etcd-own", "a disk for each database", Pass, "m1 m2 m3", |w| {
        w.site.etcd.own_disk = true;
        w.events_at("/var/lib/etcd-events");
    }),
    fault("disk.etcd-own", "snapshots on a database's disk", Fail, "m2", |w| {
        w.site.etcd.own_disk = true;
        w.events_at("/var/lib/etcd-events");
        let disk = w.disk("m2", "/var/lib/etcd-events").clone();
        let snapshots = w.disk("m2", "/var/lib/sealift/backup/etcd-events");
        (snapshots.device, snapshots.mount_point) = (disk.device, disk.mount_point);
    }),
    fault("disk.space", "for snapshots of events", Fail, "m1", |w| {
        w.events_at("/var/lib/etcd-events");
        let snapshots = w.disk("m1", "/var/lib/sealift/backup/etcd-events");
        (snapshots.device, snapshots.mount_point) = ("/dev/sdd1".into(), "/var/lib/sealift/backup".into());
        snapshots.available_bytes = 900_000_000;
    }),
    fault("ports.free", "of the database of events", Fail, "m2", |w| {
        w.events_at("/var/lib/etcd-events");
        w.host("m2").listeners.push(tcp(2383, "node", "shop.service"));
    }),
    fault("disk.etcd-alone", "with the images", Warn, "m1", |w| {
        let images = w.disk("m1", "/var/lib/containerd").clone();
        let etcd = w.disk("m1", "/var/lib/etcd");
        (etcd.device, etcd.mount_point) = (images.device, images.mount_point);
    }),
    fault("disk.etcd-rotational", "it turns", Warn, "m1", |w| {
        w.disk("m1", "/var/lib/etcd").rotational = Some(true);
    }),
    fault("disk.etcd-fsync", "slow", Warn, "m1", |w| etcd_writes(w, 12_000)),
    fault("disk.etcd-fsync", "too slow", Fail, "m1", |w| etcd_writes(w, 68_000)),
    fault("disk.etcd-fsync", "beyond acceptance", Fail, "m1", |w| etcd_writes(w, 210_000)),
    fault("disk.etcd-fsync", "nothing written", Error, "m1", |w| {
        w.host("m1").etcd_writes.as_mut().unwrap().writes = 0;
    }),
    fault("disk.etcd-fsync", "nobody asked for it", NotRun, "m1", |w| w.host("m1").etcd_writes = None),
    fault("product.setting-kinds", "a number for a text", Fail, "-", |w| {
        w.site.product.settings.insert("greeting".into(), 7.into());
    }),
    fault("site.masters", "one", Warn, "-", |w| {
        w.site.hosts.retain(|host| !["m2", "m3"].contains(&host.name.as_str()));
    }),
    fault("site.zones", "one host in none", Warn, "-", |w| {
        zones(w, &["a", "b", "c", "a"]);
    }),
    fault("site.zones", "masters together", Warn, "-", |w| zones(w, &["a", "a", "a", "b", "c"])),
    fault("site.zones", "masters spread", Pass, "-", |w| zones(w, &["a", "b", "c", "a", "b"])),
    fault("site.masters", "one in a test site", Pass, "-", |w| {
        w.site.environment = Some(Environment::Test);
        w.site.hosts.retain(|host| !["m2", "m3"].contains(&host.name.as_str()));
    }),
    fault("disk.headroom", "nearly full in a test site", Pass, "m1 m2 m3 w1 w2", |w| {
        w.site.environment = Some(Environment::Test);
        w.host("w2").disks.iter_mut().for_each(|disk| disk.available_bytes = 16 * GB);
    }),
    fault("network.latency", "two cities, a test site", Warn, "m3", |w| {
        w.site.environment = Some(Environment::Test);
        slow(w, "m3", "m1", 18_000);
    }),
    fault("site.workers", "one", Warn, "-", |w| w.site.hosts.retain(|host| host.name != "w2")),
    fault("site.name-servers", "four", Warn, "-", |w| {
        w.site.cluster.nameservers =
            (1..5).map(|last| std::net::Ipv4Addr::new(10, 20, 1, last).into()).collect();
    }),
];
