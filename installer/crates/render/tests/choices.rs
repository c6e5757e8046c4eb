//! Operating choices as they reach kubelet, controller manager, API server and charts.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::path::Path;

use sealift_bundle::testing::sample_document;
use sealift_profile::{EvictionBrake, NodeFailure, Reserved, Site};
use sealift_render::nodes::{Reservation, dns_replicas, reservation, service_replicas};
use sealift_render::{HostSettings, RenderError, kubeadm};
use sealift_sizing::node_overhead;
use serde::Deserialize;
use serde_json::{Value, json};

fn demo() -> Site {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../profiles/demo.yaml");
    sealift_profile::load(&[path]).unwrap()
}

/// A site of so many masters and workers.
fn sized(masters: usize, workers: usize) -> Site {
    let mut site = demo();
    let (master, worker) = (site.hosts[0].clone(), site.hosts[4].clone());
    site.hosts = vec![master; masters];
    site.hosts.extend(vec![worker; workers]);
    site
}

fn machine(cpus: u32, memory_bytes: u64) -> HostSettings {
    HostSettings { legacy_cgroup: false, restricted_oom_score: false, cpus, memory_bytes }
}

/// The first master's documents, by kind.
fn document(site: &Site, kind: &str) -> Value {
    let text = kubeadm::init_config(site, &sample_document(), &site.hosts[0], false).unwrap();
    let mut documents = serde_yaml::Deserializer::from_str(&text).map(|one| Value::deserialize(one).unwrap());
    documents.find(|one| one["kind"] == kind).unwrap()
}

