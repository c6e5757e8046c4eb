//! `installer check`: connects, probes, checks; changes nothing. `--list` says what it would check.

use std::path::PathBuf;

use sealift_checks::{Check, catalogue};
use serde_json::{Value, json};

use super::deep;
use super::prepare::{self, Prepared, nothing_changed};
use crate::failure::Failure;
use crate::matrix;
use crate::output::{Output, say};
use crate::trust::Trust;

/// What `check` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Say which checks there are and what each can mean, one a line; looks at no host.
    #[arg(long)]
    list: bool,
    /// Also measure what makes load or opens ports: the speed of the database's disk on all masters, and whether every
    /// host reaches the others' ports. About a minute.
    #[arg(long, conflicts_with = "list")]
    deep: bool,
    /// The bundle.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    bundle: Option<PathBuf>,
    /// The site profile; given more than once, later ones lie over earlier ones.
    #[arg(long, value_name = "FILE", required_unless_present = "list")]
    profile: Vec<PathBuf>,
    #[command(flatten)]
    trust: Trust,
}

pub(crate) fn run(arguments: Arguments, output: Output) -> Result<(), Failure> {
    let Arguments { list, deep, bundle, profile, trust } = arguments;
    let Some(bundle) = bundle.filter(|_| !list) else {
        show_list(output);
        return Ok(());
    };
    let mut prepared = Prepared::new(&prepare::Arguments { bundle, profile, trust }, output)?;
    if deep {
        deep::measure(&mut prepared, output);
    }
    show_matrix(&prepared, output);
    let result = prepared.check(output);
    prepared.sessions.close();
    result?;
    nothing_changed(output);
    Ok(())
}

/// `disk.etcd-fsync  Speed of the database's disk: blocks unless accepted; blocks always (far off)`.
fn show_list(output: Output) {
    match output {
        Output::Plain => {
            for check in catalogue() {
                say(&listed(check));
            }
        }
        Output::Json => {
            let all: Vec<Value> = catalogue().iter().map(described).collect();
            output.line("checks", &format!("{} checks", all.len()), &all);
        }
    }
}

fn listed(check: &Check) -> String {
    let beyond = check.beyond.map(|severity| format!(", {} where far off", severity.word()));
    let deep = if check.deep { " (only with --deep)" } else { "" };
    let means = check.severity.word();
    format!("{:<28} {}: {means}{}{deep}", check.id, check.title, beyond.unwrap_or_default())
}

fn described(check: &Check) -> Value {
    json!({
        "id": check.id, "title": check.title, "why": check.why, "group": check.group,
        "severity": check.severity, "beyond": check.beyond, "deep": check.deep,
    })
}

/// Group by host, for people; machines get the findings themselves.
fn show_matrix(prepared: &Prepared, output: Output) {
    if output == Output::Plain {
        let site = &prepared.site.site;
        let findings = prepared.findings();
        for line in matrix::lines(&findings, site) {
            say(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use sealift_checks::Severity;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(words: &[&str]) -> Result<Arguments, clap::Error> {
        Line::try_parse_from(std::iter::once(&"check").chain(words)).map(|line| line.arguments)
    }

    #[test]
    fn the_list_needs_neither_profile_nor_bundle_but_a_look_at_hosts_does() {
        assert!(parse(&["--list"]).unwrap().list);
        assert!(parse(&["--bundle", "b", "--profile", "p", "--deep"]).unwrap().deep);
        for wrong in [&[][..], &["--bundle", "b"], &["--profile", "p"], &["--list", "--deep"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_check_is_one_line_that_begins_with_its_id() {
        for check in catalogue() {
            let line = listed(check);
            assert_eq!(line.split_whitespace().next(), Some(check.id));
            assert!(line.contains(check.title) && line.contains(check.severity.word()), "{line}");
            assert_eq!(line.contains("only with --deep"), check.deep, "{line}");
            assert!(!line.contains('\n') && described(check)["id"] == check.id);
        }
        let skew = catalogue().iter().find(|check| check.id == "clock.skew").unwrap();
        let expected =
            "clock.skew                   Clock: blocks unless accepted, blocks always where far off";
        assert_eq!((skew.severity, listed(skew).as_str()), (Severity::Block, expected));
        assert_eq!(described(skew)["beyond"], "stop");
    }
}
