//! Registries: manifests and blobs, resumed and retried. The only place that knows the network.
//!
//! Distribution's pull is three kinds of GET, so this is written on `reqwest` and not on an OCI client: those at hand
//! hide the answer's headers (`Retry-After`, `Content-Range`), do not renew a token that is refused early, read
//! manifests of any size into memory and know no login by helper. `reqwest` is asynchronous, which its notice of a
//! registry that falls silent half-way needs; its runtime stays inside this module: every function here blocks, and is
//! called from as many threads as there should be transfers.
//!
//! Parts: [`credentials`] (Docker's logins), access (`401` and what to answer), answers (what a failure means),
//! downloads (a blob's file and hash), referrers (what is said about an image), web (plain web servers), netrc (their
//! logins).

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sealift_bundle::digest::{self, digest_of};

use crate::cache::{Cache, Content};
use crate::image::ImageName;
use crate::manifest;
use crate::mirrors::{Endpoint, Mirrors};
use crate::parallel;
use crate::progress::Progress;

mod answer;
mod auth;
pub mod credentials;
mod download;
mod error;
mod http;
mod netrc;
mod patience;
mod referrers;
mod web;

use answer::{Trouble, Verdict};
use credentials::Credentials;
use download::Download;
use http::{Http, Wanted};
use patience::LONGEST_WAIT;

pub use error::{Cause, RegistryError};
pub use patience::Patience;

/// Largest manifest, bytes: the distribution specification asks registries to take this much.
const MANIFEST_LIMIT: usize = 4 << 20;
/// Says which content a registry means to send.
const DIGEST_HEADER: &str = "docker-content-digest";
/// Blobs are bytes.
const ANYTHING: &str = "application/octet-stream, */*";

/// Whether anybody still wants what `progress` tells of: nothing beside it has failed for good.
fn wanted(progress: &dyn Progress) -> bool {
    progress.wanted() && !parallel::is_over()
}

/// How one try ended.
enum Failure {
    /// Worth another try, after as long as the registry asks for.
    Passing(RegistryError, Option<Duration>),
    /// Not worth one.
    Final(RegistryError),
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        Self::Final(error)
    }
}

/// Pulls from registries.
pub struct Registries {
    runtime: tokio::runtime::Runtime,
    http: Http,
    patience: Patience,
    /// Hosts that were warned of.
    warned: Mutex<BTreeSet<String>>,
}

/// Reads `content` as everything that a registry may answer beside a manifest: an error page, a challenge, a list of
/// referrers. For the fuzz target, which has no network.
#[doc(hidden)]
pub fn read_answer(content: &[u8]) {
    answer::read(content);
    crate::referrer::read(content);
    if let Ok(text) = std::str::from_utf8(content) {
        auth::read(text);
    }
}

impl Registries {
    /// Pulls without a login.
    pub fn new(mirrors: Mirrors, patience: Patience) -> Result<Self, RegistryError> {
        Self::with_credentials(mirrors, patience, Credentials::none())
    }

