//! Real programs of the payload: the distribution registry and Helm.
//!
//! They are taken from the cache of `cargo xtask payload` where they are there, else built from the same pins.
// Each test program uses a part; what fails here fails a test.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One build at a time.
static BUILDING: Mutex<()> = Mutex::new(());

/// The real Helm.
pub fn helm() -> PathBuf {
    program("helm", "helm")
}

/// The program `name` of the payload's part `part`.
pub fn program(part: &str, name: &str) -> PathBuf {
    let _alone = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    in_cache(part, name).unwrap_or_else(|| built(part, name))
}

/// The newest one in the cache.
fn in_cache(part: &str, name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("SEALIFT_CACHE").map_or_else(|| "/var/cache/sealift".into(), PathBuf::from);
    let builds = std::fs::read_dir(cache.join("payload").join(part)).ok()?;
    let programs = builds.flatten().map(|build| build.path().join(name)).filter(|path| path.is_file());
    programs.max_by_key(|path| path.metadata().and_then(|data| data.modified()).ok())
}

/// Built from the payload's pins, once per target folder.
fn built(part: &str, name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(part);
    let program = target.join(name);
    if !program.is_file() {
        let status = Command::new("go")
            .args(["build", "-mod=readonly", "-trimpath", "-o"])
            .arg(target.join(""))
            .arg("tool")
            .current_dir(root.join("vm-tests/payload/go").join(part))
            .envs([("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOWORK", "off")])
            .status()
            .expect("Go is needed to build the tests' tools");
        assert!(status.success(), "{part} cannot be built");
    }
    program
}

/// The real distribution registry on loopback, over plain HTTP; it ends with its value.
pub struct Registry {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Registry {
    pub fn start() -> Self {
        let program = program("distribution", "registry");
        // The port is free again when the listener goes, and someone else may be faster.
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            if let Some(registry) = Self::start_at(&program, &address) {
                return registry;
            }
        }
        panic!("the registry found no port");
    }

    fn start_at(program: &Path, address: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let storage = folder.path().join("storage");
        // JSON is YAML, too.
        let settings = serde_json::json!({
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": storage}},
            "http": {"addr": address},
        });
        let file = folder.path().join("settings.yaml");
        std::fs::write(&file, settings.to_string()).unwrap();
        let child = Command::new(program)
            .arg("serve")
            .arg(&file)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut registry = Self { child, address: address.to_owned(), _folder: folder };
        registry.answers().then_some(registry)
    }

    /// Waits for its first answer; false when it ended instead.
    fn answers(&mut self) -> bool {
        let start = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            if self.is_there() && self.child.try_wait().unwrap().is_none() {
                return true;
            }
            assert!(start.elapsed() < Duration::from_mins(1), "the registry at {} is silent", self.address);
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn is_there(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(&self.address) else { return false };
        let request = format!("GET /v2/ HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.contains(" 200 ")
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
