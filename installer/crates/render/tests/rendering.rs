//! Every file that hosts get, as it stands there for the demo's site and the sample bundle.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

use std::path::Path;

use sealift_bundle::document::{BundleDocument, Component, SiteValue};
use sealift_bundle::testing::sample_document;
use sealift_profile::site::Host;
use sealift_profile::{Backup, Etcd, Events, Site};
use sealift_render::{
    HostSettings, RenderError, cluster_dns, events, kubeadm, load_balancer, runtime, system, url_host, values,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// 8 cores and 32 GiB.
const VIRTUAL_MACHINE: HostSettings =
    HostSettings { legacy_cgroup: false, restricted_oom_score: false, cpus: 8, memory_bytes: 32 << 30 };
/// 2 cores and 4 GiB.
const CONTAINER: HostSettings =
    HostSettings { legacy_cgroup: true, restricted_oom_score: true, cpus: 2, memory_bytes: 4 << 30 };

fn demo() -> Site {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../profiles/demo.yaml");
    sealift_profile::load(&[path]).unwrap()
}

/// The demo's hosts in a network of IPv6.
fn demo_in_ipv6() -> Site {
    let mut site = demo();
    for (i, host) in site.hosts.iter_mut().enumerate() {
        host.address = format!("fd00:77::1{i}").parse().unwrap();
    }
    site.cluster.pod_cidr = "fd00:244::/56".parse().unwrap();
    site.cluster.service_cidr = "fd00:96::/112".parse().unwrap();
    site
}

fn host<'a>(site: &'a Site, name: &str) -> &'a Host {
    site.host(name).unwrap()
}

fn parsed(yaml: &str) -> Vec<Value> {
    serde_yaml::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap()).collect()
}

#[test]
fn the_first_masters_kubeadm_documents() {
    let site = demo();
    let text = kubeadm::init_config(&site, &sample_document(), host(&site, "m1"), false).unwrap();
    insta::assert_snapshot!("init_config", text);
    let kinds: Vec<_> = parsed(&text).iter().map(|document| document["kind"].clone()).collect();
    let expected =
        ["InitConfiguration", "ClusterConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"];
    assert_eq!(kinds, expected);
}

#[test]
fn kube_proxy_leaves_the_tracking_table_alone_where_a_host_may_not_write_it() {
    let site = demo();
    let proxy = |small| {
        let text = kubeadm::init_config(&site, &sample_document(), host(&site, "m1"), small).unwrap();
        parsed(&text).pop().unwrap()
    };
    assert_eq!(proxy(true)["conntrack"], json!({"maxPerCore": 0, "min": 0}));
    assert_eq!(proxy(false).get("conntrack"), None);
}

#[test]
fn an_etcd_image_without_a_tag_is_refused() {
    let (site, mut document) = (demo(), sample_document());
    document.kubernetes.etcd_image = "registry.example:5000/etcd".into();
    let result = kubeadm::init_config(&site, &document, host(&site, "m1"), false);
    assert_eq!(result, Err(RenderError::NoTag("registry.example:5000/etcd".into())));
}

#[test]
fn a_joining_masters_and_a_joining_workers_documents() {
    let site = demo();
    let master = kubeadm::join_config(&site, host(&site, "m2")).unwrap();
    let worker = kubeadm::join_config(&site, host(&site, "w1")).unwrap();
    insta::assert_snapshot!("join_config_master", master);
    insta::assert_snapshot!("join_config_worker", worker);
    let (master, worker) = (parsed(&master), parsed(&worker));
    assert_eq!((master.len(), worker.len()), (1, 1));
    assert_eq!(master[0]["controlPlane"]["localAPIEndpoint"]["advertiseAddress"], "10.77.0.12");
    assert_eq!(worker[0].get("controlPlane"), None);
    assert_eq!(worker[0]["discovery"]["file"]["kubeConfigPath"], kubeadm::DISCOVERY_PLACEHOLDER);
}

