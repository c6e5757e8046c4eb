//! The vendor's upstream: the real distribution registry on the loopback address, with the payload's images in it.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use sealift_bundle::{layout, oci::Descriptor, testing::ClosedPort};
use ureq::{Agent, http::StatusCode};

use super::image::Image;

/// How long a registry may take to answer for the first time.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long one answer may take while the registry starts: another program on its port may never answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// Time between two looks at whether it answers.
const START_PAUSE: Duration = Duration::from_millis(20);
/// How long it may take to end by itself before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running registry; it ends when this is dropped, or when the thread that started it ends.
#[derive(Debug)]
pub struct Registry {
    address: SocketAddr,
    _process: Process,
    /// What was pushed, and what was there already.
    pub pushed: Pushed,
}

/// What a push did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Images whose manifest was sent.
    pub images: usize,
    /// Images that were there.
    pub skipped: usize,
    /// Bytes of blobs sent.
    pub bytes: u64,
}

impl Registry {
    /// Starts `program` over the folder `storage` on `port` of 127.0.0.1 (0: any free one), and pushes what is missing.
    pub fn start(program: &Path, storage: &Path, port: u16, images: &[Image]) -> Result<Self> {
        fs::create_dir_all(storage).with_context(|| format!("create {}", storage.display()))?;
        let (address, process) = match port {
            // Held until the registry has it.
            0 => start_at(program, storage, ClosedPort::hold().address())?,
            port => start_at(program, storage, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?,
        };
        let mut registry = Self { address, _process: process, pushed: Pushed::default() };
        for image in images {
            registry
                .push(image)
                .with_context(|| format!("push {} to the registry at {address}", image.reference))?;
        }
        Ok(registry)
    }

    /// Host and port, as image references have it: `127.0.0.1:5000`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Pushes `image` once more as `reference`, with a label in its config that makes it another one. `folder` is for the
    /// layout of it.
    pub fn push_relabelled(&mut self, image: &Image, reference: &str, folder: &Path) -> Result<()> {
        self.push(&image.relabelled(reference, folder)?)
    }

    fn push(&mut self, image: &Image) -> Result<()> {
        let (name, tag) = image.reference.rsplit_once(':').context("the reference has no tag")?;
        let base = format!("http://{}/v2/{name}", self.address);
        let agent = agent(None);
        let present =
            agent.head(format!("{base}/manifests/{tag}")).header("Accept", &image.media_type).call()?;
        let digest = present.headers().get("Docker-Content-Digest").and_then(|value| value.to_str().ok());
        if present.status() == StatusCode::OK && digest == Some(image.digest.as_str()) {
            self.pushed.skipped += 1;
            return Ok(());
        }
        for blob in &image.blobs {
            self.pushed.bytes += push_blob(&agent, self.address, &base, &image.folder, blob)?;
        }
        // An index is taken only when what it names is there.
        let named = image.manifests.iter().map(|of| (of.digest.as_str(), &of.digest, &of.media_type));
        for (name, digest, media_type) in named.chain([(tag, &image.digest, &image.media_type)]) {
            let manifest = fs::read(layout::blob_path(&image.folder, digest)?)?;
            let answer =
                agent.put(format!("{base}/manifests/{name}")).content_type(media_type).send(&manifest)?;
            expect(&answer, StatusCode::CREATED, "manifest")?;
        }
        self.pushed.images += 1;
        Ok(())
    }
}

/// Sends one blob unless it is there; the bytes sent.
fn push_blob(
    agent: &Agent,
    address: SocketAddr,
    base: &str,
    folder: &Path,
    blob: &Descriptor,
) -> Result<u64> {
    if agent.head(format!("{base}/blobs/{}", blob.digest)).call()?.status() == StatusCode::OK {
        return Ok(0);
    }
    let begun = agent.post(format!("{base}/blobs/uploads/")).send_empty()?;
    expect(&begun, StatusCode::ACCEPTED, "upload")?;
    let location = begun
        .headers()
        .get("Location")
        .and_then(|value| value.to_str().ok())
        .context("the registry named no place to upload to")?;
    let location = match location.strip_prefix('/') {
        Some(path) => format!("http://{address}/{path}"),
        None => location.to_owned(),
    };
    let separator = if location.contains('?') { '&' } else { '?' };
    let path = layout::blob_path(folder, &blob.digest)?;
    let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
    let answer = agent
        .put(format!("{location}{separator}digest={}", blob.digest))
        .content_type("application/octet-stream")
        .send(file)?;
    expect(&answer, StatusCode::CREATED, "blob")?;
    Ok(blob.size)
}

fn expect(answer: &ureq::http::Response<ureq::Body>, wanted: StatusCode, what: &str) -> Result<()> {
    if answer.status() != wanted {
        bail!("the registry answered {} to a {what}", answer.status());
    }
    Ok(())
}

/// A client that never goes through a proxy: the registry is on this machine.
fn agent(limit: Option<Duration>) -> Agent {
    Agent::config_builder().proxy(None).http_status_as_error(false).timeout_global(limit).build().new_agent()
}

fn start_at(program: &Path, storage: &Path, address: SocketAddr) -> Result<(SocketAddr, Process)> {
    let folder = tempfile::tempdir().context("create a folder for the registry's settings")?;
    let (settings, messages) = (folder.path().join("config.json"), folder.path().join("messages"));
    fs::write(&settings, configuration(storage, address).to_string())?;
    let log = File::create(&messages)?;
    // setpriv lets the kernel end the registry when we are killed and cannot.
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .arg("serve")
        .arg(&settings)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("start {}", program.display()))?;
    let mut process = Process { child, messages, _folder: folder };
    process.wait_until_answering(address)?;
    Ok((address, process))
}

/// JSON is YAML too.
fn configuration(storage: &Path, address: SocketAddr) -> serde_json::Value {
    serde_json::json!({
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": true}},
        "storage": {"filesystem": {"rootdirectory": storage}, "delete": {"enabled": false}},
        "http": {"addr": address.to_string()},
    })
}

/// The registry's process with its settings.
#[derive(Debug)]
struct Process {
    child: Child,
    messages: PathBuf,
    _folder: tempfile::TempDir,
}

impl Process {
    fn wait_until_answering(&mut self, address: SocketAddr) -> Result<()> {
        let (start, agent) = (Instant::now(), agent(Some(ANSWER_LIMIT)));
        loop {
            // Looked at before the answer, which could be that of another program on the same port.
            if let Some(status) = self.child.try_wait()? {
                bail!("the registry at {address} ended with {status}\n{}", self.log());
            }
            let answer = agent.get(format!("http://{address}/v2/")).call();
            if answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
                && self.child.try_wait()?.is_none()
            {
                return Ok(());
            }
            if start.elapsed() > START_LIMIT {
                bail!("the registry at {address} did not answer in {START_LIMIT:?}\n{}", self.log());
            }
            thread::sleep(START_PAUSE);
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.messages).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Asked first, so that no upload stays half-way; it keeps nothing else in memory.
        if let Some(id) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let start = Instant::now();
        while start.elapsed() < STOP_LIMIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(START_PAUSE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
