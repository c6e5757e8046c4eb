//! The real Helm, built from the payload's pins.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

static HELM: LazyLock<PathBuf> = LazyLock::new(built);

/// Builds it, unless Go finds that what is there is built from the same sources.
pub fn build() -> PathBuf {
    HELM.clone()
}

fn built() -> PathBuf {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vm-tests/payload/go/helm");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm");
    std::fs::create_dir_all(&folder).unwrap();
    let status = Command::new("go")
        .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o"])
        // With a slash at its end: a folder to build into.
        .arg(folder.join(""))
        .arg("tool")
        .current_dir(module)
        .envs([("CGO_ENABLED", "0"), ("GOFLAGS", ""), ("GOWORK", "off")])
        .status()
        .expect("Go is needed to build Helm");
    assert!(status.success(), "Helm cannot be built");
    folder.join("helm")
}