#[test]
fn host_names_that_look_like_other_types_stay_names() {
    for name in ["1234", "0x10", "1e3", "null", "true"] {
        let mut site = demo();
        site.hosts[4].name = name.into();
        let text = kubeadm::join_config(&site, &site.hosts[4]).unwrap();
        assert_eq!(parsed(&text)[0]["nodeRegistration"]["name"], name);
    }
}

#[test]
fn kubelets_patch_follows_the_hosts_cgroup_hierarchy() {
    let patch = |settings| kubeadm::kubelet_patch(&demo(), settings).unwrap();
    let (unified, legacy) = (patch(VIRTUAL_MACHINE), patch(CONTAINER));
    insta::assert_snapshot!("kubelet_patch_v2", unified);
    insta::assert_snapshot!("kubelet_patch_v1", legacy);
    assert_eq!(parsed(&unified)[0]["failCgroupV1"], true);
    assert_eq!(parsed(&legacy)[0]["failCgroupV1"], false);
}

#[test]
fn preflight_checks_are_skipped_for_a_reason_only() {
    let site = demo();
    let ignored = |name, settings| kubeadm::ignored_preflight(&site, host(&site, name), settings);
    assert_eq!(ignored("m2", VIRTUAL_MACHINE), ["DirAvailable--var-lib-etcd"]);
    assert_eq!(ignored("m2", CONTAINER), ["DirAvailable--var-lib-etcd", "SystemVerification"]);
    assert_eq!(ignored("w1", VIRTUAL_MACHINE), ["DirAvailable--etc-kubernetes-manifests"]);
    assert_eq!(ignored("w1", CONTAINER), ["DirAvailable--etc-kubernetes-manifests", "SystemVerification"]);
}

#[test]
fn containerds_configuration_under_both_settings() {
    let document = sample_document();
    let unified = runtime::containerd_config(&document, VIRTUAL_MACHINE).unwrap();
    let legacy = runtime::containerd_config(&document, CONTAINER).unwrap();
    insta::assert_snapshot!("containerd_config_v2", unified);
    insta::assert_snapshot!("containerd_config_v1", legacy);
    assert!(unified.contains("SystemdCgroup = true") && unified.contains("restrict_oom_score_adj = false"));
    assert!(legacy.contains("SystemdCgroup = false") && legacy.contains("restrict_oom_score_adj = true"));
}

#[test]
fn a_master_asks_its_own_registry_first() {
    let site = demo();
    let mirrors = |name| runtime::mirrors(&site, host(&site, name)).join(" ");
    let (m1, m2, m3) = ("https://10.77.0.11:5443", "https://10.77.0.12:5443", "https://10.77.0.13:5443");
    assert_eq!(mirrors("m1"), format!("{m1} {m2} {m3}"));
    assert_eq!(mirrors("m2"), format!("{m2} {m3} {m1}"));
    assert_eq!(mirrors("m3"), format!("{m3} {m1} {m2}"));
}

#[test]
fn workers_share_the_registries_between_them() {
    let site = demo();
    let (first, second) =
        (runtime::mirrors(&site, host(&site, "w1")), runtime::mirrors(&site, host(&site, "w2")));
    assert_ne!(first[0], second[0]);
    for mut mirrors in [first, second] {
        mirrors.sort();
        let all = ["https://10.77.0.11:5443", "https://10.77.0.12:5443", "https://10.77.0.13:5443"];
        assert_eq!(mirrors, all, "every master is asked in the end");
    }
}

