use std::path::Path;

use sealift_checks::facts::CgroupVersion;

use super::*;
use crate::context::testing::Recorder;
use crate::paths::Paths;

const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5001 1 0 100 0 0 10 0
   1: 0B004D0A:192B 0C004D0A:C001 01 00000000:00000000 00:00000000 00000000     0        0 5002 1 0 100 0 0 10 0
";
const TCP6: &str = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:192B 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5003 1 0 100 0 0 10 0
   1: 000080FE00000000FF005450A1B2C3FE:0035 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5004 1 0 100 0 0 10 0
";
const UDP: &str = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 5005 2 0000000000000000 0
";

fn put(paths: &Paths, path: &str, content: &str) {
    let place = paths.host(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, content).unwrap();
}

#[test]
fn os_release_in_all_its_spellings() {
    let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n";
    let os = system::parse_os(debian);
    assert_eq!(
        (os.id.as_str(), os.version.as_str(), os.name.as_str()),
        ("debian", "12", "Debian GNU/Linux 12 (bookworm)")
    );
    let astra = system::parse_os("ID='astra'\nVERSION_ID=1.8_x86-64\n");
    assert_eq!((astra.id.as_str(), astra.version.as_str(), astra.name.as_str()), ("astra", "1.8_x86-64", ""));
}

#[test]
fn memory_swap_and_capabilities() {
    assert_eq!(
        system::parse_memory_total("MemTotal:       24689764 kB\nMemFree: 1 kB\n"),
        Some(24_689_764 * 1024)
    );
    assert_eq!(system::parse_memory_total("nonsense"), None);
    let swaps = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/swap\\040file file\t2097148\t0\t-2\n";
    let swaps = system::parse_swaps(swaps);
    assert_eq!((swaps[0].path.as_str(), swaps[0].bytes), ("/swap file", 2_097_148 * 1024));
    assert!(system::parse_cap_sys_resource("CapEff:\t000001ffffffffff\n"));
    assert!(!system::parse_cap_sys_resource("CapPrm:\t000001ffffffffff\nCapEff:\t000001fffeffffff\n"));
    assert!(!system::parse_cap_sys_resource(""));
    assert_eq!(system::parse_systemd_version("systemd 252 (252.39-1~deb12u1)\n+PAM"), 252);
    assert_eq!(system::parse_systemd_version(""), 0);
    assert_eq!(
        system::parse_nameservers("# x\nnameserver 10.0.0.1\nsearch a\n nameserver fd00::1\n"),
        ["10.0.0.1", "fd00::1"]
    );
}

#[test]
fn only_listening_sockets_count() {
    let tcp = sockets::parse(TCP, "tcp");
    assert_eq!(tcp, [sockets::Socket { address: "127.0.0.1".parse().unwrap(), port: 3306, inode: 5001 }]);
    let tcp6 = sockets::parse(TCP6, "tcp");
    assert_eq!((tcp6[0].address, tcp6[0].port), ("::".parse().unwrap(), 6443));
    assert_eq!(tcp6[1].address, "fe80::5054:ff:fec3:b2a1".parse::<std::net::IpAddr>().unwrap());
    assert_eq!(sockets::parse(UDP, "udp")[0].port, 8472);
}

#[test]
fn units_are_read_from_both_cgroup_layouts() {
    let v1 = "12:pids:/system.slice/ssh.service\n1:name=systemd:/system.slice/ssh.service\n0::/system.slice/ssh.service\n";
    assert_eq!(sockets::parse_unit(v1), "ssh.service");
    assert_eq!(sockets::parse_unit("0::/kubepods/besteffort/pod1/abc\n"), "/kubepods/besteffort/pod1/abc");
    assert_eq!(sockets::parse_unit("0::/\n"), "");
}

#[test]
fn the_deepest_and_last_mount_wins() {
    let mounts = disks::parse_mounts(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /var/lib rw shared:3 - xfs /dev/sdb rw\n\
         3 1 8:3 / /var/lib rw - ext4 /dev/sdc rw\n4 1 0:9 / /mnt/a\\040b rw - tmpfs tmpfs rw\n",
    );
    let device = |path: &str| disks::mount_of(&mounts, Path::new(path)).unwrap().device.clone();
    assert_eq!(device("/var/lib/etcd"), "/dev/sdc");
    assert_eq!(device("/var/library"), "/dev/sda1");
    assert_eq!(device("/mnt/a b/c"), "tmpfs");
}

