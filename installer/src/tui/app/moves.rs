//! What keys do on a page.

use sealift_wizard::{Action, FieldView, Message, PageId, Part, Verdict};
use tui_input::{Input, InputRequest};

use super::App;
use crate::tui::frame::Layout;
use crate::tui::keys::Key;
use crate::tui::layers::looked_at;
use crate::tui::state::{Button, Layer, Spot, fields, is_typed, options};

/// Most letters that are typed into one field; the wizard refuses far fewer, with a reason.
const MOST: usize = 8192;

impl App {
    pub(super) fn page_key(&mut self, key: Key) {
        self.state.remark = None;
        if self.state.spot == Spot::Log && self.pane_key(key) {
            return;
        }
        match key {
            Key::Help => self.state.layer = Some(Layer::Help),
            Key::Pages => self.press(Button::Pages),
            Key::Save => self.press(Button::Do(Action::Save)),
            Key::Run => self.press(Button::Do(Action::Run)),
            Key::Next => self.press(Button::Do(Action::Next)),
            Key::Leave => self.press(Button::Do(Action::Quit)),
            Key::Skip => self.press_if_offered(Action::Skip),
            Key::Trust => self.press_if_offered(Action::TrustKeys),
            Key::Import => self.press_if_offered(Action::ImportHosts),
            // The same key, on other pages.
            Key::Paste if self.offers(Action::Fix) => self.press(Button::Do(Action::Fix)),
            Key::Paste => self.press_if_offered(Action::PasteHosts),
            // The same key, on the page of a run.
            Key::Accept if !self.screen.log.is_empty() => self.press(Button::Log),
            Key::Accept => self.press_if_offered(Action::AcceptRisk),
            Key::Insert => self.press_if_offered(Action::AddHost),
            Key::Detach => self.press_if_offered(Action::Detach),
            Key::Back => self.escape(),
            Key::Tab => self.forward(),
            Key::BackTab => self.backward(),
            Key::PageDown => self.turn(true),
            Key::PageUp => self.turn(false),
            other => self.key_at_spot(other),
        }
    }

    fn key_at_spot(&mut self, key: Key) {
        match self.state.spot.clone() {
            Spot::Field(_) => {
                let Some(field) = looked_at(&self.screen, &self.state).cloned() else { return };
                match key {
                    Key::Enter => self.forward(),
                    Key::Up => self.up(),
                    Key::Down => self.down(),
                    key if is_typed(&field) => self.type_key(&field, key),
                    key => self.choose_key(&field, key),
                }
            }
            Spot::Line(index) => match key {
                Key::Enter if self.screen.page == PageId::Hosts => self.send(Message::EditHost(index)),
                Key::Enter if self.screen.page == PageId::Start => self.send(Message::WatchRun(index)),
                Key::Enter if self.screen.page == PageId::Install => self.open_log_of(index),
                Key::Enter => self.open(index),
                Key::Delete if self.offers(Action::RemoveHost) => {
                    self.state.layer = Some(Layer::RemoveHost(index));
                }
                key => self.walk(key),
            },
            Spot::Button(button) => match key {
                Key::Enter | Key::Letter(' ') => self.press(button),
                Key::Left => self.backward(),
                Key::Right => self.forward(),
                key => self.walk(key),
            },
            Spot::Reading => match key {
                Key::Enter => self.turn(true),
                key => self.walk(key),
            },
            // What it takes was done already.
            Spot::Log => {}
        }
    }

    fn walk(&mut self, key: Key) {
        match key {
            Key::Up => self.up(),
            Key::Down => self.down(),
            Key::Home => {
                self.state.scroll = 0;
                self.stop_in_view();
            }
            Key::End => {
                self.state.scroll = self.layout().last_scroll();
                self.stop_in_view();
            }
            _ => {}
        }
    }

    pub(super) fn offers(&self, action: Action) -> bool {
        self.screen.actions.contains(&action)
    }

