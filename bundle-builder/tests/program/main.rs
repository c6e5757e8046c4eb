//! What needs no real registry: the program as a vendor runs it, and its rooms, with the small registry of the tests. One
//! test program for all of it, since each would compile that registry and link everything anew.

// Helpers of tests fail by panicking, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/cyclonedx.rs"]
mod cyclonedx;
#[path = "../support/helm.rs"]
mod helm;
#[path = "../support/mod.rs"]
mod support;

mod build;
mod carry;
mod charts;
mod corpus;
mod delta;
mod gate;
mod guide;
mod help;
mod init;
mod inspect;
mod parts;
mod sbom;
mod sources;
mod sources_login;
mod sources_signed;
mod trust;
