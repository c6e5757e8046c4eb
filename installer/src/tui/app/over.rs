//! What keys do where something lies over the page: help, questions, lists, passwords.

use sealift_wizard::{Message, PageId};
use tui_input::Input;

use super::moves::{edit_request, insert};
use super::{App, Deed};
use crate::tui::frame::Layout;
use crate::tui::keys::Key;
use crate::tui::state::{HOSTS_FILE, Layer, Spot};

impl App {
    pub(super) fn layer_key(&mut self, key: Key) {
        let Some(layer) = self.state.layer.take() else { return };
        if key == Key::Leave {
            return self.send(Message::Quit);
        }
        if key == Key::Back {
            // What was typed goes first, as on a page.
            if let Layer::Log(mut log) = layer
                && !log.text.value().is_empty()
            {
                (log.text, log.held) = (Input::default(), false);
                self.state.layer = Some(Layer::Log(log));
            }
            return;
        }
        self.state.layer = match layer {
            Layer::Help => self.help_key(key),
            Layer::Pages(at) => self.pages_key(key, at),
            Layer::RemoveHost(index) if key == Key::Enter => {
                self.send(Message::RemoveHost(index));
                None
            }
            Layer::RemoveHost(index) => Some(Layer::RemoveHost(index)),
            Layer::Log(log) => Some(Layer::Log(self.log_key(key, log))),
            // What is confirmed is what was shown, whatever has come meanwhile.
            Layer::TrustKeys(keys) if key == Key::Enter => {
                self.send(Message::TrustKeys(keys));
                None
            }
            Layer::TrustKeys(keys) => {
                self.scroll_layer(key);
                Some(Layer::TrustKeys(keys))
            }
            Layer::Import(input) => self.import_key(key, input),
            Layer::List { lines, input } => self.list_key(key, lines, input),
        };
    }

    fn help_key(&mut self, key: Key) -> Option<Layer> {
        if matches!(key, Key::Help | Key::Enter) {
            return None;
        }
        self.scroll_layer(key);
        Some(Layer::Help)
    }

    fn scroll_layer(&mut self, key: Key) {
        let scroll = &mut self.state.layer_scroll;
        match key {
            Key::Down => *scroll += 1,
            Key::Up => *scroll = scroll.saturating_sub(1),
            Key::PageDown | Key::Letter(' ') => *scroll += 10,
            Key::PageUp => *scroll = scroll.saturating_sub(10),
            _ => {}
        }
    }

    fn pages_key(&mut self, key: Key, at: usize) -> Option<Layer> {
        let last = PageId::ALL.len() - 1;
        Some(Layer::Pages(match key {
            Key::Down | Key::Tab => (at + 1).min(last),
            Key::Up | Key::BackTab => at.saturating_sub(1),
            Key::Home => 0,
            Key::End => last,
            Key::Enter => {
                self.send(Message::Go(PageId::ALL[at.min(last)]));
                return None;
            }
            _ => at,
        }))
    }

    fn import_key(&mut self, key: Key, mut input: Input) -> Option<Layer> {
        if key == Key::Enter {
            let file = input.value().trim().to_owned();
            if !file.is_empty() {
                self.state.sent.insert(HOSTS_FILE.to_owned(), file.clone());
                self.send(Message::ImportHosts { file });
            }
            return None;
        }
        if let Some(request) = edit_request(key) {
            input.handle(request);
        }
        Some(Layer::Import(input))
    }

    /// An empty line ends the list.
    fn list_key(&mut self, key: Key, mut lines: Vec<String>, mut input: Input) -> Option<Layer> {
        if key == Key::Enter {
            let line = input.value_and_reset();
            if line.trim().is_empty() {
                if lines.is_empty() {
                    return None;
                }
                self.send(Message::AddHosts(lines.join("\n")));
                // What was refused can be mended.
                return self.model.refused().is_some().then_some(Layer::List { lines, input });
            }
            lines.push(line);
        } else if key == Key::Erase && input.value().is_empty() {
            input = Input::new(lines.pop().unwrap_or_default());
        } else if let Some(request) = edit_request(key) {
            input.handle(request);
        }
        Some(Layer::List { lines, input })
    }

    /// A password: it is given, or nobody gives it.
    pub(super) fn asked_key(&mut self, key: Key) {
        let Some(asked) = &mut self.state.asked else { return };
        match key {
            Key::Letter(letter) => asked.typed.push(letter.encode_utf8(&mut [0; 4])),
            Key::Erase => asked.typed.erase(),
            Key::EraseLine | Key::EraseWord => asked.typed.clear(),
            Key::Enter => {
                let typed = self.state.asked.take().map(|asked| asked.typed);
                self.deeds.push(Deed::Give(typed));
            }
            Key::Back | Key::Leave => {
                self.state.asked = None;
                self.deeds.push(Deed::Give(None));
            }
            _ => {}
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
        if self.is_too_small() || self.screen.asks() {
            return;
        }
        if let Some(asked) = &mut self.state.asked {
            return asked.typed.push(text.lines().next().unwrap_or_default());
        }
        match &mut self.state.layer {
            None => self.paste_on_page(text),
            Some(Layer::Import(input)) => insert(input, text),
            Some(Layer::Log(log)) => {
                insert(&mut log.text, text);
                log.held = false;
            }
            Some(Layer::List { lines, .. }) => {
                lines.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
            }
            Some(_) => {}
        }
    }

    pub(super) fn keep_layer_visible(&mut self, layout: &Layout) {
        if matches!(&self.state.layer, Some(Layer::Log(log)) if !log.held) {
            self.state.layer_scroll = layout.last_scroll();
        }
        let at = match &self.state.layer {
            Some(Layer::Pages(at)) => Some(Spot::Line(*at)),
            _ => None,
        };
        let range = layout.body.spots.iter().find(|(spot, _)| Some(spot) == at.as_ref());
        if let Some((_, range)) = range {
            let lowest = range.end.saturating_sub(layout.height());
            self.state.layer_scroll = self.state.layer_scroll.clamp(lowest, range.start.max(lowest));
        }
        self.state.layer_scroll = self.state.layer_scroll.min(layout.last_scroll());
    }
}
