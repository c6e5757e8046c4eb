//! Access: what a registry asks for with its `401`, and the answer to it.
//!
//! Distribution's token flow (its `spec/auth/token` and `spec/auth/oauth`) and HTTP basic authentication. A token is
//! used until it is old or refused; whoever is refused first gets a new one, for all transfers of that repository. A login
//! that is refused is looked up again, too, and sent where it is another one by then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Client, RequestBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::answer::{self, Trouble};
use super::credentials::{Credentials, Login};
use crate::mirrors::Endpoint;

/// How long a token counts when its server does not say (the token specification's default).
const TOKEN_LIFE: Duration = Duration::from_mins(1);
/// Largest answer of a token server, bytes.
const TOKEN_LIMIT: usize = 1 << 20;

/// Answers to challenges, by host and repository.
#[derive(Default)]
pub(super) struct Access {
    slots: Mutex<BTreeMap<(String, String), Arc<Slot>>>,
}

/// The answer for one repository. Locked while it is renewed, so that it is renewed once.
#[derive(Default)]
pub(super) struct Slot(tokio::sync::Mutex<Option<Pass>>);

/// Something to send as `Authorization`.
#[derive(Clone)]
struct Pass {
    header: HeaderValue,
    /// What it is, for messages.
    what: String,
    /// When it is old; nothing where it does not age.
    until: Option<Instant>,
}

/// What a registry asks for.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// Whom an answer is for.
pub(super) struct Asked<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) repository: &'a str,
    pub(super) credentials: &'a Credentials,
    pub(super) client: &'a Client,
}

impl Access {
    pub(super) fn slot(&self, host: &str, repository: &str) -> Arc<Slot> {
        let key = (host.to_owned(), repository.to_owned());
        Arc::clone(self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }
}

impl Slot {
    /// What to send now.
    pub(super) async fn current(&self) -> Option<HeaderValue> {
        let pass = self.0.lock().await;
        pass.as_ref().filter(|pass| pass.is_fresh()).map(Pass::header)
    }

