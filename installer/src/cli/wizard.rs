//! `installer wizard`: asks for a whole site profile, page by page. Looks at hosts only where that is asked for.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sealift_profile::{Circumstances, MAX_FILE_BYTES, ProfileError, ProfileFinding};
use sealift_wizard::plain::{self, Ended, Lines, Reason, World};
use sealift_wizard::{Effect, Loaded, Message, PageId, Start, Trouble};
use serde_json::json;

use super::report::Tongue;
use crate::failure::{Failure, Kind};
use crate::output::{Output, print, say};
use crate::profiles::{check_ids, load_partly};
use crate::trust::Trust;
use crate::written::{write, write_new};

mod look;

/// Largest text file that an answer may name, bytes.
const MOST_TEXT: u64 = 256 << 10;
/// Longest line that is read, bytes; what is longer comes as several.
const MOST_LINE: u64 = 64 << 10;

/// What `wizard` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Ask in numbered lines and draw nothing: for screen readers, serial lines and pipes.
    #[arg(long)]
    plain: bool,
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
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if !(arguments.plain || terminal) {
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
    };
    let mut lines = StandardLines { terminal: io::stdin().is_terminal() };
    let mut seat = Seat { trust: arguments.trust.clone(), output };
    let ended = plain::run(start, &mut lines, &mut seat).map_err(|error| {
        let failure = Failure::new(Kind::Internal, "a line could not be read or written");
        Failure { causes: vec![error.to_string()], ..failure }
            .hint("answers of pages that were left are in the profile")
    })?;
    end(&ended, output)
}

/// The last words, and whether it came to an end.
fn end(ended: &Ended, output: Output) -> Result<(), Failure> {
    let (model, words) = (&ended.model, ended.model.words());
    let file = model.file().display().to_string();
    let places = [("file", file.as_str())];
    let kept = model.can_save() && !model.is_unsaved() && model.file().exists();
    match ended.reason {
        Reason::InputEnded if model.page() != PageId::Finish => {
            let key = if kept { "plain.ended" } else { "plain.ended.unsaved" };
            let failure = Failure::new(Kind::Usage, words.fill(key, &places));
            let hint = format!("installer wizard --plain --profile {file}");
            Err(if kept { failure.hint(hint) } else { failure })
        }
        Reason::Quit => {
            let key = match (kept, model.is_unsaved() || !model.can_save()) {
                (true, _) => "plain.quit",
                (false, true) => "plain.quit.unsaved",
                (false, false) => "plain.quit.nothing",
            };
            say(&words.fill(key, &places));
            Ok(())
        }
        Reason::Finished | Reason::InputEnded => {
            output.line("profile", &words.fill("finish.saved", &places), &json!({"file": file}));
            Ok(())
        }
    }
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
        print(prompt);
        io::stdout().flush()?;
        let mut bytes = Vec::new();
        io::stdin().lock().take(MOST_LINE).read_until(b'\n', &mut bytes)?;
        if !self.terminal || bytes.is_empty() {
            say("");
        }
        let line = String::from_utf8_lossy(&bytes);
        Ok((!bytes.is_empty()).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

/// This machine, as the wizard needs it.
struct Seat {
    trust: Trust,
    output: Output,
}

impl World for Seat {
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
            Effect::Check { serial, file, bundle } => {
                let outcome = look::check(&self.prepare(file, bundle), self.output).map_err(trouble);
                Message::Checked { serial, outcome }
            }
            Effect::Plan { serial, file, bundle } => {
                let outcome = look::plan(&self.prepare(file, bundle), self.output).map_err(trouble);
                Message::Planned { serial, outcome }
            }
            Effect::End => return None,
        })
    }
}

impl Seat {
    fn prepare(&self, file: PathBuf, bundle: PathBuf) -> super::prepare::Arguments {
        super::prepare::Arguments { bundle, profile: vec![file], trust: self.trust.clone() }
    }
}

fn trouble(failure: Failure) -> Trouble {
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
    let path = match file.strip_prefix("~/") {
        Some(rest) => Path::new(&std::env::var_os("HOME").unwrap_or_default()).join(rest),
        None => PathBuf::from(file),
    };
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