    fn press_if_offered(&mut self, action: Action) {
        if self.offers(action) {
            self.press(Button::Do(action));
        }
    }

    /// Does what a button says. What is typed comes first: where it is refused, nothing else happens.
    fn press(&mut self, button: Button) {
        let taken = self.commit();
        if !taken && button != Button::Do(Action::Quit) && button != Button::Help {
            return;
        }
        match button {
            Button::Help => self.state.layer = Some(Layer::Help),
            Button::Log => self.open_log(None),
            Button::Pages => self.state.layer = Some(Layer::Pages(self.screen.step.0 - 1)),
            Button::Do(action) => self.act(action),
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Next | Action::KeepRisk => self.next(),
            Action::Back => self.send(Message::Back),
            Action::Skip => self.send(Message::Skip),
            Action::Save => self.send(Message::Save),
            Action::Quit => self.send(Message::Quit),
            Action::Run => self.send(Message::Run),
            Action::WatchRun => self.send(Message::WatchRun(self.state.line)),
            Action::Stop => self.send(Message::Stop),
            Action::Detach => self.send(Message::Detach),
            Action::TrustKeys => self.state.layer = Some(Layer::TrustKeys(self.screen.new_keys.clone())),
            Action::Fix => self.send(Message::Open(Part::Fixes)),
            Action::MakeFixes => self.send(Message::MakeFixes),
            Action::AcceptRisk => self.send(Message::AcceptRisk),
            Action::TakeRiskBack => self.send(Message::TakeRiskBack),
            Action::AddHost => self.send(Message::AddHost),
            Action::CloseHost => self.send(Message::CloseHost),
            Action::EditHost => self.send(Message::EditHost(self.host())),
            Action::RemoveHost => self.state.layer = Some(Layer::RemoveHost(self.host())),
            Action::ImportHosts => self.state.layer = Some(Layer::Import(Input::default())),
            Action::PasteHosts => {
                self.state.layer = Some(Layer::List { lines: Vec::new(), input: Input::default() });
            }
        }
    }

    /// The host that is open, or the line of the table that was looked at last.
    fn host(&self) -> usize {
        self.model.host().unwrap_or(self.state.line)
    }

    /// Where the page is not done, what keeps it from that is looked at.
    fn next(&mut self) {
        let open = fields(&self.screen).find(|field| field.verdict != Verdict::Fine);
        let open = open.map(|field| field.path.clone()).filter(|_| self.model.host().is_none());
        if let Some(field) = open {
            self.send(Message::Focus { field: field.clone() });
            self.state.spot = Spot::Field(field);
        }
        self.send(Message::Next);
        let field = self.model.refused().and_then(|refused| refused.field.clone());
        if let Some(field) = field.filter(|path| fields(&self.screen).any(|field| field.path == *path)) {
            self.state.spot = Spot::Field(field);
        }
    }

    fn open(&mut self, index: usize) {
        let opens = self.screen.entries().nth(index).map(|entry| entry.opens.clone());
        if let Some(message) = opens {
            self.send(message);
        }
    }

    /// What is typed is dropped; where nothing is, to the page before.
    fn escape(&mut self) {
        match self.state.edit.take() {
            Some(edit) if edit.is_changed() => {
                // What was refused is gone with it.
                self.send(Message::Focus { field: edit.field });
            }
            _ => self.send(Message::Back),
        }
    }

    /// Goes to a spot, unless what is typed is refused.
    fn go_to(&mut self, spot: Spot) {
        if let Spot::Field(field) = &spot {
            self.send(Message::Focus { field: field.clone() });
        }
        self.state.spot = spot;
    }

    /// The spot behind this one, round and round.
    fn forward(&mut self) {
        self.around(1);
    }

    fn backward(&mut self) {
        self.around(-1);
    }

