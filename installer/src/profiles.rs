//! Profiles from files, judged by what this program knows beyond them: the day, and which checks there are.

use std::path::PathBuf;

use sealift_profile::{Circumstances, Partly, ProfileError, Site};

/// A profile that can run unattended: a section that is left open is an error. With the texts of its certificates.
pub(crate) fn load(files: &[PathBuf]) -> Result<Site, ProfileError> {
    let checks = check_ids();
    let loaded = sealift_profile::load_with_places(files, &circumstances(&checks));
    loaded.and_then(|loaded| loaded.site.with_certificates())
}

/// A profile that may have sections left open.
pub(crate) fn load_partly(files: &[PathBuf]) -> Result<Partly, ProfileError> {
    let checks = check_ids();
    sealift_profile::load_partly(files, &circumstances(&checks))
}

fn circumstances<'a>(checks: &'a [&'a str]) -> Circumstances<'a> {
    Circumstances { checks: Some(checks), ..Circumstances::now() }
}

fn check_ids() -> Vec<&'static str> {
    sealift_checks::catalogue().iter().map(|check| check.id).collect()
}
