//! Plain web servers: files pinned by digest, and small documents. The same client, trust and patience as for registries.
//!
//! Logins are looked up by host, since a URL with one would stand in locks and messages, and only where a server does not
//! give what is asked for without one. They go to that very scheme, host and port, never to where it redirects, and in
//! the open only where somebody allowed plain HTTP for that host. One that is refused later is looked up once more: some
//! expire.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{MutexGuard, PoisonError};

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, RANGE};
use reqwest::{Client, Response, Url};

use super::answer::{self, Trouble, Verdict, is_at};
use super::auth;
use super::download::Download;
use super::http::Http;
use super::{ANYTHING, Failure, Registries, RegistryError, continues, judged, restart};
use crate::cache::{Cache, CacheError, Content, require_room};
use crate::progress::Progress;

/// Bytes that a file from a web server may have.
const LARGEST: u64 = 64 << 30;

/// One URL, and who answers there.
struct Page<'a> {
    http: &'a Http,
    client: Client,
    url: &'a str,
    /// For messages: the host, and the URL.
    server: String,
    what: String,
}

impl Page<'_> {
    fn judge(&self, trouble: Trouble) -> Failure {
        judged(self.server.clone(), &self.what, trouble)
    }

    async fn send(&self, from: u64, login: Option<&HeaderValue>) -> Result<Response, Trouble> {
        let mut request = self.client.get(self.url).header(ACCEPT, ANYTHING);
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(login) = login {
            // The client drops it where a redirect leads to another scheme, host or port.
            request = request.header(AUTHORIZATION, login);
        }
        request.send().await.map_err(Trouble::transport)
    }

    /// Asks for all from byte `from` on; with a login where there is one and it does not come without.
    async fn get(&self, from: u64) -> Result<Response, Trouble> {
        let origin = Url::parse(self.url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let known = self.let_in().get(&origin).cloned();
        let response = self.send(from, known.as_ref()).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let must = status.as_u16() == 401;
        // Some servers hide what needs a login. Where a redirect leads is not asked to let us in.
        let hidden = matches!(status.as_u16(), 403 | 404) && known.is_none();
        if !(must || hidden) || !is_at(&response, self.url) {
            return Err(Trouble::at(self.url, response).await);
        }
        if known.is_some() {
            self.let_in().remove(&origin);
        }
        let (login, what) = match self.login() {
            Ok(Some(login)) => login,
            Err(trouble) if must => return Err(trouble),
            Ok(None) if must => return Err(Trouble::denied("it wants a login, and there is none")),
            _ => return Err(Trouble::at(self.url, response).await),
        };
        if known.as_ref() == Some(&login) {
            return Err(Trouble::despite(&what, self.url, response).await);
        }
        let response = self.send(from, Some(&login)).await?;
        if response.status().is_success() {
            self.let_in().insert(origin, login);
            return Ok(response);
        }
        Err(Trouble::despite(&what, self.url, response).await)
    }

    fn let_in(&self) -> MutexGuard<'_, BTreeMap<String, HeaderValue>> {
        self.http.let_in.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to send to log in, and what that is.
    fn login(&self) -> Result<Option<(HeaderValue, String)>, Trouble> {
        let login = self.http.credentials.login_at_web_server(&self.server).map_err(Trouble::denied)?;
        let Some(login) = login else { return Ok(None) };
        if self.url.starts_with("https:") || self.http.mirrors.is_plain_allowed(&self.server) {
            return auth::at_web_server(&login);
        }
        let server = &self.server;
        Err(Trouble::denied(format!(
            "it wants a login, and none goes over plain HTTP unless `--plain-http {server}` allows it"
        )))
    }

    /// One try at the rest of a file.
    async fn fetch(
        &self,
        download: &mut Download,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<(), Failure> {
        // What an earlier run left may be all of it: only the digest tells.
        if download.have > 0 && download.digest() == download.wanted.digest {
            return Ok(());
        }
        let mut response = match self.get(download.have).await {
            Err(trouble) if trouble.status == Some(416) && download.have > 0 => {
                restart(download, &|_| ())?;
                return Err(self.judge(Trouble::passing(trouble.why)));
            }
            other => other.map_err(|trouble| self.judge(trouble))?,
        };
        if download.have > 0 && !continues(&response, download.have) {
            restart(download, &|_| ())?;
            if response.status().as_u16() == 206 {
                return Err(self.judge(Trouble::passing("it answers with another range than asked for")));
            }
        }
        let rest = response.content_length().unwrap_or(0);
        require_room(cache.folder(), rest)?;
        let total = download.have + rest;
        while let Some(piece) =
            response.chunk().await.map_err(|error| self.judge(Trouble::transport(error)))?
        {
            if download.have + piece.len() as u64 > LARGEST {
                restart(download, &|_| ())?;
                let why = format!("it is larger than {} GiB", LARGEST >> 30);
                return Err(self.judge(Trouble::new(Verdict::Final, why)));
            }
            download.append(&piece)?;
            progress.advance("download", download.have, total.max(download.have));
        }
        let got = download.digest();
        if got == download.wanted.digest {
            return Ok(());
        }
        restart(download, &|_| ())?;
        let (registry, what) = (self.server.clone(), self.what.clone());
        let expected = download.wanted.digest.clone();
        Err(Failure::Passing(RegistryError::WrongContent { registry, what, expected, got }, None))
    }
}

impl Registries {
    /// Fetches what `url` gives and `digest` pins into the cache, where it is not there yet; an unfinished download goes
    /// on where it stopped.
    pub fn pinned(
        &self,
        url: &str,
        digest: &str,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<Content, RegistryError> {
        let _claim = cache.claim(digest);
        // Not followed: a link that someone put there leads to what may change.
        if let Some(file) = fs::symlink_metadata(cache.blob_path(digest)?).ok().filter(fs::Metadata::is_file)
        {
            return Ok(Content { digest: digest.to_owned(), size: file.len() });
        }
        let page = self.web(url, progress)?;
        progress.note(&format!("download  {url}"));
        let wanted = Content { digest: digest.to_owned(), size: LARGEST };
        let mut download = Download::open(cache.partial_path(digest)?, &wanted)?;
        let mut best = download.have;
        self.insist(&page.server, &page.what, progress, &mut || {
            let fetched = self.wait(progress, page.fetch(&mut download, cache, progress));
            let moved_on = download.have > best;
            best = best.max(download.have);
            fetched.map_err(|failure| (failure, moved_on))
        })?;
        let size = download.have;
        cache.adopt_partial(digest)?;
        Ok(Content { digest: digest.to_owned(), size })
    }

    /// The content of `url`, at most `limit` bytes.
    pub fn document(
        &self,
        url: &str,
        limit: usize,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>, RegistryError> {
        let page = self.web(url, progress)?;
        self.insist(&page.server, &page.what, progress, &mut || {
            let read = async {
                let read = async { answer::body(page.get(0).await?, limit).await };
                read.await.map_err(|trouble| page.judge(trouble))
            };
            self.wait(progress, read).map_err(|failure| (failure, false))
        })
    }

    fn web<'a>(&'a self, url: &'a str, progress: &dyn Progress) -> Result<Page<'a>, RegistryError> {
        let parsed = Url::parse(url).ok();
        let host = parsed.as_ref().and_then(|url| {
            let host = url.host_str()?;
            Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
        });
        let plain = parsed.is_some_and(|url| url.scheme() == "http");
        let server = host.unwrap_or_else(|| url.to_owned());
        let endpoint = self.http.mirrors.web(&server, plain);
        self.warn(&endpoint, progress);
        let client = self.http.client_for(&endpoint)?;
        Ok(Page { http: &self.http, client, url, server, what: url.to_owned() })
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        Self::Final(error.into())
    }
}
