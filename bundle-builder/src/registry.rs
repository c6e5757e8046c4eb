//! Registries: manifests and blobs, resumed and retried. The only place that knows the network.
//!
//! `oci-client` was chosen over a small client of our own on a blocking HTTP library: it has the token and basic
//! authentication of real registries, streams bodies, asks for ranges, and its read timeout notices a registry that
//! falls silent half-way, which blocking clients only do by limiting the whole transfer. Its runtime stays inside this
//! module: every function here blocks, and is called from as many threads as there should be transfers.
//!
//! Blobs are always asked for by range, even from byte 0: for whole blobs `oci-client` hashes by itself, and hashing
//! twice is what a fast link would wait for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use futures_util::StreamExt as _;
use oci_client::client::{BlobResponse, ClientConfig, ClientProtocol};
use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use sealift_bundle::digest::{Hasher, digest_of};

use crate::cache::{Cache, CacheError, Content};
use crate::image::ImageName;
use crate::manifest;
use crate::mirrors::Mirrors;
use crate::progress::Progress;

/// How often and how long to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries without any progress before giving up.
    pub tries: u32,
    /// Pause after the first failure; doubles each time, up to 15 s.
    pub pause: Duration,
    /// Silence after which a transfer counts as lost.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { tries: 6, pause: Duration::from_millis(500), silence: Duration::from_secs(30) }
    }
}

