//! Leads each operation to the code that does it.

use sealift_plan::operation::{Operation, SecretSet};

use crate::context::Context;
use crate::operation::{
    agent_program, binaries, claim, directories, fetch, index, managed_block, receive, service, site_ca,
    swap, trust, write_files,
};
use crate::protocol::{Failure, Outcome, SecretFiles};
use crate::{cluster, lock};

/// Probes, applies and verifies one operation. A step that a lost session left running is waited for.
pub fn apply(ctx: &Context<'_>, operation: &Operation, secrets: &SecretFiles) -> Result<Outcome, Failure> {
    let _turn = lock::step(ctx)?;
    match operation {
        Operation::ClaimHost { site, host } => claim::apply(ctx, site, host),
        Operation::InstallAgent { digest } => agent_program::apply(ctx, digest),
        Operation::WriteFiles { files, load_modules, apply_sysctls } => {
            write_files::apply(ctx, files, load_modules, *apply_sysctls)
        }
        Operation::ManagedBlock { path, lines } => managed_block::apply(ctx, path, lines),
        Operation::Directories { directories } => directories::apply(ctx, directories),
        Operation::SwapOff => swap::apply(ctx),
        Operation::StoreIndex { index, signature, public_key } => {
            index::apply(ctx, index, signature, public_key)
        }
        Operation::ReceiveBlobs { blobs } => receive::apply(ctx, blobs),
        Operation::FetchBlobs { blobs, sources } => fetch::apply(ctx, blobs, sources),
        Operation::InstallBinaries { binaries } => binaries::apply(ctx, binaries),
        Operation::EnsureSiteCa { site } => site_ca::ensure(ctx, site),
        Operation::InstallSiteCa { with_key, certificate_names, .. } => {
            site_ca::install(ctx, secrets, *with_key, certificate_names)
        }
        Operation::TrustAuthorities { files, program } => trust::apply(ctx, files, program),
        Operation::Service { service } => service::apply(ctx, service),
        _ => cluster::apply(ctx, operation, secrets),
    }
}

/// Hands out secrets for another host.
pub fn export(ctx: &Context<'_>, set: SecretSet, address: &str) -> Result<SecretFiles, Failure> {
    match set {
        SecretSet::SiteCa => site_ca::export(ctx),
        _ => cluster::export(ctx, set, address),
    }
}

impl Outcome {
    /// An operation that moved no bytes over a network.
    pub fn new(changed: bool, summary: impl Into<String>) -> Self {
        Self { changed, summary: summary.into(), bytes: 0, tests: Vec::new() }
    }
}