    fn around(&mut self, by: isize) {
        if !self.commit() {
            return;
        }
        let layout = self.layout();
        if self.state.spot == Spot::Reading {
            return self.out_of_text(&layout, by > 0);
        }
        // Text is read with other keys.
        let spots: Vec<Spot> =
            self.spots(&layout).into_iter().filter(|spot| *spot != Spot::Reading).collect();
        let at = spots.iter().position(|spot| *spot == self.state.spot).unwrap_or_default();
        let count = isize::try_from(spots.len()).unwrap_or(1);
        let to = isize::try_from(at).unwrap_or(0) + by;
        if let Some(spot) = usize::try_from(to.rem_euclid(count)).ok().and_then(|to| spots.get(to)) {
            self.go_to(spot.clone());
        }
    }

    /// From the text to what stands next to it.
    fn out_of_text(&mut self, layout: &Layout, forward: bool) {
        let (top, bottom) = (self.state.scroll, self.state.scroll + layout.height());
        let mut spots = layout.body.spots.iter();
        let spot = if forward {
            spots.find(|(_, range)| range.start >= top)
        } else {
            spots.rfind(|(_, range)| range.end <= bottom)
        };
        let spot = spot.map_or_else(|| Spot::Button(self.first_button()), |(spot, _)| spot.clone());
        self.go_to(spot);
    }

    fn down(&mut self) {
        if !self.commit() {
            return;
        }
        let layout = self.layout();
        let spots = &layout.body.spots;
        let at = spots.iter().position(|(spot, _)| *spot == self.state.spot);
        match (at, &self.state.spot) {
            (Some(at), _) => match spots.get(at + 1) {
                // Much text lies between: it is read first.
                Some((_, range)) if range.start > self.state.scroll + layout.height() + 2 => {
                    self.state.scroll += 1;
                    self.state.spot = Spot::Reading;
                }
                Some((spot, _)) => self.go_to(spot.clone()),
                None if self.state.scroll < layout.last_scroll() => {
                    self.state.scroll += 1;
                    self.state.spot = Spot::Reading;
                }
                None => self.state.spot = self.below_the_page(&layout),
            },
            (None, Spot::Reading) if self.state.scroll < layout.last_scroll() => self.state.scroll += 1,
            (None, Spot::Reading) => self.state.spot = self.below_the_page(&layout),
            (None, _) => {}
        }
    }

    /// What stands below the text and its spots: the log, or the buttons.
    fn below_the_page(&self, layout: &Layout) -> Spot {
        if layout.log.is_some() { Spot::Log } else { Spot::Button(self.first_button()) }
    }

    fn up(&mut self) {
        if !self.commit() {
            return;
        }
        let layout = self.layout();
        let spots = &layout.body.spots;
        let at = spots.iter().position(|(spot, _)| *spot == self.state.spot);
        match (at, &self.state.spot) {
            (Some(at), _) => match at.checked_sub(1).and_then(|before| spots.get(before)) {
                Some((_, range)) if range.end + 2 < self.state.scroll => {
                    self.state.scroll -= 1;
                    self.state.spot = Spot::Reading;
                }
                Some((spot, _)) => self.go_to(spot.clone()),
                None if self.state.scroll > 0 => {
                    self.state.scroll -= 1;
                    self.state.spot = Spot::Reading;
                }
                None => {}
            },
            (None, Spot::Reading) => self.state.scroll = self.state.scroll.saturating_sub(1),
            // From the buttons.
            (None, _) => match spots.last() {
                Some((spot, range)) if range.end > self.state.scroll => self.go_to(spot.clone()),
                _ if layout.last_scroll() > 0 => self.state.spot = Spot::Reading,
                Some((spot, _)) => self.go_to(spot.clone()),
                None => {}
            },
        }
    }

