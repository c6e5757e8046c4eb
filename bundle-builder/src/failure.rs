//! What went wrong, for people and for the shell: the only place that decides on kind, next step and exit code.

use std::error::Error;
use std::fmt;

use sealift_bundle::BundleError;
use sealift_bundle::repair::RepairError;
use sealift_bundle::rotation::RotationError;
use sealift_bundle::split::SplitError;
use sealift_bundle::write::WriteError;

use crate::build::BuildError;
use crate::cache::CacheError;
use crate::carry::CarryError;
use crate::chart::ChartError;
use crate::compress::CompressError;
use crate::gate::GateError;
use crate::helm::HelmError;
use crate::init::InitError;
use crate::inspect::extract::ExtractError;
use crate::key::KeyError;
use crate::lock::LockError;
use crate::pack::PackError;
use crate::pull::PullError;
use crate::recipe::RecipeError;
use crate::registry::RegistryError;
use crate::source::SourceError;
use crate::trust::TrustError;

/// Kinds of failure; each has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A fault of this program or its libraries.
    Internal,
    /// Something that the caller can mend: usage, recipe, lock, files, registries, disk.
    Usage,
    /// Stopped half-way by a person or the system; the same command goes on.
    Interrupted,
    /// Content is not what it should be.
    Verification,
}

impl Kind {
    /// The exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Interrupted => 4,
            Self::Verification => 5,
        }
    }
}

/// A failure, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind.
    pub kind: Kind,
    /// What, and below it why, one cause per line.
    pub message: String,
    /// What to do now.
    pub next: Option<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "error: {}", self.message)?;
        match &self.next {
            Some(next) => write!(formatter, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}

/// Kind and next step.
type Advice = (Kind, Option<String>);

impl Failure {
    /// A wrong use of the command line.
    #[must_use]
    pub fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into(), next: Some(next.into()) }
    }

    fn new(error: &dyn Error, (kind, next): Advice) -> Self {
        let mut message = error.to_string();
        let mut said = message.clone();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat their cause.
            if !said.contains(&text) {
                message.push_str("\n  because: ");
                message.push_str(&text);
            }
            said = text;
            cause = error.source();
        }
        Self { kind, message, next }
    }
}

macro_rules! failure_from {
    ($($error:ty => $advice:path),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(&error, $advice(&error))
            }
        })*
    };
}

failure_from! {
    RecipeError => of_recipe,
    SourceError => of_source,
    KeyError => of_key,
    CacheError => of_cache,
    RegistryError => of_registry,
    LockError => of_lock,
    BuildError => of_build,
    BundleError => of_bundle,
    sealift_bundle::KeyError => of_public_key,
    TrustError => of_trust,
    ExtractError => of_extract,
    SplitError => of_split,
    RepairError => of_repair,
    CarryError => of_carry,
    HelmError => of_helm,
    InitError => of_init,
}

fn usage(next: impl Into<String>) -> Advice {
    (Kind::Usage, Some(next.into()))
}

fn of_recipe(error: &RecipeError) -> Advice {
    match error {
        RecipeError::Syntax { nearest: Some(name), .. } => usage(format!("did you mean `{name}`?")),
        RecipeError::Read { .. } => usage("say where it is, e.g. `--recipe recipe.yaml`"),
        RecipeError::Syntax { .. } | RecipeError::Findings { .. } => (Kind::Usage, None),
    }
}

fn of_source(error: &SourceError) -> Advice {
    match error {
        SourceError::UnknownRoot { root, .. } => usage(format!("give it: `--root {root}=FOLDER`")),
        SourceError::Outside { .. } => {
            usage("paths below a named root hold no `..` and do not start with `/`")
        }
        SourceError::NotYet { .. } => usage(
            "take it from a registry, or from a file or folder on this machine, until a newer version does it",
        ),
        SourceError::Read { .. } => usage("put the file there, or correct the recipe"),
    }
}

fn of_key(error: &KeyError) -> Advice {
    match error {
        KeyError::Exists { .. } => usage("choose another name; keys are never replaced"),
        KeyError::Readable { path, .. } => usage(format!("`chmod 600 {}`", path.display())),
        KeyError::PasswordNeeded { .. } => {
            usage("run it at a terminal, or give `--password-env NAME` or `--password-file FILE`")
        }
        KeyError::WrongPassword { .. } => usage("try again; nobody can recover a lost password"),
        KeyError::Invalid { .. } => usage("make a key with `bundle-builder keygen --out KEY`"),
        KeyError::File { .. } => (Kind::Usage, None),
        KeyError::Generate { .. } => (Kind::Internal, None),
    }
}

