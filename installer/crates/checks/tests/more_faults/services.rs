//! The worlds that make the checks of the site's own services speak up.

use sealift_bundle::services::ServiceKind::{self, Database, Logs, Metrics};
use sealift_checks::State::{Fail, NotRun, Pass, Warn};
use sealift_checks::facts::ServiceStage::{Answer, Login, Reach, Tls};
use sealift_checks::facts::{ServiceStage, ServiceTrouble};
use sealift_profile::{Services, TlsMode};

use crate::world::World;
use crate::{Fault, fault};

/// One host came as far as this.
fn ends(w: &mut World, host: &str, kind: ServiceKind, stage: ServiceStage, problem: &str) {
    let attempt = w.service(host, kind);
    attempt.trouble = Some(ServiceTrouble { stage, problem: problem.to_owned() });
    attempt.version = None;
    if stage <= Tls {
        attempt.tls = None;
    }
    if stage == Reach {
        attempt.micros = None;
    }
}

fn without_services(w: &mut World) {
    w.site.services = Services::default();
    w.every_host(|facts| facts.services = None);
}

const ALL: &str = "m1 m2 m3 w1 w2";

pub(crate) const SERVICES: &[Fault] = &[
    fault("product.services", "one that the product has no use for", Fail, "-", |w| {
        w.document.services.remove(&Metrics);
    }),
    fault("product.services", "none", Pass, "-", without_services),
    fault("service.database.reachable", "a firewall before one host", Fail, "w2", |w| {
        ends(w, "w2", Database, Reach, "no answer: dropped on the way");
    }),
    fault("service.database.reachable", "in another city", Warn, "w1", |w| {
        w.service("w1", Database).micros = Some(18_000);
    }),
    fault("service.database.reachable", "the product brings its own", NotRun, ALL, without_services),
    fault("service.database.reachable", "measured without SSH", NotRun, "w1", |w| {
        w.host("w1").services = None;
    }),
    fault("service.database.tls", "switched off", Fail, "m1", |w| {
        ends(w, "m1", Database, Tls, "the server offers no encryption");
    }),
    fault("service.database.tls", "the profile wants none", Warn, ALL, |w| {
        w.site.services.database.as_mut().unwrap().tls.mode = TlsMode::Disable;
        w.every_host(|facts| facts.services.iter_mut().flatten().for_each(|one| one.tls = None));
    }),
    fault("service.database.tls", "any certificate will do", Pass, ALL, |w| {
        w.site.services.database.as_mut().unwrap().tls.mode = TlsMode::Require;
    }),
    fault("service.database.tls", "not reached", NotRun, "w2", |w| {
        ends(w, "w2", Database, Reach, "refused: nothing listens there");
    }),
    fault("service.database.login", "a wrong password", Fail, "m2", |w| {
        ends(w, "m2", Database, Login, "password authentication failed for user \"orders\" (28P01)");
    }),
    fault("service.database.version", "an old server", Fail, "m1", |w| {
        w.service("m1", Database).version = Some("12.22".into());
    }),
    fault("service.database.version", "a strange version", Warn, "m1", |w| {
        w.service("m1", Database).version = Some("CockroachDB".into());
    }),
    fault("service.database.version", "no limit", Pass, ALL, |w| {
        w.site.services.database.as_mut().unwrap().minimum_version = None;
    }),
    fault("service.logs.reachable", "nothing listens", Fail, "w1", |w| {
        ends(w, "w1", Logs, Reach, "refused: nothing listens there");
    }),
    fault("service.logs.tls", "another authority", Fail, "w1", |w| {
        ends(w, "w1", Logs, Tls, "its certificate is signed by another authority");
    }),
    fault("service.logs.login", "a wrong password", Fail, "w1", |w| {
        ends(w, "w1", Logs, Login, "refuses the login (status 401)");
    }),
    fault("service.logs.version", "something else answers", Fail, "w1", |w| {
        ends(w, "w1", Logs, Answer, "answers with status 404 at /");
    }),
    fault("service.metrics.reachable", "an unknown name", Fail, "w1", |w| {
        ends(w, "w1", Metrics, Reach, "this host finds no address for that name");
    }),
    fault("service.metrics.tls", "not encrypted", Warn, "w1", |w| {
        w.service("w1", Metrics).tls = None;
    }),
    fault("service.metrics.tls", "run out", Fail, "w1", |w| {
        ends(w, "w1", Metrics, Tls, "its certificate has run out, or is not valid yet");
    }),
    fault("service.metrics.login", "wants a login", Fail, "w1", |w| {
        ends(w, "w1", Metrics, Login, "refuses the login (status 401)");
    }),
    fault("service.metrics.version", "it is not well", Fail, "w1", |w| {
        ends(w, "w1", Metrics, Answer, "answers with status 503 at /api/v1/write");
    }),
    fault("service.metrics.version", "says none", Pass, "w1", |w| {
        w.service("w1", Metrics).version = None;
    }),
];
