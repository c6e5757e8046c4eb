//! Advice where something cannot be had from its source: files, archives, web servers, registries, the cache.

use sealift_bundle::digest;

use super::making::of_chart;
use super::{Advice, Kind, usage};
use crate::archive::MemberError;
use crate::cache::CacheError;
use crate::cosign::CosignError;
use crate::referrer::ReferrerError;
use crate::registry::RegistryError;
use crate::source::SourceError;
use crate::source::chart::RemoteChartError;
use crate::stored::StoredError;

pub(super) fn of_source(error: &SourceError) -> Advice {
    match error {
        SourceError::UnknownRoot { root, .. } => usage(format!("give it: `--root {root}=FOLDER`")),
        SourceError::Outside { .. } => {
            usage("paths below a named root hold no `..` and do not start with `/`")
        }
        SourceError::Read { .. } => usage("put the file there, or correct the recipe"),
        SourceError::Registry(error) => of_registry(error),
        SourceError::Web(error) => of_web(error),
        SourceError::Member(error) => of_member(error),
        SourceError::Stored(error) | SourceError::Referrer { source: ReferrerError::Stored(error), .. } => {
            of_stored(error)
        }
        SourceError::Referrer { .. } => usage(
            "ask whoever runs that registry what stands there; or take the image from a registry or layout without it",
        ),
        SourceError::Chart(error) => of_chart(error),
        SourceError::RemoteChart(error) => of_remote_chart(error),
        SourceError::ImageName(_) => (Kind::Usage, None),
        SourceError::Cache(error) => of_cache(error),
    }
}

pub(super) fn of_web(error: &RegistryError) -> Advice {
    match error {
        RegistryError::NotFound { .. } => usage("check the URL in the recipe"),
        RegistryError::Denied { .. } => usage(
            "give a login for that host in ~/.netrc, or in Docker's config.json; over plain HTTP none is sent unless `--plain-http HOST` allows it",
        ),
        RegistryError::WrongContent { .. } => (
            Kind::Verification,
            Some("compare the recipe's `sha256` with what the file's maker publishes; if that is right, the server gives another file: do not use it".to_owned()),
        ),
        other => of_registry(other),
    }
}

pub(super) fn of_member(error: &MemberError) -> Advice {
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

pub(super) fn of_stored(error: &StoredError) -> Advice {
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

pub(super) fn of_remote_chart(error: &RemoteChartError) -> Advice {
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

pub(super) fn of_cosign(error: &CosignError) -> Advice {
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

pub(super) fn of_registry(error: &RegistryError) -> Advice {
    match error {
        // By digest only what is locked is asked for.
        RegistryError::NotFound { what, .. } if what.contains(digest::PREFIX) => usage(
            "if the tag was moved since the lock, and what it named before is gone, renew that entry with `bundle-builder lock --update NAME`; else name a mirror that has it with `--mirrors`",
        ),
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

pub(super) fn of_cache(error: &CacheError) -> Advice {
    match error {
        CacheError::File { source, .. } => of_disk(source),
        CacheError::Digest(_) => (Kind::Usage, None),
        CacheError::Bad { .. } => (
            Kind::Verification,
            Some("remove them with `bundle-builder cache verify --fix`; the next build fetches or makes them again".to_owned()),
        ),
        CacheError::Foreign { .. } => usage("name a new or an empty folder, or the cache of an earlier build"),
        CacheError::Room { .. } => {
            usage("make room, or choose another disk with `--cache` or `--out`; `bundle-builder cache prune` drops what is old")
        }
    }
}

pub(super) fn of_disk(error: &std::io::Error) -> Advice {
    match error.kind() {
        std::io::ErrorKind::StorageFull => {
            usage("make room, or choose another disk with `--cache` or `--out`; what was fetched is kept")
        }
        std::io::ErrorKind::NotFound => usage("make the folder first, or choose another place"),
        std::io::ErrorKind::FileTooLarge => usage(
            "the disk takes no files of this size: choose another one, or cut the bundle with `bundle-builder split --size fat32`",
        ),
        std::io::ErrorKind::PermissionDenied => {
            usage("choose a folder that you may write to, e.g. with `--cache`")
        }
        _ => (Kind::Usage, None),
    }
}
