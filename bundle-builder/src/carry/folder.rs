//! The folder: made beside its place, moved there when it is complete, never over what somebody else put there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sealift_bundle::unfinished::{Unfinished, undisturbed};

use super::{CarryError, START, SUMS};

/// A list of sums is far smaller; of a larger one, the rest is not looked at.
const SUMS_LIMIT: u64 = 1 << 20;

/// A folder in the making; gone when dropped, and what a killed run left of it is gone when the next one begins.
#[derive(Debug)]
pub(super) struct Workplace {
    path: PathBuf,
    earlier: PathBuf,
    target: PathBuf,
    _unfinished: Unfinished,
}

impl Workplace {
    /// Begins the folder that will be at `target`.
    pub(super) fn begin(target: &Path) -> Result<Self, CarryError> {
        let target = check(target)?;
        let hidden = |ending: &str| {
            let mut name = OsString::from(".");
            name.push(target.file_name().unwrap_or_default());
            name.push(ending);
            target.with_file_name(name)
        };
        let (path, earlier) = (hidden(".carrying"), hidden(".earlier"));
        if let Some(above) = target.parent() {
            fs::create_dir_all(above).map_err(written(above))?;
        }
        remove(&path).map_err(written(&path))?;
        let failed = written(&path);
        let (path, unfinished) = Unfinished::folder(path).map_err(failed)?;
        Ok(Self { path, earlier, target, _unfinished: unfinished })
    }

    /// Where its files are written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the folder its name, in place of an earlier one.
    pub(super) fn finish(self) -> Result<(), CarryError> {
        // Somebody may have put something there in the meantime.
        check(&self.target)?;
        let failed = written(&self.target);
        sync(&self.path).map_err(&failed)?;
        remove(&self.earlier).map_err(&failed)?;
        // A signal in between would leave neither the earlier one nor this one in its place.
        let named = undisturbed(&self.target, || {
            match fs::rename(&self.target, &self.earlier) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Better the earlier one than none.
            fs::rename(&self.path, &self.target)
                .inspect_err(|_| drop(fs::rename(&self.earlier, &self.target)))
        });
        named.map_err(&failed)?;
        remove(&self.earlier).map_err(&failed)?;
        sync(self.target.parent().unwrap_or(Path::new("/"))).map_err(&failed)
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run.
        let _ = remove(&self.path);
    }
}

/// The absolute path of `target`, when a carry folder may be written there: nothing is there, or an empty folder, or an
/// earlier carry folder and nothing else.
pub(super) fn check(target: &Path) -> Result<PathBuf, CarryError> {
    let cannot = |source| CarryError::Read { path: target.to_owned(), source };
    let absolute = plain(target).map_err(cannot)?;
    let found = match fs::symlink_metadata(&absolute) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(absolute),
        found => found.map_err(cannot)?,
    };
    let foreign = |name: OsString| CarryError::Foreign { folder: target.to_owned(), name };
    if !found.is_dir() {
        return Err(CarryError::NoFolder { path: target.to_owned() });
    }
    // A disk's own top folder cannot be replaced by a rename.
    let above = absolute.parent().map(fs::metadata).transpose().map_err(cannot)?;
    if above.is_none_or(|above| above.dev() != found.dev()) {
        return Err(CarryError::TopFolder { folder: target.to_owned() });
    }
    let own = own_names(&absolute);
    for entry in fs::read_dir(&absolute).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let is_file = entry.file_type().map_err(cannot)?.is_file();
        if !is_file || !entry.file_name().to_str().is_some_and(|name| own.contains(name)) {
            return Err(foreign(entry.file_name()));
        }
    }
    Ok(absolute)
}

/// The absolute path of `target`, which does not lead through the folder itself: that is moved aside for a moment.
fn plain(target: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(target)?;
    let Some(name) = absolute.file_name() else { return fs::canonicalize(&absolute) };
    match fs::canonicalize(absolute.with_file_name("")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(absolute),
        above => Ok(above?.join(name)),
    }
}

