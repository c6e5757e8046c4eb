//! The model as a screen.

mod bodies;
mod checks;
mod plan;
mod reach;
mod run;

use serde_json::json;

use crate::field::{self, Field, Kind};
use crate::help::as_typed;
use crate::log::LogFilter;
use crate::model::{Mark, Model, Task};
use crate::page::PageId;
use crate::part::Part;
use crate::problems::Problem;
use crate::reach::LoginState;
use crate::screen::{Action, FieldView, Row, Screen, Verdict};
use crate::words::Language;

pub use reach::key_rows;

/// What is shown of a model. Pure.
#[must_use]
pub fn view(model: &Model) -> Screen {
    let words = model.words();
    let title = |page: PageId| words.text(&format!("page.{}", page.name()));
    // Once: everything on the page hangs on them, and they are looked for on all pages.
    let problems = model.problems_of(model.page);
    let fields = model.field_views(&problems);
    let mut rows: Vec<Row> = model.body();
    rows.extend(fields.into_iter().map(|field| Row::Field(Box::new(field))));
    let next_open = problems.is_empty() && model.run_lets_go_on() && model.in_the_way_message().is_none();
    Screen {
        title: model.title(),
        page: model.page,
        page_title: title(model.page),
        step: (model.page.number(), PageId::ALL.len()),
        steps: PageId::ALL.into_iter().map(|page| (page, title(page), model.mark(page))).collect(),
        intro: model.part_intro().unwrap_or_else(|| words.text(&format!("page.{}.intro", model.page.name()))),
        rows,
        log: if model.page == PageId::Install { model.log(&LogFilter::default()).lines } else { Vec::new() },
        message: model.message(problems.len()),
        next_open,
        well: problems.is_empty() && !model.run_wants_somebody(),
        next: model.page_after(),
        warns: model.reach_warns(),
        new_keys: model.keys_to_confirm(),
        asking: model.count(LoginState::Asking),
        refused: model.refused.clone(),
        notice: model.notice.clone(),
        leaving: model.is_leaving().then(|| {
            let file = model.file.display().to_string();
            let key = if model.can_save() { "leave.ask" } else { "leave.ask.unsaved" };
            let run = model.leave_run();
            run.into_iter().chain([words.fill(key, &[("file", &file)])]).collect::<Vec<_>>().join(" ")
        }),
        stopping: model.is_stopping().then(|| words.text("stop.ask")),
        actions: model.actions(!problems.is_empty()),
    }
}

impl Model {
    fn title(&self) -> String {
        let words = self.words();
        let product = self.product().map_or_else(
            || words.text("title.noProduct"),
            |document| format!("{} {}", document.product.title, document.product.version),
        );
        match self.draft.get("metadata.name").and_then(|name| name.as_str()) {
            Some(name) => words.fill("title.site", &[("product", &product), ("site", name)]),
            None => product,
        }
    }

    /// Why Next is closed, or that all is well.
    fn message(&self, problems: usize) -> String {
        let words = self.words();
        if let Some(message) = self.run_message() {
            return message;
        }
        let busy = match self.page {
            PageId::Sizing => matches!(self.sizing, Task::Waiting(_)),
            PageId::Checks => {
                matches!(self.checked, Task::Waiting(_)) || matches!(self.fixed, Task::Waiting(_))
            }
            PageId::Review => matches!(self.planned, Task::Waiting(_)),
            _ => false,
        };
        if busy {
            return words.text("message.busy");
        }
        if let Some(message) = self.in_the_way_message().filter(|_| problems == 0) {
            return message;
        }
        let said = match (problems, self.mark(self.page)) {
            (0, Mark::Review) => words.text("message.review"),
            (0, _) => words.text("message.well"),
            (1, _) => words.text("message.one"),
            (count, _) => words.fill("message.closed", &[("count", &count.to_string())]),
        };
        self.with_reach(said, problems)
    }