#[test]
fn images_come_from_the_masters_and_from_nowhere_else() {
    let (site, document) = (demo(), sample_document());
    for name in ["m2", "w1", "w2"] {
        let hosts = runtime::registry_hosts(&site, &document, host(&site, name)).unwrap();
        let upstreams: Vec<&str> = hosts.iter().map(|(upstream, _)| upstream.as_str()).collect();
        let expected = ["docker.io", "ghcr.io", "registry.k8s.io", "registry.sealift.example"];
        assert_eq!(upstreams, expected);
        for (upstream, content) in &hosts {
            for line in content.lines().filter(|line| line.contains("://")) {
                assert!(line.contains("\"https://10.77.0.1"), "{name}, {upstream}: {line}");
            }
            assert!(
                content.contains("\nserver = "),
                "without a server containerd would ask {upstream} itself"
            );
        }
    }
    let of = |name| runtime::registry_hosts(&site, &document, host(&site, name)).unwrap().swap_remove(2).1;
    insta::assert_snapshot!("hosts_toml_master", of("m2"));
    insta::assert_snapshot!("hosts_toml_worker", of("w1"));
}

#[test]
fn the_load_balancers_configuration_and_pod() {
    let site = demo();
    let config = load_balancer::config(&site).unwrap();
    let pod = load_balancer::manifest(&sample_document(), &config).unwrap();
    insta::assert_snapshot!("haproxy_cfg", config);
    insta::assert_snapshot!("balancer_pod", pod);
    let pod = parsed(&pod).remove(0);
    assert_eq!(pod["spec"]["containers"][0]["image"], "docker.io/library/haproxy:2.6");

    let mut smaller = demo();
    smaller.hosts.remove(2);
    let other = load_balancer::config(&smaller).unwrap();
    let other = parsed(&load_balancer::manifest(&sample_document(), &other).unwrap()).remove(0);
    assert_ne!(pod["metadata"]["annotations"], other["metadata"]["annotations"], "the pod must be replaced");
}

#[test]
fn units() {
    let site = demo();
    insta::assert_snapshot!("registry_unit", runtime::registry_unit(&site, host(&site, "m2")).unwrap());
    insta::assert_snapshot!("containerd_unit", runtime::containerd_unit().unwrap());
    insta::assert_snapshot!("kubelet_unit", system::kubelet_unit(&site, host(&site, "m2")).unwrap());
}

#[test]
fn members_of_the_events_database_begin_alone_or_come_to_those_before() {
    let mut site = demo();
    let pod = |site: &Site, name: &str| events::manifest(site, &sample_document(), host(site, name)).unwrap();
    assert_eq!(pod(&site, "m1"), None);
    assert!(events::api_server_arguments(&site).is_empty());
    site.etcd.events = Some(Events { folder: "/data/events".to_owned(), ..Events::default() });
    insta::assert_snapshot!("events_pod", pod(&site, "m2").unwrap());
    let arguments = |name: &str| {
        let pod = parsed(&pod(&site, name).unwrap()).remove(0);
        let command = pod["spec"]["containers"][0]["command"].as_array().unwrap().clone();
        let start = "--initial-cluster";
        let told = command.iter().filter_map(|one| one.as_str()?.strip_prefix(start).map(str::to_owned));
        told.collect::<Vec<_>>().join(" ")
    };
    let token = "-token=sealift-events";
    let (one, two) = ("m1=https://10.77.0.11:2383", "m2=https://10.77.0.12:2383");
    let three = "m3=https://10.77.0.13:2383";
    assert_eq!(arguments("m1"), format!("={one} -state=new {token}"));
    assert_eq!(arguments("m2"), format!("={one},{two} -state=existing {token}"));
    assert_eq!(arguments("m3"), format!("={one},{two},{three} -state=existing {token}"));
    let document = sample_document();
    let init = parsed(&kubeadm::init_config(&site, &document, host(&site, "m1"), false).unwrap());
    let cluster = init.iter().find(|one| one["kind"] == "ClusterConfiguration").unwrap();
    let given = cluster["apiServer"]["extraArgs"].as_array().unwrap();
    let overrides = json!({"name": "etcd-servers-overrides", "value": "/events#https://127.0.0.1:2382"});
    assert!(given.contains(&overrides), "{given:?}");
    assert!(given.contains(&json!({"name": "etcd-cafile", "value": events::SERVERS_CA})), "{given:?}");
}

