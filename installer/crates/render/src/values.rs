//! Chart values: the vendor's, with what the site knows put in at the paths that the bundle names.

use sealift_bundle::document::{BundleDocument, Component, SiteValue};
use sealift_bundle::services::ServiceValue;
use sealift_bundle::values;
use sealift_profile::services::Services;
use sealift_profile::site::{HostRole, Site};
use serde_json::{Map, Value, json};

use crate::{RenderError, cluster_dns, hosts_of, nodes};

/// The values of a component's release. `cores` are the processors of all hosts.
pub fn of_component(
    site: &Site,
    document: &BundleDocument,
    component: &Component,
    cores: u64,
) -> Result<Value, RenderError> {
    let mut values = match &component.values {
        Value::Null => Value::Object(Map::new()),
        values => values.clone(),
    };
    for (path, source) in &component.values_from {
        // Nothing is put where the site says nothing: the chart's own default stays.
        if let Some(value) = site_value(site, document, source, cores)? {
            put(&mut values, path, value)?;
        }
    }
    Ok(values)
}

fn site_value(
    site: &Site,
    document: &BundleDocument,
    source: &SiteValue,
    cores: u64,
) -> Result<Option<Value>, RenderError> {
    let cluster = &site.cluster;
    let names = |role| hosts_of(site, role).map(|host| host.name.clone()).collect::<Vec<_>>();
    let mut workers = names(HostRole::Worker);
    if workers.is_empty() {
        workers = names(HostRole::ControlPlane);
    }
    Ok(Some(match source {
        SiteValue::PodCidr => json!(cluster.pod_cidr.to_string()),
        SiteValue::ServiceCidr => json!(cluster.service_cidr.to_string()),
        SiteValue::ClusterDns => json!(cluster_dns(cluster.service_cidr)?.to_string()),
        SiteValue::EndpointHost => json!(cluster.endpoint),
        SiteValue::EndpointPort => json!(cluster.endpoint_port),
        SiteValue::ControlPlaneCount => json!(names(HostRole::ControlPlane).len()),
        SiteValue::WorkerCount => json!(names(HostRole::Worker).len()),
        SiteValue::ServiceReplicas => json!(nodes::service_replicas(site)),
        SiteValue::WorkerNames => json!(workers),
        SiteValue::DnsReplicas => json!(nodes::dns_replicas(site, cores)),
        SiteValue::PodBandwidth => json!(site.nodes.pod_bandwidth),
        SiteValue::Nameservers => json!(cluster.nameservers),
        SiteValue::Setting(name) => setting(site, document, name)?,
        SiteValue::Service(value) => return Ok(service(&site.services, *value)),
    }))
}

/// What the site says about a service of its own.
fn service(services: &Services, value: ServiceValue) -> Option<Value> {
    let database = services.database.as_ref();
    let (logs, metrics) = (services.logs.as_ref(), services.metrics.as_ref());
    Some(match value {
        ServiceValue::DatabaseHost => json!(database?.host),
        ServiceValue::DatabasePort => json!(database?.port),
        ServiceValue::DatabaseName => json!(database?.database),
        ServiceValue::DatabaseUser => json!(database?.user),
        ServiceValue::DatabaseTls => json!(database?.tls.mode.name()),
        ServiceValue::DatabaseCa => json!(database?.tls.ca.as_ref()?),
        ServiceValue::LogsUrl => json!(logs?.url),
        ServiceValue::LogsCa => json!(logs?.ca.as_ref()?),
        ServiceValue::LogsUser => json!(logs?.user.as_ref()?),
        ServiceValue::MetricsUrl => json!(metrics?.url),
        ServiceValue::MetricsCa => json!(metrics?.ca.as_ref()?),
        ServiceValue::MetricsUser => json!(metrics?.user.as_ref()?),
    })
}

fn setting(site: &Site, document: &BundleDocument, name: &str) -> Result<Value, RenderError> {
    let answer = site.product.settings.get(name);
    let default = || document.settings.get(name).and_then(|setting| setting.default.as_ref());
    answer.or_else(default).cloned().ok_or_else(|| RenderError::Setting(name.to_owned()))
}

fn put(values: &mut Value, path: &str, value: Value) -> Result<(), RenderError> {
    values::put(values, path, value).map_err(|_| RenderError::ValuesPath(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_put_beside_its_siblings() {
        let mut values = json!({"a": {"b": 1}});
        put(&mut values, "a.c.d", json!("x")).unwrap();
        assert_eq!(values, json!({"a": {"b": 1, "c": {"d": "x"}}}));
    }

    #[test]
    fn a_path_through_a_number_is_refused() {
        let mut values = json!({"a": 1});
        assert_eq!(put(&mut values, "a.b", json!(2)), Err(RenderError::ValuesPath("a.b".into())));
    }
}
