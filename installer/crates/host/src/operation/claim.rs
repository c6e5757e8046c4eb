//! Marks the host as part of a site, before anything else changes.

use sealift_checks::facts::Claim;

use crate::context::Context;
use crate::file;
use crate::paths::Paths;
use crate::protocol::{Failure, FailureKind, Outcome};

/// The claim on this host, if there is one.
pub(crate) fn read(paths: &Paths) -> Result<Option<Claim>, Failure> {
    let path = paths.claim();
    let Some(text) = file::read_if_exists(&path)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Failure::new(FailureKind::Conflict, format!("{} cannot be understood", path.display()))
            .because(&error)
    })
}

pub(crate) fn apply(ctx: &Context<'_>, site: &str, host: &str) -> Result<Outcome, Failure> {
    let wanted = Claim { site: site.to_owned(), host: host.to_owned() };
    match read(ctx.paths())? {
        Some(claim) if claim == wanted => {
            Ok(Outcome::new(false, format!("belongs to {site} as {host} already")))
        }
        Some(claim) => Err(Failure::new(
            FailureKind::Conflict,
            format!(
                "this host belongs to the site {} as {}, not to {site} as {host}",
                claim.site, claim.host
            ),
        )
        .hint("check the host's address in the profile; a host changes its site by a reset only")),
        None => {
            let text =
                serde_json::to_vec_pretty(&wanted).map_err(|error| Failure::other(error.to_string()))?;
            ctx.write_file("/var/lib/sealift/host.json", &text, 0o644)?;
            Ok(Outcome::new(true, format!("claimed for {site} as {host}")))
        }
    }
}
