//! The API server's choices as steps: what stands where before it starts, and what nobody may read in a plan.

#![allow(clippy::unwrap_used)] // helpers of tests fail as tests do

mod world;

use std::fmt::Write as _;

use sealift_plan::changes::{Content, changes};
use sealift_plan::operation::{ApiServerSpec, Operation, SecretSet, SecretSource};
use sealift_plan::{Plan, PlanError};
use sealift_profile::api::{Api, Audit, EncryptionAtRest, GroupRole, Oidc, PodSecurity, Role};
use sealift_profile::{Certificates, SecretRef};
use sealift_render::RenderError;
use world::{World, ancestors, assert_valid, step};

const AUTHORITY: &str = include_str!("../../profile/tests/authority.pem");

fn authority() -> Certificates {
    Certificates { file: None, text: Some(AUTHORITY.to_owned()) }
}

/// Everything chosen at once.
fn chosen() -> World {
    let mut world = World::demo();
    let group = |name: &str, role| GroupRole { name: name.to_owned(), role };
    world.site.api = Api {
        audit: Some(Audit::default()),
        encryption_at_rest: Some(EncryptionAtRest { config_maps: true }),
        oidc: Some(Oidc {
            issuer: "https://login.plant.example".to_owned(),
            audiences: vec!["kubernetes".to_owned(), "console".to_owned()],
            ca: None,
            username_claim: "email".to_owned(),
            username_prefix: "oidc:".to_owned(),
            groups_claim: "groups".to_owned(),
            groups_prefix: "oidc:".to_owned(),
            groups: vec![group("/staff/operators", Role::View), group("admins", Role::ClusterAdmin)],
        }),
        pod_security: Some(PodSecurity {
            exempt_namespaces: vec!["tools".to_owned()],
            ..PodSecurity::default()
        }),
        hardened: true,
    };
    world.site.customer_ca = Some(authority());
    world.site.product.secrets.insert("adminPassword".to_owned(), SecretRef::Env("ADMIN".to_owned()));
    world
}

