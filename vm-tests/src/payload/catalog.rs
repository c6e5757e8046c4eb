//! Which images the payload has, under their upstream names, and what is in each.

use anyhow::Result;

use super::{
    debian,
    image::{Definition, Source},
    tool::Sources,
};

/// The user of images that need no rights, as upstream's base images number it.
pub const NOBODY: &str = "65532:65532";
/// The pause image's tag; what kubeadm 1.36 names.
const PAUSE_VERSION: &str = "3.10.2";
/// The version of the sample product.
pub const PRODUCT_VERSION: &str = "4.2.0";
/// Processors that the sample product is made for.
const BOTH: &[&str] = &["amd64", "arm64"];

/// Full names of all images of a payload with Kubernetes `kubernetes` (`1.36.3`).
pub fn references(sources: &Sources, kubernetes: &str) -> Result<Vec<String>> {
    Ok(definitions(sources, kubernetes)?.iter().map(Definition::reference).collect())
}

/// Every image.
pub fn definitions(sources: &Sources, kubernetes: &str) -> Result<Vec<Definition>> {
    let mut all = vec![
        kubernetes_program("kube-apiserver", kubernetes),
        kubernetes_program("kube-controller-manager", kubernetes),
        kubernetes_program("kube-scheduler", kubernetes),
        Definition { tree: Some(debian::NETWORK.name), ..kubernetes_program("kube-proxy", kubernetes) },
    ];
    all.extend(platform(sources)?);
    all.extend(services());
    all.extend(product());
    all.extend(exporters());
    all.extend(support());
    Ok(all)
}

/// An image that holds one program of Kubernetes.
pub(super) fn kubernetes_program(name: &'static str, version: &str) -> Definition {
    Definition {
        repository: format!("registry.k8s.io/{name}"),
        tag: format!("v{version}"),
        files: vec![(Source::Program(name), "usr/local/bin")],
        ..Definition::default()
    }
}

/// What Kubernetes needs besides itself.
pub(super) fn platform(sources: &Sources) -> Result<Vec<Definition>> {
    let etcd = sources.version("etcd", "go.etcd.io/etcd/server/v3")?;
    Ok(vec![
        Definition {
            repository: "registry.k8s.io/etcd".to_owned(),
            // Upstream's image has a revision of its own after etcd's version.
            tag: format!("{}-0", etcd.trim_start_matches('v')),
            files: ["etcd", "etcdctl", "etcdutl"]
                .map(|name| (Source::Program(name), "usr/local/bin"))
                .to_vec(),
            ..Definition::default()
        },
        Definition {
            repository: "registry.k8s.io/pause".to_owned(),
            tag: PAUSE_VERSION.to_owned(),
            files: vec![(Source::Program("pause"), "")],
            entrypoint: vec!["/pause"],
            user: "65535:65535",
            ..Definition::default()
        },
        Definition {
            repository: "registry.k8s.io/coredns/coredns".to_owned(),
            tag: sources.version("coredns", "github.com/coredns/coredns")?,
            files: vec![(Source::Program("coredns"), "")],
            entrypoint: vec!["/coredns"],
            ..Definition::default()
        },
        Definition {
            repository: "ghcr.io/flannel-io/flannel".to_owned(),
            tag: sources.version("flannel", "github.com/flannel-io/flannel")?,
            tree: Some(debian::NETWORK.name),
            files: vec![(Source::Program("flanneld"), "opt/bin")],
            entrypoint: vec!["/opt/bin/flanneld"],
            ..Definition::default()
        },
    ])
}

