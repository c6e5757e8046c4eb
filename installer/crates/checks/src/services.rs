//! Which services the site runs itself.

use std::collections::BTreeSet;

use sealift_bundle::services::ServiceKind;
use sealift_profile::Site;

/// The services that the profile names: what the product would bring in their place is left out.
#[must_use]
pub fn services_of(site: &Site) -> BTreeSet<ServiceKind> {
    let services = &site.services;
    let named = |kind: &ServiceKind| match kind {
        ServiceKind::Database => services.database.is_some(),
        ServiceKind::Logs => services.logs.is_some(),
        ServiceKind::Metrics => services.metrics.is_some(),
    };
    ServiceKind::ALL.into_iter().filter(named).collect()
}
