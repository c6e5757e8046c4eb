//! Bundles that are not what the vendor signed: each refused on the seat with a message of its own before a host hears
//! of it, and a blob that is damaged on the way is caught on the host.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sealift_bundle::document::Role;
use sealift_bundle::{Bundle, TrustedKeys};

use super::Test;
use crate::lab::run;
use crate::test::{Context, Ended};

/// In order.
pub const TESTS: &[Test] = &[
    Test::lab("refusals::flipped_bit_in_a_blob", flipped_bit_in_a_blob),
    Test::lab("refusals::flipped_bit_in_a_header", flipped_bit_in_a_header),
    Test::lab("refusals::flipped_bit_in_the_index", flipped_bit_in_the_index),
    Test::lab("refusals::truncated", truncated),
    Test::lab("refusals::added_member", added_member),
    Test::lab("refusals::removed_member", removed_member),
    Test::lab("refusals::unsigned", unsigned),
    Test::lab("refusals::wrong_key", wrong_key),
    Test::lab("refusals::no_key_and_no_bundle_are_usage", usage),
];

/// On a lab of its own, because it leaves a begun install.
pub const ON_THE_WAY: &[Test] =
    &[Test::fresh("refusals::damage_on_the_way_is_caught_on_the_host", damage_on_the_way)];

/// Exit code when a bundle or a blob is not what its signature says.
const VERIFICATION: i32 = 5;
/// Exit code of wrong use.
const USAGE: i32 = 2;

/// Words that belong to one refusal each: a message must have its own and none of the others.
const MARKS: &[&str] = &[
    "content of blobs/sha256/",
    "tar header of",
    "does not match index.json",
    "cut short",
    "it was added",
    "it was removed",
    "is not signed",
    "is not trusted here",
];

/// A copy of the bundle at the seat that goes away with the test.
struct Copy {
    path: PathBuf,
}

impl Copy {
    fn make(context: &Context<'_>) -> Result<Self> {
        let path = context.lab.seat_home().join("copy.bundle");
        // The one at the seat is a link to the cache's: never written to.
        let copy = Self { path };
        fs::copy(&context.made.bundle, &copy.path).context("cannot copy the bundle")?;
        Ok(copy)
    }

    fn file(&self) -> Result<File> {
        OpenOptions::new().read(true).write(true).open(&self.path).context("cannot open the copy")
    }

    /// Flips one bit.
    fn flip(&self, offset: u64) -> Result<()> {
        flip(&self.file()?, offset)
    }

    /// Everything but this member.
    fn without(&self, member: &Member) -> Result<()> {
        let mut from = self.file()?;
        let mut rest = Vec::new();
        from.seek(SeekFrom::Start(member.end()))?;
        from.read_to_end(&mut rest)?;
        from.seek(SeekFrom::Start(member.header))?;
        from.write_all(&rest)?;
        Ok(from.set_len(member.header + rest.len() as u64)?)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // A test that failed before the copy was made has none.
        let _ = fs::remove_file(&self.path);
    }
}

fn flip(file: &File, offset: u64) -> Result<()> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    file.write_all_at(&[byte[0] ^ 0x10], offset)?;
    Ok(())
}

/// A member of a tar.
#[derive(Debug, Clone)]
pub struct Member {
    name: String,
    header: u64,
    content: u64,
    size: u64,
}

impl Member {
    fn end(&self) -> u64 {
        self.content + self.size.next_multiple_of(512)
    }
}

/// All members, found as any tar program finds them.
fn members(path: &Path) -> Result<Vec<Member>> {
    let mut archive = tar::Archive::new(File::open(path)?);
    let entries = archive.entries_with_seek()?;
    entries
        .map(|entry| {
            let entry = entry?;
            Ok(Member {
                name: entry.path()?.to_string_lossy().into_owned(),
                header: entry.raw_header_position(),
                content: entry.raw_file_position(),
                size: entry.size(),
            })
        })
        .collect()
}

fn member(path: &Path, name: &str) -> Result<Member> {
    let found = members(path)?.into_iter().find(|member| member.name == name);
    found.with_context(|| format!("the bundle has no member {name}"))
}

fn largest(path: &Path) -> Result<Member> {
    members(path)?.into_iter().max_by_key(|member| member.size).context("the bundle is empty")
}

