//! What lies on plain web servers: files pinned by digest, and chart repositories. As in [`crate::registry`], the client
//! and its runtime stay inside: every function here blocks.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, StatusCode};
use sealift_bundle::digest::Hasher;

use crate::cache::{Cache, CacheError, Content};
use crate::progress::Progress;
use crate::registry::Patience;

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 5;
/// Bytes that a pinned file may have.
const MOST_BYTES: u64 = 64 << 30;

/// Why something could not be had from a web server. Each names the URL as the recipe has it: where a redirect leads
/// may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The HTTP client or its runtime does not start.
    #[error("cannot start the HTTP client")]
    Client {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server says no.
    #[error("{url}: the server answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// Failed, also after all tries.
    #[error("{url} could not be fetched, {tries} tries")]
    Failed {
        /// What was asked for.
        url: String,
        /// Tries made.
        tries: u32,
        /// The last failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Other content than pinned.
    #[error("{url} gives other content than pinned: expected {expected}, got {got}")]
    WrongContent {
        /// What was asked for.
        url: String,
        /// Digest that it must have.
        expected: String,
        /// Digest that it has.
        got: String,
    },
    /// More than such a thing may have.
    #[error("{url} has more than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// Most bytes allowed.
        limit: u64,
    },
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file of the cache failed.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Fetches from web servers.
pub struct Downloads {
    runtime: tokio::runtime::Runtime,
    client: Client,
    patience: Patience,
}

/// How one try ended.
enum Attempted {
    /// Worth another try.
    Passing(DownloadError),
    /// Not worth one.
    Final(DownloadError),
}

impl From<CacheError> for Attempted {
    fn from(error: CacheError) -> Self {
        Self::Final(error.into())
    }
}

impl Downloads {
    /// Starts the client.
    pub fn new(patience: Patience) -> Result<Self, DownloadError> {
        // An error means that another part of the program has chosen one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| DownloadError::Client { source };
        let client = Client::builder()
            .redirect(Policy::custom(redirect))
            .read_timeout(patience.silence)
            .connect_timeout(Duration::from_secs(10))
            .user_agent(concat!("sealift-bundle-builder/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| failed(error.into()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| failed(error.into()))?;
        Ok(Self { runtime, client, patience })
    }

    /// Fetches `url` into the cache, where `digest` is not there yet; an unfinished download goes on where it stopped.
    /// Two calls for one digest must not run at once.
    pub fn pinned(
        &self,
        url: &str,
        digest: &str,
        cache: &Cache,
        progress: &dyn Progress,
    ) -> Result<Content, DownloadError> {
        if let Some(content) = cached(cache, digest)? {
            return Ok(content);
        }
        let mut target = Target::open(cache.partial_path(digest)?)?;
        self.persist(url, progress, || {
            let before = target.have;
            let fetched = self.runtime.block_on(self.rest(url, digest, &mut target));
            fetched.map_err(|failure| (failure, target.have > before))
        })?;
        let size = target.have;
        cache.adopt_partial(digest)?;
        Ok(Content { digest: digest.to_owned(), size })
    }

    /// The content of `url`, at most `limit` bytes.
    pub fn small(&self, url: &str, limit: u64, progress: &dyn Progress) -> Result<Vec<u8>, DownloadError> {
        self.persist(url, progress, || {
            self.runtime.block_on(self.whole(url, limit)).map_err(|failure| (failure, false))
        })
    }

    async fn whole(&self, url: &str, limit: u64) -> Result<Vec<u8>, Attempted> {
        let response = self.client.get(url).send().await.map_err(|error| passing(url, error))?;
        let mut stream = accepted(url, response)?.bytes_stream();
        let mut content = Vec::new();
        while let Some(piece) = stream.next().await {
            content.extend_from_slice(&piece.map_err(|error| passing(url, error))?);
            if content.len() as u64 > limit {
                return Err(Attempted::Final(DownloadError::TooLarge { url: url.to_owned(), limit }));
            }
        }
        Ok(content)
    }

    /// One try at the rest of a file.
    async fn rest(&self, url: &str, digest: &str, target: &mut Target) -> Result<(), Attempted> {
        let mut request = self.client.get(url);
        if target.have > 0 {
            request = request.header(RANGE, format!("bytes={}-", target.have));
        }
        let response = request.send().await.map_err(|error| passing(url, error))?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // All was there already, or what is there is more than there should be: the digest tells.
            return target.checked(url, digest);
        }
        let response = accepted(url, response)?;
        if !goes_on(&response, target.have) {
            target.clear().map_err(Attempted::Final)?;
        }
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|error| passing(url, error))?;
            if target.have + piece.len() as u64 > MOST_BYTES {
                target.clear().map_err(Attempted::Final)?;
                let url = url.to_owned();
                return Err(Attempted::Final(DownloadError::TooLarge { url, limit: MOST_BYTES }));
            }
            target.append(&piece).map_err(Attempted::Final)?;
        }
        target.checked(url, digest)
    }

    /// Tries until it works, fails for good, or fails too often without getting on.
    fn persist<T>(
        &self,
        url: &str,
        progress: &dyn Progress,
        mut attempt: impl FnMut() -> Result<T, (Attempted, bool)>,
    ) -> Result<T, DownloadError> {
        let mut failures = 0;
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err((Attempted::Final(error), _)) => return Err(error),
                Err((Attempted::Passing(error), moved_on)) => {
                    failures = if moved_on { 1 } else { failures + 1 };
                    error
                }
            };
            // Who gives other content twice has other content.
            let limit = match error {
                DownloadError::WrongContent { .. } => self.patience.tries.min(2),
                _ => self.patience.tries,
            };
            if failures >= limit {
                return Err(match error {
                    DownloadError::Failed { url, source, .. } => {
                        DownloadError::Failed { url, source, tries: failures }
                    }
                    other => other,
                });
            }
            let pause = self.patience.pause.saturating_mul(1 << (failures - 1).min(10));
            let pause = pause.min(Duration::from_secs(15));
            progress.note(&format!(
                "retry {failures} of {} in {:.1} s: {url}: {}",
                limit - 1,
                pause.as_secs_f64(),
                innermost(&error)
            ));
            std::thread::sleep(pause);
        }
    }
}