fn of_public_key(_: &sealift_bundle::KeyError) -> Advice {
    usage("give the public half of the vendor's key, e.g. `--key release.key.pub`")
}

fn of_cache(error: &CacheError) -> Advice {
    match error {
        CacheError::File { source, .. } => of_disk(source),
        CacheError::Digest(_) => (Kind::Usage, None),
        CacheError::Bad { .. } => (
            Kind::Verification,
            Some("remove them with `bundle-builder cache verify --fix`; the next build fetches or makes them again".to_owned()),
        ),
        CacheError::Room { .. } => {
            usage("make room, or choose another disk with `--cache` or `--out`; `bundle-builder cache prune` drops what is old")
        }
    }
}

fn of_disk(error: &std::io::Error) -> Advice {
    match error.kind() {
        std::io::ErrorKind::StorageFull => {
            usage("make room, or choose another disk with `--cache` or `--out`; what was fetched is kept")
        }
        std::io::ErrorKind::PermissionDenied => {
            usage("choose a folder that you may write to, e.g. with `--cache`")
        }
        _ => (Kind::Usage, None),
    }
}

fn of_registry(error: &RegistryError) -> Advice {
    match error {
        RegistryError::NotFound { .. } => usage("check the name and tag in the recipe, and `--mirrors`"),
        RegistryError::Denied { .. } => usage(
            "log in with `docker login HOST`, or correct the login in Docker's config.json; or name a mirror with `--mirrors`",
        ),
        RegistryError::Tls { .. } => usage(
            "give the CA that signed its certificate: `--ca FILE`; a registry without TLS needs `--plain-http HOST`",
        ),
        RegistryError::Authority { .. } => usage("name a file with CA certificates in PEM form"),
        RegistryError::Failed { .. } => usage(
            "check the network and `--mirrors`, then run the same command again: it goes on where it stopped",
        ),
        RegistryError::WrongContent { .. } => (
            Kind::Verification,
            Some("the registry or something before it changes content: do not use it".to_owned()),
        ),
        RegistryError::Client { .. } => {
            usage("the system's CA certificates are needed (Debian: `apt-get install ca-certificates`)")
        }
        RegistryError::Cache(error) => of_cache(error),
        RegistryError::Write { source, .. } => of_disk(source),
    }
}

fn of_lock(error: &LockError) -> Advice {
    match error {
        LockError::Missing { .. } => {
            usage("make it with `bundle-builder lock`, and commit it beside the recipe")
        }
        LockError::OtherRecipe { .. } | LockError::OtherContent { .. } => usage(
            "if that is meant, renew it with `bundle-builder lock` and look at what changed; a build never does that by itself",
        ),
        LockError::Version { .. } => {
            usage("use the bundle-builder that made the lock, or make it anew with `bundle-builder lock`")
        }
        LockError::Platform { .. } => {
            usage("drop the platform from `platforms`, or take an image that is made for it")
        }
        LockError::Manifest { .. } | LockError::ImageName(_) => (Kind::Usage, None),
        LockError::File { source, .. } => of_disk(source),
        LockError::Syntax(error) => of_recipe(error),
        LockError::Registry(error) => of_registry(error),
        LockError::Source(error) => of_source(error),
        LockError::Chart(error) => of_chart(error),
        LockError::Cache(error) => of_cache(error),
    }
}

fn of_chart(error: &ChartError) -> Advice {
    match error {
        ChartError::NoMetadata { .. } => {
            usage("name the folder that holds Chart.yaml, or a chart archive (.tgz)")
        }
        ChartError::Special { .. } => usage("replace it by a copy of what it leads to"),
        ChartError::Read { .. } | ChartError::Metadata { .. } | ChartError::TooLarge { .. } => {
            (Kind::Usage, None)
        }
    }
}

fn of_gate(error: &GateError) -> Advice {
    match error {
        GateError::Charts(_) | GateError::NotYaml(_) => (Kind::Usage, None),
        GateError::Helm(error) => of_helm(error),
        GateError::Missing(_) => usage("add them to `images`, then run `bundle-builder lock`"),
    }
}

