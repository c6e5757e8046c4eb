//! What cargo compiled counts in a fresh clone, too, where the sources say the same.
//!
//! cargo holds the time of a source file against the time of what was compiled from it. In a fresh clone every file is
//! new, so all packages of this workspace were compiled anew at every run, for minutes, to the same result. At its end
//! a run notes what each file held and its time; the next one gives that time back to the files that hold the same.
//! (cargo's own comparison by content, `checksum-freshness`, is for nightly builds only; sccache keeps neither
//! programs nor what depends on a path, and takes longer to build than it would save.)
//!
//! A note counts only as long as nobody else compiled into that folder after it: see [`Note::holds`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::cache::Key;
use crate::lab::run;
use crate::programs::Workspace;

/// The note's name in the target folder.
const NOTE: &str = "sealift-sources.json";

/// Since 1970.
type Moment = Duration;

/// A checkout whose files have the times that cargo should see.
pub struct Freshness {
    root: PathBuf,
    workspace: Workspace,
    /// Whether all that cargo will take for fresh was compiled from what the files hold now.
    sound: bool,
}

/// What a file held at the end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Source {
    content: String,
    time: Moment,
}

type Sources = BTreeMap<String, Source>;

/// What a run leaves for the next one.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    ended: Moment,
    sources: Sources,
}

impl Note {
    /// Whether everything that was compiled is from before the note, or from after the newest file of this checkout
    /// was laid down: cargo compiles these tests themselves before they can look.
    fn holds(&self, sources: &Sources, compiled: &[Moment]) -> bool {
        let newest = newest(sources);
        compiled.iter().all(|time| *time <= self.ended || newest > self.ended && *time >= newest)
    }

    /// The time to give to each file that should have another one than it has: the noted one where it holds the same,
    /// the present where it holds something else and looks older than what was compiled.
    fn corrections(&self, sources: &Sources, now: Moment) -> BTreeMap<String, Moment> {
        let right = |path: &str, source: &Source| match self.sources.get(path) {
            Some(noted) if noted.content == source.content => noted.time,
            _ if source.time <= self.ended => now,
            _ => source.time,
        };
        let corrected = sources.iter().map(|(path, source)| (path, source.time, right(path, source)));
        corrected.filter(|(_, old, new)| old != new).map(|(path, _, new)| (path.clone(), new)).collect()
    }
}

fn newest(sources: &Sources) -> Moment {
    sources.values().map(|source| source.time).max().unwrap_or_default()
}

/// Whether cargo will compile everything, or just did: as in a fresh clone.
fn all_anew(sources: &Sources, compiled: &[Moment]) -> bool {
    let oldest = sources.values().map(|source| source.time).min().unwrap_or_default();
    let newest = newest(sources);
    compiled.iter().all(|time| *time < oldest || *time >= newest)
}

impl Freshness {
    /// Gives the files of the checkout at `root` the times that the last run noted in the folder that `workspace`, which
    /// is its, is compiled to.
    pub fn restore(root: &Path, workspace: Workspace) -> Result<Self> {
        let target = &workspace.target;
        let sources = sources(root)?;
        let compiled = compiled(&workspace);
        let note = fs::read(target.join(NOTE)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let note = note.filter(|note: &Note| note.holds(&sources, &compiled));
        let now = moment(SystemTime::now());
        let mut corrections = note.as_ref().map(|note| note.corrections(&sources, now)).unwrap_or_default();
        corrections.extend(elsewhere(root, target).into_iter().map(|path| (path, now)));
        for (path, time) in corrections {
            let file = fs::File::options().append(true).open(root.join(&path));
            file.and_then(|file| file.set_modified(UNIX_EPOCH + time))
                .with_context(|| format!("cannot set the time of {path}"))?;
        }
        let sound = note.is_some() || all_anew(&sources, &compiled);
        Ok(Self { root: root.to_owned(), workspace, sound })
    }

    /// Notes what the files hold now; to be called when nothing is compiled any more.
    pub fn note(&self) -> Result<()> {
        let path = self.workspace.target.join(NOTE);
        if !self.sound {
            // From another checkout's sources, perhaps; a fresh clone shall compile everything.
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("cannot remove {}", path.display()))
                }
                _ => Ok(()),
            };
        }
        let ended = compiled(&self.workspace).into_iter().max().unwrap_or_default();
        let note = Note { ended, sources: sources(&self.root)? };
        let text = serde_json::to_vec(&note).context("cannot write down the sources")?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The files of the checkout that git knows and that are there.
