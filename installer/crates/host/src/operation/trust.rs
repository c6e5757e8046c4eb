//! The customer's authorities in the trust store of the host.

use std::path::Path;

use sealift_plan::operation::FileSpec;

use crate::command::Command;
use crate::context::Context;
use crate::file;
use crate::journal::Change;
use crate::protocol::{Failure, FailureKind, Outcome};

/// Where the distributions' programs put all authorities together; a host has one of them.
const BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// Puts the files there, takes away others of ours, and lets the host's own program take that up.
pub(crate) fn apply(ctx: &Context<'_>, files: &[FileSpec], program: &str) -> Result<Outcome, Failure> {
    // Before anything is written: it is missing where the package is.
    if ctx.find_program(program).is_none() {
        let message = format!("this host has no {program}, so it cannot be told whom to trust");
        return Err(Failure::new(FailureKind::Conflict, message)
            .hint("install the package ca-certificates from the distribution's media, then run again"));
    }
    let mut changed = false;
    for path in others(ctx, files)? {
        changed |= ctx.remove_file(&path)?;
    }
    for file in files {
        changed |= ctx.write_file(&file.path, file.content.as_bytes(), file.mode)?;
    }
    // A run that was killed between the files and the program leaves the files alone.
    if changed || untrusted(ctx, files)?.is_some() {
        ctx.record(Change::Command { command: program.to_owned() })?;
        ctx.run(Command::new(program))?;
        changed = true;
    }
    if let Some(path) = untrusted(ctx, files)? {
        let message = format!("{program} ended well, but this host does not trust what is in {path}");
        return Err(Failure::new(FailureKind::Command, message));
    }
    let summary = if changed { "trusts" } else { "trusts already" };
    Ok(Outcome::new(changed, format!("{summary} {} of the customer's authorities", files.len())))
}

/// Files of ours that an earlier run left and nobody wants any more.
fn others(ctx: &Context<'_>, files: &[FileSpec]) -> Result<Vec<String>, Failure> {
    let Some((folder, name)) = files.first().and_then(|file| file.path.rsplit_once('/')) else {
        return Ok(Vec::new());
    };
    // All our names end with a number.
    let prefix = name.rsplit_once('-').map_or(name, |(prefix, _)| prefix);
    let place = ctx.paths().host(folder);
    let Ok(entries) = place.read_dir() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Failure::io("read", &place, &error))?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        let ours = entry.file_name().to_string_lossy().starts_with(&format!("{prefix}-"));
        if ours && !files.iter().any(|file| file.path == path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The first file whose certificate is not among all that the host trusts.
fn untrusted<'a>(ctx: &Context<'_>, files: &'a [FileSpec]) -> Result<Option<&'a str>, Failure> {
    let mut trusted = String::new();
    for bundle in BUNDLES {
        let text = file::read_text_if_exists(Path::new(&ctx.paths().host(bundle)))?.unwrap_or_default();
        trusted.push_str(&body(&text));
    }
    let missing = files.iter().find(|file| !trusted.contains(body(&file.content).trim_end_matches('=')));
    Ok(missing.map(|file| file.path.as_str()))
}

/// The letters of a PEM text without marks and line breaks, which programs set as they like.
fn body(pem: &str) -> String {
    pem.lines().map(str::trim).filter(|line| !line.starts_with(['-', '#'])).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    const FOLDER: &str = "/usr/local/share/ca-certificates";

    fn spec(number: usize, letters: &str) -> FileSpec {
        let content = format!("-----BEGIN CERTIFICATE-----\n{letters}\n-----END CERTIFICATE-----\n");
        FileSpec { path: format!("{FOLDER}/sealift-customer-ca-{number}.crt"), mode: 0o644, content }
    }

    /// Puts all together as the real one does, unless it is told not to.
    fn program(paths: &Paths, root: &Path, works: bool) {
        let script = if works {
            let folder = root.display();
            format!(
                "#!/bin/sh\nmkdir -p {folder}/etc/ssl/certs\ncat {folder}{FOLDER}/*.crt >{folder}/etc/ssl/certs/ca-certificates.crt\n"
            )
        } else {
            "#!/bin/sh\n".to_owned()
        };
        sealift_bundle::testing::program(&paths.host("/usr/sbin/update-ca-certificates"), &script);
    }

    #[test]
    fn authorities_come_stay_and_go() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        program(&paths, root.path(), true);
        let bundle = || fs::read_to_string(paths.host(BUNDLES[0])).unwrap();
        let both = [spec(1, "AAAA"), spec(2, "BBBB")];
        assert!(apply(&ctx, &both, "update-ca-certificates").unwrap().changed);
        assert!(bundle().contains("AAAA") && bundle().contains("BBBB"));
        assert!(!apply(&ctx, &both, "update-ca-certificates").unwrap().changed);
        // Another package's run, or a kill in between, has lost it.
        fs::write(paths.host(BUNDLES[0]), "").unwrap();
        assert!(apply(&ctx, &both, "update-ca-certificates").unwrap().changed);
        fs::write(paths.host(&format!("{FOLDER}/theirs.crt")), "CCCC\n").unwrap();
        assert!(apply(&ctx, &both[..1], "update-ca-certificates").unwrap().changed);
        assert!(bundle().contains("CCCC") && !bundle().contains("BBBB"));
    }

    #[test]
    fn a_program_that_is_missing_or_does_nothing_is_said() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let files = [spec(1, "AAAA")];
        let failure = apply(&ctx, &files, "update-no-such-store").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(!paths.host(FOLDER).exists(), "nothing is half-written");
        program(&paths, root.path(), false);
        let failure = apply(&ctx, &files, "update-ca-certificates").unwrap_err();
        assert!(failure.message.contains("does not trust"), "{failure}");
    }
}
