//! Lets the engine act: each step becomes a request to the agent on its host, with the secrets it turns out to need.

use std::sync::Mutex;

use sealift_bundle::Bundle;
use sealift_engine::{Executor, StepError, StepOutcome, StepProgress};
use sealift_host::protocol::{FailureKind, Progress, Request, Response, SecretFile, SecretFiles, TestResult};
use sealift_plan::Step;
use sealift_plan::operation::{Operation, SecretSet, SecretSource};
use sealift_remote::CallError;
use secrecy::ExposeSecret;

use crate::failure::{Failure, Kind};
use crate::sessions::{BundleBlobs, CallOrConnect, NoBlobs, Sessions, ask};
use crate::site::OpenSite;

/// Name of the site CA's private key among the exported secrets.
const SITE_CA_KEY: &str = "site-ca.key";

/// The engine's hands.
pub(crate) struct AgentExecutor<'a> {
    pub(crate) sessions: &'a Sessions,
    pub(crate) bundle: &'a Bundle,
    pub(crate) site: &'a OpenSite,
    pub(crate) run: &'a str,
    /// Results of acceptance tests, for the closing words.
    pub(crate) tests: Mutex<Vec<TestResult>>,
}

impl Executor for AgentExecutor<'_> {
    fn execute(&self, step: &Step, progress: &dyn Fn(StepProgress)) -> Result<StepOutcome, StepError> {
        let given = match step.operation.secret_source() {
            // The profile's secrets are at hand; those of other hosts are fetched only when they are needed.
            Some(SecretSource::Profile { keys }) => self.profile_secrets(&keys)?,
            _ => SecretFiles::default(),
        };
        let response = match self.apply(step, given, progress) {
            Err(CallOrConnect::Call(CallError::Failed(failure)))
                if failure.kind == FailureKind::NeedsSecrets =>
            {
                let secrets = self.host_secrets(step)?;
                self.apply(step, secrets, progress)
            }
            other => other,
        };
        match response.map_err(step_error)? {
            Response::Outcome(outcome) => {
                if !outcome.tests.is_empty() {
                    let mut tests = self.tests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    tests.extend(outcome.tests);
                }
                Ok(StepOutcome { changed: outcome.changed, summary: outcome.summary, bytes: outcome.bytes })
            }
            other => Err(internal(format!("the agent answered step {} with {other:?}", step.id))),
        }
    }
}

impl AgentExecutor<'_> {
    fn apply(
        &self,
        step: &Step,
        secrets: SecretFiles,
        progress: &dyn Fn(StepProgress),
    ) -> Result<Response, CallOrConnect> {
        let request = Request::Apply {
            run: self.run.to_owned(),
            step: step.id.clone(),
            operation: Box::new(step.operation.clone()),
            secrets,
        };
        let mut forward = |said: Progress| {
            progress(StepProgress { message: said.message, done: said.done, total: said.total });
        };
        ask(self.sessions, &step.host, &request, &mut forward, &mut BundleBlobs(self.bundle))
    }

    fn profile_secrets(
        &self,
        keys: &std::collections::BTreeMap<String, String>,
    ) -> Result<SecretFiles, StepError> {
        let mut files = Vec::with_capacity(keys.len());
        for (key, name) in keys {
            let reference = self.site.site.product_secret(name);
            let secret = reference.and_then(|reference| self.site.secrets.get(reference));
            let secret = secret.ok_or_else(|| internal(format!("the secret {name} was not resolved")))?;
            files.push(SecretFile { name: key.clone(), content: secret.expose_secret().to_owned() });
        }
        Ok(SecretFiles(files))
    }

    fn host_secrets(&self, step: &Step) -> Result<SecretFiles, StepError> {
        let Some(SecretSource::Host { host, set }) = step.operation.secret_source() else {
            return Err(internal(format!("step {} asks for secrets that the plan does not name", step.id)));
        };
        let address = match (&step.operation, set) {
            (Operation::KubeadmJoin { join, .. }, SecretSet::JoinDiscovery) => {
                let port = join.endpoint.rsplit(':').next().unwrap_or("6443");
                format!("https://{}:{port}", sealift_render::url_host(join.via))
            }
            _ => String::new(),
        };
        let request = Request::Export { set, address };
        match ask(self.sessions, &host, &request, &mut |_| {}, &mut NoBlobs).map_err(step_error)? {
            Response::Secrets { mut files } => {
                if let Operation::InstallSiteCa { with_key: false, certificate_names, .. } = &step.operation
                    && certificate_names.is_empty()
                {
                    // A worker trusts the CA; its key is none of a worker's business.
                    files.0.retain(|file| file.name != SITE_CA_KEY);
                }
                Ok(files)
            }
            _ => Err(internal(format!("the agent on {host} did not hand out what {} needs", step.id))),
        }
    }
}

fn internal(message: String) -> StepError {
    StepError { lost: false, report: Box::new(Failure::new(Kind::Internal, message).report()) }
}

fn step_error(error: CallOrConnect) -> StepError {
    match error {
        CallOrConnect::Call(error) => {
            let lost = matches!(error, CallError::Lost(_));
            StepError { lost, report: Box::new(Failure::from(error).report()) }
        }
        // A host that cannot be reached now may be back in a moment; one that refuses us will not change its mind.
        CallOrConnect::Connect(failure) => {
            StepError { lost: failure.transient, report: Box::new(failure.report()) }
        }
    }
}
