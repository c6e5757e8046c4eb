//! What people sign: the change list, the tables for tickets, and the refusal of anything else.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use sealift_bundle::testing::sample_document;
use sealift_checks::facts::{CgroupVersion, Details, Facts, Setting, Swap};
use sealift_plan::changes::found::{Found, FoundFile, comparable, compare};
use sealift_plan::changes::{Content, HostChanges, Now, changes};
use sealift_plan::dns::Records;
use sealift_plan::operation::{BLOCK_BEGIN, BLOCK_END, Operation};
use sealift_plan::saved::{SavedError, differences, from_json, to_json};
use sealift_plan::{Plan, tickets};
use sealift_profile::SecretRef;
use sealift_profile::site::Bastion;
use serde_json::{Value, json};
use world::World;

/// A kernel setting as the host has it.
fn set(facts: &mut Facts, name: &str, value: &str) {
    let setting = Setting { value: value.to_owned(), writable: true };
    facts.details.get_or_insert_with(Details::default).settings.insert(name.to_owned(), setting);
}

/// One master, one worker.
fn small() -> World {
    let mut world = World::sized(1, 1, &sample_document());
    let facts = world.facts.get_mut("m1").unwrap();
    facts.swap = vec![Swap { path: "/swapfile".into(), bytes: 1 << 30 }];
    set(facts, "net.ipv4.ip_forward", "0");
    set(facts, "fs.inotify.max_user_instances", "65536");
    world
}

fn is_key(path: &str) -> bool {
    path.rsplit('.').next() == Some("key")
}

fn of_host<'a>(changes: &'a [HostChanges], host: &str) -> &'a HostChanges {
    changes.iter().find(|one| one.host == host).unwrap()
}

/// The list with digests in place of long contents.
fn outline(changes: &[HostChanges]) -> String {
    let mut text = String::new();
    for host in changes {
        let mut value = serde_json::to_value(host).unwrap();
        for file in value["files"].as_array_mut().unwrap() {
            let lines = file["content"]["text"].as_str().map(|text| text.lines().count());
            if let Some(lines) = lines {
                file["content"] = json!(format!("{lines} lines of text"));
            }
        }
        let blobs = value["blobs"].as_array().unwrap().len();
        value["blobs"] = json!(format!("{blobs} blobs"));
        for (key, part) in value.as_object().unwrap() {
            match part {
                Value::Array(list) => {
                    writeln!(text, "{key}:").unwrap();
                    for one in list {
                        writeln!(text, "  {one}").unwrap();
                    }
                }
                other => writeln!(text, "{key}: {other}").unwrap(),
            }
        }
        text.push('\n');
    }
    text
}

#[test]
fn a_small_sites_change_list() {
    let plan = small().plan().unwrap();
    insta::assert_snapshot!("small_site_changes", outline(&changes(&plan)));
    assert_eq!(changes(&plan), changes(&small().plan().unwrap()));
}