/// Why something could not be had from a registry. Each names the registry and what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The HTTP client or its runtime does not start.
    #[error("cannot start the HTTP client")]
    Client {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Does not exist there.
    #[error("{registry} has no {what}")]
    NotFound {
        /// Host, and where a mirror stands in, which one.
        registry: String,
        /// Image or blob.
        what: String,
    },
    /// Not without (other) credentials.
    #[error("{registry} refuses access to {what}")]
    Denied {
        /// Host.
        registry: String,
        /// Image or blob.
        what: String,
    },
    /// Failed, also after all tries.
    #[error("{registry}: {what} could not be fetched, {tries} tries")]
    Failed {
        /// Host.
        registry: String,
        /// Image or blob.
        what: String,
        /// Tries made.
        tries: u32,
        /// The last failure.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Other content than asked for, each time.
    #[error("{registry} sends wrong content for {what}: expected {expected}, got {got}")]
    WrongContent {
        /// Host.
        registry: String,
        /// Image or blob.
        what: String,
        /// Digest or size asked for.
        expected: String,
        /// Digest or size sent.
        got: String,
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

/// How one try ended.
enum Failure {
    /// Worth another try.
    Passing(RegistryError),
    /// Not worth one.
    Final(RegistryError),
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        Self::Final(error.into())
    }
}

/// Pulls from registries.
pub struct Registries {
    runtime: tokio::runtime::Runtime,
    client: Client,
    mirrors: Mirrors,
    patience: Patience,
}

impl Registries {
    /// Starts the client.
    pub fn new(mirrors: Mirrors, patience: Patience) -> Result<Self, RegistryError> {
        // An error means that another part of the program has chosen one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plain = mirrors.plain_hosts();
        let config = ClientConfig {
            protocol: ClientProtocol::HttpsExcept(plain),
            read_timeout: Some(patience.silence),
            connect_timeout: Some(Duration::from_secs(10)),
            user_agent: concat!("sealift-bundle-builder/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        let client =
            Client::try_from(config).map_err(|error| RegistryError::Client { source: error.into() })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| RegistryError::Client { source: error.into() })?;
        Ok(Self { runtime, client, mirrors, patience })
    }

    /// Where `image` is pulled from, for provenance.
    #[must_use]
    pub fn origin(&self, image: &ImageName) -> String {
        self.mirrors.origin(image)
    }

    /// The manifest or index that the tag of `image` names now, and its digest.
    pub fn manifest_by_tag(
        &self,
        image: &ImageName,
        progress: &dyn Progress,
    ) -> Result<(Vec<u8>, String), RegistryError> {
        let reference = Reference::with_tag(
            self.mirrors.host(image),
            self.mirrors.repository(image),
            image.tag().to_owned(),
        );
        self.manifest(image, &reference, &format!("image {image}"), progress)
    }

    /// The manifest `wanted` of `image`.
    pub fn manifest_by_digest(
        &self,
        image: &ImageName,
        wanted: &str,
        progress: &dyn Progress,
    ) -> Result<Vec<u8>, RegistryError> {
        let reference = Reference::with_digest(
            self.mirrors.host(image),
            self.mirrors.repository(image),
            wanted.to_owned(),
        );
        let what = format!("manifest {wanted} of {image}");
        self.manifest(image, &reference, &what, progress).map(|(content, _)| content)
    }

    /// Fetches the blob `wanted` of `image` into the cache, where it is not there yet; unfinished downloads go on where
    /// they stopped. `advanced` hears how many bytes came (or were lost again).
    pub fn blob(
        &self,
        image: &ImageName,
        wanted: &Content,
        cache: &Cache,
        progress: &dyn Progress,
        advanced: &dyn Fn(i64),
    ) -> Result<(), RegistryError> {
        if cache.has(&wanted.digest, wanted.size)? {
            advanced(wanted.size.cast_signed());
            return Ok(());
        }
        let reference = Reference::with_tag(
            self.mirrors.host(image),
            self.mirrors.repository(image),
            image.tag().to_owned(),
        );
        let what = format!("blob {} of {image}", wanted.digest);
        let mut download = Download::open(cache.partial_path(&wanted.digest)?, wanted)?;
        advanced(download.have.cast_signed());
        let mut best = download.have;
        self.persist(image, &what, progress, || {
            let fetched =
                self.runtime.block_on(self.fetch(image, &reference, &what, &mut download, advanced));
            let moved_on = download.have > best;
            best = best.max(download.have);
            fetched.map_err(|failure| (failure, moved_on))
        })?;
        download
            .file
            .flush()
            .map_err(|source| RegistryError::Write { path: download.path.clone(), source })?;
        Ok(cache.adopt_partial(&wanted.digest)?)
    }

    fn manifest(
        &self,
        image: &ImageName,
        reference: &Reference,
        what: &str,
        progress: &dyn Progress,
    ) -> Result<(Vec<u8>, String), RegistryError> {
        self.persist(image, what, progress, || {
            let request =
                self.client.pull_manifest_raw(reference, &RegistryAuth::Anonymous, &manifest::ACCEPTED);
            let (content, _) =
                self.runtime.block_on(request).map_err(|error| (self.judge(image, what, error), false))?;
            let got = digest_of(&content);
            // The answer to a digest is checked here, too, so that every byte in the cache was hashed by one function.
            match reference.digest().filter(|wanted| *wanted != got) {
                Some(expected) => Err((Failure::Passing(self.wrong(image, what, expected, &got)), false)),
                None => Ok((content.to_vec(), got)),
            }
        })
    }

    /// Tries until it works, fails for good, or fails too often without getting on.
    fn persist<T>(
        &self,
        image: &ImageName,
        what: &str,
        progress: &dyn Progress,
        mut attempt: impl FnMut() -> Result<T, (Failure, bool)>,
    ) -> Result<T, RegistryError> {
        let mut failures = 0;
        loop {
            let error = match attempt() {
                Ok(value) => return Ok(value),
                Err((Failure::Final(error), _)) => return Err(error),
                Err((Failure::Passing(error), moved_on)) => {
                    failures = if moved_on { 1 } else { failures + 1 };
                    error
                }
            };
            // A bit that flipped on the way will not flip each time; who sends wrong content thrice means it.
            let limit = match error {
                RegistryError::WrongContent { .. } => self.patience.tries.min(3),
                _ => self.patience.tries,
            };
            if failures >= limit {
                return Err(match error {
                    RegistryError::Failed { registry, what, source, .. } => {
                        RegistryError::Failed { registry, what, source, tries: failures }
                    }
                    other => other,
                });
            }
            let pause =
                self.patience.pause.saturating_mul(1 << (failures - 1).min(10)).min(Duration::from_secs(15));
            progress.note(&format!(
                "retry {failures} of {} in {:.1} s: {}: {what}: {}",
                limit - 1,
                pause.as_secs_f64(),
                self.mirrors.name(image),
                innermost(&error)
            ));
            std::thread::sleep(pause);
        }
    }

    /// One try at the rest of a blob.
    async fn fetch(
        &self,
        image: &ImageName,
        reference: &Reference,
        what: &str,
        download: &mut Download,
        advanced: &dyn Fn(i64),
    ) -> Result<(), Failure> {
        // An empty blob is asked for nowhere: no registry can answer a range of it.
        if download.have < download.wanted.size {
            self.client.store_auth_if_needed(reference.resolve_registry(), &RegistryAuth::Anonymous).await;
            let digest = download.wanted.digest.clone();
            let request =
                self.client.pull_blob_stream_partial(reference, digest.as_str(), download.have, None);
            let mut stream = match request.await.map_err(|error| self.judge(image, what, error))? {
                BlobResponse::Partial(stream) => stream,
                BlobResponse::Full(stream) => {
                    // The registry does not know ranges.
                    download.restart(advanced)?;
                    stream
                }
            };
            while let Some(piece) = stream.next().await {
                let piece = match piece {
                    Ok(piece) => piece,
                    // All came; what the client says about its digest is checked below.
                    Err(_) if download.have == download.wanted.size => break,
                    Err(error) => return Err(self.passing(image, what, error.into())),
                };
                if download.have + piece.len() as u64 > download.wanted.size {
                    let expected = format!("{} bytes", download.wanted.size);
                    download.restart(advanced)?;
                    return Err(Failure::Passing(self.wrong(image, what, &expected, "more")));
                }
                download.append(&piece)?;
                advanced((piece.len() as u64).cast_signed());
            }
        }
        if download.have < download.wanted.size {
            let cut = format!("the answer ended after {} of {} bytes", download.have, download.wanted.size);
            return Err(self.passing(image, what, cut.into()));
        }
        let got = download.hasher.clone().finish();
        if got == download.wanted.digest {
            return Ok(());
        }
        let expected = download.wanted.digest.clone();
        download.restart(advanced)?;
        Err(Failure::Passing(self.wrong(image, what, &expected, &got)))
    }

    fn passing(
        &self,
        image: &ImageName,
        what: &str,
        source: Box<dyn std::error::Error + Send + Sync>,
    ) -> Failure {
        Failure::Passing(RegistryError::Failed {
            registry: self.mirrors.name(image),
            what: what.to_owned(),
            tries: 1,
            source,
        })
    }

    fn wrong(&self, image: &ImageName, what: &str, expected: &str, got: &str) -> RegistryError {
        RegistryError::WrongContent {
            registry: self.mirrors.name(image),
            what: what.to_owned(),
            expected: expected.to_owned(),
            got: got.to_owned(),
        }
    }

    /// Which failures of the client are worth another try.
    fn judge(&self, image: &ImageName, what: &str, error: OciDistributionError) -> Failure {
        if let OciDistributionError::DigestError(DigestError::VerificationError { expected, actual }) = &error
        {
            return Failure::Passing(self.wrong(image, what, expected, actual));
        }
        let (registry, what) = (self.mirrors.name(image), what.to_owned());
        match verdict(&error) {
            Verdict::NotFound => Failure::Final(RegistryError::NotFound { registry, what }),
            Verdict::Denied => Failure::Final(RegistryError::Denied { registry, what }),
            Verdict::Passing => {
                Failure::Passing(RegistryError::Failed { registry, what, tries: 1, source: error.into() })
            }
            Verdict::Final => {
                Failure::Final(RegistryError::Failed { registry, what, tries: 1, source: error.into() })
            }
        }
    }
}

/// What a failure of the client means.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    NotFound,
    Denied,
    Passing,
    Final,
}

fn verdict(error: &OciDistributionError) -> Verdict {
    use OciDistributionError as E;
    match error {
        E::ImageManifestNotFoundError(_) | E::ServerError { code: 404, .. } => Verdict::NotFound,
        E::UnauthorizedError { .. }
        | E::AuthenticationFailure(_)
        | E::ServerError { code: 401 | 403, .. } => Verdict::Denied,
        E::RegistryError { envelope, .. } => {
            let is = |codes: &[OciErrorCode]| envelope.errors.iter().any(|error| codes.contains(&error.code));
            if is(&[OciErrorCode::Toomanyrequests]) {
                Verdict::Passing
            } else if is(&[OciErrorCode::Denied, OciErrorCode::Unauthorized]) {
                Verdict::Denied
            } else if is(&[
                OciErrorCode::BlobUnknown,
                OciErrorCode::ManifestUnknown,
                OciErrorCode::ManifestBlobUnknown,
                OciErrorCode::NameUnknown,
                OciErrorCode::NotFound,
            ]) {
                Verdict::NotFound
            } else {
                Verdict::Final
            }
        }
        E::ServerError { code: 400..=407 | 409..=428 | 430..=499, .. } => Verdict::Final,
        // Connections, timeouts, 408, 429, 5xx, and content that does not match its digest.
        E::RequestError(_) | E::IoError(_) | E::ServerError { .. } | E::DigestError(_) => Verdict::Passing,
        _ => Verdict::Final,
    }
}

/// The last cause of an error, in words.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// A blob on its way: the file so far, and its hash.
struct Download {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    /// Bytes in the file.
    have: u64,
    wanted: Content,
}

impl Download {
    /// Takes up what an earlier run left.
    fn open(path: PathBuf, wanted: &Content) -> Result<Self, RegistryError> {
        let failed = |source| RegistryError::Write { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let mut hasher = Hasher::new();
        let mut have = 0;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = file.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            have += count as u64;
        }
        let mut download = Self { path, file, hasher, have, wanted: wanted.clone() };
        if have > wanted.size {
            download.clear()?;
        }
        Ok(download)
    }

    fn append(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.file
            .write_all(piece)
            .map_err(|source| Failure::Final(RegistryError::Write { path: self.path.clone(), source }))?;
        self.hasher.update(piece);
        self.have += piece.len() as u64;
        Ok(())
    }

    /// Forgets what came so far.
    fn restart(&mut self, advanced: &dyn Fn(i64)) -> Result<(), Failure> {
        advanced(-self.have.cast_signed());
        self.clear().map_err(Failure::Final)
    }

    fn clear(&mut self) -> Result<(), RegistryError> {
        self.hasher = Hasher::new();
        self.have = 0;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|source| RegistryError::Write { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_failures_are_tried_again() {
        let server =
            |code| OciDistributionError::ServerError { code, url: String::new(), message: String::new() };
        for code in [408, 429, 500, 502, 503] {
            assert_eq!(verdict(&server(code)), Verdict::Passing, "{code}");
        }
        assert_eq!(verdict(&server(404)), Verdict::NotFound);
        assert_eq!(verdict(&server(403)), Verdict::Denied);
        assert_eq!(verdict(&server(416)), Verdict::Final);
        let envelope = |text: &str| OciDistributionError::RegistryError {
            envelope: serde_json::from_str(text).unwrap(),
            url: String::new(),
        };
        assert_eq!(verdict(&envelope(r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#)), Verdict::Passing);
        assert_eq!(verdict(&envelope(r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)), Verdict::NotFound);
        assert_eq!(verdict(&envelope(r#"{"errors":[{"code":"DENIED"}]}"#)), Verdict::Denied);
    }
}
