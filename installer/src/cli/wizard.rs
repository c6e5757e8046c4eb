//! `installer wizard`: asks for a whole site profile, page by page. Hosts are looked at only where that is asked for, and
//! tried where the page of hosts is left and it is known how to log in.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use sealift_events::RunResult;
use sealift_profile::Circumstances;
use sealift_wizard::plain::{self, Ended, Lines, Reason, World as _};
use sealift_wizard::{PageId, Start};
use serde_json::json;

use self::memory::Memory;
use self::run::Watching;
use self::seat::Seat;
use super::report::Tongue;
use crate::failure::{Failure, Kind};
use crate::output::{Output, say};
use crate::profiles::check_ids;
use crate::runs::RUNS;
use crate::site::ask;
use crate::trust::Trust;
use crate::tui::{self, Over, Perform, Surroundings, Wanted, Way};

mod look;
mod memory;
mod reach;
mod run;
mod seat;

/// Longest line that is read, bytes; what is longer comes as several.
const MOST_LINE: u64 = 64 << 10;

/// What `wizard` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Ask in numbered lines and draw nothing: for screen readers, serial lines and pipes.
    #[arg(long)]
    plain: bool,
    /// Draw with plain letters alone; chosen by itself where the terminal or the locale knows no others.
    #[arg(long, conflicts_with = "plain")]
    ascii: bool,
    /// Draw without colours; chosen by itself where the terminal has none, or where `NO_COLOR` is set.
    #[arg(long, conflicts_with = "plain")]
    no_color: bool,
    /// The site profile to write; one that is there is opened.
    #[arg(long, value_name = "FILE", default_value = "site.yaml")]
    profile: PathBuf,
    /// The bundle: for the product's own questions, the sizing and the checks.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    /// Language of the first page; another can be chosen there.
    #[arg(long, value_enum, default_value = "en")]
    language: Tongue,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    if output == Output::Json {
        let failure = Failure::new(Kind::Usage, "the wizard speaks with people and not in JSON");
        return Err(
            failure.hint("leave `--output json` out, or write the profile with `installer profile init`")
        );
    }
    let wanted = Wanted { plain: arguments.plain, ascii: arguments.ascii, no_colour: arguments.no_color };
    let way = tui::choose(wanted, &Surroundings::here());
    if !(arguments.plain || on_terminal()) {
        let failure = Failure::new(Kind::Usage, "there is no terminal to draw the wizard on");
        return Err(failure.hint(
            "start it with `--plain`: it asks in lines, which also works over a pipe or a serial line",
        ));
    }
    let start = Start {
        language: arguments.language.into(),
        today: Circumstances::now().today,
        checks: check_ids(),
        file: arguments.profile.clone(),
        bundle: arguments.bundle.clone(),
        trust: arguments.trust.words(),
        runs: PathBuf::from(RUNS),
    };
    match way {
        Way::Plain => ask_in_lines(start, arguments, output),
        Way::Drawn(display) => {
            let trust = arguments.trust.clone();
            let (memory, watching) = (Memory::default(), Watching::default());
            let perform: Perform = Arc::new(move |effect, ask| {
                // Nothing but the drawing may speak.
                let (output, memory, watching) = (Output::Quiet, &memory, &watching);
                Seat { trust: &trust, output, ask, memory, watching }.perform(effect)
            });
            match tui::run(start, display, perform).map_err(|error| broken(&error))? {
                Over::Ended(ended) => end(&ended, "draw", output),
                Over::Signal(signal, ended) => end_by_signal(signal, &ended, output),
            }
        }
    }
}

/// Whether somebody sits at a terminal.
pub(super) fn on_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

fn ask_in_lines(start: Start, arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let mut lines = StandardLines { terminal: io::stdin().is_terminal() };
    let (memory, watching) = (Memory::default(), Watching::default());
    let mut seat = Seat { trust: &arguments.trust, output, ask: &ask, memory: &memory, watching: &watching };
    let ended = plain::run(start, &mut lines, &mut seat).map_err(|error| broken(&error))?;
    end(&ended, "plain", output)
}

fn broken(error: &io::Error) -> Failure {
    let failure = Failure::new(Kind::Internal, "the terminal could not be read or written");
    Failure { causes: vec![error.to_string()], ..failure }
        .hint("answers of pages that were left are in the profile")
}

/// Says where the answers are, and ends as the signal asked for.
fn end_by_signal(signal: i32, ended: &Ended, output: Output) -> Result<(), Failure> {
    let asked = Ended { model: ended.model.clone(), reason: Reason::Quit };
    end(&asked, "draw", output)?;
    signal_hook::low_level::emulate_default_handler(signal).map_err(|error| broken(&error))
}

/// The last words, of this front end's table, and whether it came to an end.
fn end(ended: &Ended, front: &str, output: Output) -> Result<(), Failure> {
    let (model, words) = (&ended.model, ended.model.words());
    let file = model.file().display().to_string();
    let places = [("file", file.as_str())];
    let kept = model.can_save() && !model.is_unsaved() && model.file().exists();
    if let Some(run) = model.run_that_goes_on() {
        say(&words.fill("end.run", &[("run", run)]));
    }
    match ended.reason {
        Reason::InputEnded if model.page() == PageId::Install => end_at_run(ended),
        Reason::InputEnded if !model.is_complete() => {
            let key = if kept { "plain.ended" } else { "plain.ended.unsaved" };
            let failure = Failure::new(Kind::Usage, words.fill(key, &places));
            let hint = format!("installer wizard --plain --profile {file}");
            Err(if kept { failure.hint(hint) } else { failure })
        }
        Reason::Quit => {
            let key = match (kept, model.is_unsaved() || !model.can_save()) {
                (true, _) => format!("{front}.quit"),
                (false, true) => "plain.quit.unsaved".to_owned(),
                (false, false) => "plain.quit.nothing".to_owned(),
            };
            say(&words.fill(&key, &places));
            Ok(())
        }
        Reason::Finished | Reason::InputEnded => {
            output.line("profile", &words.fill("finish.saved", &places), &json!({"file": file}));
            Ok(())
        }
    }
}

/// Nobody answers any more on the page of a run: its end is that of the wizard.
fn end_at_run(ended: &Ended) -> Result<(), Failure> {
    let (model, words) = (&ended.model, ended.model.words());
    let Some(picture) = model.picture().filter(|picture| !picture.goes_on) else { return Ok(()) };
    if picture.result == Some(RunResult::Done) {
        return Ok(());
    }
    let file = model.file().display().to_string();
    Err(Failure::new(Kind::Run, words.fill("plain.run.failed", &[("run", &picture.run), ("file", &file)])))
}

/// Standard input and output.
struct StandardLines {
    /// Whether what is typed is seen behind its prompt.
    terminal: bool,
}

impl Lines for StandardLines {
    fn say(&mut self, line: &str) -> io::Result<()> {
        say(line);
        Ok(())
    }

    fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        let mut out = io::stdout();
        out.write_all(prompt.as_bytes())?;
        out.flush()?;
        let mut bytes = Vec::new();
        io::stdin().lock().take(MOST_LINE).read_until(b'\n', &mut bytes)?;
        if !self.terminal || bytes.is_empty() {
            say("");
        }
        let line = String::from_utf8_lossy(&bytes);
        Ok((!bytes.is_empty()).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
    }
}
