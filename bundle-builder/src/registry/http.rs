//! Requests: the client for each host, access, redirects.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE, WWW_AUTHENTICATE};
use reqwest::{Certificate, Client, Response, redirect};

use super::RegistryError;
use super::answer::{Trouble, Verdict, is_at};
use super::auth::{Access, Asked};
use super::credentials::Credentials;
use crate::image::ImageName;
use crate::mirrors::{Endpoint, Mirrors};

/// Redirects followed for one request: a registry sends to its storage, and that perhaps to its region.
const REDIRECTS: usize = 5;

/// Speaks to registries.
pub(super) struct Http {
    pub(super) mirrors: Mirrors,
    pub(super) credentials: Credentials,
    silence: Duration,
    clients: Mutex<BTreeMap<Trust, Client>>,
    access: Access,
    /// Of web servers: scheme, host and port to what let us in.
    pub(super) let_in: Mutex<BTreeMap<String, HeaderValue>>,
}

/// What makes one client differ from another: an endpoint without its host.
type Trust = (bool, bool, std::collections::BTreeSet<PathBuf>);

/// One thing to ask for.
pub(super) struct Wanted<'a> {
    pub(super) image: &'a ImageName,
    /// Path below the repository, e.g. `manifests/latest`.
    pub(super) path: String,
    pub(super) accept: &'a str,
    /// First byte wanted.
    pub(super) from: u64,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(image: &'a ImageName, path: impl Into<String>, accept: &'a str) -> Self {
        Self { image, path: path.into(), accept, from: 0 }
    }
}

impl Http {
    pub(super) fn new(mirrors: Mirrors, credentials: Credentials, silence: Duration) -> Self {
        let (clients, let_in) = (Mutex::default(), Mutex::default());
        Self { mirrors, credentials, silence, clients, access: Access::default(), let_in }
    }

    /// Starts the client for `image`, where there is none yet.
    pub(super) fn ready(&self, image: &ImageName) -> Result<Client, RegistryError> {
        self.client_for(&self.mirrors.endpoint(image))
    }

    /// Starts the client for `endpoint`, where there is none yet.
    pub(super) fn client_for(&self, endpoint: &Endpoint) -> Result<Client, RegistryError> {
        let trust = (endpoint.plain, endpoint.unchecked, endpoint.authorities.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&trust) {
            return Ok(client.clone());
        }
        let client = self.client(endpoint)?;
        clients.insert(trust, client.clone());
        Ok(client)
    }

    fn client(&self, endpoint: &Endpoint) -> Result<Client, RegistryError> {
        // An error means that another part of the program has chosen one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut authorities = Vec::new();
        for path in &endpoint.authorities {
            authorities.extend(certificates(path)?);
        }
        let builder = || {
            Client::builder()
                .user_agent(concat!("sealift-bundle-builder/", env!("CARGO_PKG_VERSION")))
                .read_timeout(self.silence)
                .connect_timeout(Duration::from_secs(10))
                .redirect(redirect::Policy::custom(follow))
                .tls_danger_accept_invalid_certs(endpoint.unchecked)
        };
        let client = match builder().tls_certs_merge(authorities).build() {
            // A machine without any CA certificates can speak plain HTTP all the same.
            Err(_) if endpoint.plain => builder().tls_certs_only([]).build(),
            other => other,
        };
        client.map_err(|error| RegistryError::Client { source: error.into() })
    }

    /// Asks; a `401` is answered once, where it does not come from where a redirect led. Any answer but a failure comes back.
    pub(super) async fn get(&self, wanted: &Wanted<'_>) -> Result<Response, Trouble> {
        let (endpoint, repository) =
            (self.mirrors.endpoint(wanted.image), self.mirrors.repository(wanted.image));
        let client = self.ready(wanted.image).map_err(|error| Trouble::new(Verdict::Final, error))?;
        let url = format!("{}://{}/v2/{repository}/{}", endpoint.scheme(), endpoint.host, wanted.path);
        let slot = self.access.slot(&endpoint.host, &repository);
        let pass = slot.current().await;
        let response = send(&client, &url, wanted, pass.as_ref()).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let challenges = challenges(&response);
        // What storage asks for is not the registry's to ask: its login must not go to a token server that storage names.
        if response.status().as_u16() != 401 || !is_at(&response, &url) || challenges.is_empty() {
            return Err(Trouble::at(&url, response).await);
        }
        let asked = Asked {
            endpoint: &endpoint,
            repository: &repository,
            credentials: &self.credentials,
            client: &client,
        };
        let (renewed, what) = slot.renew(pass.as_ref(), &challenges, &asked).await?;
        let response = send(&client, &url, wanted, Some(&renewed)).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Trouble::despite(&what, &url, response).await)
    }
}

async fn send(
    client: &Client,
    url: &str,
    wanted: &Wanted<'_>,
    pass: Option<&HeaderValue>,
) -> Result<Response, Trouble> {
    let mut request = client.get(url).header(ACCEPT, wanted.accept);
    if wanted.from > 0 {
        request = request.header(RANGE, format!("bytes={}-", wanted.from));
    }
    if let Some(pass) = pass {
        request = request.header(AUTHORIZATION, pass);
    }
    request.send().await.map_err(Trouble::transport)
}

fn challenges(response: &Response) -> Vec<String> {
    let values = response.headers().get_all(WWW_AUTHENTICATE).iter();
    values.filter_map(|value| value.to_str().ok().map(ToOwned::to_owned)).collect()
}

/// Follows redirects, but never from TLS to plain text: what was asked for in secret stays so.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let encrypted = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if attempt.previous().len() > REDIRECTS {
        attempt.error("too many redirects")
    } else if encrypted && attempt.url().scheme() != "https" {
        attempt.error("it redirects from https to http")
    } else {
        attempt.follow()
    }
}

fn certificates(path: &PathBuf) -> Result<Vec<Certificate>, RegistryError> {
    let failed = |source| RegistryError::Authority { path: path.clone(), source };
    let text = std::fs::read(path).map_err(|error| failed(error.into()))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| failed(error.into()))?;
    if found.is_empty() { Err(failed("there is no PEM certificate in it".into())) } else { Ok(found) }
}
