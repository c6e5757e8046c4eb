//! Helm, and what it rendered before.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::GateError;
use crate::cache::{Cache, CacheError};
use crate::helm::{Helm, Input, Request};

/// How every native Linux program begins.
const ELF: [u8; 4] = *b"\x7fELF";

/// Renders charts, each only once with the same input.
///
/// Helm renders without a cluster, a network or a look at this machine ([`Helm`] sees to that), so what comes out depends
/// on the program and on [`Input`] alone, but for templates that ask for the time or for chance, and those don't choose
/// images. What Helm refused is not remembered: the reason may have been this machine.
#[derive(Debug)]
pub struct Renderer<'a> {
    helm: Helm,
    /// Digest of the program, where that says what it does.
    identity: Option<String>,
    cache: &'a Cache,
}

impl<'a> Renderer<'a> {
    /// Finds Helm as [`Helm::find`] does, but starts none to see whether it runs where there is no choice, or where `cache`
    /// has renderings of it.
    pub fn find(asked: Option<&Path>, packed: Option<&Path>, cache: &'a Cache) -> Result<Self, GateError> {
        // A name without a folder would be looked up in PATH.
        let packed = packed.and_then(|packed| std::path::absolute(packed).ok());
        let packed = packed.as_deref();
        let proven = |packed: &Path| {
            let identity = identity(packed, cache)?;
            Ok::<_, CacheError>(identity.is_some_and(|identity| cache.knows_renderings(&identity)))
        };
        // There is room in the cache, and what a killed run leaves there goes with the next one.
        let place = cache.unfinished_folder();
        let helm = match (asked, packed) {
            (Some(asked), _) => Helm::untried(asked.to_owned(), &place)?,
            (None, Some(packed)) if proven(packed)? => Helm::untried(packed.to_owned(), &place)?,
            (None, packed) => Helm::find(None, packed, &place)?,
        };
        let identity = identity(helm.program(), cache)?;
        Ok(Self { helm, identity, cache })
    }

    /// Everything that a component installs, as [`Helm::render`]. May be called from several threads.
    pub fn render(&self, request: &Request<'_>) -> Result<String, GateError> {
        let input = Input::of(request);
        let Some(identity) = &self.identity else { return Ok(self.helm.run_with(&input)?) };
        let key = format!("{identity} {}", input.digest());
        if let Some(text) = self.cache.rendering(&key)?.and_then(|text| String::from_utf8(text).ok()) {
            return Ok(text);
        }
        let text = self.helm.run_with(&input)?;
        self.cache.remember_rendering(&key, text.as_bytes())?;
        Ok(text)
    }
}

/// Digest of the Helm at `program`, where the digest tells which Helm that is: of a native program whose own file is named
/// helm, not of a script or of something that starts one of several versions.
fn identity(program: &Path, cache: &Cache) -> Result<Option<String>, CacheError> {
    let Some(path) = located(program).and_then(|path| path.canonicalize().ok()) else { return Ok(None) };
    let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("helm"));
    let mut start = [0; 4];
    let native = File::open(&path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == ELF;
    if !named || !native {
        return Ok(None);
    }
    cache.digest_of_file(&path).map(|content| Some(content.digest))
}

/// The file that is started as `program`: a path, or the first of that name in PATH.
fn located(program: &Path) -> Option<PathBuf> {
    if program.is_absolute() || program.components().count() > 1 {
        return Some(program.to_owned());
    }
    let runs = |path: &PathBuf| {
        path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::testing::cache;

    #[test]
    fn only_a_native_helm_is_known_by_its_digest() {
        let (folder, cache) = cache();
        let write = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path
        };
        let known = |path: &Path| identity(path, &cache).unwrap();
        let native = write("helm-v4.3.1", b"\x7fELF and so on");
        let digest = sealift_bundle::digest::digest_of(b"\x7fELF and so on");
        assert_eq!(known(&native), Some(digest.clone()));
        let link = folder.path().join("h");
        std::os::unix::fs::symlink(&native, &link).unwrap();
        assert_eq!(known(&link), Some(digest));
        assert_eq!(known(&write("helm-script", b"#!/bin/sh\n")), None);
        // As `/usr/bin/snap` is, which all its programs lead to.
        assert_eq!(known(&write("snap", b"\x7fELF of many")), None);
        assert_eq!(known(Path::new("/nonexistent/helm")), None);
        assert_eq!(located(Path::new("sh")).map(|path| path.is_absolute()), Some(true));
    }
}
