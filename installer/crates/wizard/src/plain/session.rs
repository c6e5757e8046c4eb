//! The way through the pages.

use std::collections::{BTreeSet, VecDeque};
use std::io;

use super::World;
use super::command::Command;
use super::follow::{Followed, sentence};
use super::lines::Lines;
use crate::effect::{Effect, Message};
use crate::model::{Model, Start};
use crate::page::PageId;
use crate::part::Part;
use crate::screen::{FieldView, Row, Screen, Verdict};
use crate::update::update;
use crate::view::view;
use crate::width;
use crate::words::Words;

/// Columns of a line, where it can be broken.
const WIDTH: usize = 80;
/// Columns of a value in a list.
const VALUE: usize = 48;

/// How the wizard ended.
#[derive(Debug)]
pub struct Ended {
    /// As it was then.
    pub model: Model,
    /// Why it ended.
    pub reason: Reason,
}

/// Why a wizard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The last page was done.
    Finished,
    /// Somebody left.
    Quit,
    /// Nobody answered any more.
    InputEnded,
}

/// What follows a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next question, or the prompt again.
    Stay,
    /// The same question again.
    Again,
    /// The question before.
    Up,
    /// Another page or host is shown, or the wizard is over.
    Elsewhere,
}

pub(super) struct Session<'a> {
    pub(super) model: Model,
    lines: &'a mut dyn Lines,
    pub(super) world: &'a mut dyn World,
    reason: Reason,
    /// Pages whose questions were asked one after the other.
    asked: BTreeSet<PageId>,
    followed: Followed,
}

impl<'a> Session<'a> {
    pub(super) fn new(start: Start, lines: &'a mut dyn Lines, world: &'a mut dyn World) -> io::Result<Self> {
        let (model, effects) = Model::new(start);
        let (asked, followed) = (BTreeSet::new(), Followed::default());
        let mut session = Self { model, lines, world, reason: Reason::Finished, asked, followed };
        session.say(&session.words().text("plain.welcome"))?;
        session.perform(effects)?;
        Ok(session)
    }

    pub(super) fn run(mut self) -> io::Result<Ended> {
        while !self.model.has_ended() {
            self.page()?;
        }
        Ok(Ended { model: self.model, reason: self.reason })
    }

    pub(super) fn words(&self) -> Words {
        self.model.words()
    }

    pub(super) fn say(&mut self, text: &str) -> io::Result<()> {
        width::wrap(text, WIDTH).iter().try_for_each(|line| self.lines.say(line))
    }

