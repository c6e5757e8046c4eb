//! Where everything lives that is kept between runs, and results that are known by the content they came from.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// `$SEALIFT_CACHE`, else `/var/cache/sealift` for root and `~/.cache/sealift` for others.
pub fn root() -> PathBuf {
    if let Some(path) = std::env::var_os("SEALIFT_CACHE").filter(|path| !path.is_empty()) {
        return path.into();
    }
    match std::env::var_os("HOME") {
        Some(home) if !rustix::process::geteuid().is_root() => Path::new(&home).join(".cache/sealift"),
        _ => "/var/cache/sealift".into(),
    }
}

/// The key of a result: a hash over everything that it is made from.
///
/// Each part goes in with its length, so that no two lists of parts give the same key.
pub struct Key(Sha256);

impl Key {
    /// `kind` names what is made; raise a number in it when the way of making it changes.
    pub fn new(kind: &str) -> Self {
        Self(Sha256::new()).text(kind)
    }

    /// Adds a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
        self
    }

    /// Adds a file's content (not its path or times).
    pub fn file(mut self, path: &Path) -> Result<Self> {
        let mut file = fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut content = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => content.update(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
            }
        }
        self.0.update(content.finalize());
        Ok(self)
    }

    /// Twenty hexadecimal digits: short enough for a folder's name, long enough never to meet another.
    pub fn finish(self) -> String {
        let mut text = hex(&self.0.finalize());
        text.truncate(20);
        text
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A result in the cache.
#[derive(Debug, Clone)]
pub struct Cached {
    /// Its folder.
    pub path: PathBuf,
    /// Whether it was there already.
    pub skipped: bool,
}

/// The folder `parent/key`, built by `build` in a temporary folder beside it unless it is there; it appears
/// whole or not at all. Temporary folders that a killed run left are removed.
pub fn folder(parent: &Path, key: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<Cached> {
    let path = parent.join(key);
    if path.is_dir() {
        return Ok(Cached { path, skipped: true });
    }
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    // One builder at a time: the second one finds the first one's result.
    let lock = fs::File::create(parent.join(format!(".{key}.lock")))
        .context("cannot make a lock file in the cache")?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).context("cannot lock the cache")?;
    if path.is_dir() {
        return Ok(Cached { path, skipped: true });
    }
    let temporary = parent.join(format!(".building-{key}"));
    remove_folder(&temporary)?;
    fs::create_dir(&temporary).with_context(|| format!("cannot make {}", temporary.display()))?;
    build(&temporary)?;
    fs::rename(&temporary, &path).with_context(|| format!("cannot put {} in place", path.display()))?;
    Ok(Cached { path, skipped: false })
}

/// Removes the results in `parent` that nobody needs any more, and what killed builders left there.
pub fn prune(parent: &Path, needed: &dyn Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let key = name.trim_start_matches(".building-").trim_start_matches('.').trim_end_matches(".lock");
        let is_result = key == name;
        if name.strip_suffix(".lock").is_some() || is_result && needed(key) {
            continue;
        }
        let lock = fs::File::create(parent.join(format!(".{key}.lock")))
            .context("cannot make a lock file in the cache")?;
        // Whoever holds it is building just this.
        if rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a folder with all in it; none there is fine.
pub fn remove_folder(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Bytes that a file or folder takes on the disk (holes do not count), without crossing into other file systems.
pub fn bytes_on_disk(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let own = meta.blocks() * 512;
    if !meta.is_dir() {
        return own;
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| bytes_on_disk(&entry.path())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_their_parts_apart() {
        let joined = Key::new("x").text("ab").text("c").finish();
        let other = Key::new("x").text("a").text("bc").finish();
        assert_ne!(joined, other);
        assert_eq!(joined, Key::new("x").text("ab").text("c").finish());
        assert_eq!(joined.len(), 20);
    }

    #[test]
    fn a_result_is_built_once_and_never_half() {
        let parent = tempfile::tempdir().unwrap();
        let failed = folder(parent.path(), "k", |path| {
            fs::write(path.join("half"), "x")?;
            anyhow::bail!("broken")
        });
        assert_eq!(failed.unwrap_err().to_string(), "broken");
        assert!(!parent.path().join("k").exists());

        let first = folder(parent.path(), "k", |path| fs::write(path.join("whole"), "x").map_err(Into::into))
            .unwrap();
        assert!(!first.skipped);
        assert!(!first.path.join("half").exists());
        let second = folder(parent.path(), "k", |_| anyhow::bail!("built twice")).unwrap();
        assert!(second.skipped);
        assert!(second.path.join("whole").exists());
    }

    #[test]
    fn pruning_keeps_what_is_needed_and_what_is_being_built() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["new", "old", ".building-dead", ".building-busy"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let busy = fs::File::create(parent.path().join(".busy.lock")).unwrap();
        rustix::fs::flock(&busy, rustix::fs::FlockOperation::LockExclusive).unwrap();
        prune(parent.path(), &|key| key == "new").unwrap();
        let left = |name: &str| parent.path().join(name).exists();
        assert_eq!(["new", "old", ".building-dead", ".building-busy"].map(left), [true, false, false, true]);
    }

    #[test]
    fn holes_take_no_space() {
        let parent = tempfile::tempdir().unwrap();
        let file = fs::File::create(parent.path().join("sparse")).unwrap();
        file.set_len(1 << 30).unwrap();
        assert!(bytes_on_disk(parent.path()) < 1 << 20);
    }
}
