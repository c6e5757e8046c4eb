//! What a site has of its own beside the hosts: an authority, and an OpenID Connect issuer with a certificate from it.
//!
//! The issuer is two documents over HTTPS (OpenID Connect Discovery 1.0, section 4; RFC 7517) and a key that signs
//! tokens. It runs at the seat while a test needs it: API servers have to do without it at all other times.
//!
//! In order of use: [`prepare`], [`Issuer::start`], [`Issuer::token`].

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer as Signer, KeyPair,
    KeyUsagePurpose,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::lab::{Lab, SEAT};

/// Port of the issuer at the seat.
const PORT: u16 = 8443;
/// The authority's certificate, below the seat's home; named in the profile of the lab.
pub const AUTHORITY: &str = ".sealift/customer-ca.pem";
/// Folder of the issuer's own files, below the seat's home.
const FOLDER: &str = ".sealift/issuer";
const CERTIFICATE: &str = "tls.crt";
const TLS_KEY: &str = "tls.key";
const SIGNING_KEY: &str = "signing.key";
/// Whom tokens are for.
const AUDIENCE: &str = "kubernetes";

/// The issuer's URL as tokens and profile have it.
pub fn url() -> String {
    format!("https://{SEAT}:{PORT}")
}

/// Makes authority, certificate and keys at the seat, once: the profile of an installed site names the authority.
pub fn prepare(home: &Path) -> Result<()> {
    let folder = home.join(FOLDER);
    // Written last.
    if home.join(AUTHORITY).exists() {
        return Ok(());
    }
    fs::create_dir_all(&folder)?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Authority of the lab's customer");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_lifetime(&mut authority);
    let authority_key = KeyPair::generate()?;
    let certificate = authority.self_signed(&authority_key)?;
    let mut server = CertificateParams::new(vec![SEAT.to_string()])?;
    server.distinguished_name.push(DnType::CommonName, "Issuer of the lab");
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.use_authority_key_identifier_extension = true;
    set_lifetime(&mut server);
    let key = KeyPair::generate()?;
    let leaf = server.signed_by(&key, &Signer::new(authority, authority_key))?;
    fs::write(folder.join(CERTIFICATE), leaf.pem())?;
    fs::write(folder.join(TLS_KEY), key.serialize_pem())?;
    fs::write(folder.join(SIGNING_KEY), KeyPair::generate()?.serialize_pem())?;
    fs::write(home.join(AUTHORITY), certificate.pem())?;
    Ok(())
}

/// A year around now.
fn set_lifetime(params: &mut CertificateParams) {
    const DAY: Duration = Duration::from_hours(24);
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + 365 * DAY).into();
}

/// A running issuer; it ends when this is dropped.
pub struct Issuer {
    child: Child,
    key: EcdsaKeyPair,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // One that has ended takes no signal.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Issuer {
    /// Starts it at the lab's seat and waits until it listens.
    pub fn start(lab: &Lab) -> Result<Self> {
        let home = lab.seat_home();
        let own = std::env::current_exe().context("cannot find this very program")?;
        let (own, folder) = (own.to_string_lossy(), folder(&home));
        let words = [&own, "lab", "issuer", "--folder", &folder.to_string_lossy()];
        let mut command = lab.seat_command(&words);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("the issuer has no output")?;
        let issuer = Self { child, key: signing_key(&fs::read_to_string(folder.join(SIGNING_KEY))?)? };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != "listening" {
            bail!("the issuer does not start: {line:?}");
        }
        Ok(issuer)
    }

    /// A token for a user with these groups, good for ten minutes.
    pub fn token(&self, user: &str, groups: &[&str]) -> Result<String> {
        token(&self.key, user, groups)
    }

    /// The same from somebody who only says to be the issuer.
    pub fn forged(user: &str, groups: &[&str]) -> Result<String> {
        token(&signing_key(&KeyPair::generate()?.serialize_pem())?, user, groups)
    }
}

fn folder(home: &Path) -> PathBuf {
    home.join(FOLDER)
}

