//! `installer check --fix` and `--undo-fixes`: what will be changed is shown first, made after a yes, and looked at again.

use std::collections::BTreeMap;
use std::fmt::Display;

use sealift_checks::{Finding, Wish, catalogue, check};
use sealift_host::fix::Fixed;
use sealift_host::protocol::{Progress, Request, Response};
use sealift_profile::nearest;
use serde::Serialize;
use serde_json::json;

use super::confirm::Question;
use super::install::owner;
use super::prepare::Prepared;
use crate::facts_files::unix_millis;
use crate::failure::{Failure, Kind};
use crate::output::{Output, counted};

/// The hosts' lock is taken under this name: another one for each who fixes.
fn run_name() -> String {
    format!("fix-{}-{}", unix_millis(), std::process::id())
}

/// What shall be mended.
pub(super) struct Wanted {
    /// Ids of checks; all where there is none.
    checks: Vec<String>,
}

impl Wanted {
    /// Refuses ids that mean nothing, before a host is asked.
    pub(super) fn new(checks: Vec<String>) -> Result<Self, Failure> {
        let wrong = |id: &String| match check(id) {
            Some(found) if found.fixable => None,
            Some(_) => Some(format!("`{id}` cannot be mended by itself: its remedy says what to do")),
            None => {
                let near = nearest(id, catalogue().iter().map(|check| check.id));
                let near = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
                Some(format!("there is no check `{id}`{near}"))
            }
        };
        let causes: Vec<String> = checks.iter().filter_map(wrong).collect();
        if causes.is_empty() {
            return Ok(Self { checks });
        }
        let failure = Failure::new(Kind::Usage, "nothing can be mended for what `--fix` names");
        Err(Failure { causes, ..failure }
            .hint("`installer check --list` marks the checks that can: (--fix may mend it)"))
    }

    fn takes(&self, finding: &Finding) -> bool {
        self.checks.is_empty() || self.checks.iter().any(|id| id == finding.check)
    }
}

/// What came of it.
pub(super) struct Mended {
    /// Whether anything was changed on any host.
    pub(super) changed: bool,
    /// What could not be mended, to be told after everything else.
    pub(super) failed: Result<(), Failure>,
}

impl Default for Mended {
    fn default() -> Self {
        Self { changed: false, failed: Ok(()) }
    }
}

/// Mends what findings ask for on probed hosts, probes them again and says what is different now.
pub(super) fn mend(
    prepared: &mut Prepared,
    wanted: &Wanted,
    yes: bool,
    output: Output,
) -> Result<Mended, Failure> {
    let before = prepared.findings();
    let wishes = wished(&before, wanted);
    if wishes.is_empty() {
        output.line("fix", "there is nothing that can be mended by itself", &json!([]));
        return Ok(Mended::default());
    }
    let question = Question {
        ask: "Make these changes?",
        nobody: "agree to these changes",
        no: "the changes were not agreed to",
        hint: "look at them above, then give `--yes`; `--undo-fixes` takes them back",
    };
    let run = agreed(prepared, "fix", &by_host(wishes.clone()), &question, yes, output)?;
    let (changed, failures) = tell(make(prepared, &run, wishes), output);
    prepared.probe()?;
    show_difference(&before, &prepared.findings(), output);
    let failed = match failures.len() {
        0 => Ok(()),
        count => {
            let message = format!("{} could not be made", counted(count, "change"));
            Err(Failure { kind: Kind::Checks, ..Failure::together(message, failures) })
        }
    };
    Ok(Mended { changed, failed })
}

/// Shows what is to be changed, asks, and takes the hosts; gives the run's name.
fn agreed<T: Display + Serialize>(
    prepared: &Prepared,
    topic: &str,
    changes: &BTreeMap<String, Vec<T>>,
    question: &Question,
    yes: bool,
    output: Output,
) -> Result<String, Failure> {
    let count: usize = changes.values().map(Vec::len).sum();
    let text = format!("{} on {}:", counted(count, "change"), counted(changes.len(), "host"));
    output.line(topic, &text, changes);
    for (host, changes) in changes {
        for change in changes {
            output.remark(&format!("  {host:<8} {change}"));
        }
    }
    question.answered(yes)?;
    let run = run_name();
    prepared.sessions.lock(&owner(), &run)?;
    Ok(run)
}

