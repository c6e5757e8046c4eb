//! The terminal: taken over and given back, in every way out. The only place that changes its settings.

use std::io::{self, Stdout, Write as _, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::style::ResetColor;
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{TerminalOptions, Viewport};
use rustix::termios::{LocalModes, tcgetattr};

use super::app::App;
use super::frame::{FLOOR, draw};

/// Whether the terminal is drawn on now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back, if it is taken. Errors have nowhere to go: the terminal may be gone.
pub(super) fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Cleared, since some terminals have no second screen.
        let _ = execute!(
            stdout(),
            ResetColor,
            DisableBracketedPaste,
            Clear(ClearType::All),
            MoveTo(0, 0),
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
    }
}

/// From now on a panic of this thread gives the terminal back before it is told; one of another thread is not told
/// here, since it would draw over the screen: whoever waits for that thread tells it.
pub(super) fn give_back_on_panic() {
    let drawing = std::thread::current().id();
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() == drawing {
            give_back();
        }
        if !TAKEN.load(Ordering::SeqCst) {
            told(panic);
        }
    }));
}

/// The terminal while it is drawn on; given back when this goes.
pub(super) struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<Stdout>>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

impl Terminal {
    /// Takes the terminal over.
    pub(super) fn take_over(size: (u16, u16)) -> io::Result<Self> {
        take()?;
        match fresh(size) {
            Ok(inner) => Ok(Self { inner }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Takes it over again, after it was given back or others have changed it.
    pub(super) fn take_again(&mut self, size: (u16, u16)) -> io::Result<()> {
        if !is_raw() {
            // The library shall not believe what was true before: else it would change nothing.
            disable_raw_mode()?;
        }
        take()?;
        self.start_afresh(size)
    }

    /// Draws all of it with the next frame.
    pub(super) fn start_afresh(&mut self, size: (u16, u16)) -> io::Result<()> {
        self.inner = fresh(size)?;
        Ok(())
    }

    pub(super) fn draw(&mut self, app: &App) -> io::Result<()> {
        self.inner.draw(|frame| {
            if let Some(cursor) = draw(app.picture(), frame.buffer_mut()) {
                frame.set_cursor_position(cursor);
            }
        })?;
        Ok(())
    }
}

/// Whether the terminal gives each key at once, and not line by line.
fn is_raw() -> bool {
    tcgetattr(io::stdin()).is_ok_and(|settings| !settings.local_modes.contains(LocalModes::ICANON))
}

fn take() -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    let taken =
        enable_raw_mode().and_then(|()| execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide));
    if taken.is_err() {
        give_back();
    }
    taken
}

/// An empty screen of this size. A fixed area: the library would ask other terminals than ours for the cursor's place,
/// and for sizes that serial lines do not know.
fn fresh((columns, rows): (u16, u16)) -> io::Result<ratatui::Terminal<CrosstermBackend<Stdout>>> {
    let mut out = stdout();
    queue!(out, ResetColor, Clear(ClearType::All))?;
    out.flush()?;
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    ratatui::Terminal::with_options(CrosstermBackend::new(out), TerminalOptions { viewport })
}

/// Columns and rows; the floor where the terminal does not know, as over a serial line.
pub(super) fn size() -> (u16, u16) {
    match crossterm::terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (columns, rows),
        _ => FLOOR,
    }
}
