//! Help, manual pages and completions.

use std::process::{Command, Output};

use bundle_builder::cli;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bundle-builder")).args(arguments).output().unwrap()
}

fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fail(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Every command with its words: the program, its verbs, and their verbs.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    fn add(words: &[String], command: &clap::Command, all: &mut Vec<(Vec<String>, clap::Command)>) {
        all.push((words.to_vec(), command.clone()));
        for verb in command.get_subcommands() {
            add(&[words, &[verb.get_name().to_owned()]].concat(), verb, all);
        }
    }
    let mut all = Vec::new();
    add(&[], &cli::command(), &mut all);
    assert!(all.len() > 15, "{}", all.len());
    all
}

/// The examples at the end of a help text, as the words that a shell would make of them.
fn examples(help: &str) -> Vec<Vec<String>> {
    let (_, examples) = help
        .rsplit_once("\nExamples:\n")
        .or_else(|| help.rsplit_once("\nExample:\n"))
        .unwrap_or_else(|| panic!("no examples:\n{help}"));
    let lines = examples.replace("\\\n", " ");
    lines
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| {
            assert!(line.starts_with("  bundle-builder "), "the help does not end with examples: {line}");
            let command = line.split(['|', '>']).next().unwrap_or_default();
            command.split_whitespace().map(ToOwned::to_owned).collect()
        })
        .collect()
}

#[test]
fn every_help_ends_with_examples_that_the_program_takes() {
    for (words, command) in commands() {
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = succeed(&arguments);
        let examples = examples(&help);
        assert!(!examples.is_empty(), "{words:?}");
        for example in &examples {
            if let Err(error) = cli::command().try_get_matches_from(example) {
                panic!("{example:?} in the help of {words:?}: {error}");
            }
        }
        // Of itself, not only of others.
        let own = [&["bundle-builder".to_owned()], &*words].concat();
        assert!(examples.iter().any(|example| example.starts_with(&own)), "{words:?}: {examples:?}");
        assert!(command.get_about().is_some(), "{words:?}");
    }
}

#[test]
fn manual_pages_have_every_verb_and_every_flag() {
    let folder = tempfile::tempdir().unwrap();
    let said = succeed(&["man", "--dir", folder.path().join("man1").to_str().unwrap()]);
    assert!(said.starts_with("written   ") && said.contains(" pages in "), "{said}");
    for (words, command) in commands() {
        let name = [&["bundle-builder".to_owned()], &*words].concat().join("-");
        let page = folder.path().join("man1").join(format!("{name}.1"));
        let page = std::fs::read_to_string(&page).unwrap().replace("\\-", "-");
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("--{flag}")), "{name}: --{flag}");
        }
        for verb in command.get_subcommands() {
            assert!(page.contains(&format!("{name}-{}(1)", verb.get_name())), "{name}: {}", verb.get_name());
        }
        for example in examples(&succeed(
            &[&*words.iter().map(String::as_str).collect::<Vec<_>>(), &["--help"]].concat(),
        )) {
            assert!(page.contains(&example[..2.min(example.len())].join(" ")), "{name}: {example:?}");
        }
    }
    assert_eq!(
        succeed(&["man"]),
        std::fs::read_to_string(folder.path().join("man1/bundle-builder.1")).unwrap()
    );
}

#[test]
fn shells_complete_verbs_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeed(&["completions", shell]);
        for (words, command) in commands() {
            assert!(words.iter().all(|word| script.contains(word.as_str())), "{shell}: {words:?}");
            for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
                assert!(script.contains(flag), "{shell}: {words:?} --{flag}");
            }
        }
    }
    // bash takes it.
    let script = succeed(&["completions", "bash"]);
    let output = Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn wrong_names_get_the_nearest_ones() {
    for (arguments, nearest) in [
        (&["verfy", "x"][..], "'verify'"),
        (&["key", "sow", "x"], "'show'"),
        (&["build", "--recpe", "x"], "'--recipe'"),
        (&["completions", "bsh"], "'bash'"),
        (&["inspect", "x", "--key", "k", "--output", "jsn"], "'json'"),
    ] {
        let said = fail(arguments);
        assert!(said.contains("tip:") && said.contains(nearest), "{arguments:?}: {said}");
    }
}
