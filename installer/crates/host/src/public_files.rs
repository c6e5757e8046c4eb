//! Hands out text files for a comparison: those alone that everybody on the host may read, so never a secret.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use sealift_plan::changes::found::{Found, FoundFile, MAX_TEXT};

use crate::paths::Paths;

/// Permission bit: others may read.
const OTHERS_READ: u32 = 0o004;

/// What stands in one place.
pub(crate) fn read(paths: &Paths, path: String) -> FoundFile {
    let found = look(&paths.host(&path)).unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Found::Missing,
        _ => not_shown(format!("it cannot be read: {error}")),
    });
    FoundFile { path, found }
}

fn look(place: &Path) -> io::Result<Found> {
    if fs::symlink_metadata(place)?.is_symlink() {
        return Ok(not_shown(format!("a link to {}", fs::read_link(place)?.display())));
    }
    // What stood there a moment ago may be a link or a pipe by now: neither is followed or waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(place)?;
    let metadata = file.metadata()?;
    let mode = metadata.mode() & 0o7777;
    if !metadata.is_file() {
        return Ok(not_shown("not a file"));
    }
    if mode & OTHERS_READ == 0 {
        return Ok(not_shown("readable by its owner alone"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT {
        return Ok(not_shown(format!("larger than {} KiB", MAX_TEXT >> 10)));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Found::Text { text, mode },
        Err(_) => not_shown("not a text"),
    })
}

fn not_shown(why: impl Into<String>) -> Found {
    Found::NotShown { why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_everybody_may_read_is_handed_out() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let put = |path: &str, content: &[u8], mode: u32| {
            let place = paths.host(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, content).unwrap();
            crate::file::set_mode(&place, mode).unwrap();
        };
        put("/etc/hosts", b"127.0.0.1 localhost\n", 0o644);
        put("/etc/secret", b"hunter2", 0o640);
        put("/etc/blob", &[0xff, 0xfe], 0o644);
        put("/etc/large", &vec![b'a'; usize::try_from(MAX_TEXT).unwrap() + 1], 0o644);
        std::os::unix::fs::symlink("secret", paths.host("/etc/link")).unwrap();
        let found = |path: &str| read(&paths, path.to_owned()).found;
        let text = "127.0.0.1 localhost\n".to_owned();
        assert_eq!(found("/etc/hosts"), Found::Text { text, mode: 0o644 });
        assert_eq!(found("/etc/none/at/all"), Found::Missing);
        assert_eq!(found("/etc/hosts/below-a-file"), Found::Missing);
        for (path, expected) in [
            ("/etc/secret", "readable by its owner alone"),
            ("/etc/blob", "not a text"),
            ("/etc/large", "larger than 64 KiB"),
            ("/etc/link", "a link to secret"),
            ("/etc", "not a file"),
        ] {
            assert_eq!(found(path), not_shown(expected), "{path}");
        }
    }
}
