//! An authority of its own, made on the first master and copied to the others from memory; each member's certificates.

use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose::{self, ClientAuth, ServerAuth};
use zeroize::Zeroizing;

use super::super::unchanged;
use super::{FOLDER, MANIFEST};
use crate::context::Context;
use crate::file;
use crate::issue::{self, Leaf};
use crate::protocol::{Failure, FailureKind, Outcome, SecretFile, SecretFiles};

const CERTIFICATE: &str = "ca.crt";
const KEY: &str = "ca.key";
/// Who may be a client: a copy of the authority of the cluster's own database.
const CLIENTS: &str = "clients-ca.crt";
/// Whom API servers believe: the authorities of both databases.
const SERVERS: &str = "servers-ca.crt";
/// The authority of the cluster's own database, which kubeadm makes.
const CLUSTER_AUTHORITY: &str = "/etc/kubernetes/pki/etcd/ca.crt";
/// As kubeadm's own certificates.
const LIFETIME: Duration = Duration::from_hours(24 * 365);
/// One with less than this left is made anew. etcd reads the files at every connection: nothing is restarted.
const RENEWAL: Duration = Duration::from_hours(24 * 90);

/// Makes the authority where there is none, and this member's certificates.
pub(in super::super) fn ensure(ctx: &Context<'_>, names: &[String]) -> Result<Outcome, Failure> {
    let made = match (read(ctx, CERTIFICATE)?, read(ctx, KEY)?) {
        (Some(certificate), Some(key)) => {
            check(&certificate, &key)?;
            false
        }
        (certificate, _)
            if certificate.is_some() || file::read_if_exists(&ctx.paths().host(MANIFEST))?.is_some() =>
        {
            let message =
                format!("{FOLDER} lacks {CERTIFICATE} or {KEY}, and the database of events runs with them");
            return Err(Failure::new(FailureKind::Conflict, message)
                .hint("put them back from another master, where the same files stand"));
        }
        // A key alone is what a run leaves that was killed between the two files; nothing was signed with it.
        _ => {
            let pair = issue::authority("Sealift events database")?;
            write(ctx, KEY, &pair.key, 0o600)?;
            write(ctx, CERTIFICATE, &pair.certificate, 0o644)?;
            true
        }
    };
    let issued = certificates(ctx, names)?;
    Ok(outcome(made, &issued))
}

/// Takes the authority over from the first master, and makes this member's certificates.
pub(in super::super) fn install(
    ctx: &Context<'_>,
    secrets: &SecretFiles,
    names: &[String],
) -> Result<Outcome, Failure> {
    let (certificate, key) = (read(ctx, CERTIFICATE)?, read(ctx, KEY)?);
    let given =
        |name: &str| secrets.0.iter().find(|file| file.name == name).map(|file| file.content.as_str());
    let taken = match (given(CERTIFICATE), given(KEY)) {
        (Some(new), Some(new_key)) => {
            check(new, new_key)?;
            if certificate.is_some_and(|standing| standing.trim() != new.trim()) {
                let message = "this master has the authority of another database of events";
                return Err(Failure::new(FailureKind::Conflict, message)
                    .cause(format!("{FOLDER}/{CERTIFICATE} differs from the one that the first master has"))
                    .hint("reset this host, or put the first master's files there"));
            }
            let wrote = write(ctx, KEY, new_key, 0o600)?;
            write(ctx, CERTIFICATE, new, 0o644)? | wrote
        }
        _ if certificate.is_some() && key.is_some() => false,
        _ => {
            let message = "this step needs the authority of the database of events";
            return Err(Failure::new(FailureKind::NeedsSecrets, message));
        }
    };
    let issued = certificates(ctx, names)?;
    Ok(outcome(taken, &issued))
}

/// Hands out the authority.
pub(in super::super) fn export(ctx: &Context<'_>) -> Result<SecretFiles, Failure> {
    let file = |name: &str| {
        let content = read(ctx, name)?.ok_or_else(|| {
            Failure::new(FailureKind::Conflict, format!("{FOLDER}/{name} is not on this master"))
        })?;
        Ok(SecretFile { name: name.to_owned(), content: content.to_string() })
    };
    Ok(SecretFiles(vec![file(CERTIFICATE)?, file(KEY)?]))
}

