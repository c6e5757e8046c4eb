//! What a registry has a part in: with the real one where `SEALIFT_TEST_REGISTRY` names it, else with the small one of the
//! tests. The client and the builds have it behind the proxy that misbehaves.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/cyclonedx.rs"]
mod cyclonedx;
#[path = "../support/mod.rs"]
mod support;

mod cache;
mod registry;
mod registry_access;
mod registry_progress;
mod registry_referrers;
mod registry_stops;
mod sources;
mod sources_signed;
