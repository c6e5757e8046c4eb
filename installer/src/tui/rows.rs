//! The rows below the body: one message, the keys of what is looked at, the buttons.

use ratatui::style::Style;
use sealift_wizard::{Action, PageId, Screen, Verdict, Words, width};

use super::body::{BAD, GOOD, PLAIN, WARNING, clean};
use super::layers::{host_name, looked_at};
use super::state::{Button, Layer, ReadLog, Spot, State, Work, buttons, is_typed, table_lines};

/// Most lines of a message; what is longer stands in the help.
const MOST: usize = 3;

/// Why the last thing was not taken, what goes on, or why Next is closed; broken into lines.
pub(super) fn message(screen: &Screen, state: &State, words: Words, columns: usize) -> (Vec<String>, Style) {
    let (text, style) = one_message(screen, state, words);
    let mut lines = width::wrap(&clean(&text).replace('\n', "; "), columns);
    if lines.len() > MOST {
        lines.truncate(MOST);
        let hint = words.text("draw.more");
        if let Some(last) = lines.last_mut() {
            *last = width::cut(last, columns.saturating_sub(width::columns(&hint) + 1)) + " " + &hint;
        }
    }
    (lines, style)
}

fn one_message(screen: &Screen, state: &State, words: Words) -> (String, Style) {
    let with_remedy = |message: &str, remedy: &str| {
        let places = [("message", message.trim_end_matches('.')), ("remedy", remedy)];
        if remedy.is_empty() { message.to_owned() } else { words.fill("draw.refused", &places) }
    };
    if let Some(refused) = &screen.refused {
        return (with_remedy(&refused.message, &refused.remedy), BAD);
    }
    if let Some(remark) = &state.remark {
        return (remark.clone(), WARNING);
    }
    if !state.work.is_empty() {
        let all = state
            .work
            .iter()
            .map(|(work, seconds)| words.fill(work_key(*work), &[("seconds", &seconds.to_string())]));
        return (all.collect::<Vec<_>>().join(" "), PLAIN);
    }
    let verdict = looked_at(screen, state).map(|field| &field.verdict);
    if let Some(Verdict::Wrong { message, remedy }) = verdict {
        return (with_remedy(message, remedy), BAD);
    }
    let notice = screen.notice.as_ref().filter(|notice| state.seen.as_ref() != Some(*notice));
    let text = match notice {
        Some(notice) => words.fill("draw.notice", &[("notice", notice), ("message", &screen.message)]),
        None => screen.message.clone(),
    };
    (text, if screen.well && !screen.warns { GOOD } else { WARNING })
}

fn work_key(work: Work) -> &'static str {
    match work {
        Work::OpenBundle => "draw.work.bundle",
        Work::Size => "draw.work.size",
        Work::Reach => "draw.work.reach",
        Work::Check => "draw.work.check",
        Work::Plan => "draw.work.plan",
        Work::Fix => "draw.work.fix",
        Work::Install => "draw.work.install",
        // What is only looked at is not told.
        Work::Report | Work::Watch | Work::Short => "draw.work.report",
    }
}

/// The keys that do something now, with what they do; the most wanted first, as many as there is room for.
pub(super) fn keys(screen: &Screen, state: &State, words: Words, columns: usize) -> String {
    let mut text = String::new();
    for (key, does) in wanted_keys(screen, state) {
        let key = if key.starts_with("draw.") { words.text(key) } else { key.to_owned() };
        let item = format!(" {key} {}  ", words.text(does));
        if width::columns(&text) + width::columns(item.trim_end()) > columns {
            break;
        }
        text += &item;
    }
    text.trim_end().to_owned()
}

type Keys = Vec<(&'static str, &'static str)>;

