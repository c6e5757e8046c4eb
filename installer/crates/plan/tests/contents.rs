//! What the steps hold: bytes over the seat's link, what each host fetches, secrets, refusals.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod world;

use std::collections::BTreeSet;

use sealift_bundle::document::{Role, SiteValue};
use sealift_checks::facts::CgroupVersion;
use sealift_plan::operation::{FileSpec, Operation, SecretSet, SecretSource};
use sealift_plan::{Plan, PlanError};
use sealift_profile::SecretRef;
use serde_json::json;
use world::{World, ancestors, step};

/// Digests that cross the seat's link, in order.
fn received(plan: &Plan) -> Vec<&str> {
    let mut digests = Vec::new();
    for step in &plan.steps {
        if let Operation::ReceiveBlobs { blobs } = &step.operation {
            assert_eq!(step.host, "m1", "{} takes bytes over the seat's link", step.id);
            digests.extend(blobs.iter().map(|blob| blob.digest.as_str()));
        }
    }
    digests
}

#[test]
fn every_needed_blob_crosses_the_seats_link_once() {
    let world = World::demo();
    let plan = world.plan().unwrap();
    let received = received(&plan);
    let distinct: BTreeSet<&str> = received.iter().copied().collect();
    assert_eq!(distinct.len(), received.len(), "a blob is sent twice");

    let document = &world.document;
    let images = document.images.iter().flat_map(|image| image.blobs.iter().map(String::as_str));
    let files = document.files.iter().map(|file| file.digest.as_str());
    let charts = document.charts.iter().map(|chart| chart.digest.as_str());
    let needed: BTreeSet<&str> = images.chain(files).chain(charts).collect();
    assert_eq!(distinct, needed);
}

#[test]
fn a_host_gets_the_files_of_its_own_platform() {
    let mut world = World::demo();
    let kubelet = world.document.files.iter_mut().find(|file| file.name == "kubelet").unwrap();
    kubelet.platform = Some("linux/amd64".into());
    let mut other = kubelet.clone();
    other.platform = Some("linux/arm64".into());
    other.digest = world.document.charts[0].digest.clone();
    world.document.files.push(other.clone());
    let plan = world.plan().unwrap();
    for host in ["m1", "w1"] {
        let Operation::InstallBinaries { binaries } = &step(&plan, &format!("{host}.binaries")).operation
        else {
            panic!()
        };
        let kubelets: Vec<_> = binaries.iter().filter(|binary| binary.path == other.path).collect();
        assert_eq!(kubelets.len(), 1, "{host}");
        assert_ne!(kubelets[0].blob.digest, other.digest, "{host}");
    }
}

#[test]
fn a_layer_that_two_images_share_is_sent_with_the_first() {
    let mut world = World::demo();
    let blobs_of = |world: &World, name: &str| {
        world.document.images.iter().find(|image| image.name.contains(name)).unwrap().blobs.clone()
    };
    let shared = blobs_of(&world, "kube-apiserver").pop().unwrap();
    let web = world.document.images.iter_mut().find(|image| image.name.contains("orders/web")).unwrap();
    web.blobs.push(shared.clone());
    let plan = world.plan().unwrap();
    assert_eq!(received(&plan).iter().filter(|digest| **digest == shared).count(), 1);
    let Operation::ReceiveBlobs { blobs } = &step(&plan, "m1.store-control-plane").operation else {
        panic!()
    };
    assert!(blobs.iter().any(|blob| blob.digest == shared));
}

#[test]
fn sizes_are_those_of_the_bundle() {
    let world = World::demo();
    let plan = world.plan().unwrap();
    let sizes: std::collections::BTreeMap<&str, u64> =
        world.document.blobs.iter().map(|blob| (blob.digest.as_str(), blob.size)).collect();
    for step in &plan.steps {
        let (Operation::ReceiveBlobs { blobs } | Operation::FetchBlobs { blobs, .. }) = &step.operation
        else {
            continue;
        };
        for blob in blobs {
            assert_eq!(sizes.get(blob.digest.as_str()), Some(&blob.size), "{} of {}", blob.digest, step.id);
        }
    }
}

#[test]
fn other_hosts_fetch_from_masters_and_never_from_themselves() {
    let world = World::demo();
    let plan = world.plan().unwrap();
    let mut fetching = BTreeSet::new();
    for step in &plan.steps {
        let Operation::FetchBlobs { sources, .. } = &step.operation else { continue };
        fetching.insert(step.host.as_str());
        assert!(!sources.is_empty(), "{} has no source", step.id);
        let own = format!("https://{}:", world.site.host(&step.host).unwrap().address);
        assert!(!sources.iter().any(|source| source.starts_with(&own)), "{} asks itself", step.id);
        assert!(
            sources.contains(&"https://10.77.0.11:5443".to_owned()),
            "{} cannot ask the first master",
            step.id
        );
        let before = ancestors(&plan, &step.id);
        assert!(before.contains("m1.registry"), "{} may ask a registry that is not there", step.id);
    }
    assert_eq!(fetching, BTreeSet::from(["m2", "m3", "w1", "w2"]));
}

