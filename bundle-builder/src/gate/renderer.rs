//! Helm, and what it rendered before.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::GateError;
use crate::cache::{Cache, CacheError, Content, OpenFile};
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
    /// The program, where its digest says what it does.
    program: Option<Program<'a>>,
    cache: &'a Cache,
    /// Inputs whose renderings lie in the cache, and are to be remembered there.
    made: Mutex<Vec<(String, Content)>>,
}

impl<'a> Renderer<'a> {
    /// Finds Helm as [`Helm::find`] does, but starts none to see whether it runs where there is no choice, or where `cache`
    /// has renderings of it.
    pub fn find(asked: Option<&Path>, packed: Option<&Path>, cache: &'a Cache) -> Result<Self, GateError> {
        // A name without a folder would be looked up in PATH.
        let packed = packed.and_then(|packed| std::path::absolute(packed).ok());
        let packed = packed.as_deref();
        let proven = |packed: &Path| match Program::of(packed, cache)? {
            Some(program) => program.has_rendered(),
            None => Ok(false),
        };
        // There is room in the cache, and what a killed run leaves there goes with the next one.
        let place = cache.unfinished_folder();
        let helm = match (asked, packed) {
            (Some(asked), _) => Helm::untried(asked.to_owned(), &place)?,
            (None, Some(packed)) if may_run(packed) && proven(packed)? => {
                Helm::untried(packed.to_owned(), &place)?
            }
            (None, packed) => Helm::find(None, packed, &place)?,
        };
        let program = Program::of(helm.program(), cache)?;
        Ok(Self { helm, program, cache, made: Mutex::default() })
    }

    /// Everything that a component installs, as [`Helm::render`]. May be called from several threads.
    pub fn render(&self, request: &Request<'_>) -> Result<String, GateError> {
        let input = Input::of(request);
        let Some(program) = &self.program else { return Ok(self.helm.run_with(&input)?) };
        if let Some(text) = program.rendered(&input)? {
            return Ok(text);
        }
        let text = self.helm.run_with(&input)?;
        let content = self.cache.put(text.as_bytes())?;
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push((input.digest(), content));
        Ok(text)
    }

    /// Remembers what was rendered, for the next run. Until then nobody need know which Helm this is: whoever packs it, too,
    /// has read it meanwhile.
    pub fn remember(self) -> Result<(), CacheError> {
        let made = self.made.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(program) = self.program.filter(|_| !made.is_empty()) else { return Ok(()) };
        let digest = program.digest()?;
        let made = made.into_iter().map(|(input, content)| (key(&digest, &input), content));
        self.cache.remember_renderings(made)
    }
}

/// Whether the system starts `program`; the files of a bundle need not be executable where the vendor keeps them.
fn may_run(program: &Path) -> bool {
    rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok()
}

/// What a rendering is remembered under.
fn key(program: &str, input: &str) -> String {
    format!("{program} {input}")
}

/// A Helm whose digest tells which Helm it is.
#[derive(Debug)]
struct Program<'a> {
    /// Open since before it first ran.
    file: OpenFile,
    /// Of the file, once somebody asked.
    digest: Mutex<Option<String>>,
    cache: &'a Cache,
}

impl<'a> Program<'a> {
    /// The one at `path`, where it is a native program whose own file is named helm, not a script or something that starts
    /// one of several versions.
    fn of(path: &Path, cache: &'a Cache) -> Result<Option<Self>, CacheError> {
        let Some(path) = located(path).and_then(|path| path.canonicalize().ok()) else { return Ok(None) };
        let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("helm"));
        let mut start = [0; 4];
        let native =
            File::open(&path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == ELF;
        if !named || !native {
            return Ok(None);
        }
        Ok(Some(Self { file: cache.open_file(&path)?, digest: Mutex::default(), cache }))
    }

    fn digest(&self) -> Result<String, CacheError> {
        let mut known = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = &*known {
            return Ok(digest.clone());
        }
        let digest = self.cache.digest_of_opened(&self.file)?.digest;
        Ok(known.insert(digest).clone())
    }

    /// Its digest, where somebody has rendered something before: to hash the program takes as long as to run it.
    fn known_digest(&self) -> Result<Option<String>, CacheError> {
        if self.cache.knows_renderings("") { self.digest().map(Some) } else { Ok(None) }
    }

    fn has_rendered(&self) -> Result<bool, CacheError> {
        Ok(self.known_digest()?.is_some_and(|digest| self.cache.knows_renderings(&digest)))
    }

    /// What it made of `input` before.
    fn rendered(&self, input: &Input) -> Result<Option<String>, CacheError> {
        let Some(digest) = self.known_digest()? else { return Ok(None) };
        let text = self.cache.rendering(&key(&digest, &input.digest()))?;
        Ok(text.and_then(|text| String::from_utf8(text).ok()))
    }
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
        let known = |path: &Path| Program::of(path, &cache).unwrap().map(|program| program.digest().unwrap());
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
