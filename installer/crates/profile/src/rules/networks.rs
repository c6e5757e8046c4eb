//! Networks, endpoint and ports of the cluster.

use ipnet::IpNet;

use super::Report;
use crate::names::is_dns_name;
use crate::site::Site;

/// Ports that the cluster's own parts take on some host, TCP.
const TAKEN: [(u16, &str); 8] = [
    (2379, "etcd"),
    (2380, "etcd"),
    (2381, "etcd's metrics"),
    (10248, "the kubelet's health"),
    (10249, "kube-proxy"),
    (10250, "the kubelet"),
    (10257, "the controller manager"),
    (10259, "the scheduler"),
];

/// Those that the database of events takes besides, where there is one.
const TAKEN_BY_EVENTS: [(u16, &str); 3] = [
    (2382, "the database of events"),
    (2383, "the database of events"),
    (2384, "the metrics of the database of events"),
];

pub(super) fn check(site: &Site, report: &mut Report<'_>) {
    endpoint(site, report);
    ports(site, report);
    let networks = [
        ("cluster.podCidr", "pod network", site.cluster.pod_cidr),
        ("cluster.serviceCidr", "service network", site.cluster.service_cidr),
    ];
    for (path, name, network) in networks {
        if network.trunc() != network {
            let message = format!("the {name} {network} has bits behind its prefix");
            report.find("cidr-bits", path, message, format!("write {}", network.trunc()));
        }
        outside(site, report, path, name, network);
    }
    sizes(site, report);
    let (pod, service) = (site.cluster.pod_cidr, site.cluster.service_cidr);
    if overlap(pod, service) {
        let message = format!("the service network {service} overlaps the pod network {pod}");
        report.find(
            "cidr-overlap",
            "cluster.serviceCidr",
            message,
            "choose two networks that share no address",
        );
    }
}

fn overlap(a: IpNet, b: IpNet) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// Nothing outside the cluster may have an address inside one of its networks: it would not be reached any more.
fn outside(site: &Site, report: &mut Report<'_>, path: &'static str, name: &str, network: IpNet) {
    let remedy = "choose a network that nothing on the site uses";
    for (i, host) in site.hosts.iter().enumerate() {
        if network.contains(&host.address) {
            let at = report.also_at(&format!("hosts[{i}].address"));
            let message =
                format!("the {name} {network} contains the address {} of `{}`{at}", host.address, host.name);
            report.find("cidr-host", path, message, remedy);
        }
    }
    for server in site.cluster.nameservers.iter().filter(|server| network.contains(*server)) {
        report.find(
            "cidr-nameserver",
            path,
            format!("the {name} {network} contains the name server {server}"),
            remedy,
        );
    }
}

fn sizes(site: &Site, report: &mut Report<'_>) {
    let (pod, service) = (site.cluster.pod_cidr, site.cluster.service_cidr);
    if let Some(host) = site.hosts.first() {
        for (path, name, network) in
            [("cluster.podCidr", "pod network", pod), ("cluster.serviceCidr", "service network", service)]
        {
            if network.addr().is_ipv4() != host.address.is_ipv4() {
                let message = format!("the {name} {network} is of another address family than the hosts");
                report.find("cidr-family", path, message, "use the hosts' family: IPv4 or IPv6");
            }
        }
    }
    // Each node takes a /24 (IPv6: /64) of the pod network, and the split may be at most 16 bits deep.
    let (node, widest_pod, widest_service, narrowest_service) =
        if pod.addr().is_ipv4() { (24u8, 8, 12, 24) } else { (64, 48, 108, 120) };
    let room = if pod.prefix_len() > node { 0 } else { 1u64 << (node - pod.prefix_len()).min(32) };
    if room < site.hosts.len() as u64 {
        let message = format!(
            "the pod network {pod} has room for {room} nodes of a /{node} each; the site has {}",
            site.hosts.len()
        );
        report.find("pod-cidr-size", "cluster.podCidr", message, "choose a wider network, such as a /16");
    } else if pod.prefix_len() < widest_pod {
        let message = format!("the pod network {pod} is too wide to be split into a /{node} per node");
        report.find("pod-cidr-size", "cluster.podCidr", message, format!("use /{widest_pod} or narrower"));
    }
    if service.addr().is_ipv4() != pod.addr().is_ipv4() {
        return;
    }
    if service.prefix_len() > narrowest_service {
        let message =
            format!("the service network {service} is too small: the cluster needs 256 addresses or more");
        report.find(
            "service-cidr-size",
            "cluster.serviceCidr",
            message,
            format!("use /{narrowest_service} or wider, such as /16"),
        );
    } else if service.prefix_len() < widest_service {
        let message = format!("the service network {service} is wider than the API server takes");
        report.find(
            "service-cidr-size",
            "cluster.serviceCidr",
            message,
            format!("use /{widest_service} or narrower"),
        );
    }
}

fn endpoint(site: &Site, report: &mut Report<'_>) {
    let (path, endpoint) = ("cluster.endpoint", &site.cluster.endpoint);
    if endpoint.parse::<std::net::IpAddr>().is_ok() {
        let message = format!("the endpoint is the address {endpoint}; it must be a name");
        let remedy = "choose a name such as api.cluster.internal; it need not be in any DNS, the hosts get it in /etc/hosts";
        report.find("endpoint", path, message, remedy);
    } else if !is_dns_name(endpoint) {
        let message = format!("`{endpoint}` is no DNS name");
        report.find(
            "endpoint",
            path,
            message,
            "use lowercase labels with dots, such as api.cluster.internal",
        );
    } else if endpoint == "localhost" || endpoint.ends_with(".localhost") {
        let message = format!("the endpoint `{endpoint}` means another host on every host");
        report.find("endpoint", path, message, "choose a name such as api.cluster.internal");
    }
    if let Some(i) = site.hosts.iter().position(|host| host.name == *endpoint) {
        let at = report.also_at(&format!("hosts[{i}].name"));
        let message = format!("the endpoint `{endpoint}` is also the name of a host{at}");
        let remedy = "choose a name of its own: the endpoint must outlive each host";
        report.find("endpoint", path, message, remedy);
    }
}

fn ports(site: &Site, report: &mut Report<'_>) {
    let cluster = &site.cluster;
    if cluster.endpoint_port == cluster.registry_port {
        let message = format!("port {} is both the endpoint's and the registry's", cluster.registry_port);
        report.find("ports", "cluster.registryPort", message, "choose two ports");
    }
    let own =
        [("cluster.endpointPort", cluster.endpoint_port), ("cluster.registryPort", cluster.registry_port)];
    for (path, port) in own {
        let events = site.etcd.events.iter().flat_map(|_| TAKEN_BY_EVENTS.iter());
        if let Some((_, holder)) = TAKEN.iter().chain(events).find(|(taken, _)| *taken == port) {
            report.find(
                "ports",
                path,
                format!("port {port} is taken by {holder}"),
                "choose another, such as 6443 or 5443",
            );
        }
        for host in &site.hosts {
            if site.access_for(host).port == port {
                let message = format!("port {port} is the SSH port of `{}`", host.name);
                report.find("ports", path, message, "choose another, such as 6443 or 5443");
                break;
            }
        }
    }
}
