//! Answers of registries: what a failure means, and bodies of a bounded size.

use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

/// How much of an error page is read, bytes.
const PAGE_LIMIT: usize = 16 << 10;
/// How much of what a registry says about its failure is shown, characters.
const WORDS_LIMIT: usize = 200;

/// What a failure means for who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not there.
    NotFound,
    /// Not without another login.
    Denied,
    /// No trust in its certificate, or no TLS at all.
    Tls,
    /// Worth another try.
    Passing,
    /// Not worth one.
    Final,
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) verdict: Verdict,
    /// The status, where there was an answer.
    pub(super) status: Option<u16>,
    pub(super) why: Box<dyn Error + Send + Sync>,
    /// How long the registry asks to be left alone.
    pub(super) wait: Option<Duration>,
}

impl Trouble {
    pub(super) fn new(verdict: Verdict, why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { verdict, status: None, why: why.into(), wait: None }
    }

    pub(super) fn denied(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Verdict::Denied, why)
    }

    pub(super) fn passing(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Verdict::Passing, why)
    }

    /// The connection failed, or the answer broke off.
    pub(super) fn transport(error: reqwest::Error) -> Self {
        // Where a registry redirects to storage, the URL holds a signature that is as good as a password.
        let error = error.without_url();
        let verdict = if tls(&error) {
            Verdict::Tls
        } else if error.is_builder() || error.is_redirect() {
            Verdict::Final
        } else {
            Verdict::Passing
        };
        Self::new(verdict, error)
    }

    /// An answer that is none of the good ones.
    pub(super) async fn of(response: Response) -> Self {
        let (status, wait) = (response.status(), retry_after(response.headers(), Timestamp::now()));
        // An error page that cannot be read tells less, not more.
        let page = body(response, PAGE_LIMIT).await.unwrap_or_default();
        let errors = errors(&page);
        let busy = errors.iter().any(|error| error.code.eq_ignore_ascii_case("TOOMANYREQUESTS"));
        let mut why = status.to_string();
        if let Some(said) = errors.first().map(words).filter(|said| !said.is_empty()) {
            why = format!("{why}: {said}");
        }
        let verdict = if busy { Verdict::Passing } else { verdict(status) };
        Self { verdict, status: Some(status.as_u16()), why: why.into(), wait }
    }

    /// An answer to what was asked for at `asked`: where a redirect led elsewhere, it says who answered there.
    pub(super) async fn at(asked: &str, response: Response) -> Self {
        let elsewhere = (!is_at(&response, asked)).then(|| response.url().origin().ascii_serialization());
        let mut trouble = Self::of(response).await;
        if let Some(place) = elsewhere {
            trouble.why = format!("{place}, where it redirects to: {}", trouble.why).into();
        }
        trouble
    }

    /// As [`Self::at`], of what was asked for with `login`.
    pub(super) async fn despite(login: &str, asked: &str, response: Response) -> Self {
        let refused = response.status().as_u16() == 401 && is_at(&response, asked);
        let trouble = Self::at(asked, response).await;
        if refused { Self::denied(format!("it does not take {login}: {}", trouble.why)) } else { trouble }
    }

    /// The same, about something that stands behind the registry: what is not there says nothing of what was asked for.
    pub(super) fn about(mut self, what: &str) -> Self {
        if self.verdict == Verdict::NotFound {
            self.verdict = Verdict::Final;
        }
        self.why = format!("{what}: {}", self.why).into();
        self
    }
}

/// Whether the answer comes from the scheme, host and port of the URL `asked`, not from where that redirected to: nobody
/// else is shown a login for it.
pub(super) fn is_at(response: &Response, asked: &str) -> bool {
    Url::parse(asked).is_ok_and(|asked| response.url().origin() == asked.origin())
}

fn verdict(status: StatusCode) -> Verdict {
    match status.as_u16() {
        404 => Verdict::NotFound,
        401 | 403 | 407 => Verdict::Denied,
        408 | 425 | 429 | 500.. => Verdict::Passing,
        _ => Verdict::Final,
    }
}

/// Whether the failure is one of TLS: no later try will end better.
fn tls(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let found = error.downcast_ref();
        if let Some(rustls::Error::InvalidCertificate(_) | rustls::Error::InvalidMessage(_)) = found {
            return true;
        }
        // An I/O error hides what it was made from, and tells only what caused that; there may be several inside each
        // other.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = inner.map_or_else(|| error.source(), |inner| Some(inner));
    }
    false
}

/// `Retry-After`: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::from_secs(u64::try_from(then.as_second() - now.as_second()).unwrap_or(0)))
}

/// An error as the distribution specification has it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Reported {
    code: String,
    message: String,
}

fn errors(page: &[u8]) -> Vec<Reported> {
    #[derive(Deserialize)]
    struct Page {
        errors: Vec<Reported>,
    }
    serde_json::from_slice(page).map(|page: Page| page.errors).unwrap_or_default()
}

/// What a registry says, safe for a terminal.
fn words(error: &Reported) -> String {
    let text = if error.message.is_empty() { &error.code } else { &error.message };
    text.chars().filter(|c| !c.is_control()).take(WORDS_LIMIT).collect::<String>().trim().to_owned()
}

/// Reads `content` as an error page and as a header, as far as they are told: for the fuzz target.
pub(super) fn read(content: &[u8]) {
    let said: Vec<String> = errors(content).iter().map(words).collect();
    debug_assert!(said.iter().all(|words| words.chars().count() <= WORDS_LIMIT));
    if let Ok(value) = reqwest::header::HeaderValue::from_bytes(content) {
        let _ = retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), Timestamp::UNIX_EPOCH);
    }
}

/// A whole body of at most `limit` bytes.
pub(super) async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, Trouble> {
    let mut content = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(Trouble::transport)? {
        if content.len() + piece.len() > limit {
            return Err(Trouble::new(Verdict::Final, format!("the answer is larger than {limit} bytes")));
        }
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passing_failures_are_tried_again() {
        let of = |code| verdict(StatusCode::from_u16(code).unwrap());
        for code in [408, 425, 429, 500, 502, 503] {
            assert_eq!(of(code), Verdict::Passing, "{code}");
        }
        assert_eq!([of(404), of(401), of(403)], [Verdict::NotFound, Verdict::Denied, Verdict::Denied]);
        assert_eq!([of(400), of(416), of(304)], [Verdict::Final; 3]);
    }

    #[test]
    fn certificates_are_found_behind_every_wrapping() {
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = std::io::Error::other(std::io::Error::other(untrusted));
        assert!(tls(&wrapped));
        assert!(!tls(&std::io::Error::other(rustls::Error::DecryptError)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-21T06:38:00Z".parse().unwrap();
        let wait = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("7"), Some(7));
        assert_eq!(wait("Sat, 21 Nov 2026 06:38:30 GMT"), Some(30));
        assert_eq!(wait("Sat, 21 Nov 2026 06:37:30 GMT"), Some(0));
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn what_registries_say_cannot_move_the_cursor() {
        let page = b"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\\u001b[2J entry\\n\"}]}";
        assert_eq!(words(&errors(page)[0]), "no[2J entry");
        assert_eq!(words(&Reported { code: "DENIED".into(), message: String::new() }), "DENIED");
        assert!(errors(b"<html>").is_empty());
    }
}