    /// What to send after `refused` was not enough, and what that is: what another transfer got meanwhile, or a new
    /// answer to the challenges of that refusal.
    pub(super) async fn renew(
        &self,
        refused: Option<&HeaderValue>,
        challenges: &[String],
        asked: &Asked<'_>,
    ) -> Result<(HeaderValue, String), Trouble> {
        let mut pass = self.0.lock().await;
        if let Some(pass) = pass.as_ref().filter(|pass| pass.is_fresh() && Some(&pass.header) != refused) {
            return Ok((pass.header(), pass.what.clone()));
        }
        *pass = None;
        let new = asked.answer(challenges, refused).await?;
        let new = pass.insert(new);
        Ok((new.header(), new.what.clone()))
    }
}

impl Pass {
    fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    fn is_fresh(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    /// This, where it is not what was `refused` just now.
    fn unless(self, refused: Option<&HeaderValue>) -> Result<Self, Trouble> {
        if refused == Some(&self.header) {
            return Err(Trouble::denied(format!("it does not take {}", self.what)));
        }
        Ok(self)
    }

    fn new(scheme: &str, secret: &str, what: String, until: Option<Instant>) -> Result<Self, Trouble> {
        let text = Zeroizing::new(format!("{scheme} {secret}"));
        let mut header = HeaderValue::from_str(&text)
            .map_err(|_| Trouble::denied("the login holds characters that HTTP cannot carry"))?;
        header.set_sensitive(true);
        Ok(Self { header, what, until })
    }

    fn basic(user: &str, password: &SecretString) -> Result<Self, Trouble> {
        let plain = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
        let secret = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
        Self::new("Basic", &secret, format!("the name and password of {user}"), None)
    }

    /// Of a token that is sent as it is.
    fn bearer(token: &SecretString) -> Result<Self, Trouble> {
        Self::new("Bearer", token.expose_secret(), "the token of the login".to_owned(), None)
    }
}

/// What a web server is sent for `login`, and what that is; nothing where only a token server has a use for it.
pub(super) fn at_web_server(login: &Login) -> Result<Option<(HeaderValue, String)>, Trouble> {
    let pass = match login {
        Login::Password { user, password } => Pass::basic(user, password)?,
        Login::Bearer(token) => Pass::bearer(token)?,
        Login::Identity(_) => return Ok(None),
    };
    Ok(Some((pass.header, pass.what)))
}

impl Asked<'_> {
    async fn answer(&self, challenges: &[String], refused: Option<&HeaderValue>) -> Result<Pass, Trouble> {
        let login = self.credentials.login(&self.endpoint.host).map_err(Trouble::denied)?;
        match (choose(challenges), login) {
            (_, Some(Login::Bearer(token))) => Pass::bearer(&token)?.unless(refused),
            (None, _) => Err(Trouble::denied("it asks for a kind of login that this program does not know")),
            (Some(Challenge::Basic), Some(Login::Password { user, password })) => {
                Pass::basic(&user, &password)?.unless(refused)
            }
            (Some(Challenge::Basic), Some(Login::Identity(_))) => {
                Err(Trouble::denied("it wants a name and a password, and the login is a token"))
            }
            (Some(Challenge::Basic), None) => Err(Trouble::denied("it wants a login, and there is none")),
            (Some(Challenge::Bearer { realm, service, scope }), login) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.repository));
                self.token(&realm, service.as_deref(), &scope, login).await
            }
        }
    }

    /// Asks the token server at `realm`.
    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        login: Option<Login>,
    ) -> Result<Pass, Trouble> {
        let url = Url::parse(realm)
            .map_err(|_| Trouble::denied("it names a token server that is no URL".to_owned()))?;
        // Whoever encrypts must not be made to show its login in the open.
        if url.scheme() != "https" && !(url.scheme() == "http" && self.endpoint.plain) {
            return Err(Trouble::denied(format!("its token server {} is not on https", site(&url))));
        }
        let place = site(&url);
        let mut fields: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        fields.push(("scope", scope));
        let began = Instant::now();
        let request = self.token_request(url, &fields, login.as_ref())?;
        let response = request.send().await.map_err(Trouble::transport)?;
        let whose = match login {
            Some(Login::Password { user, .. }) => format!("the login of {user}"),
            Some(_) => "the login by token".to_owned(),
            None => "access without a login".to_owned(),
        };
        if matches!(response.status().as_u16(), 400 | 401 | 403) {
            let trouble = Trouble::of(response).await;
            return Err(Trouble::denied(format!(
                "its token server {place} refuses {whose}: {}",
                trouble.why
            )));
        }
        if !response.status().is_success() {
            return Err(Trouble::of(response).await.about(&format!("token server {place}")));
        }
        let body = Zeroizing::new(answer::body(response, TOKEN_LIMIT).await?);
        grant(&body, format!("a new token for {whose}"), began)
            .unwrap_or_else(|| Err(Trouble::denied(format!("its token server {place} sends no token"))))
    }

    fn token_request(
        &self,
        mut url: Url,
        fields: &[(&str, &str)],
        login: Option<&Login>,
    ) -> Result<RequestBuilder, Trouble> {
        if let Some(Login::Identity(token)) = login {
            let mut form = Url::parse("form:").map_err(|_| Trouble::denied("no form"))?;
            form.query_pairs_mut()
                .append_pair("grant_type", "refresh_token")
                .append_pair("client_id", "sealift-bundle-builder")
                .append_pair("refresh_token", token.expose_secret())
                .extend_pairs(fields);
            let body = form.query().unwrap_or_default().to_owned();
            let request = self.client.post(url).header("content-type", "application/x-www-form-urlencoded");
            return Ok(request.body(body));
        }
        url.query_pairs_mut().extend_pairs(fields);
        let request = self.client.get(url);
        Ok(match login {
            Some(Login::Password { user, password }) => {
                request.header("authorization", Pass::basic(user, password)?.header)
            }
            _ => request,
        })
    }
}

/// Reads what a token server sent; nothing where there is no token in it.
fn grant(body: &[u8], what: String, began: Instant) -> Option<Result<Pass, Trouble>> {
    #[derive(Deserialize)]
    struct Grant {
        #[serde(default)]
        token: SecretString,
        #[serde(default)]
        access_token: SecretString,
        #[serde(default)]
        expires_in: Option<u64>,
    }
    let grant: Grant = serde_json::from_slice(body).ok()?;
    let token =
        [grant.token, grant.access_token].into_iter().find(|token| !token.expose_secret().is_empty())?;
    let life = grant.expires_in.map_or(TOKEN_LIFE, |seconds| Duration::from_secs(seconds.min(86_400)));
    // Renewed a little early: a request must arrive before the token is old.
    let until = began.checked_add(life.mul_f64(0.9));
    Some(Pass::new("Bearer", token.expose_secret(), what, until))
}

