//! Advice where a bundle, or what is made from one, cannot be used or written.

use sealift_bundle::delta::DeltaError;
use sealift_bundle::parcel::{ParcelKind, ParcelWriteError};
use sealift_bundle::recarry::RecarryError;
use sealift_bundle::repair::RepairError;
use sealift_bundle::rotation::RotationError;
use sealift_bundle::split::SplitError;
use sealift_bundle::write::WriteError;
use sealift_bundle::{BundleError, NoteError};

use super::making::of_target;
use super::sources::of_disk;
use super::{Advice, Kind, usage};
use crate::inspect::extract::ExtractError;
use crate::trust::TrustError;

pub(super) fn of_bundle(error: &BundleError) -> Advice {
    let next = match error {
        BundleError::Open { .. } => return usage("say where the bundle is"),
        BundleError::WrongKey { .. } => {
            "compare the key id with the vendor by phone; a bundle of another key is not used"
        }
        BundleError::NotABundle { .. } => "give the file that `bundle-builder build` made",
        BundleError::Parcel { kind: ParcelKind::Delta, .. } => {
            return usage(
                "make the newer bundle with it: `bundle-builder apply OLD DELTA --out NEW`; or name that",
            );
        }
        BundleError::Parcel { kind: ParcelKind::Recarry, .. } => {
            return usage("mend a damaged copy with it: `bundle-builder repair COPY --from FILE`");
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

pub(super) fn of_public_key(_: &sealift_bundle::KeyError) -> Advice {
    usage("give the public half of the vendor's key, e.g. `--key release.key.pub`")
}

pub(super) fn of_trust(error: &TrustError) -> Advice {
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

pub(super) fn of_split(error: &SplitError) -> Advice {
    match error {
        SplitError::Bundle(error) => of_bundle(error),
        SplitError::InParts { .. } => usage(
            "name the bundle in one file, or join the parts first: `bundle-builder join FIRST --out FILE`",
        ),
        SplitError::InOneFile { .. } => {
            usage("use it as it is; parts are joined by the first one, `NAME.001`")
        }
        SplitError::PartName { .. } => usage("choose another `--out`"),
        SplitError::PartSize { .. } => usage("choose another `--size`"),
        SplitError::Exists { .. } => usage("choose another `--out`, or take what is there away"),
        SplitError::Read { .. } => usage("check the disk that it is on"),
        SplitError::Write { source, .. } => of_disk(source),
    }
}

pub(super) fn of_repair(error: &RepairError) -> Advice {
    match error {
        RepairError::Bundle(error) => of_bundle(error),
        RepairError::Delta { .. } => {
            usage("make the new bundle with `bundle-builder apply`, or give a copy or re-carry file")
        }
        RepairError::OtherBundle { .. } => usage("give another copy of the same bundle with `--from`"),
        RepairError::Recarry { .. } => {
            usage("name the two the other way round: `bundle-builder repair BUNDLE --from FILE`")
        }
        RepairError::NotACopy { .. } => usage(
            "nothing was written: name the damaged copy; one of which nothing is left is copied again, not mended",
        ),
        RepairError::NotInSpare { .. } => (
            Kind::Verification,
            Some("what could be mended is; run it again with one more copy for the rest".to_owned()),
        ),
        RepairError::Write { source, .. } => of_disk(source),
    }
}

pub(super) fn of_note(error: &NoteError) -> Advice {
    match error {
        NoteError::Write { source, .. } => of_disk(source),
        NoteError::Read { .. } => usage("say where the list is"),
        NoteError::Target(error) => of_target(error),
        NoteError::Malformed { .. }
        | NoteError::Other { .. }
        | NoteError::TooLarge { .. }
        | NoteError::Digest { .. } => usage(
            "damage lists are made with `verify --damage-list`, inventories with `bundle-builder inventory`",
        ),
    }
}

pub(super) fn of_recarry(error: &RecarryError) -> Advice {
    match error {
        RecarryError::OtherBundle { .. } => usage("give the very bundle that the site has a copy of"),
        RecarryError::Unknown { .. } => usage("ask the site for the list again"),
        RecarryError::Write(error) => of_parcel(error),
    }
}

pub(super) fn of_parcel(error: &ParcelWriteError) -> Advice {
    match error {
        ParcelWriteError::Bundle(error) => of_bundle(error),
        ParcelWriteError::Write(error) => of_write(error),
        ParcelWriteError::Exists { .. } => usage("choose another `--out`, or take what is there away"),
    }
}

pub(super) fn of_write(error: &WriteError) -> Advice {
    match error {
        WriteError::Write { source, .. } | WriteError::Read { source, .. } => of_disk(source),
        _ => (Kind::Internal, None),
    }
}

pub(super) fn of_delta(error: &DeltaError) -> Advice {
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

pub(super) fn of_extract(error: &ExtractError) -> Advice {
    match error {
        ExtractError::Unknown { nearest: Some(name), .. } => usage(format!("did you mean `{name}`?")),
        ExtractError::Unknown { .. } => usage("look at the names with `bundle-builder ls`"),
        ExtractError::Platforms { whole, .. } => usage(format!("ask for all of it: `{whole}`")),
        ExtractError::Ambiguous { .. } => usage("ask for one of these"),
        ExtractError::Exists { .. } => usage("choose another name, or replace it with `--overwrite`"),
        ExtractError::Bundle(error) => of_bundle(error),
        ExtractError::Content { .. } => (Kind::Verification, Some("copy the bundle again".to_owned())),
        ExtractError::Write { source, .. } => of_disk(source),
    }
}
