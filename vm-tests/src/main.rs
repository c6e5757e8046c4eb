//! `cargo xtask`: the lab, the payload, the demo and the tests that use real hosts.
//!
//! A front end: it may print. What it shows of the product it learns by running the product's programs.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod bundle;
mod cache;
mod cli;
mod cluster;
mod database;
mod demo;
mod fuzz;
mod issuer;
mod lab;
mod payload;
mod programs;
mod receiver;
mod scenarios;
mod stage;
mod system;
mod terminal;
mod test;
mod wait;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
