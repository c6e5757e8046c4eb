//! Puts this very program at its lasting place, for the registry unit and later sessions.

use std::fs::File;
use std::path::Path;

use crate::context::Context;
use crate::file::{self, PendingFile};
use crate::operation::stamp;
use crate::protocol::{Failure, FailureKind, Outcome};

const MODE: u32 = 0o755;
const PLACE: &str = "/var/lib/sealift/bin/installer";

pub(crate) fn apply(ctx: &Context<'_>, digest: &str) -> Result<Outcome, Failure> {
    // The link names the running file even where its path has been given to another meanwhile.
    install(ctx, Path::new("/proc/self/exe"), digest)
}

fn install(ctx: &Context<'_>, program: &Path, digest: &str) -> Result<Outcome, Failure> {
    let place = ctx.paths().agent();
    if place.is_file() && stamp::digest_of_file(&place)? == digest {
        let changed = file::set_mode(&place, MODE)?;
        return Ok(Outcome::new(changed, "the agent is in place"));
    }
    if stamp::digest_of_file(program)? != digest {
        return Err(Failure::new(
            FailureKind::Verification,
            "the agent that runs is not the one that the seat sent",
        )
        .hint("run again; the seat then sends it anew"));
    }
    ctx.make_directory("/var/lib/sealift/bin")?;
    ctx.keep_before_replace(PLACE)?;
    let mut pending = PendingFile::create(&file::temporary_beside(&place), MODE)?;
    File::open(program)
        .and_then(|mut from| std::io::copy(&mut from, &mut pending.file))
        .map_err(|error| Failure::io("write", &place, &error))?;
    pending.commit(&place)?;
    if stamp::digest_of_file(&place)? != digest {
        return Err(Failure::new(FailureKind::Verification, format!("{} is damaged", place.display())).hint(
            "the disk gives back other bytes than were written: look for disk errors in the kernel's log",
        ));
    }
    Ok(Outcome::new(true, "put the agent in its place"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sealift_bundle::digest::digest_of;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    #[test]
    fn is_copied_once_verified_and_replaced_when_another_comes() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let program = root.path().join("uploaded");
        fs::write(&program, "one").unwrap();
        assert!(install(&ctx, &program, &digest_of(b"one")).unwrap().changed);
        assert!(!install(&ctx, &program, &digest_of(b"one")).unwrap().changed);
        assert_eq!(fs::read(paths.agent()).unwrap(), b"one");
        let wrong = install(&ctx, &program, &digest_of(b"two")).unwrap_err();
        assert_eq!(wrong.kind, FailureKind::Verification);
        fs::write(&program, "two").unwrap();
        assert!(install(&ctx, &program, &digest_of(b"two")).unwrap().changed);
        assert_eq!(fs::read(paths.agent()).unwrap(), b"two");
    }
}
