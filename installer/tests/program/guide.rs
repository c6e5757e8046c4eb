//! The guide: every command in it that needs no host works, in its order; those that need hosts are run on real ones by
//! the scenario `guide`. Its screens are those that the tests of the wizard keep.

use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealift_bundle::delta::{Against, cut};
use sealift_bundle::testing::{SampleKey, sample_document, sample_writer};
use sealift_bundle::write::{BlobGroup, trusted_comment};
use sealift_bundle::{Bundle, TrustedKeys};

use crate::seat::program;
use crate::terminal::{ENTER, F10, Terminal};

const GUIDE: &str = include_str!("../../README.md");
const INSTALLER: &str = env!("CARGO_BIN_EXE_installer");

/// What a block of the guide is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block<'a> {
    /// Commands that need no host.
    Here(&'a str),
    /// Commands for the scenario `guide`.
    Hosts(&'a str),
    /// The command that starts the wizard.
    Wizard(&'a str),
    /// A whole profile.
    Profile(&'a str),
    /// A screen, and the file that it is in, whole.
    Screen(&'a str, &'a str),
    /// Some lines, and the file that they are from.
    Part(&'a str, &'a str),
}

/// All blocks, in their order. One that nothing is known about is a failure.
fn blocks(guide: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut rest = guide;
    while let Some((before, behind)) = rest.split_once("```") {
        let (kind, behind) = behind.split_once('\n').unwrap();
        let (text, behind) = behind.split_once("```\n").unwrap();
        rest = behind;
        // A comment right above says where a text is from.
        let mark = before.trim_end_matches('\n').rsplit('\n').next().unwrap_or_default();
        let mark = mark.strip_prefix("<!-- ").and_then(|mark| mark.strip_suffix(" -->")).unwrap_or_default();
        blocks.push(match (kind, mark.split_once(' ')) {
            ("sh", _) => Block::Here(text),
            ("sh hosts", _) => Block::Hosts(text),
            ("sh wizard", _) => Block::Wizard(text),
            ("yaml", _) => Block::Profile(text),
            ("text", Some(("whole", file))) => Block::Screen(file, text),
            ("text", Some(("part", file))) => Block::Part(file, text),
            _ => unreachable!("nobody tries this block of the guide:\n{kind}\n{text}"),
        });
    }
    assert!(blocks.len() > 20, "{}", blocks.len());
    blocks
}

/// A snapshot without what stands above it.
fn snapshot(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.splitn(3, "---\n").nth(2).unwrap().to_owned()
}

/// Where the guide goes with the screens as they are now.
fn refreshed() -> PathBuf {
    let mut text = GUIDE.to_owned();
    for block in blocks(GUIDE) {
        if let Block::Screen(file, shown) = block {
            let mark = format!("<!-- whole {file} -->\n```text\n");
            text = text.replace(&format!("{mark}{shown}"), &format!("{mark}{}", snapshot(file)));
        }
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installer-README.md");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn its_screens_are_those_that_the_wizard_shows() {
    for block in blocks(GUIDE) {
        match block {
            Block::Screen(file, shown) => {
                let drawn = snapshot(file);
                assert!(
                    shown == drawn,
                    "the guide does not show {file} as it is; the guide with the screens of today is {}\n{drawn}",
                    refreshed().display()
                );
            }
            Block::Part(file, shown) => assert!(snapshot(file).contains(shown), "not in {file}:\n{shown}"),
            Block::Here(_) | Block::Hosts(_) | Block::Wizard(_) | Block::Profile(_) => {}
        }
    }
}

#[test]
fn it_says_what_each_page_wants() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tui/tests/snapshots");
    let mut pages = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.contains("__way-") {
            continue;
        }
        let screen = snapshot(&format!("src/tui/tests/snapshots/{name}"));
        // ` Orders 4.2.0, site harbin-plant     4/11  Hosts`
        let title = screen.lines().next().unwrap();
        let page = title.rsplit("  ").next().unwrap().trim();
        assert!(GUIDE.contains(&format!("\n| {page} | ")), "{page} ({name}) is not in the table of pages");
        pages += 1;
    }
    assert!(pages > 10, "{pages}");
}

#[test]
fn it_shows_every_verb() {
    let help = program(&["help"]).output;
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    // A verb stands two columns in; what is said of it further.
    let verbs =
        commands.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let verbs: Vec<&str> = verbs.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() > 10, "{help}");
    let shown: String = blocks(GUIDE)
        .into_iter()
        .filter_map(|block| match block {
            Block::Here(text) | Block::Hosts(text) | Block::Wizard(text) => Some(text),
            _ => None,
        })
        .collect();
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        assert!(shown.contains(&format!("./installer {verb}")), "no command of the guide shows {verb}");
    }
}