fn api_server<'a>(plan: &'a Plan, host: &str) -> &'a ApiServerSpec {
    match &step(plan, &format!("{host}.api-server")).operation {
        Operation::PrepareApiServer { api_server } => api_server,
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_stands_before_the_api_server_of_each_master() {
    let plan = chosen().plan().unwrap();
    assert_valid(&plan);
    for (host, start) in [("m1", "init-control-plane"), ("m2", "join-etcd"), ("m3", "join-etcd")] {
        let before = ancestors(&plan, &format!("{host}.{start}")).into_iter().collect::<Vec<_>>();
        for name in ["api-server", "encryption-key"] {
            assert!(
                before.contains(&format!("{host}.{name}").as_str()),
                "{host}.{start} does not wait for {name}"
            );
        }
        assert_eq!(api_server(&plan, host), api_server(&plan, "m1"), "all masters alike");
    }
    assert!(plan.steps.iter().all(|one| one.id != "w1.api-server"));
    let mut text = String::new();
    let spec = api_server(&plan, "m1");
    for file in spec.files.iter().chain(&spec.reloaded_files) {
        writeln!(text, "== {} {:04o}\n{}", file.path, file.mode, file.content).unwrap();
    }
    for (name, value) in &spec.arguments {
        writeln!(text, "--{name}={}", value.as_deref().unwrap_or("(not given)")).unwrap();
    }
    for one in &spec.directories {
        writeln!(text, "{} {:04o}", one.path, one.mode).unwrap();
    }
    insta::assert_snapshot!("chosen_api_server", text);
}

#[test]
fn a_plain_cluster_has_none_of_it_and_still_asks() {
    let plan = World::demo().plan().unwrap();
    let spec = api_server(&plan, "m1");
    assert!(spec.files.is_empty() && spec.reloaded_files.is_empty() && spec.directories.is_empty());
    assert!(spec.arguments.len() > 10 && spec.arguments.values().all(Option::is_none), "{spec:?}");
    for name in ["encryption-key", "trust", "group-roles", "customer-ca-orders"] {
        assert!(plan.steps.iter().all(|one| !one.id.ends_with(&format!(".{name}"))), "{name}");
    }
}

#[test]
fn the_key_comes_from_the_first_master_and_stands_in_no_plan() {
    let plan = chosen().plan().unwrap();
    let Operation::EnsureEncryptionKey { resources } = &step(&plan, "m1.encryption-key").operation else {
        panic!()
    };
    assert_eq!(resources.join(" "), "secrets configmaps");
    let source = Some(SecretSource::Host { host: "m1".into(), set: SecretSet::EncryptionKey });
    for host in ["m2", "m3"] {
        let id = format!("{host}.encryption-key");
        assert_eq!(step(&plan, &id).operation.secret_source(), source);
        assert!(ancestors(&plan, &id).contains("m1.encryption-key"));
    }
    let all = changes(&plan);
    for host in all.iter().filter(|host| host.host.starts_with('m')) {
        let file = host.files.iter().find(|file| file.path.ends_with("/encryption.json")).unwrap();
        assert_eq!((&file.content, file.mode.as_str()), (&Content::Secret { size: None }, "0600"));
    }
}

#[test]
fn the_firewall_ticket_has_the_way_to_the_issuer() {
    let world = chosen();
    let table = sealift_plan::tickets::firewall(&world.site, &world.plan().unwrap());
    let row = table.lines().find(|row| row.contains("issuer of people's logins")).unwrap();
    assert!(row.starts_with("m1; m2; m3,") && row.contains(",login.plant.example,tcp,443,"), "{row}");
}

#[test]
fn groups_get_their_roles_and_only_those() {
    let plan = chosen().plan().unwrap();
    let Operation::GroupRoles { roles } = &step(&plan, "m1.group-roles").operation else { panic!() };
    let seen: Vec<_> = roles.iter().map(|one| (one.group.as_str(), one.role.as_str())).collect();
    assert_eq!(seen, [("oidc:/staff/operators", "view"), ("oidc:admins", "cluster-admin")]);
    assert_ne!(roles[0].name, roles[1].name);
    assert!(roles.iter().all(|one| !one.name.contains('/')));
}

#[test]
fn every_host_trusts_the_customers_authorities_in_its_own_way_and_the_product_gets_them() {
    let mut world = chosen();
    world.facts.get_mut("w1").unwrap().os.id = "rocky".to_owned();
    world.facts.get_mut("w2").unwrap().os.id = "opensuse-leap".to_owned();
    let plan = world.plan().unwrap();
    let path = |host: &str| match &step(&plan, &format!("{host}.trust")).operation {
        Operation::TrustAuthorities { files, program } => {
            assert_eq!((files.len(), files[0].content.as_str()), (1, AUTHORITY));
            format!("{program} {}", files[0].path)
        }
        other => panic!("{other:?}"),
    };
    let debian = "update-ca-certificates /usr/local/share/ca-certificates/sealift-customer-ca-1.crt";
    assert_eq!(path("m1"), debian);
    assert_eq!(path("w1"), "update-ca-trust /etc/pki/ca-trust/source/anchors/sealift-customer-ca-1.crt");
    assert_eq!(path("w2"), "update-ca-certificates /etc/pki/trust/anchors/sealift-customer-ca-1.crt");

    let release = plan.steps.iter().find(|one| one.id.starts_with("m1.release-orders")).unwrap();
    let id = "m1.customer-ca-orders";
    assert!(release.needs.contains(&id.to_owned()) || ancestors(&plan, &release.id).contains(id));
    let Operation::EnsureConfigMap { name, data, .. } = &step(&plan, id).operation else { panic!() };
    assert_eq!((name.as_str(), data["ca.crt"].as_str()), ("customer-ca", AUTHORITY));

    world.site.customer_ca = Some(Certificates { file: Some("/ca.pem".to_owned()), text: None });
    let error = world.plan().unwrap_err();
    let unread = |source: &RenderError| matches!(source, RenderError::CertificatesNotRead(_));
    assert!(matches!(&error, PlanError::Render { source, .. } if unread(source)), "{error:?}");
}

#[test]
fn a_hardened_hosts_kernel_settings_are_listed_with_what_stood_there() {
    let mut world = chosen();
    let details = world.facts.get_mut("m1").unwrap().details.get_or_insert_with(Default::default);
    let before = sealift_checks::facts::Setting { value: "60".to_owned(), writable: true };
    details.settings.insert("kernel.panic".to_owned(), before);
    let all = changes(&world.plan().unwrap());
    let setting = all[0].sysctls.iter().find(|one| one.name == "kernel.panic").unwrap();
    assert_eq!((setting.value.as_str(), setting.before.as_deref()), ("10", Some("60")));
    assert!(all.iter().all(|host| host.sysctls.iter().any(|one| one.name == "vm.overcommit_memory")));
    let plain = changes(&World::demo().plan().unwrap());
    assert!(plain.iter().all(|host| host.sysctls.iter().all(|one| one.name != "kernel.panic")));
}
