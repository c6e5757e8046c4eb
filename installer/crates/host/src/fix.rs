//! `check --fix`: makes the small changes that checks ask for, and takes them back on request.
//!
//! Each is recorded before it is made, in a journal of its own (`/var/lib/sealift/fixes`): fixes belong to the site's
//! hosts and not to a run, so they are taken back on their own, and leave nothing behind then. One that fails does not
//! keep the others from being made.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use sealift_bundle::digest::digest_of;
use sealift_checks::{Fix, SETTINGS_FILE};
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::context::Context;
use crate::file;
use crate::journal::{Change, Entry, Journal};
use crate::lock;
use crate::operation::revert::{self, remove_if_empty, revert};
use crate::operation::{claim, swap, write_files};
use crate::protocol::{Failure, FailureKind};

/// Folder of the journal of fixes, below our state: for [`crate::Paths::recording_below`].
pub const FOLDER: &str = "fixes";

/// What came of one fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fixed {
    /// The fix.
    pub fix: Fix,
    /// Whether anything had to be changed for it.
    pub changed: bool,
    /// Why it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// Makes these changes, each as far as it is not made yet.
pub fn apply(ctx: &Context<'_>, fixes: &[Fix]) -> Result<Vec<Fixed>, Failure> {
    let _turn = lock::step(ctx)?;
    let one = |fix: &Fix| {
        ctx.progress(fix.to_string(), 0, 0);
        let made = make(ctx, fix).and_then(|changed| remember_files(ctx).map(|()| changed));
        let (changed, failure) = match made {
            Ok(changed) => (changed, None),
            Err(failure) => (false, Some(failure)),
        };
        Fixed { fix: fix.clone(), changed, failure }
    };
    Ok(fixes.iter().map(one).collect())
}

/// What [`undo`] would do on this host, in words, in that order.
pub fn recorded(ctx: &Context<'_>) -> Result<Vec<String>, Failure> {
    let entries = Journal::new(ctx.paths()).entries()?;
    Ok(entries.iter().rev().map(|entry| revert::words(&entry.change)).collect())
}

/// Takes all fixes on this host back, the newest first, and forgets them; says what was done. Where one cannot be taken
/// back, it and the older ones stay recorded. Refused on a host of a cluster, which relies on them.
pub fn undo(ctx: &Context<'_>) -> Result<Vec<String>, Failure> {
    let _turn = lock::step(ctx)?;
    let journal = Journal::new(ctx.paths());
    let mut entries = journal.entries()?;
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(claim) = claim::read(ctx.paths())? {
        let message =
            format!("this host is {} of the site {}: what was fixed for it stays", claim.host, claim.site);
        return Err(Failure::new(FailureKind::Conflict, message)
            .hint("take the host out of the cluster first; its reset puts everything back"));
    }
    refuse_edited(ctx, &entries)?;
    let mut done = Vec::new();
    while let Some(entry) = entries.last() {
        let words = revert::words(&entry.change);
        ctx.progress(words.clone(), 0, 0);
        revert(ctx, &entry.change).map_err(|failure| Failure {
            message: format!("cannot {words}: {}", failure.message),
            ..failure
        })?;
        done.push(words);
        entries.pop();
        journal.keep_only(&entries)?;
    }
    let folder = ctx.paths().record();
    fs::remove_dir_all(&folder).map_err(|error| Failure::io("remove", &folder, &error))?;
    remove_if_empty(&ctx.paths().state())?;
    Ok(done)
}

/// Where the digests stand of the files that fixes wrote.
fn written(ctx: &Context<'_>) -> PathBuf {
    ctx.paths().record().join("written.json")
}

/// Writes down what the recorded files are now, so that a later edit of somebody else is seen.
fn remember_files(ctx: &Context<'_>) -> Result<(), Failure> {
    let mut digests: BTreeMap<String, String> = BTreeMap::new();
    for entry in Journal::new(ctx.paths()).entries()? {
        let (Change::FileCreated { path } | Change::FileReplaced { path, .. }) = entry.change else {
            continue;
        };
        if let Some(content) = file::read_if_exists(&ctx.paths().host(&path))? {
            digests.insert(path, digest_of(&content));
        }
    }
    if digests.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_vec(&digests).map_err(|error| Failure::other(error.to_string()))?;
    file::write_atomic(&written(ctx), &text, 0o600).map(drop)
}

