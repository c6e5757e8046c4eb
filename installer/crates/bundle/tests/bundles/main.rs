//! Whole bundles: written, read, refused, split, mended, carried as a difference, and read by other programs.
#![allow(clippy::unwrap_used, reason = "all of this is test")]

mod common;
mod delta;
mod foreign_tools;
mod fuzz;
mod recarry;
mod refusals;
mod repair;
mod round_trip;
mod split;
