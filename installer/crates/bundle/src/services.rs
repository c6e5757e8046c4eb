//! Services that a product brings, and that a site may run itself: what the product then leaves out, and how it gets to
//! know the site's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::document::{BundleDocument, Workload};

/// A service that a site may run itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// A PostgreSQL server.
    Database,
    /// Where logs go.
    Logs,
    /// Where measurements go.
    Metrics,
}

impl ServiceKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Database, Self::Logs, Self::Metrics];

    /// The name that profiles and recipes have for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }
}

/// What is left out of an install where the site runs a service itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Replaced {
    /// Components that are not installed then, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Workloads that other components then do not make, so that nobody waits for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Workload>,
    /// Folders that hosts do not need then, by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_directories: Vec<String>,
    /// Images that no host preloads then, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Parts of the sizing model that take nothing then, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizing_parts: Vec<String>,
}

/// Something that the site says about a service of its own, for a chart's values. Where the site has no such service, or
/// says nothing about it, the chart keeps its own default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ServiceValue {
    /// Address or name of the PostgreSQL server.
    DatabaseHost,
    /// Its port.
    DatabasePort,
    /// Name of the database on it.
    DatabaseName,
    /// User who owns the database.
    DatabaseUser,
    /// `verify-full`, `require` or `disable`, as `sslmode` of PostgreSQL's own programs.
    DatabaseTls,
    /// Certificate (PEM) of the authority that vouches for the server.
    DatabaseCa,
    /// URL that logs go to.
    LogsUrl,
    /// Certificate (PEM) of the authority that vouches for it.
    LogsCa,
    /// User there.
    LogsUser,
    /// URL that measurements go to.
    MetricsUrl,
    /// Certificate (PEM) of the authority that vouches for it.
    MetricsCa,
    /// User there.
    MetricsUser,
}

impl ServiceValue {
    /// Which service it is about.
    #[must_use]
    pub fn kind(self) -> ServiceKind {
        match self {
            Self::DatabaseHost
            | Self::DatabasePort
            | Self::DatabaseName
            | Self::DatabaseUser
            | Self::DatabaseTls
            | Self::DatabaseCa => ServiceKind::Database,
            Self::LogsUrl | Self::LogsCa | Self::LogsUser => ServiceKind::Logs,
            Self::MetricsUrl | Self::MetricsCa | Self::MetricsUser => ServiceKind::Metrics,
        }
    }
}

impl BundleDocument {
    /// The document as it holds for a site that runs these services itself: without what they replace, and with the keys
    /// of Secrets coming either from the site's service or from the installer, not from both.
    #[must_use]
    pub fn for_services(&self, external: &BTreeSet<ServiceKind>) -> Self {
        let mut document = self.clone();
        let replaced: Vec<&Replaced> =
            self.services.iter().filter(|(kind, _)| external.contains(kind)).map(|(_, one)| one).collect();
        let names = |list: fn(&Replaced) -> &Vec<String>| -> BTreeSet<&str> {
            replaced.iter().flat_map(|one| list(one)).map(String::as_str).collect()
        };
        let components = names(|one| &one.components);
        document.components.retain(|component| !components.contains(component.name.as_str()));
        document.secrets.retain(|secret| !components.contains(secret.component.as_str()));
        for component in &mut document.components {
            component.gates.retain(|gate| !replaced.iter().any(|one| one.gates.contains(gate)));
        }
        let folders = names(|one| &one.host_directories);
        document.host_directories.retain(|folder| !folders.contains(folder.path.as_str()));
        let images = names(|one| &one.images);
        for image in document.images.iter_mut().filter(|image| images.contains(image.name.as_str())) {
            image.roles.clear();
        }
        let parts = names(|one| &one.sizing_parts);
        if let Some(model) = &mut document.sizing {
            model.parts.retain(|part| !parts.contains(part.name.as_str()));
        }
        for secret in &mut document.secrets {
            secret.from_services.retain(|_, kind| external.contains(kind));
            let given = &secret.from_services;
            secret.generated.retain(|key| !given.contains_key(key));
        }
        document
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::sample_document;

    #[test]
    fn what_the_site_runs_itself_is_left_out() {
        let mut document = sample_document();
        let gate = document.components.iter().flat_map(|one| &one.gates).last().cloned().unwrap();
        let image = document.images.iter().find(|image| !image.roles.is_empty()).unwrap().name.clone();
        let first = document.components[0].name.clone();
        let part = document.sizing.as_ref().unwrap().parts[0].name.clone();
        document.services = [(
            ServiceKind::Database,
            Replaced {
                components: vec![first.clone()],
                gates: vec![gate.clone()],
                host_directories: vec!["/var/lib/orders/database".to_owned()],
                images: vec![image.clone()],
                sizing_parts: vec![part.clone()],
            },
        )]
        .into();
        document.secrets[0].from_services =
            [("database-password".to_owned(), ServiceKind::Database), ("logs".to_owned(), ServiceKind::Logs)]
                .into();

        let own = document.for_services(&BTreeSet::new());
        assert_eq!(own.secrets[0].generated, ["database-password"]);
        assert!(own.secrets[0].from_services.is_empty());
        assert_eq!((&own.components, &own.images), (&document.components, &document.images));

        let external = document.for_services(&[ServiceKind::Database].into());
        assert!(!external.components.iter().any(|one| one.name == first || one.gates.contains(&gate)));
        assert_eq!(external.components.len(), document.components.len() - 1);
        assert!(external.host_directories.is_empty());
        assert!(external.images.iter().find(|one| one.name == image).unwrap().roles.is_empty());
        assert!(!external.sizing.unwrap().parts.iter().any(|one| one.name == part));
        let secret = &external.secrets[0];
        assert!(secret.generated.is_empty() && secret.from_services.len() == 1, "{secret:?}");
        assert!(secret.from_services.contains_key("database-password"));
    }
}
