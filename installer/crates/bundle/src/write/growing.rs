//! A file that is read while it is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::member::{Member, MemberList};
use crate::source::Source;

/// A bundle's file in the making: who reads where nothing was written yet waits.
#[derive(Debug)]
pub(super) struct Growing {
    file: File,
    size: u64,
    /// Where the last member ends; what follows are zeros from the beginning.
    end: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Start of each member that was begun, to where it is written.
    spans: BTreeMap<u64, u64>,
    /// Bytes written in all.
    written: u64,
    /// What each of those waits for who wait.
    awaited: Vec<Awaited>,
    /// Nothing more will come.
    ended: bool,
    /// All of it is there.
    whole: bool,
}

/// What somebody waits for. Nobody is woken for anything else: who writes does so in small pieces, and to wake others for
/// each takes it as long as the writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// The byte at this place of the file.
    Byte(u64),
    /// So many bytes in all.
    Bytes(u64),
}

impl Growing {
    /// Reads `file`, which will hold `members` and has its size already.
    pub(super) fn new(file: &File, members: &MemberList) -> io::Result<Self> {
        let (file, size, end) = (file.try_clone()?, members.total(), members.end());
        Ok(Self { file, size, end, state: Mutex::default(), changed: Condvar::new() })
    }

    /// Everything of `member` before the byte `end` of the file is written.
    pub(super) fn wrote(&self, member: &Member, end: u64) {
        let mut state = self.state();
        let before = state.spans.insert(member.offset, end).unwrap_or(member.offset);
        state.written += end.saturating_sub(before);
        let there = |awaited: &Awaited| match *awaited {
            Awaited::Byte(offset) => (member.offset..end).contains(&offset),
            Awaited::Bytes(bytes) => state.written >= bytes,
        };
        let heard = state.awaited.iter().any(there);
        drop(state);
        if heard {
            self.changed.notify_all();
        }
    }

    /// Waits until `bytes` are written in all; how many are then, or nothing where the writing has ended.
    pub(super) fn grown(&self, bytes: u64) -> Option<u64> {
        let mut state = self.state();
        loop {
            if state.ended {
                return None;
            }
            if state.written >= bytes {
                return Some(state.written);
            }
            state = self.wait(state, Awaited::Bytes(bytes));
        }
    }

    /// Whoever writes keeps this: when it is dropped, nobody waits any more.
    pub(super) fn ending(&self) -> Ending<'_> {
        Ending(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `awaited` may be there.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>, awaited: Awaited) -> MutexGuard<'a, State> {
        state.awaited.push(awaited);
        let mut state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = state.awaited.iter().position(|one| *one == awaited) {
            state.awaited.swap_remove(index);
        }
        state
    }

    /// Waits for the byte at `offset`; up to where there are bytes then.
    fn written(&self, offset: u64) -> io::Result<u64> {
        let mut state = self.state();
        loop {
            let span = state.spans.range(..=offset).next_back().map(|(_, end)| *end);
            match span.filter(|end| *end > offset) {
                _ if offset >= self.end || state.whole => return Ok(self.size),
                Some(end) => return Ok(end),
                None if state.ended => return Err(io::Error::other("it was not written to its end")),
                None => state = self.wait(state, Awaited::Byte(offset)),
            }
        }
    }
}

impl Source for Growing {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let there = self.written(offset)?.saturating_sub(offset);
        let length = usize::try_from(there).unwrap_or(usize::MAX).min(buffer.len());
        self.file.read_at(&mut buffer[..length], offset)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

/// Ends the waiting when it is dropped.
pub(super) struct Ending<'a>(&'a Growing);

impl Ending<'_> {
    /// All was written.
    pub(super) fn whole(self) {
        self.0.state().whole = true;
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_written_is_told_and_the_end_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut members = MemberList::default();
        for (name, size) in [("a", 3), ("b", 4)] {
            assert!(members.push(name.to_owned(), String::new(), size).is_ok());
        }
        let file = File::create_new(folder.path().join("growing")).unwrap();
        let growing = Growing::new(&file, &members).unwrap();
        let [a, b] = members.as_slice() else { panic!("two members") };
        assert_eq!(growing.grown(0), Some(0));
        growing.wrote(a, a.content());
        growing.wrote(b, b.content() + 4);
        growing.wrote(a, a.content() + 3);
        assert_eq!(growing.grown(1000), Some(2 * 512 + 3 + 4));
        std::thread::scope(|scope| {
            let settler = scope.spawn(|| growing.grown(2000));
            drop(growing.ending());
            assert_eq!(settler.join().unwrap(), None);
        });
    }

    #[test]
    fn each_of_many_hears_of_what_it_waits_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("growing");
        let mut members = MemberList::default();
        for name in ["a", "b", "c"] {
            assert!(members.push(name.to_owned(), String::new(), 4).is_ok());
        }
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        file.set_len(members.total()).unwrap();
        let growing = Growing::new(&file, &members).unwrap();
        std::thread::scope(|scope| {
            let last = |member: &Member| member.content() + 3;
            let read = |offset| growing.read_at(&mut [0], offset).unwrap();
            let readers: Vec<_> =
                members.as_slice().iter().map(|member| scope.spawn(move || read(last(member)))).collect();
            let settler = scope.spawn(|| growing.grown(3 * 512 + 12));
            // The one that is written last is woken by its last byte alone.
            for member in members.as_slice().iter().rev() {
                for end in member.offset + 1..=last(member) + 1 {
                    growing.wrote(member, end);
                }
            }
            assert_eq!(settler.join().unwrap(), Some(3 * 512 + 12));
            assert!(readers.into_iter().all(|reader| reader.join().unwrap() == 1));
        });
    }

    #[test]
    fn who_reads_waits_for_who_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("growing");
        let mut members = MemberList::default();
        for (name, size) in [("a", 3), ("b", 4)] {
            assert!(members.push(name.to_owned(), String::new(), size).is_ok());
        }
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        file.set_len(members.total()).unwrap();
        let growing = Growing::new(&file, &members).unwrap();
        let [a, b] = members.as_slice() else { panic!("two members") };
        let mut buffer = [1; 9];
        // What follows the members is there at once.
        assert_eq!(growing.read_at(&mut buffer, members.end()).unwrap(), 9);
        assert_eq!(buffer, [0; 9]);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut buffer = [0; 9];
                let count = growing.read_at(&mut buffer, b.content()).unwrap();
                buffer[..count].to_vec()
            });
            file.write_all_at(b"ab", a.content()).unwrap();
            growing.wrote(a, a.content() + 2);
            // As much as there is.
            assert_eq!((growing.read_at(&mut buffer, a.content()).unwrap(), &buffer[..2]), (2, &b"ab"[..]));
            file.write_all_at(b"cd", b.content()).unwrap();
            growing.wrote(b, b.content() + 2);
            assert_eq!(reader.join().unwrap(), b"cd");
        });
        drop(growing.ending());
        assert!(growing.read_at(&mut buffer, b.content() + 2).is_err());
        assert_eq!(growing.read_at(&mut buffer, b.content()).unwrap(), 2);
        growing.ending().whole();
        assert_eq!(growing.read_at(&mut buffer, b.content()).unwrap(), 9);
    }
}