fn of_helm(error: &HelmError) -> Advice {
    match error {
        HelmError::Run { .. } => usage(
            "install Helm, or say where it is: `--helm PATH`; charts are rendered to find every image they need",
        ),
        HelmError::Render { .. } => usage("correct the chart, or the component's values"),
        HelmError::Write { source, .. } => of_disk(source),
    }
}

fn of_init(error: &InitError) -> Advice {
    match error {
        InitError::NoCharts { .. } => {
            usage("name a folder that holds charts: folders with a Chart.yaml, or archives (.tgz)")
        }
        InitError::TooMany { .. } => usage("name the folder that holds your charts alone"),
        InitError::Read { .. } => usage("check the path"),
        InitError::Exists { .. } => usage("choose another name with `--out`; a recipe is never replaced"),
        InitError::Write { .. } => usage("choose another place with `--out`"),
        InitError::Helm(error) => of_helm(error),
        InitError::Own(_) => (Kind::Internal, None),
    }
}

fn of_build(error: &BuildError) -> Advice {
    match error {
        BuildError::Lock(error) => of_lock(error),
        BuildError::Gate(error) => of_gate(error),
        BuildError::Pull(PullError::Registry(error)) => of_registry(error),
        BuildError::Pull(PullError::Cache(error))
        | BuildError::Compress(CompressError::Cache(error))
        | BuildError::Pack(PackError::Cache(error))
        | BuildError::Cache(error) => of_cache(error),
        BuildError::Pull(
            PullError::Manifest { .. } | PullError::NotAManifest { .. } | PullError::ImageName(_),
        ) => usage("renew the lock with `bundle-builder lock`"),
        BuildError::Compress(CompressError::Io { source, .. })
        | BuildError::Write { source, .. }
        | BuildError::Pack(PackError::Write(WriteError::Write { source, .. })) => of_disk(source),
        BuildError::Compress(CompressError::Changed { .. }) => {
            usage("run it again when nobody changes the file")
        }
        BuildError::Pack(PackError::Write(_)) => (Kind::Internal, None),
        BuildError::DamagedCache { .. } => (
            Kind::Verification,
            Some("run the same command again: it fetches or makes that blob anew".to_owned()),
        ),
        BuildError::Verify { source } => (
            Kind::Verification,
            of_bundle(source)
                .1
                .or_else(|| Some("check the disk, then run it again; nothing was written".to_owned())),
        ),
    }
}

fn of_bundle(error: &BundleError) -> Advice {
    let next = match error {
        BundleError::Open { .. } => return usage("say where the bundle is"),
        BundleError::WrongKey { .. } => {
            "compare the key id with the vendor by phone; a bundle of another key is not used"
        }
        BundleError::NewerFormat { .. } => "use a newer bundle-builder",
        BundleError::MissingPart { .. } => "put the part beside the others",
        BundleError::SwappedPart { .. } => "give the parts their names back, or copy them again",
        BundleError::ForeignPart { .. } => "take it away, or copy the bundle's own part there",
        BundleError::Truncated { .. }
        | BundleError::ShortPart { .. }
        | BundleError::Damaged { .. }
        | BundleError::DigestMismatch { .. } => {
            "copy it again, or mend it from another copy with `bundle-builder repair`"
        }
        _ => return (Kind::Verification, None),
    };
    (Kind::Verification, Some(next.to_owned()))
}

fn of_trust(error: &TrustError) -> Advice {
    let refused = |next: &str| (Kind::Verification, Some(next.to_owned()));
    match error {
        TrustError::Key(error) => of_public_key(error),
        TrustError::Bundle(error) => of_bundle(error),
        TrustError::Rollback { serial, .. } => refused(&format!(
            "use the newest bundle; if going back is meant, say so with `--minimum-serial {serial}`"
        )),
        TrustError::Rotation(error) => match error {
            RotationError::Read { .. } => {
                usage("give the statement that the vendor sent, e.g. `--rotation new.rotation`")
            }
            RotationError::SameKey { .. } => usage("name two keys"),
            RotationError::TooMany { .. } => {
                usage("give the newest key with `--key`, and only what follows it")
            }
            RotationError::Newer { .. } => refused("use a newer bundle-builder"),
            RotationError::Malformed { .. } | RotationError::Forged { .. } => {
                refused("ask the vendor for the statement again; do not trust the key that this one names")
            }
            RotationError::NotTrusted { .. } => refused(
                "give the statements for every key in between, or compare the new key's fingerprint by phone",
            ),
        },
    }
}

