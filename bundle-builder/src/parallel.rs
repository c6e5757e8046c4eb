//! Work for several threads.

use std::cell::RefCell;
use std::collections::BinaryHeap;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How far [`step_back`] goes: all the way, to what the others leave over.
const BACK: i32 = 19;

/// Threads that compress, hash or verify.
#[must_use]
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Lets all else on this machine go first from now on: concerns this thread, and threads and programs that it starts.
pub fn step_back() {
    // Where that is refused, it takes its share.
    let _ = rustix::process::nice(BACK);
}

thread_local! {
    /// Whether the work that this thread is a part of has failed.
    static FAILED: RefCell<Arc<AtomicBool>> = RefCell::default();
}

/// Whether another piece of the work that this thread is a part of has failed for good, so that this one may as well end:
/// for those that take long, between two steps.
#[must_use]
pub fn is_over() -> bool {
    FAILED.with_borrow(|failed| failed.load(Ordering::Relaxed))
}

/// Does both at once; one after the other where the system gives no thread.
pub fn both<A, B: Send>(one: impl FnOnce() -> A, other: impl Fn() -> B + Sync) -> (A, B) {
    thread::scope(|scope| {
        let beside = thread::Builder::new().spawn_scoped(scope, &other);
        let first = one();
        let second = match beside {
            Ok(thread) => thread.join().unwrap_or_else(|cause| panic::resume_unwind(cause)),
            Err(_) => other(),
        };
        (first, second)
    })
}

/// Does `work` on all `items`, `threads` at a time, begun in their order; results in their order. After a failure nothing
/// new is begun, what runs hears of it by [`is_over`], and what failed first tells why.
pub fn map<T: Send, R: Send, E: Send>(
    threads: usize,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.clamp(1, items.len().max(1));
    let queue = Mutex::new(items.into_iter().enumerate());
    let results = Mutex::new(Vec::new());
    let first_failure = Mutex::new(None);
    let failed = Arc::new(AtomicBool::new(false));
    let lane = || {
        let outer = FAILED.replace(Arc::clone(&failed));
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, item)) = next.filter(|_| !failed.load(Ordering::Relaxed)) else { break };
            match work(item) {
                Ok(result) => {
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                }
                Err(error) => {
                    first_failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    failed.store(true, Ordering::Relaxed);
                }
            }
        }
        FAILED.set(outer);
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(lane);
        }
        lane();
    });
    if let Some(error) = first_failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Turns at what only so many may do at once, wherever they work; who has waited longest is next.
#[derive(Debug)]
pub struct Turns {
    most: usize,
    state: Mutex<Drawn>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Drawn {
    /// How many have asked for a turn so far.
    asked: usize,
    /// How many turns are over.
    ended: usize,
}

/// A turn; it ends when dropped.
#[derive(Debug)]
pub struct Turn<'a>(&'a Turns);

impl Turns {
    /// Turns for `most` at once, for one at least.
    #[must_use]
    pub fn of(most: usize) -> Self {
        Self { most: most.max(1), state: Mutex::default(), changed: Condvar::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Waits for a turn.
    #[must_use]
    pub fn take(&self) -> Turn<'_> {
        let mut state = self.state();
        let before = state.asked;
        state.asked += 1;
        let all_taken = |state: &mut Drawn| before >= state.ended + self.most;
        drop(self.changed.wait_while(state, all_taken));
        Turn(self)
    }

    fn state(&self) -> MutexGuard<'_, Drawn> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().ended += 1;
        self.0.changed.notify_all();
    }
}

/// What is to be done, of which more may come meanwhile; who takes something gets the greatest that is there.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<Waiting<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Waiting<T> {
    things: BinaryHeap<T>,
    closed: bool,
}

impl<T: Ord> Queue<T> {
    /// A queue of these, to begin with.
    pub fn of(things: impl IntoIterator<Item = T>) -> Self {
        let waiting = Waiting { things: things.into_iter().collect(), closed: false };
        Self { state: Mutex::new(waiting), changed: Condvar::new() }
    }

    /// One more, unless it is closed.
    pub fn push(&self, thing: T) {
        let mut state = self.state();
        if !state.closed {
            state.things.push(thing);
            self.changed.notify_one();
        }
    }