#[test]
fn each_master_takes_snapshots_of_events_in_its_turn() {
    let mut site = demo();
    assert_eq!(events::backup_units(&site, host(&site, "m2")).unwrap(), None);
    let backup = Backup { every_hours: 6, keep: 4, folder: "/mnt/copies".to_owned() };
    site.etcd.events = Some(Events { backup, ..Events::default() });
    let [service, timer] = events::backup_units(&site, host(&site, "m2")).unwrap().unwrap();
    insta::assert_snapshot!("events_backup_units", format!("{service}{timer}"));
    let first = |name: &str| {
        let [_, timer] = events::backup_units(&site, host(&site, name)).unwrap().unwrap();
        timer.lines().find(|line| line.starts_with("OnActiveSec=")).map(str::to_owned)
    };
    let wanted = ["m1", "m2", "m3"].map(first);
    assert_eq!(wanted.map(Option::unwrap), ["OnActiveSec=10min", "OnActiveSec=20min", "OnActiveSec=30min"]);
}

#[test]
fn the_database_stands_where_the_profile_says_and_kubelet_waits_for_its_disk() {
    let mut site = demo();
    let plain = system::kubelet_unit(&site, host(&site, "m1")).unwrap();
    site.etcd = Etcd { folder: "/data/etcd".to_owned(), own_disk: true, events: None };
    let unit = system::kubelet_unit(&site, host(&site, "m1")).unwrap();
    insta::assert_snapshot!("kubelet_unit_own_disk", unit);
    assert_eq!(system::kubelet_unit(&site, host(&site, "w1")).unwrap(), plain, "workers have no database");
    let documents =
        parsed(&kubeadm::init_config(&site, &sample_document(), host(&site, "m1"), false).unwrap());
    let cluster = documents.iter().find(|one| one["kind"] == "ClusterConfiguration").unwrap();
    assert_eq!(cluster["etcd"]["local"]["dataDir"], "/data/etcd");
    let ignored = kubeadm::ignored_preflight(&site, host(&site, "m2"), VIRTUAL_MACHINE);
    assert_eq!(ignored, ["DirAvailable--data-etcd"], "as kubeadm names its check of that folder");
    site.etcd.own_disk = false;
    assert_eq!(system::kubelet_unit(&site, host(&site, "m1")).unwrap(), plain);
}

#[test]
fn kernel_settings_and_modules() {
    let settings = system::sysctls(&[].into()).unwrap();
    insta::assert_snapshot!("sysctls", settings);
    let names: Vec<&str> = settings.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    assert_eq!(names, system::SYSCTLS, "every setting is probed beforehand");
    let modules = system::modules().unwrap();
    insta::assert_snapshot!("modules", modules);
    let lines: Vec<&str> = modules.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, system::MODULES);
}

