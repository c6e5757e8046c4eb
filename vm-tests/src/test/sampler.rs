//! Looks at the command lines and environments of all processes of this machine while something else runs.
//!
//! Processes of containers are processes of the machine, so this sees the seat's and the hosts'.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two looks: short enough for programs that people start, long enough to leave the processor alone.
const PAUSE: Duration = Duration::from_millis(40);

/// A thread that looks until it is stopped.
pub struct Sampler {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<BTreeSet<Vec<u8>>>>,
}

impl Sampler {
    /// Starts to look.
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut texts = BTreeSet::new();
            while !seen.load(Ordering::Relaxed) {
                look(&mut texts);
                std::thread::sleep(PAUSE);
            }
            texts
        });
        Self { stop, thread: Some(thread) }
    }

    /// Stops, and gives every command line and every environment seen, each once.
    pub fn stop(mut self) -> BTreeSet<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn look(texts: &mut BTreeSet<Vec<u8>>) {
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_process = name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_process || name.to_str() == Some(own.as_str()) {
            continue;
        }
        for file in ["cmdline", "environ"] {
            // A process that has ended in between left nothing to read.
            if let Ok(text) = fs::read(entry.path().join(file))
                && !text.is_empty()
            {
                texts.insert(text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn words_of_another_process_are_seen() {
        let sampler = Sampler::start();
        let mut child = Command::new("sleep").arg("600").env("CANARY_OF_SAMPLER", "tweet").spawn().unwrap();
        // The look that comes after the start of the child is the one that counts.
        let mut texts = BTreeSet::new();
        while !texts.iter().any(|text: &Vec<u8>| text.starts_with(b"sleep\x00600")) {
            look(&mut texts);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let has = |texts: &BTreeSet<Vec<u8>>, needle: &[u8]| {
            texts.iter().any(|text| text.windows(needle.len()).any(|part| part == needle))
        };
        assert!(has(&texts, b"CANARY_OF_SAMPLER=tweet"));
        assert!(!sampler.stop().is_empty());
    }
}
