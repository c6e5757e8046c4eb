//! The operations on the host itself, one file each: probe, apply, verify. `revert` takes back what a journal records.

pub(crate) mod agent_program;
pub(crate) mod binaries;
pub(crate) mod claim;
pub(crate) mod directories;
pub(crate) mod fetch;
pub(crate) mod index;
pub(crate) mod managed_block;
pub(crate) mod receive;
pub(crate) mod revert;
pub(crate) mod service;
pub(crate) mod site_ca;
pub(crate) mod stamp;
pub(crate) mod swap;
pub(crate) mod trust;
pub(crate) mod write_files;
