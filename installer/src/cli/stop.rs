//! `installer stop`: asks a run that goes on, in whichever process, to stop safely.

use std::time::Duration;

use sealift_events::picture::Standing;
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::runs::{Which, ask_to_stop, in_words};
use crate::watch::Viewer;

/// What `stop` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let run = arguments.which.find()?;
    let picture = Viewer::open(&run)?.picture(Duration::ZERO)?;
    let refused = |message: String| Failure::new(Kind::Usage, message);
    let name = &run.name;
    match Standing::of(&picture) {
        Standing::GoesOn if picture.steps > 0 && picture.done == picture.steps => {
            Err(refused(format!("the run {name} has done all its steps: there is nothing left to stop")))
        }
        Standing::GoesOn => {
            ask_to_stop(&run)?;
            let text = format!(
                "{name} stops as soon as what it is doing has ended; the same install command goes on where it stopped"
            );
            output.line("stop", &text, &json!({"run": name}));
            output.remark("          `installer attach` shows it until then");
            Ok(())
        }
        Standing::Done => Err(refused(format!("the run {name} does not go on: it has ended well"))),
        ended => {
            let failure = refused(format!("the run {name} does not go on: {}", in_words(ended)));
            Err(failure.hint("the same install command goes on where it stopped"))
        }
    }
}
