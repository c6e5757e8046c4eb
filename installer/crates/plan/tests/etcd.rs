//! Where the databases stand: folders before static pods, in the plan, its list of changes and the tickets.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod world;

use sealift_plan::changes::{Content, changes};
use sealift_plan::operation::{DirectorySpec, EventsMemberSpec, Gate, Operation, SecretSet, SecretSource};
use sealift_plan::{Plan, tickets};
use sealift_profile::{Backup, Etcd, Events};
use world::{World, ancestors, assert_valid, step};

fn chosen() -> World {
    let mut world = World::demo();
    world.site.etcd = Etcd { folder: "/data/etcd".to_owned(), own_disk: true, events: None };
    world
}

#[test]
fn the_folder_stands_before_the_database_of_each_master() {
    let plan = chosen().plan().unwrap();
    assert_valid(&plan);
    for (host, start) in [("m1", "init-etcd"), ("m2", "join-etcd"), ("m3", "join-etcd")] {
        let folder = format!("{host}.etcd-folder");
        assert!(ancestors(&plan, &format!("{host}.{start}")).contains(folder.as_str()), "{host}");
        let Operation::PrepareDatabase { pod, directory } = &step(&plan, &folder).operation else { panic!() };
        let DirectorySpec { path, mode, uid, gid } = directory;
        assert_eq!((pod.as_str(), path.as_str(), *mode, *uid, *gid), ("etcd", "/data/etcd", 0o700, 0, 0));
    }
    assert!(plan.steps.iter().all(|one| one.id != "w1.etcd-folder"));
    let text = plan.to_json();
    assert!(
        !text.contains("/var/lib/etcd") && !text.contains("var-lib-etcd"),
        "something keeps the usual place"
    );
}

#[test]
fn whoever_signs_sees_the_folder_and_the_unit_that_waits_for_it() {
    let all = changes(&chosen().plan().unwrap());
    for host in &all {
        let master = host.host.starts_with('m');
        let folder = host.folders.iter().find(|folder| folder.path == "/data/etcd");
        assert_eq!(folder.map(|folder| folder.mode.as_str()), master.then_some("0700"), "{}", host.host);
        let unit = host.files.iter().find(|file| file.path.ends_with("/kubelet.service")).unwrap();
        let waits = format!("{:?}", unit.content).contains("RequiresMountsFor=/data/etcd");
        assert_eq!(waits, master, "{}", host.host);
    }
}

#[test]
fn the_machine_ticket_asks_for_room_there() {
    let world = chosen();
    let table = tickets::machines(&world.site, &world.document, &world.facts);
    let header = table.lines().next().unwrap();
    assert!(header.contains("free at /data/etcd (GB)") && !header.contains("/var/lib/etcd"), "{header}");
}

/// Events have a database of their own.
fn with_events() -> World {
    let mut world = chosen();
    world.site.etcd.events = Some(Events::default());
    world
}

fn member<'a>(plan: &'a Plan, host: &str) -> &'a EventsMemberSpec {
    match &step(plan, &format!("{host}.events-member")).operation {
        Operation::JoinEvents { member } => member,
        other => panic!("{other:?}"),
    }
}

#[test]
fn members_for_events_come_one_by_one_each_before_the_api_server_that_asks_it() {
    let plan = with_events().plan().unwrap();
    assert_valid(&plan);
    let waits = |id: &str, for_what: &str| {
        assert!(ancestors(&plan, id).contains(for_what), "{id} does not wait for {for_what}");
    };
    for needed in ["m1.events-folder", "m1.events-pki", "m1.init-control-plane"] {
        waits("m1.events-member", needed);
    }
    waits("m1.init-kubelet-start", "m1.events-member");
    for (host, previous) in [("m2", "m1"), ("m3", "m2")] {
        let own = |name: &str| format!("{host}.{name}");
        for name in ["join-prepare", "events-pki", "events-folder", "images"] {
            waits(&own("events-member"), &own(name));
        }
        waits(&own("events-member"), &format!("{previous}.events-voter"));
        waits(&own("events-pki"), "m1.events-pki");
        waits(&own("join-etcd"), &own("events-voter"));
        waits("m1.nodes", &own("events-voter"));
        let source = Some(SecretSource::Host { host: "m1".into(), set: SecretSet::EventsPki });
        assert_eq!(step(&plan, &own("events-pki")).operation.secret_source(), source);
    }
    waits("m1.nodes", "m1.events-voter");
    assert!(member(&plan, "m1").ask.is_empty());
    assert_eq!(member(&plan, "m3").ask, ["https://10.77.0.11:2382", "https://10.77.0.12:2382"]);
    assert_eq!(member(&plan, "m3").peer_url, "https://10.77.0.13:2383");
    let Operation::WaitFor { gate, .. } = &step(&plan, "m3.events-voter").operation else { panic!() };
    assert_eq!(*gate, Gate::EventsVoters { members: ["m1", "m2", "m3"].map(str::to_owned).into() });
}

