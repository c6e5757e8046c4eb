//! Generated sites: written, read again, the same; and no text makes the reader fall over.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::net::{IpAddr, Ipv4Addr};

use jiff::civil::date;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use sealift_profile::{
    API_VERSION, AcceptedRisk, Access, Api, Audit, Availability, Backup, Bastion, Certificates,
    Circumstances, Cluster, CountOverride, Database, DatabaseTls, EncryptionAtRest, Endpoint, Environment,
    Etcd, Events, EvictionBrake, GroupRole, Growth, Host, HostRole, KIND, Loaded, MachineOverride, Metadata,
    Needs, NodeFailure, Nodes, Oidc, Placement, PodSecurity, ProductAnswers, Replicas, Reserved, Role,
    SecretRef, Services, Site, SizingOverrides, Standard, TlsMode, load_with_places, to_yaml,
};

fn label() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,6})?"
}

fn fingerprint() -> impl Strategy<Value = String> {
    "SHA256:[A-Za-z0-9+/]{43}"
}

fn secret() -> impl Strategy<Value = SecretRef> {
    prop_oneof![
        "[ -~]{0,20}[!-~]".prop_map(SecretRef::File),
        "[A-Z_][A-Z0-9_]{0,10}".prop_map(SecretRef::Env),
        "[ -~é中文🚢\u{a0}]{0,20}[a-z]".prop_map(SecretRef::Prompt),
        "[a-z/]{1,12}\\.age".prop_map(SecretRef::Sealed),
        Just(SecretRef::Sealed(SEALED.to_owned())),
    ]
}

/// A secret sealed for somebody, as `installer secrets seal` prints it.
const SEALED: &str = include_str!("sealed.age");

