//! From the seat to an agent on a host: SSH, host keys, login, bastion, sudo, upload, and the typed conversation.
//!
//! Everything else speaks to a host only through [`AgentSession::call`]; no other room knows SSH, and this room knows
//! nothing of plans, profiles or what the requests mean. It never prints and never asks a person.
//!
//! In order of use:
//!
//! - [`Target`] says how one host is reached, [`HostKeys`] which keys it may show, [`Timeouts`] how long to wait;
//! - [`AgentProgram`] is the program to run there;
//! - [`AgentSession::connect`] logs in, brings the program over where it is missing, and starts it as root;
//! - [`AgentSession::call`] asks and answers, streaming blobs from a [`BlobSource`];
//! - [`look`] and [`visit`] only ask at the door: which key a host shows, and whether it lets the user in;
//! - [`RemoteError`] and [`CallError`] name the host, the address and the cause.
//!
//! Inside, `connection` owns the SSH session and the rules for using it without blocking, `hop` leads one session
//! through another, `wire` moves bytes of one channel in both directions, `command` runs one short shell script, and
//! `upload` brings the program over, to the first host that lacks it; `lenders` makes the others take it from there.

mod command;
mod connection;
mod error;
mod frames;
mod hop;
mod host_keys;
mod launch;
mod lenders;
mod login;
mod quote;
mod session;
mod shell;
mod target;
mod upload;
mod visit;
mod wire;

pub use error::{CallError, FolderRefusal, LostCause, RemoteError};
pub use host_keys::{HostKey, HostKeys};
pub use lenders::Lenders;
pub use quote::quote;
pub use session::{AgentSession, BlobSource, Closer};
pub use target::{AgentProgram, Peer, Target, Timeouts};
pub use visit::{Account, Visit, look, visit};
