//! The registry client with a registry behind the proxy that misbehaves: with the real one where `SEALIFT_TEST_REGISTRY`
//! names it, else with the small one of the tests.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod cache;
mod registry;
mod registry_access;
mod registry_progress;
mod registry_referrers;
mod registry_stops;
