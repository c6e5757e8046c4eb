//! JSON lines: the event stream for machines, each line with the format's version.

use sealift_events::{Event, Sink};
use serde_json::json;

use crate::output::Output;

/// Shows the stream as JSON lines.
pub(crate) struct JsonLines;

impl Sink for JsonLines {
    fn take(&self, event: &Event) {
        match event {
            Event::Step(record) => Output::json_line(record),
            Event::Progress(progress) => {
                Output::json_line(
                    &json!({"version": sealift_events::VERSION, "event": "progress", "progress": progress}),
                );
            }
        }
    }
}
