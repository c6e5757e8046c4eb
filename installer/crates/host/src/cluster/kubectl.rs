//! `kubectl` with the administrator's kubeconfig, JSON in and out.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{ADMIN_CONF, unreadable};
use crate::command::{Command, Finished};
use crate::context::Context;
use crate::protocol::Failure;

/// `kubectl` with a kubeconfig; its discovery cache stays off the lasting disk.
pub(super) fn command_with(kubeconfig: &str, args: &[&str]) -> Command {
    Command::new("/usr/local/bin/kubectl")
        .args(["--kubeconfig", kubeconfig])
        .args(args.iter().copied())
        .env("KUBECACHEDIR", "/run/sealift/kube-cache")
}

/// `kubectl` as administrator on this master.
pub(super) fn command(args: &[&str]) -> Command {
    command_with(ADMIN_CONF, args)
}

/// Runs it; anything but success is a failure.
pub(super) fn run(ctx: &Context<'_>, args: &[&str]) -> Result<Finished, Failure> {
    ctx.run(command(args))
}

/// Reads objects as JSON.
pub(super) fn get<T: DeserializeOwned>(ctx: &Context<'_>, args: &[&str]) -> Result<T, Failure> {
    let mut all = vec!["get", "-o", "json"];
    all.extend(args);
    let finished = run(ctx, &all)?;
    serde_json::from_slice(&finished.stdout)
        .map_err(|error| unreadable(&format!("kubectl {}", all.join(" ")), &error))
}

/// Reads a list of objects. kubectl wraps them in a kind of its own (`List`, not `NodeList`).
pub(super) fn list<T: DeserializeOwned>(ctx: &Context<'_>, args: &[&str]) -> Result<Vec<T>, Failure> {
    #[derive(Deserialize)]
    struct Items<T> {
        items: Vec<T>,
    }
    Ok(get::<Items<T>>(ctx, args)?.items)
}

/// Reads one object that may not be there.
pub(super) fn find<T: DeserializeOwned>(ctx: &Context<'_>, args: &[&str]) -> Result<Option<T>, Failure> {
    find_with(ctx, ADMIN_CONF, args)
}

/// Reads one object that may not be there, with a kubeconfig.
pub(super) fn find_with<T: DeserializeOwned>(
    ctx: &Context<'_>,
    kubeconfig: &str,
    args: &[&str],
) -> Result<Option<T>, Failure> {
    let mut all = vec!["get", "--ignore-not-found", "-o", "json"];
    all.extend(args);
    let finished = ctx.run(command_with(kubeconfig, &all))?;
    if finished.stdout.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(&finished.stdout)
        .map(Some)
        .map_err(|error| unreadable(&format!("kubectl {}", all.join(" ")), &error))
}

/// Makes a namespace where there is none. Gives whether it was made.
pub(super) fn ensure_namespace(ctx: &Context<'_>, namespace: &str) -> Result<bool, Failure> {
    let there: Option<serde_json::Value> = find(ctx, &["namespace", namespace])?;
    if there.is_some() {
        return Ok(false);
    }
    run(ctx, &["create", "namespace", namespace])?;
    Ok(true)
}