fn sources(root: &Path) -> Result<Sources> {
    let listed = run(Command::new("git").args(["ls-files", "-z"]).current_dir(root))?;
    let mut sources = Sources::new();
    for path in listed.split_terminator('\0') {
        let place = root.join(path);
        let Ok(meta) = fs::symlink_metadata(&place) else { continue };
        if meta.is_file() {
            let content = Key::new("source 1").file(&place)?.finish();
            let time = meta.modified().with_context(|| format!("cannot read the time of {path}"))?;
            sources.insert(path.to_owned(), Source { content, time: moment(time) });
        }
    }
    Ok(sources)
}

/// When each part of these packages was compiled. cargo keeps a folder of fingerprints `PACKAGE-HASH` per part.
fn compiled(Workspace { target, packages }: &Workspace) -> Vec<Moment> {
    let own = |name: &str| {
        let package = name.rsplit_once('-').map(|(package, _)| package);
        package.is_some_and(|package| packages.iter().any(|one| one == package))
    };
    let parts = profiles(target).into_iter().flat_map(|folder| entries(&folder.join(".fingerprint")));
    let parts = parts.filter(|part| own(&part.file_name().to_string_lossy()));
    let files = parts.flat_map(|part| entries(&part.path()));
    files.filter_map(|file| Some(moment(file.metadata().ok()?.modified().ok()?))).collect()
}

/// The main files of what was compiled with the path of another checkout in it: `env!("CARGO_MANIFEST_DIR")`, which
/// cargo itself does not follow.
fn elsewhere(root: &Path, target: &Path) -> Vec<String> {
    let infos = profiles(target).into_iter().flat_map(|folder| entries(&folder.join("deps")));
    let infos = infos.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "d"));
    let main_file = |info: PathBuf| {
        let text = fs::read_to_string(info).ok()?;
        let folder = text.lines().find_map(|line| line.strip_prefix("# env-dep:CARGO_MANIFEST_DIR="))?;
        let first = text.lines().next()?.split(' ').nth(1)?;
        // Paths of other packages than this workspace's are absolute.
        let here = !first.starts_with('/') && root.join(first).is_file();
        (here && !Path::new(folder).starts_with(root)).then(|| first.to_owned())
    };
    infos.filter_map(main_file).collect()
}

/// The folders that cargo compiles into: `debug`, `x86_64-unknown-linux-musl/release`.
fn profiles(target: &Path) -> Vec<PathBuf> {
    let below = |folder: &Path| entries(folder).map(|entry| entry.path()).collect::<Vec<_>>();
    let first = below(target);
    let second = first.iter().flat_map(|folder| below(folder)).collect::<Vec<_>>();
    let all = first.into_iter().chain(second);
    all.filter(|folder| folder.join(".fingerprint").is_dir()).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten()
}