    fn actions(&self, wrong: bool) -> Vec<Action> {
        let mut actions = self.first_reach_actions();
        match (self.page, self.host) {
            (PageId::Hosts, Some(_)) => {
                actions.extend([Action::CloseHost, Action::RemoveHost]);
            }
            (PageId::Hosts, None) => {
                actions.extend([Action::AddHost, Action::PasteHosts, Action::ImportHosts]);
                if self.draft.hosts() > 0 {
                    actions.extend([Action::EditHost, Action::RemoveHost]);
                }
            }
            (PageId::Checks | PageId::Review, _) => actions.extend(self.check_actions()),
            (PageId::Sizing, _) if self.document.is_some() => actions.push(Action::Run),
            _ => {}
        }
        if let Some(part) = self.part() {
            // One comes back from it to the page; first where it is only read.
            let read = matches!(part, Part::Finding(_) | Part::PlannedHost(_));
            actions.insert(if read { 0 } else { actions.len() }, Action::Back);
            actions.extend([Action::Save, Action::Quit]);
            return actions;
        }
        actions.extend(self.run_actions());
        if self.run_lets_go_on() {
            actions.push(Action::Next);
        }
        if !self.trail.is_empty() || self.host.is_some() {
            actions.push(Action::Back);
        }
        actions.extend(self.last_reach_actions());
        if wrong || self.in_the_way_message().is_some() {
            actions.push(Action::Skip);
        }
        actions.extend([Action::Save, Action::Quit]);
        actions
    }

    fn field_views(&self, problems: &[Problem]) -> Vec<FieldView> {
        let fields = field::fields(self);
        let one = |(index, field): (usize, &Field)| {
            let problem = problems.iter().find(|problem| problem.field.as_deref() == Some(&field.path));
            let verdict = match problem {
                None => Verdict::Fine,
                Some(problem) if problem.missing => Verdict::Missing,
                Some(problem) => {
                    Verdict::Wrong { message: problem.message.clone(), remedy: problem.remedy.clone() }
                }
            };
            FieldView {
                number: index + 1,
                label: self.label(field),
                example: self.example(field),
                kind: field.kind,
                choices: self.choices(field),
                value: self.value_in_words(field),
                answer: self.answer_as_typed(field),
                default: field.default.as_ref().map(|value| self.in_words(field, value)),
                source: self.source(field),
                verdict,
                enabled: self.is_enabled(field),
                usual: field.usual,
                focused: self.focus.as_deref() == Some(&field.path),
                help: self.help(field),
                path: field.path.clone(),
            }
        };
        fields.iter().enumerate().map(one).collect()
    }

    fn choices(&self, field: &Field) -> Vec<(String, String)> {
        let Kind::Choice(words) = field.kind else { return Vec::new() };
        let called = |word: &&str| ((*word).to_owned(), self.in_words(field, &json!(word)));
        words.iter().map(called).collect()
    }

    fn value_in_words(&self, field: &Field) -> Option<String> {
        if field.is_of_wizard() {
            let own = self.own_value(field)?;
            let choice = matches!(field.kind, Kind::Choice(_));
            return Some(if choice { self.in_words(field, &json!(own)) } else { own });
        }
        self.draft.get(&field.path).map(|value| self.in_words(field, value))
    }

    fn answer_as_typed(&self, field: &Field) -> Option<String> {
        if field.is_of_wizard() {
            return self.own_value(field);
        }
        self.draft.get(&field.path).and_then(|value| as_typed(field, value))
    }

    /// The value of a setting of the wizard.
    fn own_value(&self, field: &Field) -> Option<String> {
        match field.path.as_str() {
            "start.language" => Some(if self.language == Language::Chinese { "zh" } else { "en" }.to_owned()),
            "start.file" => Some(self.file.display().to_string()),
            field::PURPOSE => Some(self.runs.purpose.word().to_owned()),
            field::SITE_AGAIN => self.runs.site_again.clone(),
            _ => self.bundle.as_ref().map(|file| file.display().to_string()),
        }
    }
}