#[test]
fn addresses_and_routes_of_iproute2() {
    let links = r#"[{},{"ifname":"eth0","flags":["BROADCAST","UP"],"mtu":1450,"address":"52:54:00:AB:CD:EF",
        "addr_info":[{"family":"inet","local":"10.77.0.11","prefixlen":24},{"local":"fe80::1","prefixlen":64}]}]"#;
    let links: Vec<network::Link> = serde_json::from_str(links).unwrap();
    let interfaces: Vec<_> = links.into_iter().filter_map(network::Link::interface).collect();
    assert_eq!(interfaces.len(), 1);
    assert_eq!(
        (interfaces[0].mac.as_str(), interfaces[0].mtu, interfaces[0].up),
        ("52:54:00:ab:cd:ef", 1450, true)
    );
    assert_eq!(interfaces[0].addresses[0].to_string(), "10.77.0.11/24");
    let rows = r#"[{"dst":"default","gateway":"10.77.0.1","dev":"eth0","flags":[]},{"dst":"10.77.0.0/24","dev":"eth0"},
        {"dst":"10.9.9.9","nexthops":[{"gateway":"10.77.0.2","dev":"eth0"},{"gateway":"10.77.0.3","dev":"eth1"}]},
        {"type":"unreachable","dst":"10.1.0.0/16","flags":[]}]"#;
    let rows: Vec<network::RouteRow> = serde_json::from_str(rows).unwrap();
    let routes: Vec<String> = rows
        .iter()
        .flat_map(|row| row.routes("-4"))
        .map(|route| {
            format!("{} {:?} {}", route.destination, route.gateway.map(|g| g.to_string()), route.interface)
        })
        .collect();
    assert_eq!(
        routes,
        [
            "0.0.0.0/0 Some(\"10.77.0.1\") eth0",
            "10.77.0.0/24 None eth0",
            "10.9.9.9/32 Some(\"10.77.0.2\") eth0",
            "10.9.9.9/32 Some(\"10.77.0.3\") eth1",
        ]
    );
}

#[test]
fn time_services_in_their_own_words() {
    assert!(clock::chrony_synchronised("Reference ID    : 0A4D0001\nLeap status     : Normal\n"));
    assert!(!clock::chrony_synchronised("Leap status     : Not synchronised\n"));
    assert!(!clock::chrony_synchronised("506 Cannot talk to daemon\n"));
    assert!(clock::ntp_synchronised("leap=00"));
    assert!(!clock::ntp_synchronised("leap=11"));
}