/// What was asked for of all that can be mended by itself.
fn wished(findings: &[Finding], wanted: &Wanted) -> Vec<Wish> {
    sealift_checks::wishes(findings.iter().filter(|finding| wanted.takes(finding)))
}

fn by_host(wishes: Vec<Wish>) -> BTreeMap<String, Vec<Wish>> {
    let mut hosts: BTreeMap<String, Vec<Wish>> = BTreeMap::new();
    for wish in wishes {
        hosts.entry(wish.host.clone()).or_default().push(wish);
    }
    hosts
}

/// What became of the changes of each host.
pub(super) type Made = BTreeMap<String, Result<Vec<Fixed>, Failure>>;

/// Makes those of the agreed changes that probed hosts still ask for. Says nothing.
pub(super) fn make_agreed(prepared: &Prepared, agreed: &[Wish]) -> Result<Made, Failure> {
    let mut wishes = sealift_checks::wishes(&prepared.findings());
    // What a host asks for only now was agreed to by nobody.
    wishes.retain(|wish| agreed.iter().any(|one| one.host == wish.host && one.fix == wish.fix));
    if wishes.is_empty() {
        return Ok(Made::new());
    }
    let run = run_name();
    prepared.sessions.lock(&owner(), &run)?;
    Ok(make(prepared, &run, wishes))
}

fn make(prepared: &Prepared, run: &str, wishes: Vec<Wish>) -> Made {
    let request = |(host, wishes): (String, Vec<Wish>)| {
        let fixes = wishes.into_iter().map(|wish| wish.fix).collect();
        (host, Request::Fix { run: run.to_owned(), fixes })
    };
    let requests = by_host(wishes).into_iter().map(request).collect();
    let results = |response| match response {
        Response::Fixed { results } => Some(results),
        _ => None,
    };
    prepared.sessions.ask_each(requests, &silent, results)
}

/// Whether anything was changed, and what could not be.
fn tell(made: Made, output: Output) -> (bool, Vec<Failure>) {
    let (mut changed, mut failures) = (false, Vec::new());
    for (host, answer) in made {
        let results = match answer {
            Ok(results) => results,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        for Fixed { fix, changed: now, failure } in results {
            changed |= now;
            let what = match (&failure, now) {
                (Some(_), _) => "FAILED",
                (None, true) => "done",
                (None, false) => "was so already",
            };
            let data = json!({"host": host, "fix": fix, "changed": now, "failure": failure});
            output.line("fixed", &format!("{host}: {fix}: {what}"), &data);
            failures.extend(failure.map(|failure| {
                let message = format!("{host}: cannot {fix}: {}", failure.message);
                Failure { message, ..failure.into() }
            }));
        }
    }
    (changed, failures)
}

fn silent(_: &str, _: Progress) {}

/// Findings whose state is another than before.
fn show_difference(before: &[Finding], after: &[Finding], output: Output) {
    let mut same = true;
    for old in before {
        let new = after.iter().find(|new| new.check == old.check && new.host == old.host);
        let Some(new) = new.filter(|new| new.state != old.state) else { continue };
        same = false;
        let place = old.host.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
        let text = format!("{}{place}: {}, was {}", old.check, new.state.word(), old.state.word());
        output.line("now", &text, &json!({"before": old, "after": new}));
    }
    if same {
        output.line("now", "all checks say the same as before", &json!([]));
    }
}

/// Takes back what `--fix` changed on all hosts; gives whether there was anything.
pub(super) fn undo(prepared: &Prepared, yes: bool, output: Output) -> Result<bool, Failure> {
    let recorded = ask(prepared, &|| Request::Fixes)?;
    let recorded: BTreeMap<String, Vec<String>> =
        recorded.into_iter().filter(|(_, changes)| !changes.is_empty()).collect();
    if recorded.is_empty() {
        output.line("undo", "there is no fix to take back on any host", &json!({}));
        return Ok(false);
    }
    let question = Question {
        ask: "Take these changes back?",
        nobody: "agree to take these changes back",
        no: "that was not agreed to",
        hint: "look at them above, then give `--yes`",
    };
    let run = agreed(prepared, "undo", &recorded, &question, yes, output)?;
    for (host, changes) in ask(prepared, &|| Request::UndoFixes { run: run.clone() })? {
        if !changes.is_empty() {
            let text = format!("{host}: {} taken back", counted(changes.len(), "change"));
            output.line("undone", &text, &json!({"host": host, "changes": changes}));
        }
    }
    Ok(true)
}

/// Asks all hosts for something that is answered with changes; what goes wrong is told together.
fn ask(prepared: &Prepared, request: &dyn Fn() -> Request) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let hosts = prepared.site.site.hosts.iter();
    let requests = hosts.map(|host| (host.name.clone(), request())).collect();
    let changes = |response| match response {
        Response::Undone { changes } => Some(changes),
        _ => None,
    };
    let (mut answers, mut failures) = (BTreeMap::new(), Vec::new());
    for (host, answer) in prepared.sessions.ask_each(requests, &silent, changes) {
        match answer {
            Ok(changes) => drop(answers.insert(host, changes)),
            Err(failure) => {
                failures.push(Failure { message: format!("{host}: {}", failure.message), ..failure });
            }
        }
    }
    match failures.len() {
        0 => Ok(answers),
        count => {
            let message = format!("{} did not do as asked", counted(count, "host"));
            Err(Failure::together(message, failures))
        }
    }
}

