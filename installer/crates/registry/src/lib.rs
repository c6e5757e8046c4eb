//! A read-only OCI registry over a store: what every master serves, so that nodes pull images under their own names.
//!
//! It speaks the pull half of the OCI distribution specification over TLS: `GET` and `HEAD` of `/v2/`, manifests by
//! tag or digest, tags of a name, blobs by digest with single ranges. Names come from the store's `index.json`, which is read again
//! when it changes; so does the certificate. A mirror request (`?ns=registry.k8s.io`) finds the upstream name. Blobs
//! are served under any name: the digest says what they are.
//!
//! The room must not know bundles' signatures, sites or SSH, and never writes. Async stays inside.
//!
//! Types in order of use: [`ServeConfig`] ▶ [`serve`], or [`Registry::start`] ▶ [`Registry::address`].

mod http;
mod index;
mod range;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a client may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What to serve, where and as whom.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// An OCI layout folder; may be filled while it is served.
    pub store: PathBuf,
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Certificate chain, PEM. Read again when it changes.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Why a registry cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The address is taken, or not one of this host's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Certificate or key cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificate or key is not PEM of the right sort.
    #[error("{} is not usable", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not belong together, or are of a sort that TLS cannot use.
    #[error("certificate and key {} cannot be used", certificate.display())]
    Certificate {
        /// The certificate.
        certificate: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// No threads, no event loop.
    #[error("cannot start serving")]
    Runtime(#[source] io::Error),
}

/// Serves until the process ends.
pub fn serve(config: &ServeConfig) -> Result<(), RegistryError> {
    let registry = Registry::start(config)?;
    tracing::info!(address = %registry.address, store = %config.store.display(), "serving");
    registry.runtime.block_on(registry.done).map_err(|error| RegistryError::Runtime(error.into()))
}

/// A registry at work on threads of its own; dropping it ends it.
#[derive(Debug)]
pub struct Registry {
    runtime: Runtime,
    address: SocketAddr,
    done: tokio::task::JoinHandle<()>,
}

impl Registry {
    /// Starts serving.
    pub fn start(config: &ServeConfig) -> Result<Self, RegistryError> {
        let acceptor = TlsAcceptor::from(tls::server_config(&config.certificate, &config.key)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("registry")
            .build()
            .map_err(RegistryError::Runtime)?;
        let listen = |source| RegistryError::Listen { address: config.listen, source };
        let listener = runtime.block_on(TcpListener::bind(config.listen)).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let store = Arc::new(index::Store::new(config.store.clone()));
        let done = runtime.spawn(async move {
            let (sender, connections) = mpsc::channel(64);
            tokio::spawn(accept(listener, acceptor, sender));
            // Its own loop never fails; single connections do, and are their clients' matter.
            if let Err(error) = axum::serve(TlsListener { connections, address }, http::service(store)).await
            {
                tracing::error!(%error, "stopped serving");
            }
        });
        Ok(Self { runtime, address, done })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

type Connection = (TlsStream<tokio::net::TcpStream>, SocketAddr);

/// Takes connections; each does its handshake on a task of its own, so that a slow client keeps nobody waiting.
async fn accept(listener: TcpListener, acceptor: TlsAcceptor, sender: mpsc::Sender<Connection>) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: better soon than never.
                tracing::warn!(%error, "cannot take a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        tokio::spawn(async move {
            // Only a matter of speed.
            let _ = stream.set_nodelay(true);
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                // The receiver has gone when the registry ends.
                Ok(Ok(stream)) => drop(sender.send((stream, peer)).await),
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            }
        });
    }
}

/// Connections that are through their handshake.
struct TlsListener {
    connections: mpsc::Receiver<Connection>,
    address: SocketAddr,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<tokio::net::TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            // The accepting task has gone with the runtime: nothing comes any more.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}
