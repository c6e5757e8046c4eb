//! What went wrong, for people and for the shell: the only place that decides on kind, next step and exit code.

use std::error::Error;
use std::fmt;
use std::path::Path;

use sealift_bundle::delta::DeltaError;
use sealift_bundle::parcel::ParcelWriteError;
use sealift_bundle::recarry::RecarryError;
use sealift_bundle::repair::RepairError;
use sealift_bundle::rotation::RotationError;
use sealift_bundle::split::SplitError;
use sealift_bundle::write::WriteError;
use sealift_bundle::{BundleError, NoteError};

use crate::archive::MemberError;
use crate::build::BuildError;
use crate::cache::CacheError;
use crate::carry::CarryError;
use crate::chart::ChartError;
use crate::closure::Lack;
use crate::compress::CompressError;
use crate::cosign::CosignError;
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
use crate::source::chart::RemoteChartError;
use crate::stored::StoredError;
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

    /// With what to do with the damage list that was written to `file`.
    #[must_use]
    pub fn with_damage_list(mut self, file: &Path) -> Self {
        self.next = Some(format!(
            "send {} to the vendor, who makes a small file from it with `bundle-builder recarry`; `bundle-builder repair` mends this copy with that",
            file.display()
        ));
        self
    }

    /// With what to do when no damage list could be made.
    #[must_use]
    pub fn without_damage_list(mut self) -> Self {
        self.next = Some(
            "no list could be made, since the contents list is damaged, too: copy the bundle again, or ask the vendor for a file made by `bundle-builder recarry` without a list, mend it with that, and verify again"
                .to_owned(),
        );
        self
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
    NoteError => of_note,
    RecarryError => of_recarry,
    DeltaError => of_delta,
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
        SourceError::Read { .. } => usage("put the file there, or correct the recipe"),
        SourceError::Registry(error) => of_registry(error),
        SourceError::Web(error) => of_web(error),
        SourceError::Member(error) => of_member(error),
        SourceError::Stored(error) => of_stored(error),
        SourceError::Chart(error) => of_chart(error),
        SourceError::RemoteChart(error) => of_remote_chart(error),
        SourceError::ImageName(_) => (Kind::Usage, None),
        SourceError::Cache(error) => of_cache(error),
    }
}

fn of_web(error: &RegistryError) -> Advice {
    match error {
        RegistryError::NotFound { .. } => usage("check the URL in the recipe"),
        RegistryError::Denied { .. } => usage(
            "this program logs in to no web server: fetch the file by other means, and name it with `path`",
        ),
        RegistryError::WrongContent { .. } => (
            Kind::Verification,
            Some("compare the recipe's `sha256` with what the file's maker publishes; if that is right, the server gives another file: do not use it".to_owned()),
        ),
        other => of_registry(other),
    }
}

fn of_member(error: &MemberError) -> Advice {
    match error {
        MemberError::Missing { nearest: Some(name), .. } => usage(format!("did you mean `{name}`?")),
        MemberError::Missing { nearest: None, .. } => usage("look at what is in it, e.g. with `tar -tf`"),
        MemberError::Link { .. } => usage("name the file that it leads to as `member`"),
        MemberError::Read { .. } | MemberError::Archive { .. } | MemberError::Zip { .. } => {
            usage("tar (plain, gzip or zstd) and zip are read; fetch the archive again if it is one of these")
        }
        MemberError::TooLarge { .. } => (Kind::Usage, None),
        MemberError::Cache(error) => of_cache(error),
    }
}

fn of_stored(error: &StoredError) -> Advice {
    match error {
        StoredError::NoImage { .. } => usage("say which one with `reference` beside `path`"),
        StoredError::NoBlob { .. } => usage(
            "copy the image there in full, all platforms included; if it was replaced since the lock, renew that with `bundle-builder lock --update IMAGE`",
        ),
        StoredError::WrongContent { .. } => {
            (Kind::Verification, Some("make the layout or archive anew: it is damaged".to_owned()))
        }
        StoredError::Read { .. } | StoredError::Archive { .. } | StoredError::NotOne { .. } => {
            usage("name what e.g. `skopeo copy` or `docker save` wrote, and its kind in `from`")
        }
        StoredError::Cache(error) => of_cache(error),
    }
}

