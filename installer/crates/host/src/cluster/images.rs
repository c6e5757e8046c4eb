//! Images: pulled through the masters' registries into containerd, checked against the bundle's digests, pinned.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealift_plan::operation::ImageSpec;

use super::{changed, unchanged};
use crate::command::Command;
use crate::context::Context;
use crate::journal::Change;
use crate::protocol::{Failure, FailureKind, Outcome};

/// Label that keeps kubelet's image collection away (read by containerd's CRI plugin).
const PINNED: &str = "io.cri-containerd.pinned=pinned";
/// Images pulled at once.
const STREAMS: usize = 3;
/// Tries of one image, with a pause between: a registry that restarts is back within seconds.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);
/// Longest time for one image.
const LIMIT: Duration = Duration::from_mins(30);

/// An image as containerd has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Present {
    digest: String,
    pinned: bool,
    complete: bool,
}

/// Pulls what is missing, verifies and pins.
pub(super) fn pull(ctx: &Context<'_>, images: &[ImageSpec]) -> Result<Outcome, Failure> {
    let before = present(ctx)?;
    let missing: Vec<&ImageSpec> = images.iter().filter(|image| !is_in_place(&before, image)).collect();
    if missing.is_empty() {
        return Ok(unchanged(format!("{} images in place and pinned", images.len())));
    }
    pull_all(ctx, &missing)?;
    let after = present(ctx)?;
    if let Some(wrong) = images.iter().find(|image| !is_in_place(&after, image)) {
        let found = after.get(&wrong.name);
        let found = found.map_or_else(|| "not there".to_owned(), |present| format!("{present:?}"));
        let message = format!("image {} is not as the bundle names it", wrong.name);
        return Err(Failure::new(FailureKind::Verification, message)
            .cause(format!("expected {}, pinned and complete; found {found}", wrong.digest)));
    }
    Ok(changed(format!("{} images verified and pinned", missing.len())))
}

fn pull_all(ctx: &Context<'_>, missing: &[&ImageSpec]) -> Result<(), Failure> {
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let failed: Mutex<Option<Failure>> = Mutex::new(None);
    let (paths, reporter, run, step) = (ctx.paths(), ctx.reporter(), ctx.run_id(), ctx.step_id());
    std::thread::scope(|scope| {
        for _ in 0..STREAMS.min(missing.len()) {
            scope.spawn(|| {
                let ctx = Context::new(paths, reporter, run, step);
                while let Some(image) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let finished = done.load(Ordering::Relaxed) as u64;
                    ctx.progress(format!("pulling {}", image.name), finished, missing.len() as u64);
                    let mut slot = match pull_one(&ctx, image) {
                        Ok(()) => {
                            done.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        Err(failure) => {
                            (failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner), failure)
                        }
                    };
                    slot.0.get_or_insert(slot.1);
                    next.store(missing.len(), Ordering::Relaxed);
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn pull_one(ctx: &Context<'_>, image: &ImageSpec) -> Result<(), Failure> {
    ctx.record(Change::Command { command: format!("pull {}", image.name) })?;
    let mut attempt = 1;
    loop {
        let args =
            ["images", "pull", "--hosts-dir", "/etc/containerd/certs.d", "--label", PINNED, &image.name];
        match ctx.run(ctr(&args).timeout(LIMIT)) {
            Ok(_) => return Ok(()),
            Err(failure) if attempt == ATTEMPTS => {
                let message = format!("cannot pull {} from the masters' registries", image.name);
                return Err(Failure::new(FailureKind::Network, message)
                    .cause(failure.message)
                    .log(failure.log));
            }
            Err(_) => {
                ctx.still_wanted()?;
                std::thread::sleep(PAUSE);
                attempt += 1;
            }
        }
    }
}

fn is_in_place(present: &BTreeMap<String, Present>, image: &ImageSpec) -> bool {
    present
        .get(&image.name)
        .is_some_and(|found| found.digest == image.digest && found.pinned && found.complete)
}

/// What containerd has, by name.
fn present(ctx: &Context<'_>) -> Result<BTreeMap<String, Present>, Failure> {
    let list = ctx.run(ctr(&["images", "ls"]))?;
    let check = ctx.run(ctr(&["images", "check"]))?;
    Ok(parse(&list.text(), &check.text()))
}

/// `images ls` shows name, type, digest and (last) labels; `images check` shows whether all content is there and
/// unpacked.
fn parse(list: &str, check: &str) -> BTreeMap<String, Present> {
    let complete: BTreeMap<&str, bool> = check
        .lines()
        .skip(1)
        .filter_map(|line| {
            Some((
                line.split_whitespace().next()?,
                line.contains(" complete ") && line.trim_end().ends_with("true"),
            ))
        })
        .collect();
    list.lines()
        .skip(1)
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, _, digest) = (words.next()?, words.next()?, words.next()?);
            let present = Present {
                digest: digest.to_owned(),
                pinned: line.contains(PINNED),
                complete: complete.get(name).copied().unwrap_or(false),
            };
            Some((name.to_owned(), present))
        })
        .collect()
}

fn ctr(args: &[&str]) -> Command {
    Command::new("/usr/local/bin/ctr")
        .args(["--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io"])
        .args(args.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "REF TYPE DIGEST SIZE PLATFORMS LABELS
r.example/a:1 application/vnd.oci.image.manifest.v1+json sha256:aa 1.2 MiB linux/amd64 io.cri-containerd.image=managed,io.cri-containerd.pinned=pinned
r.example/b:1 application/vnd.oci.image.manifest.v1+json sha256:bb 1.2 MiB linux/amd64 io.cri-containerd.image=managed
r.example/c:1 application/vnd.oci.image.manifest.v1+json sha256:cc 1.2 MiB linux/amd64 io.cri-containerd.pinned=pinned
";
    const CHECK: &str = "REF TYPE DIGEST STATUS SIZE UNPACKED
r.example/a:1 application/vnd.oci.image.manifest.v1+json sha256:aa complete (3/3) 1.2 MiB/1.2 MiB true
r.example/b:1 application/vnd.oci.image.manifest.v1+json sha256:bb complete (3/3) 1.2 MiB/1.2 MiB true
r.example/c:1 application/vnd.oci.image.manifest.v1+json sha256:cc incomplete (2/3) 1.1 MiB/1.2 MiB false
";

    #[test]
    fn only_a_pinned_complete_image_of_the_right_digest_is_in_place() {
        let present = parse(LIST, CHECK);
        let in_place = |name: &str, digest: &str| {
            is_in_place(&present, &ImageSpec { name: name.into(), digest: digest.into() })
        };
        assert!(in_place("r.example/a:1", "sha256:aa"));
        assert!(!in_place("r.example/a:1", "sha256:ff"), "another digest");
        assert!(!in_place("r.example/b:1", "sha256:bb"), "not pinned");
        assert!(!in_place("r.example/c:1", "sha256:cc"), "not complete");
        assert!(!in_place("r.example/d:1", "sha256:dd"), "not there");
    }
}
