//! The log of a run below its page, and the whole log of a host or of all: both follow what happens until somebody
//! scrolls. Letters in the latter say which lines of it are wanted.

use sealift_wizard::LogFilter;

use super::App;
use super::moves::edit_request;
use crate::tui::keys::Key;
use crate::tui::state::{Layer, ReadLog, Spot, progress_lines};

/// Lines of a step with the keys that turn pages.
const PAGE: usize = 10;

impl App {
    /// That of a host's line.
    pub(super) fn open_log_of(&mut self, index: usize) {
        let host = progress_lines(&self.screen).nth(index).map(|line| line.name.clone());
        if host.is_some() {
            self.open_log(host);
        }
    }

    /// That of a host, or of the whole run.
    pub(super) fn open_log(&mut self, host: Option<String>) {
        self.state.layer = Some(Layer::Log(ReadLog { host, ..ReadLog::default() }));
    }

    /// What a key does in the log below the page; whether it does anything there.
    pub(super) fn pane_key(&mut self, key: Key) -> bool {
        let layout = self.layout();
        let Some(pane) = layout.log else { return false };
        let (last, top) = (pane.last_scroll(), pane.scroll);
        let to = match key {
            Key::Up => top.saturating_sub(1),
            Key::PageUp => top.saturating_sub(pane.height()),
            Key::Home => 0,
            Key::Down if top == last => {
                self.state.spot = Spot::Button(self.first_button());
                last
            }
            Key::Down => top + 1,
            Key::PageDown => top + pane.height(),
            Key::End => last,
            Key::Enter => {
                self.open_log(None);
                return true;
            }
            _ => return false,
        };
        self.state.log_scroll = (to < last).then_some(to);
        true
    }

    /// The host whose line is looked at.
    pub(in crate::tui) fn looked_at_host(&self) -> Option<String> {
        let Spot::Line(index) = self.state.spot else { return None };
        progress_lines(&self.screen).nth(index).map(|line| line.name.clone())
    }

    /// Lines of many hosts change their places: the host stays what is looked at, and not the place.
    pub(super) fn look_at_host(&mut self, host: Option<String>) {
        let index = host.and_then(|host| progress_lines(&self.screen).position(|line| line.name == host));
        if let Some(index) = index {
            self.state.spot = Spot::Line(index);
        }
    }

    /// What has happened meanwhile.
    pub(super) fn keep_log(&mut self) {
        if let Some(Layer::Log(log)) = &mut self.state.layer {
            let (host, text) = (log.host.clone(), log.text.value().to_owned());
            log.found = self.model.log(&LogFilter { host, text, troubles: log.troubles });
        }
    }

    pub(super) fn log_key(&mut self, key: Key, mut log: ReadLog) -> ReadLog {
        let scroll = &mut self.state.layer_scroll;
        match key {
            Key::Up => (*scroll, log.held) = (scroll.saturating_sub(1), true),
            Key::PageUp => (*scroll, log.held) = (scroll.saturating_sub(PAGE), true),
            Key::Home => (*scroll, log.held) = (0, true),
            Key::Down => *scroll += 1,
            Key::PageDown => *scroll += PAGE,
            Key::End => log.held = false,
            Key::Tab | Key::BackTab => (log.troubles, log.held) = (!log.troubles, false),
            key => filter_key(key, &mut log),
        }
        log
    }
}

/// Other lines are wanted: the newest of them are shown.
fn filter_key(key: Key, log: &mut ReadLog) {
    if let Some(request) = edit_request(key)
        && log.text.handle(request).is_some_and(|change| change.value)
    {
        log.held = false;
    }
}
