//! An install by the installer, measured.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::memory;
use crate::demo::seat::{DEMO, Seat};
use crate::lab::Lab;
use crate::test::{INSTALL_WITHIN, InstallerRun};

/// The step that ends when all nodes are Ready.
const ALL_NODES_READY: &str = "m1.nodes";

/// What one install took.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Seconds from the verified bundle to all nodes Ready.
    pub ready: f64,
    /// Seconds of the whole run, product and acceptance tests included.
    pub whole: f64,
    /// Bytes that the seat sent.
    pub sent: u64,
    /// Peak resident memory of the installer, bytes.
    pub memory: u64,
    /// Seconds that a second run needs to find that nothing is to be done, by its own clock.
    pub second: f64,
}

/// Installs the fresh hosts of a lab, then runs the same command again.
pub fn measure(lab: &Lab, seat: &Seat<'_>) -> Result<Measured> {
    let before = lab.seat_tx_bytes()?;
    let mut run = start(seat)?;
    let memory = memory::watch(run.pid());
    let (mut verified, mut ready) = (None, None);
    while let Some(event) = run.next_event(INSTALL_WITHIN)? {
        if event["topic"] == "verify" {
            verified = Some(Instant::now());
        }
        if event["event"] == "stepFinished" && event["step"] == ALL_NODES_READY {
            ready = Some(Instant::now());
        }
    }
    let ended = run.finish(INSTALL_WITHIN)?;
    let sent_bytes = lab.seat_tx_bytes()? - before;
    let whole = ended.expect_code(0)?.seconds;
    let verified = verified.context("the installer did not say that the bundle is verified")?;
    let ready = ready.with_context(|| format!("the installer did not say that {ALL_NODES_READY} is done"))?;
    let memory = memory.join().ok().flatten().context("the installer's memory could not be read")?;
    let second = second_run(seat)?;
    let ready = (ready - verified).as_secs_f64();
    Ok(Measured { ready, whole, sent: sent_bytes, memory, second })
}

fn start(seat: &Seat<'_>) -> Result<InstallerRun> {
    InstallerRun::start(&mut seat.installer(&Seat::install_arguments(&[DEMO], &["--output=json"])))
}

fn second_run(seat: &Seat<'_>) -> Result<f64> {
    let ended = start(seat)?.finish(INSTALL_WITHIN)?;
    let done = ended.expect_code(0)?.topic("done").context("the second run has no closing words")?;
    ensure!(done["data"]["changed"] == 0, "the second run changed {} steps", done["data"]["changed"]);
    done["data"]["seconds"].as_f64().context("the second run does not say how long it took")
}
