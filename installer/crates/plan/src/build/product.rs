//! Helm releases in the bundle's order, each followed by its gates; at the end the acceptance tests.

use std::collections::BTreeMap;

use sealift_bundle::document::{ProductSecret, Workload};
use sealift_checks::services_of;

use super::cluster::{strs, wait};
use super::{Blob, Component, Gate, Graph, Operation, PlanError, ReleaseSpec, Stage, values};

impl<'a> Graph<'a> {
    /// Every question of the product is answered, and no answer is without a question.
    pub(super) fn check_answers(&self) -> Result<(), PlanError> {
        let (document, answers) = (self.input.document, &self.input.site.product);
        for name in answers.settings.keys() {
            if !document.settings.contains_key(name) {
                return Err(PlanError::SettingUnknown(name.clone()));
            }
        }
        for (name, setting) in &document.settings {
            if setting.default.is_none() && !answers.settings.contains_key(name) {
                return Err(PlanError::SettingOpen(name.clone()));
            }
        }
        for name in document.secrets.iter().flat_map(|secret| secret.from_site.values()) {
            if !answers.secrets.contains_key(name) {
                return Err(PlanError::SecretOpen(name.clone()));
            }
        }
        let external = services_of(self.input.site);
        if let Some(kind) = external.into_iter().find(|kind| !document.services.contains_key(kind)) {
            return Err(PlanError::ServiceUnused(kind.name()));
        }
        Ok(())
    }

    /// The product, one component after another.
    pub(super) fn install_product(&mut self) -> Result<(), PlanError> {
        let first = self.first;
        let mut before = vec!["nodes".to_owned()];
        let platform = self.components(Stage::Platform);
        before.extend(platform.iter().flat_map(|component| gate_names(component)));
        // The product's images and data folders must be on their nodes before its pods are.
        for host in &self.input.site.hosts {
            for name in ["more-images", "volumes"] {
                let id = format!("{}.{name}", host.name);
                if self.steps.iter().any(|step| step.id == id) {
                    before.push(id);
                }
            }
        }
        before.extend(self.authorities_for_the_product()?);
        let end = self.releases(Stage::Product, &strs(&before))?;
        let acceptance: Vec<Component> =
            self.input.document.components.iter().filter(|component| component.acceptance).cloned().collect();
        let mut last = end;
        for component in acceptance {
            let name = format!("acceptance-{}", component.name);
            let operation = Operation::Acceptance {
                release: component.name.clone(),
                namespace: component.namespace.clone(),
                timeout_seconds: component.timeout_seconds,
            };
            self.add(
                first,
                &name,
                format!("acceptance tests of {}", component.name),
                &strs(&last),
                operation,
            );
            last = vec![name];
        }
        let seconds = 300;
        self.add(first, "pods", "all pods Ready".into(), &strs(&last), wait(Gate::AllPodsReady, seconds));
        Ok(())
    }

    /// Releases of a stage, one after another where gates stand between them. Gives the steps that the next waits for.
    pub(super) fn releases(&mut self, stage: Stage, before: &[&str]) -> Result<Vec<String>, PlanError> {
        let first = self.first;
        let mut needs: Vec<String> = before.iter().map(|need| (*need).to_owned()).collect();
        for component in self.components(stage) {
            let mut ready = needs.clone();
            for secret in self.input.document.secrets.iter().filter(|one| one.component == component.name) {
                let operation = Operation::EnsureSecret {
                    namespace: component.namespace.clone(),
                    name: secret.name.clone(),
                    keys: self.keys(secret),
                    generated: secret.generated.clone(),
                };
                // With the component: its namespace may have a Secret of the same name as another.
                let name = format!("secret-{}-{}", component.name, secret.name);
                self.add(first, &name, format!("secret {}", secret.name), &strs(&needs), operation);
                ready.push(name);
            }
            let name = format!("release-{}", component.name);
            let release = self.release(component)?;
            let title = format!("release {} {}", release.chart, release.version);
            self.add(first, &name, title, &strs(&ready), Operation::HelmRelease { release });
            needs = vec![name.clone()];
            // Platform workloads become ready when the other hosts have joined: their gates stand after that.
            if stage == Stage::Product {
                for workload in &component.gates {
                    self.gate_workload(component, workload, &[&name]);
                }
                needs.extend(gate_names(component));
            }
        }
        Ok(needs)
    }

    /// Keys of a Secret that the profile gives, with the name that each has there.
    fn keys(&self, secret: &ProductSecret) -> BTreeMap<String, String> {
        let mut keys = secret.from_site.clone();
        for (key, kind) in &secret.from_services {
            let name = format!("services.{}.password", kind.name());
            // A service without a login has no password.
            if self.input.site.product_secret(&name).is_some() {
                keys.insert(key.clone(), name);
            }
        }
        keys
    }

    pub(super) fn gate_workload(&mut self, component: &Component, workload: &Workload, needs: &[&str]) {
        let gate = Gate::WorkloadReady {
            namespace: component.namespace.clone(),
            workload: workload.kind.clone(),
            name: workload.name.clone(),
        };
        let title = format!("{} {} ready", workload.kind, workload.name);
        let operation = wait(gate, component.timeout_seconds);
        self.add(self.first, &gate_name(component, workload), title, needs, operation);
    }

    pub(super) fn components(&self, stage: Stage) -> Vec<&'a Component> {
        self.input.document.components.iter().filter(|component| component.stage == stage).collect()
    }

    fn release(&self, component: &Component) -> Result<ReleaseSpec, PlanError> {
        let (site, document) = (self.input.site, self.input.document);
        let chart = document.charts.iter().find(|chart| chart.name == component.chart);
        let chart =
            chart.ok_or_else(|| PlanError::NotInBundle { what: "chart", name: component.chart.clone() })?;
        Ok(ReleaseSpec {
            name: component.name.clone(),
            namespace: component.namespace.clone(),
            chart: chart.name.clone(),
            version: chart.version.clone(),
            blob: Blob { digest: chart.digest.clone(), size: chart.size },
            values: Self::rendered(
                self.first,
                values::of_component(site, document, component, self.cores()?),
            )?,
            timeout_seconds: component.timeout_seconds,
        })
    }
}

fn gate_names(component: &Component) -> Vec<String> {
    component.gates.iter().map(|workload| gate_name(component, workload)).collect()
}

fn gate_name(component: &Component, workload: &Workload) -> String {
    format!("ready-{}-{}-{}", component.name, workload.kind.to_lowercase(), workload.name)
}
