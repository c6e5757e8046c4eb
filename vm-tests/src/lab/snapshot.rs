//! A host's files at one moment, to show later that nothing, or only the right things, changed.

use std::collections::BTreeMap;
use std::process::Output;

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
    "/var/lib/etcd-events",
    // Snapshots come and go by the clock.
    "/var/lib/sealift/backup",
    "/var/lib/systemd",
    "/lost+found",
    "/swapfile",
];

/// Digests of a host's files that were read before, by path.
pub type Digests = BTreeMap<String, (Stamp, String)>;

/// What tells that a file was not written to since: the kernel sets the time of the last change of a file's status
/// (`ctime`) at every write, and nobody can set it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    size: u64,
    /// Seconds since 1970 with their fraction, as `find` prints them.
    changed: String,
}

impl Stamp {
    /// Whether a write after this moment (seconds since 1970) would surely show: the clock of file systems has ticks.
    fn tells(&self, moment: f64) -> bool {
        self.changed.parse::<f64>().is_ok_and(|changed| changed + 1.0 < moment)
    }
}

/// All files of a host but those below [`VOLATILE`] and `more`, by path. What `known` has of this host is not read
/// again; what was read is there afterwards.
pub fn take(
    lab: &Lab,
    host: &str,
    more: &[&str],
    known: &mut Digests,
) -> Result<BTreeMap<String, FileState>> {
    let text = printed(&lab.exec(host, &["sh", "-c", &script(VOLATILE.iter().chain(more))])?, host)?;
    let (moment, mut files) =
        parse(&text).with_context(|| format!("{host}: cannot read the list of files"))?;
    let unread: Vec<&str> = files
        .iter()
        .filter(|(path, (file, stamp))| {
            file.kind == 'f' && *path != "/swapfile" && known.get(*path).is_none_or(|(read, _)| read != stamp)
        })
        .map(|(path, _)| path.as_str())
        .collect();
    if !unread.is_empty() {
        let paths = unread.join("\0");
        let sums = lab.exec_with_input(host, &["xargs", "-0", "sha256sum", "-z"], paths.as_bytes())?;
        for (path, digest) in digests(&printed(&sums, host)?)? {
            let (_, stamp) = files.get(&path).with_context(|| format!("{host}: nobody asked for {path}"))?;
            known.insert(path, (stamp.clone(), digest));
        }
    }
    for (path, (file, _)) in &mut files {
        if let Some((_, digest)) = known.get(path).filter(|_| file.kind == 'f') {
            file.content.clone_from(digest);
        }
    }
    known.retain(|_, (stamp, _)| stamp.tells(moment));
    Ok(files.into_iter().map(|(path, (file, _))| (path, file)).collect())
}

fn printed(output: &Output, host: &str) -> Result<String> {
    if !output.status.success() {
        bail!("{host}: cannot list files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The time, then all files with their attributes.
///
/// A volatile folder is not entered at all: what is in it may go between its listing and a look at it.
fn script<'a>(volatile: impl Iterator<Item = &'a &'a str>) -> String {
    let closed: Vec<_> = volatile.map(|path| format!("-path '{path}'")).collect();
    let each = format!("\\( \\( {} \\) -prune -o -true \\)", closed.join(" -o "));
    format!("cd / && date +%s && find / {each} -printf '%y %m %U %G %s %i %C@ %l\\t%p\\0'")
}

/// A file with its stamp.
type Listed = (FileState, Stamp);

/// The moment of the listing, and what was listed.
fn parse(text: &str) -> Result<(f64, BTreeMap<String, Listed>)> {
    let (moment, list) = text.split_once('\n').context("the time is missing")?;
    let mut files = BTreeMap::new();
    for record in list.split('\0').filter(|record| !record.is_empty()) {
        let (fields, path) = record.split_once('\t').with_context(|| format!("odd record {record:?}"))?;
        let listed = attributes_of(fields).with_context(|| format!("odd record {record:?}"))?;
        files.insert(path.to_owned(), listed);
    }
    Ok((moment.parse().with_context(|| format!("odd time {moment:?}"))?, files))
}

fn attributes_of(fields: &str) -> Option<Listed> {
    let mut words = fields.splitn(8, ' ');
    let kind = words.next()?.chars().next()?;
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let owner = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let size = words.next()?.parse().ok()?;
    let stamp = Stamp { inode: words.next()?.parse().ok()?, size, changed: words.next()?.to_owned() };
    let content = words.next()?.to_owned();
    let size = if kind == 'f' { size } else { 0 };
    Some((FileState { kind, mode, owner, size, content }, stamp))
}

/// Path and digest of each.
fn digests(text: &str) -> Result<Vec<(String, String)>> {
    let records = text.split('\0').filter(|record| !record.is_empty());
    let parted = records.map(|record| {
        let (digest, path) = record.split_once("  ").with_context(|| format!("odd digest {record:?}"))?;
        Ok((path.to_owned(), digest.to_owned()))
    });
    parted.collect()
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
    fn attributes_and_digests_are_read() {
        let text = "1700000009\nd 755 0 0 4096 2 1700000000.5 \t/etc\0f 640 0 42 3 7 1700000008.5 \t/etc/with space\0\
            l 777 0 0 9 8 1700000000.5 ../target\t/etc/link\0";
        let (moment, files) = parse(text).unwrap();
        assert_eq!((moment, files.len()), (1_700_000_009.0, 3));
        let (file, stamp) = &files["/etc/with space"];
        assert_eq!((file.owner, file.size, stamp.inode), ((0, 42), 3, 7));
        assert_eq!(files["/etc/link"].0.content, "../target");
        assert_eq!(files["/etc"].0.size, 0);
        assert!(files["/etc"].1.tells(moment), "changed long before");
        assert!(!stamp.tells(moment), "a write in the same tick would not show");
        assert!(parse("nothing").is_err() && parse("9\nnothing").is_err());
        let sums = digests("abcd  /etc/with space\0").unwrap();
        assert_eq!(sums, [("/etc/with space".to_owned(), "abcd".to_owned())]);
        assert!(digests("abcd").is_err());
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
        let (_, files) = parse(&run(Command::new("sh").args(["-c", &script])).unwrap()).unwrap();
        let names: Vec<_> = files.keys().map(|path| path.strip_prefix(root).unwrap()).collect();
        assert_eq!(names, ["", "/kept", "/volatile"]);
        let (kept, stamp) = &files[&format!("{root}/kept")];
        assert_eq!((kept.kind, kept.size, stamp.size), ('f', 1, 1));
    }
}
