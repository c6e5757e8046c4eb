//! A marked block of lines in a file that belongs to the host.

use std::fs;
use std::os::unix::fs::MetadataExt;

use sealift_plan::operation::{BLOCK_BEGIN as BEGIN, BLOCK_END as END};

use crate::context::Context;
use crate::file;
use crate::protocol::{Failure, Outcome};

pub(crate) fn apply(ctx: &Context<'_>, path: &str, lines: &[String]) -> Result<Outcome, Failure> {
    let place = ctx.paths().host(path);
    let old = file::read_text_if_exists(&place)?.unwrap_or_default();
    let mode = fs::metadata(&place).map_or(0o644, |metadata| metadata.mode() & 0o7777);
    let new = with_block(&old, lines);
    let changed = new != old && ctx.write_file(path, new.as_bytes(), mode)?;
    let summary =
        if changed { format!("updated our block in {path}") } else { format!("{path} is as wanted") };
    Ok(Outcome::new(changed, summary))
}

/// The text with our block in it, where it stood, else at the end. No lines, no block.
fn with_block(text: &str, lines: &[String]) -> String {
    let mut before = Vec::new();
    let mut after = Vec::new();
    let mut inside = false;
    let mut seen = false;
    for line in text.lines() {
        match line.trim() {
            BEGIN => (inside, seen) = (true, true),
            END if inside => inside = false,
            _ if inside => {}
            _ if seen => after.push(line),
            _ => before.push(line),
        }
    }
    let mut all = before;
    if !lines.is_empty() {
        all.push(BEGIN);
        all.extend(lines.iter().map(String::as_str));
        all.push(END);
    }
    all.extend(after);
    let mut text = all.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::journal::{Change, Journal};
    use crate::paths::Paths;

    fn lines(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_block_keeps_its_place_and_the_rest_its_bytes() {
        let first = with_block("127.0.0.1 localhost\n", &lines(&["10.0.0.1 m1"]));
        assert_eq!(first, format!("127.0.0.1 localhost\n{BEGIN}\n10.0.0.1 m1\n{END}\n"));
        let edited = format!("{first}10.0.0.9 printer\n");
        let second = with_block(&edited, &lines(&["10.0.0.2 m2"]));
        assert_eq!(second, format!("127.0.0.1 localhost\n{BEGIN}\n10.0.0.2 m2\n{END}\n10.0.0.9 printer\n"));
        assert_eq!(with_block(&second, &lines(&["10.0.0.2 m2"])), second);
        assert_eq!(with_block(&second, &[]), "127.0.0.1 localhost\n10.0.0.9 printer\n");
    }

    #[test]
    fn the_file_before_is_kept_and_a_second_run_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        fs::create_dir_all(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        assert!(apply(&ctx, "/etc/hosts", &lines(&["10.0.0.1 m1"])).unwrap().changed);
        let journal = Journal::new(&paths);
        let entries = journal.entries().unwrap();
        let [Change::FileReplaced { digest, path, .. }] =
            &entries.iter().map(|e| e.change.clone()).collect::<Vec<_>>()[..]
        else {
            panic!("{entries:?}")
        };
        assert_eq!(path, "/etc/hosts");
        assert_eq!(fs::read(journal.copy_of(digest)).unwrap(), b"127.0.0.1 localhost\n");
        assert!(!apply(&ctx, "/etc/hosts", &lines(&["10.0.0.1 m1"])).unwrap().changed);
        assert_eq!(journal.entries().unwrap().len(), 1);
    }
}