#[test]
fn a_probe_of_a_bare_root_names_what_is_missing_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    put(&paths, "/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    put(&paths, "/etc/kubernetes/manifests/kube-apiserver.yaml", "x");
    fs::create_dir_all(paths.host("/etc/cni/net.d")).unwrap();
    put(&paths, "/var/lib/etcd/member/snap/db", "x");
    put(&paths, "/data/etcd/member/snap/db", "x");
    put(&paths, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
    put(&paths, "/var/lib/sealift/host.json", r#"{"site":"shop","host":"m1"}"#);
    let before = walk(root.path());
    let recorder = Recorder::default();
    let options = ProbeOptions {
        paths: words(&["/var/lib/containerd", "/data/etcd"]),
        modules: words(&["nope"]),
        ..Default::default()
    };
    let facts = probe(&Context::new(&paths, &recorder, "", ""), &options);
    assert_eq!(walk(root.path()), before);
    let leftovers: Vec<&str> = facts.leftovers.iter().map(|leftover| leftover.path.as_str()).collect();
    assert_eq!(leftovers, ["/etc/kubernetes", "/var/lib/etcd/member", "/data/etcd/member"]);
    assert_eq!(
        (facts.disks[0].path.as_str(), facts.disks[0].device.as_str()),
        ("/var/lib/containerd", "/dev/sda1")
    );
    assert_eq!(facts.claim.unwrap().host, "m1");
    assert_eq!(facts.cgroup, CgroupVersion::V1);
    assert!(facts.unreadable.iter().any(|what| what.starts_with("/proc/meminfo")), "{:?}", facts.unreadable);
    assert_eq!(facts.systemd, 0);
}

#[test]
fn a_probe_of_this_machine_finds_our_own_socket() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let recorder = Recorder::default();
    let options = ProbeOptions {
        paths: words(&["/", "/var/lib"]),
        modules: words(&["overlay"]),
        commands: words(&["sh", "no-such-program"]),
        settings: words(&[
            "kernel.pid_max",
            "kernel.random.entropy_avail",
            "no.such.setting",
            "../etc/passwd",
        ]),
    };
    let facts = probe(&Context::new(&Paths::system(), &recorder, "", ""), &options);
    let ours = facts.listeners.iter().find(|found| found.port == port && found.protocol == "tcp").unwrap();
    let comm = fs::read_to_string("/proc/self/comm").unwrap();
    assert_eq!((ours.address.to_string().as_str(), ours.process.as_str()), ("127.0.0.1", comm.trim()));
    assert!(
        facts.memory_bytes > 0 && facts.cpus > 0 && !facts.kernel.is_empty() && !facts.boot_id.is_empty()
    );
    assert_eq!(facts.disks[0].mount_point, "/");
    assert!(facts.disks[0].total_bytes >= facts.disks[0].available_bytes);
    assert!(facts.disks[0].at_boot && !facts.disks[0].options.is_empty());
    assert_eq!(facts.disks[1].entry_kinds, Some(true));
    let details = facts.details.unwrap();
    assert_eq!(
        details.settings.keys().collect::<Vec<_>>(),
        ["kernel.pid_max", "kernel.random.entropy_avail"]
    );
    assert!(details.settings["kernel.pid_max"].value.parse::<u32>().unwrap() > 0);
    assert_eq!(details.commands, [("no-such-program".to_owned(), false), ("sh".to_owned(), true)].into());
    assert!(details.processes.contains(comm.trim()), "{:?}", details.processes);
    assert!(!details.cpu.flags.is_empty() && details.memory.available_bytes > 0);
    assert!(details.controllers.contains("memory"), "{:?}", details.controllers);
    assert!(details.machine.proc_options.contains(&"rw".to_owned()), "{:?}", details.machine);
    assert!(!details.zone.is_empty());
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn mounts_tell_their_options_and_whether_they_are_passed_on() {
    let mounts = disks::parse_mounts(
        "25 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro\n\
         30 25 8:17 / /var/lib/etcd rw,noexec - xfs /dev/sdb1 rw,attr2,inode64,logbufs=8\nnonsense\n",
    );
    assert_eq!(mounts.iter().map(|mount| mount.shared).collect::<Vec<_>>(), [true, false]);
    assert_eq!(mounts[1].options, ["rw", "noexec", "rw", "attr2", "inode64", "logbufs=8"]);
}

#[test]
fn fstab_says_what_is_mounted_at_boot() {
    let fstab = "# /etc/fstab\nUUID=1b2c / ext4 errors=remount-ro 0 1\n/dev/sdb1 /var/lib/etcd xfs defaults 0 2\n\
                 /dev/sdc1\t/mnt/a\\040b ext4 rw,noauto 0 0\n/dev/sdd1 none swap sw 0 0\n/dev/sde1 /data\n";
    assert_eq!(disks::parse_fstab(fstab), ["/", "/var/lib/etcd", "/data"]);
}

#[test]
fn privileges_of_root_of_others_and_of_namespaces() {
    let status = "Name:\tinstaller\nUid:\t1000\t0\t0\t0\nCapEff:\t000001ffffffffff\n";
    let whole = details::parse_privileges(status, "         0          0 4294967295\n");
    assert!(whole.user == 0 && whole.whole_machine && whole.has(21) && !whole.has(63));
    let inner = details::parse_privileges(status, "         0     100000      65536\n");
    assert!(!inner.whole_machine);
    assert_ne!(details::parse_privileges("", "").user, 0, "who could not be told is not root");
}

#[test]
fn processors_of_both_makes() {
    let intel = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu pni sse4_2\nprocessor\t: 1\nflags\t\t: other\n";
    let cpu = details::parse_cpu(intel);
    assert_eq!(cpu.model, "Intel(R) Xeon(R)");
    assert_eq!(cpu.flags, ["fpu", "pni", "sse4_2"].map(str::to_owned).into());
    let arm = details::parse_cpu("processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n");
    assert_eq!((arm.model.as_str(), arm.flags.len()), ("", 2));
}

#[test]
fn memory_that_is_free_and_put_aside() {
    let text = "MemTotal: 100 kB\nMemAvailable:   15989764 kB\nHugePages_Total:       4\nHugepagesize:       2048 kB\n";
    let memory = details::parse_memory(text);
    assert_eq!((memory.available_bytes, memory.huge_pages_bytes), (15_989_764 << 10, 8 << 20));
    let newer = details::parse_memory(&format!("{text}Hugetlb:         1048576 kB\n"));
    assert_eq!(newer.huge_pages_bytes, 1 << 30);
}

#[test]
fn controllers_of_the_older_hierarchy() {
    let text = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\nmemory\t0\t1\t0\n";
    assert_eq!(details::parse_cgroups(text), ["cpuset"]);
}

#[test]
fn the_hosts_file_with_comments_and_case() {
    let lines = details::parse_hosts(
        "127.0.0.1\tlocalhost\n# 10.0.0.1 old\n10.0.0.2 M1 m1.plant # new\n::1\nnonsense x\n",
    );
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (lines[1].address.to_string().as_str(), &lines[1].names),
        ("10.0.0.2", &words(&["m1", "m1.plant"]))
    );
}

#[test]
fn a_proxy_is_seen_and_its_password_is_not_kept() {
    let text = "PATH=/usr/bin\nHTTPS_PROXY=\"http://ann:canary-3f9a@proxy:3128\"\nno_proxy=localhost,10.0.0.0/8\nftp_proxy=x\nhttp_proxy=\n";
    let found = details::parse_proxies(text, "/etc/environment");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].variable.as_str(), &found[0].direct),
        ("https_proxy", &words(&["localhost", "10.0.0.0/8"]))
    );
    assert!(!format!("{found:?}").contains("canary"));
    let manager = "[Manager]\n#DefaultEnvironment=http_proxy=a\nDefaultEnvironment=\"http_proxy=http://p:1\" \"NO_PROXY=*\"\n";
    let found = details::parse_proxies(manager, "/etc/systemd/system.conf");
    assert_eq!((found.len(), found[0].direct.as_slice()), (1, words(&["*"]).as_slice()));
}

