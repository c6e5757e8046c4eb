//! The API server's choices on each master, the customer's authorities on every host.

use sealift_render::trust::TrustStore;

use super::hosts::private_file;
use super::{
    BTreeMap, FileSpec, Graph, Host, Operation, PlanError, RenderError, Stage, api, directory, file,
};
use crate::operation::{ApiServerSpec, GroupRole};

/// Config map with the customer's authorities in every namespace of the product.
const AUTHORITIES: &str = "customer-ca";
/// Its one key, as Kubernetes names it in `kube-root-ca.crt`.
const AUTHORITIES_KEY: &str = "ca.crt";

impl Graph<'_> {
    /// The customer's authorities in the host's trust store.
    pub(super) fn trust(&mut self, host: &Host) -> Result<(), PlanError> {
        let Some(certificates) = &self.input.site.customer_ca else { return Ok(()) };
        let missing = || RenderError::CertificatesNotRead("customerCa");
        let authorities = Self::rendered(host, certificates.authorities().ok_or_else(missing))?;
        let store = TrustStore::of(&self.facts(host)?.os.id);
        let files = store.files(&authorities);
        let title = format!("trust {} of the customer's authorities", files.len());
        let files = files.into_iter().map(|(path, content)| file(&path, content)).collect();
        let operation = Operation::TrustAuthorities { files, program: store.program().to_owned() };
        self.add(host, "trust", title, &["claim"], operation);
        Ok(())
    }

    /// What the API server of this master reads, before there is one. Also where nothing is chosen: a running one that
    /// was made with other choices is refused.
    pub(super) fn api_server(&mut self, host: &Host) -> Result<(), PlanError> {
        let site = self.input.site;
        let files = Self::rendered(host, api::files(site, self.input.document))?;
        let (reloaded, read_once): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.reloaded);
        let specs = |files: Vec<api::ApiFile>| -> Vec<FileSpec> {
            files.into_iter().map(|file| private_file(file.path, file.content)).collect()
        };
        let mut arguments: BTreeMap<String, Option<String>> =
            api::ARGUMENTS.iter().map(|name| ((*name).to_owned(), None)).collect();
        let given = api::api_server_arguments(site);
        arguments.extend(given.into_iter().map(|(name, value)| (name, Some(value))));
        let mounted = api::api_server_mounts(site);
        let api_server = ApiServerSpec {
            directories: mounted.into_iter().map(|path| directory(path, 0o700)).collect(),
            files: specs(read_once),
            reloaded_files: specs(reloaded),
            arguments,
        };
        let title = "what the API server reads".to_owned();
        self.add(host, "api-server", title, &["claim"], Operation::PrepareApiServer { api_server });
        self.encryption_key(host);
        Ok(())
    }

    /// The key is made on the first master, once, and goes to the others as their CA pairs do.
    fn encryption_key(&mut self, host: &Host) {
        let Some(encryption) = &self.input.site.api.encryption_at_rest else { return };
        let first = self.first;
        let (operation, title, made) = if host.name == first.name {
            let mut resources = vec!["secrets".to_owned()];
            resources.extend(encryption.config_maps.then(|| "configmaps".to_owned()));
            let operation = Operation::EnsureEncryptionKey { resources };
            (operation, "make the key that secrets are encrypted with", None)
        } else {
            let operation = Operation::InstallEncryptionKey { from: first.name.clone() };
            (
                operation,
                "copy the key that secrets are encrypted with",
                Some(format!("{}.encryption-key", first.name)),
            )
        };
        let needs: Vec<&str> = ["api-server"].into_iter().chain(made.as_deref()).collect();
        self.add(host, "encryption-key", title.to_owned(), &needs, operation);
    }

    /// The steps of a master that stand before its static pods.
    pub(super) fn before_static_pods(&self) -> Vec<&'static str> {
        let mut steps = vec!["api-server", "etcd-folder"];
        steps.extend(self.input.site.api.encryption_at_rest.is_some().then_some("encryption-key"));
        steps
    }

    /// What groups of the site's issuer may do.
    pub(super) fn give_roles(&mut self) {
        let Some(oidc) = &self.input.site.api.oidc else { return };
        let roles = api::bindings(oidc).into_iter();
        let roles: Vec<GroupRole> = roles
            .map(|one| GroupRole { name: one.name, group: one.group, role: one.role.to_owned() })
            .collect();
        let title = format!("roles of {} groups of people", roles.len());
        self.add(self.first, "group-roles", title, &["init-bootstrap"], Operation::GroupRoles { roles });
    }

    /// The customer's authorities in every namespace of the product. Gives the names of the steps.
    pub(super) fn authorities_for_the_product(&mut self) -> Result<Vec<String>, PlanError> {
        let Some(certificates) = &self.input.site.customer_ca else { return Ok(Vec::new()) };
        let first = self.first;
        let missing = || RenderError::CertificatesNotRead("customerCa");
        let authorities = Self::rendered(first, certificates.authorities().ok_or_else(missing))?;
        let mut namespaces: Vec<&str> =
            self.components(Stage::Product).iter().map(|component| component.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        let mut steps = Vec::new();
        for namespace in namespaces {
            let operation = Operation::EnsureConfigMap {
                namespace: namespace.to_owned(),
                name: AUTHORITIES.to_owned(),
                data: [(AUTHORITIES_KEY.to_owned(), api::bundle(&authorities))].into(),
            };
            let name = format!("{AUTHORITIES}-{namespace}");
            let title = format!("the customer's authorities for namespace {namespace}");
            self.add(first, &name, title, &["nodes"], operation);
            steps.push(name);
        }
        Ok(steps)
    }
}
