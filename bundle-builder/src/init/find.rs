//! Charts in a folder: folders with a `Chart.yaml`, and archives. Bounded; no link is followed.

use std::fs;
use std::path::{Path, PathBuf};

use super::InitError;

/// Most folders below each other.
const DEPTH: usize = 6;
/// Most entries of all folders together: what holds more is no folder of charts.
const MOST_ENTRIES: usize = 20_000;
/// Most charts.
const MOST_CHARTS: usize = 200;

/// Paths of all charts in `folder`, sorted; itself, where it is one, as a folder or an archive. What is inside a chart belongs to it.
pub(super) fn charts(folder: &Path) -> Result<Vec<PathBuf>, InitError> {
    let mut search = Search { entries: 0, charts: Vec::new(), top: folder };
    if folder.is_file() && is_archive(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let found = fs::metadata(folder).map_err(|source| InitError::Read { path: folder.to_owned(), source })?;
    if !found.is_dir() {
        return Err(InitError::NoArchive { path: folder.to_owned() });
    }
    search.look(folder, 0)?;
    search.charts.sort();
    if search.charts.is_empty() {
        return Err(InitError::NoCharts { folder: folder.to_owned() });
    }
    Ok(search.charts)
}

struct Search<'a> {
    entries: usize,
    charts: Vec<PathBuf>,
    top: &'a Path,
}

impl Search<'_> {
    fn look(&mut self, folder: &Path, depth: usize) -> Result<(), InitError> {
        let cannot = |source| InitError::Read { path: folder.to_owned(), source };
        if fs::symlink_metadata(folder.join("Chart.yaml")).is_ok_and(|file| file.is_file()) {
            self.charts.push(folder.to_owned());
            return self.bounded();
        }
        for entry in fs::read_dir(folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            self.entries += 1;
            self.bounded()?;
            let (kind, path) = (entry.file_type().map_err(cannot)?, entry.path());
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            if kind.is_dir() && depth < DEPTH {
                self.look(&path, depth + 1)?;
            } else if kind.is_file() && is_archive(&path) {
                self.charts.push(path);
                self.bounded()?;
            }
        }
        Ok(())
    }

    fn bounded(&self) -> Result<(), InitError> {
        if self.entries > MOST_ENTRIES || self.charts.len() > MOST_CHARTS {
            return Err(InitError::TooMany { folder: self.top.to_owned() });
        }
        Ok(())
    }
}

/// Whether it is called as archives of charts are.
fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tgz")
}

/// `path` as it is written in a file in `folder`.
pub(super) fn relative(path: &Path, folder: &Path) -> PathBuf {
    let same = path.components().zip(folder.components()).take_while(|(one, other)| one == other).count();
    let up = folder.components().skip(same).map(|_| Path::new(".."));
    let down = path.components().skip(same).map(|part| Path::new(part.as_os_str()));
    let found: PathBuf = up.chain(down).collect();
    if found.as_os_str().is_empty() { PathBuf::from(".") } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    #[test]
    fn charts_are_found_and_what_is_inside_them_is_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path();
        for name in [
            "a/Chart.yaml",
            "a/charts/inner/Chart.yaml",
            "deep/b/Chart.yaml",
            "c-1.0.0.tgz",
            "notes.txt",
            ".git/x/Chart.yaml",
        ] {
            put(top, name);
        }
        std::os::unix::fs::symlink(top.join("a"), top.join("link")).unwrap();
        std::os::unix::fs::symlink(top, top.join("deep/loop")).unwrap();
        let names = |found: Vec<PathBuf>| found.iter().map(|path| relative(path, top)).collect::<Vec<_>>();
        assert_eq!(names(charts(top).unwrap()), ["a", "c-1.0.0.tgz", "deep/b"].map(PathBuf::from));
        for single in ["a", "c-1.0.0.tgz"] {
            assert_eq!(names(charts(&top.join(single)).unwrap()), [PathBuf::from(single)]);
        }
    }

    #[test]
    fn a_folder_without_charts_and_an_endless_one_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(charts(folder.path()), Err(InitError::NoCharts { .. })));
        assert!(matches!(charts(&folder.path().join("missing")), Err(InitError::Read { .. })));
        put(folder.path(), "file");
        fs::create_dir(folder.path().join("folder.tgz")).unwrap();
        assert!(matches!(charts(&folder.path().join("missing.tgz")), Err(InitError::Read { .. })));
        assert!(matches!(charts(&folder.path().join("file")), Err(InitError::NoArchive { .. })));
        assert!(matches!(charts(&folder.path().join("folder.tgz")), Err(InitError::NoCharts { .. })));
        for number in 0..=MOST_CHARTS {
            put(folder.path(), &format!("{number}.tgz"));
        }
        assert!(matches!(charts(folder.path()), Err(InitError::TooMany { .. })));
    }

    #[test]
    fn paths_start_from_the_recipe() {
        for (path, folder, expected) in [
            ("/a/charts/x", "/a", "charts/x"),
            ("/a/charts/x", "/a/recipes", "../charts/x"),
            ("/a", "/a", "."),
            ("/b/x", "/a/c", "../../b/x"),
        ] {
            assert_eq!(relative(Path::new(path), Path::new(folder)), Path::new(expected));
        }
    }
}
