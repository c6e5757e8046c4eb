//! PostgreSQL: its way into TLS, its login, and the version that it says on the way in (its documentation, chapter
//! "Frontend/Backend Protocol", sections "Start-up" and "SSL Session Encryption").

use std::io::{self, Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use sealift_checks::facts::{ServiceAttempt, ServiceStage, ServiceTrouble};

use super::{Encryption, LONGEST, ServiceTarget, Wire, tls, trouble, words};

/// Login and version; `attempt` learns what was agreed on.
pub(super) fn walk(
    stream: TcpStream,
    target: &ServiceTarget,
    database: &str,
    password: Option<&str>,
    attempt: &mut ServiceAttempt,
) -> Result<(), ServiceTrouble> {
    let wire: Box<dyn Wire> = if target.encryption == Encryption::None {
        Box::new(stream)
    } else {
        let (encrypted, version) = tls::handshake(ask_for_tls(stream)?, target)?;
        attempt.tls = Some(version);
        Box::new(encrypted)
    };
    let mut session = Session { wire, received: BytesMut::new() };
    let user = target.user.as_deref().unwrap_or_default();
    let version = session.log_in(user, database, password.unwrap_or_default());
    attempt.version = version.map_err(|refusal| match refusal {
        Refusal::Login(problem) => trouble(ServiceStage::Login, problem),
        Refusal::Connection(error) => trouble(ServiceStage::Login, words(&error)),
        Refusal::Strange => trouble(
            ServiceStage::Login,
            "it does not answer as PostgreSQL does: something else listens there",
        ),
    })?;
    Ok(())
}

/// Asks whether it speaks TLS: one byte comes back.
fn ask_for_tls(mut stream: TcpStream) -> Result<TcpStream, ServiceTrouble> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    let mut answer = [0u8];
    stream
        .write_all(&request)
        .and_then(|()| stream.read_exact(&mut answer))
        .map_err(|error| trouble(ServiceStage::Tls, words(&error)))?;
    match answer[0] {
        b'S' => Ok(stream),
        b'N' => Err(trouble(ServiceStage::Tls, "the server offers no encryption")),
        _ => Err(trouble(
            ServiceStage::Tls,
            "it does not answer as PostgreSQL does: something else listens there",
        )),
    }
}

/// Why there is no login.
enum Refusal {
    /// The server says no, in these words.
    Login(String),
    /// The connection ended.
    Connection(io::Error),
    /// Something else listens there.
    Strange,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        // What the protocol's own crate cannot read.
        if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) {
            Self::Strange
        } else {
            Self::Connection(error)
        }
    }
}

struct Session {
    wire: Box<dyn Wire>,
    received: BytesMut,
}

impl Session {
    /// Gives the server's version.
    fn log_in(&mut self, user: &str, database: &str, password: &str) -> Result<Option<String>, Refusal> {
        let parameters = [("user", user), ("database", database), ("application_name", "sealift-check")];
        self.send(|out| frontend::startup_message(parameters, out))?;
        let mut version = None;
        let mut scram = None;
        loop {
            match self.next()? {
                Message::AuthenticationCleartextPassword => {
                    self.send(|out| frontend::password_message(password.as_bytes(), out))?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(user.as_bytes(), password.as_bytes(), body.salt());
                    self.send(|out| frontend::password_message(hash.as_bytes(), out))?;
                }
                Message::AuthenticationSasl(body) => {
                    if !body.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256))? {
                        return Err(other_login());
                    }
                    let begun = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                    self.send(|out| frontend::sasl_initial_response(SCRAM_SHA_256, begun.message(), out))?;
                    scram = Some(begun);
                }
                Message::AuthenticationSaslContinue(body) => {
                    let scram: &mut ScramSha256 = scram.as_mut().ok_or(Refusal::Strange)?;
                    scram.update(body.data()).map_err(|_| not_the_server())?;
                    self.send(|out| frontend::sasl_response(scram.message(), out))?;
                }
                Message::AuthenticationSaslFinal(body) => {
                    let scram = scram.as_mut().ok_or(Refusal::Strange)?;
                    scram.finish(body.data()).map_err(|_| not_the_server())?;
                }
                Message::ParameterStatus(body) if body.name()? == "server_version" => {
                    version = Some(body.value()?.to_owned());
                }
                Message::AuthenticationOk
                | Message::BackendKeyData(_)
                | Message::NoticeResponse(_)
                | Message::ParameterStatus(_) => {}
                Message::ReadyForQuery(_) => break,
                Message::ErrorResponse(body) => return Err(Refusal::Login(refusal(&body))),
                Message::AuthenticationKerberosV5
                | Message::AuthenticationGss
                | Message::AuthenticationSspi
                | Message::AuthenticationScmCredential => return Err(other_login()),
                _ => return Err(Refusal::Strange),
            }
        }
        // Logged in is what was wanted: nobody minds how the goodbye goes.
        let _ = self.send(|out| {
            frontend::terminate(out);
            Ok(())
        });
        Ok(version)
    }

    fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), Refusal> {
        let mut out = BytesMut::new();
        write(&mut out)?;
        self.wire.write_all(&out).and_then(|()| self.wire.flush()).map_err(Refusal::Connection)
    }

    fn next(&mut self) -> Result<Message, Refusal> {
        let mut buffer = [0u8; 4096];
        loop {
            if let Some(message) = Message::parse(&mut self.received)? {
                return Ok(message);
            }
            if self.received.len() > LONGEST {
                return Err(Refusal::Strange);
            }
            match self.wire.read(&mut buffer).map_err(Refusal::Connection)? {
                0 => return Err(Refusal::Connection(io::ErrorKind::UnexpectedEof.into())),
                count => self.received.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

fn other_login() -> Refusal {
    Refusal::Login("it wants another way to log in than a password (GSSAPI, SSPI, a certificate)".to_owned())
}

/// The server could not show that it knows the password, too.
fn not_the_server() -> Refusal {
    Refusal::Login("the login went wrong: whoever answers does not know this password".to_owned())
}

/// `password authentication failed for user "orders" (28P01)`.
fn refusal(body: &ErrorResponseBody) -> String {
    let (mut message, mut code) = (String::new(), String::new());
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        let value = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'M' => message = value,
            b'C' => code = value,
            _ => {}
        }
    }
    format!("{message} ({code})")
}
