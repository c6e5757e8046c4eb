//! The whole log of a host: opened from its line, following what happens until somebody scrolls.

use super::App;
use crate::tui::keys::Key;
use crate::tui::state::{Layer, Spot, progress_lines};

/// Lines of a step with the keys that turn pages.
const PAGE: usize = 10;

impl App {
    pub(super) fn open_log(&mut self, index: usize) {
        let Some(host) = progress_lines(&self.screen).nth(index).map(|line| line.name.clone()) else {
            return;
        };
        self.state.layer = Some(Layer::Log { host, lines: Vec::new(), follows: true });
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
        if let Some(Layer::Log { host, lines, .. }) = &mut self.state.layer {
            *lines = self.model.log_of(host);
        }
    }

    pub(super) fn log_key(&mut self, key: Key, host: String, lines: Vec<String>, mut follows: bool) -> Layer {
        let scroll = &mut self.state.layer_scroll;
        match key {
            Key::Up => (*scroll, follows) = (scroll.saturating_sub(1), false),
            Key::PageUp => (*scroll, follows) = (scroll.saturating_sub(PAGE), false),
            Key::Home => (*scroll, follows) = (0, false),
            Key::Down => *scroll += 1,
            Key::PageDown | Key::Letter(' ') => *scroll += PAGE,
            Key::End => follows = true,
            _ => {}
        }
        Layer::Log { host, lines, follows }
    }
}