/// A folder to work in, with the vendor's disk in it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let disk = place.path("disk");
        fs::create_dir_all(&disk).unwrap();
        fs::create_dir_all(place.path("home")).unwrap();
        let key = SampleKey::generate();
        let comment = trusted_comment(&sample_document().product);
        let pack = |path: &Path, added: Option<&[u8]>| {
            let mut writer = sample_writer();
            // More than the offset at which the guide damages a copy.
            writer.add_bytes(BlobGroup::Data, b"some image layer ".repeat(20_000)).unwrap();
            if let Some(added) = added {
                writer.add_bytes(BlobGroup::Data, added.to_vec()).unwrap();
            }
            let sign = |index: &[u8]| Ok::<_, Infallible>(key.sign(index, &comment));
            writer.pack(path, 2, &|_, _| {}, sign).unwrap();
        };
        let (old, new) = (disk.join("orders-4.2.0.bundle"), place.path("new.bundle"));
        pack(&old, None);
        pack(&new, Some(b"what the newer one has more"));
        fs::write(disk.join("orders.pub"), key.public_key_text()).unwrap();
        let keys = TrustedKeys::from_public_key_text(&key.public_key_text()).unwrap();
        let open = |path: &Path| Bundle::open(path, &keys).unwrap();
        let delta = disk.join("orders-4.2.0-4.3.0.delta");
        cut(Against::Bundle(&open(&old)), &open(&new), &delta, 2, &|_, _, _| {}).unwrap();
        fs::remove_file(new).unwrap();
        std::os::unix::fs::symlink(INSTALLER, disk.join("installer-linux-amd64")).unwrap();
        place.succeed("cd disk && sha256sum -- * >SHA256SUMS");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs commands as somebody types them; what was said.
    fn succeed(&self, commands: &str) -> String {
        let output = Command::new("sh")
            .args(["-euc", commands])
            .current_dir(self.0.path())
            .env("HOME", self.path("home"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{commands}\n{text}");
        text
    }

    /// Starts the wizard on a terminal, answers its first question, and leaves.
    fn wizard(&self, command: &str) {
        let (home, folder) = (self.path("home"), self.0.path().display().to_string());
        let variables = [("HOME", home.to_str().unwrap())];
        let mut terminal = Terminal::start("sh", &["-euc", command], &folder, &variables);
        terminal.wait_for("What is the site called?");
        terminal.write("harbin-plant");
        terminal.wait_for("harbin-plant");
        terminal.write(F10);
        terminal.wait_for("Leave the wizard?");
        terminal.write(ENTER);
        terminal.wait_for("Go on with: installer wizard");
        assert_eq!(terminal.ended().code(), Some(0));
        assert!(fs::read_to_string(self.path("site.yaml")).unwrap().contains("name: harbin-plant"));
    }
}

#[test]
fn every_command_that_needs_no_host_works() {
    let place = Place::new();
    let mut said = String::new();
    for block in blocks(GUIDE) {
        match block {
            Block::Here(commands) => said += &place.succeed(commands),
            Block::Wizard(command) => place.wizard(command.trim_end()),
            // As if all pages of the wizard had been answered.
            Block::Profile(profile) => fs::write(place.path("site.yaml"), profile).unwrap(),
            Block::Hosts(_) | Block::Screen(..) | Block::Part(..) => {}
        }
    }
    // What the guide promises, not only that nothing failed.
    for expected in [
        "orders-4.2.0.bundle: OK\n",
        "matches the signature",
        "harbin-plant: nothing is wrong; 1 control plane, 2 workers",
        "proposal.html",
        "disk.etcd-fsync",
        "this-host.json written",
        "send it to the vendor",
        "nothing to migrate",
        "exit code 5\n",
        "1 place mended",
    ] {
        assert!(said.contains(expected), "`{expected}` is not in {said}");
    }
    let read = |name: &str| fs::read_to_string(place.path(name)).unwrap();
    let (sealed, opened) = (read("ops-password"), read("ops-password.again"));
    assert_eq!(opened.trim_end(), sealed.trim_end());
    assert!(!opened.is_empty() && !said.contains(opened.trim_end()), "no output has a secret");
}