/// Installs from a bundle, onto hosts that are not there: whoever asks them first fails in another way.
fn install(context: &Context<'_>, bundle: &Path, more: &[&str]) -> Result<Ended> {
    let hosts = context.hosts().into_iter().enumerate();
    let lines =
        hosts.map(|(index, host)| format!("  - name: {host}\n    address: 10.77.0.{}\n", 101 + index));
    let overlay = context.overlay("nowhere", &format!("hosts:\n{}", lines.collect::<String>()))?;
    let bundle = bundle.to_string_lossy();
    let mut arguments = vec!["install", "--profile", "profiles/demo.yaml", "--profile", &overlay];
    arguments.extend(["--bundle", &bundle, "--yes"]);
    arguments.extend(more);
    context.installer(&arguments)
}

/// The whole case: `install` and `verify` refuse it with these words, those of no other refusal, and a next step, and
/// the seat has sent nothing.
fn refused(context: &Context<'_>, copy: &Copy, words: &[&str], more: &[&str]) -> Result<()> {
    let sent = context.lab.seat_tx_bytes()?;
    let path = copy.path.to_string_lossy();
    let verify = context.installer(&[&["verify", path.as_ref()], more].concat())?;
    for ended in [install(context, &copy.path, more)?, verify] {
        ended.expect_code(VERIFICATION)?.expect_text(words)?.expect_text(&["copy.bundle", "next: "])?;
        let marks: Vec<_> = MARKS.iter().filter(|mark| ended.errors.contains(**mark)).collect();
        if marks.len() != 1 {
            bail!("this message is not one refusal's own ({marks:?}):\n{}", ended.errors);
        }
    }
    let sent = context.lab.seat_tx_bytes()? - sent;
    if sent > 0 {
        bail!("the seat sent {sent} bytes before it refused the bundle");
    }
    Ok(())
}

fn flipped_bit_in_a_blob(context: &Context<'_>) -> Result<()> {
    let copy = Copy::make(context)?;
    let blob = largest(&copy.path)?;
    copy.flip(blob.content + blob.size / 2)?;
    let place = format!("content of {} (image ", blob.name);
    let offset = format!(") at byte {}, {} bytes", blob.content, blob.size);
    refused(context, &copy, &[&place, &offset, "damaged in 1 place"], &[])
}

fn flipped_bit_in_a_header(context: &Context<'_>) -> Result<()> {
    let copy = Copy::make(context)?;
    let blob = largest(&copy.path)?;
    // Inside the time field.
    copy.flip(blob.header + 140)?;
    refused(context, &copy, &[&format!("tar header of {}", blob.name)], &[])
}

fn flipped_bit_in_the_index(context: &Context<'_>) -> Result<()> {
    let copy = Copy::make(context)?;
    let index = member(&copy.path, "index.json")?;
    copy.flip(index.content + index.size / 2)?;
    refused(context, &copy, &["the signature of key", "changed after signing"], &[])
}

fn truncated(context: &Context<'_>) -> Result<()> {
    let copy = Copy::make(context)?;
    let file = copy.file()?;
    let size = file.metadata()?.len();
    file.set_len(size - 1_000_000)?;
    refused(context, &copy, &[&format!("{} bytes of {size}", size - 1_000_000)], &[])
}

fn added_member(context: &Context<'_>) -> Result<()> {
    let copy = Copy::make(context)?;
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("blobs/sha256"))?;
    let name = "blobs/sha256/0000000000000000000000000000000000000000000000000000000000000000";
    fs::write(folder.path().join(name), "stowaway\n")?;
    let mut tar = Command::new("tar");
    tar.arg("--append").arg("--file").arg(&copy.path).arg("--directory").arg(folder.path()).arg(name);
    run(&mut tar)?;
    refused(context, &copy, &[name], &[])
}

fn removed_member(context: &Context<'_>) -> Result<()> {
    let copy = Copy::make(context)?;
    let blob = largest(&copy.path)?;
    copy.without(&blob)?;
    refused(context, &copy, &[&format!("member {} is missing", blob.name)], &[])
}

fn unsigned(context: &Context<'_>) -> Result<()> {
    let copy = Copy::make(context)?;
    let signature = member(&copy.path, "index.json.minisig")?;
    copy.without(&signature)?;
    refused(context, &copy, &["index.json.minisig is missing", "ask the vendor for the signed bundle"], &[])
}

fn wrong_key(context: &Context<'_>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let secret = folder.path().join("other.key");
    run(Command::new(&context.programs.bundle_builder)
        .args(["keygen", "--no-password", "--out"])
        .arg(&secret))?;
    let public = folder.path().join("other.key.pub");
    let copy = Copy::make(context)?;
    let trust = format!("--trust-key={}", public.display());
    refused(context, &copy, &["signed by key", "fingerprint of the signing key"], &[&trust])
}