    /// Pulls with the logins in `credentials` where a registry asks for one.
    pub fn with_credentials(
        mirrors: Mirrors,
        patience: Patience,
        credentials: Credentials,
    ) -> Result<Self, RegistryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| RegistryError::Client { source: error.into() })?;
        let http = Http::new(mirrors, credentials, patience.silence);
        Ok(Self { runtime, http, patience, warned: Mutex::default() })
    }

    /// Where `image` is pulled from, for provenance.
    #[must_use]
    pub fn origin(&self, image: &ImageName) -> String {
        self.http.mirrors.origin(image)
    }

    /// The manifest or index that the tag of `image` names now, and its digest.
    pub fn manifest_by_tag(
        &self,
        image: &ImageName,
        progress: &dyn Progress,
    ) -> Result<(Vec<u8>, String), RegistryError> {
        self.manifest(image, image.tag(), &format!("image {image}"), progress)
    }

    /// The manifest `wanted` of `image`.
    pub fn manifest_by_digest(
        &self,
        image: &ImageName,
        wanted: &str,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>, RegistryError> {
        let what = format!("manifest {wanted} of {image}");
        self.manifest(image, wanted, &what, progress).map(|(content, _)| content)
    }

    /// Fetches the blob `wanted` of `image` into the cache, where it is not there yet; unfinished downloads go on where
    /// they stopped. `advanced` hears how many bytes came (or were lost again). Two callers that want the same blob at
    /// once are served by one transfer.
    pub fn blob(
        &self,
        image: &ImageName,
        wanted: &Content,
        cache: &Cache,
        progress: &dyn Progress,
        advanced: &dyn Fn(i64),
    ) -> Result<(), RegistryError> {
        let _claim = cache.claim(&wanted.digest);
        if cache.has(&wanted.digest, wanted.size)? {
            advanced(wanted.size.cast_signed());
            return Ok(());
        }
        let what = format!("blob {} of {image}", wanted.digest);
        let mut download = Download::open(cache.partial_path(&wanted.digest)?, wanted)?;
        advanced(download.have.cast_signed());
        let mut best = download.have;
        let fetched = self.persist(image, &what, progress, || {
            let fetched = self.wait(progress, self.fetch(image, &what, &mut download, advanced));
            let moved_on = download.have > best;
            best = best.max(download.have);
            fetched.map_err(|failure| (failure, moved_on))
        });
        if fetched.is_err() {
            download.tidy();
        }
        fetched?;
        Ok(cache.adopt_partial(&wanted.digest)?)
    }

    /// The manifest `reference` (a tag or a digest) of the repository of `image`.
    fn manifest(
        &self,
        image: &ImageName,
        reference: &str,
        what: &str,
        progress: &dyn Progress,
    ) -> Result<(Vec<u8>, String), RegistryError> {
        let accepted = manifest::ACCEPTED.join(", ");
        self.persist(image, what, progress, || {
            let wanted = Wanted::new(image, format!("manifests/{reference}"), &accepted);
            let read = async {
                let read = self.read(&wanted, MANIFEST_LIMIT).await;
                read.map_err(|trouble| self.judge(image, what, trouble))
            };
            let (content, said) = self.wait(progress, read).map_err(|failure| (failure, false))?;
            let got = digest_of(&content);
            // For a tag, the registry's own word is all there is to compare with.
            let expected = if digest::is_valid(reference) { Some(reference.to_owned()) } else { said };
            match expected.filter(|expected| *expected != got) {
                Some(expected) => Err((self.wrong(image, what, &expected, &got), false)),
                None => Ok((content, got)),
            }
        })
    }

    /// A whole answer, and the sha256 digest that its header tells.
    async fn read(&self, wanted: &Wanted<'_>, limit: usize) -> Result<(Vec<u8>, Option<String>), Trouble> {
        let response = self.http.get(wanted).await?;
        let said = response.headers().get(DIGEST_HEADER).and_then(|value| value.to_str().ok());
        let said = said.filter(|text| digest::is_valid(text)).map(ToOwned::to_owned);
        Ok((answer::body(response, limit).await?, said))
    }

    /// Tries until it works, fails for good, or fails too often without getting on.
    fn persist<T>(
        &self,
        image: &ImageName,
        what: &str,
        progress: &dyn Progress,
        mut attempt: impl FnMut() -> Result<T, (Failure, bool)>,
    ) -> Result<T, RegistryError> {
        self.warn(&self.http.mirrors.endpoint(image), progress);
        // Asked for once more inside; here its failure is told as it is.
        self.http.ready(image)?;
        self.insist(&self.http.mirrors.name(image), what, progress, &mut attempt)
    }

    /// As [`Self::persist`], of any server.
    fn insist<T>(
        &self,
        server: &str,
        what: &str,
        progress: &dyn Progress,
        attempt: &mut dyn FnMut() -> Result<T, (Failure, bool)>,
    ) -> Result<T, RegistryError> {
        let mut failures = 0;
        loop {
            if !wanted(progress) {
                return Err(RegistryError::Stopped);
            }
            let (error, wait) = match attempt() {
                Ok(value) => return Ok(value),
                Err((Failure::Final(error), _)) => return Err(error),
                Err((Failure::Passing(error, wait), moved_on)) => {
                    failures = if moved_on { 1 } else { failures + 1 };
                    (error, wait)
                }
            };
            let limit = self.patience.limit(&error);
            if failures >= limit || wait.is_some_and(|wait| wait > LONGEST_WAIT) {
                return Err(given_up(error, failures, wait));
            }
            let pause = self.patience.pause_after(failures, wait);
            progress.note(&format!(
                "retry {failures} of {} in {:.1} s: {server}: {what}: {}",
                limit - 1,
                pause.as_secs_f64(),
                innermost(&error)
            ));
            patience::sleep(pause, &|| wanted(progress));
        }
    }

    /// Does `work` to its end, or until nobody wants it any more: a server that falls silent is not waited for then. What
    /// came of a download until then stays.
    fn wait<T>(
        &self,
        progress: &dyn Progress,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let unwanted = async {
            while wanted(progress) {
                tokio::time::sleep(patience::LOOK).await;
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                result = work => result,
                () = unwanted => Err(RegistryError::Stopped.into()),
            }
        })
    }

    /// Says once per host that nobody looks at its certificate.
    fn warn(&self, endpoint: &Endpoint, progress: &dyn Progress) {
        if !endpoint.unchecked || endpoint.plain {
            return;
        }
        let host = &endpoint.host;
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.insert(host.clone()) {
            progress.note(&format!("warning   {host}: its certificate is not checked (`insecure: true`)"));
        }
    }

    /// One try at the rest of a blob.
    async fn fetch(
        &self,
        image: &ImageName,
        what: &str,
        download: &mut Download,
        advanced: &dyn Fn(i64),
    ) -> Result<(), Failure> {
        if !download.is_complete() {
            self.transfer(image, what, download, advanced).await?;
        }
        if !download.is_complete() {
            let cut = format!("the answer ended after {} of {} bytes", download.have, download.wanted.size);
            return Err(self.judge(image, what, Trouble::passing(cut)));
        }
        let got = download.digest();
        if got == download.wanted.digest {
            return Ok(());
        }
        let taken_up = download.taken_up;
        restart(download, advanced)?;
        if taken_up {
            let damaged = "what an earlier run left of it does not fit; it comes anew";
            return Err(self.judge(image, what, Trouble::passing(damaged)));
        }
        Err(self.wrong(image, what, &download.wanted.digest, &got))
    }

    /// One request for the rest of a blob.
    async fn transfer(
        &self,
        image: &ImageName,
        what: &str,
        download: &mut Download,
        advanced: &dyn Fn(i64),
    ) -> Result<(), Failure> {
        let path = format!("blobs/{}", download.wanted.digest);
        let wanted = Wanted { from: download.have, ..Wanted::new(image, path, ANYTHING) };
        let mut response = match self.http.get(&wanted).await {
            Ok(response) => response,
            // There is nothing of the blob from there on: what is here cannot be a part of it, or ranges do not work.
            Err(trouble) if trouble.status == Some(416) && download.have > 0 => {
                restart(download, advanced)?;
                return Err(self.judge(image, what, Trouble::passing(trouble.why)));
            }
            Err(trouble) => return Err(self.judge(image, what, trouble)),
        };
        if download.have > 0 && !continues(&response, download.have) {
            // The registry does not know ranges, or answers with another one.
            restart(download, advanced)?;
            if response.status().as_u16() == 206 {
                let other = Trouble::passing("it answers with another range than asked for");
                return Err(self.judge(image, what, other));
            }
        }
        loop {
            let piece = match response.chunk().await {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                // Whatever was announced besides: all that is wanted is here.
                Err(_) if download.is_complete() => return Ok(()),
                Err(error) => return Err(self.judge(image, what, Trouble::transport(error))),
            };
            if download.have + piece.len() as u64 > download.wanted.size {
                let expected = format!("{} bytes", download.wanted.size);
                restart(download, advanced)?;
                return Err(self.wrong(image, what, &expected, "more"));
            }
            download.append(&piece)?;
            advanced((piece.len() as u64).cast_signed());
        }
    }

    fn wrong(&self, image: &ImageName, what: &str, expected: &str, got: &str) -> Failure {
        let error = RegistryError::WrongContent {
            registry: self.http.mirrors.name(image),
            what: what.to_owned(),
            expected: expected.to_owned(),
            got: got.to_owned(),
        };
        Failure::Passing(error, None)
    }

    /// What a failed request means for what was asked for.
    fn judge(&self, image: &ImageName, what: &str, trouble: Trouble) -> Failure {
        judged(self.http.mirrors.name(image), what, trouble)
    }
}

