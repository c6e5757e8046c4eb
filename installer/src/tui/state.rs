//! Where somebody is on the screen: what the wizard itself need not know.

use std::collections::BTreeMap;
use std::fmt;

use sealift_wizard::{Action, FieldView, Kind, LogLines, NewKey, PageId, Progress, Row, Screen};
use tui_input::Input;
use zeroize::Zeroizing;

/// What keys go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spot {
    /// The text of the page, which does not fit.
    Reading,
    /// The field with this path.
    Field(String),
    /// A line of the page's table, from 0.
    Line(usize),
    /// What has happened in a run, below the page.
    Log,
    /// A button.
    Button(Button),
}

/// A button of the last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Button {
    /// Does something on the page.
    Do(Action),
    /// The whole log of a run.
    Log,
    /// All pages.
    Pages,
    /// Help.
    Help,
}

/// The text of a field while it is typed.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) field: String,
    pub(super) input: Input,
    /// What it was before.
    pub(super) before: String,
}

impl Edit {
    pub(super) fn of(field: &FieldView) -> Self {
        let before = field.answer.clone().unwrap_or_default();
        Self { field: field.path.clone(), input: Input::new(before.clone()), before }
    }

    pub(super) fn is_changed(&self) -> bool {
        self.input.value() != self.before
    }
}

/// The field with the bundle's name.
pub(super) const BUNDLE: &str = "start.bundle";

/// In place of a field's path: the file that hosts are read from.
pub(super) const HOSTS_FILE: &str = "hosts";

/// What lies over the page.
#[derive(Debug)]
pub(super) enum Layer {
    Help,
    /// All pages, with the one that is looked at.
    Pages(usize),
    /// Whether this host shall go.
    RemoveHost(usize),
    /// Whether these keys are right.
    TrustKeys(Vec<NewKey>),
    /// Which file has hosts.
    Import(Input),
    /// Hosts, a line each, and the one that is typed.
    List {
        lines: Vec<String>,
        input: Input,
    },
    /// The whole log of a host, or of all.
    Log(ReadLog),
}

/// A log while it is read; its last lines are shown unless it is held.
#[derive(Debug, Default)]
pub(super) struct ReadLog {
    /// Whose; none for that of the whole run.
    pub(super) host: Option<String>,
    /// The text that lines must have in them.
    pub(super) text: Input,
    /// Whether only what went wrong is shown.
    pub(super) troubles: bool,
    pub(super) found: LogLines,
    /// Whether somebody has scrolled, so that it does not follow.
    pub(super) held: bool,
}

/// A password that somebody is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) label: String,
    pub(super) typed: Password,
}

/// A password as it was typed. It is wiped when it goes, and no debug output shows it.
pub(super) struct Password(Zeroizing<String>);

impl Password {
    /// Room for a long one, so that it is not moved about while it is typed.
    const ROOM: usize = 1024;

    pub(super) fn new() -> Self {
        Self(Zeroizing::new(String::with_capacity(Self::ROOM)))
    }

    pub(super) fn push(&mut self, text: &str) {
        if self.0.len() + text.len() <= Self::ROOM {
            self.0.push_str(text);
        }
    }

    pub(super) fn erase(&mut self) {
        self.0.pop();
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many letters it has.
    pub(super) fn count(&self) -> usize {
        self.0.chars().count()
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password")
    }
}

/// Work that goes on outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    OpenBundle,
    Size,
    Reach,
    Check,
    Plan,
    Install,
    /// Looking at a run: goes on as long as that does.
    Watch,
    /// Something short that speaks to a run or to the disk.
    Short,
    Report,
    Fix,
}

