//! This machine, as the wizard needs it: files, bundles, and a look at the hosts.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_profile::{MAX_FILE_BYTES, ProfileError, ProfileFinding};
use sealift_remote::Timeouts;
use sealift_wizard::plain::World;
use sealift_wizard::{Effect, Loaded, Message, Trouble};

use super::look;
use super::memory::Memory;
use super::reach::Door;
use super::run::{self, Watching};
use crate::cli::prepare;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::profiles::load_partly;
use crate::seat::written_path;
use crate::trust::Trust;
use crate::tui::Ask;
use crate::written::{write, write_new};

/// Largest text file that an answer may name, bytes.
const MOST_TEXT: u64 = 256 << 10;

/// This machine, as the wizard needs it.
pub(super) struct Seat<'a> {
    pub(super) trust: &'a Trust,
    pub(super) output: Output,
    /// How passwords are asked for.
    pub(super) ask: Ask<'a>,
    pub(super) watching: &'a Watching,
    /// What somebody typed before.
    pub(super) memory: &'a Memory,
}

impl World for Seat<'_> {
    fn perform(&mut self, effect: Effect) -> Option<Message> {
        Some(match effect {
            Effect::Save { file, text } => Message::Saved(save(&file, &text).map_err(trouble)),
            Effect::Load { file } => Message::Loaded(load(&file)),
            Effect::OpenBundle { file } => {
                let bundle = self.trust.open(&file, self.output);
                let outcome = bundle.map(|bundle| Arc::new(bundle.document().clone())).map_err(trouble);
                Message::BundleOpened { file, outcome }
            }
            Effect::ReadText { field, file } => {
                Message::TextRead { field, text: read_small(&file, MOST_TEXT).map_err(trouble) }
            }
            Effect::ReadHosts { file } => {
                Message::HostsRead(read_small(&file, MAX_FILE_BYTES).map_err(trouble))
            }
            Effect::Size { serial, document, site } => {
                let outcome = sealift_wizard::size(&document, &site).map(Box::new);
                Message::Sized { serial, outcome: outcome.map_err(|error| trouble(error.into())) }
            }
            Effect::Reach { serial, host, site } => self.door().try_host(serial, host, &site),
            Effect::Check { serial, file, bundle } => {
                let outcome =
                    self.remembering(|ask| look::check(&self.prepare(file, bundle), self.output, ask));
                Message::Checked { serial, outcome }
            }
            Effect::Plan { serial, file, bundle, keep } => {
                let arguments = self.prepare(file, bundle);
                let outcome = self.remembering(|ask| look::plan(&arguments, &keep, self.output, ask));
                Message::Planned { serial, outcome }
            }
            Effect::FindRuns => Message::RunsFound(run::find()),
            Effect::Install { serial, file, bundle, agreed } => {
                let arguments = self.prepare(file, bundle);
                let outcome = self.remembering(|ask| run::begin(arguments, agreed, ask));
                Message::InstallBegun { serial, outcome }
            }
            Effect::Watch { run } => {
                let outcome = self.watching.look(&run).map_err(trouble);
                Message::Watched { run, outcome }
            }
            Effect::StopRun { run } => {
                let outcome = run::stop(&run).map_err(trouble);
                Message::StopAsked { run, outcome }
            }
            Effect::Report { serial, run, file, bundle, language } => {
                let outcome = run::hand_over(self.prepare(file, bundle), &run, language).map_err(trouble);
                Message::Reported { serial, outcome }
            }
            Effect::Fix { serial, file, bundle, wishes } => {
                let arguments = self.prepare(file, bundle);
                let outcome = self.remembering(|ask| look::fix(&arguments, self.output, ask, &wishes));
                Message::Fixed { serial, outcome }
            }
            Effect::End => return None,
        })
    }

    /// Hosts are what does not wait for each other.
    fn perform_together(&mut self, effects: Vec<Effect>) -> Vec<Message> {
        self.door().try_together(effects)
    }
}

impl Seat<'_> {
    /// Does work that asks for passwords: what was typed already is not asked for again, unless a host refuses it.
    fn remembering<T>(&self, work: impl FnOnce(Ask<'_>) -> Result<T, Failure>) -> Result<T, Trouble> {
        let recall = |label: &str| self.memory.recall(label, self.ask);
        work(&recall).map_err(|failure| {
            if failure.kind == Kind::Checks {
                self.memory.forget();
            }
            trouble(failure)
        })
    }

    fn door(&self) -> Door<'_> {
        Door { memory: self.memory, ask: self.ask, timeouts: Timeouts::default() }
    }

    fn prepare(&self, file: PathBuf, bundle: PathBuf) -> prepare::Arguments {
        prepare::Arguments { bundle, profile: vec![file], trust: self.trust.clone() }
    }
}

pub(super) fn trouble(failure: Failure) -> Trouble {
    let causes = failure.causes.into_iter().chain(failure.log).collect();
    Trouble { message: failure.message, causes, remedies: failure.hints }
}

/// A profile that somebody wrote with remarks keeps them in a copy: the wizard writes none. What a reader finds wrong.
fn save(file: &Path, text: &str) -> Result<Vec<ProfileFinding>, Failure> {
    let before = std::fs::read_to_string(file).unwrap_or_default();
    if before.lines().any(|line| line.trim_start().starts_with('#')) {
        let mut copy = file.as_os_str().to_owned();
        copy.push(".before-wizard");
        let copy = PathBuf::from(copy);
        if !copy.exists() {
            write_new(&copy, before.as_bytes(), 0o600)?;
        }
    }
    write(file, text)?;
    match load_partly(&[file.to_owned()]) {
        Ok(_) => Ok(Vec::new()),
        Err(ProfileError::Invalid(invalid)) => Ok(invalid.findings),
        Err(error) => Err(error.into()),
    }
}

fn load(file: &Path) -> Loaded {
    if matches!(file.try_exists(), Ok(false)) {
        return Loaded::New;
    }
    match read_small(&file.display().to_string(), MAX_FILE_BYTES) {
        Ok(text) => Loaded::There(text),
        Err(failure) => Loaded::Failed(trouble(failure)),
    }
}

/// A text file; `~/` is the home of the caller.
fn read_small(file: &str, most: u64) -> Result<String, Failure> {
    let path = written_path(file);
    let failed = |cause: String| {
        let failure = Failure::new(Kind::Usage, format!("{} cannot be read", path.display()));
        Failure { causes: vec![cause], ..failure }.hint("name a text file that you may read")
    };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(&path).map_err(|error| failed(error.to_string()))?;
    opened.take(most + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > most {
        return Err(failed(format!("it is larger than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))
}
