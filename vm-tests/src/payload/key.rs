//! Lists and source trees as inputs of content keys ([`crate::cache::Key`]).

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::cache::Key;

/// Adds a list, whose order counts.
pub fn with_list<'a>(key: Key, values: impl IntoIterator<Item = &'a str>) -> Key {
    let values: Vec<&str> = values.into_iter().collect();
    values.iter().fold(key.text(&values.len().to_string()), |key, value| key.text(value))
}

/// Adds every file below `folder`: relative name, content, and whether it is executable. `ignore` sees the relative
/// name and answers true for what is no input, such as a program that someone built in place.
pub fn with_tree(mut key: Key, folder: &Path, ignore: &dyn Fn(&Path) -> bool) -> Result<Key> {
    let files: Vec<PathBuf> = files_below(folder)?.into_iter().filter(|path| !ignore(path)).collect();
    key = key.text(&files.len().to_string());
    for relative in files {
        let path = folder.join(&relative);
        let mode =
            fs::metadata(&path).with_context(|| format!("read {}", path.display()))?.permissions().mode();
        key = key.text(&relative.to_string_lossy()).text(if mode & 0o100 == 0 { "data" } else { "program" });
        key = key.file(&path)?;
    }
    Ok(key)
}

/// Relative names of all files below `folder`, sorted.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(current) = open.pop() {
        for entry in fs::read_dir(&current).with_context(|| format!("list {}", current.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder)?.to_path_buf());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_do_not_run_into_each_other() {
        let one = with_list(with_list(Key::new("t"), ["x", "y"]), []).finish();
        let two = with_list(with_list(Key::new("t"), ["x"]), ["y"]).finish();
        assert_ne!(one, two);
        assert_eq!(one, with_list(with_list(Key::new("t"), ["x", "y"]), []).finish());
    }

    #[test]
    fn a_tree_counts_by_names_contents_and_modes_but_not_by_place_or_time() {
        let tree = |name: &str, content: &str, mode: u32| {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("sub")).unwrap();
            let file = folder.path().join("sub").join(name);
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            fs::write(folder.path().join("built"), content).unwrap();
            with_tree(Key::new("t"), folder.path(), &|path| path == Path::new("built")).unwrap().finish()
        };
        let base = tree("main.go", "package main", 0o644);
        assert_eq!(base, tree("main.go", "package main", 0o600));
        assert_ne!(base, tree("main.go", "package other", 0o644));
        assert_ne!(base, tree("other.go", "package main", 0o644));
        assert_ne!(base, tree("main.go", "package main", 0o755));
    }

    #[test]
    fn a_missing_tree_is_an_error_with_its_path() {
        let error = with_tree(Key::new("t"), Path::new("/nonexistent/go"), &|_| false).err().unwrap();
        assert!(error.to_string().contains("/nonexistent/go"), "{error}");
    }
}
