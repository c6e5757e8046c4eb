//! `installer check`: connects, probes, checks; a host that does not answer hides nothing of the others. `--list` says what
//! it would check, `--facts` judges files of hosts that were measured before, `--fix` mends what can be mended by itself.
//! Without `--fix` nothing is changed.

use std::path::{Path, PathBuf};

use sealift_checks::{Check, CheckInput, Finding, catalogue};
use sealift_profile::Site;
use serde_json::{Value, json};

use super::prepare::{self, Prepared, nothing_changed};
use super::{deep, fix};
use crate::facts_files;
use crate::failure::Failure;
use crate::matrix;
use crate::output::{Output, counted, say};
use crate::trust::Trust;

/// What `check` needs.
#[derive(Debug, clap::Args)]
// Flags of a command line; which of them go together is said beside each.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Arguments {
    /// Say which checks there are and what each can mean, one a line; looks at no host.
    #[arg(long)]
    list: bool,
    /// Also measure what makes load or opens ports: the speed of the database's disk on all masters, and whether every
    /// host reaches the others' ports. About a minute.
    #[arg(long, conflicts_with = "list")]
    deep: bool,
    /// Ask no host: judge the files that `installer kit` wrote there, or a folder of them; more than once for more.
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with_all = ["list", "deep", "fix", "undo_fixes"])]
    facts: Vec<PathBuf>,
    /// Mend what can be mended by itself, after showing it and asking; with =CHECK[,CHECK…] only what these ask for.
    #[arg(
        long, value_name = "CHECK", num_args = 0.., require_equals = true, value_delimiter = ',',
        conflicts_with_all = ["list", "deep"],
    )]
    fix: Option<Vec<String>>,
    /// Take back whatever `--fix` changed on these hosts, after showing it and asking.
    #[arg(long, conflicts_with_all = ["list", "deep", "fix"])]
    undo_fixes: bool,
    /// Do not ask before mending or taking back.
    #[arg(long)]
    yes: bool,
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
    let Arguments { list, deep, facts, fix, undo_fixes, yes, bundle, profile, trust } = arguments;
    let Some(bundle) = bundle.filter(|_| !list) else {
        show_list(output);
        return Ok(());
    };
    if !facts.is_empty() {
        return judge_files(&facts, &profile, &bundle, &trust, output);
    }
    let wanted = fix.map(fix::Wanted::new).transpose()?;
    let mut prepared = Prepared::open(&prepare::Arguments { bundle, profile, trust }, output)?;
    let changed: Result<bool, Failure> = (|| {
        let undone = if undo_fixes { fix::undo(&prepared, yes, output)? } else { false };
        let answered = prepared.probe_each();
        let all = answered.is_ok();
        // What changes hosts, or makes load on them, waits until all of them answer.
        let mended = match &wanted {
            Some(wanted) if all => fix::mend(&mut prepared, wanted, yes, output)?,
            _ => fix::Mended::default(),
        };
        if deep && all {
            deep::measure(&mut prepared, output);
        }
        if !all && (deep || wanted.is_some()) {
            output.line("waits", "--fix and --deep wait until every host answers", &json!({}));
        }
        show_matrix(&prepared.findings(), &prepared.site.site, output);
        prepared.check_answers(answered, output)?;
        mended.failed?;
        Ok(undone || mended.changed)
    })();
    prepared.sessions.close();
    if !changed? {
        nothing_changed(output);
    }
    Ok(())
}

/// What files say, with each finding's age. Needs no secret and no host, so sections of the profile may be left open as
/// long as the hosts are named.
fn judge_files(
    facts: &[PathBuf],
    profile: &[PathBuf],
    bundle: &Path,
    trust: &Trust,
    output: Output,
) -> Result<(), Failure> {
    let site = crate::profiles::load_for_looking(profile)?;
    prepare::risks_make_sense(&site)?;
    let (facts, ages) = facts_files::of_site(&site, facts_files::read(facts)?)?;
    let bundle = trust.open(bundle, output)?;
    let missing: Vec<&str> =
        site.hosts.iter().map(|host| host.name.as_str()).filter(|name| !facts.contains_key(*name)).collect();
    let text = format!("{} of {} from files", counted(facts.len(), "host"), site.hosts.len());
    let text = if missing.is_empty() { text } else { format!("{text}; none of {}", missing.join(", ")) };
    output.line("facts", &text, &json!({"hosts": ages, "missing": missing}));
    let findings = sealift_checks::run(&CheckInput::new(&site, bundle.document(), &facts).aged(&ages));
    show_matrix(&findings, &site, output);
    prepare::verdict(&findings, &site, facts.len(), Ok(()), output)?;
    output.line("done", "no host was asked; before the install, check without --facts", &json!({}));
    Ok(())
}

/// `disk.etcd-fsync  Speed of the database's disk: blocks unless accepted; blocks always (far off)`.
fn show_list(output: Output) {
    match output {
        Output::Plain | Output::Quiet => {
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
    let fixable = if check.fixable { " (--fix may mend it)" } else { "" };
    let means = check.severity.word();
    format!("{:<28} {}: {means}{}{deep}{fixable}", check.id, check.title, beyond.unwrap_or_default())
}

fn described(check: &Check) -> Value {
    json!({
        "id": check.id, "title": check.title, "why": check.why, "group": check.group,
        "severity": check.severity, "beyond": check.beyond, "deep": check.deep,
        "fixable": check.fixable,
    })
}

/// Group by host, for people; machines get the findings themselves.
fn show_matrix(findings: &[Finding], site: &Site, output: Output) {
    if output == Output::Plain {
        for line in matrix::lines(findings, site) {
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
    fn fixes_are_all_or_those_of_some_checks() {
        let site = ["--bundle", "b", "--profile", "p"];
        let fix = |words: &[&str]| parse(&[&site[..], words].concat()).map(|arguments| arguments.fix);
        assert_eq!(fix(&[]).unwrap(), None);
        assert_eq!(fix(&["--fix"]).unwrap(), Some(Vec::new()));
        assert_eq!(fix(&["--fix", "--yes"]).unwrap(), Some(Vec::new()));
        let two = vec!["swap.active".to_owned(), "network.arp".to_owned()];
        assert_eq!(fix(&["--fix=swap.active,network.arp"]).unwrap(), Some(two));
        for wrong in [&["--fix", "--facts", "f"][..], &["--fix", "--undo-fixes"], &["--facts", "f", "--deep"]]
        {
            assert!(fix(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_check_is_one_line_that_begins_with_its_id() {
        for check in catalogue() {
            let line = listed(check);
            assert_eq!(line.split_whitespace().next(), Some(check.id));
            assert!(line.contains(check.title) && line.contains(check.severity.word()), "{line}");
            assert_eq!(line.contains("only with --deep"), check.deep, "{line}");
            assert_eq!(line.contains("--fix may"), check.fixable, "{line}");
            assert!(!line.contains('\n') && described(check)["id"] == check.id);
        }
        let skew = catalogue().iter().find(|check| check.id == "clock.skew").unwrap();
        let expected =
            "clock.skew                   Clock: blocks unless accepted, blocks always where far off";
        assert_eq!((skew.severity, listed(skew).as_str()), (Severity::Block, expected));
        assert_eq!(described(skew)["beyond"], "stop");
    }
}