fn wanted_keys(screen: &Screen, state: &State) -> Keys {
    if state.asked.is_some() {
        return vec![("Enter", "draw.key.give"), ("Esc", "draw.key.giveNot")];
    }
    if screen.leaving.is_some() {
        return vec![("Enter", "draw.key.leave"), ("Esc", "draw.key.stay")];
    }
    if screen.stopping.is_some() {
        return vec![("Enter", "draw.key.stop"), ("Esc", "draw.key.goOn")];
    }
    match &state.layer {
        Some(Layer::Log(log)) => log_keys(log),
        Some(Layer::Help) => vec![("draw.key.upDown", "draw.key.read"), ("Esc", "draw.key.close")],
        Some(Layer::Pages(_)) => {
            vec![("draw.key.upDown", "draw.key.choose"), ("Enter", "draw.key.go"), ("Esc", "draw.key.close")]
        }
        Some(Layer::RemoveHost(_)) => vec![("Enter", "draw.key.remove"), ("Esc", "draw.key.keep")],
        Some(Layer::TrustKeys(_)) => vec![
            ("Enter", "draw.key.confirm"),
            ("Esc", "draw.key.close"),
            ("draw.key.upDown", "draw.key.read"),
        ],
        Some(Layer::Import(_)) => vec![("Enter", "draw.key.read"), ("Esc", "draw.key.close")],
        Some(Layer::List { .. }) => vec![("Enter", "draw.key.line"), ("Esc", "draw.key.close")],
        None => on_page(screen, state),
    }
}

fn log_keys(log: &ReadLog) -> Keys {
    vec![
        ("draw.key.letters", "draw.key.filter"),
        ("Tab", if log.troubles { "draw.key.allLines" } else { "draw.key.troubles" }),
        ("draw.key.upDown", "draw.key.read"),
        ("End", "draw.key.end"),
        ("Esc", if log.text.value().is_empty() { "draw.key.close" } else { "draw.key.undo" }),
    ]
}

fn on_page(screen: &Screen, state: &State) -> Keys {
    let offers = |action: Action| screen.actions.contains(&action);
    let changed = state.edit.as_ref().is_some_and(super::state::Edit::is_changed);
    let mut keys: Keys = match (&state.spot, looked_at(screen, state)) {
        (Spot::Field(_), Some(field)) if is_typed(field) => vec![("Enter", "draw.key.take")],
        (Spot::Field(_), _) => vec![("draw.key.sideways", "draw.key.choose"), ("Del", "draw.key.clear")],
        (Spot::Line(_), _) if screen.page == PageId::Hosts => {
            vec![("Enter", "draw.key.change"), ("Del", "draw.key.remove")]
        }
        (Spot::Line(_), _) if screen.page == PageId::Start => vec![("Enter", "draw.key.watch")],
        (Spot::Line(_), _) if screen.page == PageId::Install => vec![("Enter", "draw.key.log")],
        (Spot::Line(_), _) => vec![("Enter", "draw.key.open")],
        (Spot::Log, _) => vec![
            ("draw.key.upDown", "draw.key.read"),
            ("End", "draw.key.end"),
            ("Enter", "draw.key.log"),
            ("Tab", "draw.key.onward"),
        ],
        (Spot::Button(_), _) => vec![("Enter", "draw.key.press")],
        (Spot::Reading, _) => vec![("draw.key.upDown", "draw.key.read"), ("Tab", "draw.key.onward")],
    };
    if offers(Action::TrustKeys) {
        keys.insert(0, ("Ctrl-K", "draw.key.trust"));
    }
    let reaches = matches!(screen.page, PageId::Hosts | PageId::Access) && offers(Action::Run);
    if offers(Action::AddHost) {
        keys.push(("Ins", "draw.key.add"));
        keys.extend(reaches.then_some(("F5", "draw.key.test")));
        keys.extend([("F4", "draw.key.import"), ("F6", "draw.key.paste"), ("F1", "draw.key.help")]);
    }
    if offers(Action::Fix) {
        keys.push(("F6", "draw.key.fix"));
    }
    if offers(Action::AcceptRisk) {
        keys.push(("F7", "draw.key.accept"));
    }
    if changed {
        keys.push(("Esc", "draw.key.undo"));
    } else if offers(Action::Back) || offers(Action::CloseHost) {
        keys.push(("Esc", "draw.key.back"));
    }
    if !offers(Action::AddHost) {
        keys.push(("F1", "draw.key.help"));
    }
    if offers(Action::Run) && !offers(Action::AddHost) {
        let again = screen.page == PageId::Install;
        let plain = if again { "draw.key.again" } else { "draw.key.run" };
        keys.push(("F5", if reaches { "draw.key.test" } else { plain }));
    }
    if offers(Action::Detach) {
        keys.push(("F9", "draw.key.detach"));
    }
    if offers(Action::Stop) {
        keys.push(("Ctrl-C", "draw.key.stop"));
    }
    if offers(Action::Next) {
        keys.push(("F8", "draw.key.next"));
    }
    keys.extend([("F10", "draw.key.quit"), ("F2", "draw.key.save"), ("F3", "draw.key.pages")]);
    if offers(Action::Skip) {
        keys.push(("Ctrl-O", "draw.key.skip"));
    }
    keys
}