    /// A line; at the end of the input the wizard ends.
    pub(super) fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        let line = self.lines.ask(prompt)?;
        if line.is_none() && !self.model.has_ended() {
            self.reason = Reason::InputEnded;
            self.act(Message::InputEnded)?;
        }
        Ok(line)
    }

    /// Does something and what follows from it, and says what was refused or has happened.
    pub(super) fn act(&mut self, message: Message) -> io::Result<()> {
        let (model, effects) = update(self.model.clone(), message);
        self.model = model;
        self.perform(effects)?;
        let screen = view(&self.model);
        if let Some(refused) = screen.refused {
            let words = self.words();
            self.say(&words.fill("plain.error", &[("message", &refused.message)]))?;
            if !refused.remedy.is_empty() {
                self.say(&words.fill("plain.next", &[("remedy", &refused.remedy)]))?;
            }
        }
        Ok(())
    }

    fn perform(&mut self, effects: Vec<Effect>) -> io::Result<()> {
        let mut open = VecDeque::from(effects);
        while let Some(effect) = open.pop_front() {
            if matches!(effect, Effect::Reach { .. }) {
                open.push_front(effect);
                self.reach(&mut open)?;
                continue;
            }
            let takes_time = matches!(
                effect,
                Effect::Check { .. } | Effect::Plan { .. } | Effect::Fix { .. } | Effect::OpenBundle { .. }
            );
            if takes_time {
                self.say(&self.words().text("plain.working"))?;
            }
            if matches!(effect, Effect::Install { .. }) {
                self.say(&self.words().text("plain.follow"))?;
            }
            let says = matches!(
                effect,
                Effect::Save { .. }
                    | Effect::Load { .. }
                    | Effect::ReadHosts { .. }
                    | Effect::Install { .. }
                    | Effect::StopRun { .. }
            );
            let follows = matches!(effect, Effect::Watch { .. });
            if let Some(message) = self.world.perform(effect) {
                let (model, more) = update(self.model.clone(), message);
                self.model = model;
                open.extend(more);
            }
            if let Some(notice) = self.model.notice.clone().filter(|_| says) {
                self.say(&notice)?;
            }
            if follows {
                self.follow()?;
            }
        }
        Ok(())
    }

    /// What is new of the run that is watched.
    fn follow(&mut self) -> io::Result<()> {
        let rows = view(&self.model).rows;
        let words = self.words();
        let news = self.model.picture().map(|picture| self.followed.news(picture, &rows, words));
        news.unwrap_or_default().iter().try_for_each(|line| self.say(line))
    }

    /// Where somebody is: the page, the host and the parts of the page.
    fn place(&self) -> (PageId, Option<usize>, Vec<Part>, bool) {
        (self.model.page(), self.model.host(), self.model.parts().to_vec(), self.model.has_ended())
    }

    /// Shows a page, asks what was never asked, and waits for what to do next.
    fn page(&mut self) -> io::Result<()> {
        let place = self.place();
        let screen = view(&self.model);
        self.show(&screen)?;
        let whole_page = self.model.host().is_none() && self.model.part().is_none();
        let first = match (self.model.host(), self.model.part()) {
            // A host that has no answer yet.
            (Some(index), _) => self.model.draft().get(&format!("hosts[{index}].name")).is_none(),
            (None, Some(Part::Risk(index))) => self.model.of_risk(*index, "person").is_none(),
            (None, Some(_)) => false,
            (None, None) => {
                !self.model.is_from_file() || !self.model.problems_of(self.model.page()).is_empty()
            }
        };
        let seen = whole_page && !self.asked.insert(self.model.page());
        if first && !seen {
            self.questions(true)?;
        } else {
            self.list(&screen)?;
        }
        while self.place() == place {
            self.at_page()?;
        }
        Ok(())
    }

    fn show(&mut self, screen: &Screen) -> io::Result<()> {
        let words = self.words();
        let (number, count) = (screen.step.0.to_string(), screen.step.1.to_string());
        let places = [("number", number.as_str()), ("count", &count), ("page", &screen.page_title)];
        self.lines.say("")?;
        self.say(&screen.title)?;
        self.say(&words.fill("plain.page", &places))?;
        self.say(&screen.intro)?;
        self.body(screen)
    }

    pub(super) fn body(&mut self, screen: &Screen) -> io::Result<()> {
        self.rows(&screen.rows)?;
        self.end_of_log(&screen.log)
    }

    pub(super) fn rows(&mut self, rows: &[Row]) -> io::Result<()> {
        let mut number = 0;
        for row in rows {
            match row {
                Row::Text(text) | Row::Warning(text) => self.say(text)?,
                Row::Progress(progress) => {
                    let text = sentence(progress, self.words());
                    self.say(&text)?;
                }
                Row::Log(lines) => lines.iter().try_for_each(|line| self.say(line))?,
                Row::Heading(text) => {
                    self.lines.say("")?;
                    self.say(text)?;
                }
                // A sentence for each line: that is how it is read aloud.
                Row::Table { names, lines } => {
                    for line in lines {
                        let cells = names.iter().zip(line).map(|(name, cell)| format!("{name}: {cell}"));
                        let text = cells.collect::<Vec<_>>().join("; ");
                        self.say(&text)?;
                    }
                }
                // What can be opened has the number that opens it.
                Row::Entries { names, entries } => {
                    for entry in entries {
                        number += 1;
                        let cells =
                            names.iter().zip(&entry.cells).map(|(name, cell)| format!("{name}: {cell}"));
                        self.say(&format!("{number} {}", cells.collect::<Vec<_>>().join("; ")))?;
                    }
                }
                Row::Matrix { entries, .. } => {
                    for entry in entries {
                        number += 1;
                        self.say(&format!("{number} {}", entry.cells.join(": ")))?;
                    }
                }
                Row::Pair { name, text } => self.say(&format!("{name}: {text}"))?,
                Row::Field(_) => {}
            }
        }
        Ok(())
    }

    /// The questions with their numbers and answers.
    fn list(&mut self, screen: &Screen) -> io::Result<()> {
        let words = self.words();
        for field in screen.fields().filter(|field| field.enabled) {
            let number = field.number.to_string();
            let value = field.value.clone().or_else(|| field.default.clone()).unwrap_or_default();
            let value = width::cut(&value, VALUE);
            let (key, message) = match &field.verdict {
                Verdict::Fine => ("plain.field", ""),
                Verdict::Missing => ("plain.field.missing", ""),
                Verdict::Wrong { message, .. } => ("plain.field.wrong", message.as_str()),
            };
            let places = [
                ("number", number.as_str()),
                ("label", &field.label),
                ("value", &value),
                ("message", message),
            ];
            self.say(words.fill(key, &places).trim_end())?;
        }
        Ok(())
    }

    /// Asks one question after the other, those that only some need on demand.
    fn questions(&mut self, usual: bool) -> io::Result<()> {
        let place = self.place();
        let mut number = 1;
        loop {
            let screen = view(&self.model);
            let asked = |field: &&FieldView| field.enabled && (field.usual || !usual);
            let Some(field) = screen.fields().filter(asked).find(|field| field.number >= number).cloned()
            else {
                return Ok(());
            };
            number = match self.question(&field)? {
                Then::Stay => field.number + 1,
                Then::Again => field.number,
                Then::Up => {
                    let before = screen.fields().filter(asked).filter(|one| one.number < field.number);
                    before.last().map_or(field.number, |field| field.number)
                }
                Then::Elsewhere => return Ok(()),
            };
            if self.place() != place {
                return Ok(());
            }
        }
    }

    fn question(&mut self, field: &FieldView) -> io::Result<Then> {
        self.introduce(field)?;
        let prompt = self.words().text("plain.prompt.answer");
        let Some(line) = self.ask(&prompt)? else { return Ok(Then::Elsewhere) };
        let place = self.place();
        let path = field.path.clone();
        match Command::of_answer(&line) {
            Command::Empty => return Ok(Then::Stay),
            Command::Up => return Ok(Then::Up),
            Command::Help => {
                for text in &field.help {
                    self.say(text)?;
                }
                self.say(&self.words().text("plain.help.field"))?;
            }
            Command::Clear => self.act(Message::Clear { field: path })?,
            Command::Text(text) => {
                self.act(Message::Answer { field: path, text })?;
                if self.model.refused().is_none() {
                    return Ok(Then::Stay);
                }
            }
            command => self.common(command)?,
        }
        Ok(if self.place() == place { Then::Again } else { Then::Elsewhere })
    }

    fn introduce(&mut self, field: &FieldView) -> io::Result<()> {
        let words = self.words();
        let count = view(&self.model).fields().count().to_string();
        let number = field.number.to_string();
        let places = [("number", number.as_str()), ("count", &count), ("label", &field.label)];
        self.lines.say("")?;
        self.say(&words.fill("plain.question", &places))?;
        if !field.example.is_empty() {
            self.say(&format!("  {}", field.example))?;
        }
        for (index, (word, called)) in field.choices.iter().enumerate() {
            let number = (index + 1).to_string();
            let places = [("number", number.as_str()), ("word", word), ("called", called)];
            self.say(&words.fill("plain.choice", &places))?;
        }
        let source = words.text(field.source.key());
        match (&field.value, &field.default) {
            (Some(value), _) => {
                let places = [("value", value.as_str()), ("source", source.as_str())];
                self.say(&words.fill("plain.now", &places))?;
            }
            (None, Some(value)) => {
                let places = [("value", value.as_str()), ("source", source.as_str())];
                self.say(&words.fill("plain.empty", &places))?;
            }
            (None, None) => {}
        }
        if let Verdict::Wrong { message, remedy } = &field.verdict {
            self.say(&words.fill("plain.error", &[("message", message)]))?;
            self.say(&words.fill("plain.next", &[("remedy", remedy)]))?;
        }
        Ok(())
    }

    /// Waits where all questions of a page were asked.
    fn at_page(&mut self) -> io::Result<()> {
        let words = self.words();
        let screen = view(&self.model);
        self.lines.say("")?;
        self.say(&screen.message)?;
        let prompt = match (self.model.host(), self.model.part()) {
            (Some(index), _) => words.fill("plain.prompt.host", &[("number", &(index + 1).to_string())]),
            (None, Some(Part::Fixes)) => words.text("plain.prompt.fix"),
            (None, Some(_)) => words.fill("plain.prompt.part", &[("page", &screen.page_title)]),
            (None, None) => words.fill("plain.prompt.page", &[("page", &screen.page_title)]),
        };
        let Some(line) = self.ask(&prompt)? else { return Ok(()) };
        if self.model.part() == Some(&Part::Fixes) {
            return self.whether_to_fix(&line);
        }
        let hosts = self.model.page() == PageId::Hosts;
        match Command::of_page(&line) {
            Command::Empty | Command::Done if self.model.host().is_some() => self.act(Message::CloseHost),
            Command::Empty => self.next(),
            Command::Help => self.help(),
            Command::All => self.questions(false),
            Command::Run => {
                let place = self.place();
                self.act(Message::Run)?;
                // Another page shows itself.
                if self.place() == place { self.body(&view(&self.model)) } else { Ok(()) }
            }
            Command::Trust => self.trust(),
            Command::Number(number) if hosts && self.model.host().is_none() => {
                self.act(Message::EditHost(number.wrapping_sub(1)))
            }
            Command::Number(number) => {
                let opens = screen.entries().nth(number.wrapping_sub(1)).map(|entry| entry.opens.clone());
                match opens {
                    Some(message) => self.act(message),
                    None => self.one_question(number),
                }
            }
            Command::Fix => self.act(Message::Open(Part::Fixes)),
            Command::Accept => self.act(Message::AcceptRisk),
            Command::TakeBack => self.act(Message::TakeRiskBack),
            Command::Add if hosts => self.act(Message::AddHost),
            Command::Edit(number) => self.act(Message::EditHost(number.wrapping_sub(1))),
            Command::Remove(Some(number)) => self.act(Message::RemoveHost(number.wrapping_sub(1))),
            Command::Remove(None) if self.model.host().is_some() => {
                let host = self.model.host().unwrap_or_default();
                self.act(Message::RemoveHost(host))
            }
            Command::Paste if hosts => self.paste(),
            Command::Import(file) => {
                self.act(Message::ImportHosts { file })?;
                self.body(&view(&self.model))
            }
            Command::Log { text, troubles } => self.log(text, troubles),
            Command::Text(text) => self.unknown(&text),
            command => self.common(command),
        }
    }

    /// Whether to mend what can be: nothing but a plain yes does it.
    fn whether_to_fix(&mut self, line: &str) -> io::Result<()> {
        match Command::of_answer(line) {
            Command::Text(text) if says_yes(&text) => self.act(Message::MakeFixes),
            Command::Empty | Command::Text(_) => self.act(Message::Back),
            command => self.common(command),
        }
    }

    /// Done with the page, or what is missing on it.
    fn next(&mut self) -> io::Result<()> {
        let page = self.model.page();
        self.act(Message::Next)?;
        if self.model.page() == page && !self.model.has_ended() {
            let words = self.words();
            for problem in self.model.problems_of(page) {
                let label = problem.field.as_ref().map(|field| format!(" ({field})")).unwrap_or_default();
                let message = problem.message + &label;
                self.say(&words.fill("plain.error", &[("message", &message)]))?;
                self.say(&words.fill("plain.next", &[("remedy", &problem.remedy)]))?;
            }
        }
        Ok(())
    }

    fn one_question(&mut self, number: usize) -> io::Result<()> {
        loop {
            let screen = view(&self.model);
            let Some(field) = screen.fields().find(|field| field.number == number && field.enabled).cloned()
            else {
                return self.unknown(&number.to_string());
            };
            if self.question(&field)? != Then::Again {
                return Ok(());
            }
        }
    }

    fn help(&mut self) -> io::Result<()> {
        let words = self.words();
        match (self.model.page(), self.model.host()) {
            (PageId::Hosts, Some(_)) => {
                self.say(&words.text("plain.help.host"))?;
                return self.say(&words.text("plain.help.reach"));
            }
            (PageId::Hosts, None) => self.say(&words.text("plain.help.hosts"))?,
            (PageId::Start, _) => self.say(&words.text("plain.help.start"))?,
            (PageId::Checks, _) => self.say(&words.text("plain.help.checks"))?,
            (PageId::Install | PageId::Result, _) => self.say(&words.text("plain.help.run"))?,
            _ => {}
        }
        if matches!(self.model.page(), PageId::Hosts | PageId::Access) {
            self.say(&words.text("plain.help.reach"))?;
        }
        self.say(&words.text("plain.help.page"))
    }

    fn unknown(&mut self, text: &str) -> io::Result<()> {
        let words = self.words();
        let text = width::cut(text, VALUE);
        let message = words.fill("plain.unknown", &[("text", &text)]);
        self.say(&words.fill("plain.error", &[("message", &message)]))?;
        self.say(&words.fill("plain.next", &[("remedy", &words.text("plain.unknown.next"))]))
    }

    /// Many hosts, until an empty line.
    fn paste(&mut self) -> io::Result<()> {
        let words = self.words();
        self.say(&words.text("plain.paste"))?;
        let prompt = words.text("plain.prompt.paste");
        let mut text = String::new();
        loop {
            let line = self.lines.ask(&prompt)?;
            let ended = line.is_none();
            if let Some(line) = line.filter(|line| !line.trim().is_empty()) {
                text = text + &line + "\n";
                continue;
            }
            self.act(Message::AddHosts(text))?;
            if ended {
                self.reason = Reason::InputEnded;
                return self.act(Message::InputEnded);
            }
            return self.body(&view(&self.model));
        }
    }

    /// What can be asked for everywhere.
    fn common(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Next => self.next(),
            Command::Back => self.act(Message::Back),
            Command::Skip => self.act(Message::Skip),
            Command::Save => self.act(Message::Save),
            Command::Quit => self.quit(),
            Command::Go(page) => self.act(Message::Go(page)),
            Command::Watch(number) => self.act(Message::WatchRun(number.wrapping_sub(1))),
            Command::List => {
                let screen = view(&self.model);
                self.body(&screen)?;
                self.list(&screen)
            }
            Command::Pages => {
                let words = self.words();
                for (page, title, mark) in view(&self.model).steps {
                    let mark = words.text(mark.key());
                    let number = page.number().to_string();
                    let places = [("number", number.as_str()), ("page", &title), ("mark", &mark)];
                    self.say(&words.fill("plain.pages", &places))?;
                }
                Ok(())
            }
            other => self.unknown(&format!("{other:?}").to_lowercase()),
        }
    }

    fn quit(&mut self) -> io::Result<()> {
        self.act(Message::Quit)?;
        let Some(question) = view(&self.model).leaving else { return Ok(()) };
        self.say(&question)?;
        let prompt = self.words().text("plain.prompt.leave");
        let Some(line) = self.ask(&prompt)? else { return Ok(()) };
        let yes = says_yes(&line);
        if yes {
            self.reason = if self.model.is_complete() { Reason::Finished } else { Reason::Quit };
        }
        self.act(Message::ReallyQuit(yes))
    }
}

pub(super) fn says_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "yes" | "y" | "是")
}
