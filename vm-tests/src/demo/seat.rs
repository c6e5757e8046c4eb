//! The field engineer's place: a folder with the installer, the bundle, the vendor's key and the site profile.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bundle::Made;
use crate::lab::Lab;
use crate::programs::{self, Programs};
use crate::stage::Show;

/// The seat of a lab, ready to install from.
pub struct Seat<'a> {
    lab: &'a Lab,
}

impl<'a> Seat<'a> {
    /// Puts everything in place. What is there with the same content is left alone.
    pub fn prepare(lab: &'a Lab, programs: &Programs, made: &Made) -> Result<Self> {
        let home = lab.seat_home();
        fs::create_dir_all(home.join(".sealift/trusted"))?;
        place(&programs.installer, &home.join("installer"))?;
        place(&made.public_key, &home.join(".sealift/trusted/orders.pub"))?;
        place(&made.bundle, &home.join("orders.bundle"))?;
        let profiles = home.join("profiles");
        fs::create_dir_all(&profiles)?;
        for entry in fs::read_dir(programs::checkout().join("profiles"))?.flatten() {
            fs::copy(entry.path(), profiles.join(entry.file_name()))?;
        }
        // The site's own answer to the product's question for a secret.
        secret(&home.join(".sealift/admin-password"))?;
        Ok(Self { lab })
    }

    /// `installer` with arguments, at the seat.
    pub fn installer(&self, arguments: &[&str]) -> Command {
        let mut words = vec!["./installer"];
        words.extend(arguments);
        self.lab.seat_command(&words)
    }

    /// The arguments of the demo's install.
    pub fn install_arguments<'b>(extra: &[&'b str]) -> Vec<&'b str> {
        let mut arguments =
            vec!["install", "--profile", "profiles/demo.yaml", "--bundle", "orders.bundle", "--yes"];
        arguments.extend(extra);
        arguments
    }

    /// `installer verify`.
    pub fn verify(&self, show: Show) -> Result<()> {
        let mut arguments = vec!["verify", "orders.bundle"];
        if show == Show::Json {
            arguments.push("--output=json");
        }
        let status = self.installer(&arguments).status().context("cannot start the installer")?;
        if !status.success() {
            bail!("installer verify ended with {status}");
        }
        Ok(())
    }

    /// `installer install`, its lines shown as they come. Gives how many steps changed something.
    pub fn install(&self, show: Show) -> Result<u64> {
        let mut command = self.installer(&Self::install_arguments(&["--output=json"]));
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start the installer")?;
        let output = child.stdout.take().context("the installer has no output")?;
        let mut changed = None;
        for line in BufReader::new(output).lines() {
            let line = line?;
            let event: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
            if event["topic"] == "done" {
                changed = event["data"]["changed"].as_u64();
            }
            match show {
                Show::Json => println!("{line}"),
                Show::Lines => {
                    if let Some(text) = plain(&event) {
                        println!("    {text}");
                    }
                }
            }
        }
        let status = child.wait()?;
        match changed {
            Some(changed) if status.success() => Ok(changed),
            _ => bail!("installer install ended with {status}; run the demo again, it goes on where it stopped"),
        }
    }
}

/// A line for people from the installer's events.
fn plain(event: &Value) -> Option<String> {
    if let (Some(topic), Some(text)) = (event["topic"].as_str(), event["text"].as_str()) {
        let mut lines = format!("{topic:<9} {text}");
        for part in ["causes", "log", "hints"] {
            for more in event["data"][part].as_array().into_iter().flatten().filter_map(Value::as_str) {
                lines.push_str(&format!("\n        {more}"));
            }
        }
        return Some(lines);
    }
    let seconds = event["elapsedMillis"].as_f64().unwrap_or_default() / 1000.0;
    let (step, summary) = (event["step"].as_str(), event["summary"].as_str());
    match event["event"].as_str()? {
        "stepFinished" if event["changed"] == true => {
            let took = event["millis"].as_f64().unwrap_or_default() / 1000.0;
            Some(format!("{seconds:6.1} s  {:<28} {} ({took:.1} s)", step?, summary?))
        }
        "stepRetried" => Some(format!("{seconds:6.1} s  {:<28} again: {}", step?, event["reason"].as_str()?)),
        "stepFailed" => Some(format!("{seconds:6.1} s  {:<28} FAILED: {}", step?, event["failure"]["message"].as_str()?)),
        _ => None,
    }
}

/// A hard link where that is possible, else a copy.
fn place(from: &Path, to: &PathBuf) -> Result<()> {
    if to.exists() {
        fs::remove_file(to)?;
    }
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

fn secret(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut bytes = [0u8; 16];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "admin-{text}")?;
    Ok(())
}