/// Any JSON, under names that no rule takes for a secret's.
fn setting() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e12f64..1e12).prop_map(Into::into),
        "[ -~é中文🚢\u{a0}\n\t]{0,20}".prop_map(Into::into),
        prop_oneof!["yes", "1.30", "007", "1e3", "null", "~", "0x10", "- a", "a: b", "#x"]
            .prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Into::into),
            btree_map("[a-z]{1,5}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

prop_compose! {
    fn host()(
        role_key in (prop_oneof![Just(HostRole::ControlPlane), Just(HostRole::Worker)], fingerprint()),
        user in option::of("[a-z]{1,8}"),
        port in option::of(20000u16..),
        password in option::of(secret()),
        sudo_password in option::of(secret()),
        labels in btree_map("[a-z]{1,6}(/[a-z]{1,6})?", "[a-z0-9]{0,6}", 0..3),
        (region, zone, unit) in (option::of(label()), option::of("[A-Z0-9]{1,9}"), option::of(label())),
    ) -> Host {
        let (role, host_key) = (role_key.0, Some(role_key.1));
        let (name, address) = (String::new(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let placement = Placement { region, zone, unit };
        Host { name, address, role, host_key, user, port, password, sudo_password, placement, labels }
    }
}

prop_compose! {
    fn access()(
        user in "[a-z]{1,8}",
        port in 20000u16..,
        private_key in secret(),
        passphrase in option::of(secret()),
        password in option::of(secret()),
        sudo_password in option::of(secret()),
        known_hosts in option::of("[a-z/]{1,10}"),
        bastion in option::of((label(), fingerprint(), option::of(secret()))),
    ) -> Access {
        Access {
            user, port, private_key: Some(private_key), private_key_passphrase: passphrase, password, sudo_password,
            known_hosts,
            bastion: bastion.map(|(address, key, password)| Bastion {
                address, port: 22, user: "jump".to_owned(), private_key: None, password, host_key: Some(key),
            }),
        }
    }
}

prop_compose! {
    fn needs()(
        people in (option::of(1u32..10_000_000), option::of(1u32..=100)),
        seconds in (option::of(1f64..3600.0), option::of(0f64..600.0), option::of(1f64..50.0)),
        data in (option::of(0f64..100_000.0), option::of(1u32..3650)),
        growth in option::of((option::of(0u32..=500), option::of(0u32..=500), option::of(0u32..=10))),
        availability in option::of(prop_oneof![Just(Availability::OneMachineMayFail), Just(Availability::NoSpare)]),
    ) -> Needs {
        Needs {
            users: people.0, concurrent_percent: people.1, think_seconds: seconds.0, response_seconds: seconds.1,
            peak_factor: seconds.2, data_gigabytes_per_day: data.0, retention_days: data.1,
            growth: growth.map(|(users, data, years)| Growth {
                users_percent_per_year: users, data_percent_per_year: data, years,
            }),
            availability,
        }
    }
}

/// Of an authority, until 2126.
const CERTIFICATE: &str = include_str!("authority.pem");

fn certificates() -> impl Strategy<Value = Certificates> {
    Just(Certificates { file: None, text: Some(CERTIFICATE.to_owned()) })
}

prop_compose! {
    fn oidc()(
        host in label(),
        audiences in prop_oneof![Just(vec!["kubernetes".to_owned()]), Just(vec!["a".to_owned(), "b".to_owned()])],
        ca in option::weighted(0.05, certificates()),
        prefix in "[a-z]{1,5}[:/]",
        groups in vec(prop_oneof![Just(Role::View), Just(Role::Edit), Just(Role::Admin), Just(Role::ClusterAdmin)], 0..4),
    ) -> Oidc {
        let group = |(i, role)| GroupRole { name: format!("/staff/{i}"), role };
        Oidc {
            issuer: format!("https://{host}.example:8443/realms/x"), audiences, ca, username_claim: "sub".to_owned(),
            username_prefix: prefix.clone(), groups_claim: "groups".to_owned(), groups_prefix: prefix,
            groups: groups.into_iter().enumerate().map(group).collect(),
        }
    }
}

prop_compose! {
    fn api()(
        audit in option::of((1u32..=3650, 1u32..=1000, 1u32..=2048)),
        config_maps in option::of(any::<bool>()),
        oidc in option::weighted(0.2, oidc()),
        standard in option::of((prop_oneof![Just(Standard::Privileged), Just(Standard::Baseline)], vec(label(), 0..3))),
        hardened in any::<bool>(),
    ) -> Api {
        Api {
            audit: audit.map(|(max_age_days, max_files, max_file_megabytes)| Audit {
                max_age_days, max_files, max_file_megabytes,
            }),
            encryption_at_rest: config_maps.map(|config_maps| EncryptionAtRest { config_maps }),
            oidc,
            pod_security: standard.map(|(enforce, exempt_namespaces)| PodSecurity {
                enforce, warn: Standard::Restricted, exempt_namespaces,
            }),
            hardened,
        }
    }
}

prop_compose! {
    fn etcd()(
        folder in prop_oneof![Just("/var/lib/etcd".to_owned()), "/srv/[a-z]{1,8}(/[a-z0-9._-]{0,6}[a-z])?"],
        own_disk in any::<bool>(),
        events in option::of(("/mnt/[a-z]{1,8}", 1u32..=168, 0u32..=168, "/opt/[a-z]{4,8}")),
    ) -> Etcd {
        let events = events.map(|(folder, every_hours, keep, copies)| {
            Events { folder, backup: Backup { every_hours, keep, folder: copies } }
        });
        Etcd { folder, own_disk, events }
    }
}

prop_compose! {
    fn overrides()(
        workers in option::of((1u32..1000, "[a-z]{1,9}")),
        masters in option::of((prop_oneof![Just(1u32), Just(3), Just(5)], "[a-z]{1,9}")),
        machine in option::of((1u32..256, 2u32..4096, "[a-z]{1,9}")),
    ) -> SizingOverrides {
        let count = |(count, reason)| CountOverride { count, reason };
        SizingOverrides {
            workers: workers.map(count), masters: masters.map(count),
            machine: machine.map(|(cpus, memory_gigabytes, reason)| MachineOverride { cpus, memory_gigabytes, reason }),
        }
    }
}

const CA: &str = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n";

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let login = option::of(("[a-z]{1,8}", secret()));
    (any::<bool>(), "[a-z/]{0,12}", login).prop_map(|(encrypted, path, login)| {
        let (user, password) = login.unzip();
        let scheme = if encrypted { "https" } else { "http" };
        let url = format!("{scheme}://172.21.0.9:3100/{path}");
        Endpoint { url, ca: encrypted.then(|| CA.to_owned()), user, password }
    })
}

prop_compose! {
    fn services()(
        names in ("[a-z]{1,8}", "[a-z]{1,8}", 1u16.., secret(), option::of(10u32..99)),
        mode in prop_oneof![Just(TlsMode::VerifyFull), Just(TlsMode::Require), Just(TlsMode::Disable)],
        has_database in any::<bool>(),
        logs in option::of(endpoint()),
        metrics in option::of(endpoint()),
    ) -> Services {
        let (database, user, port, password, minimum_version) = names;
        let ca = (mode == TlsMode::VerifyFull).then(|| CA.to_owned());
        let host = "172.21.0.8".to_owned();
        let tls = DatabaseTls { mode, ca };
        let database = Database { host, port, database, user, password, tls, minimum_version };
        Services { database: has_database.then_some(database), logs, metrics }
    }
}

prop_compose! {
    fn brake()(
        unhealthy_zone_threshold in 0.01f64..=1.0,
        large_cluster_size_threshold in 0u32..=5000,
        node_eviction_rate in 0.01f64..=10.0,
        share in 0f64..=1.0,
    ) -> EvictionBrake {
        EvictionBrake {
            unhealthy_zone_threshold, large_cluster_size_threshold, node_eviction_rate,
            secondary_node_eviction_rate: node_eviction_rate * share,
        }
    }
}

prop_compose! {
    fn nodes()(
        (pod_pids_limit, pod_bandwidth) in (128u32..=4_194_304, any::<bool>()),
        reserved in (option::of(0u32..=64_000), option::of(0u32..=262_144), option::of(50u32..=65_536)),
        failure in prop_oneof![Just(NodeFailure::Default), Just(NodeFailure::Fast), Just(NodeFailure::Tolerant)],
        eviction_brake in option::of(brake()),
    ) -> Nodes {
        let (cpu_millicores, memory_mebibytes, eviction_mebibytes) = reserved;
        let reserved = Reserved { cpu_millicores, memory_mebibytes, eviction_mebibytes };
        Nodes { pod_pids_limit, reserved, failure, eviction_brake, pod_bandwidth }
    }
}

fn environment() -> impl Strategy<Value = Environment> {
    prop_oneof![Just(Environment::Production), Just(Environment::PreRelease), Just(Environment::Test)]
}

prop_compose! {
    fn site()(
        name in label().prop_filter("no word of YAML", |name| !["on", "off", "yes", "no", "y", "n"].contains(&name.as_str())),
        unseal in option::of("[a-z/]{1,9}".prop_map(SecretRef::File)),
        access in access(),
        masters in prop_oneof![Just(1usize), Just(3), Just(5)],
        hosts in vec(host(), 5..12),
        settings in btree_map("[a-z]{1,6}", setting(), 0..4),
        secrets in btree_map("[a-z]{1,6}", secret(), 0..4),
        risks in vec((label(), "[A-Z][a-z]{1,8}", "[a-z ]{0,20}[a-z]"), 0..3),
        nameservers in vec(1u8..200, 0..3),
        (needs, sizing, services) in (option::of(needs()), option::of(overrides()), services()),
        (environment, nodes) in (option::of(environment()), nodes()),
        replicas in (option::of(5u32..500), option::of(1u32..500)),
        (api, etcd, customer_ca) in (api(), etcd(), option::weighted(0.05, certificates())),
    ) -> Site {
        let mut hosts = hosts;
        for (i, host) in hosts.iter_mut().enumerate() {
            host.name = format!("h{i}");
            host.address = IpAddr::V4(Ipv4Addr::new(172, 20, 0, u8::try_from(i).unwrap() + 1));
            host.role = if i < masters { HostRole::ControlPlane } else { HostRole::Worker };
        }
        let nameservers = nameservers.into_iter().map(|last| IpAddr::V4(Ipv4Addr::new(172, 20, 1, last))).collect();
        let accepted_risks = risks.into_iter().map(|(check, person, reason)| AcceptedRisk {
            check, host: Some("h0".to_owned()), person, reason, until: "2027-01-31".to_owned(),
        }).collect();
        Site {
            api_version: API_VERSION.to_owned(), kind: KIND.to_owned(), metadata: Metadata { name }, interactive: Vec::new(), unseal,
            environment, nodes, replicas: Replicas { dns: replicas.0, services: replicas.1 },
            cluster: Cluster { nameservers, ..Cluster::default() }, api, etcd, customer_ca,
            access, hosts, needs, sizing, services, product: ProductAnswers { settings, secrets }, accepted_risks,
        }
    }
}

fn load_text(text: &str) -> Result<Loaded, sealift_profile::ProfileError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    load_with_places(&[file.path().to_owned()], &Circumstances::on(date(2026, 11, 21)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_written_site_is_read_as_it_was_and_so_is_its_rendering(site in site()) {
        let text = to_yaml(&site).unwrap();
        let read = load_text(&text);
        prop_assert!(read.is_ok(), "{}\n{text}", read.unwrap_err());
        let read = read.unwrap();
        prop_assert_eq!(&read.site, &site);
        let rendered = read.to_yaml().unwrap();
        let again = load_text(&rendered);
        prop_assert!(again.is_ok(), "{}\n{rendered}", again.unwrap_err());
        prop_assert_eq!(again.unwrap().site, site);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mangled_profile_gives_findings_with_places(site in site(), at in any::<prop::sample::Index>(), junk in "[-:{}\\[\\]&*!|>'\"%@\t\n a-z]{1,6}") {
        let mut text = to_yaml(&site).unwrap();
        let at = at.index(text.chars().count());
        let at = text.char_indices().nth(at).map_or(0, |(byte, _)| byte);
        text.insert_str(at, &junk);
        if let Err(error) = load_text(&text) {
            prop_assert!(!error.findings().is_empty(), "{error}");
            prop_assert!(error.findings().iter().all(|finding| finding.place.is_some()), "{error}");
        }
    }
}