#[test]
fn hosts_get_the_binaries_and_images_of_their_role() {
    let world = World::demo();
    let plan = world.plan().unwrap();
    for (host, role) in [("m1", Role::ControlPlane), ("m3", Role::ControlPlane), ("w2", Role::Worker)] {
        let Operation::InstallBinaries { binaries } = &step(&plan, &format!("{host}.binaries")).operation
        else {
            panic!()
        };
        let paths: BTreeSet<&str> = binaries.iter().map(|binary| binary.path.as_str()).collect();
        let files = world.document.files.iter().filter(|file| file.roles.contains(&role));
        assert_eq!(paths, files.map(|file| file.path.as_str()).collect());

        let pulled: BTreeSet<&str> = plan
            .steps
            .iter()
            .filter(|step| step.host == host)
            .filter_map(|step| match &step.operation {
                Operation::PullImages { images } => Some(images),
                _ => None,
            })
            .flatten()
            .map(|image| image.name.as_str())
            .collect();
        let images = world.document.images.iter().filter(|image| image.roles.contains(&role));
        assert_eq!(pulled, images.map(|image| image.name.as_str()).collect());
    }
}

#[test]
fn each_host_is_configured_after_its_own_facts() {
    let world = World::demo();
    let plan = world.plan().unwrap();
    for (host, facts) in &world.facts {
        let legacy = facts.cgroup == CgroupVersion::V1;
        let Operation::WriteFiles { files, .. } = &step(&plan, &format!("{host}.kernel")).operation else {
            panic!()
        };
        let patch = content(files, "/etc/sealift/kubeadm-patches/kubeletconfiguration0+merge.yaml");
        assert!(
            patch.contains(if legacy { "cgroupDriver: cgroupfs" } else { "cgroupDriver: systemd" }),
            "{host}"
        );
        let Operation::Service { service } = &step(&plan, &format!("{host}.containerd")).operation else {
            panic!()
        };
        let config = content(&service.files, "/etc/containerd/config.toml");
        assert!(config.contains(&format!("SystemdCgroup = {}", !legacy)), "{host}");
        assert!(config.contains(&format!("restrict_oom_score_adj = {}", !facts.cap_sys_resource)), "{host}");
    }
    assert!(world.facts.values().any(|facts| facts.cgroup == CgroupVersion::V2));
}

fn content<'a>(files: &'a [FileSpec], path: &str) -> &'a str {
    &files.iter().find(|file| file.path == path).unwrap().content
}

#[test]
fn a_plan_names_secrets_and_never_holds_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let canary = "canary-5f1d9b";
    std::fs::write(&file, canary).unwrap();
    let reference = SecretRef::File(file.to_string_lossy().into_owned());
    let mut world = World::demo();
    world.site.product.secrets.insert("adminPassword".into(), reference.clone());
    world.site.access.password = Some(reference.clone());
    world.site.access.sudo_password = Some(reference);
    let plan = world.plan().unwrap();
    let json = plan.to_json();
    assert!(!json.contains(canary), "the secret's value stands in the plan");
    assert!(!json.contains(&*file.to_string_lossy()), "where the secret is concerns the seat alone");
    assert!(json.contains("adminPassword"));

    let source = step(&plan, "m1.secret-orders-orders-database").operation.secret_source();
    let keys = [("admin-password".to_owned(), "adminPassword".to_owned())].into();
    assert_eq!(source, Some(SecretSource::Profile { keys }));
}

#[test]
fn key_pairs_come_from_the_first_master() {
    let plan = World::demo().plan().unwrap();
    let source = |id: &str| step(&plan, id).operation.secret_source();
    let from_first = |set| Some(SecretSource::Host { host: "m1".into(), set });
    assert_eq!(source("m2.certificate"), from_first(SecretSet::SiteCa));
    assert_eq!(source("m3.pki"), from_first(SecretSet::KubernetesPki));
    assert_eq!(source("w1.join"), from_first(SecretSet::JoinDiscovery));
    assert_eq!(source("m1.claim"), None);

    let with_key = |id: &str| match &step(&plan, id).operation {
        Operation::InstallSiteCa { with_key, certificate_names, .. } => (*with_key, certificate_names.len()),
        _ => panic!("{id} is no certificate"),
    };
    assert_eq!(with_key("m2.certificate"), (true, 2));
    assert_eq!(with_key("w1.certificate"), (false, 0));
}

