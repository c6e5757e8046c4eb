//! Requests and answers of the distribution specification's pull half.

use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use percent_encoding::percent_decode_str;
use sealift_bundle::digest;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::index::Store;
use crate::range::{self, Part};

/// Bytes read from disk at a time.
const CHUNK: usize = 512 << 10;
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

pub(crate) fn service(store: Arc<Store>) -> Router {
    Router::new().fallback(answer).with_state(store)
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Base,
    Manifest { name: String, reference: String },
    Blob { digest: String },
    Tags { name: String },
}

async fn answer(State(store): State<Arc<Store>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let head = parts.method == Method::HEAD;
    if !head && parts.method != Method::GET {
        let mut refused =
            problem(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "this registry is read-only");
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let response = match parse_path(parts.uri.path()) {
        None => problem(StatusCode::NOT_FOUND, "NAME_UNKNOWN", "no such path"),
        Some(Wanted::Base) => json(StatusCode::OK, "{}".to_owned()),
        Some(Wanted::Manifest { name, reference }) => {
            let ns = parts.uri.query().and_then(namespace);
            // Disks may be slow; other requests must not wait for them.
            let looked_up =
                tokio::task::spawn_blocking(move || manifest(&store, ns.as_deref(), &name, &reference));
            looked_up.await.unwrap_or_else(|error| broken(&error))
        }
        Some(Wanted::Tags { name }) => tags(&store, parts.uri.query().and_then(namespace).as_deref(), &name),
        Some(Wanted::Blob { digest }) => {
            blob(&store, &digest, &parts.headers).unwrap_or_else(|error| broken(&error))
        }
    };
    if head { without_body(response) } else { response }
}

/// Splits `/v2/NAME/manifests/REFERENCE`, `/v2/NAME/blobs/DIGEST` and `/v2/NAME/tags/list`; names have any number of parts.
fn parse_path(path: &str) -> Option<Wanted> {
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let rest = path.strip_prefix("/v2")?;
    if rest.is_empty() || rest == "/" {
        return Some(Wanted::Base);
    }
    let mut parts = rest.strip_prefix('/')?.rsplitn(3, '/');
    let (last, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
    if last.is_empty() || name.split('/').any(|part| part.is_empty() || part == "..") {
        return None;
    }
    match kind {
        "manifests" => Some(Wanted::Manifest { name: name.to_owned(), reference: last.to_owned() }),
        "tags" if last == "list" => Some(Wanted::Tags { name: name.to_owned() }),
        "blobs" => Some(Wanted::Blob { digest: last.to_owned() }),
        _ => None,
    }
}

/// The upstream registry that a mirror request stands for.
fn namespace(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("ns="))?;
    percent_decode_str(value).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn manifest(store: &Store, ns: Option<&str>, name: &str, reference: &str) -> Response {
    let unknown = || {
        let from = ns.map(|ns| format!(" of {ns}")).unwrap_or_default();
        let message = format!("{name}:{reference}{from} is not in this store");
        problem(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", &message)
    };
    let digest = if digest::is_valid(reference) {
        Some(reference.to_owned())
    } else {
        store.resolve(ns, name, reference)
    };
    let Some(digest) = digest else { return unknown() };
    match store.manifest(&digest) {
        Ok(None) => unknown(),
        Err(error) => broken(&error),
        Ok(Some(manifest)) => {
            let length = manifest.content.len() as u64;
            let mut response = Response::new(Body::from(manifest.content));
            describe(&mut response, &manifest.media_type, &manifest.digest, length);
            response
        }
    }
}

fn tags(store: &Store, ns: Option<&str>, name: &str) -> Response {
    let tags = store.tags(ns, name);
    if tags.is_empty() {
        return problem(StatusCode::NOT_FOUND, "NAME_UNKNOWN", &format!("{name} is not in this store"));
    }
    json(StatusCode::OK, serde_json::json!({ "name": name, "tags": tags }).to_string())
}

fn blob(store: &Store, digest: &str, headers: &HeaderMap) -> io::Result<Response> {
    if !digest::is_valid(digest) {
        return Ok(problem(StatusCode::BAD_REQUEST, "DIGEST_INVALID", "not a sha256 digest"));
    }
    let Some((mut file, size)) = store.blob(digest)? else {
        return Ok(problem(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", &format!("{digest} is not in this store")));
    };
    let tag = format!("\"{digest}\"");
    let says = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if says(IF_NONE_MATCH) == Some(&tag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        insert(&mut response, ETAG, &tag);
        return Ok(response);
    }
    let wanted = says(RANGE).filter(|_| says(IF_RANGE).is_none_or(|condition| condition == tag));
    let (first, length, range) = match wanted.map_or(Part::Whole, |range| range::parse(range, size)) {
        Part::Whole => (0, size, None),
        Part::Range(first, last) => (first, last - first + 1, Some(format!("bytes {first}-{last}/{size}"))),
        Part::Unsatisfiable => {
            let mut response = problem(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "RANGE_INVALID",
                "nothing of the blob is in this range",
            );
            insert(&mut response, CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
    };
    file.seek(SeekFrom::Start(first))?;
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(length), CHUNK);
    let mut response = Response::new(Body::from_stream(stream));
    describe(&mut response, "application/octet-stream", digest, length);
    insert(&mut response, ACCEPT_RANGES, "bytes");
    if let Some(range) = range {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        insert(&mut response, CONTENT_RANGE, &range);
    }
    Ok(response)
}

fn describe(response: &mut Response, media_type: &str, digest: &str, length: u64) {
    insert(response, CONTENT_TYPE, media_type);
    insert(response, CONTENT_LENGTH, &length.to_string());
    insert(response, CONTENT_DIGEST, digest);
    insert(response, ETAG, &format!("\"{digest}\""));
    insert(response, API_VERSION, "registry/2.0");
}

fn insert(response: &mut Response, name: HeaderName, value: &str) {
    // A media type from a manifest may hold anything; one that no header can carry is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

fn json(status: StatusCode, text: String) -> Response {
    let length = text.len();
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    insert(&mut response, CONTENT_TYPE, "application/json");
    insert(&mut response, CONTENT_LENGTH, &length.to_string());
    insert(&mut response, API_VERSION, "registry/2.0");
    response
}

/// An error in the specification's form.
fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    json(status, body.to_string())
}

fn broken(error: &(dyn std::error::Error + 'static)) -> Response {
    tracing::error!(%error, "cannot answer");
    problem(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "the store cannot be read")
}

/// The same headers, its length among them.
fn without_body(response: Response) -> Response {
    let (parts, _) = response.into_parts();
    Response::from_parts(parts, Body::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let manifest = |name: &str, reference: &str| {
            Some(Wanted::Manifest { name: name.to_owned(), reference: reference.to_owned() })
        };
        assert_eq!(parse_path("/v2/"), Some(Wanted::Base));
        assert_eq!(parse_path("/v2"), Some(Wanted::Base));
        assert_eq!(parse_path("/v2/pause/manifests/3.10.2"), manifest("pause", "3.10.2"));
        assert_eq!(
            parse_path("/v2/coredns/coredns/manifests/v1.14.2"),
            manifest("coredns/coredns", "v1.14.2")
        );
        assert_eq!(parse_path("/v2/pause/tags/list"), Some(Wanted::Tags { name: "pause".to_owned() }));
        // A name may hold the words that the paths are made of.
        assert_eq!(parse_path("/v2/a/manifests/b/manifests/1"), manifest("a/manifests/b", "1"));
        let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            parse_path(&format!("/v2/x/blobs/{}", digest.replace(':', "%3A"))),
            Some(Wanted::Blob { digest: digest.to_owned() })
        );
        for nothing in
            ["/", "/v1/", "/v2x", "/v2/manifests/1", "/v2/a/tags/all", "/v2/../a/blobs/x", "/v2/a/blobs/"]
        {
            assert_eq!(parse_path(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn namespaces() {
        assert_eq!(namespace("ns=registry.k8s.io").as_deref(), Some("registry.k8s.io"));
        assert_eq!(namespace("a=b&ns=127.0.0.1%3A5000").as_deref(), Some("127.0.0.1:5000"));
        assert_eq!(namespace("a=b"), None);
    }
}
