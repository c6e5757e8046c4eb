//! `installer check`: connects, probes, checks; changes nothing.

use super::prepare::{Arguments, Prepared, nothing_changed};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let prepared = Prepared::new(arguments, output)?;
    let result = prepared.check(output);
    prepared.sessions.close();
    result?;
    nothing_changed(output);
    Ok(())
}
