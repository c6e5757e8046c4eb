//! Services that are reached by HTTP: whether they answer, let us in, and say which version they are.

use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sealift_bundle::services::ServiceKind;
use sealift_checks::facts::{ServiceAttempt, ServiceStage, ServiceTrouble};
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use super::{Encryption, LONGEST, PATIENCE, ServiceTarget, tls, trouble};

/// Patience with one question and its whole answer.
const WHOLE: Duration = Duration::from_secs(5);

/// An answer, as far as it matters.
struct Answer {
    status: u16,
    body: Value,
}

/// Encryption, login and answer; `attempt` learns what was found.
pub(super) fn walk(
    stream: TcpStream,
    target: &ServiceTarget,
    url: &str,
    password: Option<&str>,
    attempt: &mut ServiceAttempt,
) -> Result<(), ServiceTrouble> {
    if target.encryption != Encryption::None {
        let (_, version) = tls::handshake(stream, target)?;
        attempt.tls = Some(version);
    }
    let client = client(&target.encryption).map_err(|problem| trouble(ServiceStage::Tls, problem))?;
    let login = target.user.as_deref().zip(password).map(|(user, password)| {
        let plain = Zeroizing::new(format!("{user}:{password}"));
        Zeroizing::new(format!("Basic {}", BASE64.encode(plain.as_bytes())))
    });
    let ask = |url: &str| ask(&client, url, login.as_deref().map(String::as_str));
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let answer = ask(url).map_err(|problem| trouble(ServiceStage::Answer, problem))?;
    match answer.status {
        401 | 403 => {
            let what = if login.is_some() { "refuses the login" } else { "wants a login" };
            let problem = format!("{what} (status {})", answer.status);
            return Err(trouble(ServiceStage::Login, problem));
        }
        // Places that only take data refuse the question itself (400, 405), which shows that they are there.
        404 | 410 | 500.. | ..200 => {
            let problem = format!("answers with status {} at /{path}", answer.status);
            return Err(trouble(ServiceStage::Answer, problem));
        }
        _ => {}
    }
    let origin = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let elsewhere = places(target.service).iter().map(|place| format!("{origin}{place}"));
    attempt.version = version(&answer.body)
        .or_else(|| elsewhere.into_iter().find_map(|url| version(&ask(&url).ok()?.body)));
    Ok(())
}

/// Where such services say their version, as their own documentation has it.
fn places(service: ServiceKind) -> &'static [&'static str] {
    match service {
        // Elasticsearch and OpenSearch; Loki.
        ServiceKind::Logs => &["/", "/loki/api/v1/status/buildinfo"],
        // Prometheus, and those that answer as it does.
        ServiceKind::Metrics => &["/api/v1/status/buildinfo"],
        ServiceKind::Database => &[],
    }
}

/// Elasticsearch says `{"version": {"number": …}}`, Loki `{"version": …}`, Prometheus `{"data": {"version": …}}`.
fn version(body: &Value) -> Option<String> {
    let places = ["/version/number", "/version", "/data/version"];
    places.iter().find_map(|place| body.pointer(place)?.as_str()).map(str::to_owned)
}

fn ask(client: &ureq::Agent, url: &str, login: Option<&str>) -> Result<Answer, String> {
    let mut request = client.get(url);
    if let Some(login) = login {
        request = request.header("Authorization", login);
    }
    let mut response = request.call().map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(LONGEST as u64).read_to_string();
    // What is no JSON, or too long, says no version.
    let body = text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(Answer { status, body })
}

/// Never through a proxy, and nowhere else than told.
fn client(encryption: &Encryption) -> Result<ureq::Agent, String> {
    let mut trusted = Vec::new();
    if let Encryption::Verified { ca } = encryption {
        trusted.extend(tls::authorities(ca)?.iter().map(|one| Certificate::from_der(one).to_owned()));
    }
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&trusted))
        .disable_verification(*encryption == Encryption::Unchecked);
    Ok(ureq::Agent::config_builder()
        .tls_config(tls.build())
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .timeout_connect(Some(PATIENCE))
        .timeout_global(Some(WHOLE))
        .build()
        .new_agent())
}