#[test]
fn api_servers_are_told_of_the_events_database_and_of_both_authorities() {
    let arguments = |world: World| {
        let plan = world.plan().unwrap();
        let Operation::PrepareApiServer { api_server } = &step(&plan, "m2.api-server").operation else {
            panic!()
        };
        (
            api_server.arguments.get("etcd-servers-overrides").cloned(),
            api_server.arguments.get("etcd-cafile").cloned(),
        )
    };
    let (overrides, authorities) = arguments(with_events());
    assert_eq!(overrides.flatten().as_deref(), Some("/events#https://127.0.0.1:2382"));
    assert_eq!(authorities.flatten().as_deref(), Some("/etc/kubernetes/pki/etcd-events/servers-ca.crt"));
    // Without it a running API server that has the one is refused, and its own authority, which kubeadm names, is not.
    assert_eq!(arguments(chosen()), (Some(None), None));
}

#[test]
fn whoever_signs_sees_keys_ports_and_commands_of_the_events_database() {
    let plan = with_events().plan().unwrap();
    let all = changes(&plan);
    for host in &all {
        let master = host.host.starts_with('m');
        let key = host.files.iter().find(|file| file.path == "/etc/kubernetes/pki/etcd-events/ca.key");
        let secret = Content::Secret { size: None };
        assert_eq!(key.map(|file| (&file.content, file.mode.as_str())), master.then_some((&secret, "0600")));
        let port = |port: &str| host.ports.iter().find(|one| one.port == port).map(|one| one.from.as_str());
        let [clients, peers, metrics] = ["2382", "2383", "2384"].map(port);
        assert_eq!((clients, peers), (master.then_some("the masters"), master.then_some("the masters")));
        assert_eq!(metrics, master.then_some("this host alone"));
        let added = host.commands.iter().any(|one| one.command == "etcdctl member add");
        assert_eq!(added, ["m2", "m3"].contains(&host.host.as_str()), "{}", host.host);
    }
    assert!(!plan.to_json().contains("PRIVATE KEY"));
}

#[test]
fn the_firewall_ticket_has_the_ways_between_its_members() {
    let ways = |world: &World| {
        let table = tickets::firewall(&world.site, &world.plan().unwrap());
        let row = |port: &str| table.lines().any(|row| row.contains(&format!(",tcp,{port},")));
        ["2382", "2383", "2384"].map(row)
    };
    assert_eq!(ways(&with_events()), [true, true, false]);
    assert_eq!(ways(&chosen()), [false; 3]);
    assert!(chosen().plan().unwrap().steps.iter().all(|one| !one.id.contains(".events-")));
}

#[test]
fn each_master_takes_snapshots_of_events_once_its_member_votes() {
    let plan = with_events().plan().unwrap();
    let all = changes(&plan);
    for host in &all {
        let master = host.host.starts_with('m');
        let unit = host.units.iter().find(|unit| unit.unit == "sealift-events-backup.timer");
        assert_eq!(unit.map(|unit| (unit.enabled, unit.started)), master.then_some((true, true)));
        let folder = host.folders.iter().find(|one| one.path == "/var/lib/sealift/backup/etcd-events");
        assert_eq!(folder.map(|folder| folder.mode.as_str()), master.then_some("0700"), "{}", host.host);
        let file = |end: &str| host.files.iter().find(|file| file.path.ends_with(end));
        assert_eq!(file("/sealift-events-backup.timer").is_some(), master);
        let service = file("/sealift-events-backup.service").map(|file| format!("{:?}", file.content));
        let keeps = format!("--member {} --folder /var/lib/sealift/backup/etcd-events --keep 3", host.host);
        assert_eq!(service.map(|service| service.contains(&keeps)), master.then_some(true), "{}", host.host);
    }
    for master in ["m1", "m2", "m3"] {
        let before = ancestors(&plan, &format!("{master}.events-backup"));
        for needed in ["agent", "binaries", "events-voter"] {
            assert!(before.contains(format!("{master}.{needed}").as_str()), "{master} needs {needed}");
        }
    }
}

#[test]
fn snapshots_that_are_not_wanted_any_more_end() {
    let mut world = with_events();
    let backup = Backup { keep: 0, ..Backup::default() };
    world.site.etcd.events = Some(Events { backup, ..Events::default() });
    let plan = world.plan().unwrap();
    assert_valid(&plan);
    let Operation::Service { service } = &step(&plan, "m1.events-backup").operation else { panic!() };
    assert_eq!((service.enabled, service.running), (false, false));
    assert!(service.files.is_empty() && service.directories.is_empty());
}
