//! Takes back one recorded change: the host is put back as it stood before it.

use std::fs;
use std::io;
use std::path::Path;

use crate::command::Command;
use crate::context::Context;
use crate::file;
use crate::journal::{Change, Journal};
use crate::operation::write_files;
use crate::protocol::Failure;

/// What taking a change back does, in words: one clause that begins with a verb.
pub(crate) fn words(change: &Change) -> String {
    match change {
        Change::FileCreated { path } => format!("remove {path}"),
        Change::FileReplaced { path, .. } => format!("put {path} back as it was"),
        Change::FileRemoved { path, .. } => format!("bring {path} back"),
        Change::LinkReplaced { path, target } => format!("make {path} a link to {target} again"),
        Change::ModeChanged { path, mode } => format!("set the mode of {path} back to {mode:04o}"),
        Change::OwnerChanged { path, uid, gid } => format!("give {path} back to {uid}:{gid}"),
        Change::DirectoryCreated { path } => format!("remove the folder {path} if it is empty"),
        Change::Sysctl { name, before } => format!("set {name} back to {before}"),
        Change::ModuleLoaded { name } => format!("leave the kernel module {name} until the next start"),
        Change::SwapOff { path } => format!("switch the swap on {path} on again"),
        Change::UnitMasked { unit } => format!("unmask {unit}"),
        Change::UnitEnabled { unit } => format!("disable {unit}"),
        Change::UnitDisabled { unit } => format!("enable {unit} again"),
        Change::UnitStarted { unit } => format!("stop {unit}"),
        Change::UnitStopped { unit } => format!("start {unit} again"),
        Change::TimeServiceOn => "switch the host's time service off (timedatectl set-ntp false)".to_owned(),
        Change::Command { command } => format!("leave what `{command}` did"),
    }
}

/// Takes a change back. What is back already is left alone.
pub(crate) fn revert(ctx: &Context<'_>, change: &Change) -> Result<(), Failure> {
    let place = |path: &str| ctx.paths().host(path);
    let systemctl = |verb: &str, unit: &str| ctx.run(Command::new("systemctl").args([verb, unit])).map(drop);
    match change {
        Change::FileCreated { path } => remove(&place(path)),
        Change::FileReplaced { path, mode, digest } | Change::FileRemoved { path, mode, digest } => {
            let copy = Journal::new(ctx.paths()).copy_of(digest);
            let content = fs::read(&copy).map_err(|error| Failure::io("read", &copy, &error))?;
            file::write_atomic(&place(path), &content, *mode)?;
            // Units that systemd makes of its lines come back.
            if path == "/etc/fstab" {
                ctx.run(Command::new("systemctl").arg("daemon-reload")).map(drop)
            } else {
                Ok(())
            }
        }
        Change::LinkReplaced { path, target } => {
            remove(&place(path))?;
            std::os::unix::fs::symlink(target, place(path))
                .map_err(|error| Failure::io("make the link", &place(path), &error))
        }
        Change::ModeChanged { path, mode } if place(path).exists() => {
            file::set_mode(&place(path), *mode).map(drop)
        }
        Change::OwnerChanged { path, uid, gid } if place(path).exists() => {
            std::os::unix::fs::chown(place(path), Some(*uid), Some(*gid))
                .map_err(|error| Failure::io("change the owner of", &place(path), &error))
        }
        Change::DirectoryCreated { path } => remove_if_empty(&place(path)),
        Change::Sysctl { name, before } => set_back(ctx, name, before),
        Change::SwapOff { path } => ctx.run(Command::new("swapon").arg(path)).map(drop),
        Change::UnitMasked { unit } => systemctl("unmask", unit),
        Change::UnitEnabled { unit } => systemctl("disable", unit),
        Change::UnitDisabled { unit } => systemctl("enable", unit),
        Change::UnitStarted { unit } => systemctl("stop", unit),
        Change::UnitStopped { unit } => systemctl("start", unit),
        Change::TimeServiceOn => ctx.run(Command::new("timedatectl").args(["set-ntp", "false"])).map(drop),
        // Gone with what it belonged to; or a program's own doing.
        Change::ModeChanged { .. }
        | Change::OwnerChanged { .. }
        | Change::ModuleLoaded { .. }
        | Change::Command { .. } => Ok(()),
    }
}

/// Writes a setting without recording it: the record is what is being taken back.
fn set_back(ctx: &Context<'_>, name: &str, before: &str) -> Result<(), Failure> {
    let path = ctx.paths().host(&write_files::place_of(name));
    match fs::OpenOptions::new().write(true).open(&path) {
        Ok(mut setting) => io::Write::write_all(&mut setting, format!("{before}\n").as_bytes())
            .map_err(|error| Failure::io("write", &path, &error)),
        // Its module or its interface is gone.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::io("write", &path, &error)),
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    if file::remove_if_exists(path)? { file::sync_folder(path) } else { Ok(()) }
}

/// A folder that somebody uses by now stays.
pub(crate) fn remove_if_empty(path: &Path) -> Result<(), Failure> {
    match fs::remove_dir(path) {
        Ok(()) => Ok(()),
        // Busy is a folder that a disk of its own is mounted at: not ours.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::ResourceBusy
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(Failure::io("remove", path, &error)),
    }
}