/// Scheme and host of a URL, for messages: its path and query may hold secrets.
fn site(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Reads `header` as a challenge: for the fuzz target.
pub(super) fn read(header: &str) {
    let _ = choose(&[header.to_owned()]);
}

/// The challenge to answer: tokens before passwords.
fn choose(headers: &[String]) -> Option<Challenge> {
    let mut found = None;
    for header in headers {
        for challenge in http_auth::parse_challenges(header).unwrap_or_default() {
            let value = |name: &str| {
                let mut all = challenge.params.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
                all.next().map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = value("realm")
            {
                let (service, scope) = (value("service"), value("scope"));
                return Some(Challenge::Bearer { realm, service, scope });
            }
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                found = Some(Challenge::Basic);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(text: &str) -> Option<Result<Pass, Trouble>> {
        grant(text.as_bytes(), "a token".to_owned(), Instant::now())
    }

    #[test]
    fn tokens_go_before_passwords() {
        let bearer = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        let expected = Challenge::Bearer {
            realm: "https://auth.example/token".into(),
            service: Some("registry.example".into()),
            scope: Some("repository:a/b:pull,push".into()),
        };
        assert_eq!(choose(&["Basic realm=\"x\"".into(), bearer.into()]), Some(expected));
        assert_eq!(choose(&["basic realm=\"x\"".into()]), Some(Challenge::Basic));
        assert_eq!(choose(&["Negotiate".into(), "Bearer realm=\"".into()]), None);
    }

    #[test]
    fn tokens_of_both_spellings_are_read() {
        let header = |text: &str| {
            let pass = granted(text)?.ok()?;
            Some(pass.header.to_str().unwrap().to_owned())
        };
        assert_eq!(header(r#"{"token":"a","expires_in":300}"#).as_deref(), Some("Bearer a"));
        assert_eq!(header(r#"{"access_token":"b","token":""}"#).as_deref(), Some("Bearer b"));
        assert_eq!(header(r#"{"expires_in":300}"#), None);
        assert_eq!(header("{"), None);
        assert!(granted(r#"{"token":"a\n"}"#).unwrap().is_err());
        let pass = granted(r#"{"token":"canary"}"#).unwrap().ok().unwrap();
        assert!(!format!("{:?}", pass.header).contains("canary"));
    }

    #[tokio::test]
    async fn an_old_token_is_neither_sent_nor_taken_for_a_new_one() {
        let slot = Slot::default();
        let old = granted(r#"{"token":"a","expires_in":0}"#).unwrap().ok().unwrap();
        *slot.0.lock().await = Some(old);
        assert!(slot.current().await.is_none());
        let mirrors = crate::mirrors::Mirrors::default();
        let endpoint = mirrors.endpoint(&"m.example/a:1".parse().unwrap());
        let credentials = Credentials::none();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked =
            Asked { endpoint: &endpoint, repository: "a", credentials: &credentials, client: &Client::new() };
        // Whoever sent nothing because the token was old asks for a new one; here there is nobody to give it.
        let challenge = ["Basic realm=\"m\"".to_owned()];
        let why = slot.renew(None, &challenge, &asked).await.unwrap_err().why.to_string();
        assert_eq!(why, "it wants a login, and there is none");
    }

    #[tokio::test]
    async fn a_login_that_is_refused_is_looked_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let keep = |entry: &str| std::fs::write(&path, format!(r#"{{"auths": {{"m.example": {entry}}}}}"#));
        let credentials = Credentials::from_file(path.clone());
        let endpoint = crate::mirrors::Mirrors::default().endpoint(&"m.example/a:1".parse().unwrap());
        let _ = rustls::crypto::ring::default_provider().install_default();
        let asked =
            Asked { endpoint: &endpoint, repository: "a", credentials: &credentials, client: &Client::new() };
        let challenge = ["Basic realm=\"m\"".to_owned()];
        let entries = [
            (r#"{"username": "ops", "password": "old"}"#, "the name and password of ops"),
            (r#"{"username": "ops", "password": "new"}"#, "the name and password of ops"),
            (r#"{"registrytoken": "old"}"#, "the token of the login"),
            (r#"{"registrytoken": "new"}"#, "the token of the login"),
        ];
        let (slot, mut sent) = (Slot::default(), None);
        for (entry, what) in entries {
            keep(entry).unwrap();
            let (header, named) = slot.renew(sent.as_ref(), &challenge, &asked).await.unwrap();
            assert!(named == what && sent.as_ref() != Some(&header), "{named}");
            // The same again is no answer.
            let why = slot.renew(Some(&header), &challenge, &asked).await.unwrap_err().why.to_string();
            assert_eq!(why, format!("it does not take {what}"));
            sent = Some(header);
        }
    }
}
