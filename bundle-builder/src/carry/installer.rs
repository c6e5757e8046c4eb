//! Installers: programs that run on every host of their platform, whatever is installed there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::CarryError;
use crate::manifest::serves;
use crate::nearest::nearest;

/// Platforms that installers are made for: name, machine number in an ELF header, what `uname -m` says there.
const PLATFORMS: [(&str, u16, &str); 2] = [("linux/amd64", 62, "x86_64"), ("linux/arm64", 183, "aarch64")];

// Places and values of a 64-bit ELF header (System V ABI, chapter 4 and 5).
const HEADER_LENGTH: usize = 64;
const START: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1]; // 64 bits, little-endian
const SEGMENT_LENGTH: usize = 56;
/// Real programs have about ten.
const MOST_SEGMENTS: u16 = 256;
const LOADED: u32 = 1;
const INTERPRETER: u32 = 3;

/// An installer that runs on hosts of its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installer {
    platform: &'static str,
    machine: &'static str,
    path: PathBuf,
}

impl Installer {
    /// Looks at the program at `path`: it must be made for `platform`, and need no library of the host.
    pub fn check(platform: &str, path: &Path) -> Result<Self, CarryError> {
        let Some(&(platform, number, machine)) = PLATFORMS.iter().find(|(name, ..)| *name == platform) else {
            let known = PLATFORMS.map(|(name, ..)| name);
            let nearest = nearest(platform, known);
            return Err(CarryError::Platform {
                platform: platform.to_owned(),
                nearest,
                known: known.to_vec(),
            });
        };
        let refused = |reason: String| CarryError::Installer {
            path: path.to_owned(),
            platform: platform.to_owned(),
            reason,
        };
        let cannot = |source| CarryError::Read { path: path.to_owned(), source };
        if !path.metadata().map_err(cannot)?.is_file() {
            return Err(refused("it is not a file".to_owned()));
        }
        let mut file = File::open(path).map_err(cannot)?;
        let header = match read_at::<HEADER_LENGTH>(&mut file, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => [0; HEADER_LENGTH],
            header => header.map_err(cannot)?,
        };
        if header[..START.len()] != START || !matches!(half(&header, 16), 2 | 3) {
            return Err(refused("it is not a program for 64-bit Linux (ELF)".to_owned()));
        }
        let found = half(&header, 18);
        if found != number {
            let other = PLATFORMS.iter().find(|(_, number, _)| *number == found);
            let other = other.map_or_else(|| format!("machine {found}"), |(name, ..)| (*name).to_owned());
            return Err(refused(format!("it is made for {other}")));
        }
        let kinds = segments(&mut file, &header).map_err(cannot)?;
        if !kinds.contains(&LOADED) {
            return Err(refused(
                "nothing in it is loaded into memory: it is cut short, or no program".to_owned(),
            ));
        }
        if kinds.contains(&INTERPRETER) {
            return Err(refused(
                "it is not static: hosts would need the libraries of the machine that made it".to_owned(),
            ));
        }
        Ok(Self { platform, machine, path: path.to_owned() })
    }

    /// Name of its file on the disk, e.g. `installer-linux-amd64`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("installer-{}", self.platform.replace('/', "-"))
    }

    /// What `uname -m` says on hosts that it runs on.
    #[must_use]
    pub fn machine(&self) -> &'static str {
        self.machine
    }

    /// Where the vendor has it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether there is one installer for each of the bundle's `platforms`, and none twice.
pub fn cover(installers: &[Installer], platforms: &[String]) -> Result<(), CarryError> {
    let mut seen = BTreeSet::new();
    for installer in installers {
        if !seen.insert(installer.platform) {
            return Err(CarryError::Twice { platform: installer.platform.to_owned() });
        }
    }
    let served = |platform: &&String| installers.iter().any(|it| serves(platform, it.platform));
    match platforms.iter().find(|platform| !served(platform)) {
        Some(platform) => Err(CarryError::NoInstaller { platform: platform.clone() }),
        None => Ok(()),
    }
}

/// The kinds of all segments; none where one of them is not wholly in the file.
fn segments(file: &mut File, header: &[u8; HEADER_LENGTH]) -> io::Result<BTreeSet<u32>> {
    let size = file.metadata()?.len();
    let (start, length, count) = (long(header, 32), half(header, 54), half(header, 56));
    let mut kinds = BTreeSet::new();
    if usize::from(length) != SEGMENT_LENGTH || count > MOST_SEGMENTS {
        return Ok(kinds);
    }
    for index in 0..u64::from(count) {
        let place = start.saturating_add(index * u64::from(length));
        if place.saturating_add(u64::from(length)) > size {
            return Ok(BTreeSet::new());
        }
        let segment = read_at::<SEGMENT_LENGTH>(file, place)?;
        if long(&segment, 8).saturating_add(long(&segment, 32)) > size {
            return Ok(BTreeSet::new());
        }
        kinds.insert(u32::from_le_bytes([segment[0], segment[1], segment[2], segment[3]]));
    }
    Ok(kinds)
}