#[test]
fn everything_in_the_operations_is_in_the_list() {
    let plan = World::demo().plan().unwrap();
    let all = changes(&plan);
    assert_eq!(all.iter().map(|one| one.host.as_str()).collect::<Vec<_>>(), plan.hosts);
    for step in &plan.steps {
        let host = of_host(&all, &step.host);
        let text = |path: &str| {
            let file = host.files.iter().find(|file| file.path == path);
            match &file.unwrap_or_else(|| panic!("{path} of {} is not listed", step.id)).content {
                Content::Text { text } => text.clone(),
                other => panic!("{path} is {other:?}"),
            }
        };
        match &step.operation {
            Operation::WriteFiles { files, load_modules, .. } => {
                assert!(files.iter().all(|file| text(&file.path) == file.content));
                for module in load_modules {
                    assert!(host.modules.iter().any(|one| &one.name == module && one.now && one.at_boot));
                }
            }
            Operation::Service { service } => {
                assert!(service.files.iter().all(|file| text(&file.path) == file.content));
                assert!(host.units.iter().any(|unit| unit.unit == service.unit));
            }
            Operation::InstallBinaries { binaries } => {
                for binary in binaries {
                    assert!(host.files.iter().any(|file| file.path == binary.path));
                }
            }
            Operation::PullImages { images } => {
                assert!(images.iter().all(|image| host.images.contains(image)));
            }
            Operation::ReceiveBlobs { blobs } | Operation::FetchBlobs { blobs, .. } => {
                assert!(blobs.iter().all(|blob| host.blobs.contains(blob)));
            }
            Operation::Directories { directories } => {
                for one in directories {
                    assert!(host.folders.iter().any(|folder| folder.path == one.path));
                }
            }
            Operation::ManagedBlock { path, lines } => {
                assert!(host.lines.iter().any(|one| &one.path == path && &one.lines == lines));
            }
            Operation::SwapOff => assert!(host.swap.is_some()),
            Operation::KubeadmInit { config, .. } => assert_eq!(text(&config.path), config.content),
            Operation::KubeadmJoin { .. } => {
                assert!(host.commands.iter().any(|c| c.command == "kubeadm join"));
            }
            _ => {}
        }
    }
    for host in &all {
        assert!(host.ports.iter().any(|one| one.port == "10250" && one.protocol == "tcp"), "{}", host.host);
        let networks: Vec<&str> = host.networks.iter().map(|one| one.cidr.as_str()).collect();
        assert_eq!(networks, ["10.244.0.0/16", "10.96.0.0/12"], "{}", host.host);
        let paths: BTreeSet<&str> = host.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths.len(), host.files.len(), "{} lists a path twice", host.host);
        assert!(host.users.is_empty() && host.groups.is_empty() && host.packages.is_empty());
        for file in host.files.iter().filter(|file| is_key(&file.path)) {
            assert!(matches!(file.content, Content::Secret { .. }), "{} is shown", file.path);
        }
    }
}

#[test]
fn limits_that_a_host_has_raised_stay() {
    let plan = small().plan().unwrap();
    let all = changes(&plan);
    let setting = |host: &str, name: &str| {
        let found = of_host(&all, host).sysctls.iter().find(|one| one.name == name).unwrap();
        (found.value.clone(), found.before.clone())
    };
    let name = "fs.inotify.max_user_instances";
    assert_eq!(setting("m1", name), ("65536".to_owned(), Some("65536".to_owned())));
    assert_eq!(setting("w1", name), ("8192".to_owned(), None));
}

#[test]
fn masters_without_workers_get_all_that_the_product_needs() {
    let world = World::sized(1, 0, &sample_document());
    let plan = world.plan().unwrap();
    let all = changes(&plan);
    let images: BTreeSet<&str> = all[0].images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(images, world.document.images.iter().map(|image| image.name.as_str()).collect());
    for folder in &world.document.host_directories {
        assert!(all[0].folders.iter().any(|one| one.path == folder.path), "{} is missing", folder.path);
    }
    let text = all[0].files.iter().find(|file| file.path == "/etc/sealift/kubeadm-init.yaml").unwrap();
    assert!(matches!(&text.content, Content::Text { text } if text.contains("taints: []")));
}