/// The load balancer, the database, and what stands beside them.
fn services() -> Vec<Definition> {
    vec![
        Definition {
            repository: "docker.io/library/haproxy".to_owned(),
            tag: "2.6".to_owned(),
            tree: Some(debian::HAPROXY.name),
            entrypoint: vec!["haproxy"],
            arguments: vec!["-f", "/usr/local/etc/haproxy/haproxy.cfg"],
            ..Definition::default()
        },
        Definition {
            repository: "docker.io/library/postgres".to_owned(),
            tag: "15".to_owned(),
            tree: Some(debian::POSTGRES.name),
            files: vec![(Source::Asset("postgres/entrypoint.sh"), "usr/local/bin")],
            // The socket's folder, and a data folder for those who mount no volume.
            folders: vec![("run/postgresql", 0o3777, 999), ("var/lib/postgresql/data", 0o1777, 999)],
            entrypoint: vec!["/usr/local/bin/entrypoint.sh"],
            arguments: vec!["postgres"],
            environment: vec![
                "PATH=/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "PGDATA=/var/lib/postgresql/data",
                "LANG=C.UTF-8",
            ],
            ..Definition::default()
        },
        Definition {
            repository: "docker.io/library/nginx".to_owned(),
            tag: "1.22".to_owned(),
            tree: Some(debian::NGINX.name),
            entrypoint: vec!["nginx"],
            arguments: vec!["-g", "daemon off;"],
            ..Definition::default()
        },
        Definition {
            repository: "docker.io/library/busybox".to_owned(),
            tag: "1.35".to_owned(),
            tree: Some(debian::BUSYBOX.name),
            arguments: vec!["sh"],
            ..Definition::default()
        },
    ]
}

/// The product: one program, and an image for each thing that it does.
fn product() -> Vec<Definition> {
    [("web", "serve"), ("migrate", "migrate"), ("acceptance", "acceptance")]
        .map(|(name, verb)| Definition {
            repository: format!("registry.sealift.example/orders/{name}"),
            tag: PRODUCT_VERSION.to_owned(),
            architectures: BOTH,
            files: vec![(Source::Program("orders"), "usr/local/bin")],
            entrypoint: vec!["/usr/local/bin/orders"],
            arguments: vec![verb],
            user: NOBODY,
            ..Definition::default()
        })
        .into()
}

/// Programs that show a site's measurements to a Prometheus; Debian's versions, in one tree.
fn exporters() -> Vec<Definition> {
    [
        ("quay.io/prometheus/node-exporter", "v1.5.0", "prometheus-node-exporter"),
        ("quay.io/prometheus/blackbox-exporter", "v0.23.0", "prometheus-blackbox-exporter"),
        ("quay.io/prometheuscommunity/postgres-exporter", "v0.11.1", "prometheus-postgres-exporter"),
        ("docker.io/ncabatoff/process-exporter", "0.7.10", "prometheus-process-exporter"),
    ]
    .map(|(repository, tag, program)| Definition {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        tree: Some(debian::EXPORTERS.name),
        entrypoint: vec![program],
        user: NOBODY,
        ..Definition::default()
    })
    .into()
}

/// What a field engineer starts by hand to look around: a shell, and a shell with network tools.
fn support() -> Vec<Definition> {
    [
        ("docker.io/library/debian", "12-slim", debian::BASE.name),
        ("registry.sealift.example/orders/network-tools", PRODUCT_VERSION, debian::NETWORK.name),
    ]
    .map(|(repository, tag, tree)| Definition {
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        tree: Some(tree),
        arguments: vec!["sh"],
        ..Definition::default()
    })
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_are_those_that_kubeadm_and_the_product_name() {
        assert_eq!(
            references(&Sources::of_this_checkout(), "1.36.3").unwrap(),
            [
                "registry.k8s.io/kube-apiserver:v1.36.3",
                "registry.k8s.io/kube-controller-manager:v1.36.3",
                "registry.k8s.io/kube-scheduler:v1.36.3",
                "registry.k8s.io/kube-proxy:v1.36.3",
                "registry.k8s.io/etcd:3.6.8-0",
                "registry.k8s.io/pause:3.10.2",
                "registry.k8s.io/coredns/coredns:v1.14.2",
                "ghcr.io/flannel-io/flannel:v0.28.4",
                "docker.io/library/haproxy:2.6",
                "docker.io/library/postgres:15",
                "docker.io/library/nginx:1.22",
                "docker.io/library/busybox:1.35",
                "registry.sealift.example/orders/web:4.2.0",
                "registry.sealift.example/orders/migrate:4.2.0",
                "registry.sealift.example/orders/acceptance:4.2.0",
                "quay.io/prometheus/node-exporter:v1.5.0",
                "quay.io/prometheus/blackbox-exporter:v0.23.0",
                "quay.io/prometheuscommunity/postgres-exporter:v0.11.1",
                "docker.io/ncabatoff/process-exporter:0.7.10",
                "docker.io/library/debian:12-slim",
                "registry.sealift.example/orders/network-tools:4.2.0",
            ]
        );
    }
}