/// The buttons that fit, with the columns where each begins; the one that is looked at is always among them.
pub(super) fn button_row(
    screen: &Screen,
    state: &State,
    words: Words,
    columns: usize,
) -> Vec<(usize, String, Button)> {
    let all: Vec<(String, Button)> = buttons(screen)
        .into_iter()
        .map(|button| (format!("[ {} ]", label(button, screen, state, words)), button))
        .collect();
    let at = all.iter().position(|(_, button)| state.spot == Spot::Button(*button)).unwrap_or_default();
    let wide = |from: usize| all[from..=at].iter().map(|(text, _)| width::columns(text) + 1).sum::<usize>();
    let first = (0..=at).find(|from| wide(*from) <= columns).unwrap_or(at);
    let (mut column, mut row) = (1, Vec::new());
    for (text, button) in all.into_iter().skip(first) {
        let end = column + width::columns(&text);
        if end > columns && !row.is_empty() {
            break;
        }
        row.push((column, width::cut(&text, columns.saturating_sub(column)), button));
        column = end + 1;
    }
    row
}

fn label(button: Button, screen: &Screen, state: &State, words: Words) -> String {
    let line = state.line.min(table_lines(screen).len().saturating_sub(1));
    let host = || host_name(screen, line);
    let key = match button {
        Button::Pages => "draw.button.pages",
        Button::Help => "draw.button.help",
        Button::Log => "draw.button.log",
        Button::Do(action) => match action {
            Action::Next if screen.page == PageId::Confirm => "draw.button.install",
            Action::Next => {
                let page = screen.next.and_then(|next| {
                    screen.steps.iter().find(|(page, ..)| *page == next).map(|(_, title, _)| title)
                });
                return match page {
                    Some(page) => words.fill("draw.button.next", &[("page", &width::cut(page, 16))]),
                    None => words.text("draw.button.finish"),
                };
            }
            Action::EditHost => return words.fill("draw.button.editHost", &[("name", &host())]),
            Action::RemoveHost if !screen.actions.contains(&Action::CloseHost) => {
                return words.fill("draw.button.removeHost", &[("name", &host())]);
            }
            Action::RemoveHost => "draw.button.removeThis",
            Action::Back => "draw.button.back",
            Action::Fix => "draw.button.fix",
            Action::MakeFixes => "draw.button.makeFixes",
            Action::AcceptRisk if screen.actions.contains(&Action::TakeRiskBack) => "draw.button.changeRisk",
            Action::AcceptRisk => "draw.button.acceptRisk",
            Action::KeepRisk => "draw.button.keepRisk",
            Action::TakeRiskBack => "draw.button.takeRiskBack",
            Action::Skip => "draw.button.skip",
            Action::Save => "draw.button.save",
            Action::Quit => "draw.button.quit",
            Action::AddHost => "draw.button.addHost",
            Action::PasteHosts => "draw.button.pasteHosts",
            Action::ImportHosts => "draw.button.importHosts",
            Action::WatchRun => "draw.button.watch",
            Action::Stop => "draw.button.stop",
            Action::Detach => "draw.button.detach",
            Action::CloseHost => "draw.button.closeHost",
            Action::TrustKeys => "draw.button.trustKeys",
            Action::Run => match screen.page {
                PageId::Hosts | PageId::Access => "draw.button.test",
                PageId::Sizing => "draw.button.calculate",
                PageId::Checks => "draw.button.check",
                PageId::Install => "draw.button.again",
                _ => "draw.button.plan",
            },
        },
    };
    words.text(key)
}