/// The blob `digest`, where it is in the cache.
pub fn cached(cache: &Cache, digest: &str) -> Result<Option<Content>, CacheError> {
    let metadata = std::fs::metadata(cache.blob_path(digest)?);
    let there = metadata.ok().filter(std::fs::Metadata::is_file);
    Ok(there.map(|file| Content { digest: digest.to_owned(), size: file.len() }))
}

/// Follows a few redirects, and none that gives up TLS.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error(format!("more than {MOST_REDIRECTS} redirects"));
    }
    let secure = attempt.previous().last().is_some_and(|from| from.scheme() == "https");
    if secure && attempt.url().scheme() != "https" {
        return attempt.error("a redirect from https to http");
    }
    attempt.follow()
}

/// Whether the answer continues what is there.
fn goes_on(response: &Response, have: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    response.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {have}-")))
}

fn accepted(url: &str, response: Response) -> Result<Response, Attempted> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let error = DownloadError::Status { url: url.to_owned(), status: status.as_u16() };
    let again = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    Err(if again { Attempted::Passing(error) } else { Attempted::Final(error) })
}

fn passing(url: &str, error: reqwest::Error) -> Attempted {
    let url = url.to_owned();
    // A redirect that is not followed will not be followed the next time either.
    let last = error.is_redirect() || error.is_builder();
    let error = DownloadError::Failed { url, tries: 1, source: error.without_url().into() };
    if last { Attempted::Final(error) } else { Attempted::Passing(error) }
}

/// The last cause of an error, in words.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// A file on its way, and its hash.
struct Target {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    /// Bytes in the file.
    have: u64,
}

impl Target {
    /// Takes up what an earlier run left.
    fn open(path: PathBuf) -> Result<Self, DownloadError> {
        let failed = |source| DownloadError::Write { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let (mut hasher, mut have) = (Hasher::new(), 0);
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = file.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            have += count as u64;
        }
        Ok(Self { path, file, hasher, have })
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), DownloadError> {
        self.file
            .write_all(piece)
            .map_err(|source| DownloadError::Write { path: self.path.clone(), source })?;
        self.hasher.update(piece);
        self.have += piece.len() as u64;
        Ok(())
    }

    /// Whether all is there and right; what is wrong is thrown away.
    fn checked(&mut self, url: &str, expected: &str) -> Result<(), Attempted> {
        let got = self.hasher.clone().finish();
        if got == expected {
            return Ok(());
        }
        self.clear().map_err(Attempted::Final)?;
        let (url, expected) = (url.to_owned(), expected.to_owned());
        Err(Attempted::Passing(DownloadError::WrongContent { url, expected, got }))
    }

    fn clear(&mut self) -> Result<(), DownloadError> {
        (self.hasher, self.have) = (Hasher::new(), 0);
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|source| DownloadError::Write { path: self.path.clone(), source })
    }
}
