//! Certificates that this program makes itself: authorities, and what they sign.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;
use zeroize::Zeroizing;

use crate::protocol::Failure;

/// 24 hours.
pub(crate) const DAY: Duration = Duration::from_hours(24);
/// How long an authority holds: as kubeadm's do.
const AUTHORITY_LIFETIME: Duration = Duration::from_hours(24 * 3650);

/// A certificate and its key, both PEM.
pub(crate) struct Pair {
    pub certificate: String,
    pub key: Zeroizing<String>,
}

/// What an authority signs.
pub(crate) struct Leaf<'a> {
    /// Common name of the subject.
    pub subject: &'a str,
    /// DNS names and addresses.
    pub names: &'a [String],
    /// What it may be used for.
    pub usages: &'a [ExtendedKeyUsagePurpose],
    /// How long it holds from now on.
    pub lifetime: Duration,
}

/// Makes an authority.
pub(crate) fn authority(name: &str) -> Result<Pair, Failure> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    set_lifetime(&mut params, AUTHORITY_LIFETIME);
    let key = new_key()?;
    let certificate = params.self_signed(&key).map_err(|error| broken(&error))?;
    Ok(Pair { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

/// Lets an authority sign a new pair.
pub(crate) fn leaf(ca: &str, ca_key: &str, leaf: &Leaf<'_>) -> Result<Pair, Failure> {
    let ca_key = KeyPair::from_pem(ca_key).map_err(|error| broken(&error))?;
    let issuer = Issuer::from_ca_cert_pem(ca, ca_key).map_err(|error| broken(&error))?;
    let mut params = CertificateParams::new(leaf.names).map_err(|error| broken(&error))?;
    params.distinguished_name = subject(leaf.subject);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = leaf.usages.to_vec();
    params.use_authority_key_identifier_extension = true;
    set_lifetime(&mut params, leaf.lifetime);
    let key = new_key()?;
    let certificate = params.signed_by(&key, &issuer).map_err(|error| broken(&error))?;
    Ok(Pair { certificate: certificate.pem(), key: Zeroizing::new(key.serialize_pem()) })
}

/// Whether a key and a certificate belong together and the certificate may sign.
pub(crate) fn is_authority(certificate: &str, key: &str) -> Result<bool, Failure> {
    let key = KeyPair::from_pem(key).map_err(|error| broken(&error))?;
    with_certificate(certificate, |certificate| {
        certificate.is_ca() && certificate.public_key().raw == key.subject_public_key_info()
    })
}

/// Whether a pair is from this authority, for exactly these names, with its key, and holds for so long from now on. One
/// that cannot be read does not.
pub(crate) fn stands(
    ca: &str,
    certificate: &str,
    key: &str,
    names: &[String],
    left: Duration,
) -> Result<bool, Failure> {
    let Ok(key) = KeyPair::from_pem(key) else { return Ok(false) };
    let wanted: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let needed_until = i64::try_from((now + left).as_secs()).unwrap_or(i64::MAX);
    with_certificate(ca, |ca| {
        with_certificate(certificate, |leaf| {
            leaf.verify_signature(Some(ca.public_key())).is_ok()
                && leaf.public_key().raw == key.subject_public_key_info()
                && leaf.validity().not_after.timestamp() >= needed_until
                && alternative_names(leaf) == wanted
        })
        .unwrap_or(false)
    })
}

fn new_key() -> Result<KeyPair, Failure> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| broken(&error))
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// Two days back, so that hosts whose clocks run behind accept it too.
fn set_lifetime(params: &mut CertificateParams, lifetime: Duration) {
    let now = SystemTime::now();
    params.not_before = (now - 2 * DAY).into();
    params.not_after = (now + lifetime).into();
}

fn alternative_names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return BTreeSet::new() };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => None,
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn with_certificate<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Result<T, Failure> {
    let unreadable = |error: &(dyn std::error::Error + 'static)| {
        Failure::other("a certificate cannot be read").because(error)
    };
    let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|error| unreadable(&error))?;
    let certificate = pem.parse_x509().map_err(|error| unreadable(&error))?;
    Ok(look(&certificate))
}

fn broken(error: &rcgen::Error) -> Failure {
    Failure::other("an authority of this site cannot be used").because(error)
}