#[cfg(test)]
mod tests {
    use sealift_checks::{Fix, Group, Severity, State};

    use super::*;

    fn finding(check: &'static str, host: &str, fixes: Vec<Fix>) -> Finding {
        Finding {
            check,
            title: "A title",
            host: Some(host.to_owned()),
            group: Group::Network,
            state: State::Warn,
            severity: Severity::Advice,
            measured: String::new(),
            threshold: String::new(),
            why: String::new(),
            remedy: String::new(),
            fixes,
        }
    }

    #[test]
    fn ids_that_mean_nothing_are_refused_with_what_does() {
        assert!(Wanted::new(vec!["swap.active".to_owned(), "network.arp".to_owned()]).is_ok());
        let refused = |id: &str| Wanted::new(vec![id.to_owned()]).map(drop).unwrap_err();
        let failure = refused("swap.activ");
        assert_eq!((failure.exit_code(), failure.hints.len()), (2, 1));
        assert_eq!(failure.causes, ["there is no check `swap.activ` (did you mean `swap.active`?)"]);
        assert!(refused("kernel.version").causes[0].contains("cannot be mended by itself"));
    }

    #[test]
    fn each_change_is_wished_for_once_and_only_where_it_was_asked_for() {
        let fix = |name: &str| Fix::Setting { name: name.to_owned(), value: "0".to_owned() };
        let findings = [
            finding("network.arp", "w1", vec![fix("a"), fix("b")]),
            finding("network.reverse-path", "w1", vec![fix("a")]),
            finding("swap.active", "w2", vec![Fix::SwapOff]),
            finding("network.arp", "m1", Vec::new()),
        ];
        let all = by_host(wished(&findings, &Wanted::new(Vec::new()).unwrap()));
        assert_eq!(
            all.iter().map(|(host, all)| (host.as_str(), all.len())).collect::<Vec<_>>(),
            [("w1", 2), ("w2", 1)]
        );
        let some = wished(&findings, &Wanted::new(vec!["swap.active".to_owned()]).unwrap());
        assert_eq!(some, [Wish { host: "w2".to_owned(), check: "swap.active", fix: Fix::SwapOff }]);
        let written = serde_json::to_value(by_host(some)).unwrap();
        assert_eq!(written, json!({"w2": [{"check": "swap.active", "fix": {"kind": "swap-off"}}]}));
    }
}