fn usage(context: &Context<'_>) -> Result<()> {
    let home = context.lab.seat_home();
    let trusted = home.join(".sealift/trusted");
    let hidden = home.join(".sealift/hidden");
    fs::rename(&trusted, &hidden)?;
    let ended = install(context, Path::new("orders.bundle"), &[]);
    fs::rename(&hidden, &trusted)?;
    ended?.expect_code(USAGE)?.expect_text(&["no public key to verify orders.bundle with", "--trust-key"])?;
    let ended = install(context, Path::new("absent.bundle"), &[])?;
    ended.expect_code(USAGE)?.expect_text(&["absent.bundle: cannot be opened", "next: "])?;
    Ok(())
}

/// How long a step of this small install may be silent.
const SILENCE: Duration = Duration::from_mins(2);

/// The bundle's own document.
pub fn open(context: &Context<'_>, path: &Path) -> Result<Bundle> {
    let keys = TrustedKeys::from_files(std::slice::from_ref(&context.made.public_key))?;
    Ok(Bundle::open(path, &keys)?)
}

/// One master: its part of the demo's profile.
fn one_master(context: &Context<'_>) -> Result<()> {
    let home = context.lab.seat_home().join("profiles");
    let demo = fs::read_to_string(home.join("demo.yaml"))?;
    let (before, rest) = demo.split_once("\nhosts:\n").context("the demo's profile lists no hosts")?;
    let (_, product) = rest.split_once("\nproduct:\n").context("the demo's profile answers no questions")?;
    let host = "hosts:\n  - {name: m1, address: 10.77.0.11, role: control-plane}\n";
    Ok(fs::write(home.join("one.yaml"), format!("{before}\n{host}\nproduct:\n{product}"))?)
}

fn damage_on_the_way(context: &Context<'_>) -> Result<()> {
    one_master(context)?;
    let copy = Copy::make(context)?;
    let bundle = open(context, &copy.path)?;
    // One that is sent late: the last image that a master needs for its start.
    let images = &bundle.document().images;
    let image = images
        .iter()
        .rev()
        .find(|image| image.roles == [Role::ControlPlane])
        .context("no image for masters")?;
    let sizes =
        |digest: &&String| bundle.blobs().iter().find(|blob| blob.digest == **digest).map(|blob| blob.size);
    let digest = image.blobs.iter().max_by_key(sizes).context("an image without blobs")?;
    let hex = digest.trim_start_matches("sha256:");
    let blob = member(&copy.path, &format!("blobs/sha256/{hex}"))?;
    let arguments =
        ["install", "--output=json", "--yes", "--profile", "profiles/one.yaml", "--bundle", "copy.bundle"];
    let start = || crate::test::InstallerRun::start(&mut context.seat.installer(&arguments));

    // Every byte has been verified when the plan is shown.
    let mut run = start()?;
    run.wait_for("the plan", SILENCE, |event| event["topic"] == "plan")?;
    let file = copy.file()?;
    flip(&file, blob.content + blob.size / 2)?;
    let ended = run.finish(SILENCE * 3)?;
    ended.expect_code(VERIFICATION)?.expect_text(&[digest, "m1"])?;
    let failed = ended.events().find(|event| event["event"] == "stepFailed").context("no step failed")?;
    let step = failed["step"].as_str().context("the failed step has no name")?.to_owned();
    let stored = format!("/var/lib/sealift/store/blobs/sha256/{hex}");
    if context.lab.exec("m1", &["test", "-e", &stored])?.status.success() {
        bail!("the damaged blob is in the store of m1");
    }

    // With the right byte back, the same command goes on.
    flip(&file, blob.content + blob.size / 2)?;
    let mut run = start()?;
    let finished = run.wait_for(&format!("the end of {step}"), SILENCE * 3, |event| {
        event["step"] == step.as_str()
            && matches!(event["event"].as_str(), Some("stepFinished" | "stepFailed"))
    })?;
    run.kill()?;
    if finished["event"] != "stepFinished" {
        bail!("{step} failed again: {finished}");
    }
    let sum = context.lab.run("m1", &["sha256sum", &stored])?;
    if !sum.starts_with(hex) {
        bail!("the store of m1 holds {sum} under the name {hex}");
    }
    // Only what was missing came again.
    let needed: u64 = bundle.size();
    let moved = finished["bytes"].as_u64().unwrap_or(needed);
    if moved >= needed / 2 {
        bail!("the second run moved {moved} bytes of a bundle of {needed}");
    }
    Ok(())
}