#[test]
fn what_stands_on_a_host_is_compared() {
    let plan = small().plan().unwrap();
    let mut all = changes(&plan);
    let places = comparable(of_host(&all, "m1"));
    assert!(places.contains(&"/etc/hosts".to_owned()));
    assert!(!places.iter().any(|path| is_key(path) || path.starts_with("/run/")));
    let wanted = |path: &str| {
        let file = of_host(&all, "m1").files.iter().find(|file| file.path == path).unwrap();
        match &file.content {
            Content::Text { text } => text.clone(),
            other => panic!("{other:?}"),
        }
    };
    let (unit, sysctls) = ("/etc/systemd/system/containerd.service", "/etc/sysctl.d/90-sealift.conf");
    let (old, same) = (wanted(sysctls).replace("ip_forward = 1", "ip_forward = 0"), wanted(unit));
    let one = |path: &str, found| FoundFile { path: path.to_owned(), found };
    let text = |text: String| Found::Text { text, mode: 0o644 };
    let found = vec![
        one(sysctls, text(old)),
        one(unit, text(same)),
        one("/etc/containerd/config.toml", Found::NotShown { why: "not a text".into() }),
        one("/etc/modules-load.d/sealift.conf", Found::Missing),
        one("/etc/hosts", text(format!("127.0.0.1 localhost\n{BLOCK_BEGIN}\n10.9.9.9 old\n{BLOCK_END}\n"))),
    ];
    compare(&mut all, &BTreeMap::from([("m1".to_owned(), found)]));
    let m1 = of_host(&all, "m1");
    let now = |path: &str| m1.files.iter().find(|file| file.path == path).unwrap().now.clone();
    let Some(Now::Differs { diff }) = now(sysctls) else { panic!("{:?}", now(sysctls)) };
    assert!(diff.contains("-net.ipv4.ip_forward = 0\n+net.ipv4.ip_forward = 1\n"), "{diff}");
    assert_eq!(now(unit), Some(Now::Same));
    assert_eq!(now("/etc/modules-load.d/sealift.conf"), Some(Now::Missing));
    assert!(matches!(now("/etc/containerd/config.toml"), Some(Now::NotShown { .. })));
    let Some(Now::Differs { diff }) = &m1.lines[0].now else { panic!("{:?}", m1.lines) };
    assert!(diff.contains("-10.9.9.9 old\n") && diff.contains("+10.77.0.21 w1\n"), "{diff}");
    assert!(of_host(&all, "w1").files.iter().all(|file| file.now.is_none()), "w1 was not asked");
}

#[test]
fn a_plan_file_is_read_back_byte_for_byte() {
    let plan = World::demo().plan().unwrap();
    let text = to_json(&plan);
    assert_eq!(text.as_bytes(), to_json(&World::demo().plan().unwrap()).as_bytes());
    let read = from_json(&text).unwrap();
    assert_eq!(read, plan);
    assert_eq!(to_json(&read), text);
    assert!(differences(&read, &plan).is_empty());
}

#[test]
fn a_plan_file_that_somebody_touched_is_refused() {
    let text = to_json(&small().plan().unwrap());
    let refused = |text: &str| from_json(text).unwrap_err();
    for (what, with) in [
        ("10.77.0.11", "10.77.0.99"),
        ("\"mode\": \"0644\"", "\"mode\": \"0666\""),
        ("\"removedAfterwards\": true", "\"removedAfterwards\": false"),
        ("\"kind\": \"Plan\"", "\"kind\": \"Plam\""),
        ("\"kubernetes\":", "\"stowaway\": 1,\n    \"kubernetes\":"),
    ] {
        let edited = text.replacen(what, with, 1);
        assert_ne!(edited, text, "{what} is not in the file");
        assert!(matches!(refused(&edited), SavedError::Damaged), "{what} to {with}");
    }
    let newer = text.replacen("sealift/v2", "sealift/v3", 1);
    assert!(matches!(refused(&newer), SavedError::Newer(version) if version == "sealift/v3"));
    let cut = &text[..text.len() / 2];
    assert!(matches!(refused(cut), SavedError::NotAPlan(_)));
    let old = json!({"apiVersion": "sealift/v1", "site": "plant", "steps": []}).to_string();
    assert!(matches!(refused(&old), SavedError::Older));
}

type Change = fn(&mut Facts);

/// What `install --plan` would say after this change.
fn said(change: impl FnOnce(&mut World)) -> Vec<String> {
    let signed = small().plan().unwrap();
    let mut world = small();
    change(&mut world);
    let now = world.plan().unwrap();
    differences(&signed, &now).iter().map(ToString::to_string).collect()
}