/// The names of everything in an earlier carry folder, as its own list has them; none where it is no such folder.
fn own_names(folder: &Path) -> BTreeSet<String> {
    let mut text = String::new();
    let read = File::open(folder.join(SUMS)).and_then(|file| file.take(SUMS_LIMIT).read_to_string(&mut text));
    let mut names: BTreeSet<String> = match read {
        Ok(_) => text.lines().filter_map(|line| Some(line.split_once("  ")?.1.to_owned())).collect(),
        Err(_) => BTreeSet::new(),
    };
    if !names.contains(START) {
        return BTreeSet::new();
    }
    names.insert(SUMS.to_owned());
    names
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is in the folder outlives a disk that is pulled out right after.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(super) fn written(path: &Path) -> impl Fn(io::Error) -> CarryError + use<> {
    let path = path.to_owned();
    move |source| CarryError::Write { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(folder).unwrap();
        for (name, content) in files {
            fs::write(folder.join(name), content).unwrap();
        }
    }

    const EARLIER: [(&str, &str); 3] =
        [(SUMS, "00  START-HERE.txt\n00  a.bundle\n"), (START, "x"), ("a.bundle", "x")];

    #[test]
    fn an_earlier_folder_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("disk");
        put(&target, &EARLIER);
        let workplace = Workplace::begin(&target).unwrap();
        fs::write(workplace.path().join("new"), "new").unwrap();
        assert!(target.join("a.bundle").exists());
        workplace.finish().unwrap();
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["disk"]);
        assert!(target.join("new").exists() && !target.join("a.bundle").exists());
    }

    #[test]
    fn a_path_through_the_folder_itself_is_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("disk");
        for roundabout in ["disk/../disk", "./disk/.", "disk/../disk/../disk/"] {
            let _ = fs::remove_dir_all(&target);
            put(&target, &EARLIER);
            let workplace = Workplace::begin(&folder.path().join(roundabout)).unwrap();
            fs::write(workplace.path().join("new"), "new").unwrap();
            workplace.finish().unwrap();
            assert!(target.join("new").exists() && !target.join("a.bundle").exists(), "{roundabout}");
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{roundabout}");
        }
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        put(&folder.path().join(".disk.carrying"), &[("left by a killed run", "")]);
        let workplace = Workplace::begin(&folder.path().join("disk")).unwrap();
        assert_eq!(fs::read_dir(workplace.path()).unwrap().count(), 0);
        drop(workplace);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_of_others_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("disk");
        fs::create_dir(&target).unwrap();
        check(&target).unwrap();
        put(&target, &[("thesis.tex", "x")]);
        assert!(matches!(check(&target), Err(CarryError::Foreign { name, .. }) if name == "thesis.tex"));
        // One file too many, a folder instead of a file, a list that is about something else.
        put(&target, &EARLIER);
        assert!(matches!(check(&target), Err(CarryError::Foreign { name, .. }) if name == "thesis.tex"));
        fs::remove_file(target.join("thesis.tex")).unwrap();
        check(&target).unwrap();
        fs::remove_file(target.join("a.bundle")).unwrap();
        fs::create_dir(target.join("a.bundle")).unwrap();
        assert!(matches!(check(&target), Err(CarryError::Foreign { .. })));
        fs::remove_dir(target.join("a.bundle")).unwrap();
        put(&target, &[(SUMS, "00  other.txt\n")]);
        assert!(matches!(check(&target), Err(CarryError::Foreign { .. })));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(check(&file), Err(CarryError::NoFolder { .. })));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(check(&link), Err(CarryError::NoFolder { .. })));
    }

    #[test]
    fn a_disks_top_folder_is_not_taken() {
        for top in ["/", "/proc"] {
            assert!(matches!(check(Path::new(top)), Err(CarryError::TopFolder { .. })), "{top}");
        }
    }
}