/// `name=value` of a component's arguments.
fn arguments(site: &Site, component: &str) -> Vec<String> {
    let configuration = document(site, "ClusterConfiguration");
    let list = configuration[component]["extraArgs"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.iter().map(|one| format!("{}={}", text(&one["name"]), text(&one["value"]))).collect()
}

#[test]
fn a_node_keeps_what_sizing_plans_with() {
    for (cpus, gib) in [(2, 4), (4, 8), (8, 32), (16, 64), (64, 512)] {
        let memory = gib << 30;
        let kept = reservation(Reserved::default(), machine(cpus, memory)).unwrap();
        let formula = node_overhead(u64::from(cpus) * 1000, memory);
        assert_eq!(kept.cpu_millicores, formula.cpu_millicores, "{cpus} cores");
        assert_eq!(kept.eviction_mebibytes << 20, formula.eviction_bytes);
        assert_eq!(kept.memory_mebibytes, formula.memory_bytes.div_ceil(1 << 20), "{gib} GiB");
        // As a kernel shows a machine of that size, at this boot and at the next.
        for shown in [memory - (200 << 20), memory - (203 << 20)] {
            assert_eq!(reservation(Reserved::default(), machine(cpus, shown)), Ok(kept));
        }
    }
}

#[test]
fn a_site_may_keep_other_numbers_each_alone() {
    let own = Reserved { memory_mebibytes: Some(2000), ..Reserved::default() };
    let kept = reservation(own, machine(2, 8 << 30)).unwrap();
    assert_eq!(kept, Reservation { cpu_millicores: 100, memory_mebibytes: 2000, eviction_mebibytes: 100 });
    let mut site = demo();
    site.nodes.reserved =
        Reserved { cpu_millicores: Some(250), eviction_mebibytes: Some(300), memory_mebibytes: Some(512) };
    let patch = kubeadm::kubelet_patch(&site, machine(2, 8 << 30)).unwrap();
    let patch: Value = serde_yaml::from_str(&patch).unwrap();
    assert_eq!(patch["kubeReserved"], json!({"cpu": "250m", "memory": "512Mi"}));
    assert_eq!(patch["evictionHard"]["memory.available"], "300Mi");
}

#[test]
fn a_node_that_would_keep_everything_is_refused() {
    let small = machine(2, 2 << 30);
    for (own, what) in [
        (Reserved { memory_mebibytes: Some(2000), ..Reserved::default() }, "2100 MiB of 2048 MiB of memory"),
        (Reserved { cpu_millicores: Some(2000), ..Reserved::default() }, "2000 thousandths of a processor"),
    ] {
        let error = reservation(own, small).unwrap_err();
        assert!(matches!(error, RenderError::NothingLeft { .. }));
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn every_threshold_of_eviction_is_named() {
    // kubelet takes those that are missing beside others for none.
    let patch = kubeadm::kubelet_patch(&demo(), machine(4, 8 << 30)).unwrap();
    let patch: Value = serde_yaml::from_str(&patch).unwrap();
    let names: Vec<&String> = patch["evictionHard"].as_object().unwrap().keys().collect();
    let signals = ["imagefs.available", "imagefs.inodesFree", "memory.available", "nodefs.available"];
    assert_eq!(names, [&signals[..], &["nodefs.inodesFree", "pid.available"]].concat());
}

#[test]
fn each_pod_has_a_limit_of_processes_and_swap_stays_off() {
    let mut site = demo();
    assert_eq!(document(&site, "KubeletConfiguration")["podPidsLimit"], 4096);
    site.nodes.pod_pids_limit = 512;
    let kubelet = document(&site, "KubeletConfiguration");
    assert_eq!((&kubelet["podPidsLimit"], &kubelet["failSwapOn"]), (&json!(512), &json!(true)));
}

#[test]
fn a_preset_for_silent_nodes_sets_all_or_nothing() {
    let mut site = demo();
    let all = |site: &Site| {
        let update = document(site, "KubeletConfiguration")["nodeStatusUpdateFrequency"].clone();
        (update, arguments(site, "controllerManager").join(" "), arguments(site, "apiServer").join(" "))
    };
    assert_eq!(all(&site), (Value::Null, String::new(), String::new()));
    site.nodes.failure = NodeFailure::Fast;
    assert_eq!(
        all(&site),
        (
            json!("4s"),
            "node-monitor-period=2s node-monitor-grace-period=20s".to_owned(),
            "default-not-ready-toleration-seconds=30 default-unreachable-toleration-seconds=30".to_owned()
        )
    );
    site.nodes.failure = NodeFailure::Tolerant;
    let (update, controller, api) = all(&site);
    assert_eq!(update, "20s");
    assert!(controller.ends_with("node-monitor-grace-period=2m0s") && api.ends_with("-seconds=300"));
}

#[test]
fn the_eviction_brake_stands_beside_the_preset() {
    let mut site = demo();
    site.nodes.eviction_brake =
        Some(EvictionBrake { large_cluster_size_threshold: 2, ..EvictionBrake::default() });
    let brake = [
        "unhealthy-zone-threshold=0.55",
        "large-cluster-size-threshold=2",
        "node-eviction-rate=0.1",
        "secondary-node-eviction-rate=0.01",
    ];
    assert_eq!(arguments(&site, "controllerManager"), brake);
    site.nodes.failure = NodeFailure::Fast;
    let both = arguments(&site, "controllerManager");
    assert_eq!((both.len(), &both[2..]), (6, &brake.map(str::to_owned)[..]));
}

#[test]
fn a_node_says_where_it_stands_when_it_registers() {
    let mut site = demo();
    let said = |site: &Site| {
        let text = kubeadm::join_config(site, &site.hosts[4]).unwrap();
        let join: Value = serde_yaml::from_str(&text).unwrap();
        join["nodeRegistration"]["kubeletExtraArgs"].clone()
    };
    assert_eq!(said(&site), json!([{"name": "node-ip", "value": "10.77.0.22"}]));
    site.hosts[4].placement.zone = Some("hall-b".into());
    site.hosts[4].placement.unit = Some("rack-7".into());
    // Labels that a kubelet may not set itself come later, through the API.
    site.hosts[4].labels = [("node-role.kubernetes.io/db".to_owned(), String::new())].into();
    let labels = "sealift.dev/unit=rack-7,topology.kubernetes.io/zone=hall-b";
    assert_eq!(said(&site)[1], json!({"name": "node-labels", "value": labels}));
    assert_eq!(site.hosts[4].node_labels().len(), 3);
}

#[test]
fn dns_servers_follow_hosts_and_processors() {
    let with = |masters, workers, cores| dns_replicas(&sized(masters, workers), cores);
    assert_eq!(with(1, 0, 4), 1, "nowhere else to run");
    assert_eq!(with(1, 1, 8), 2, "one may fail");
    assert_eq!(with(3, 2, 20), 3, "one on each master");
    assert_eq!(with(3, 61, 64 * 8), 4, "one for 16 hosts");
    assert_eq!(with(3, 37, 40 * 64), 10, "one for 256 cores");
    assert_eq!(with(3, 2, 100_000), 5, "no host runs two");
    let mut site = sized(3, 6);
    site.replicas.dns = Some(6);
    assert_eq!(dns_replicas(&site, 20), 6);
}

#[test]
fn services_have_copies_by_workers_unless_the_site_says_how_many() {
    let by_rule = |masters, workers| service_replicas(&sized(masters, workers));
    assert_eq!([(3, 1), (3, 2), (3, 4), (3, 5)].map(|(m, w)| by_rule(m, w)), [1, 2, 2, 3]);
    assert_eq!((by_rule(1, 0), by_rule(3, 0)), (1, 2), "masters do the work of workers");
    let mut site = sized(3, 2);
    site.replicas.services = Some(4);
    assert_eq!(service_replicas(&site), 4);
}