fn of_split(error: &SplitError) -> Advice {
    match error {
        SplitError::Bundle(error) => of_bundle(error),
        SplitError::PartSize { .. } => usage("choose another `--size`"),
        SplitError::Exists { .. } => usage("choose another `--out`, or take what is there away"),
        SplitError::Read { .. } => usage("check the disk that it is on"),
        SplitError::Write { source, .. } => of_disk(source),
    }
}

fn of_repair(error: &RepairError) -> Advice {
    match error {
        RepairError::Bundle(error) => of_bundle(error),
        RepairError::OtherBundle { .. } => usage("give another copy of the same bundle with `--from`"),
        RepairError::NotInSpare { .. } => (
            Kind::Verification,
            Some("what could be mended is; run it again with one more copy for the rest".to_owned()),
        ),
        RepairError::Write { source, .. } => of_disk(source),
    }
}

fn of_carry(error: &CarryError) -> Advice {
    match error {
        CarryError::Platform { nearest, .. } => usage(format!("did you mean `{nearest}`?")),
        CarryError::Twice { .. } => usage("name one"),
        CarryError::NoInstaller { platform } => {
            usage(format!("give the one that was made for it: `--installer {platform}=PATH`"))
        }
        CarryError::Installer { .. } => usage("give the installer of that platform as it was released"),
        CarryError::Foreign { .. } => {
            usage("name a new folder: only a folder that this program wrote is replaced, and only whole")
        }
        CarryError::NoFolder { .. } => usage("name a new folder"),
        CarryError::TopFolder { folder } => {
            usage(format!("name a folder in it, e.g. {}", folder.join("orders-4.2.0").display()))
        }
        CarryError::InParts { .. } => {
            usage("join it first with `bundle-builder join`; `--split SIZE` cuts it again on its way")
        }
        CarryError::Split(error) => of_split(error),
        CarryError::Room(_) => usage("make room on that disk, or take a larger one"),
        CarryError::Read { .. } => usage("check the path, and the disk that it is on"),
        CarryError::Write { source, .. } if source.kind() == std::io::ErrorKind::FileTooLarge => {
            usage("the disk takes no files of this size: cut the bundle, e.g. with `--split 4GB`")
        }
        CarryError::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            usage("make room on that disk, or take a larger one")
        }
        CarryError::Write { .. } => usage("check the disk, or choose another folder"),
    }
}

fn of_extract(error: &ExtractError) -> Advice {
    match error {
        ExtractError::Unknown { nearest: Some(name), .. } => usage(format!("did you mean `{name}`?")),
        ExtractError::Unknown { .. } => usage("look at the names with `bundle-builder ls`"),
        ExtractError::Ambiguous { .. } => usage("ask for one of these"),
        ExtractError::Exists { .. } => usage("choose another name, or replace it with `--overwrite`"),
        ExtractError::Bundle(error) => of_bundle(error),
        ExtractError::Content { .. } => (Kind::Verification, Some("copy the bundle again".to_owned())),
        ExtractError::Write { source, .. } => of_disk(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_what_why_and_what_next() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = CacheError::File { action: "write", path: "/cache/x".into(), source };
        let failure = Failure::from(BuildError::from(error));
        assert_eq!(failure.kind, Kind::Usage);
        let lines: Vec<String> = failure.to_string().lines().map(ToOwned::to_owned).collect();
        assert_eq!(lines[0], "error: cannot write /cache/x");
        assert!(lines[1].starts_with("  because: "), "{lines:?}");
        assert!(lines[2].starts_with("  next: make room"), "{lines:?}");
    }

    #[test]
    fn wrong_content_is_a_verification_failure() {
        let error = RegistryError::WrongContent {
            registry: "ghcr.io".into(),
            what: "blob x".into(),
            expected: "sha256:a".into(),
            got: "sha256:b".into(),
        };
        let failure = Failure::from(BuildError::Pull(PullError::Registry(error)));
        assert_eq!(failure.kind.exit_code(), 5);
    }

    #[test]
    fn causes_are_not_said_twice() {
        let error = LockError::Syntax(RecipeError::Read {
            path: "lock".into(),
            source: std::io::Error::other("why"),
        });
        assert_eq!(Failure::from(error).message, "cannot read lock\n  because: why");
    }
}
