//! What an API server reads, put in place before there is one; and the key that it encrypts with.
//!
//! But for the files that it reads anew, an API server knows its choices from its start. One that runs with others than
//! the profile has is left as it is and the step refused: nobody restarts all API servers of a site unasked, and secrets
//! that were written without encryption would stay as they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sealift_plan::operation::{ApiServerSpec, FileSpec};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{changed, unchanged};
use crate::context::Context;
use crate::file;
use crate::operation::directories;
use crate::protocol::{Failure, FailureKind, Outcome, SecretFile, SecretFiles};

const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const ENCRYPTION: &str = "/etc/sealift/api/encryption.json";
const ENCRYPTION_NAME: &str = "encryption.json";
/// Length of a key for `XSalsa20` and `Poly1305`, bytes.
const KEY_BYTES: usize = 32;
/// The key's name; it stands before everything that was encrypted with it.
const KEY_NAME: &str = "key1";

/// Writes what the API server reads.
pub(super) fn prepare(ctx: &Context<'_>, spec: &ApiServerSpec) -> Result<Outcome, Failure> {
    if let Some(manifest) = file::read_text_if_exists(&ctx.paths().host(MANIFEST))? {
        let differences = differences(ctx, &manifest, spec)?;
        if !differences.is_empty() {
            return Err(refusal(differences));
        }
    }
    let (mut folders, mut files, mut reloaded) = (0, 0, 0);
    for directory in &spec.directories {
        folders += usize::from(directories::ensure(ctx, directory)?);
    }
    let write = |file: &FileSpec| ctx.write_file(&file.path, file.content.as_bytes(), file.mode);
    for file in &spec.files {
        files += usize::from(write(file)?);
    }
    for file in &spec.reloaded_files {
        reloaded += usize::from(write(file)?);
    }
    Ok(match folders + files + reloaded {
        0 => unchanged("as chosen"),
        _ => changed(format!("wrote {} files", files + reloaded)),
    })
}

fn refusal(differences: Vec<String>) -> Failure {
    let message = "the API server of this master was set up with other choices; it stays as it is";
    let failure = Failure::new(FailureKind::Conflict, message);
    let failure = differences.into_iter().fold(failure, Failure::cause);
    failure.hint(
        "what stands under `api:` and `etcd:` in the profile is chosen when a cluster is installed, but for `oidc` where that was there from the start: write it as it was",
    )
}

/// In what a running API server differs from the choices, in words.
fn differences(ctx: &Context<'_>, manifest: &str, spec: &ApiServerSpec) -> Result<Vec<String>, Failure> {
    let given = arguments(manifest);
    let said =
        |value: Option<&str>| value.map_or_else(|| "not given".to_owned(), |value| format!("`{value}`"));
    let mut found = Vec::new();
    for (name, wanted) in &spec.arguments {
        let (is, wanted) = (given.get(name.as_str()).copied(), wanted.as_deref());
        if is != wanted {
            found.push(format!(
                "its argument --{name} is {}, the profile comes to {}",
                said(is),
                said(wanted)
            ));
        }
    }
    for file in &spec.files {
        // One that is missing was lost, and comes back.
        let standing = file::read_if_exists(&ctx.paths().host(&file.path))?;
        if standing.is_some_and(|standing| standing != file.content.as_bytes()) {
            found.push(format!("{} holds something else than the profile comes to", file.path));
        }
    }
    Ok(found)
}

/// The arguments in a static pod's manifest as kubeadm writes it, one to a line.
pub(super) fn arguments(manifest: &str) -> BTreeMap<&str, &str> {
    let lines = manifest.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let texts = lines.map(|line| line.trim_matches(['\'', '"']));
    texts.filter_map(|text| text.strip_prefix("--")?.split_once('=')).collect()
}

/// `EncryptionConfiguration`, as far as we write it (Kubernetes, "Encrypting Confidential Data at Rest").
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    api_version: String,
    kind: String,
    resources: Vec<Encrypted>,
}

#[derive(Serialize, Deserialize)]
struct Encrypted {
    resources: Vec<String>,
    providers: Vec<Provider>,
}

/// `secretbox` and not `aescbc`, which that page advises against (padding oracles), nor `aesgcm`, whose key must be
/// changed after so many writes; a KMS is one more thing that must be up. Then what was not encrypted.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Provider {
    Secretbox { keys: Vec<Key> },
    Identity {},
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Key {
    name: String,
    secret: String,
}

