//! One short command over a connection, with input where it takes some.

use std::io::Read;

use crate::connection::Connection;
use crate::error::{LostCause, RemoteError};
use crate::shell::{Output, Script};
use crate::wire::{Outgoing, Wire};

/// Bytes written at a time.
const CHUNK: usize = 256 << 10;

/// How a script ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why a command did not come to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    Remote(RemoteError),
    /// The input could not be read on the seat.
    Input(std::io::Error),
}

impl From<RemoteError> for Broken {
    fn from(error: RemoteError) -> Self {
        Self::Remote(error)
    }
}

/// Runs a script without input.
pub(crate) fn run(
    connection: &Connection,
    script: &str,
    doing: &'static str,
) -> Result<Finished, RemoteError> {
    match feed(connection, script, &mut std::io::empty(), doing) {
        Ok(finished) => Ok(finished),
        Err(Broken::Remote(error)) => Err(error),
        Err(Broken::Input(error)) => Err(connection.lost(doing, LostCause::Connection(error.to_string()))),
    }
}

/// Runs a script and feeds it `input`.
pub(crate) fn feed(
    connection: &Connection,
    script: &str,
    input: &mut dyn Read,
    doing: &'static str,
) -> Result<Finished, Broken> {
    let script = Script::new(script);
    let mut wire = Wire::new(connection.execute(script.command(), doing)?);
    let mut more = true;
    while !wire.ended {
        if more && !wire.sending() {
            let mut chunk = Vec::with_capacity(CHUNK);
            (&mut *input).take(CHUNK as u64).read_to_end(&mut chunk).map_err(Broken::Input)?;
            if chunk.is_empty() {
                more = false;
                wire.end_input(connection, doing)?;
            } else {
                wire.send(Outgoing::Plain(chunk));
            }
        }
        wire.turn(connection, true).map_err(|cause| connection.lost(doing, cause))?;
        let limit = connection.timeouts.command;
        if wire.idle >= limit {
            return Err(RemoteError::TimedOut { peer: connection.peer.clone(), doing, after: limit }.into());
        }
    }
    let stderr = wire.stderr.text();
    let output = script.read(&wire.stdout);
    let printed = String::from_utf8_lossy(&wire.stdout).trim().to_owned();
    let end = wire.end(connection);
    match output {
        Output::Ran(status, stdout) => Ok(Finished { status, stdout, stderr }),
        Output::CutOff => Err(connection.lost(doing, end).into()),
        Output::NeverRan => {
            let said_text = if printed.is_empty() { stderr } else { printed };
            let (peer, user) = (connection.peer.clone(), connection.user.clone());
            Err(RemoteError::NoShell { peer, user, said_text }.into())
        }
    }
}