fn outcome(authority: bool, issued: &[&str]) -> Outcome {
    let summary = match (authority, issued.is_empty()) {
        (false, true) => "authority and certificates are as wanted".to_owned(),
        (true, true) => "the authority of the database of events".to_owned(),
        (_, false) => format!("wrote {}", issued.join(", ")),
    };
    Outcome { changed: authority || !issued.is_empty(), ..unchanged(summary) }
}

/// Writes what is missing, wrong, or soon at its end. Gives the names of what was written.
fn certificates(ctx: &Context<'_>, names: &[String]) -> Result<Vec<&'static str>, Failure> {
    let missing = |path: String| Failure::new(FailureKind::Conflict, format!("{path} is not on this master"));
    let authority = read(ctx, CERTIFICATE)?.ok_or_else(|| missing(format!("{FOLDER}/{CERTIFICATE}")))?;
    let key = read(ctx, KEY)?.ok_or_else(|| missing(format!("{FOLDER}/{KEY}")))?;
    let clients = file::read_text_if_exists(&ctx.paths().host(CLUSTER_AUTHORITY))?
        .ok_or_else(|| missing(CLUSTER_AUTHORITY.to_owned()))?;
    let mut written = Vec::new();
    if write(ctx, CLIENTS, &clients, 0o644)? {
        written.push(CLIENTS);
    }
    let both = format!("{}\n{}\n", clients.trim_end(), authority.trim_end());
    if write(ctx, SERVERS, &both, 0o644)? {
        written.push(SERVERS);
    }
    // To the other members each member is a client, too. None is called as the authority: OpenSSL takes a certificate whose
    // subject is its issuer for one that signed itself.
    let kinds: [(&str, &str, &str, &[ExtendedKeyUsagePurpose]); 2] = [
        ("server.crt", "server.key", "Sealift events database server", &[ServerAuth]),
        ("peer.crt", "peer.key", "Sealift events database member", &[ServerAuth, ClientAuth]),
    ];
    for (name, key_name, subject, usages) in kinds {
        if let (Some(standing), Some(standing_key)) = (read(ctx, name)?, read(ctx, key_name)?)
            && issue::stands(&authority, &standing, &standing_key, names, RENEWAL)?
        {
            continue;
        }
        let pair = issue::leaf(&authority, &key, &Leaf { subject, names, usages, lifetime: LIFETIME })?;
        write(ctx, key_name, &pair.key, 0o600)?;
        write(ctx, name, &pair.certificate, 0o644)?;
        written.push(name);
    }
    Ok(written)
}

fn check(certificate: &str, key: &str) -> Result<(), Failure> {
    if issue::is_authority(certificate, key)? {
        return Ok(());
    }
    Err(Failure::other(format!("{CERTIFICATE} and {KEY} of the database of events do not belong together")))
}

fn read(ctx: &Context<'_>, name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    let place = ctx.paths().host(&format!("{FOLDER}/{name}"));
    Ok(file::read_text_if_exists(&place)?.map(Zeroizing::new))
}

fn write(ctx: &Context<'_>, name: &str, content: &str, mode: u32) -> Result<bool, Failure> {
    ctx.write_file(&format!("{FOLDER}/{name}"), content.as_bytes(), mode)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::issue::DAY;
    use crate::journal::Journal;
    use crate::paths::Paths;

    fn names(address: &str) -> Vec<String> {
        ["m1", address, "localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec()
    }

    /// A master with the authority of the cluster's own database.
    fn master(root: &tempfile::TempDir) -> Paths {
        let paths = Paths::below(root.path());
        let place = paths.host(CLUSTER_AUTHORITY);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, issue::authority("etcd-ca").unwrap().certificate).unwrap();
        paths
    }

    fn text(paths: &Paths, name: &str) -> String {
        fs::read_to_string(paths.host(&format!("{FOLDER}/{name}"))).unwrap()
    }

    #[test]
    fn an_authority_is_made_once_shared_and_signs_for_each_member() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, second) = (master(&first), master(&second));
        let recorder = Recorder::default();
        let (one, two) =
            (Context::new(&first, &recorder, "r", "s"), Context::new(&second, &recorder, "r", "s"));
        assert!(ensure(&one, &names("10.77.0.11")).unwrap().changed);
        assert!(!ensure(&one, &names("10.77.0.11")).unwrap().changed, "a second run keeps all of it");
        for name in [KEY, "server.key", "peer.key"] {
            let mode = fs::metadata(first.host(&format!("{FOLDER}/{name}"))).unwrap().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let servers = text(&first, SERVERS);
        assert_eq!(servers.matches("BEGIN CERTIFICATE").count(), 2);
        assert!(servers.contains(text(&first, CERTIFICATE).trim()));
        assert!(!text(&first, CLIENTS).contains(text(&first, CERTIFICATE).trim()), "it lets nobody in");

        let none = SecretFiles::default();
        let failure = install(&two, &none, &names("10.77.0.12")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::NeedsSecrets);
        let secrets = export(&one).unwrap();
        assert!(install(&two, &secrets, &names("10.77.0.12")).unwrap().changed);
        assert!(!install(&two, &none, &names("10.77.0.12")).unwrap().changed);
        assert_eq!(text(&first, CERTIFICATE), text(&second, CERTIFICATE));
        let moved = install(&two, &none, &names("10.77.0.13")).unwrap();
        assert_eq!((moved.changed, moved.summary.as_str()), (true, "wrote server.crt, peer.crt"));

        let journals = [&first, &second].map(|paths| Journal::new(paths).entries().unwrap());
        let shown = format!("{secrets:?} {journals:?} {:?}", recorder.0.lock().unwrap());
        for secret in [text(&first, KEY), text(&second, "peer.key")] {
            assert!(!shown.contains(secret.lines().nth(1).unwrap()), "{shown}");
        }
    }

    #[test]
    fn certificates_are_renewed_before_their_last_quarter_of_a_year() {
        let root = tempfile::tempdir().unwrap();
        let paths = master(&root);
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let names = names("10.77.0.11");
        ensure(&ctx, &names).unwrap();
        let (authority, key) = (text(&paths, CERTIFICATE), text(&paths, KEY));
        for (days, renewed) in [(89, true), (91, false)] {
            let leaf = Leaf { subject: "x", names: &names, usages: &[ServerAuth], lifetime: days * DAY };
            let pair = issue::leaf(&authority, &key, &leaf).unwrap();
            write(&ctx, "server.key", &pair.key, 0o600).unwrap();
            write(&ctx, "server.crt", &pair.certificate, 0o644).unwrap();
            let outcome = ensure(&ctx, &names).unwrap();
            assert_eq!(outcome.changed, renewed, "{days} days left: {}", outcome.summary);
            assert_eq!(text(&paths, "server.crt") != pair.certificate, renewed);
        }
        assert_eq!(text(&paths, CERTIFICATE), authority);
    }

    #[test]
    fn a_lost_authority_is_not_made_anew_under_a_running_member() {
        let root = tempfile::tempdir().unwrap();
        let paths = master(&root);
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let names = names("10.77.0.11");
        ensure(&ctx, &names).unwrap();
        let place = |name: &str| paths.host(&format!("{FOLDER}/{name}"));
        fs::create_dir_all(paths.host("/etc/kubernetes/manifests")).unwrap();
        fs::write(paths.host(MANIFEST), "x").unwrap();
        fs::remove_file(place(CERTIFICATE)).unwrap();
        let failure = ensure(&ctx, &names).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(failure.message.contains("runs with them"), "{failure}");
        assert!(export(&ctx).is_err());
    }

    #[test]
    fn another_clusters_authority_is_not_overwritten() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, two) = (master(&one), master(&two));
        let recorder = Recorder::default();
        let (one, two) = (Context::new(&one, &recorder, "r", "s"), Context::new(&two, &recorder, "r", "s"));
        ensure(&one, &names("10.77.0.11")).unwrap();
        ensure(&two, &names("10.77.0.12")).unwrap();
        let failure = install(&two, &export(&one).unwrap(), &names("10.77.0.12")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
    }
}
