//! A registry that misbehaves on demand, the real one behind a proxy that does, and a vendor's folder to build from.
// Each test program uses a part; what fails here fails a test.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod fault_proxy;
pub mod upstream;
pub mod vendor;
pub mod wire;

use std::collections::BTreeMap;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bundle_builder::cache::Content;
use bundle_builder::progress::Progress;
use sealift_bundle::digest::digest_of;
use upstream::Door;
use wire::{Head, Stream, listen};

/// What to do with the next request for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answer with this status.
    Status(u16),
    /// Announce everything, close after this many bytes.
    Truncate(usize),
    /// Flip a bit of the first byte.
    Corrupt,
    /// Answer a range with everything.
    IgnoreRange,
    /// Send this many bytes more than there are.
    Longer(usize),
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub path: String,
    /// First byte asked for.
    pub from: usize,
}

/// Media type and content.
type Entry = (String, Arc<Vec<u8>>);

/// What is done before an answer.
type Call = dyn Fn() + Send + Sync;

#[derive(Default)]
pub struct State {
    /// By path.
    content: BTreeMap<String, Entry>,
    faults: BTreeMap<String, Vec<Fault>>,
    calls: BTreeMap<String, Arc<Call>>,
    seen: Vec<Seen>,
}

/// A registry in this process, on loopback, over plain HTTP.
pub struct FakeRegistry {
    address: String,
    state: Arc<Mutex<State>>,
}

impl FakeRegistry {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let address = listen(None, move |reader| serve(reader, &shared, &Door::open()));
        Self { address, state }
    }

    /// Writes a mirrors file that leads all of `registries` here.
    pub fn mirrors(&self, folder: &Path, registries: &[&str]) -> PathBuf {
        upstream::write_mirrors(folder, &self.address, None, registries)
    }

    /// What it holds, for another server.
    fn shared(&self) -> Arc<Mutex<State>> {
        Arc::clone(&self.state)
    }

    /// What it holds, by path.
    fn all(&self) -> BTreeMap<String, Entry> {
        self.state.lock().unwrap().content.clone()
    }

    fn put(&self, path: String, media_type: &str, content: &[u8]) {
        let entry = (media_type.to_owned(), Arc::new(content.to_vec()));
        self.state.lock().unwrap().content.insert(path, entry);
    }

    /// A blob in the repository of `image` (registry/repository, without tag).
    pub fn push_blob(&self, repository: &str, content: &[u8]) -> Content {
        let digest = digest_of(content);
        self.put(format!("/v2/{repository}/blobs/{digest}"), BLOB, content);
        Content { digest, size: content.len() as u64 }
    }

    /// A manifest under its tag and digest.
    pub fn push_manifest(&self, repository: &str, tag: &str, media_type: &str, content: &[u8]) -> String {
        let digest = digest_of(content);
        for name in [tag, &digest] {
            self.put(format!("/v2/{repository}/manifests/{name}"), media_type, content);
        }
        digest
    }

    /// What the referrers API lists for `subject`.
    pub fn push_referrers(&self, repository: &str, subject: &str, list: &[u8]) {
        self.put(format!("/v2/{repository}/referrers/{subject}"), INDEX, list);
    }

    /// An image for one platform with these layers; its manifest's content.
    pub fn push_image(&self, name: &str, architecture: &str, layers: &[&[u8]]) -> String {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let config = format!(r#"{{"os":"linux","architecture":"{architecture}","made for":"{name}"}}"#);
        let config = self.push_blob(repository, config.as_bytes());
        let layers: Vec<String> = layers
            .iter()
            .map(|layer| {
                descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &self.push_blob(repository, layer))
            })
            .collect();
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{},"layers":[{}]}}"#,
            descriptor("application/vnd.oci.image.config.v1+json", &config),
            layers.join(",")
        );
        self.push_manifest(repository, tag, MANIFEST, manifest.as_bytes());
        manifest
    }

    /// An index over images for several platforms; each has one layer of its own.
    pub fn push_index(&self, name: &str, architectures: &[&str]) -> String {
        let (repository, tag) = name.rsplit_once(':').unwrap();
        let manifests: Vec<String> = architectures
            .iter()
            .map(|architecture| {
                let layer = format!("layer of {name} for {architecture}");
                let manifest = self.push_image(
                    &format!("{repository}:{architecture}"),
                    architecture,
                    &[layer.as_bytes()],
                );
                let content = Content { digest: digest_of(manifest.as_bytes()), size: manifest.len() as u64 };
                let plain = descriptor(MANIFEST, &content);
                format!(
                    r#"{},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#,
                    plain.trim_end_matches('}')
                )
            })
            .collect();
        let index =
            format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, manifests.join(","));
        self.push_manifest(repository, tag, INDEX, index.as_bytes());
        index
    }

    /// The next requests for the blob fail like this, in this order.
    pub fn fail_blob(&self, repository: &str, digest: &str, faults: &[Fault]) {
        let path = format!("/v2/{repository}/blobs/{digest}");
        self.state.lock().unwrap().faults.insert(path, faults.to_vec());
    }

    /// The next requests for the manifest fail like this, in this order.
    pub fn fail_manifest(&self, repository: &str, name: &str, faults: &[Fault]) {
        let path = format!("/v2/{repository}/manifests/{name}");
        self.state.lock().unwrap().faults.insert(path, faults.to_vec());
    }

    /// A file outside of any repository, as a web server has it; its URL.
    pub fn push_file(&self, name: &str, content: &[u8]) -> String {
        self.put(format!("/files/{name}"), "application/octet-stream", content);
        format!("http://{}/files/{name}", self.address)
    }

    /// The next requests for the file fail like this, in this order.
    pub fn fail_file(&self, name: &str, faults: &[Fault]) {
        self.state.lock().unwrap().faults.insert(format!("/files/{name}"), faults.to_vec());
    }

    /// Does this before it answers the next request for `path`.
    pub fn before(&self, path: &str, call: impl Fn() + Send + Sync + 'static) {
        self.state.lock().unwrap().calls.insert(path.to_owned(), Arc::new(call));
    }

    /// Requests for files so far.
    pub fn file_requests(&self) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|seen| seen.path.starts_with("/files/")).cloned().collect()
    }

    /// Requests for blobs so far.
    pub fn blob_requests(&self) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|seen| seen.path.contains("/blobs/")).cloned().collect()
    }
}

pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BLOB: &str = "application/octet-stream";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn descriptor(media_type: &str, content: &Content) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, content.digest, content.size)
}

/// Answers requests until the client closes the connection.
fn serve(mut reader: BufReader<Stream>, state: &Mutex<State>, door: &Door) {
    loop {
        let Some(head) = Head::read(&mut reader) else {
            // As servers answer what is no HTTP, e.g. a client that begins with TLS.
            let _ = reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
            reader.get_ref().cut();
            return;
        };
        let path = head.second().split('?').next().unwrap().to_owned();
        let from = head.from().map(|from| usize::try_from(from).unwrap());
        if let Some(challenge) = door.challenge(&head) {
            let answer =
                format!("HTTP/1.1 401 No\r\nwww-authenticate: {challenge}\r\ncontent-length: 0\r\n\r\n");
            if reader.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
            continue;
        }
        let call = {
            let mut state = state.lock().unwrap();
            state.seen.push(Seen { path: path.clone(), from: from.unwrap_or(0) });
            state.calls.remove(&path)
        };
        if let Some(call) = call {
            call();
        }
        let (content, fault) = {
            let mut state = state.lock().unwrap();
            let fault = state
                .faults
                .get_mut(&path)
                .filter(|faults| !faults.is_empty())
                .map(|faults| faults.remove(0));
            (state.content.get(&path).cloned(), fault)
        };
        let goes_on = answer(reader.get_mut(), content, from, fault) && !head.first.ends_with("HTTP/1.0");
        if !goes_on {
            reader.get_ref().cut();
            return;
        }
    }
}

/// Whether the connection can go on.
fn answer(stream: &mut Stream, content: Option<Entry>, from: Option<usize>, fault: Option<Fault>) -> bool {
    let digest = match &content {
        Some((media_type, content)) if media_type != BLOB => {
            format!("docker-content-digest: {}\r\n", digest_of(content))
        }
        _ => String::new(),
    };
    let mut send = |status: &str, media_type: &str, length: usize, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\n{digest}content-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).is_ok()
            && length == body.len()
    };
    if let Some(Fault::Status(status)) = fault {
        return send(&format!("{status} Fault"), "text/plain", 5, b"fault");
    }
    let Some((media_type, body)) = content else {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not here"}]}"#;
        return send("404 Not Found", "application/json", body.len(), body);
    };
    let mut status = "200 OK";
    let mut body = &body[..];
    if let Some(from) = from.filter(|_| fault != Some(Fault::IgnoreRange)) {
        if from >= body.len() {
            return send("416 Range Not Satisfiable", "text/plain", 0, b"");
        }
        body = &body[from..];
        status = "206 Partial Content";
    }
    let changed = |change: fn(&mut Vec<u8>, usize), count| {
        let mut body = body.to_vec();
        change(&mut body, count);
        body
    };
    match fault {
        Some(Fault::Truncate(count)) => {
            send(status, &media_type, body.len(), &body[..count]);
            false
        }
        Some(Fault::Corrupt) => {
            let body = changed(|body, _| body[0] ^= 1, 0);
            send(status, &media_type, body.len(), &body)
        }
        Some(Fault::Longer(count)) => {
            let body = changed(|body, count| body.resize(body.len() + count, 0), count);
            send(status, &media_type, body.len(), &body)
        }
        _ => send(status, &media_type, body.len(), body),
    }
}

/// Remembers what was said.
#[derive(Debug, Default)]
pub struct Notes(pub Mutex<Vec<String>>);

impl Notes {
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Notes {
    fn note(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }

    fn advance(&self, _: &str, _: u64, _: u64) {}
}

/// Bytes that do not compress and differ by `seed`.
pub fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(count).collect()
}