/// What somebody wrote into a file after the fix must not be lost. A file that was put back by hand is fine.
fn refuse_edited(ctx: &Context<'_>, entries: &[Entry]) -> Result<(), Failure> {
    let text = file::read_if_exists(&written(ctx))?.unwrap_or_default();
    let digests: BTreeMap<String, String> = serde_json::from_slice(&text).unwrap_or_default();
    for (path, after) in digests {
        let Some(content) = file::read_if_exists(&ctx.paths().host(&path))? else { continue };
        let now = digest_of(&content);
        let before = entries.iter().find_map(|entry| match &entry.change {
            Change::FileReplaced { path: replaced, digest, .. } if *replaced == path => Some(digest),
            _ => None,
        });
        if now == after || before == Some(&now) {
            continue;
        }
        let copy = before.map(|digest| Journal::new(ctx.paths()).copy_of(digest));
        let hint = match copy {
            Some(copy) => format!("put it back by hand as it is in {}, then take back again", copy.display()),
            None => format!("keep what is wanted of it elsewhere and remove {path}, then take back again"),
        };
        let message = format!("{path} was changed by somebody since it was fixed; nothing was taken back");
        return Err(Failure::new(FailureKind::Conflict, message).hint(hint));
    }
    Ok(())
}

/// Gives whether anything was changed.
fn make(ctx: &Context<'_>, fix: &Fix) -> Result<bool, Failure> {
    match fix {
        Fix::Setting { name, value } => {
            // Now first: what the kernel refuses must not stand in a file.
            let set = write_files::set(ctx, name, value)?;
            Ok(keep_setting(ctx, name, value)? || set)
        }
        Fix::SwapOff => swap::apply(ctx).map(|outcome| outcome.changed),
        Fix::TimeService => time_service(ctx),
        Fix::StopUnits { units } => {
            let mut changed = false;
            for unit in units {
                changed |= stop(ctx, unit)?;
            }
            Ok(changed)
        }
        Fix::FolderMode { path, mode } => {
            let place = ctx.paths().host(path);
            let metadata = fs::metadata(&place).map_err(|error| Failure::io("read", &place, &error))?;
            let before = metadata.mode() & 0o7777;
            if before == *mode {
                return Ok(false);
            }
            ctx.record(Change::ModeChanged { path: path.clone(), mode: before })?;
            file::set_mode(&place, *mode)
        }
    }
}

/// Puts a setting into the file that is read at every start, beside those of earlier fixes.
fn keep_setting(ctx: &Context<'_>, name: &str, value: &str) -> Result<bool, Failure> {
    const REMARK: &str = "# By `installer check --fix`; `installer check --undo-fixes` takes it away.\n";
    let old = file::read_text_if_exists(&ctx.paths().host(SETTINGS_FILE))?.unwrap_or_default();
    let lines = old.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let mut settings: BTreeMap<&str, &str> = lines.map(|(name, value)| (name.trim(), value.trim())).collect();
    settings.insert(name, value);
    let mut text = REMARK.to_owned();
    for (name, value) in settings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = {value}");
    }
    ctx.write_file(SETTINGS_FILE, text.as_bytes(), 0o644)
}

fn time_service(ctx: &Context<'_>) -> Result<bool, Failure> {
    let on = || -> Result<bool, Failure> {
        let shown = ctx.run(Command::new("timedatectl").args(["show", "--property=NTP", "--value"]))?;
        Ok(shown.text() == "yes")
    };
    if on()? {
        return Ok(false);
    }
    ctx.record(Change::TimeServiceOn)?;
    ctx.run(Command::new("timedatectl").args(["set-ntp", "true"])).map_err(|failure| {
        failure.hint("install chrony or systemd-timesyncd from the distribution's media, then fix again")
    })?;
    if on()? { Ok(true) } else { Err(Failure::other("the host's time service stays off")) }
}

fn stop(ctx: &Context<'_>, unit: &str) -> Result<bool, Failure> {
    let properties = "--property=LoadState,ActiveState,UnitFileState";
    let shown = ctx.run(Command::new("systemctl").args(["show", unit, properties]))?.text();
    let is = |line: &str| shown.lines().any(|one| one == line);
    if is("LoadState=not-found") {
        return Ok(false);
    }
    let (enabled, active) = (is("UnitFileState=enabled"), is("ActiveState=active"));
    if enabled {
        ctx.record(Change::UnitDisabled { unit: unit.to_owned() })?;
        ctx.run(Command::new("systemctl").args(["disable", unit]))?;
    }
    if active {
        ctx.record(Change::UnitStopped { unit: unit.to_owned() })?;
        ctx.run(Command::new("systemctl").args(["stop", unit]))?;
    }
    Ok(enabled || active)
}

#[cfg(test)]
mod tests;
