//! What an install would change: a line for each host on the page of review, and all of one host as a part of it.

use crate::effect::Message;
use crate::look::{Planned, PlannedHost};
use crate::model::Model;
use crate::part::Part;
use crate::screen::{Entry, Row};

impl Model {
    /// A sentence that says how long a plan is.
    pub(crate) fn about_plan(&self, key: &str, planned: &Planned) -> String {
        let (steps, hosts) = (planned.steps.to_string(), planned.hosts.len().to_string());
        self.words().fill(key, &[("steps", &steps), ("hosts", &hosts)])
    }

    /// A line for each host.
    pub(super) fn plan_rows(&self, planned: &Planned) -> Vec<Row> {
        let words = self.words();
        let entry = |(index, host): (usize, &PlannedHost)| {
            let numbers = [host.steps, host.files, host.services].map(|count| count.to_string());
            let stops = if host.stops.is_empty() { "-".to_owned() } else { host.stops.join(", ") };
            Entry {
                cells: [vec![host.host.clone()], numbers.to_vec(), vec![stops]].concat(),
                opens: Message::Open(Part::PlannedHost(index)),
            }
        };
        let names = ["host", "steps", "files", "services", "stops"];
        vec![
            Row::Text(self.about_plan("plan.all", planned)),
            Row::Entries {
                names: names.map(|name| words.text(&format!("plan.{name}"))).to_vec(),
                entries: planned.hosts.iter().enumerate().map(entry).collect(),
            },
        ]
    }

    /// Everything that changes on one host.
    pub(super) fn planned_host_rows(&self, index: usize) -> Vec<Row> {
        self.task(&self.planned, "review.idle", |planned| {
            let lines = planned.hosts.get(index).map(|host| host.lines.as_slice()).unwrap_or_default();
            lines.iter().map(|line| Row::Text(line.clone())).collect()
        })
    }
}
