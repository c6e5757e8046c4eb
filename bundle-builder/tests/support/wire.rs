//! HTTP/1.1 as far as registries in tests need it, with and without TLS.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// A CA of its own, and a certificate of it for 127.0.0.1.
pub struct Certificates {
    folder: tempfile::TempDir,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Certificates {
    pub fn new() -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let root = authority.self_signed(&authority_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(authority, authority_key);
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let own = own.signed_by(&key, &issuer).unwrap();

        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("ca.pem", root.pem()), ("server.pem", own.pem()), ("key.pem", key.serialize_pem())]
        {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(own.der().to_vec())],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(root.der().to_vec())).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { folder, server: Arc::new(server), client: Arc::new(client) }
    }

    /// The CA's certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The server's certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("server.pem")
    }

    /// The server's key.
    pub fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }
}

/// A connection.
pub enum Stream {
    Plain(TcpStream),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// Connects to `address` (host and port), with TLS where there are certificates.
    pub fn connect(address: &str, certificates: Option<&Certificates>) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        let Some(certificates) = certificates else { return Ok(Self::Plain(stream)) };
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::clone(&certificates.client), name).unwrap();
        Ok(Self::Client(Box::new(StreamOwned::new(connection, stream))))
    }

    /// Ends it at once, without a word.
    pub fn cut(&self) {
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Server(stream) => &stream.sock,
            Self::Client(stream) => &stream.sock,
        };
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Server(stream) => stream.read(buffer),
            Self::Client(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(buffer),
            Self::Server(stream) => stream.write(buffer),
            Self::Client(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Server(stream) => stream.flush(),
            Self::Client(stream) => stream.flush(),
        }
    }
}

/// Listens on loopback and hands each connection to `handle` on a thread of its own; host and port.
pub fn listen(
    certificates: Option<&Certificates>,
    handle: impl Fn(BufReader<Stream>) + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = certificates.map(|certificates| Arc::clone(&certificates.server));
    let handle = Arc::new(handle);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let stream = match &server {
                None => Stream::Plain(stream),
                Some(server) => {
                    let connection = ServerConnection::new(Arc::clone(server)).unwrap();
                    Stream::Server(Box::new(StreamOwned::new(connection, stream)))
                }
            };
            let handle = Arc::clone(&handle);
            std::thread::spawn(move || handle(BufReader::new(stream)));
        }
    });
    address
}

/// A server that says to each request what `answer` makes of it: its address, and the requests that came.
pub fn answering(
    certificates: Option<&Certificates>,
    answer: impl Fn(&Head) -> String + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Head>>>) {
    let seen: Arc<Mutex<Vec<Head>>> = Arc::default();
    let shared = Arc::clone(&seen);
    let address = listen(certificates, move |mut reader| {
        while let Some(head) = Head::read(&mut reader) {
            let answer = answer(&head);
            shared.lock().unwrap().push(head);
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (address, seen)
}

/// The first line of a request or an answer, and its headers.
#[derive(Debug, Clone)]
pub struct Head {
    pub first: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Nothing when the other side has gone.
    pub fn read(reader: &mut impl BufRead) -> Option<Self> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let headers = lines.get(1..)?.iter().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        });
        Some(Self { first: lines.first()?.clone(), headers: headers.collect() })
    }

    /// The second word: a request's path, an answer's status.
    pub fn second(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or_default()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|(key, _)| key != name);
    }

    /// The first byte that a request asks for.
    pub fn from(&self) -> Option<u64> {
        self.get("range")?.strip_prefix("bytes=")?.trim_end_matches('-').parse().ok()
    }

    pub fn length(&self) -> Option<u64> {
        self.get("content-length")?.parse().ok()
    }

    pub fn write(&self, stream: &mut impl Write) -> io::Result<()> {
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
        let headers: Vec<String> = headers.collect();
        stream.write_all(format!("{}\r\n{}\r\n", self.first, headers.concat()).as_bytes())
    }
}