fn signing_key(pem: &str) -> Result<EcdsaKeyPair> {
    let der = KeyPair::from_pem(pem)?.serialize_der();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new())
        .map_err(|error| anyhow!("cannot use the signing key: {error}"))
}

/// A JSON Web Token (RFC 7519) with ES256.
fn token(key: &EcdsaKeyPair, user: &str, groups: &[&str]) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let head = json!({"alg": "ES256", "typ": "JWT", "kid": "lab"});
    let claims = json!({
        "iss": url(), "aud": AUDIENCE, "sub": user, "groups": groups, "iat": now - 30, "exp": now + 600,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&head), part(&claims));
    let signature =
        key.sign(&SystemRandom::new(), text.as_bytes()).map_err(|_| anyhow!("cannot sign a token"))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// The issuer's documents by path.
fn document(path: &str, key: &EcdsaKeyPair) -> Option<Value> {
    // Uncompressed: one byte that says so, then both coordinates.
    let public = key.public_key().as_ref();
    let (x, y) = public.get(1..)?.split_at_checked(32)?;
    match path {
        "/.well-known/openid-configuration" => Some(json!({
            "issuer": url(),
            "authorization_endpoint": format!("{}/authorize", url()),
            "jwks_uri": format!("{}/keys", url()),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })),
        "/keys" => Some(json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "lab",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }]})),
        _ => None,
    }
}

/// Serves the documents until it is killed: the verb that [`Issuer::start`] runs.
pub fn serve(folder: &Path) -> Result<()> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let key = Arc::new(signing_key(&read(SIGNING_KEY)?)?);
    let certificate = CertificateDer::from_pem_slice(read(CERTIFICATE)?.as_bytes())
        .map_err(|error| anyhow!("cannot read the certificate: {error:?}"))?;
    let tls_key = PrivateKeyDer::from_pem_slice(read(TLS_KEY)?.as_bytes())
        .map_err(|error| anyhow!("cannot read the key: {error:?}"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], tls_key)?;
    let config = Arc::new(config);
    let listener = TcpListener::bind(SocketAddr::from((SEAT, PORT)))?;
    println!("listening");
    std::io::stdout().flush()?;
    for stream in listener.incoming() {
        let (config, key) = (Arc::clone(&config), Arc::clone(&key));
        // A client that goes away is its own affair.
        std::thread::spawn(move || {
            stream.map_err(anyhow::Error::from).and_then(|one| answer(one, config, &key))
        });
    }
    Ok(())
}

/// One request, one answer.
fn answer(stream: TcpStream, config: Arc<ServerConfig>, key: &EcdsaKeyPair) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config)?, stream));
    let mut request = String::new();
    stream.read_line(&mut request)?;
    let mut header = String::new();
    while stream.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match document(path, key) {
        Some(document) => ("200 OK", document.to_string()),
        None => ("404 Not Found", String::new()),
    };
    let mut stream = stream.into_inner();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn a_token_is_signed_by_the_key_that_is_published() {
        let home = tempfile::tempdir().unwrap();
        prepare(home.path()).unwrap();
        let authority = fs::read(home.path().join(AUTHORITY)).unwrap();
        prepare(home.path()).unwrap();
        assert_eq!(fs::read(home.path().join(AUTHORITY)).unwrap(), authority, "once");
        let pem = fs::read_to_string(folder(home.path()).join(SIGNING_KEY)).unwrap();
        let key = signing_key(&pem).unwrap();
        let token = token(&key, "li", &["viewers"]).unwrap();
        let (text, signature) = token.rsplit_once('.').unwrap();
        let published = &document("/keys", &key).unwrap()["keys"][0];
        let half = |name: &str| URL_SAFE_NO_PAD.decode(published[name].as_str().unwrap()).unwrap();
        let public = [vec![4], half("x"), half("y")].concat();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
        assert!(public.verify(text.as_bytes(), &signature).is_ok());
        let discovery = document("/.well-known/openid-configuration", &key).unwrap();
        assert_eq!(discovery["issuer"], url());
        assert!(document("/", &key).is_none());
    }
}
