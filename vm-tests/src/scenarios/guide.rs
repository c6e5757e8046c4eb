//! The field engineers' guide: every command in it that needs hosts works on real ones, in its order. Those that need
//! none are run by the installer's own tests.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};

use super::Test;
use crate::demo::seat::DEMO;
use crate::test::{Context, tail};

/// In order.
pub const TESTS: &[Test] = &[Test::cluster("guide::commands_that_need_hosts_work", commands_work)];

const GUIDE: &str = include_str!("../../../installer/README.md");
/// What commands leave behind, and something that stands in it.
const LEFT: [(&str, &str); 7] = [
    ("plan.json", "\"changes\""),
    ("firewall.csv", ",2380,"),
    ("machines.csv", "\nm1,"),
    ("names.csv", "api.demo.internal"),
    ("report.html", "<h1>Orders"),
    ("handover.html", "<h1>Orders"),
    ("run.jsonl", "\"topic\":\"done\""),
];

fn commands_work(context: &Context<'_>) -> Result<()> {
    let place = context.lab.seat_home().join("guide");
    let result = prepare(context, &place).and_then(|()| run_all(context, &place));
    // The bundle is here a second time only by name; the rest is small.
    fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
    result
}

/// As somebody finds it who has come as far: a disk, the installer beside it, and a profile that is whole.
fn prepare(context: &Context<'_>, place: &Path) -> Result<()> {
    let (home, disk) = (context.lab.seat_home(), place.join("disk"));
    fs::create_dir_all(&disk)?;
    let same = [
        (home.join("orders.bundle"), disk.join("orders-4.2.0.bundle")),
        (home.join("installer"), place.join("installer")),
    ];
    for (from, to) in same {
        fs::hard_link(&from, &to).with_context(|| format!("cannot link {} here", from.display()))?;
    }
    fs::copy(home.join(DEMO), place.join("site.yaml"))?;
    Ok(())
}

fn run_all(context: &Context<'_>, place: &Path) -> Result<()> {
    let mut said = String::new();
    for commands in blocks(GUIDE)? {
        let mut command = context.lab.seat_command(&["sh", "-euc", commands]);
        command.current_dir(place).stdin(Stdio::null());
        let output = command.output().context("cannot start a shell")?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(output.status.success(), "{commands}ended with {}:\n{}", output.status, tail(&text));
        said += &text;
    }
    // The install, and the same once more.
    let times = said.matches("5 nodes Ready, 3 voters").count();
    ensure!(times >= 2 && said.contains("nothing changed"), "the installs said:\n{}", tail(&said));
    for (name, part) in LEFT {
        let text = fs::read_to_string(place.join(name)).with_context(|| format!("no {name} was written"))?;
        ensure!(text.contains(part), "{part} is not in {name}:\n{}", tail(&text));
    }
    Ok(())
}

/// The commands for hosts, block by block. A block that neither is one of these nor known to be tried elsewhere is a
/// failure: none is left out in silence.
fn blocks(guide: &str) -> Result<Vec<&str>> {
    let mut found = Vec::new();
    let mut rest = guide;
    while let Some((_, behind)) = rest.split_once("```") {
        let (kind, behind) = behind.split_once('\n').context("the guide ends in a block")?;
        let (text, behind) = behind.split_once("```\n").context("a block of the guide has no end")?;
        rest = behind;
        match kind {
            "sh hosts" => found.push(text),
            // By the installer's tests.
            "sh" | "sh wizard" | "yaml" | "text" => {}
            _ => bail!("nobody tries this block of the guide:\n{kind}\n{text}"),
        }
    }
    ensure!(!found.is_empty(), "the guide has no command for hosts");
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_for_hosts_are_found_and_unknown_blocks_are_not_left_out() {
        let guide = "a\n```sh\nhere\n```\nb\n```sh hosts\nthere 1\nthere 2\n```\n```text\nc\n```\n";
        assert_eq!(blocks(guide).unwrap(), ["there 1\nthere 2\n"]);
        assert!(blocks(&guide.replace("```text", "```console")).is_err());
        assert!(blocks(&guide.replace("```sh hosts", "```sh")).is_err());
        let all = blocks(GUIDE).unwrap();
        assert!(all.iter().all(|commands| commands.starts_with("./installer ")), "{all:?}");
        for verb in ["check", "plan", "install", "attach", "replay", "report"] {
            assert!(all.concat().contains(&format!("./installer {verb}")), "{verb}");
        }
    }
}
