//! The host fetches blobs from the registries of other hosts: several at a time, verified, going on after cuts.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sealift_plan::operation::Blob;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::context::{Context, Reporter};
use crate::file;
use crate::paths::Paths;
use crate::protocol::{BlobNeed, Failure, FailureKind, Outcome};
use crate::store::{Incoming, Store};

/// Blobs under way at the same time.
const STREAMS: usize = 4;
/// How long no byte at all may come from any source: a registry may still be starting or filling.
const PATIENCE: Duration = Duration::from_mins(2);
/// Pause before all sources are asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// Longest silence of a connection.
const SILENCE: Duration = Duration::from_secs(20);

pub(crate) fn apply(ctx: &Context<'_>, blobs: &[Blob], sources: &[String]) -> Result<Outcome, Failure> {
    if Store::at(ctx.paths().store()).missing(blobs)?.is_empty() {
        return Ok(Outcome::new(false, format!("the store has all {} blobs", blobs.len())));
    }
    fetch(ctx, blobs, sources, PATIENCE)
}

fn fetch(
    ctx: &Context<'_>,
    blobs: &[Blob],
    sources: &[String],
    patience: Duration,
) -> Result<Outcome, Failure> {
    let store = Store::open(ctx)?;
    let needs = store.missing(blobs)?;
    store.check_space(&needs)?;
    let fetch = Fetch {
        store: &store,
        sources,
        client: client(ctx.paths())?,
        patience,
        total: needs.iter().map(|need| need.blob.size - need.offset).sum(),
        received: AtomicU64::new(0),
        last_byte: Mutex::new(Instant::now()),
        queue: Mutex::new(needs.iter().enumerate().collect()),
        stop: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    let (paths, reporter, run, step) = (ctx.paths(), ctx.reporter(), ctx.run_id(), ctx.step_id());
    std::thread::scope(|scope| {
        for _ in 0..STREAMS.min(needs.len()) {
            scope.spawn(|| fetch.work(paths, reporter, run, step));
        }
    });
    if let Some(failure) = guard(&fetch.failure).take() {
        return Err(failure);
    }
    store.sync()?;
    let bytes = fetch.received.load(Ordering::Relaxed);
    Ok(Outcome { bytes, ..Outcome::new(true, format!("fetched {} blobs", needs.len())) })
}

/// HTTPS with the site's CA as the only trust, never through a proxy.
fn client(paths: &Paths) -> Result<ureq::Agent, Failure> {
    let path = paths.pki().join("site-ca.crt");
    let pem = file::read_if_exists(&path)?.ok_or_else(|| {
        Failure::new(
            FailureKind::Conflict,
            format!("{} is missing: the site's CA comes first", path.display()),
        )
    })?;
    let ca = Certificate::from_pem(&pem).map_err(|error| {
        Failure::other(format!("{} is not a certificate", path.display())).because(&error)
    })?;
    Ok(ureq::Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[ca])).build())
        .proxy(None)
        .https_only(true)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .max_idle_connections_per_host(STREAMS)
        .input_buffer_size(256 << 10)
        .build()
        .new_agent())
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Fetch<'a> {
    store: &'a Store,
    sources: &'a [String],
    client: ureq::Agent,
    patience: Duration,
    total: u64,
    received: AtomicU64,
    last_byte: Mutex<Instant>,
    queue: Mutex<VecDeque<(usize, &'a BlobNeed)>>,
    stop: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

/// Why a source did not give all it was asked for.
enum Trouble {
    /// Another may.
    Source(String),
    /// None can help.
    Here(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Here(failure)
    }
}

impl Fetch<'_> {
    fn work(&self, paths: &Paths, reporter: &dyn Reporter, run: &str, step: &str) {
        let ctx = Context::new(paths, reporter, run, step);
        loop {
            let next = guard(&self.queue).pop_front();
            let Some((position, need)) = next.filter(|_| !self.stop.load(Ordering::Relaxed)) else { return };
            if let Err(failure) = self.bring(&ctx, position, &need.blob) {
                // The first failure is the one to tell; the others follow from stopping.
                if !self.stop.swap(true, Ordering::Relaxed) {
                    guard(&self.failure).get_or_insert(failure);
                }
                return;
            }
        }
    }

    /// Brings one blob. Wrong bytes are thrown away and asked for elsewhere: once for each source, and once for a
    /// partial that was wrong before.
    fn bring(&self, ctx: &Context<'_>, position: usize, blob: &Blob) -> Result<(), Failure> {
        for attempt in 0.. {
            let Some(mut incoming) = self.store.begin(ctx, blob)? else { return Ok(()) };
            let source = self.fill(ctx, position + attempt, &mut incoming)?;
            match incoming.finish() {
                Ok(()) => return Ok(()),
                Err(failure) if failure.kind == FailureKind::Verification && attempt < self.sources.len() => {
                    tracing::warn!(blob = blob.digest, ?source, "a blob came damaged; asking elsewhere");
                }
                Err(failure) => return Err(failure.cause(format!("the last part came from {source:?}"))),
            }
        }
        Ok(())
    }

    /// Asks the sources in turn until all bytes are there. Gives the source of the last ones.
    fn fill(
        &self,
        ctx: &Context<'_>,
        first: usize,
        incoming: &mut Incoming,
    ) -> Result<Option<&str>, Failure> {
        let mut said = BTreeMap::new();
        let mut last = None;
        loop {
            for turn in 0..self.sources.len() {
                if incoming.complete() {
                    return Ok(last);
                }
                ctx.still_wanted()?;
                let source = self.sources[(first + turn) % self.sources.len()].as_str();
                last = Some(source);
                match self.stream(ctx, source, incoming) {
                    Ok(()) => {}
                    Err(Trouble::Source(why)) => drop(said.insert(source, why)),
                    Err(Trouble::Here(failure)) => return Err(failure),
                }
            }
            if incoming.complete() {
                return Ok(last);
            }
            if self.stop.load(Ordering::Relaxed) || guard(&self.last_byte).elapsed() >= self.patience {
                return Err(self.given_up(incoming, &said));
            }
            ctx.progress(
                "waiting for a master that has the next blob",
                self.received.load(Ordering::Relaxed),
                self.total,
            );
            std::thread::sleep(PAUSE);
        }
    }

    fn given_up(&self, incoming: &Incoming, said: &BTreeMap<&str, String>) -> Failure {
        let digest = &incoming.blob().digest;
        let seconds = self.patience.as_secs();
        let failure = Failure::new(
            FailureKind::Network,
            format!("no master gave the blob {digest}, and nothing came for {seconds} s"),
        )
        .hint("check that the masters' registries run (`systemctl status sealift-registry`) and that this host reaches them");
        said.iter().fold(failure, |failure, (source, why)| failure.cause(format!("{source}: {why}")))
    }

    /// Takes from one source what it gives.
    fn stream(&self, ctx: &Context<'_>, source: &str, incoming: &mut Incoming) -> Result<(), Trouble> {
        let trouble = |error: &dyn std::error::Error| Trouble::Source(error.to_string());
        let mut request = self.client.get(format!("{source}/v2/sealift/blobs/{}", incoming.blob().digest));
        let offset = incoming.offset();
        if offset > 0 {
            request = request.header("Range", format!("bytes={offset}-"));
        }
        let mut response = request.call().map_err(|error| trouble(&error))?;
        match response.status().as_u16() {
            200 if offset > 0 => incoming.restart()?,
            200 => {}
            206 => {
                let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
                if !range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-"))) {
                    return Err(Trouble::Source(format!("answered with another range: {range:?}")));
                }
            }
            404 => return Err(Trouble::Source("does not have it yet".to_owned())),
            other => return Err(Trouble::Source(format!("answered with status {other}"))),
        }
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0u8; 256 << 10];
        loop {
            let count = body.read(&mut buffer).map_err(|error| trouble(&error))?;
            if count == 0 {
                break;
            }
            ctx.still_wanted()?;
            incoming.write(&buffer[..count])?;
            *guard(&self.last_byte) = Instant::now();
            let received = self.received.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            ctx.progress("fetching blobs from the masters", received, self.total);
        }
        if incoming.complete() { Ok(()) } else { Err(Trouble::Source("ended too early".to_owned())) }
    }
}

#[cfg(test)]
mod tests;