fn of_remote_chart(error: &RemoteChartError) -> Advice {
    match error {
        RemoteChartError::NoChart { nearest: Some(name), .. } => usage(format!("did you mean `{name}`?")),
        RemoteChartError::NoVersion { .. } => usage("correct `version` in the recipe"),
        RemoteChartError::NoChart { .. } | RemoteChartError::Index { .. } => {
            usage("`repository` is the folder of the repository's index.yaml: correct it, or the name")
        }
        RemoteChartError::WrongContent { .. } => (
            Kind::Verification,
            Some("the repository or something before it changes content: do not use it".to_owned()),
        ),
        RemoteChartError::Target { .. }
        | RemoteChartError::NotAChart { .. }
        | RemoteChartError::OtherChart { .. } => {
            usage("correct the chart's entry in the recipe, or take the chart as a file with `path`")
        }
    }
}

fn of_cosign(error: &CosignError) -> Advice {
    let refused = |next: &str| (Kind::Verification, Some(next.to_owned()));
    match error {
        CosignError::Read { .. } | CosignError::Key { .. } => {
            usage("give the signer's public key with `publicKey`, in PEM form")
        }
        CosignError::Missing { .. } => refused(
            "ask the image's maker for its signature, or drop `publicKey`; do not use it unsigned otherwise",
        ),
        CosignError::Malformed { .. } | CosignError::OtherDigest { .. } | CosignError::OtherKey { .. } => {
            refused("compare key and digest with what the image's maker publishes; do not use the image")
        }
        CosignError::Source(error) => of_source(error),
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
        RegistryError::Stopped => (Kind::Internal, None),
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
            "if that is meant, renew it with `bundle-builder lock`, or only an entry with `lock --update NAME`, and look at what changed; a build never does that by itself",
        ),
        LockError::Unknown { nearest: Some(name), .. } => usage(format!("did you mean `{name}`?")),
        LockError::Unknown { .. } => usage("names are those of the recipe's images, charts and files"),
        LockError::Version { .. } => {
            usage("use the bundle-builder that made the lock, or make it anew with `bundle-builder lock`")
        }
        LockError::Platform { .. } => usage(
            "say with `platforms` in the image's entry what it is packed for, or take an image that is made for it",
        ),
        LockError::Manifest { .. } | LockError::ImageName(_) => (Kind::Usage, None),
        LockError::File { source, .. } => of_disk(source),
        LockError::Syntax(error) => of_recipe(error),
        LockError::Source(error) => of_source(error),
        LockError::Cosign(error) => of_cosign(error),
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
        GateError::Charts(_) => (Kind::Usage, None),
        GateError::Profile(error) => of_source(error),
        GateError::Helm(error) => of_helm(error),
        GateError::Cache(error) => of_cache(error),
        GateError::Gaps(gaps) if !gaps.unrendered.is_empty() => {
            usage("correct the chart, the component's values in the recipe, or the profile")
        }
        GateError::Gaps(gaps) if gaps.missing.iter().all(|one| matches!(one.lack, Lack::Absent { .. })) => {
            usage("add these lines to the recipe, then run `bundle-builder lock`")
        }
        GateError::Gaps(_) => usage(
            "add the lines, if any; correct the chart or its values where they name no image or another digest than the lock",
        ),
    }
}

