//! Folders with owner and mode.

use std::fs;
use std::os::unix::fs::MetadataExt;

use sealift_plan::operation::DirectorySpec;

use crate::context::Context;
use crate::file;
use crate::journal::Change;
use crate::protocol::{Failure, Outcome};

pub(crate) fn apply(ctx: &Context<'_>, directories: &[DirectorySpec]) -> Result<Outcome, Failure> {
    let mut changed = 0;
    for directory in directories {
        changed += usize::from(ensure(ctx, directory)?);
    }
    let summary = match changed {
        0 if directories.len() == 1 => "the folder is as wanted".to_owned(),
        0 => format!("{} folders are as wanted", directories.len()),
        _ => format!("made or changed {changed} of {} folders", directories.len()),
    };
    Ok(Outcome::new(changed > 0, summary))
}

/// Makes a folder or corrects its mode and owner. Gives whether anything changed.
pub(crate) fn ensure(ctx: &Context<'_>, directory: &DirectorySpec) -> Result<bool, Failure> {
    let DirectorySpec { path, mode, uid, gid } = directory;
    let place = ctx.paths().host(path);
    let created = ctx.make_directory(path)?;
    let metadata = fs::metadata(&place).map_err(|error| Failure::io("read", &place, &error))?;
    let owner = (metadata.uid(), metadata.gid()) != (*uid, *gid);
    if owner {
        if !created {
            ctx.record(Change::OwnerChanged {
                path: path.clone(),
                uid: metadata.uid(),
                gid: metadata.gid(),
            })?;
        }
        std::os::unix::fs::chown(&place, Some(*uid), Some(*gid))
            .map_err(|error| Failure::io("change the owner of", &place, &error))?;
    }
    let before = metadata.mode() & 0o7777;
    if before != *mode && !created {
        ctx.record(Change::ModeChanged { path: path.clone(), mode: before })?;
    }
    Ok(file::set_mode(&place, *mode)? | owner | created)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    #[test]
    fn modes_are_set_once() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let owner = fs::metadata(root.path()).unwrap();
        let spec = |mode| DirectorySpec {
            path: "/srv/data/pg".to_owned(),
            mode,
            uid: owner.uid(),
            gid: owner.gid(),
        };
        let specs = [spec(0o700)];
        assert!(apply(&ctx, &specs).unwrap().changed);
        let again = apply(&ctx, &specs).unwrap();
        assert!(!again.changed);
        assert_eq!(again.summary, "the folder is as wanted");
        assert!(apply(&ctx, &[spec(0o750)]).unwrap().changed);
        assert_eq!(fs::metadata(root.path().join("srv/data/pg")).unwrap().mode() & 0o7777, 0o750);
        assert_eq!(fs::metadata(root.path().join("srv/data")).unwrap().mode() & 0o7777, 0o755);
    }
}
