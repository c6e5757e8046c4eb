//! JSON lines: the event stream for machines, each line with the format's version.
//!
//! `installer/events.schema.json` says what the lines are: the stream's own here, and what verbs say besides in
//! [`crate::output`].

use sealift_events::{Event, ProgressLine, Sink};

use crate::output::Output;

/// Shows the stream as JSON lines.
pub(crate) struct JsonLines;

impl Sink for JsonLines {
    fn take(&self, event: &Event) {
        match event {
            Event::Step(record) => Output::json_line(record),
            Event::Progress(progress) => Output::json_line(&ProgressLine::from(progress.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use schemars::JsonSchema;
    use schemars::generate::SchemaSettings;
    use sealift_events::{ProgressLine, Record, VERSION};
    use serde_json::Value;

    use crate::cli::run_view::StateData;
    use crate::detached::RunData;
    use crate::output::{ErrorLine, TopicLine};

    /// A line that the installer writes with `--output json`. A run's journal, `events.jsonl`, has durable events
    /// alone, in order; `progress.jsonl` beside it has progress alone.
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema is wanted")]
    enum Line<'a> {
        Event(Record),
        Progress(ProgressLine),
        Topic(TopicLine<'a>),
        Error(ErrorLine<'a>),
    }

    fn schema() -> Value {
        let mut writing = SchemaSettings::draft2020_12().for_serialize().into_generator();
        // Named by `TopicLine`.
        writing.subschema_for::<StateData<'_>>();
        writing.subschema_for::<RunData>();
        let mut schema = writing.into_root_schema_for::<Line<'_>>();
        schema.insert("title".to_owned(), format!("Sealift run events, version {VERSION}").into());
        schema.to_value()
    }

    #[test]
    fn the_schema_file_is_current() {
        let path = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("events.schema.json");
        let text = format!("{:#}\n", schema());
        if std::env::var_os("SEALIFT_UPDATE").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "stale: run this test with SEALIFT_UPDATE=1 and commit the file");
    }

    /// Paths of alternatives and properties that nobody has described.
    fn silent(schema: &Value, path: &str, found: &mut Vec<String>) {
        let alternatives = ["oneOf", "anyOf"].iter().filter_map(|list| schema[*list].as_array()).flatten();
        let items = alternatives.enumerate().map(|(index, one)| (format!("{path}/{index}"), one));
        let named = ["properties", "$defs"].iter().filter_map(|map| schema[*map].as_object()).flatten();
        let named = named.map(|(name, one)| (format!("{path}/{name}"), one));
        for (path, one) in items.chain(named) {
            // The word that tells variants apart is described by its variant; a reference by what it refers to.
            let tag = one["const"].is_string() && one["type"] == "string" && path.ends_with("/event");
            let described =
                one["description"].is_string() || one["$ref"].is_string() || one["type"] == "null";
            if !described && !tag {
                found.push(path.clone());
            }
            silent(one, &path, found);
        }
    }

    #[test]
    fn every_event_and_every_value_is_described() {
        let schema = schema();
        let mut found = Vec::new();
        silent(&schema, "", &mut found);
        assert_eq!(found, [""; 0]);
        assert_eq!(
            schema["$defs"]["Record"]["oneOf"].as_array().map(Vec::len),
            Some(7),
            "an event is missing"
        );
        let mut blank = schema;
        blank["$defs"]["Record"]["properties"]["sequence"]["description"].take();
        silent(&blank, "", &mut found);
        assert_eq!(found, ["/Record/sequence"]);
    }
}
