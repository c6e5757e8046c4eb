//! Advice where no bundle, key, lock or folder for a disk comes about.

use std::io::ErrorKind;

use sealift_bundle::output::target::TargetError;

use super::bundles::{of_bundle, of_split, of_write};
use super::sources::{of_cache, of_cosign, of_disk, of_source};
use super::{Advice, Kind, usage};
use crate::build::BuildError;
use crate::carry::CarryError;
use crate::chart::ChartError;
use crate::closure::Lack;
use crate::compress::CompressError;
use crate::gate::GateError;
use crate::helm::HelmError;
use crate::init::InitError;
use crate::key::KeyError;
use crate::lock::LockError;
use crate::pack::PackError;
use crate::pull::PullError;
use crate::recipe::RecipeError;

pub(super) fn of_recipe(error: &RecipeError) -> Advice {
    match error {
        RecipeError::Syntax { nearest: Some(name), .. } => usage(format!("did you mean `{name}`?")),
        RecipeError::Read { source, .. } => usage(match source.kind() {
            ErrorKind::InvalidData => "save it as UTF-8 text",
            ErrorKind::NotFound => "say where it is, e.g. `--recipe recipe.yaml`",
            _ => "name a file that you may read, e.g. `--recipe recipe.yaml`",
        }),
        RecipeError::Syntax { .. } | RecipeError::Findings { .. } => (Kind::Usage, None),
    }
}

pub(super) fn of_target(error: &TargetError) -> Advice {
    match error {
        TargetError::Special { kind: "a folder", .. } => usage("name a file, e.g. one in it"),
        TargetError::Special { .. } => usage("name a regular file, or a new one"),
        TargetError::Input { .. } => usage("choose another name"),
        TargetError::Foreign { .. } | TargetError::Unread { .. } => {
            usage("choose another name, or remove what is there if nobody needs it")
        }
    }
}

pub(super) fn of_init(error: &InitError) -> Advice {
    match error {
        InitError::NoCharts { .. } => {
            usage("name a folder that holds charts: folders with a Chart.yaml, or archives (.tgz)")
        }
        InitError::NoArchive { .. } => {
            usage("name a folder of charts, or an archive that `helm package` made (NAME-VERSION.tgz)")
        }
        InitError::TooMany { .. } => usage("name the folder that holds your charts alone"),
        InitError::Read { .. } => usage("check the path"),
        InitError::Exists { .. } => usage("choose another name with `--out`; a recipe is never replaced"),
        InitError::Write { .. } => usage("choose another place with `--out`"),
        InitError::Helm(error) => of_helm(error),
        InitError::Own(_) => (Kind::Internal, None),
    }
}

pub(super) fn of_key(error: &KeyError) -> Advice {
    match error {
        KeyError::Exists { .. } => usage("choose another name; keys are never replaced"),
        KeyError::Readable { path, .. } => usage(format!("`chmod 600 {}`", path.display())),
        KeyError::PasswordNeeded { .. } => {
            usage("run it at a terminal, or give `--password-env NAME` or `--password-file FILE`")
        }
        KeyError::WrongPassword { .. } => usage("try again; nobody can recover a lost password"),
        KeyError::Public { path } => usage(match path.extension() {
            Some(end) if end == "pub" => {
                format!("name the secret half, e.g. {}", path.with_extension("").display())
            }
            _ => "name the file of the secret half".to_owned(),
        }),
        KeyError::Invalid { .. } => usage("make a key with `bundle-builder keygen --out KEY`"),
        KeyError::File { action: "read", .. } => {
            usage("say where the key is; `bundle-builder keygen --out KEY` makes one")
        }
        KeyError::File { source, .. } => of_disk(source),
        KeyError::Generate { .. } => (Kind::Internal, None),
    }
}

pub(super) fn of_lock(error: &LockError) -> Advice {
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

pub(super) fn of_chart(error: &ChartError) -> Advice {
    match error {
        ChartError::NoMetadata { .. } => {
            usage("name the folder that holds Chart.yaml, or a chart archive (.tgz)")
        }
        ChartError::Special { .. } => usage("replace it by a copy of what it leads to"),
        ChartError::Incomplete { .. } => {
            usage("Helm wants both there, e.g. `name: orders` and `version: 1.0.0`")
        }
        ChartError::Archive { .. } => {
            usage("make the archive with `helm package`, or ask whoever made it for another one")
        }
        ChartError::Read { .. } | ChartError::Metadata { .. } | ChartError::TooLarge { .. } => {
            (Kind::Usage, None)
        }
    }
}

pub(super) fn of_gate(error: &GateError) -> Advice {
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

pub(super) fn of_helm(error: &HelmError) -> Advice {
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

pub(super) fn of_build(error: &BuildError) -> Advice {
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
        BuildError::Compress(CompressError::Io { source, .. }) | BuildError::Write { source, .. } => {
            of_disk(source)
        }
        BuildError::Pack(PackError::Write(error)) => of_write(error),
        BuildError::Pack(PackError::Key(_)) | BuildError::Stopped => (Kind::Internal, None),
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

pub(super) fn of_carry(error: &CarryError) -> Advice {
    match error {
        CarryError::Platform { nearest: Some(name), .. } => usage(format!("did you mean `{name}`?")),
        CarryError::Platform { known, .. } => {
            usage(format!("installers are made for {}", known.join(" and ")))
        }
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
            usage("the disk takes no files of this size: cut the bundle, e.g. with `--split fat32`")
        }
        CarryError::Write { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
            usage("make room on that disk, or take a larger one")
        }
        CarryError::Write { .. } => usage("check the disk, or choose another folder"),
    }
}
