//! The wizard and where somebody is in it: each thing that happens changes both, and says what is to be done outside.
//!
//! Pure: no terminal, no files, no clock. `moves` has what keys do on a page, `log` what they do in the log of a host,
//! `over` what they do where something lies over it.

mod log;
mod moves;
mod over;

use sealift_wizard::plain::{Ended, Reason};
use sealift_wizard::{
    Action, Effect, Kind, Language, Message, Model, PageId, Part, Row, Screen, Start, Words, update, view,
};
use tui_input::Input as Typed;

use super::display::Display;
use super::frame::{FLOOR, Layout, Picture, layout};
use super::keys::Key;
use super::state::{
    Asked, BUNDLE, Button, Edit, HOSTS_FILE, Layer, Password, Spot, State, Work, buttons, fields, is_typed,
    line_count,
};

/// Something that happens.
#[derive(Debug)]
pub(super) enum Input {
    Key(Key),
    /// Text from another window, in one piece.
    Pasted(String),
    /// The screen has this many columns and rows.
    Size(u16, u16),
    /// What came out of an effect.
    Outcome(Message),
    /// Work outside needs a password.
    Ask(String),
    /// What goes on outside, and for how many seconds.
    Working(Vec<(Work, u64)>),
    /// The terminal or the machine ends the wizard.
    Interrupted,
}

/// Something to be done outside.
#[derive(Debug)]
pub(super) enum Deed {
    Perform(Effect),
    /// The password that was asked for; none where nobody gives it.
    Give(Option<Password>),
    /// Give the terminal back until somebody comes back.
    Suspend,
    Redraw,
}

/// The page, the host and the parts of the page that lie over each other.
type Place = (PageId, Option<usize>, Vec<Part>);

fn place(model: &Model) -> Place {
    (model.page(), model.host(), model.parts().to_vec())
}

/// All of it.
#[derive(Debug)]
pub(super) struct App {
    model: Model,
    screen: Screen,
    state: State,
    display: Display,
    size: (u16, u16),
    /// What the state belongs to.
    place: Place,
    reason: Reason,
    /// Whether somebody has pressed a key yet.
    touched: bool,
    deeds: Vec<Deed>,
}

impl App {
    /// A wizard, and what has to be done first.
    pub(super) fn new(mut start: Start, display: Display, size: (u16, u16)) -> (Self, Vec<Deed>) {
        let falls_back = display.ascii && start.language == Language::Chinese;
        if falls_back {
            start.language = Language::English;
        }
        let (model, effects) = Model::new(start);
        let screen = view(&model);
        let place = place(&model);
        let mut app = Self {
            model,
            screen,
            state: State::new(),
            display,
            size,
            place,
            reason: Reason::Finished,
            touched: false,
            deeds: effects.into_iter().map(Deed::Perform).collect(),
        };
        app.state.spot = app.first_spot();
        app.settle();
        if falls_back {
            app.remark("draw.noChinese");
        }
        let deeds = std::mem::take(&mut app.deeds);
        (app, deeds)
    }

    /// Takes what happens; what is to be done then, in this order.
    pub(super) fn take(&mut self, input: Input) -> Vec<Deed> {
        match input {
            Input::Key(key) => self.key(key),
            Input::Pasted(text) => self.paste(&text.replace("\r\n", "\n").replace('\r', "\n")),
            Input::Size(columns, rows) => self.size = (columns, rows),
            Input::Outcome(message) => self.outcome(message),
            Input::Ask(label) => self.state.asked = Some(Asked { label, typed: Password::new() }),
            Input::Working(work) => self.state.work = work,
            Input::Interrupted => {
                self.commit();
                self.send(Message::InputEnded);
            }
        }
        self.settle();
        std::mem::take(&mut self.deeds)
    }