#[test]
fn settings_of_files_that_are_applied_at_boot() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    put(&paths, "/usr/lib/sysctl.d/50-default.conf", "net.ipv4.ip_forward = 0\n");
    put(&paths, "/etc/sysctl.d/50-default.conf", "# ours now\n-net/ipv4/ip_forward=1\nkernel.panic = 3\n");
    put(&paths, "/etc/sysctl.d/90-sealift.conf", "net.ipv4.ip_forward = 1\n");
    put(&paths, "/etc/sysctl.d/readme", "net.ipv4.ip_forward = 7\n");
    put(&paths, "/etc/sysctl.conf", "; old\nnet.ipv4.ip_forward =  0 \n");
    let recorder = Recorder::default();
    let ctx = Context::new(&paths, &recorder, "", "");
    let probe = Probe { ctx: &ctx, unreadable: Vec::new() };
    let found: Vec<String> = settings::at_boot(&probe, &words(&["net.ipv4.ip_forward"]))
        .into_iter()
        .map(|setting| format!("{} {} {}", setting.file, setting.name, setting.value))
        .collect();
    assert_eq!(
        found,
        ["/etc/sysctl.d/50-default.conf net.ipv4.ip_forward 1", "/etc/sysctl.conf net.ipv4.ip_forward 0"]
    );
}