fn of_helm(error: &HelmError) -> Advice {
    match error {
        HelmError::Write { source, .. } => of_disk(source),
        HelmError::Refused { .. } | HelmError::TooSlow { .. } | HelmError::TooMuch { .. } => {
            usage("correct the chart, or the component's values")
        }
        HelmError::Run { .. } => usage(
            "install Helm, or say where it is: `--helm PATH`; charts are rendered to find every image they need",
        ),
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
        BuildError::Pull(PullError::Source(error)) => of_source(error),
        BuildError::Pull(PullError::Cache(error))
        | BuildError::Compress(CompressError::Cache(error))
        | BuildError::Pack(PackError::Cache(error))
        | BuildError::Cache(error) => of_cache(error),
        BuildError::Pull(PullError::Manifest { .. } | PullError::NotAManifest { .. }) => {
            usage("renew the lock with `bundle-builder lock`")
        }
        BuildError::Compress(CompressError::Io { source, .. })
        | BuildError::Write { source, .. }
        | BuildError::Pack(PackError::Write(WriteError::Write { source, .. })) => of_disk(source),
        BuildError::Pack(PackError::Write(_) | PackError::Key(_)) | BuildError::Stopped => {
            (Kind::Internal, None)
        }
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
        BundleError::NotAParcel { .. } => {
            "give the file that `bundle-builder delta` or `bundle-builder recarry` made"
        }
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
        RepairError::Delta { .. } => {
            usage("make the new bundle with `bundle-builder apply`, or give a copy or re-carry file")
        }
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

fn of_note(error: &NoteError) -> Advice {
    match error {
        NoteError::Write { source, .. } => of_disk(source),
        NoteError::Read { .. } => usage("say where the list is"),
        NoteError::Malformed { .. }
        | NoteError::Other { .. }
        | NoteError::TooLarge { .. }
        | NoteError::Digest { .. } => usage(
            "damage lists are made with `verify --damage-list`, inventories with `bundle-builder inventory`",
        ),
    }
}

fn of_recarry(error: &RecarryError) -> Advice {
    match error {
        RecarryError::OtherBundle { .. } => usage("give the very bundle that the site has a copy of"),
        RecarryError::Unknown { .. } => usage("ask the site for the list again"),
        RecarryError::Write(error) => of_parcel(error),
    }
}

fn of_parcel(error: &ParcelWriteError) -> Advice {
    match error {
        ParcelWriteError::Bundle(error) => of_bundle(error),
        ParcelWriteError::Write(error) => of_write(error),
        ParcelWriteError::Exists { .. } => usage("choose another `--out`, or take what is there away"),
    }
}

fn of_write(error: &WriteError) -> Advice {
    match error {
        WriteError::Write { source, .. } | WriteError::Read { source, .. } => of_disk(source),
        _ => (Kind::Internal, None),
    }
}

fn of_delta(error: &DeltaError) -> Advice {
    let refused = |next: &str| (Kind::Verification, Some(next.to_owned()));
    match error {
        DeltaError::Bundle(error @ (BundleError::Truncated { .. } | BundleError::DigestMismatch { .. })) => {
            let (kind, _) = of_bundle(error);
            (kind, Some("copy that file again; nothing was written".to_owned()))
        }
        DeltaError::Bundle(error) => of_bundle(error),
        DeltaError::Write(error) => of_write(error),
        DeltaError::Parcel(error) => of_parcel(error),
        DeltaError::Same { .. } => usage("give two releases"),
        DeltaError::Exists { .. } => usage("choose another `--out`, or take what is there away"),
        DeltaError::Kind { .. } => {
            usage("a re-carry file mends a copy: `bundle-builder repair BUNDLE --from FILE`")
        }
        DeltaError::OtherBase { .. } => {
            usage("give the bundle that it starts from, or ask the vendor for a delta from yours")
        }
        DeltaError::Lacking { .. } | DeltaError::Patch { .. } => {
            refused("copy the delta again; if it fails again, ask the vendor for another one")
        }
        DeltaError::Zstd { .. } => refused(
            "use the bundle-builder of the version that made the delta, or ask the vendor for the whole bundle",
        ),
        DeltaError::Temporary { source, .. } => of_disk(source),
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
        let failure = Failure::from(BuildError::Pull(PullError::Source(error.into())));
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
