//! A run in lines: only what is new, and a sentence where nothing was new for some seconds; and the log that is asked
//! for.

use std::io;

use sealift_events::picture::{RunPicture, clock};

use super::session::Session;
use crate::log::LogFilter;
use crate::screen::{Progress, Row};
use crate::words::Words;

/// Milliseconds without a line after which it is said where the run stands.
const QUIET: u64 = 5000;
/// Most lines that are said of what had happened before.
const BEFORE: usize = 6;
/// Most hosts in one sentence of where the run stands.
const HOSTS: usize = 6;

/// What was said of a run.
#[derive(Debug, Default)]
pub(super) struct Followed {
    run: String,
    /// Lines of its log.
    lines: usize,
    /// Milliseconds of the run when something was said last.
    at: u64,
}

impl Followed {
    /// What is to be said of a run as it is now.
    pub(super) fn news(&mut self, picture: &RunPicture, rows: &[Row], words: Words) -> Vec<String> {
        if self.run != picture.run {
            let before =
                if picture.goes_on { picture.log.len().saturating_sub(BEFORE) } else { picture.log.len() };
            *self = Self { run: picture.run.clone(), lines: before, at: 0 };
        }
        let new = picture.log.get(self.lines..).unwrap_or_default();
        self.lines = picture.log.len();
        let mut said: Vec<String> = new
            .iter()
            .map(|line| {
                let host = line.host.as_deref().map(|host| format!("{host}: ")).unwrap_or_default();
                format!("{} {host}{}", clock(line.at_millis), line.text)
            })
            .collect();
        if said.is_empty() && picture.goes_on && picture.elapsed_millis >= self.at + QUIET {
            said = standing(picture, rows, words);
        }
        if !said.is_empty() {
            self.at = picture.elapsed_millis;
        }
        said
    }
}

/// Where a run stands: all of it, what should be looked at, and the hosts that are at work.
fn standing(picture: &RunPicture, rows: &[Row], words: Words) -> Vec<String> {
    let places = [
        ("done", &*picture.done.to_string()),
        ("steps", &*picture.steps.to_string()),
        ("elapsed", &clock(picture.elapsed_millis)),
    ];
    let mut said = vec![words.fill("plain.progress", &places)];
    said.extend(
        rows.iter().filter_map(|row| if let Row::Warning(text) = row { Some(text.clone()) } else { None }),
    );
    let at_work = |progress: &&Progress| {
        picture.hosts.iter().any(|host| host.name == progress.name && !host.running.is_empty())
    };
    let hosts =
        rows.iter().filter_map(|row| if let Row::Progress(progress) = row { Some(progress) } else { None });
    said.extend(hosts.filter(at_work).take(HOSTS).map(|progress| sentence(progress, words)));
    said
}

/// How far something is, as it is read aloud.
pub(super) fn sentence(progress: &Progress, words: Words) -> String {
    let name = match progress.role.as_str() {
        "" => progress.name.clone(),
        role => format!("{} ({role})", progress.name),
    };
    let key = if progress.total == 0 { "plain.host.noSteps" } else { "plain.host" };
    let places = [
        ("name", name.as_str()),
        ("done", &progress.done.to_string()),
        ("total", &progress.total.to_string()),
        ("text", &progress.text),
    ];
    words.fill(key, &places)
}

impl Session<'_> {
    /// What has happened last in the run that the page is about.
    pub(super) fn end_of_log(&mut self, log: &[String]) -> io::Result<()> {
        let last = &log[log.len().saturating_sub(BEFORE)..];
        if last.is_empty() {
            return Ok(());
        }
        let heading = Row::Heading(self.words().text("run.log"));
        self.rows(&[heading, Row::Log(last.to_vec())])
    }

    /// The lines of the log that somebody asks for, and how many of how many they are.
    pub(super) fn log(&mut self, text: String, troubles: bool) -> io::Result<()> {
        let found = self.model.log(&LogFilter { host: None, text, troubles });
        found.lines.iter().try_for_each(|line| self.say(line))?;
        let places = [("shown", &*found.lines.len().to_string()), ("count", &found.of.to_string())];
        self.say(&self.words().fill("log.count", &places))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;
    use sealift_events::picture::LogLine;

    fn said(followed: &mut Followed, picture: &RunPicture) -> Vec<String> {
        followed.news(picture, &[], Words::of(Language::English))
    }

    #[test]
    fn each_line_is_said_once_and_silence_is_filled() {
        let line = |at_millis, text: &str| LogLine { at_millis, text: text.to_owned(), ..LogLine::default() };
        let mut picture =
            RunPicture { run: "r".to_owned(), goes_on: true, steps: 9, ..RunPicture::default() };
        let mut followed = Followed::default();
        picture.log = (0..9).map(|n| line(n, "before")).collect();
        assert_eq!(said(&mut followed, &picture).len(), BEFORE);
        picture.log.push(line(1000, "one"));
        picture.elapsed_millis = 1000;
        assert_eq!(said(&mut followed, &picture), ["00:01 one"]);
        picture.elapsed_millis = 5000;
        assert_eq!(said(&mut followed, &picture).len(), 0);
        picture.elapsed_millis = 6000;
        assert_eq!(said(&mut followed, &picture), ["0 of 9 steps done after 00:06"]);
        picture.elapsed_millis = 7000;
        assert_eq!(said(&mut followed, &picture).len(), 0);
        // A run that has ended long ago is shown by its page.
        picture.goes_on = false;
        assert_eq!(said(&mut Followed::default(), &picture).len(), 0);
    }
}
