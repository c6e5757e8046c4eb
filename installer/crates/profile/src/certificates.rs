//! Certificates of authorities that the site trusts: no secrets, but easily the wrong ones.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::pem::parse_x509_pem;

use crate::error::ProfileError;
use crate::site::Site;

/// Largest bundle of certificates, bytes (256 KiB): it has to fit into a config map beside other things.
pub const MAX_CERTIFICATES_BYTES: u64 = 256 << 10;

/// Certificates in PEM, in a file or written here. One of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Certificates {
    /// A file with them on the machine that the installer runs on. `~/` is the home of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// They themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The certificate of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The certificate alone, in PEM, ending with a line feed.
    pub pem: String,
    /// Whom it is for.
    pub subject: String,
    /// First second at which it holds, since the Unix epoch.
    pub from: i64,
    /// Last second at which it holds, since the Unix epoch.
    pub until: i64,
}

impl Certificates {
    /// The text, read from the file where there is one.
    ///
    /// # Errors
    /// What the operating system says, or that the file is too large or not text.
    pub(crate) fn read(&self) -> io::Result<String> {
        if let Some(text) = &self.text {
            return Ok(text.clone());
        }
        let mut bytes = Vec::new();
        File::open(self.place())?.take(MAX_CERTIFICATES_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_CERTIFICATES_BYTES {
            return Err(io::Error::other(format!("larger than {MAX_CERTIFICATES_BYTES} bytes")));
        }
        String::from_utf8(bytes).map_err(|_| io::Error::other("not text: convert it from DER to PEM"))
    }

    fn place(&self) -> PathBuf {
        let file = self.file.as_deref().unwrap_or_default();
        match file.strip_prefix("~/") {
            Some(rest) => PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(rest),
            None => PathBuf::from(file),
        }
    }

    /// The authorities, where the text is at hand: a site that was loaded with [`Site::with_certificates`] has it.
    /// Certificates that stand there twice count once.
    #[must_use]
    pub fn authorities(&self) -> Option<Vec<Authority>> {
        Some(Content::of(self.text.as_deref()?).authorities)
    }
}

impl Site {
    /// The site with the certificates that it names files of: who plans needs the texts.
    ///
    /// # Errors
    /// A file that could be read when the profile was judged and cannot be read any more.
    pub fn with_certificates(mut self) -> Result<Self, ProfileError> {
        let oidc = self.api.oidc.as_mut().and_then(|oidc| oidc.ca.as_mut());
        for certificates in oidc.into_iter().chain(self.customer_ca.as_mut()) {
            let text = certificates
                .read()
                .map_err(|source| ProfileError::Certificates { path: certificates.place(), source })?;
            *certificates = Certificates { file: None, text: Some(text) };
        }
        Ok(self)
    }
}

/// What is wrong, and what to do.
type Fault = (String, &'static str);

/// What a text of certificates holds.
#[derive(Default)]
pub(crate) struct Content {
    pub(crate) authorities: Vec<Authority>,
    pub(crate) faults: Vec<Fault>,
}

impl Content {
    pub(crate) fn of(text: &str) -> Self {
        let mut content = Self::default();
        let blocks = blocks(text);
        if blocks.is_empty() {
            let remedy = "give PEM: blocks that begin with `-----BEGIN CERTIFICATE-----`";
            content.faults.push(("there is no certificate in it".to_owned(), remedy));
        }
        for (number, (label, pem)) in blocks.into_iter().enumerate() {
            match authority(&label, pem) {
                Ok(authority) if content.authorities.contains(&authority) => {}
                Ok(authority) => content.authorities.push(authority),
                Err((why, remedy)) => content.faults.push((format!("block {} {why}", number + 1), remedy)),
            }
        }
        content
    }
}

fn authority(label: &str, pem: String) -> Result<Authority, Fault> {
    if label.ends_with("PRIVATE KEY") {
        let remedy = "take the key out, keep it where it belongs, and change it where others have seen it";
        return Err(("is a private key".to_owned(), remedy));
    }
    if label != "CERTIFICATE" {
        return Err((format!("is a {}", label.to_lowercase()), "leave only certificates in it"));
    }
    let damaged = "copy it once more, whole and with its line breaks";
    let (_, block) = parse_x509_pem(pem.as_bytes()).map_err(|_| ("cannot be read".to_owned(), damaged))?;
    let certificate = block.parse_x509().map_err(|_| ("is no X.509 certificate".to_owned(), damaged))?;
    let subject = certificate.subject().to_string();
    if !certificate.is_ca() {
        let remedy = "give the certificate of the authority that signed it";
        return Err((format!("({subject}) is not the certificate of an authority"), remedy));
    }
    let validity = certificate.validity();
    let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    Ok(Authority { pem, subject, from, until })
}

/// The blocks of a PEM text with their labels; what stands between them is left out.
fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in text.lines().map(str::trim) {
        if let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) {
            found.push((label.to_owned(), String::new()));
            open = true;
        }
        if let Some((_, block)) = found.last_mut().filter(|_| open) {
            block.push_str(line);
            block.push('\n');
        }
        open &= !line.starts_with("-----END ");
    }
    found
}