    /// Nothing more comes; what is there can still be taken.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Nothing more comes, and what is there need not be done.
    pub fn abandon(&self) {
        self.state().things.clear();
        self.close();
    }

    /// The greatest that is there, where nothing is as soon as something comes; nothing when none will.
    pub fn take(&self) -> Option<T> {
        let nothing_yet = |waiting: &mut Waiting<T>| waiting.things.is_empty() && !waiting.closed;
        let state = self.changed.wait_while(self.state(), nothing_yet);
        state.unwrap_or_else(PoisonError::into_inner).things.pop()
    }

    fn state(&self) -> MutexGuard<'_, Waiting<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order() {
        let doubled: Result<Vec<u32>, ()> = map(3, (0..100).collect(), |n| Ok(n * 2));
        assert_eq!(doubled.unwrap(), (0..100).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(map(4, Vec::<u32>::new(), Ok::<u32, ()>), Ok(vec![]));
    }

    #[test]
    fn who_steps_back_takes_along_only_what_it_starts() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let started = thread::spawn(move || {
            step_back();
            let own = niceness();
            (own, thread::spawn(niceness).join().unwrap())
        });
        assert_eq!(started.join().unwrap(), (BACK, BACK));
        assert_eq!(niceness(), before);
    }

    #[test]
    fn both_are_done_at_once() {
        let met = std::sync::Barrier::new(2);
        let meets = |name: &'static str| {
            met.wait();
            name
        };
        assert_eq!(both(|| meets("one"), || meets("other")), ("one", "other"));
    }

    #[test]
    fn a_failure_stops_what_has_not_begun() {
        let begun = Mutex::new(0);
        let result: Result<Vec<()>, u32> = map(1, (0..100).collect(), |n| {
            *begun.lock().unwrap() += 1;
            if n == 3 { Err(n) } else { Ok(()) }
        });
        assert_eq!((result, *begun.lock().unwrap()), (Err(3), 4));
    }

    #[test]
    fn a_failure_is_heard_by_what_runs_and_told_before_what_it_stops() {
        let both = std::sync::Barrier::new(2);
        let result: Result<Vec<()>, &str> = map(2, vec![true, false], |waits| {
            both.wait();
            if !waits {
                return Err("it failed");
            }
            while !is_over() {
                std::thread::yield_now();
            }
            Err("it was stopped")
        });
        assert_eq!(result, Err("it failed"));
        // What comes after has nothing to do with it.
        assert_eq!((is_over(), map(1, vec![()], |()| Ok::<_, ()>(is_over()))), (false, Ok(vec![false])));
    }

    #[test]
    fn no_more_than_so_many_have_a_turn() {
        let (turns, having) = (Turns::of(2), Mutex::new((0, 0)));
        let count = |change: i32| {
            let mut having = having.lock().unwrap();
            having.0 += change;
            having.1 = having.1.max(having.0);
        };
        let both = std::sync::Barrier::new(2);
        map(4, (0..20).collect(), |_: u32| {
            let _turn = turns.take();
            count(1);
            // Nobody gets on alone.
            both.wait();
            count(-1);
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(having.into_inner().unwrap(), (0, 2));
    }

    #[test]
    fn who_has_waited_longest_for_a_turn_is_next() {
        let (turns, order) = (Turns::of(0), Mutex::new(Vec::new()));
        let first = turns.take();
        thread::scope(|scope| {
            for number in 1..4 {
                let (turns, order) = (&turns, &order);
                scope.spawn(move || {
                    let _turn = turns.take();
                    order.lock().unwrap().push(number);
                });
                while turns.state().asked == number {
                    thread::yield_now();
                }
            }
            drop(first);
        });
        assert_eq!(order.into_inner().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn the_greatest_that_is_there_is_taken_and_what_comes_later_is_waited_for() {
        let queue = Queue::of([2, 3]);
        assert_eq!([queue.take(), queue.take()], [Some(3), Some(2)]);
        let (later, ()) = both(
            || [queue.take(), queue.take()],
            || {
                queue.push(1);
                queue.close();
                queue.push(4);
            },
        );
        assert_eq!(later, [Some(1), None]);
        let queue = Queue::of([5]);
        queue.abandon();
        assert_eq!(queue.take(), None);
    }
}