/// Makes the key where there is none.
pub(super) fn ensure_key(ctx: &Context<'_>, resources: &[String]) -> Result<Outcome, Failure> {
    let place = ctx.paths().host(ENCRYPTION);
    if let Some(text) = file::read_if_exists(&place)?.map(Zeroizing::new) {
        let standing: Configuration = serde_json::from_slice(&text).map_err(|error| {
            // Serde's words could repeat a part of the key.
            let at = format!("line {}, column {}", error.line(), error.column());
            Failure::new(FailureKind::Conflict, format!("{ENCRYPTION} cannot be read ({at})"))
                .hint("put it back from another master, where the same file stands")
        })?;
        let encrypted: Vec<&String> = standing.resources.iter().flat_map(|one| &one.resources).collect();
        if encrypted.into_iter().eq(resources) {
            // Its mode may have been loosened.
            let tightened = ctx.write_file(ENCRYPTION, &text, 0o600)?;
            return Ok(Outcome { changed: tightened, ..unchanged("the key is there") });
        }
        return Err(Failure::new(
            FailureKind::Conflict,
            format!("{ENCRYPTION} encrypts something else than {}", resources.join(", ")),
        )
        .hint(
            "what is encrypted is chosen when a cluster is installed: write `api.encryptionAtRest` as it was",
        ));
    }
    if file::read_if_exists(&ctx.paths().host(MANIFEST))?.is_some() {
        return Err(Failure::new(
            FailureKind::Conflict,
            format!("{ENCRYPTION} is gone, and the API server needs it"),
        )
        .hint(
            "put it back from another master, where the same file stands; a new key could read no secret",
        ));
    }
    let key = Key { name: KEY_NAME.to_owned(), secret: random_key()? };
    let configuration = Configuration {
        api_version: "apiserver.config.k8s.io/v1".to_owned(),
        kind: "EncryptionConfiguration".to_owned(),
        resources: vec![Encrypted {
            resources: resources.to_vec(),
            providers: vec![Provider::Secretbox { keys: vec![key] }, Provider::Identity {}],
        }],
    };
    let text = serde_json::to_vec_pretty(&configuration).map(Zeroizing::new);
    let text =
        text.map_err(|error| Failure::other("cannot write the encryption configuration").because(&error))?;
    ctx.write_file(ENCRYPTION, &text, 0o600)?;
    Ok(changed(format!("made the key for {}", resources.join(", "))))
}

fn random_key() -> Result<String, Failure> {
    let path = Path::new("/dev/urandom");
    let mut key = Zeroizing::new([0u8; KEY_BYTES]);
    let read = File::open(path).and_then(|mut source| source.read_exact(key.as_mut()));
    read.map_err(|error| Failure::io("read", path, &error))?;
    Ok(STANDARD.encode(*key))
}

/// Takes the key over from the first master.
pub(super) fn install_key(ctx: &Context<'_>, secrets: &SecretFiles) -> Result<Outcome, Failure> {
    let standing = file::read_if_exists(&ctx.paths().host(ENCRYPTION))?.map(Zeroizing::new);
    if let Some(standing) = &standing
        && file::read_if_exists(&ctx.paths().host(MANIFEST))?.is_some()
    {
        let tightened = ctx.write_file(ENCRYPTION, standing, 0o600)?;
        return Ok(Outcome { changed: tightened, ..unchanged("the key is there") });
    }
    let Some(given) = secrets.0.iter().find(|secret| secret.name == ENCRYPTION_NAME) else {
        return Err(Failure::new(FailureKind::NeedsSecrets, "this step needs the encryption key"));
    };
    let changed = ctx.write_file(ENCRYPTION, given.content.as_bytes(), 0o600)?;
    Ok(Outcome { changed, ..unchanged("the first master's key") })
}

