//! The same cluster by a plain shell script: `vm-tests/baseline/install.sh`.
//!
//! Its inputs are made beforehand and are the same as the installer's: the bundle's binaries, images and chart, and
//! the configuration files of the installer's own plan. Making them is not measured.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use sealift_bundle::Bundle;
use sealift_bundle::document::{Image, Role};
use serde_json::{Value, json};

use crate::cache::{self, Key};
use crate::demo::seat::Seat;
use crate::lab::{self, Lab};
use crate::programs;

/// Folder at the seat.
const FOLDER: &str = "baseline";
const ROLES: [(Role, &str); 2] = [(Role::ControlPlane, "control-plane"), (Role::Worker, "worker")];

/// The scripts' folder.
pub fn scripts() -> PathBuf {
    programs::checkout().join("vm-tests/baseline")
}

/// Installs the fresh hosts of a lab; gives seconds from the first byte to all nodes Ready.
pub fn measure(cache: &Path, lab: &Lab, seat: &Seat<'_>, bundle: &Bundle) -> Result<f64> {
    let folder = lab.seat_home().join(FOLDER);
    fs::create_dir_all(&folder)?;
    for script in ["install.sh", "host.sh"] {
        fs::copy(scripts().join(script), folder.join(script))?;
    }
    for entry in fs::read_dir(archives(cache, bundle)?)?.flatten() {
        fs::hard_link(entry.path(), folder.join(entry.file_name()))?;
    }
    configuration(seat, bundle, &folder)?;
    let start = Instant::now();
    let said = lab::run(&mut lab.seat_command(&["bash", "baseline/install.sh", FOLDER]))?;
    let seconds = start.elapsed().as_secs_f64();
    for line in said.lines() {
        println!("             {line}");
    }
    Ok(seconds)
}

/// Binaries and images by role, as somebody would carry them: kept in the cache.
fn archives(cache: &Path, bundle: &Bundle) -> Result<PathBuf> {
    let key = Key::new("baseline 1").text(bundle.index_json()).finish();
    let found = cache::folder(&cache.join("bench"), &key, |folder| {
        for (role, name) in ROLES {
            binaries(bundle, role, folder, name)?;
            images(bundle, role, &folder.join(format!("{name}-images.tar")))?;
        }
        Ok(())
    })?;
    Ok(found.path)
}

/// Plain binaries in one compressed archive: five hosts share the seat's link.
fn binaries(bundle: &Bundle, role: Role, folder: &Path, name: &str) -> Result<()> {
    let tar = folder.join(format!("{name}-files.tar"));
    let mut archive = tar::Builder::new(BufWriter::new(File::create(&tar)?));
    for file in bundle.document().files.iter().filter(|file| file.roles.contains(&role)) {
        let plain = zstd::decode_all(bundle.blob_reader(&file.digest, 0)?)?;
        add(&mut archive, &file.path, file.mode, &plain)?;
    }
    archive.into_inner()?.flush()?;
    lab::run(Command::new("gzip").arg("-1").arg(&tar)).map(drop)
}

/// Images as an archive that `ctr images import` takes, layers as they are in the bundle.
fn images(bundle: &Bundle, role: Role, path: &Path) -> Result<()> {
    let document = bundle.document();
    let wanted: Vec<&Image> = document.images.iter().filter(|image| image.roles.contains(&role)).collect();
    let sizes: BTreeMap<&str, u64> =
        document.blobs.iter().map(|blob| (blob.digest.as_str(), blob.size)).collect();
    let manifests: Vec<Value> = wanted
        .iter()
        .map(|image| {
            json!({
                "mediaType": image.media_type, "digest": image.digest, "size": sizes.get(image.digest.as_str()),
                "annotations": {"io.containerd.image.name": image.name},
            })
        })
        .collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests,
    });
    let mut archive = tar::Builder::new(BufWriter::new(File::create(path)?));
    add(&mut archive, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add(&mut archive, "index.json", 0o644, index.to_string().as_bytes())?;
    let mut done = std::collections::BTreeSet::new();
    for digest in wanted.iter().flat_map(|image| &image.blobs).filter(|digest| done.insert(*digest)) {
        let size = *sizes.get(digest.as_str()).with_context(|| format!("the bundle has no blob {digest}"))?;
        let place = format!("blobs/{}", digest.replacen(':', "/", 1));
        add_stream(&mut archive, &place, 0o644, size, bundle.blob_reader(digest, 0)?)?;
    }
    Ok(archive.into_inner()?.flush()?)
}

fn add(archive: &mut tar::Builder<impl Write>, path: &str, mode: u32, content: &[u8]) -> Result<()> {
    add_stream(archive, path, mode, content.len() as u64, content)
}

fn add_stream(
    archive: &mut tar::Builder<impl Write>,
    path: &str,
    mode: u32,
    size: u64,
    content: impl Read,
) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size);
    header.set_entry_type(tar::EntryType::Regular);
    Ok(archive.append_data(&mut header, path.trim_start_matches('/'), content)?)
}

