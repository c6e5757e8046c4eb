//! The agent's operations on this machine: the only room that changes a host.
//!
//! The seat starts this program as an agent on an SSH channel and speaks [`protocol`] with it: [`agent::serve`]
//! is the loop. A request measures the host ([`facts`]) and what it reaches ([`mesh`], [`services`]), applies one typed operation ([`apply`]), hands out
//! secrets for another host, or reads the cluster's state ([`cluster`]). Each operation is probe, apply, verify:
//! what stands already is left alone, what is replaced goes to the [`journal`] first.
//!
//! The room must not know SSH, profiles, plans or displays: it gets one operation at a time and reports by frames.
//!
//! Types in order of use: [`protocol::Request`] ▶ [`Context`] (paths, progress, journal, files) ▶
//! [`command::Command`] and [`transient::TransientUnit`] (programs) ▶ [`store::Store`] (blobs) ▶
//! [`protocol::Outcome`] or [`protocol::Failure`].

pub mod agent;
pub mod apply;
pub mod command;
mod context;
pub mod facts;
mod failure;
pub mod file;
pub mod fix;
mod inbox;
mod issue;
pub mod journal;
pub mod lend;
mod lock;
pub mod mesh;
mod operation;
mod paths;
pub mod protocol;
mod public_files;
pub mod services;
pub mod store;
pub mod transient;

pub mod cluster;

pub use context::{BlobChannel, Context, Reporter};
pub use paths::Paths;
