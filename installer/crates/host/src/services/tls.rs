//! TLS with a service: whose certificates count, and what was wrong with the one that came.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned,
};
use sealift_checks::facts::{ServiceStage, ServiceTrouble};

use super::{Encryption, ServiceTarget, trouble, words};

/// Agrees on TLS over a connection. Also gives the version, e.g. `TLSv1.3`.
pub(super) fn handshake<S: Read + Write>(
    mut stream: S,
    target: &ServiceTarget,
) -> Result<(StreamOwned<ClientConnection, S>, String), ServiceTrouble> {
    let failed = |problem: String| trouble(ServiceStage::Tls, problem);
    let config = config(&target.encryption).map_err(&failed)?;
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| failed(format!("`{}` is no name that a certificate could hold", target.host)))?;
    let mut connection =
        ClientConnection::new(Arc::new(config), name).map_err(|error| failed(error.to_string()))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| failed(problem(&error)))?;
    }
    let version = connection.protocol_version().and_then(|version| version.as_str()).unwrap_or("TLS");
    // `TLSv1_3` in the library's words.
    let version = version.replace('_', ".");
    Ok((StreamOwned::new(connection, stream), version))
}

/// The certificates in a PEM text.
pub(super) fn authorities(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err("the certificate of the authority (`ca`) cannot be read".to_owned()),
    }
}

fn config(encryption: &Encryption) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Encryption::Verified { ca } = encryption else {
        let anyone = Arc::new(Anyone(algorithms));
        return Ok(builder.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for authority in authorities(ca)? {
        roots.add(authority).map_err(|error| format!("the certificate of the authority (`ca`): {error}"))?;
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// For `require`: whoever holds the key of the certificate that he shows is taken, as PostgreSQL's own programs do.
#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// What went wrong, for people.
fn problem(error: &io::Error) -> String {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return words(error);
    };
    match inner {
        // A bad signature: an authority of the same name, made anew.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is signed by another authority than the one under `ca`".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name or address".to_owned(),
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "its certificate has run out, by the clock of this host".to_owned()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "its certificate is not valid yet, by the clock of this host".to_owned(),
        Error::InvalidMessage(_) => "it does not speak TLS there".to_owned(),
        other => other.to_string(),
    }
}