#[test]
fn an_answer_without_a_question_is_refused() {
    let mut world = World::demo();
    world.site.product.settings.insert("companyNmae".into(), json!("Plant"));
    assert_eq!(world.plan(), Err(PlanError::SettingUnknown("companyNmae".into())));
}

#[test]
fn a_question_without_an_answer_is_refused() {
    let mut world = World::demo();
    world.site.product.settings.clear();
    assert_eq!(world.plan(), Err(PlanError::SettingOpen("domain".into())));
}

#[test]
fn a_secret_that_the_profile_does_not_give_is_refused() {
    let mut world = World::demo();
    world.site.product.secrets.clear();
    assert_eq!(world.plan(), Err(PlanError::SecretOpen("adminPassword".into())));
}

#[test]
fn a_host_that_was_not_probed_is_refused() {
    let mut world = World::demo();
    world.facts.remove("w2");
    assert_eq!(world.plan(), Err(PlanError::NoFacts("w2".into())));
}

#[test]
fn a_site_without_masters_is_refused() {
    let mut world = World::demo();
    world.site.hosts.drain(..3);
    assert_eq!(world.plan(), Err(PlanError::NoControlPlane));
}

#[test]
fn what_the_bundle_lacks_is_named() {
    let mut world = World::demo();
    world.document.charts.retain(|chart| chart.name != "flannel");
    let error = PlanError::NotInBundle { what: "chart", name: "flannel".into() };
    assert_eq!(world.plan(), Err(error));

    let mut world = World::demo();
    let lost = world.document.images[0].blobs[0].clone();
    world.document.blobs.retain(|blob| blob.digest != lost);
    assert_eq!(world.plan(), Err(PlanError::NotInBundle { what: "blob", name: lost }));
}

/// What a host's kubelet is told of its own.
fn kubelet_patch(plan: &Plan, host: &str) -> String {
    let Operation::WriteFiles { files, .. } = &step(plan, &format!("{host}.kernel")).operation else {
        panic!()
    };
    let patch = files.iter().find(|file| file.path.ends_with("kubeletconfiguration0+merge.yaml")).unwrap();
    patch.content.clone()
}

#[test]
fn each_node_keeps_a_share_of_its_own_size() {
    let mut world = World::demo();
    let large = world.facts.get_mut("w2").unwrap();
    (large.cpus, large.memory_bytes) = (16, 64 << 30);
    let plan = world.plan().unwrap();
    let (small, large) = (kubelet_patch(&plan, "w1"), kubelet_patch(&plan, "w2"));
    assert!(small.contains("cpu: 140m") && small.contains("memory: 1844Mi"), "{small}");
    assert!(large.contains("cpu: 260m") && large.contains("memory: 5612Mi"), "{large}");
}

#[test]
fn a_node_that_keeps_everything_is_named() {
    let mut world = World::demo();
    world.site.nodes.reserved.memory_mebibytes = Some(16_000);
    let error = world.plan().unwrap_err();
    assert_eq!(error.to_string(), "rendering for m1");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("`nodes.reserved` keeps 16100 MiB of 7629 MiB of memory"), "{cause}");
}

#[test]
fn places_become_labels_when_a_node_joins_and_are_corrected_later() {
    let mut world = World::demo();
    world.site.hosts[3].placement.zone = Some("hall-a".into());
    world.site.hosts[3].labels = [("disks".to_owned(), "fast".to_owned())].into();
    let plan = world.plan().unwrap();
    let Operation::KubeadmJoin { join, .. } = &step(&plan, "w1.join").operation else { panic!() };
    assert!(join.config.content.contains("topology.kubernetes.io/zone=hall-a"), "{}", join.config.content);
    let Operation::NodeLabels { node, labels } = &step(&plan, "m1.labels-w1").operation else { panic!() };
    let keys: Vec<&String> = labels.keys().collect();
    assert_eq!(node, "w1");
    assert_eq!(keys, ["disks", "node-role.kubernetes.io/worker", "topology.kubernetes.io/zone"]);
}

#[test]
fn charts_get_numbers_of_copies_from_the_size_of_the_site() {
    let copies = |cpus: u32, own: Option<u32>| {
        let mut world = World::demo();
        world.facts.values_mut().for_each(|facts| facts.cpus = cpus);
        world.site.replicas.dns = own;
        let dns = world.document.components.iter_mut().find(|component| component.name == "coredns");
        dns.unwrap().values_from.insert("replicas".into(), SiteValue::DnsReplicas);
        let plan = world.plan().unwrap();
        let Operation::HelmRelease { release } = &step(&plan, "m1.release-coredns").operation else {
            panic!()
        };
        release.values["replicas"].clone()
    };
    assert_eq!((copies(4, None), copies(200, None), copies(4, Some(5))), (json!(3), json!(4), json!(5)));
}