fn read_at<const LENGTH: usize>(file: &mut File, place: u64) -> io::Result<[u8; LENGTH]> {
    let mut content = [0; LENGTH];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut content)?;
    Ok(content)
}

fn half(header: &[u8], place: usize) -> u16 {
    u16::from_le_bytes([header[place], header[place + 1]])
}

fn long(header: &[u8], place: usize) -> u64 {
    header[place..place + 8].iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
pub(super) mod testing {
    /// The smallest thing that passes for a program: a header and segments of these kinds.
    pub(crate) fn program(machine: u16, kinds: &[u32]) -> Vec<u8> {
        let mut content = vec![0; 64 + 56 * kinds.len()];
        content[..6].copy_from_slice(&super::START);
        content[16] = 2;
        content[18..20].copy_from_slice(&machine.to_le_bytes());
        content[32] = 64;
        content[54] = 56;
        content[56] = u8::try_from(kinds.len()).unwrap_or(u8::MAX);
        for (index, kind) in kinds.iter().enumerate() {
            content[64 + 56 * index..][..4].copy_from_slice(&kind.to_le_bytes());
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use super::testing::program;
    use super::*;

    fn check(content: &[u8]) -> Result<Installer, CarryError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("installer");
        std::fs::write(&path, content).unwrap();
        Installer::check("linux/amd64", &path)
    }

    #[test]
    fn a_static_program_of_the_platform_is_taken() {
        let installer = check(&program(62, &[6, LOADED, 2])).unwrap();
        assert_eq!((&*installer.file_name(), installer.machine()), ("installer-linux-amd64", "x86_64"));
    }

    #[test]
    fn whatever_would_not_run_on_a_host_is_refused() {
        for (content, expected) in [
            (b"#!/bin/sh\n".to_vec(), "not a program for 64-bit Linux"),
            (vec![0; 4096], "not a program for 64-bit Linux"),
            (program(183, &[LOADED]), "it is made for linux/arm64"),
            (program(243, &[LOADED]), "it is made for machine 243"),
            (program(62, &[LOADED, INTERPRETER]), "it is not static"),
            (program(62, &[]), "cut short"),
            (program(62, &[LOADED])[..70].to_vec(), "cut short"),
        ] {
            let error = check(&content).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("linux/amd64"), "{expected}: {error}");
        }
        // Segments, or what they load, far behind the end.
        for place in [32, 64 + 8, 64 + 32] {
            let mut far = program(62, &[LOADED]);
            far[place..place + 8].fill(0xff);
            assert!(check(&far).unwrap_err().to_string().contains("cut short"), "{place}");
        }
        let error = Installer::check("linux/amd64", Path::new("/nonexistent")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent");
        assert!(Installer::check("linux/amd64", Path::new("/")).is_err());
        // The machine's own shell is made for it, and not static.
        let own = PLATFORMS.iter().find(|(.., machine)| std::env::consts::ARCH == *machine).unwrap();
        let error = Installer::check(own.0, Path::new("/bin/sh")).unwrap_err().to_string();
        assert!(error.contains("it is not static"), "{error}");
    }

    #[test]
    fn a_wrong_platform_gets_the_nearest() {
        let error = Installer::check("linux/amd46", Path::new("x")).unwrap_err();
        assert!(matches!(&error, CarryError::Platform { nearest: Some("linux/amd64"), .. }), "{error:?}");
        let error = Installer::check("plan9", Path::new("x")).unwrap_err();
        assert!(matches!(&error, CarryError::Platform { nearest: None, .. }), "{error:?}");
    }

    #[test]
    fn every_platform_of_the_bundle_needs_one() {
        let installer =
            |index: usize| Installer { platform: PLATFORMS[index].0, machine: "", path: PathBuf::new() };
        let platforms = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        cover(&[installer(0), installer(1)], &platforms(&["linux/amd64", "linux/arm64/v8"])).unwrap();
        cover(&[installer(0), installer(1)], &platforms(&["linux/amd64"])).unwrap();
        let error = cover(&[installer(0)], &platforms(&["linux/amd64", "linux/arm64"])).unwrap_err();
        assert!(matches!(&error, CarryError::NoInstaller { platform } if platform == "linux/arm64"));
        let error = cover(&[installer(0), installer(0)], &[]).unwrap_err();
        assert!(matches!(&error, CarryError::Twice { platform } if platform == "linux/amd64"));
    }
}
