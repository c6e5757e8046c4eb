//! Keys of a terminal as what they ask for. Pure; where somebody is decides later what becomes of it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Help,
    Pages,
    Save,
    Import,
    Paste,
    Run,
    /// Accept a risk.
    Accept,
    Next,
    Skip,
    /// Confirm new host keys.
    Trust,
    /// Leave the wizard.
    Leave,
    /// Leave it as it is and give the terminal back for now.
    Suspend,
    Redraw,
    /// Leave, or stop what goes on: both are asked first.
    Interrupt,
    /// Leave the wizard while a run goes on.
    Detach,
    /// To where somebody came from.
    Back,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Insert,
    Delete,
    Erase,
    EraseWord,
    EraseLine,
    Letter(char),
}

/// The meaning of a key; none where it has none here. No letter alone means anything but itself.
pub(super) fn key(event: KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match event.code {
        KeyCode::F(1) => Key::Help,
        KeyCode::F(2) => Key::Save,
        KeyCode::F(3) => Key::Pages,
        KeyCode::F(4) => Key::Import,
        KeyCode::F(5) => Key::Run,
        KeyCode::F(6) => Key::Paste,
        KeyCode::F(7) => Key::Accept,
        KeyCode::F(8) => Key::Next,
        KeyCode::F(9) => Key::Detach,
        KeyCode::F(10) => Key::Leave,
        KeyCode::Esc => Key::Back,
        KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Key::BackTab,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Insert => Key::Insert,
        KeyCode::Delete => Key::Delete,
        KeyCode::Backspace => Key::Erase,
        KeyCode::Char(letter) if control => return with_control(letter),
        KeyCode::Char(letter) if !event.modifiers.contains(KeyModifiers::ALT) => Key::Letter(letter),
        _ => return None,
    })
}

/// The keys that serial terminals have in place of keys for editing, and those that every shell has.
fn with_control(letter: char) -> Option<Key> {
    Some(match letter.to_ascii_lowercase() {
        'c' => Key::Interrupt,
        'z' => Key::Suspend,
        'l' => Key::Redraw,
        'o' => Key::Skip,
        'k' => Key::Trust,
        'a' => Key::Home,
        'e' => Key::End,
        'd' => Key::Delete,
        'h' => Key::Erase,
        'w' => Key::EraseWord,
        'u' => Key::EraseLine,
        'j' | 'm' => Key::Enter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_mean_themselves_and_control_letters_do_not() {
        let press = |code, modifiers| key(KeyEvent::new(code, modifiers));
        for letter in ' '..='~' {
            assert_eq!(press(KeyCode::Char(letter), KeyModifiers::NONE), Some(Key::Letter(letter)));
        }
        for (letter, meaning) in [('c', Some(Key::Interrupt)), ('z', Some(Key::Suspend)), ('x', None)] {
            assert_eq!(press(KeyCode::Char(letter), KeyModifiers::CONTROL), meaning);
        }
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::ALT), None);
        assert_eq!(press(KeyCode::Tab, KeyModifiers::SHIFT), Some(Key::BackTab));
        let mut released = KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE);
        released.kind = KeyEventKind::Release;
        assert_eq!(key(released), None);
    }
}