fn moment(time: SystemTime) -> Moment {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::cargo;

    const fn at(seconds: u64) -> Moment {
        Moment::from_secs(seconds)
    }

    fn files(list: &[(&str, &str, u64)]) -> Sources {
        let source = |content: &str, time| Source { content: content.to_owned(), time: at(time) };
        list.iter().map(|(path, content, time)| ((*path).to_owned(), source(content, *time))).collect()
    }

    #[test]
    fn a_note_holds_until_somebody_else_compiles() {
        let note = Note { ended: at(100), sources: Sources::new() };
        let fresh = files(&[("a", "1", 200), ("b", "2", 201)]);
        assert!(note.holds(&fresh, &[at(90), at(100)]));
        assert!(note.holds(&fresh, &[at(90), at(202)]), "these tests themselves, compiled in this clone");
        assert!(!note.holds(&fresh, &[at(90), at(150)]), "by another checkout, before this one was made");
        let old = files(&[("a", "1", 10)]);
        assert!(!note.holds(&old, &[at(150)]), "nothing was changed here, so who compiled?");
    }

    #[test]
    fn files_that_hold_the_same_get_their_time_back_and_others_look_new() {
        let note = Note { ended: at(100), sources: files(&[("same", "1", 10), ("other", "1", 10)]) };
        let now = files(&[("same", "1", 200), ("other", "2", 200), ("new", "3", 200), ("old", "4", 50)]);
        let expected = BTreeMap::from([("same".to_owned(), at(10)), ("old".to_owned(), at(300))]);
        assert_eq!(note.corrections(&now, at(300)), expected);
    }

    #[test]
    fn what_others_compiled_is_told_from_a_clone_that_compiles_all() {
        let clone = files(&[("a", "1", 200), ("b", "2", 210)]);
        assert!(all_anew(&clone, &[at(100), at(199), at(210)]));
        assert!(!all_anew(&clone, &[at(205)]));
    }

    /// With real cargo: which crates were compiled.
    fn build(checkout: &Path, target: &Path) -> Vec<String> {
        let mut build = cargo();
        build.args(["build", "--offline", "--message-format=json"]).arg("--target-dir").arg(target);
        let text = run(build.current_dir(checkout)).unwrap();
        let messages = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let compiled = messages.filter(|message| message["fresh"] == false);
        let mut names: Vec<_> =
            compiled.map(|message| message["target"]["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_clone_compiles_what_changed_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let git = |place: &Path, words: &[&str]| {
            let who = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
            run(Command::new("git").args(who).args(words).current_dir(place)).unwrap()
        };
        let origin = folder.path().join("origin");
        for (path, text) in [
            ("Cargo.toml", "[workspace]\nmembers = [\"one\", \"place\", \"two\"]\nresolver = \"2\"\n"),
            ("one/Cargo.toml", "[package]\nname = \"one\"\nversion = \"0.1.0\"\n"),
            ("one/src/lib.rs", "//! One.\n"),
            ("place/Cargo.toml", "[package]\nname = \"place\"\nversion = \"0.1.0\"\n"),
            ("place/src/lib.rs", "pub const PLACE: &str = env!(\"CARGO_MANIFEST_DIR\");\n"),
            ("two/Cargo.toml", "[package]\nname = \"two\"\nversion = \"0.1.0\"\n"),
            ("two/src/lib.rs", "//! Two.\n"),
        ] {
            let path = origin.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        git(&origin, &["init", "--quiet"]);
        git(&origin, &["add", "."]);
        git(&origin, &["commit", "--quiet", "--message=first"]);
        let target = folder.path().join("target");
        let clone = |name: &str| {
            let place = folder.path().join(name);
            git(folder.path(), &["clone", "--quiet", "origin", name]);
            let workspace = Workspace { target: target.clone(), ..Workspace::of(&place).unwrap() };
            (Freshness::restore(&place, workspace).unwrap(), place)
        };

        let (freshness, first) = clone("first");
        assert_eq!(build(&first, &target), ["one", "place", "two"]);
        freshness.note().unwrap();
        let (freshness, second) = clone("second");
        // What knows its own folder is another one in another folder.
        assert_eq!(build(&second, &target), ["place"]);
        freshness.note().unwrap();

        fs::write(origin.join("two/src/lib.rs"), "//! Another two.\n").unwrap();
        git(&origin, &["commit", "--quiet", "--all", "--message=second"]);
        let (freshness, third) = clone("third");
        assert_eq!(build(&third, &target), ["place", "two"]);
        freshness.note().unwrap();

        // Somebody compiles another state into the folder, and says nothing.
        fs::write(third.join("one/src/lib.rs"), "//! Another one.\n").unwrap();
        assert_eq!(build(&third, &target), ["one"]);
        let (_, fourth) = clone("fourth");
        assert_eq!(build(&fourth, &target), ["one", "place", "two"]);
    }
}
