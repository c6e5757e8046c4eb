//! Operations on the cluster: images, kubeadm, gates, releases.

use sealift_plan::operation::{Operation, SecretSet};

use crate::context::Context;
use crate::protocol::{ClusterState, Failure, Outcome, SecretFiles};

pub(crate) fn apply(
    _ctx: &Context<'_>,
    _operation: &Operation,
    _secrets: &SecretFiles,
) -> Result<Outcome, Failure> {
    Err(Failure::other("this agent has no cluster operations"))
}

pub(crate) fn export(_ctx: &Context<'_>, _set: SecretSet, _address: &str) -> Result<SecretFiles, Failure> {
    Err(Failure::other("this agent has no cluster operations"))
}

pub(crate) fn state(_ctx: &Context<'_>) -> Result<ClusterState, Failure> {
    Err(Failure::other("this agent has no cluster operations"))
}
