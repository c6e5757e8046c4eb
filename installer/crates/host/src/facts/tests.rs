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
    put(&paths, "/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
    put(&paths, "/var/lib/sealift/host.json", r#"{"site":"shop","host":"m1"}"#);
    let before = walk(root.path());
    let recorder = Recorder::default();
    let options = ProbeOptions {
        paths: vec!["/var/lib/containerd".to_owned()],
        modules: vec!["nope".to_owned()],
        ..ProbeOptions::default()
    };
    let facts = probe(&Context::new(&paths, &recorder, "", ""), &options);
    assert_eq!(walk(root.path()), before);
    let leftovers: Vec<&str> = facts.leftovers.iter().map(|leftover| leftover.path.as_str()).collect();
    assert_eq!(leftovers, ["/etc/kubernetes", "/var/lib/etcd/member"]);
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
        paths: vec!["/".to_owned()],
        modules: vec!["overlay".to_owned()],
        ..ProbeOptions::default()
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