    pub(super) fn picture(&self) -> Picture<'_> {
        Picture { screen: &self.screen, state: &self.state, words: self.words(), display: self.display }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.model.has_ended()
    }

    /// How it ended.
    pub(super) fn into_end(self) -> Ended {
        Ended { model: self.model, reason: self.reason }
    }

    fn words(&self) -> Words {
        self.model.words()
    }

    fn is_too_small(&self) -> bool {
        self.size.0 < FLOOR.0 || self.size.1 < FLOOR.1
    }

    fn layout(&self) -> Layout {
        layout(self.picture(), self.size)
    }

    fn remark(&mut self, key: &str) {
        self.state.remark = Some(self.words().text(key));
    }

    fn key(&mut self, key: Key) {
        self.touched = true;
        let key = if key == Key::Interrupt { self.interrupted() } else { key };
        if !self.is_too_small() {
            self.state.seen = self.screen.notice.clone().filter(|_| key != Key::Save);
        }
        match key {
            Key::Suspend => return self.deeds.push(Deed::Suspend),
            Key::Redraw => return self.deeds.push(Deed::Redraw),
            _ => {}
        }
        if self.is_too_small() {
            // Nobody sees what other keys would do.
            if key == Key::Leave {
                self.commit();
                self.send(Message::Quit);
                self.leave(true);
            }
        } else if self.state.asked.is_some() {
            self.asked_key(key);
        } else if self.screen.leaving.is_some() {
            match key {
                Key::Enter => self.leave(true),
                Key::Back | Key::Leave => self.leave(false),
                _ => {}
            }
        } else if self.screen.stopping.is_some() {
            match key {
                Key::Enter => self.send(Message::ReallyStop(true)),
                Key::Back | Key::Leave | Key::Interrupt => self.send(Message::ReallyStop(false)),
                _ => {}
            }
        } else if key == Key::Interrupt {
            self.state.layer = None;
            self.send(Message::Stop);
        } else if self.state.layer.is_some() {
            self.layer_key(key);
        } else {
            self.page_key(key);
        }
    }

    /// Where a run goes on that can be seen to, a stop is asked for in place of leaving.
    fn interrupted(&self) -> Key {
        let elsewhere = self.is_too_small() || self.state.asked.is_some() || self.screen.leaving.is_some();
        if !elsewhere && self.offers(Action::Stop) { Key::Interrupt } else { Key::Leave }
    }

    fn leave(&mut self, yes: bool) {
        if yes && !self.model.is_complete() {
            self.reason = Reason::Quit;
        }
        self.send(Message::ReallyQuit(yes));
    }

    /// Does something in the wizard.
    fn send(&mut self, message: Message) {
        let (model, effects) = update(self.model.clone(), message);
        self.model = model;
        self.deeds.extend(effects.into_iter().map(Deed::Perform));
        if self.display.ascii && self.words().language() == Language::Chinese {
            let (model, _) = update(self.model.clone(), Message::Speak(Language::English));
            self.model = model;
            self.remark("draw.noChinese");
        }
        self.screen = view(&self.model);
    }

    /// What came out of an effect. Where it fills the page, or was there before anybody did anything, that is what is
    /// looked at.
    fn outcome(&mut self, message: Message) {
        let moves = match &message {
            Message::Loaded(_) | Message::BundleOpened { .. } => !self.touched,
            Message::Sized { .. } => self.place.0 == PageId::Sizing,
            Message::Checked { .. } | Message::Fixed { .. } => self.place.0 == PageId::Checks,
            Message::Planned { .. } => self.place.0 == PageId::Review,
            // The first sign of a run: what can be looked at is there from now on.
            Message::Watched { .. } => self.place.0 == PageId::Install && line_count(&self.screen) == 0,
            _ => false,
        };
        let unread = match &message {
            Message::TextRead { field, text: Err(_) } => Some(field.clone()),
            Message::BundleOpened { outcome: Err(_), .. } => Some(BUNDLE.to_owned()),
            Message::HostsRead(Err(_)) => Some(HOSTS_FILE.to_owned()),
            _ => None,
        };
        let host = self.looked_at_host();
        self.send(message);
        self.look_at_host(host);
        if let Some(field) = unread {
            self.give_back(&field);
        }
        let typing = self.state.edit.as_ref().is_some_and(Edit::is_changed);
        if moves && !typing && self.state.layer.is_none() {
            self.state.scroll = 0;
            self.state.spot = self.first_spot();
        }
    }

    /// Gives what is typed to the wizard; whether it was taken. Nothing typed is taken always.
    fn commit(&mut self) -> bool {
        let Some(edit) = self.state.edit.as_ref().filter(|edit| edit.is_changed()) else { return true };
        let (field, text) = (edit.field.clone(), edit.input.value().trim().to_owned());
        let reads = field == BUNDLE
            || fields(&self.screen).any(|one| one.path == field && one.kind == Kind::TextOfFile);
        let message =
            if text.is_empty() { Message::Clear { field } } else { Message::Answer { field, text } };
        self.send(message);
        let taken = self.model.refused().is_none();
        if taken
            && let Some(edit) = self.state.edit.take()
            && reads
        {
            self.state.sent.insert(edit.field, edit.input.value().to_owned());
        }
        taken
    }

    /// What names something that could not be read is not typed again: it stands where it was typed, with the reason
    /// below.
    fn give_back(&mut self, field: &str) {
        let Some(text) = self.state.sent.remove(field) else { return };
        let typing = self.state.edit.as_ref().is_some_and(Edit::is_changed);
        let busy = typing || self.state.layer.is_some() || self.screen.asks();
        if field == HOSTS_FILE {
            if !busy && self.offers(Action::ImportHosts) {
                self.state.layer = Some(Layer::Import(Typed::new(text)));
            }
            return;
        }
        if !busy && fields(&self.screen).any(|shown| shown.path == field) {
            self.state.spot = Spot::Field(field.to_owned());
        }
        self.state.unread.insert(field.to_owned(), text);
    }

    /// Where keys go to on a page that was just opened: what is to be answered, what is to be read, or what there is.
    fn first_spot(&self) -> Spot {
        let open = fields(&self.screen).find(|field| field.verdict != sealift_wizard::Verdict::Fine);
        if let Some(field) = open {
            return Spot::Field(field.path.clone());
        }
        let lines = line_count(&self.screen);
        if lines > 0 && matches!(self.screen.page, PageId::Hosts | PageId::Checks | PageId::Install) {
            return Spot::Line(self.state.line.min(lines - 1));
        }
        let text_first =
            matches!(self.screen.rows.first(), Some(Row::Text(_) | Row::Table { .. } | Row::Entries { .. }))
                || self.model.part() == Some(&Part::Fixes);
        let layout = self.layout();
        if text_first && layout.body.lines.len() > layout.height() {
            return Spot::Reading;
        }
        match fields(&self.screen).next() {
            Some(field) => Spot::Field(field.path.clone()),
            None => Spot::Button(self.first_button()),
        }
    }

    fn first_button(&self) -> Button {
        buttons(&self.screen).first().copied().unwrap_or(Button::Help)
    }

    /// All spots that can be reached now, from top to bottom.
    fn spots(&self, layout: &Layout) -> Vec<Spot> {
        let overflows = layout.body.lines.len() > layout.height();
        let reading = overflows.then_some(Spot::Reading);
        let body = layout.body.spots.iter().map(|(spot, _)| spot.clone());
        let row = buttons(&self.screen).into_iter().map(Spot::Button);
        let log = layout.log.as_ref().map(|_| Spot::Log);
        reading.into_iter().chain(body).chain(log).chain(row).collect()
    }

    /// After everything that happens: what is looked at is there, can be reached and is on the screen.
    fn settle(&mut self) {
        let place = place(&self.model);
        if place != self.place {
            self.arrive(place);
        }
        self.keep_log();
        self.keep_spot();
        self.keep_edit();
        self.keep_visible();
    }

    /// Another page, host or part.
    fn arrive(&mut self, place: Place) {
        let (depth, before) = (place.2.len(), self.place.2.len());
        match (&self.place, &place) {
            // Back from a host: the table where it was left.
            ((PageId::Hosts, Some(host), _), (PageId::Hosts, None, _)) => self.state.line = *host,
            _ if place.0 != self.place.0 => {
                self.state.line = 0;
                self.state.lines_below.clear();
            }
            _ if depth > before => {
                self.state.lines_below.push(self.state.line);
                self.state.line = 0;
            }
            _ => {
                for _ in depth..before {
                    self.state.line = self.state.lines_below.pop().unwrap_or_default();
                }
            }
        }
        let is_back = place.0 == self.place.0 && depth < before;
        self.place = place;
        self.state.scroll = 0;
        self.state.log_scroll = None;
        self.state.edit = None;
        self.state.layer = None;
        self.state.spot = self.first_spot();
        let lines = line_count(&self.screen);
        if is_back && lines > 0 {
            // To the line that was opened.
            self.state.spot = Spot::Line(self.state.line.min(lines - 1));
        }
        if let Spot::Field(field) = self.state.spot.clone() {
            let refused = self.model.refused().is_some();
            if !refused && self.model.focus() != Some(field.as_str()) {
                self.send(Message::Focus { field });
            }
        }
    }

    fn keep_spot(&mut self) {
        if self.state.layer.is_some() || self.screen.asks() || self.state.asked.is_some() {
            return;
        }
        let layout = self.layout();
        let spots = self.spots(&layout);
        if spots.contains(&self.state.spot) {
            return;
        }
        let lines = line_count(&self.screen);
        let focus = self.model.focus().map(|path| Spot::Field(path.to_owned()));
        let next = Spot::Button(Button::Do(sealift_wizard::Action::Next));
        let wanted = match &self.state.spot {
            Spot::Line(_) if lines > 0 => Some(Spot::Line(lines - 1)),
            Spot::Button(_) => Some(next),
            _ => focus,
        };
        self.state.spot = wanted.filter(|spot| spots.contains(spot)).unwrap_or_else(|| self.first_spot());
    }

    /// The field that is looked at can be typed into at once.
    fn keep_edit(&mut self) {
        let field = super::layers::looked_at(&self.screen, &self.state).filter(|field| is_typed(field));
        let Some(field) = field else {
            self.state.edit = None;
            return;
        };
        let stays = self.state.edit.as_ref().is_some_and(|edit| {
            edit.field == field.path
                && (edit.is_changed() || edit.before == field.answer.clone().unwrap_or_default())
        });
        if !stays {
            self.state.edit = Some(Edit::of(field));
        }
        if let Some(edit) = self.state.edit.as_mut().filter(|edit| !edit.is_changed())
            && let Some(text) = self.state.unread.remove(&field.path)
        {
            edit.input = Typed::new(text);
        }
    }

    fn keep_visible(&mut self) {
        if let Spot::Line(index) = self.state.spot {
            self.state.line = index;
        }
        let layout = self.layout();
        let last = layout.last_scroll();
        if self.state.layer.is_some() {
            return self.keep_layer_visible(&layout);
        }
        self.state.layer_scroll = 0;
        let range = layout.body.spots.iter().find(|(spot, _)| *spot == self.state.spot);
        if let Some((_, range)) = range {
            let height = layout.height();
            let first = layout.body.spots.first().is_some_and(|(spot, _)| *spot == self.state.spot);
            // What stands above the first is shown with it where it fits.
            let top = if first && range.end <= height { 0 } else { range.start };
            if range.end > self.state.scroll + height {
                self.state.scroll = range.end - height;
            }
            self.state.scroll = self.state.scroll.min(top);
        }
        self.state.scroll = self.state.scroll.min(last);
    }
}