/// What a failed request for `what` means.
fn judged(registry: String, what: &str, trouble: Trouble) -> Failure {
    let (what, source) = (what.to_owned(), trouble.why);
    match trouble.verdict {
        Verdict::NotFound => Failure::Final(RegistryError::NotFound { registry, what }),
        Verdict::Denied => Failure::Final(RegistryError::Denied { registry, what, source }),
        Verdict::Tls => Failure::Final(RegistryError::Tls { registry, source }),
        Verdict::Passing => {
            Failure::Passing(RegistryError::Failed { registry, what, tries: 1, source }, trouble.wait)
        }
        Verdict::Final => Failure::Final(RegistryError::Failed { registry, what, tries: 1, source }),
    }
}

/// Forgets what came of a blob.
fn restart(download: &mut Download, advanced: &dyn Fn(i64)) -> Result<(), Failure> {
    let lost = download.clear()?;
    advanced(-lost.cast_signed());
    Ok(())
}

/// Whether `response` goes on at byte `from`.
fn continues(response: &reqwest::Response, from: u64) -> bool {
    let range = response.headers().get(reqwest::header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let begins = range.and_then(|text| text.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok());
    // A partial answer without its range can only be the one asked for.
    response.status().as_u16() == 206 && begins.is_none_or(|begins: u64| begins == from)
}

/// The error after the last try.
fn given_up(error: RegistryError, tries: u32, wait: Option<Duration>) -> RegistryError {
    let RegistryError::Failed { registry, what, source, .. } = error else { return error };
    let source = match wait.filter(|wait| *wait > LONGEST_WAIT) {
        Some(wait) => format!("{source}; it asks to wait {} s", wait.as_secs()).into(),
        None => source,
    };
    RegistryError::Failed { registry, what, tries, source }
}

/// The last cause of an error, in words.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who has heard of another failure.
    struct Unwanted;

    impl Progress for Unwanted {
        fn note(&self, _: &str) {}
        fn advance(&self, _: &str, _: u64, _: u64) {}
        fn wanted(&self) -> bool {
            false
        }
    }

    #[test]
    fn what_nobody_wants_is_neither_asked_for_nor_waited_for() {
        let registries = Registries::new(Mirrors::default(), Patience::default()).unwrap();
        let silent = registries.wait(&Unwanted, std::future::pending::<Result<(), Failure>>());
        assert!(matches!(silent, Err(Failure::Final(RegistryError::Stopped))));
        let image = "registry.invalid/a/b:1".parse().unwrap();
        let asked = registries.manifest_by_tag(&image, &Unwanted);
        assert!(matches!(asked, Err(RegistryError::Stopped)), "{asked:?}");
    }
}
