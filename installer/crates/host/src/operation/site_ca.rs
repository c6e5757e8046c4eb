//! The site's own CA: made on one master, handed to the others, and each master's registry certificate from it.

use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::file;
use crate::issue::{self, Leaf};
use crate::protocol::{Failure, FailureKind, Outcome, SecretFile, SecretFiles};

const FOLDER: &str = "/var/lib/sealift/pki";
const CA_CERTIFICATE: &str = "site-ca.crt";
const CA_KEY: &str = "site-ca.key";
const CERTIFICATE: &str = "registry.crt";
const KEY: &str = "registry.key";
const LIFETIME: Duration = Duration::from_hours(24 * 3650);
/// A certificate with less than this left is issued anew.
const RENEWAL: Duration = Duration::from_hours(24 * 30);

/// Makes the CA where there is none.
pub(crate) fn ensure(ctx: &Context<'_>, site: &str) -> Result<Outcome, Failure> {
    match (read(ctx, CA_CERTIFICATE)?, read(ctx, CA_KEY)?) {
        (Some(certificate), Some(key)) => {
            check_pair(&certificate, &key)?;
            Ok(Outcome::new(false, "the site's CA is there"))
        }
        (Some(_), None) => Err(Failure::new(
            FailureKind::Conflict,
            format!(
                "{FOLDER}/{CA_CERTIFICATE} is there, but its key is not: another host made this site's CA"
            ),
        )
        .hint("let the master that has the key hand it out, or reset this host")),
        // A key alone is what a run leaves that was killed between the two files; nothing was signed with it.
        (None, _) => {
            let pair = issue::authority(&format!("Sealift site {site}"))?;
            write(ctx, CA_KEY, &pair.key, 0o600)?;
            write(ctx, CA_CERTIFICATE, &pair.certificate, 0o644)?;
            Ok(Outcome::new(true, format!("made the CA of the site {site}")))
        }
    }
}

