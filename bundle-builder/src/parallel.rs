//! Work for several threads.

use std::cell::RefCell;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
}
