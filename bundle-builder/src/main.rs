//! The program: see the library's page.

use std::process::ExitCode;

fn main() -> ExitCode {
    bundle_builder::cli::main()
}