#[test]
fn what_differs_is_named() {
    let bigger = |world: &mut World| world.facts.get_mut("w1").unwrap().memory_bytes = 16 << 30;
    assert_eq!(said(bigger), ["w1: memory was 7.45 GiB, is 16 GiB"]);
    let network = |world: &mut World| world.site.cluster.pod_cidr = "10.1.0.0/16".parse().unwrap();
    assert_eq!(said(network), ["cluster.podCidr was 10.244.0.0/16, is 10.1.0.0/16"]);
    let other = |world: &mut World| world.site.hosts[1].address = "10.77.0.29".parse().unwrap();
    assert_eq!(said(other), ["hosts.w1.address was 10.77.0.21, is 10.77.0.29"]);
    let label = |world: &mut World| drop(world.site.hosts[1].labels.insert("zone".into(), "b".into()));
    assert_eq!(said(label), [r#"hosts.w1.labels is new: {"zone":"b"}"#]);
    let order = |world: &mut World| world.site.hosts.reverse();
    assert_eq!(said(order), ["the order of hosts was m1, w1, is w1, m1"]);
    let answer = |world: &mut World| {
        world.site.product.settings.insert("domain".into(), json!("other.plant"));
    };
    assert_eq!(said(answer), ["product.settings.domain was orders.plant, is other.plant"]);
    let secret = |world: &mut World| world.site.access.sudo_password = Some(SecretRef::Env("SUDO".into()));
    assert_eq!(said(secret), ["access.sudoPassword is new: (secret)"]);
    let release = |world: &mut World| world.document.product.version = "9.9.9".into();
    let said_of_release = said(release);
    assert!(said_of_release[0].starts_with("the bundle was orders "), "{said_of_release:?}");
    assert!(said_of_release[0].contains("is orders 9.9.9 (serial "), "{said_of_release:?}");

    let cases: [(Change, &str); 8] = [
        (
            |facts| facts.machine_id = "f".repeat(32),
            "w1: machine-id was 00000000000000000000000000000001, is ffffffffffffffffffffffffffffffff",
        ),
        (|facts| facts.os.version = "13".into(), "w1: operating system was debian 12, is debian 13"),
        (|facts| facts.cpus = 2, "w1: processors was 4, is 2"),
        (|facts| facts.cgroup = CgroupVersion::V1, "w1: cgroup hierarchy was v2, is v1"),
        (|facts| facts.cap_sys_resource = false, "w1: CAP_SYS_RESOURCE was there, is missing"),
        (
            |facts| facts.conntrack_writable = false,
            "w1: the connection tracking table's size was writable, is not writable",
        ),
        (
            |facts| facts.swap = vec![Swap { path: "/dev/sdb".into(), bytes: 1 }],
            "w1: swap areas was none, is /dev/sdb",
        ),
        (
            |facts| set(facts, "fs.inotify.max_user_watches", "9000000"),
            "w1: fs.inotify.max_user_watches was 524288, is 9000000",
        ),
    ];
    for (change, expected) in cases {
        let found = said(|world| change(world.facts.get_mut("w1").unwrap()));
        assert_eq!(found.first().map(String::as_str), Some(expected), "{found:?}");
    }
}

#[test]
fn a_host_that_comes_or_goes_is_named() {
    let signed = World::sized(1, 1, &sample_document()).plan().unwrap();
    let more = World::sized(1, 2, &sample_document()).plan().unwrap();
    let words = |was: &Plan, is: &Plan| differences(was, is)[0].to_string();
    assert!(words(&signed, &more).starts_with("hosts.w2 is new: {"), "{}", words(&signed, &more));
    assert!(words(&more, &signed).starts_with("hosts.w2 was {"), "{}", words(&more, &signed));
    assert!(words(&more, &signed).ends_with("is gone"));
}

#[test]
fn another_program_is_named() {
    let signed = small().plan().unwrap();
    let mut now = signed.clone();
    now.inputs.installer = "sha256:b0b".into();
    let said: Vec<String> = differences(&signed, &now).iter().map(ToString::to_string).collect();
    assert_eq!(said, ["the installer program was sha256:a9e7, is sha256:b0b"]);
}

#[test]
fn other_steps_are_refused_though_nothing_else_tells() {
    let signed = small().plan().unwrap();
    let mut now = signed.clone();
    let title = now.steps.last().unwrap().title.clone();
    now.steps.pop();
    let said: Vec<String> = differences(&signed, &now).iter().map(ToString::to_string).collect();
    assert_eq!(said, [format!("step m1.pods was {title}, is gone")]);
    let mut now = signed.clone();
    now.steps.swap(0, 1);
    assert_eq!(differences(&signed, &now)[0].to_string(), "the order of the steps differs");
}

#[test]
fn what_changes_by_itself_refuses_nothing() {
    let said = said(|world| {
        let facts = world.facts.get_mut("m1").unwrap();
        facts.boot_id = "another".into();
        facts.clock.unix_millis += 86_400_000;
        facts.kernel = "6.1.0-29-amd64".into();
        facts.memory_bytes -= 64 << 20;
        // A run that stopped half-way has switched it off and set what it sets.
        facts.swap.clear();
        set(facts, "net.ipv4.ip_forward", "1");
        facts.claim = Some(serde_json::from_value(json!({"site": "plant", "host": "m1"})).unwrap());
        let facts = world.facts.get_mut("w1").unwrap();
        set(facts, "fs.inotify.max_user_instances", "8192");
        set(facts, "fs.inotify.max_user_watches", "524288");
    });
    assert_eq!(said, Vec::<String>::new());
}

#[test]
fn what_was_asked_under_a_secret_stays_out_of_the_plan() {
    let mut world = small();
    world.site.access.private_key = Some(SecretRef::File("/root/very-secret-place".into()));
    world.site.product.settings.insert("domain".into(), json!({"env": "OPS_PASSWORD"}));
    let plan = world.plan().unwrap();
    let text = to_json(&plan);
    assert!(!text.contains("very-secret-place"));
    assert_eq!(plan.inputs.profile["access"]["password"], "(secret)");
    // The same words in an answer are an answer.
    assert_eq!(plan.inputs.profile["product"]["settings"]["domain"], json!({"env": "OPS_PASSWORD"}));
}

fn table(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows = reader.deserialize().collect::<Result<Vec<BTreeMap<String, String>>, _>>().unwrap();
    assert!(rows.iter().all(|row| row.values().all(|cell| !cell.starts_with(['=', '+', '-', '@']))));
    rows
}

#[test]
fn the_firewall_ticket_lists_every_flow() {
    let mut world = World::demo();
    world.site.cluster.nameservers = vec!["10.0.0.53".parse().unwrap()];
    world.site.access.bastion = Some(Bastion {
        address: "gate.plant".into(),
        port: 2222,
        user: "ops".into(),
        private_key: None,
        password: None,
        host_key: None,
    });
    world.site.hosts[4].port = Some(2200);
    let orders = world.document.components.iter_mut().find(|one| one.name == "orders").unwrap();
    orders.values = json!({"web": {"nodePort": 30080}});
    let plan = world.plan().unwrap();
    let rows = table(&tickets::firewall(&world.site, &plan));
    let find = |port: &str, protocol: &str| {
        let mut found = rows.iter().filter(|row| row["port"] == port && row["protocol"] == protocol);
        let row = found.next().unwrap_or_else(|| panic!("no row for {port}/{protocol}"));
        [&row["source"], &row["destination"], &row["direction"]].map(String::as_str)
    };
    let (all, masters) = ("m1; m2; m3; w1; w2", "m1; m2; m3");
    assert_eq!(find("2222", "tcp"), ["seat of the installer", "bastion", "into the site"]);
    assert_eq!(find("22", "tcp"), ["bastion", "m1; m2; m3; w1", "into the site"]);
    assert_eq!(find("2200", "tcp"), ["bastion", "w2", "into the site"]);
    for port in ["2379", "2380"] {
        assert_eq!(find(port, "tcp"), [masters, masters, "between hosts"]);
    }
    for port in ["6443", "5443"] {
        assert_eq!(find(port, "tcp"), [all, masters, "between hosts"]);
    }
    assert_eq!(find("10250", "tcp"), [all, all, "between hosts"]);
    assert_eq!(find("8472", "udp"), [all, all, "between hosts"]);
    assert_eq!(find("53", "udp"), [all, "name server", "out of the site"]);
    assert_eq!(find("53", "tcp"), [all, "name server", "out of the site"]);
    assert_eq!(find("30080", "tcp"), ["users", all, "into the site"]);
    let addresses = "10.77.0.11; 10.77.0.12; 10.77.0.13";
    assert!(rows.iter().any(|row| row["port"] == "2380" && row["source address"] == addresses));
    // What only the host itself asks is no firewall's business.
    assert!(!rows.iter().any(|row| row["port"] == "10248" || row["port"] == "10259"));
}

#[test]
fn a_single_host_needs_no_flow_between_hosts() {
    let world = World::sized(1, 0, &sample_document());
    let rows = table(&tickets::firewall(&world.site, &world.plan().unwrap()));
    assert!(rows.iter().all(|row| row["direction"] != "between hosts"), "{rows:?}");
    assert!(rows.iter().any(|row| row["port"] == "22"));
    assert!(rows.iter().any(|row| row["port"] == "30000-32767"), "{rows:?}");
}

/// A site with a PostgreSQL of its own, for a product that can use it.
fn external() -> World {
    let mut world = World::demo();
    world.site.services = serde_json::from_value(json!({
        "database": {"host": "10.20.0.9", "database": "orders", "user": "app", "password": {"env": "DB"}, "tls": {"mode": "require"}},
        "logs": {"url": "http://10.20.0.10:9200/"},
    }))
    .unwrap();
    let document = &mut world.document;
    document.services = serde_json::from_value(json!({
        "database": {"components": ["local-volumes"], "hostDirectories": ["/var/lib/orders/database"]},
        "logs": {},
    }))
    .unwrap();
    document.secrets[0].from_services = serde_json::from_value(json!({
        "database-password": "database", "logs-password": "logs",
    }))
    .unwrap();
    let orders = document.components.iter_mut().find(|one| one.name == "orders").unwrap();
    for (path, value) in
        [("database.host", "database-host"), ("database.ca", "database-ca"), ("logs", "logs-url")]
    {
        orders
            .values_from
            .insert(path.to_owned(), serde_json::from_value(json!({"service": value})).unwrap());
    }
    world
}

#[test]
fn what_the_site_runs_itself_is_left_out_and_used() {
    let world = external();
    let plan = world.plan().unwrap();
    world::assert_valid(&plan);
    assert!(plan.steps.iter().all(|step| !step.id.contains("local-volumes")), "it is not installed");
    assert!(plan.steps.iter().all(|step| !step.id.ends_with(".volumes")), "nobody needs its folders");
    let secret = plan.steps.iter().find_map(|step| match &step.operation {
        Operation::EnsureSecret { keys, generated, .. } => Some((keys.clone(), generated.clone())),
        _ => None,
    });
    let (keys, generated) = secret.unwrap();
    assert_eq!(keys["database-password"], "services.database.password");
    // The log store wants no login, so there is no password to hand on.
    assert!(!keys.contains_key("logs-password") && generated.is_empty(), "{keys:?} {generated:?}");
    let values = plan.steps.iter().find_map(|step| match &step.operation {
        Operation::HelmRelease { release } if release.name == "orders" => Some(release.values.clone()),
        _ => None,
    });
    let values = values.unwrap();
    // Without a certificate in the profile the chart keeps its own default.
    assert_eq!(values["database"], json!({"host": "10.20.0.9"}));
    assert_eq!(values["logs"], "http://10.20.0.10:9200/");
    assert!(!plan.to_json().contains("\"env\""), "no reference to a secret");

    let rows = table(&tickets::firewall(&world.site, &plan));
    let database = rows.iter().find(|row| row["port"] == "5432").unwrap();
    assert_eq!(
        (database["destination"].as_str(), database["destination address"].as_str()),
        ("the site's database", "10.20.0.9")
    );
    assert_eq!(rows.iter().find(|row| row["port"] == "9200").unwrap()["destination"], "the site's logs");

    let mut without = world.clone();
    without.site.services = sealift_profile::Services::default();
    let plan = without.plan().unwrap();
    assert!(plan.steps.iter().any(|step| step.id.contains("local-volumes")));
    let mut useless = world;
    useless.document.services.clear();
    let error = useless.plan().unwrap_err().to_string();
    assert!(error.contains("cannot use the site's own `services.database`"), "{error}");
}

#[test]
fn names_for_the_dns_team() {
    let mut world = World::demo();
    let orders = world.document.components.iter_mut().find(|one| one.name == "orders").unwrap();
    orders.values = json!({"web": {"nodePort": 30080}});
    let records = Records::of(&world.site, &world.plan().unwrap());
    assert_eq!(
        records.zone_file(),
        "; Names for the site demo: Orders 4.2.0.
; To be added to the zone that the domain belongs to; SOA and NS are its own.
$ORIGIN demo.internal.
$TTL 300
api    IN A    10.77.0.11      ; the cluster's API on m1
api    IN A    10.77.0.12      ; the cluster's API on m2
api    IN A    10.77.0.13      ; the cluster's API on m3
orders IN A    10.77.0.21      ; orders for its users, port 30080 on w1
orders IN A    10.77.0.22      ; orders for its users, port 30080 on w2
m1     IN A    10.77.0.11      ; a host of the cluster
m2     IN A    10.77.0.12      ; a host of the cluster
m3     IN A    10.77.0.13      ; a host of the cluster
w1     IN A    10.77.0.21      ; a host of the cluster
w2     IN A    10.77.0.22      ; a host of the cluster
"
    );
    let rows = table(&records.table());
    assert_eq!(rows.len(), 10);
    let row =
        |i: usize| ["name", "type", "TTL (s)", "value", "purpose"].map(|column| rows[i][column].as_str());
    let purpose = "orders for its users, port 30080 on w1";
    assert_eq!(row(3), ["orders.demo.internal", "A", "300", "10.77.0.21", purpose]);

    // Names that clash, another family, an endpoint without a domain.
    world.site.cluster.endpoint = "m1x".into();
    world.site.hosts[3].name = "m1x".into();
    world.facts.insert("m1x".into(), world.facts["w1"].clone());
    world.site.hosts[4].address = "fd00:77::22".parse().unwrap();
    let records = Records::of(&world.site, &world.plan().unwrap());
    assert_eq!(records.left_out(), ["`m1x` for m1x: the name has another meaning already"]);
    let text = records.zone_file();
    assert!(text.contains("\n; left out: `m1x` for m1x") && text.contains("\n$ORIGIN .\n"), "{text}");
    assert!(text.contains("w2     IN AAAA fd00:77::22     ;"), "{text}");
    assert_eq!(table(&records.table())[0]["name"], "m1x");
}

#[test]
fn the_machine_ticket_has_a_row_for_each_host() {
    let mut world = World::demo();
    world.facts.get_mut("w1").unwrap().os.name = "=HYPERLINK(\"x\")".into();
    let rows = table(&tickets::machines(&world.site, &world.document, &world.facts));
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["m1", "m2", "m3", "w1", "w2"]);
    let (master, worker) = (&rows[0], &rows[3]);
    assert_eq!((master["role"].as_str(), worker["role"].as_str()), ("control plane", "worker"));
    assert_eq!((master["cpus"].as_str(), master["memory (GB)"].as_str()), ("2", "1.8"));
    assert_eq!(
        (master["free at /var/lib/etcd (GB)"].as_str(), worker["free at /var/lib/etcd (GB)"].as_str()),
        ("3.0", "")
    );
    assert_eq!(master["operating system"], "Debian GNU/Linux 12 (bookworm)");
    assert_eq!(worker["operating system"], "'=HYPERLINK(\"x\")");
    assert!(master["ports"].contains("2379/tcp; ") && !worker["ports"].contains("2379/tcp"));
}

/// The drop-in never lowers what a host has: so a probe reads all that it sets.
#[test]
fn every_setting_that_gets_set_is_probed() {
    for name in sealift_render::system::SYSCTLS {
        assert!(sealift_checks::SETTINGS.contains(&name), "{name}");
    }
}
