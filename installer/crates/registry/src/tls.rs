//! TLS with a certificate that is read again when its file changes, so that a renewal needs no restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::RegistryError;

/// How often the files are looked at, at most.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, RegistryError> {
    let provider = Arc::new(ring::default_provider());
    let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
    let unusable = |source| RegistryError::Certificate { certificate: certificate.to_owned(), source };
    let current = Current { key: files.read(&provider)?, stamp: files.stamp(), looked: Instant::now() };
    let resolver = Resolver { files, provider: provider.clone(), current: Mutex::new(current) };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

type Stamp = (Option<SystemTime>, Option<SystemTime>);

impl Files {
    fn stamp(&self) -> Stamp {
        let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
        (modified(&self.certificate), modified(&self.key))
    }

    /// Both files, checked to belong together.
    fn read(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, RegistryError> {
        let text = |path: &Path| {
            std::fs::read(path).map_err(|source| RegistryError::Read { path: path.to_owned(), source })
        };
        let pem = |path: &Path| {
            let path = path.to_owned();
            move |source| RegistryError::Pem { path, source }
        };
        let chain = CertificateDer::pem_slice_iter(&text(&self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(pem(&self.certificate))?;
        let key = PrivateKeyDer::from_pem_slice(&text(&self.key)?).map_err(pem(&self.key))?;
        CertifiedKey::from_der(chain, key, provider)
            .map(Arc::new)
            .map_err(|source| RegistryError::Certificate { certificate: self.certificate.clone(), source })
    }
}

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    stamp: Stamp,
    looked: Instant,
}

#[derive(Debug)]
struct Resolver {
    files: Files,
    provider: Arc<CryptoProvider>,
    current: Mutex<Current>,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= INTERVAL {
            current.looked = Instant::now();
            let stamp = self.files.stamp();
            if stamp != current.stamp {
                match self.files.read(&self.provider) {
                    Ok(key) => (current.key, current.stamp) = (key, stamp),
                    // Between the writing of the two files they do not match: the old pair serves on.
                    Err(error) => tracing::warn!(%error, "kept the certificate"),
                }
            }
        }
        Some(current.key.clone())
    }
}