/// Takes the CA over from another host and issues this host's registry certificate.
pub(crate) fn install(
    ctx: &Context<'_>,
    secrets: &SecretFiles,
    with_key: bool,
    names: &[String],
) -> Result<Outcome, Failure> {
    if secrets.0.is_empty() {
        if in_place(ctx, with_key, names)? {
            return Ok(Outcome::new(false, "CA and certificate are as wanted"));
        }
        return Err(Failure::new(FailureKind::NeedsSecrets, "this step needs the site's CA"));
    }
    let secret = |name: &str| {
        let found = secrets.0.iter().find(|file| file.name == name);
        found
            .map(|file| file.content.as_str())
            .ok_or_else(|| Failure::other(format!("{name} did not come with the step")))
    };
    let certificate = secret(CA_CERTIFICATE)?;
    // A host that neither keeps the key nor issues with it gets the certificate alone.
    let key = if with_key || !names.is_empty() { secret(CA_KEY)? } else { "" };
    if !key.is_empty() {
        check_pair(certificate, key)?;
    }
    if read(ctx, CA_CERTIFICATE)?.is_some_and(|standing| standing.trim() != certificate.trim()) {
        return Err(Failure::new(FailureKind::Conflict, "this host trusts the CA of another installation")
            .cause(format!("{FOLDER}/{CA_CERTIFICATE} differs from the one that the first master has"))
            .hint("reset this host, or install with the master that made its CA"));
    }
    let mut changed = write(ctx, CA_CERTIFICATE, certificate, 0o644)?;
    if with_key {
        changed |= write(ctx, CA_KEY, key, 0o600)?;
    }
    let mut issued = false;
    if !names.is_empty() && !stands(ctx, certificate, names)? {
        let usages = &[ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = Leaf { subject: "Sealift registry", names, usages, lifetime: LIFETIME };
        let pair = issue::leaf(certificate, key, &leaf)?;
        write(ctx, KEY, &pair.key, 0o600)?;
        write(ctx, CERTIFICATE, &pair.certificate, 0o644)?;
        issued = true;
    }
    let summary = match (changed, issued) {
        (_, true) => "issued the registry's certificate",
        (true, false) => "trusts the site's CA",
        (false, false) => "CA and certificate are as wanted",
    };
    Ok(Outcome::new(changed || issued, summary))
}

fn in_place(ctx: &Context<'_>, with_key: bool, names: &[String]) -> Result<bool, Failure> {
    let Some(certificate) = read(ctx, CA_CERTIFICATE)? else { return Ok(false) };
    if with_key && read(ctx, CA_KEY)?.is_none() {
        return Ok(false);
    }
    Ok(names.is_empty() || stands(ctx, &certificate, names)?)
}

/// Hands out the CA.
pub(crate) fn export(ctx: &Context<'_>) -> Result<SecretFiles, Failure> {
    let file = |name: &str| {
        let content = read(ctx, name)?.ok_or_else(|| {
            Failure::new(
                FailureKind::Conflict,
                format!("{FOLDER}/{name} is missing, so this host cannot hand it out"),
            )
        })?;
        Ok(SecretFile { name: name.to_owned(), content: content.to_string() })
    };
    Ok(SecretFiles(vec![file(CA_CERTIFICATE)?, file(CA_KEY)?]))
}

fn read(ctx: &Context<'_>, name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    Ok(file::read_text_if_exists(&ctx.paths().pki().join(name))?.map(Zeroizing::new))
}

fn write(ctx: &Context<'_>, name: &str, content: &str, mode: u32) -> Result<bool, Failure> {
    ctx.write_file(&format!("{FOLDER}/{name}"), content.as_bytes(), mode)
}

/// Whether key and certificate belong together and the certificate may sign.
fn check_pair(certificate: &str, key: &str) -> Result<(), Failure> {
    if issue::is_authority(certificate, key)? {
        Ok(())
    } else {
        Err(Failure::other("the site's CA certificate and its key do not belong together"))
    }
}

/// Whether the registry's certificate is from this CA, for exactly these names, with its key, for long enough.
fn stands(ctx: &Context<'_>, ca: &str, names: &[String]) -> Result<bool, Failure> {
    let (Some(certificate), Some(key)) = (read(ctx, CERTIFICATE)?, read(ctx, KEY)?) else { return Ok(false) };
    issue::stands(ca, &certificate, &key, names, RENEWAL)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::journal::Journal;
    use crate::paths::Paths;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn is_made_once_with_a_key_for_root_alone() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        assert!(ensure(&ctx, "shop").unwrap().changed);
        let key = paths.pki().join(CA_KEY);
        assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
        let first = fs::read(&key).unwrap();
        assert!(!ensure(&ctx, "shop").unwrap().changed);
        assert_eq!(fs::read(&key).unwrap(), first);
        fs::remove_file(key).unwrap();
        assert_eq!(ensure(&ctx, "shop").unwrap_err().kind, FailureKind::Conflict);
    }

    #[test]
    fn masters_share_it_workers_get_no_key_and_certificates_follow_their_names() {
        let (first, master, worker) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let recorder = Recorder::default();
        let first = Paths::below(first.path());
        let ctx = Context::new(&first, &recorder, "r", "s");
        ensure(&ctx, "shop").unwrap();
        let secrets = export(&ctx).unwrap();

        let master = Paths::below(master.path());
        let ctx = Context::new(&master, &recorder, "r", "s");
        let certificate_names = names(&["m2", "10.77.0.12", "fd00::12"]);
        let outcome = install(&ctx, &secrets, true, &certificate_names).unwrap();
        assert_eq!((outcome.changed, outcome.summary.as_str()), (true, "issued the registry's certificate"));
        let certificate = fs::read(master.pki().join(CERTIFICATE)).unwrap();
        assert!(!install(&ctx, &secrets, true, &certificate_names).unwrap().changed);
        assert_eq!(fs::read(master.pki().join(CERTIFICATE)).unwrap(), certificate);
        assert!(install(&ctx, &secrets, true, &names(&["m2", "10.77.0.13"])).unwrap().changed);
        assert!(master.pki().join(CA_KEY).exists());

        let worker = Paths::below(worker.path());
        let ctx = Context::new(&worker, &recorder, "r", "s");
        assert_eq!(install(&ctx, &secrets, false, &[]).unwrap().summary, "trusts the site's CA");
        assert!(!install(&ctx, &secrets, false, &[]).unwrap().changed);
        assert!(!worker.pki().join(CA_KEY).exists());
        assert!(export(&ctx).is_err());
    }

    #[test]
    fn another_installations_ca_is_not_overwritten() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let recorder = Recorder::default();
        let (one, two) = (Paths::below(one.path()), Paths::below(two.path()));
        let (one, two) = (Context::new(&one, &recorder, "r", "s"), Context::new(&two, &recorder, "r", "s"));
        ensure(&one, "shop").unwrap();
        ensure(&two, "shop").unwrap();
        let failure = install(&two, &export(&one).unwrap(), true, &[]).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
    }

    #[test]
    fn keys_show_in_no_journal_and_no_debug_output() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        ensure(&ctx, "shop").unwrap();
        let secrets = export(&ctx).unwrap();
        install(&ctx, &secrets, true, &names(&["m1"])).unwrap();
        let shown = format!(
            "{secrets:?} {:?} {:?}",
            Journal::new(&paths).entries().unwrap(),
            recorder.0.lock().unwrap()
        );
        for key in [CA_KEY, KEY] {
            let key = fs::read_to_string(paths.pki().join(key)).unwrap();
            let secret = key.lines().nth(1).unwrap();
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