/// Hands the key out.
pub(super) fn export_key(ctx: &Context<'_>) -> Result<SecretFiles, Failure> {
    let content = file::read_text_if_exists(&ctx.paths().host(ENCRYPTION))?
        .ok_or_else(|| Failure::new(FailureKind::Conflict, format!("{ENCRYPTION} is not on this master")))?;
    Ok(SecretFiles(vec![SecretFile { name: ENCRYPTION_NAME.to_owned(), content }]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use sealift_plan::operation::DirectorySpec;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::journal::Journal;
    use crate::paths::Paths;

    const RUNNING: &str = "spec:\n  containers:\n  - command:\n    - kube-apiserver\n    - --advertise-address=10.77.0.11\n    - --audit-log-maxage=30\n    - '--tls-min-version=VersionTLS12'\n";

    fn put(paths: &Paths, path: &str, content: &str) {
        let place = paths.host(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    fn spec(root: &Path) -> ApiServerSpec {
        let owner = fs::metadata(root).unwrap();
        let file = |name: &str, content: &str| FileSpec {
            path: format!("/etc/sealift/api/{name}"),
            mode: 0o600,
            content: content.to_owned(),
        };
        let argument = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        ApiServerSpec {
            directories: vec![DirectorySpec {
                path: "/etc/sealift/api".to_owned(),
                mode: 0o700,
                uid: owner.uid(),
                gid: owner.gid(),
            }],
            files: vec![file("audit-policy.yaml", "policy")],
            reloaded_files: vec![file("authentication.yaml", "issuer")],
            arguments: BTreeMap::from([
                argument("audit-log-maxage", Some("30")),
                argument("tls-min-version", Some("VersionTLS12")),
                argument("profiling", None),
            ]),
        }
    }

    #[test]
    fn files_stand_before_the_api_server_and_a_second_run_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let mut spec = spec(root.path());
        assert!(prepare(&ctx, &spec).unwrap().changed);
        let folder = fs::metadata(paths.host("/etc/sealift/api")).unwrap();
        assert_eq!(folder.mode() & 0o777, 0o700);
        put(&paths, MANIFEST, RUNNING);
        assert!(!prepare(&ctx, &spec).unwrap().changed);

        // A running API server reads this one anew.
        spec.reloaded_files[0].content = "another issuer".to_owned();
        assert!(prepare(&ctx, &spec).unwrap().changed);
        // One that was lost comes back.
        fs::remove_file(paths.host("/etc/sealift/api/audit-policy.yaml")).unwrap();
        assert!(prepare(&ctx, &spec).unwrap().changed);
    }

    #[test]
    fn other_choices_of_a_running_api_server_are_refused_all_at_once() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let mut spec = spec(root.path());
        prepare(&ctx, &spec).unwrap();
        put(&paths, MANIFEST, RUNNING);
        spec.arguments.insert("audit-log-maxage".to_owned(), Some("60".to_owned()));
        spec.arguments.insert("tls-min-version".to_owned(), None);
        spec.arguments.insert("profiling".to_owned(), Some("false".to_owned()));
        spec.files[0].content = "another policy".to_owned();
        spec.reloaded_files[0].content = "another issuer".to_owned();
        let failure = prepare(&ctx, &spec).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert_eq!(failure.causes.len(), 4, "{failure:?}");
        assert!(failure.causes[0].contains("`30`, the profile comes to `60`"), "{failure:?}");
        let kept = fs::read_to_string(paths.host("/etc/sealift/api/authentication.yaml")).unwrap();
        assert_eq!(kept, "issuer", "nothing is half changed");
    }

    #[test]
    fn the_key_is_made_once_shared_and_shown_nowhere() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (first, second) = (Paths::below(first.path()), Paths::below(second.path()));
        let recorder = Recorder::default();
        let (one, two) =
            (Context::new(&first, &recorder, "r", "s"), Context::new(&second, &recorder, "r", "s"));
        let secrets = ["secrets".to_owned()];
        let said = ensure_key(&one, &secrets).unwrap();
        assert!(said.changed);
        let place = first.host(ENCRYPTION);
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&place).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let providers = &value["resources"][0]["providers"];
        assert_eq!(providers[1], serde_json::json!({"identity": {}}));
        let key = providers[0]["secretbox"]["keys"][0]["secret"].as_str().unwrap();
        assert_eq!(STANDARD.decode(key).unwrap().len(), KEY_BYTES);

        assert!(!ensure_key(&one, &secrets).unwrap().changed);
        assert_eq!(fs::read_to_string(&place).unwrap(), text, "a second run keeps the key");
        let both = ["secrets".to_owned(), "configmaps".to_owned()];
        assert_eq!(ensure_key(&one, &both).unwrap_err().kind, FailureKind::Conflict);

        assert_eq!(install_key(&two, &SecretFiles::default()).unwrap_err().kind, FailureKind::NeedsSecrets);
        let exported = export_key(&one).unwrap();
        assert!(install_key(&two, &exported).unwrap().changed);
        assert!(!install_key(&two, &exported).unwrap().changed);
        assert_eq!(fs::read_to_string(second.host(ENCRYPTION)).unwrap(), text);
        put(&second, MANIFEST, RUNNING);
        assert!(!install_key(&two, &SecretFiles::default()).unwrap().changed);

        let journals = [&first, &second].map(|paths| Journal::new(paths).entries().unwrap());
        let shown = format!("{said:?} {exported:?} {journals:?} {:?}", recorder.0.lock().unwrap());
        assert!(!shown.contains(key), "{shown}");
    }

    #[test]
    fn a_lost_or_broken_key_is_not_made_anew() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        put(&paths, MANIFEST, RUNNING);
        let failure = ensure_key(&ctx, &["secrets".to_owned()]).unwrap_err();
        assert!(failure.message.contains("is gone"), "{failure}");
        assert!(export_key(&ctx).is_err());
        put(&paths, ENCRYPTION, "{\"canary\": ");
        let failure = ensure_key(&ctx, &["secrets".to_owned()]).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(!format!("{failure:?}").contains("canary"));
    }
}
