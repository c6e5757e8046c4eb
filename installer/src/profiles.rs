//! Profiles from files, judged by what this program knows beyond them: the day, and which checks there are.

use std::path::PathBuf;

use sealift_profile::{Circumstances, Partly, ProfileError, Site};

use crate::failure::{Failure, Kind};

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

/// The site of a profile that may have sections left open, as long as nothing is missing in it: for those who only look.
pub(crate) fn load_for_looking(files: &[PathBuf]) -> Result<Site, Failure> {
    let Partly { open, loaded, .. } = load_partly(files)?;
    let loaded = loaded.ok_or_else(|| {
        let missing = open.iter().flat_map(|section| &section.missing);
        let causes = missing.map(ToString::to_string).collect();
        let failure =
            Failure::new(Kind::Usage, "the profile leaves open what must be known to look at hosts");
        Failure { causes, ..failure }.hint("name the hosts and how they are reached, or start the wizard")
    })?;
    Ok(loaded.site.with_certificates()?)
}

fn circumstances<'a>(checks: &'a [&'a str]) -> Circumstances<'a> {
    Circumstances { checks: Some(checks), ..Circumstances::now() }
}

/// Ids of all checks there are.
pub(crate) fn check_ids() -> Vec<&'static str> {
    sealift_checks::catalogue().iter().map(|check| check.id).collect()
}
