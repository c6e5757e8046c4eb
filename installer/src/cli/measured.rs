//! Machines for `installer size` as they were measured: from facts files, or by looking at the hosts of the profile.

use std::path::PathBuf;

use sealift_checks::given_host;
use sealift_profile::Site;
use sealift_sizing::GivenHost;
use serde_json::json;

use super::prepare::probe_options;
use crate::facts_files;
use crate::failure::{Failure, Kind};
use crate::output::{Output, counted};
use crate::sessions::{Sessions, own_program};
use crate::site::OpenSite;

/// Machines of facts files; with a profile, its names and roles count, and every file must be of one of its hosts.
pub(super) fn from_files(files: &[PathBuf], site: Option<&Site>) -> Result<Vec<GivenHost>, Failure> {
    let files = facts_files::read(files)?;
    let Some(site) = site else {
        let host =
            |record: &sealift_checks::Record| given_host(&record.facts.hostname, record.role, &record.facts);
        return Ok(files.iter().map(|file| host(&file.record)).collect());
    };
    let (facts, _) = facts_files::of_site(site, files)?;
    let hosts = site.hosts.iter();
    Ok(hosts
        .filter_map(|host| Some(given_host(&host.name, Some(host.role), facts.get(&host.name)?)))
        .collect())
}

/// Machines of the profile, asked over the network; nothing is changed on them.
pub(super) fn by_looking(profiles: &[PathBuf], output: Output) -> Result<Vec<GivenHost>, Failure> {
    if profiles.is_empty() {
        let failure = Failure::new(Kind::Usage, "without a profile nobody knows which hosts to look at");
        return Err(failure.hint("give `--profile FILE`, or facts files with `--facts`"));
    }
    let site = OpenSite::load(profiles, output)?;
    let sessions = Sessions::new(site.targets(), own_program()?);
    let facts = sessions.probe(&probe_options(&site.site.etcd));
    sessions.close();
    let facts = facts?;
    output.line(
        "look",
        &format!("{} measured", counted(facts.len(), "host")),
        &json!({"hosts": facts.len()}),
    );
    let hosts = site.site.hosts.iter();
    Ok(hosts
        .filter_map(|host| Some(given_host(&host.name, Some(host.role), facts.get(&host.name)?)))
        .collect())
}
