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
mod fetch;
mod full_disk;
mod gate;
mod guide;
mod halfway;
mod help;
mod init;
mod inspect;
mod parts;
mod password;
mod sbom;
mod sources;
mod sources_login;
mod streams;
mod trust;
