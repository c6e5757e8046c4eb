//! A fake of the services that a site has for logs and measurements: it takes what Loki and Prometheus take, wants a
//! login, and keeps all of it in a file.
//!
//! Runs at the seat as a process of its own, from the lab's copy of this program; it belongs to the lab as the hosts do.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::lab::{Lab, SEAT, run};
use crate::wait::until_true;

const PORT: u16 = 3100;
const LOGS: &str = "/loki/api/v1/push";
const METRICS: &str = "/api/v1/write";
/// `orders:the-password-of-the-receiver`, as HTTP's basic login has it.
const LOGIN: &str = "Basic b3JkZXJzOnRoZS1wYXNzd29yZC1vZi10aGUtcmVjZWl2ZXI=";
const PASSWORD: &str = "the-password-of-the-receiver";
/// Largest body that is taken, bytes.
const LARGEST: usize = 4 << 20;
/// Far longer than it takes to start.
const WITHIN: Duration = Duration::from_mins(1);

/// The site's receiver.
pub struct SiteReceiver<'a> {
    lab: &'a Lab,
}

impl<'a> SiteReceiver<'a> {
    /// Starts it where it does not run, and waits until it answers.
    pub fn start(lab: &'a Lab) -> Result<Self> {
        let receiver = Self { lab };
        if receiver.answers().is_ok() {
            return Ok(receiver);
        }
        let path = lab.seat_home().join(".sealift/receiver-password");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        writeln!(file, "{PASSWORD}")?;
        let program = lab.folder().join("supervisor").display().to_string();
        let folder = lab.folder().display().to_string();
        let words = ["setsid", "--fork", &program, "lab", "receive", "--folder", &folder];
        let status = lab
            .seat_command(&words)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("cannot start setsid")?;
        ensure!(status.success(), "the receiver did not start: {status}");
        until_true("the receiver answers", WITHIN, || receiver.answers().map(|()| true))?;
        Ok(receiver)
    }

    /// The part of a profile below `services:` that names it.
    pub fn profile() -> String {
        let one = |name: &str, path: &str| {
            format!(
                "  {name}:\n    url: http://{SEAT}:{PORT}{path}\n    user: orders\n    \
                 password: {{file: ~/.sealift/receiver-password}}\n"
            )
        };
        one("logs", LOGS) + &one("metrics", METRICS)
    }

    /// Bodies that came for logs, and for measurements.
    pub fn received(&self) -> Result<[Vec<u8>; 2]> {
        let read = |path: &str| match fs::read(kept(self.lab.folder(), path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other.context("cannot read what the receiver keeps"),
        };
        Ok([read(LOGS)?, read(METRICS)?])
    }

    fn answers(&self) -> Result<()> {
        let url = format!("http://{SEAT}:{PORT}/");
        run(&mut self.lab.seat_command(&[
            "curl",
            "--silent",
            "--max-time",
            "5",
            "--output",
            "/dev/null",
            &url,
        ]))
        .map(drop)
    }
}

/// Where bodies for a path are kept.
fn kept(folder: &Path, path: &str) -> PathBuf {
    folder.join(format!("received{}", path.replace('/', "-")))
}

/// The receiver's own life, at the seat.
pub fn serve(folder: &Path) -> Result<()> {
    let listener = TcpListener::bind((SEAT, PORT)).with_context(|| format!("port {PORT} is not free"))?;
    for visitor in listener.incoming() {
        let (folder, visitor) = (folder.to_owned(), visitor?);
        // Whoever goes away or sends nonsense is left alone.
        std::thread::spawn(move || drop(converse(&folder, visitor)));
    }
    Ok(())
}

fn converse(folder: &Path, visitor: TcpStream) -> Result<()> {
    visitor.set_read_timeout(Some(WITHIN))?;
    let mut reader = BufReader::new(visitor);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let (mut length, mut known) = (0usize, false);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse()?,
                "authorization" => known = value == LOGIN,
                _ => {}
            }
        }
        ensure!(length <= LARGEST, "too large");
        let mut body = vec![0u8; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, said) = answer(method, path, known);
        if status.starts_with("204") {
            let mut file = fs::OpenOptions::new().append(true).create(true).open(kept(folder, path))?;
            file.write_all(&[&body[..], b"\n"].concat())?;
        }
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{said}", said.len());
        reader.get_mut().write_all(head.as_bytes())?;
    }
}

/// As Loki and Prometheus answer, as far as anybody here asks.
fn answer(method: &str, path: &str, known: bool) -> (&'static str, &'static str) {
    match (method, path) {
        _ if !known => ("401 Unauthorized", ""),
        ("POST", LOGS | METRICS) => ("204 No Content", ""),
        ("GET", LOGS | METRICS) => ("405 Method Not Allowed", ""),
        ("GET", "/loki/api/v1/status/buildinfo") => ("200 OK", r#"{"version": "3.5.0"}"#),
        ("GET", "/api/v1/status/buildinfo") => ("200 OK", r#"{"data": {"version": "3.6.1"}}"#),
        _ => ("404 Not Found", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_is_known_may_leave_something() {
        assert_eq!(answer("POST", LOGS, false).0, "401 Unauthorized");
        assert_eq!(answer("POST", METRICS, true).0, "204 No Content");
        assert_eq!(answer("GET", LOGS, true).0, "405 Method Not Allowed");
        assert_eq!(answer("GET", "/elsewhere", true).0, "404 Not Found");
    }
}
