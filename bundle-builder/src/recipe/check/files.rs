//! Files and folders of hosts.

use std::collections::BTreeSet;
use std::path::{Component as PathPart, Path};

use super::{Findings, among, indexed};
use crate::recipe::{FileEntry, FileSource, Recipe};

/// Folders that the system and the cluster bring: a recipe that names one would change its owner and rights.
const OF_THE_SYSTEM: [&str; 59] = [
    "/bin",
    "/boot",
    "/etc",
    "/etc/cni",
    "/etc/cni/net.d",
    "/etc/containerd",
    "/etc/kubernetes",
    "/etc/kubernetes/manifests",
    "/etc/kubernetes/pki",
    "/etc/ssh",
    "/etc/ssl",
    "/etc/systemd",
    "/etc/systemd/system",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/lost+found",
    "/media",
    "/mnt",
    "/opt",
    "/opt/cni",
    "/opt/cni/bin",
    "/root",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib/systemd",
    "/usr/lib/systemd/system",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/etc",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/local/share",
    "/usr/sbin",
    "/usr/share",
    "/usr/src",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/lib/sealift",
    "/var/lock",
    "/var/log",
    "/var/mail",
    "/var/opt",
    "/var/spool",
    "/var/spool/cron",
    "/var/tmp",
];

/// Folders whose content is made anew at every start of the machine.
const UNTIL_THE_NEXT_START: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/var/run"];

impl Findings {
    pub(super) fn files(&mut self, recipe: &Recipe) {
        let packed: Vec<&str> = recipe.platforms.iter().map(String::as_str).collect();
        for (index, file) in recipe.files.iter().enumerate() {
            let place = format!("files[{index}]");
            self.unless(
                !file.name.is_empty() && !file.name.contains(['/', '\\']) && !file.name.starts_with('.'),
                format!("{place}.name"),
                format!("`{}` must be a plain name", file.name),
            );
            self.host_path(&format!("{place}.path"), &file.path);
            self.unless(!file.roles.is_empty(), format!("{place}.roles"), "no host would get it");
            self.platforms(&place, &file.platforms, &packed);
            self.file_sources(&place, file, recipe);
        }
        self.unique(indexed("files", "name", recipe.files.iter().map(|file| &file.name)));
        let directories = recipe.host_directories.iter().map(|directory| &directory.path);
        let paths = indexed("files", "path", recipe.files.iter().map(|file| &file.path));
        self.unique(paths.chain(indexed("hostDirectories", "path", directories)));
        self.files_as_folders(recipe);
    }

    /// What is a file on the host cannot hold others.
    fn files_as_folders(&mut self, recipe: &Recipe) {
        let files: BTreeSet<&Path> = recipe.files.iter().map(|file| Path::new(&file.path)).collect();
        let targets = indexed("files", "path", recipe.files.iter().map(|file| &file.path)).chain(indexed(
            "hostDirectories",
            "path",
            recipe.host_directories.iter().map(|directory| &directory.path),
        ));
        for (place, target) in targets {
            if let Some(file) = Path::new(target).ancestors().skip(1).find(|above| files.contains(above)) {
                self.add(place, format!("{target} would stand below {}, which is a file", file.display()));
            }
        }
    }

    fn file_sources(&mut self, place: &str, file: &FileEntry, recipe: &Recipe) {
        match (&file.source, file.sources.is_empty()) {
            (Some(source), true) => self.file_source(&format!("{place}.source"), source),
            (None, true) => self.add(place, "say where it is: `source`, or `sources` with one per platform"),
            (Some(_), false) => self.add(place, "`source` and `sources` exclude each other"),
            (None, false) => {
                let wanted = if file.platforms.is_empty() { &recipe.platforms } else { &file.platforms };
                for platform in wanted.iter().filter(|platform| !file.sources.contains_key(*platform)) {
                    self.add(
                        format!("{place}.sources"),
                        format!(
                            "there is none for {platform}: add it, or say in `platforms` what the file is for"
                        ),
                    );
                }
                for (platform, source) in &file.sources {
                    let at = format!("{place}.sources.{platform}");
                    self.unless(
                        wanted.contains(platform),
                        &at,
                        format!("`{platform}` is no platform of this file{}", among(platform, wanted.iter())),
                    );
                    self.file_source(&at, source);
                }
            }
        }
    }

    fn file_source(&mut self, place: &str, source: &FileSource) {
        match source {
            FileSource::Local(_) => {}
            FileSource::Url(url) => {
                self.web_address(&format!("{place}.url"), &url.url);
                self.unless(
                    url.sha256.len() == 64
                        && url.sha256.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)),
                    format!("{place}.sha256"),
                    format!("`{}` must be 64 hex digits in lower case", url.sha256),
                );
            }
            FileSource::Member(inside) => {
                let plain = Path::new(&inside.member)
                    .components()
                    .all(|part| matches!(part, PathPart::Normal(_) | PathPart::CurDir));
                self.unless(
                    plain && !inside.member.is_empty(),
                    format!("{place}.archive.member"),
                    format!("`{}` must be a path without `..` and without `/` at its start", inside.member),
                );
                self.file_source(&format!("{place}.archive"), &inside.archive);
            }
        }
    }

    pub(super) fn directories(&mut self, recipe: &Recipe) {
        for (index, directory) in recipe.host_directories.iter().enumerate() {
            let place = format!("hostDirectories[{index}].path");
            self.host_path(&place, &directory.path);
            let path = Path::new(&directory.path);
            self.unless(
                !OF_THE_SYSTEM.iter().any(|one| path == Path::new(one)),
                &place,
                format!(
                    "{} is the system's own folder, whose owner and rights would change: name one of the product's own, e.g. below /var/lib, /srv or /opt",
                    directory.path
                ),
            );
            self.unless(
                !UNTIL_THE_NEXT_START.iter().any(|one| path.starts_with(one)),
                place,
                format!(
                    "{} is gone when the machine starts again: name a folder on a disk, e.g. below /var/lib, /srv or /opt",
                    directory.path
                ),
            );
        }
    }

    fn host_path(&mut self, place: &str, text: &str) {
        // As the installer reads a bundle's document.
        let straight = text
            .strip_prefix('/')
            .is_some_and(|path| path.split('/').all(|part| !matches!(part, "" | "." | "..")));
        self.unless(
            straight && !text.contains(char::is_control),
            place,
            format!("`{text}` must be an absolute path without `.`, `..`, `//` and without `/` at its end"),
        );
    }
}
