//! Which step may start next: pure bookkeeping over the dependency graph.

use std::collections::{BTreeMap, BTreeSet};

use sealift_plan::Step;

use crate::EngineError;

/// Steps, what each waits for, and how many run on each host.
pub(crate) struct Schedule<'a> {
    steps: &'a [Step],
    waiting_for: Vec<usize>,
    dependents: Vec<Vec<usize>>,
    ready: BTreeSet<usize>,
    running_on: BTreeMap<&'a str, usize>,
    running: usize,
    done: usize,
    lanes: usize,
}

impl<'a> Schedule<'a> {
    /// Checks that every step can be reached.
    pub(crate) fn new(steps: &'a [Step], lanes: usize) -> Result<Self, EngineError> {
        let index: BTreeMap<&str, usize> =
            steps.iter().enumerate().map(|(index, step)| (step.id.as_str(), index)).collect();
        let mut dependents = vec![Vec::new(); steps.len()];
        for (number, step) in steps.iter().enumerate() {
            for need in &step.needs {
                // A need must stand before its step: that rules out cycles as well.
                match index.get(need.as_str()) {
                    Some(&before) if before < number => dependents[before].push(number),
                    _ => return Err(EngineError::Unreachable { step: step.id.clone(), needs: need.clone() }),
                }
            }
        }
        let waiting_for: Vec<usize> = steps.iter().map(|step| step.needs.len()).collect();
        let ready = (0..steps.len()).filter(|&number| waiting_for[number] == 0).collect();
        let running_on = BTreeMap::new();
        Ok(Self {
            steps,
            waiting_for,
            dependents,
            ready,
            running_on,
            running: 0,
            done: 0,
            lanes: lanes.max(1),
        })
    }

    /// Takes the first ready step, in plan order, whose host has a free lane.
    pub(crate) fn start_next(&mut self) -> Option<usize> {
        let number = self.ready.iter().copied().find(|&number| {
            self.running_on.get(self.steps[number].host.as_str()).is_none_or(|&busy| busy < self.lanes)
        })?;
        self.ready.remove(&number);
        *self.running_on.entry(self.steps[number].host.as_str()).or_default() += 1;
        self.running += 1;
        Some(number)
    }

    /// A step ended; where it ended well, its dependents come nearer.
    pub(crate) fn finish(&mut self, number: usize, well: bool) {
        self.running -= 1;
        if let Some(busy) = self.running_on.get_mut(self.steps[number].host.as_str()) {
            *busy -= 1;
        }
        if !well {
            return;
        }
        self.done += 1;
        for &dependent in &self.dependents[number] {
            self.waiting_for[dependent] -= 1;
            if self.waiting_for[dependent] == 0 {
                self.ready.insert(dependent);
            }
        }
    }

    pub(crate) fn running(&self) -> usize {
        self.running
    }

    pub(crate) fn all_done(&self) -> bool {
        self.done == self.steps.len()
    }
}