#[test]
fn limits_of_the_kernel_are_raised_and_never_lowered() {
    let limits = |instances: &str, watches: &str| {
        let present =
            [("fs.inotify.max_user_instances", instances), ("fs.inotify.max_user_watches", watches)];
        let present = present.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let text = system::sysctls(&present).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("fs.inotify.")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(limits("128", "8192"), "max_user_instances = 8192, max_user_watches = 524288");
    assert_eq!(limits("65536", "1048576"), "max_user_instances = 65536, max_user_watches = 1048576");
    assert_eq!(limits("what", ""), "max_user_instances = 8192, max_user_watches = 524288");
}

#[test]
fn masters_of_a_site_without_workers_take_all_pods() {
    let mut site = demo();
    site.hosts.truncate(3);
    let (first, second) = (&site.hosts[0], &site.hosts[1]);
    let init = kubeadm::init_config(&site, &sample_document(), first, false).unwrap();
    for text in [init, kubeadm::join_config(&site, second).unwrap()] {
        assert_eq!(parsed(&text)[0]["nodeRegistration"]["taints"], json!([]));
    }
}

#[test]
fn the_endpoint_leads_to_the_host_itself() {
    let site = demo();
    let lines = |name| system::hosts_lines(&site, host(&site, name)).join("\n");
    insta::assert_snapshot!("hosts_lines_master", lines("m2"));
    insta::assert_snapshot!("hosts_lines_worker", lines("w1"));
}

#[test]
fn a_closed_sites_resolver_asks_nobody() {
    let mut site = demo();
    assert!(!system::resolv_conf(&site).contains("nameserver "));
    site.cluster.nameservers = vec!["10.0.0.53".parse().unwrap(), "fd00::53".parse().unwrap()];
    let text = system::resolv_conf(&site);
    assert!(text.ends_with("nameserver 10.0.0.53\nnameserver fd00::53\n"), "{text}");
}

/// A component that takes one value from the site.
fn component(source: SiteValue) -> Component {
    let mut component = sample_document().components.remove(0);
    component.values = json!({"kept": true, "deep": {"kept": 1}});
    component.values_from = [("deep.value".to_owned(), source)].into();
    component
}

fn document_with_default() -> BundleDocument {
    let mut document = sample_document();
    document.settings.get_mut("companyName").unwrap().default = Some(json!("Example"));
    document
}

#[test]
fn values_take_what_the_site_knows() {
    let (mut site, document) = (demo(), document_with_default());
    site.cluster.nameservers = vec!["10.0.0.53".parse().unwrap()];
    site.product.settings = [("domain".to_owned(), json!("orders.demo.internal"))].into();
    let expected = [
        (SiteValue::PodCidr, json!("10.244.0.0/16")),
        (SiteValue::ServiceCidr, json!("10.96.0.0/12")),
        (SiteValue::ClusterDns, json!("10.96.0.10")),
        (SiteValue::EndpointHost, json!("api.demo.internal")),
        (SiteValue::EndpointPort, json!(6443)),
        (SiteValue::ControlPlaneCount, json!(3)),
        (SiteValue::WorkerCount, json!(2)),
        (SiteValue::WorkerNames, json!(["w1", "w2"])),
        (SiteValue::ServiceReplicas, json!(2)),
        (SiteValue::DnsReplicas, json!(3)),
        (SiteValue::PodBandwidth, json!(true)),
        (SiteValue::Nameservers, json!(["10.0.0.53"])),
        (SiteValue::Setting("domain".into()), json!("orders.demo.internal")),
        (SiteValue::Setting("companyName".into()), json!("Example")),
    ];
    for (source, value) in expected {
        let values = values::of_component(&site, &document, &component(source.clone()), 20).unwrap();
        assert_eq!(values, json!({"kept": true, "deep": {"kept": 1, "value": value}}), "{source:?}");
    }
}

#[test]
fn a_site_without_workers_runs_the_product_on_its_masters() {
    let mut site = demo();
    site.hosts.truncate(3);
    let value = |source| {
        let values = values::of_component(&site, &sample_document(), &component(source), 12).unwrap();
        values["deep"]["value"].clone()
    };
    assert_eq!(value(SiteValue::WorkerNames), json!(["m1", "m2", "m3"]));
    assert_eq!(value(SiteValue::WorkerCount), json!(0));
    assert_eq!(value(SiteValue::ServiceReplicas), json!(2));
}

#[test]
fn values_that_cannot_be_made_are_refused() {
    let site = demo();
    let open = component(SiteValue::Setting("domain".into()));
    let result = values::of_component(&site, &sample_document(), &open, 20);
    assert_eq!(result, Err(RenderError::Setting("domain".into())));

    let mut blocked = component(SiteValue::PodCidr);
    blocked.values = json!({"deep": "text"});
    let result = values::of_component(&site, &sample_document(), &blocked, 20);
    assert_eq!(result, Err(RenderError::ValuesPath("deep.value".into())));
}

#[test]
fn the_cluster_dns_is_the_tenth_address() {
    let dns = |network: &str| cluster_dns(network.parse().unwrap()).map(|address| address.to_string());
    assert_eq!(dns("10.96.0.0/12").unwrap(), "10.96.0.10");
    assert_eq!(dns("192.168.7.16/28").unwrap(), "192.168.7.26");
    assert_eq!(
        dns("fd00:96::/112").unwrap(),
        "fd00:96::a",
        "counted from the network's own address, as kubeadm does"
    );
    let small = "10.96.0.0/29".parse().unwrap();
    assert_eq!(cluster_dns(small), Err(RenderError::ServiceNetwork(small)));
}

#[test]
fn addresses_of_ipv6_stand_in_brackets_where_a_port_follows() {
    assert_eq!(url_host("10.77.0.11".parse().unwrap()), "10.77.0.11");
    assert_eq!(url_host("fd00:77::11".parse().unwrap()), "[fd00:77::11]");

    let site = demo_in_ipv6();
    let m1 = host(&site, "m1");
    assert_eq!(runtime::mirrors(&site, m1)[0], "https://[fd00:77::10]:5443");
    assert!(runtime::registry_unit(&site, m1).unwrap().contains("--listen [fd00:77::10]:5443 "));
    assert!(load_balancer::config(&site).unwrap().contains("server m2 [fd00:77::11]:6443"));
    let documents = parsed(&kubeadm::init_config(&site, &sample_document(), m1, false).unwrap());
    assert_eq!(documents[0]["localAPIEndpoint"]["advertiseAddress"], "fd00:77::10");
    assert_eq!(documents[1]["networking"]["serviceSubnet"], "fd00:96::/112");
    assert_eq!(documents[2]["clusterDNS"], json!(["fd00:96::a"]));
    assert_eq!(system::hosts_lines(&site, m1)[0], "fd00:77::10 api.demo.internal");
}

#[test]
fn a_hardened_sites_components() {
    let mut site = demo();
    site.api.hardened = true;
    site.api.audit = Some(sealift_profile::Audit::default());
    let documents =
        parsed(&kubeadm::init_config(&site, &sample_document(), host(&site, "m1"), false).unwrap());
    let (cluster, kubelet) = (&documents[1], &documents[2]);
    let arguments = |component: &str| {
        let list = cluster[component]["extraArgs"].as_array().unwrap().iter();
        let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        list.map(|one| format!("{}={}", text(one, "name"), text(one, "value"))).collect::<Vec<_>>().join("\n")
    };
    let volumes = serde_json::to_string_pretty(&cluster["apiServer"]["extraVolumes"]).unwrap();
    insta::assert_snapshot!("hardened_api_server", format!("{}\n{volumes}", arguments("apiServer")));
    for component in ["controllerManager", "scheduler"] {
        assert_eq!(arguments(component), "profiling=false");
    }
    assert_eq!(kubelet["protectKernelDefaults"], true);
    assert_eq!(kubelet["tlsMinVersion"], "VersionTLS12");
    assert_eq!(kubelet["clusterDNS"], json!(["10.96.0.10"]), "what the plain kubelet has stays");

    // Every argument that a choice sets is one that a running API server is asked about.
    let given = sealift_render::api::api_server_arguments(&site);
    let known = sealift_render::api::ARGUMENTS;
    assert!(given.iter().all(|(name, _)| known.contains(&name.as_str())), "{given:?}");
    let settings = sealift_render::api::kernel_defaults(&site).unwrap();
    assert!(settings.contains("\nkernel.panic = 10\n"), "{settings}");
    assert_eq!(sealift_render::api::kernel_defaults(&demo()), None);
}