/// The installer's plan for these hosts, taken apart into what each of them gets.
fn configuration(seat: &Seat<'_>, bundle: &Bundle, folder: &Path) -> Result<()> {
    let words = [
        "plan",
        "--profile",
        "profiles/demo.yaml",
        "--bundle",
        "orders.bundle",
        "--write",
        "baseline/plan.json",
    ];
    lab::run(&mut seat.installer(&words))?;
    let saved: Value = serde_json::from_slice(&fs::read(folder.join("plan.json"))?)?;
    let plan = &saved["plan"];
    let steps = plan["steps"].as_array().context("the plan has no steps")?;
    let mut site = Vec::new();
    let mut settings = BTreeMap::new();
    for host in plan["hosts"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let own: Vec<&Value> = steps.iter().filter(|step| step["host"] == host).collect();
        write_configuration(&own, &folder.join(format!("{host}-configuration.tar")))?;
        let join = own.iter().map(|step| &step["join"]).find(|join| join.is_object());
        let is_worker = join.is_some_and(|join| join["phase"] == "worker");
        let role = if is_worker { "worker" } else { "control-plane" };
        site.push(format!("{host} - {role}"));
        if let Some(join) = join {
            let ignored = join["ignorePreflight"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let name = if role == "worker" { "IGNORED_WORKER" } else { "IGNORED_MASTER" };
            settings.insert(name, ignored.collect::<Vec<_>>().join(","));
            settings.insert("ENDPOINT", text(&join["endpoint"])?.to_owned());
            settings.insert("FIRST", text(&join["via"])?.to_owned());
        }
    }
    ensure!(settings.len() == 4, "the plan joins no masters or no workers: {settings:?}");
    let settings: Vec<String> = settings.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    fs::write(folder.join("site"), text_of(&site))?;
    fs::write(folder.join("settings"), text_of(&settings))?;
    let release = steps.iter().map(|step| &step["release"]).find(|release| release["name"] == "flannel");
    let release = release.context("the plan installs no flannel")?;
    fs::write(folder.join("flannel.tgz"), bundle.read_blob(text(&release["blob"]["digest"])?)?)?;
    fs::write(folder.join("flannel-values.json"), release["values"].to_string())?;
    Ok(())
}

/// Lines, each with its end.
fn text_of<T: AsRef<str>>(lines: &[T]) -> String {
    lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect()
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

/// All files of one host but those of the registries: here images are imported, not pulled.
fn write_configuration(steps: &[&Value], path: &Path) -> Result<()> {
    let mut archive = tar::Builder::new(File::create(path)?);
    let mut done = std::collections::BTreeSet::new();
    for step in steps {
        let lists = [&step["files"], &step["service"]["files"]];
        let single = [&step["config"], &step["join"]["config"]];
        let files = lists.into_iter().filter_map(Value::as_array).flatten().chain(single);
        for file in files.filter(|file| file.is_object()) {
            let path = text(&file["path"])?;
            let of_registry = path.contains("/certs.d/") || path.contains("sealift-registry");
            if !of_registry && done.insert(path.to_owned()) {
                let mode = u32::try_from(file["mode"].as_u64().unwrap_or(0o644))?;
                add(&mut archive, path, mode, text(&file["content"])?.as_bytes())?;
            }
        }
        if let Some(lines) = step["lines"].as_array() {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            add(&mut archive, "var/tmp/baseline/hosts", 0o644, text_of(&lines).as_bytes())?;
        }
    }
    ensure!(!done.is_empty(), "the plan has no file for {}", path.display());
    Ok(archive.into_inner().map(drop)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_files_are_taken_from_its_steps() {
        let steps = [
            json!({"files": [{"path": "/etc/a", "mode": 0o600, "content": "1"}]}),
            json!({"service": {"files": [
                {"path": "/etc/b", "mode": 0o644, "content": "2"},
                {"path": "/etc/containerd/certs.d/x/hosts.toml", "mode": 0o644, "content": "3"},
            ]}}),
            json!({"join": {"config": {"path": "/run/c", "mode": 0o600, "content": "4"}}}),
            json!({"lines": ["10.0.0.1 x", "10.0.0.2 y"]}),
            json!({"config": {"path": "/etc/a", "mode": 0o600, "content": "1"}}),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.tar");
        write_configuration(&steps.iter().collect::<Vec<_>>(), &path).unwrap();
        let mut archive = tar::Archive::new(File::open(&path).unwrap());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            seen.push((entry.path().unwrap().display().to_string(), content));
        }
        let seen: Vec<(&str, &str)> =
            seen.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
        assert_eq!(
            seen,
            [
                ("etc/a", "1"),
                ("etc/b", "2"),
                ("run/c", "4"),
                ("var/tmp/baseline/hosts", "10.0.0.1 x\n10.0.0.2 y\n")
            ]
        );
    }
}
