//! Work for several threads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads that compress, hash or verify.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Does `work` on all `items`, `threads` at a time, begun in their order; results in their order. After a failure nothing
/// new is begun, and the first item that failed tells why.
pub fn map<T: Send, R: Send, E: Send>(
    threads: usize,
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.clamp(1, items.len().max(1));
    let queue = Mutex::new(items.into_iter().enumerate());
    let results = Mutex::new(Vec::new());
    let failed = AtomicBool::new(false);
    let lane = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((index, item)) = next.filter(|_| !failed.load(Ordering::Relaxed)) else { return };
            let result = work(item);
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(lane);
        }
        lane();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
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
    fn a_failure_stops_what_has_not_begun() {
        let begun = Mutex::new(0);
        let result: Result<Vec<()>, u32> = map(1, (0..100).collect(), |n| {
            *begun.lock().unwrap() += 1;
            if n == 3 { Err(n) } else { Ok(()) }
        });
        assert_eq!((result, *begun.lock().unwrap()), (Err(3), 4));
    }
}
