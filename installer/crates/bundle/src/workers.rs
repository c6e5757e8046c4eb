//! Work on many blobs at once with bounded memory.

#[cfg(feature = "write")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Bytes that each thread reads at once.
const BUFFER: usize = 1 << 20;
/// More threads than this only compete for the disk.
const MOST_THREADS: usize = 64;

/// Does `work` for every item on up to `threads` threads, items taken in order; results come as they end.
///
/// Memory is one buffer per thread, whatever the items are. A thread that the system refuses only makes it slower.
pub(crate) fn for_each<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T, &mut [u8]) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let work_queue = || {
        let mut buffer = vec![0; BUFFER];
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = work(item, &mut buffer);
            results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(items.len()).min(MOST_THREADS) {
            if thread::Builder::new().spawn_scoped(scope, work_queue).is_err() {
                break;
            }
        }
        work_queue();
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// As [`for_each`] for work that can fail: after a failure nothing more is begun, and what failed first is told.
#[cfg(feature = "write")]
pub(crate) fn try_for_each<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T, &mut [u8]) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let failed = AtomicBool::new(false);
    let results = for_each(threads, items, |item, buffer| {
        if failed.load(Ordering::Relaxed) {
            return None;
        }
        let result = work(item, buffer);
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        Some(result)
    });
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_begun_after_a_failure() {
        let items: Vec<u32> = (0..100).collect();
        let begun = AtomicUsize::new(0);
        let result = try_for_each(1, &items, |item, _| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *item == 7 { Err(*item) } else { Ok(*item) }
        });
        assert_eq!((result, begun.into_inner()), (Err(7), 8));
        assert_eq!(try_for_each(3, &items, |item, _| Ok::<_, ()>(*item)).map(|all| all.len()), Ok(100));
    }

    #[test]
    fn every_item_is_done_once_with_any_number_of_threads() {
        let items: Vec<u32> = (0..100).collect();
        for threads in [0, 1, 2, 7, 1000] {
            let mut results = for_each(threads, &items, |item, _| *item);
            results.sort_unstable();
            assert_eq!(results, items);
        }
    }
}
