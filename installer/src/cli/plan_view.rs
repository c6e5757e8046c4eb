//! A change list for people, 80 columns wide. Hosts that get the same are shown once.

use std::collections::BTreeMap;

use sealift_plan::changes::{Content, FileChange, HostChanges, LinesChange, Now};

use crate::output::bytes;

/// Columns of the narrowest terminal that we care for.
const WIDTH: usize = 80;

/// What changes, without the contents of files.
pub(crate) fn summary(changes: &[HostChanges]) -> Vec<String> {
    let mut groups: Vec<(Vec<&str>, Vec<String>)> = Vec::new();
    for host in changes {
        let block = block(host, WIDTH);
        match groups.iter_mut().find(|(_, same)| *same == block) {
            Some((hosts, _)) => hosts.push(&host.host),
            None => groups.push((vec![&host.host], block)),
        }
    }
    let mut lines = Vec::new();
    for (hosts, block) in groups {
        lines.push(String::new());
        wrap(&mut lines, 0, &hosts.join(", "), WIDTH);
        lines.extend(block);
    }
    lines
}

/// All that changes on one host, with the contents of files, so many columns wide.
pub(crate) fn of_host(host: &HostChanges, width: usize) -> Vec<String> {
    let mut lines = block(host, width);
    lines.extend(contents(std::slice::from_ref(host)));
    lines
}

fn block(host: &HostChanges, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut section = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            lines.push(format!("  {title}"));
            for row in rows {
                wrap(&mut lines, 4, &row, width);
            }
        }
    };
    section("files", host.files.iter().map(file).collect());
    section("lines of ours, between marks", host.lines.iter().map(own_lines).collect());
    section(
        "folders",
        host.folders.iter().map(|one| format!("{} {} {}", one.mode, one.owner, one.path)).collect(),
    );
    let word = |yes, word| if yes { word } else { "" };
    let units = host.units.iter().map(|one| {
        let words = [word(one.enabled, "starts at boot"), word(one.started, "runs when all is done")];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        format!("{:<26} {}", one.unit, words.join(", "))
    });
    section("units", units.collect());
    let sysctls = host.sysctls.iter().map(|one| {
        let before = match &one.before {
            Some(before) if *before == one.value => "as it is".to_owned(),
            Some(before) => format!("is {before}"),
            None => "not there yet".to_owned(),
        };
        format!("{} = {} ({before})", one.name, one.value)
    });
    section("kernel settings, now and at boot", sysctls.collect());
    let modules = host.modules.iter().map(|one| {
        let words = [word(one.now, "now"), word(one.at_boot, "at boot")];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        format!("{:<26} {}", one.name, words.join(" and "))
    });
    section("kernel modules", modules.collect());
    let ports = host.ports.iter().map(|one| {
        let port = format!("{}/{}", one.port, one.protocol);
        format!("{port:<11} {}, for {}", one.listener, one.from)
    });
    section("ports that will listen", ports.collect());
    let networks = host.networks.iter().map(|one| format!("{:<18} {}", one.cidr, one.what));
    section("networks", networks.collect());
    let swap = host.swap.iter().map(|swap| {
        let areas = if swap.areas.is_empty() { "none in use".to_owned() } else { swap.areas.join(", ") };
        format!("{areas}; {}", swap.lasting)
    });
    section("swap switched off", swap.collect());
    let images = host.images.iter().flat_map(|one| [one.name.clone(), format!("  {}", one.digest)]);
    section("images", images.collect());
    let sum = host.blobs.iter().map(|blob| blob.size).sum();
    let blobs = format!("{} blobs, {}, below /var/lib/sealift/store", host.blobs.len(), bytes(sum));
    section("store", (!host.blobs.is_empty()).then_some(blobs).into_iter().collect());
    let commands = host.commands.iter().filter(|one| !one.command.starts_with("pull "));
    section("commands", commands.map(|one| format!("{}: {}", one.command, one.purpose)).collect());
    section("in the cluster", host.cluster.clone());
    let made: Vec<String> =
        [&host.users, &host.groups, &host.packages].into_iter().flatten().cloned().collect();
    let made = if made.is_empty() { vec!["none".to_owned()] } else { made };
    section("users, groups, packages", made);
    lines
}

fn file(file: &FileChange) -> String {
    let note = match &file.content {
        Content::Text { .. } => String::new(),
        Content::Binary { digest: _, size } => {
            size.map(|size| format!("  {}", bytes(size))).unwrap_or_default()
        }
        Content::Secret { size: Some(size) } => format!("  secret, {size} bytes, not shown"),
        Content::Secret { size: None } => "  secret, not shown".to_owned(),
        Content::Made { .. } => "  made there".to_owned(),
    };
    let gone = if file.removed_afterwards { "  for moments" } else { "" };
    format!("{:<6} {} {}{note}{gone}", state(file.now.as_ref()), file.mode, file.path)
}

fn own_lines(lines: &LinesChange) -> String {
    format!("{:<6} {:>4} {}", state(lines.now.as_ref()), lines.lines.len(), lines.path)
}

fn state(now: Option<&Now>) -> &'static str {
    match now {
        Some(Now::Missing) => "new",
        Some(Now::Same) => "same",
        Some(Now::Differs { .. }) => "change",
        Some(Now::NotShown { .. }) => "hidden",
        None => "write",
    }
}