/// All of it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) spot: Spot,
    /// Lines of the body above the first that is shown.
    pub(super) scroll: usize,
    pub(super) edit: Option<Edit>,
    pub(super) layer: Option<Layer>,
    /// The same for what lies over the page.
    pub(super) layer_scroll: usize,
    /// The same for the log below the page; none where it follows what happens.
    pub(super) log_scroll: Option<usize>,
    pub(super) asked: Option<Asked>,
    /// What was typed for fields that name something which is read now.
    pub(super) sent: BTreeMap<String, String>,
    /// The same where it could not be read: it is there again when the field is looked at.
    pub(super) unread: BTreeMap<String, String>,
    /// What the front end itself has to say.
    pub(super) remark: Option<String>,
    /// What has happened and was seen: the next key takes it away.
    pub(super) seen: Option<String>,
    /// The line of the table that was looked at last.
    pub(super) line: usize,
    /// The same for each part of the page below the one that is looked at.
    pub(super) lines_below: Vec<usize>,
    /// What goes on, and for how many seconds.
    pub(super) work: Vec<(Work, u64)>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            spot: Spot::Reading,
            scroll: 0,
            edit: None,
            layer: None,
            layer_scroll: 0,
            log_scroll: None,
            asked: None,
            sent: BTreeMap::new(),
            unread: BTreeMap::new(),
            remark: None,
            seen: None,
            line: 0,
            lines_below: Vec::new(),
            work: Vec::new(),
        }
    }
}

/// Whether a field's answer is typed, and not chosen.
pub(super) fn is_typed(field: &FieldView) -> bool {
    !matches!(field.kind, Kind::Choice(_) | Kind::YesNo)
}

/// The answers that a field can be given, where they can be counted: as they are typed, and as people call them.
pub(super) fn options(field: &FieldView, yes: String, no: String) -> Vec<(String, String)> {
    match field.kind {
        Kind::YesNo => vec![("yes".to_owned(), yes), ("no".to_owned(), no)],
        _ => field.choices.clone(),
    }
}

/// Whether what is typed for a secret may be seen: only while it can be the place of one.
pub(super) fn may_be_place(typed: &str) -> bool {
    const WAYS: [&str; 8] = ["file", "env", "sealed", "ask", "文件", "变量", "密封", "询问"];
    let way = typed.split(char::is_whitespace).next().unwrap_or_default().to_lowercase();
    let whole = way.len() < typed.len();
    WAYS.iter().any(|known| if whole { *known == way } else { known.starts_with(&way) })
}

/// The fields that can be reached.
pub(super) fn fields(screen: &Screen) -> impl Iterator<Item = &FieldView> {
    screen.fields().filter(|field| field.enabled)
}

/// How many lines of the page can be opened.
pub(super) fn line_count(screen: &Screen) -> usize {
    table_lines(screen).len() + screen.entries().count() + progress_lines(screen).count()
}

/// The lines of the table of hosts, as their cells.
pub(super) fn table_lines(screen: &Screen) -> &[Vec<String>] {
    let opens = match screen.page {
        PageId::Hosts => screen.actions.contains(&Action::AddHost),
        PageId::Start => screen.actions.contains(&Action::WatchRun),
        _ => false,
    };
    let table = screen.rows.iter().find_map(|row| match row {
        Row::Table { lines, .. } => Some(lines.as_slice()),
        _ => None,
    });
    table.filter(|_| opens).unwrap_or_default()
}

/// The lines of a run that can be opened.
pub(super) fn progress_lines(screen: &Screen) -> impl Iterator<Item = &Progress> {
    screen.rows.iter().filter_map(|row| match row {
        Row::Progress(progress) if progress.opens => Some(progress),
        _ => None,
    })
}

/// The buttons, in their order. In a host, there is one way out of it.
pub(super) fn buttons(screen: &Screen) -> Vec<Button> {
    let in_host = screen.actions.contains(&Action::CloseHost);
    let same = [Action::Next, Action::Back, Action::Skip];
    let shown = screen.actions.iter().filter(|action| !(in_host && same.contains(action)));
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for action in shown {
        // What is done on the page stands before what ends it.
        if *action == Action::Quit { last.push(Button::Do(*action)) } else { first.push(Button::Do(*action)) }
    }
    first.extend((!screen.log.is_empty()).then_some(Button::Log));
    first.extend([Button::Pages, Button::Help]);
    first.append(&mut last);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_is_typed_in_place_of_its_place_is_not_seen() {
        for place in ["", "f", "fil", "file", "file ~/k", "env OPS", "ask", "sealed x.age", "文件 甲"] {
            assert!(may_be_place(place), "{place}");
        }
        for secret in ["canary", "files", "filer ~/k", "environment X", "askew", "x file"] {
            assert!(!may_be_place(secret), "{secret}");
        }
    }
}
