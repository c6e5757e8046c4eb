//! The field engineer's place: a folder with the installer, the bundle, the vendor's key and the site profile.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::bundle::Made;
use crate::issuer;
use crate::lab::Lab;
use crate::programs::{self, Programs};
use crate::stage::Show;

/// The demo's profile, at the seat.
pub const DEMO: &str = "profiles/demo.yaml";

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
        // For profiles that name them; nothing runs yet.
        issuer::prepare(&home)?;
        Ok(Self { lab })
    }

    /// `installer` with arguments, at the seat.
    pub fn installer(&self, arguments: &[&str]) -> Command {
        let mut words = vec!["./installer"];
        words.extend(arguments);
        self.lab.seat_command(&words)
    }

    /// The arguments of an install of the demo's bundle by `profiles`, each over the one before.
    pub fn install_arguments<'b>(profiles: &[&'b str], extra: &[&'b str]) -> Vec<&'b str> {
        let mut arguments = vec!["install", "--bundle", "orders.bundle", "--yes"];
        arguments.extend(profiles.iter().flat_map(|profile| ["--profile", profile]));
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

    /// `installer install`, its words shown as they come. Gives how many steps changed something.
    pub fn install(&self, show: Show) -> Result<u64> {
        let arguments =
            Self::install_arguments(&[DEMO], if show == Show::Json { &["--output=json"] } else { &[] });
        let status = self.installer(&arguments).status().context("cannot start the installer")?;
        if !status.success() {
            bail!("installer install ended with {status}; run the demo again, it goes on where it stopped");
        }
        self.changed_steps()
    }

    /// What the newest run's journal says at its end.
    fn changed_steps(&self) -> Result<u64> {
        let runs = fs::read_dir(self.lab.seat_home().join("runs"))?.flatten().map(|entry| entry.path());
        let newest = runs.max().context("the installer left no run folder")?;
        let journal = fs::read_to_string(newest.join("events.jsonl"))?;
        let last = journal.lines().last().context("the run's journal is empty")?;
        let last: Value = serde_json::from_str(last).context("the run's journal cannot be read")?;
        last["changed"].as_u64().context("the run's journal has no end")
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
    let text = crate::cache::hex(&bytes);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "admin-{text}")?;
    Ok(())
}
