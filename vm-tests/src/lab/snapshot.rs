//! A host's files at one moment, to show later that nothing, or only the right things, changed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::Lab;

/// One file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// `f`, `d`, `l`, or another letter that `find -printf %y` knows.
    pub kind: char,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group, by number.
    pub owner: (u32, u32),
    /// Bytes; zero for everything but plain files.
    pub size: u64,
    /// SHA-256 of a plain file, target of a link, else empty.
    pub content: String,
}

/// Trees that a running system changes by itself. A folder itself is seen, what is in it is not.
pub const VOLATILE: &[&str] = &[
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/var/tmp",
    "/var/log",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/lib/etcd",
    "/var/lib/systemd",
    "/lost+found",
    "/swapfile",
];

/// All files of a host but those below [`VOLATILE`] and `more`, by path.
pub fn take(lab: &Lab, host: &str, more: &[&str]) -> Result<BTreeMap<String, FileState>> {
    let script = script(VOLATILE.iter().chain(more));
    let output = lab.exec(host, &["sh", "-c", &script])?;
    if !output.status.success() {
        bail!("{host}: cannot list files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    parse(&String::from_utf8_lossy(&output.stdout))
        .with_context(|| format!("{host}: cannot read the list of files"))
}

/// Lists once for the attributes and once for the content; an empty field parts the two lists.
///
/// A volatile folder is not entered at all: what is in it may go between its listing and a look at it.
fn script<'a>(volatile: impl Iterator<Item = &'a &'a str>) -> String {
    let closed: Vec<_> = volatile.map(|path| format!("-path '{path}'")).collect();
    let each = format!("\\( \\( {} \\) -prune -o -true \\)", closed.join(" -o "));
    format!(
        "cd / && find / {each} -printf '%y %m %U %G %s %l\\t%p\\0' && printf '\\0' && \
         find / {each} -type f ! -path /swapfile -print0 | xargs -0 -r sha256sum -z"
    )
}

fn parse(text: &str) -> Result<BTreeMap<String, FileState>> {
    let (attributes, sums) = text.split_once("\0\0").context("the list of digests is missing")?;
    let mut files = BTreeMap::new();
    for record in attributes.split('\0').filter(|record| !record.is_empty()) {
        let (fields, path) = record.split_once('\t').with_context(|| format!("odd record {record:?}"))?;
        files.insert(
            path.to_owned(),
            attributes_of(fields).with_context(|| format!("odd record {record:?}"))?,
        );
    }
    for record in sums.split('\0').filter(|record| !record.is_empty()) {
        let (sum, path) = record.split_once("  ").with_context(|| format!("odd digest {record:?}"))?;
        // One that came between the two lists is in neither comparison's interest: the next snapshot has it.
        if let Some(file) = files.get_mut(path) {
            sum.clone_into(&mut file.content);
        }
    }
    Ok(files)
}

fn attributes_of(fields: &str) -> Option<FileState> {
    let mut words = fields.splitn(6, ' ');
    let kind = words.next()?.chars().next()?;
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let owner = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let size = words.next()?.parse().ok()?;
    let target = words.next()?.to_owned();
    Some(FileState { kind, mode, owner, size: if kind == 'f' { size } else { 0 }, content: target })
}

/// What differs, one line per path: `+` came, `-` went, `~` changed.
pub fn differences(before: &BTreeMap<String, FileState>, after: &BTreeMap<String, FileState>) -> Vec<String> {
    let went = before.keys().filter(|path| !after.contains_key(*path)).map(|path| format!("- {path}"));
    let rest = after.iter().filter_map(|(path, new)| match before.get(path) {
        None => Some(format!("+ {path}")),
        Some(old) if old != new => Some(format!("~ {path}")),
        Some(_) => None,
    });
    went.chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::command::run;
    use std::process::Command;

    #[test]
    fn attributes_and_digests_meet() {
        let text = "d 755 0 0 4096 \t/etc\0f 640 0 42 3 \t/etc/with space\0l 777 0 0 9 ../target\t/etc/link\0\0\
            abcd  /etc/with space\0ffff  /etc/new\0";
        let files = parse(text).unwrap();
        assert_eq!(files.len(), 3);
        assert_eq!(files["/etc/with space"].content, "abcd");
        assert_eq!(files["/etc/with space"].owner, (0, 42));
        assert_eq!(files["/etc/link"].content, "../target");
        assert_eq!(files["/etc"].size, 0);
        assert!(parse("nothing").is_err());
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        let file = |content: &str| FileState {
            kind: 'f',
            mode: 0o644,
            owner: (0, 0),
            size: 1,
            content: content.into(),
        };
        let before =
            BTreeMap::from([("/a".into(), file("1")), ("/b".into(), file("1")), ("/c".into(), file("1"))]);
        let mut after =
            BTreeMap::from([("/a".into(), file("2")), ("/c".into(), file("1")), ("/d".into(), file("1"))]);
        assert_eq!(differences(&before, &after), ["- /b", "~ /a", "+ /d"]);
        after.clone_from(&before);
        assert_eq!(differences(&before, &after), Vec::<String>::new());
    }

    #[test]
    fn the_script_sees_a_folder_but_not_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        std::fs::create_dir(folder.path().join("volatile")).unwrap();
        std::fs::write(folder.path().join("volatile/inside"), "x").unwrap();
        std::fs::write(folder.path().join("kept"), "x").unwrap();
        let volatile = format!("{root}/volatile");
        let script = script([&volatile.as_str()].into_iter()).replace("find / ", &format!("find {root} "));
        let files = parse(&run(Command::new("sh").args(["-c", &script])).unwrap()).unwrap();
        let names: Vec<_> = files.keys().map(|path| path.strip_prefix(root).unwrap()).collect();
        assert_eq!(names, ["", "/kept", "/volatile"]);
        assert_eq!(files[&format!("{root}/kept")].content.len(), 64);
    }
}
