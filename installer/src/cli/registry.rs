//! `installer registry`: a master's store as a read-only registry.

use std::net::SocketAddr;
use std::path::PathBuf;

use sealift_registry::ServeConfig;

use crate::failure::{Failure, Kind};

/// What `registry` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The store, an OCI layout.
    #[arg(long)]
    store: PathBuf,
    /// Address and port.
    #[arg(long)]
    listen: SocketAddr,
    /// Certificate, PEM.
    #[arg(long)]
    certificate: PathBuf,
    /// Its private key, PEM.
    #[arg(long)]
    key: PathBuf,
}

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { store, listen, certificate, key } = arguments;
    sealift_registry::serve(&ServeConfig { store, listen, certificate, key })
        .map_err(|error| Failure::of(Kind::Internal, &error))
}