#[test]
fn packet_filters_that_drop() {
    let text = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n\tchain mine {\n\t}\n}\n\
                table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n\
                \tchain OUTPUT {\n\t\ttype filter hook output priority filter; policy accept;\n\t}\n}\n";
    let found: Vec<String> = guards::parse_chains(text)
        .into_iter()
        .map(|drops| format!("{}: {}", drops.hook, drops.chain))
        .collect();
    assert_eq!(found, ["input: inet filter input", "forward: ip filter FORWARD"]);
    assert!(guards::ufw_enabled("# x\nENABLED=yes\nLOGLEVEL=low\n") && !guards::ufw_enabled("ENABLED=no\n"));
}

#[test]
fn what_is_odd_on_the_way_to_a_folder_is_named() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    put(&paths, "/data/kubelet/x", "x");
    fs::create_dir_all(paths.host("/var/lib")).unwrap();
    symlink(paths.host("/data/kubelet"), paths.host("/var/lib/kubelet")).unwrap();
    let mode = |path: &str, mode: u32| {
        fs::set_permissions(paths.host(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("/var", 0o750);
    mode("/var/lib", 0o777);
    let whole = format!(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / {} rw,noexec - tmpfs tmpfs rw\n",
        paths.host("/data").display()
    );
    put(&paths, "/proc/self/mountinfo", &whole);
    let recorder = Recorder::default();
    let options = ProbeOptions { paths: words(&["/var/lib/kubelet", "/var/lib/etcd"]), ..Default::default() };
    let facts = probe(&Context::new(&paths, &recorder, "", ""), &options);
    let [kubelet, etcd] = facts.disks.as_slice() else { panic!("{:?}", facts.disks) };
    assert!(kubelet.link.as_ref().unwrap().starts_with("/var/lib/kubelet leads to "), "{kubelet:?}");
    assert_eq!(
        (kubelet.file_system.as_str(), kubelet.options.contains(&"noexec".to_owned())),
        ("tmpfs", true)
    );
    assert_eq!((kubelet.entry_kinds, kubelet.at_boot), (Some(true), false));
    assert_eq!(
        (etcd.link.as_ref(), &etcd.closed, &etcd.open),
        (None, &words(&["/var"]), &words(&["/var/lib"]))
    );
    assert!(etcd.at_boot);
}

#[test]
fn small_writes_are_timed_and_nothing_is_left() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    fs::create_dir_all(paths.host("/var/lib")).unwrap();
    let before = walk(root.path());
    let recorder = Recorder::default();
    let times = writes::time(&Context::new(&paths, &recorder, "", ""), "/var/lib/etcd", 40).unwrap();
    assert_eq!(walk(root.path()), before);
    assert_eq!(times.path, paths.host("/var/lib").display().to_string());
    assert_eq!((times.runs.len(), times.writes), (3, 120));
    assert!(times.runs.contains(&times.p99_micros));
    assert!(!recorder.0.lock().unwrap().is_empty(), "progress is told");
}

#[test]
fn percentiles_and_medians() {
    let hundred: Vec<u64> = (1..=100).rev().collect();
    assert_eq!(writes::percentile_99(hundred), 99);
    assert_eq!((writes::percentile_99(vec![7]), writes::percentile_99(Vec::new())), (7, 0));
    assert_eq!(writes::percentile_99((1..=1000).collect()), 990);
    assert_eq!((writes::median(&[9, 1, 5]), writes::median(&[])), (5, 0));
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        found.push(format!("{} {:?}", entry.path().display(), entry.metadata().unwrap().modified().unwrap()));
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn without_root_nothing_is_guessed() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let recorder = Recorder::default();
    put(&paths, "/proc/self/mountinfo", "21 1 0:20 / /proc rw,nosuid - proc proc rw,hidepid=2\n");
    let mut facts = probe(&Context::new(&paths, &recorder, "", ""), &ProbeOptions::default());
    unseen_without_root(&mut facts);
    for fact in ["privileges", "capSysResource", "conntrackWritable", "leftovers", "productUuid", "processes"]
    {
        assert!(
            facts.unreadable.contains(&format!("{fact}: only root can see it")),
            "{:?}",
            facts.unreadable
        );
    }
    put(&paths, "/run/systemd/container", "systemd-nspawn");
    let mut facts = probe(&Context::new(&paths, &recorder, "", ""), &ProbeOptions::default());
    unseen_without_root(&mut facts);
    assert_eq!(facts.why_unreadable("productUuid"), None, "a container has none");
}