/// What is in the files, against what the hosts have; equal ones once.
pub(crate) fn contents(changes: &[HostChanges]) -> Vec<String> {
    let mut blocks: BTreeMap<(&str, Vec<String>), Vec<&str>> = BTreeMap::new();
    for host in changes {
        for file in &host.files {
            if let Content::Text { text } = &file.content {
                let lines = content(file.now.as_ref(), text);
                blocks.entry((&file.path, lines)).or_default().push(&host.host);
            }
        }
        for one in &host.lines {
            let lines = content(one.now.as_ref(), &one.lines.join("\n"));
            blocks.entry((&one.path, lines)).or_default().push(&host.host);
        }
    }
    let mut lines = Vec::new();
    for ((path, block), hosts) in blocks {
        lines.push(String::new());
        wrap(&mut lines, 0, &format!("{path} on {}", hosts.join(", ")), WIDTH);
        lines.extend(block);
    }
    lines
}

/// Exact, so never wrapped.
fn content(now: Option<&Now>, text: &str) -> Vec<String> {
    let new = || text.lines().map(|line| format!("+{line}"));
    match now {
        Some(Now::Same) => vec!["  stands there as wanted".to_owned()],
        Some(Now::Differs { diff }) => diff.lines().map(str::to_owned).collect(),
        Some(Now::NotShown { why }) => {
            std::iter::once(format!("  what stands there is not shown: {why}")).chain(new()).collect()
        }
        Some(Now::Missing) | None => new().collect(),
    }
}

/// Breaks at spaces; what has none stays whole.
fn wrap(lines: &mut Vec<String>, indent: usize, text: &str, width: usize) {
    let mut rest = text;
    let mut indent = indent;
    loop {
        let room = width - indent;
        // One character more than there is room for: it may be the space behind the last word that fits.
        let head = rest.char_indices().nth(room).map(|(end, next)| &rest[..end + next.len_utf8()]);
        let lead = rest.len() - rest.trim_start().len();
        let cut = head.and_then(|head| head.rfind(' ')).filter(|cut| *cut > lead);
        let (line, more) = cut.map_or((rest, ""), |cut| (&rest[..cut], rest[cut..].trim_start()));
        lines.push(format!("{:indent$}{}", "", line.trim_end()));
        if more.is_empty() {
            return;
        }
        if rest.len() == text.len() {
            indent += 2;
        }
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_file(path: &str, text: &str, now: Option<Now>) -> FileChange {
        FileChange {
            path: path.into(),
            mode: "0644".into(),
            owner: "root:root".into(),
            content: Content::Text { text: text.into() },
            removed_afterwards: false,
            now,
        }
    }

    fn host(name: &str, text: &str) -> HostChanges {
        let file = text_file("/etc/a.conf", text, Some(Now::Missing));
        HostChanges { host: name.into(), files: vec![file], ..HostChanges::default() }
    }

    #[test]
    fn hosts_that_get_the_same_are_shown_once() {
        let lines = summary(&[host("m1", "one"), host("m2", "other")]).join("\n");
        let expected = "\nm1, m2\n  files\n    new    0644 /etc/a.conf\n  users, groups, packages\n    none";
        assert_eq!(lines, expected);
        let contents = contents(&[host("m1", "one"), host("m2", "other"), host("m3", "one")]).join("\n");
        assert_eq!(contents, "\n/etc/a.conf on m1, m3\n+one\n\n/etc/a.conf on m2\n+other");
    }

    #[test]
    fn one_host_is_shown_with_its_contents() {
        let lines = of_host(&host("m1", "one"), 60).join("\n");
        let expected = "  files\n    new    0644 /etc/a.conf\n  users, groups, packages\n    none\n\n/etc/a.conf on m1\n+one";
        assert_eq!(lines, expected);
    }

    #[test]
    fn long_rows_break_at_spaces_within_the_width() {
        let mut lines = Vec::new();
        let text = "word ".repeat(40);
        wrap(&mut lines, 4, text.trim(), WIDTH);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:#?}");
        assert!(lines[0].starts_with("    word") && lines[1].starts_with("      word"));
        assert_eq!(lines.iter().flat_map(|line| line.split_whitespace()).count(), 40);
        let mut lines = Vec::new();
        wrap(&mut lines, 4, &"x".repeat(100), WIDTH);
        assert_eq!(lines.len(), 1, "a word is never cut");
        let mut lines = Vec::new();
        wrap(&mut lines, 0, &"ä ".repeat(60), WIDTH);
        assert_eq!(lines.iter().map(|line| line.chars().filter(|c| *c == 'ä').count()).sum::<usize>(), 60);
    }

    #[test]
    fn a_difference_is_shown_as_it_is() {
        let diff = "--- now\n+++ planned\n@@ -1 +1 @@\n-old\n+new\n".to_owned();
        let file = text_file("/etc/b.conf", "new\n", Some(Now::Differs { diff }));
        let host = HostChanges { host: "w1".into(), files: vec![file], ..HostChanges::default() };
        let lines = contents(&[host]).join("\n");
        assert_eq!(lines, "\n/etc/b.conf on w1\n--- now\n+++ planned\n@@ -1 +1 @@\n-old\n+new");
    }
}
