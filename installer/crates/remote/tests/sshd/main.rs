//! The room against a real OpenSSH server, real accounts and real sudo, on loopback. Needs root.

mod bastion;
mod conversation;
mod fixture;
mod host_keys;
mod login;
mod sudo;
mod upload;
mod visit;