    /// A screen further or back. What is looked at stays in view.
    fn turn(&mut self, forward: bool) {
        if !self.commit() {
            return;
        }
        let layout = self.layout();
        let step = layout.height().saturating_sub(1);
        let to = if forward { self.state.scroll + step } else { self.state.scroll.saturating_sub(step) };
        let to = to.min(layout.last_scroll());
        if to == self.state.scroll && forward && self.state.spot == Spot::Reading {
            self.state.spot = Spot::Button(self.first_button());
            return;
        }
        self.state.scroll = to;
        self.stop_in_view();
    }

    /// Looks at what is whole on the screen, or at the text.
    fn stop_in_view(&mut self) {
        if !self.commit() {
            return;
        }
        let layout = self.layout();
        let (top, bottom) = (self.state.scroll, self.state.scroll + layout.height());
        let whole = |(_, range): &&(Spot, std::ops::Range<usize>)| range.start >= top && range.end <= bottom;
        let overflows = layout.last_scroll() > 0;
        match layout.body.spots.iter().find(whole) {
            Some((spot, _)) => self.go_to(spot.clone()),
            None if overflows => self.state.spot = Spot::Reading,
            None => {}
        }
    }

    fn type_key(&mut self, field: &FieldView, key: Key) {
        let Some(edit) = &mut self.state.edit else { return };
        let empty = edit.input.value().is_empty();
        let request = match key {
            Key::Letter(letter) if edit.input.value().chars().count() < MOST => {
                InputRequest::InsertChar(letter)
            }
            // A text that a file gave cannot be typed, but taken back.
            Key::Delete | Key::Erase if empty && edit.before.is_empty() && field.value.is_some() => {
                return self.send(Message::Clear { field: field.path.clone() });
            }
            key => match edit_request(key) {
                Some(request) => request,
                None => return,
            },
        };
        edit.input.handle(request);
    }

    /// The answers of a field that has only some: one after the other.
    fn choose_key(&mut self, field: &FieldView, key: Key) {
        let words = self.words();
        let options = options(field, words.text("word.yes"), words.text("word.no"));
        let at = options.iter().position(|(word, _)| field.answer.as_ref() == Some(word));
        let last = options.len().saturating_sub(1);
        let to = match key {
            Key::Right | Key::Letter(' ') => at.map_or(0, |at| if at == last { 0 } else { at + 1 }),
            Key::Left => at.map_or(last, |at| at.checked_sub(1).unwrap_or(last)),
            Key::Delete | Key::Erase => return self.send(Message::Clear { field: field.path.clone() }),
            _ => return,
        };
        if let Some((word, _)) = options.get(to) {
            self.send(Message::Answer { field: field.path.clone(), text: word.clone() });
        }
    }

    /// Text from another window goes into the field, or is a list of hosts.
    pub(super) fn paste_on_page(&mut self, text: &str) {
        self.state.remark = None;
        if self.offers(Action::PasteHosts) {
            return self.send(Message::AddHosts(text.to_owned()));
        }
        let Some(edit) = &mut self.state.edit else { return self.remark("draw.noPaste") };
        insert(&mut edit.input, text);
    }
}

/// What a key does in a line of text.
pub(super) fn edit_request(key: Key) -> Option<InputRequest> {
    Some(match key {
        Key::Letter(letter) => InputRequest::InsertChar(letter),
        Key::Left => InputRequest::GoToPrevChar,
        Key::Right => InputRequest::GoToNextChar,
        Key::Home => InputRequest::GoToStart,
        Key::End => InputRequest::GoToEnd,
        Key::Erase => InputRequest::DeletePrevChar,
        Key::Delete => InputRequest::DeleteNextChar,
        Key::EraseWord => InputRequest::DeletePrevWord,
        Key::EraseLine => InputRequest::DeleteLine,
        _ => return None,
    })
}

/// Puts pasted text into a line; line breaks become blanks.
pub(super) fn insert(input: &mut Input, text: &str) {
    let room = MOST.saturating_sub(input.value().chars().count());
    for letter in text.trim().chars().take(room) {
        let letter = if letter.is_control() { ' ' } else { letter };
        input.handle(InputRequest::InsertChar(letter));
    }
}
