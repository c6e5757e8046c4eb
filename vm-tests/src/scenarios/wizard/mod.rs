//! The demo installed through the wizard by keys alone, while one viewer after the other is lost; and the profile that it
//! saved, which installs the same site with nobody there.

mod line;
mod person;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use self::line::SshServer;
use self::person::Person;
use super::Test;
use crate::demo::Proof;
use crate::lab::Role;
use crate::test::{Context, Ended, INSTALL_WITHIN, InstallerRun};
use crate::wait::{until, until_true};

/// In order, on fresh hosts. Afterwards the hosts are fresh again.
pub const TESTS: &[Test] = &[
    Test::fresh("wizard::demo_is_installed_by_keys_alone", installed_by_keys_alone),
    Test::lab("wizard::its_profile_gives_fresh_hosts_the_same_plan", same_plan_on_fresh_hosts),
];

/// The profile that the wizard saves, at the seat.
const SITE: &str = "wizard-site.yaml";
/// The plan that it has shown there, and installed.
const PLAN: &str = "wizard-site.yaml.plan.json";
/// The wizard's words.
const WIZARD: [&str; 5] = ["wizard", "--bundle", "orders.bundle", "--profile", SITE];

/// The profile that a lab is installed by: the one that the wizard has saved, made by keys now where it is not there.
pub fn profiles(context: &Context<'_>) -> Result<Vec<String>> {
    if !context.lab.seat_home().join(SITE).exists() {
        let person = answers_all(context)?;
        person.kills_it()?;
    }
    Ok(vec![SITE.to_owned()])
}

/// From an empty file to the last page before anything is changed.
fn answers_all(context: &Context<'_>) -> Result<Person> {
    let mut person = Person::sits_down(&context.seat.installer(&WIZARD))?;
    person.answers("What is the site called?", "demo")?;
    person.chooses("What is the site for?", "test: thrown away soon")?;
    person.goes_on_to("Needs")?;
    person.answers("How many people will have an account?", "20")?;
    person.goes_on_to("Sizing")?;
    person.goes_on_to("Hosts")?;
    let hosts = context.lab.hosts().map(|host| {
        let does = if host.role == Role::Master { "steer" } else { "work" };
        format!("{}, {}, {does}", host.name, host.address)
    });
    person.lists(&hosts.collect::<Vec<_>>())?;
    person.goes_on_to("Access")?;
    person.answers("With which account", "ops")?;
    person.answers("Where is the private key", "file ~/.ssh/id_ed25519")?;
    person.answers("Where is the password for acting as administrator", "file ~/.sealift/ops-password")?;
    person.confirms_keys(5)?;
    person.goes_on_to("Network")?;
    person.answers("Under which name shall the machines find", "api.demo.internal")?;
    person.goes_on_to("Registry, certificates and services")?;
    person.goes_on_to("Product")?;
    person.answers("One line below the title", "Five hosts, no internet")?;
    person.answers("Title of the order page", "Orders of the demo site")?;
    person.answers("Where is the product's secret adminPassword?", "file ~/.sealift/admin-password")?;
    person.goes_on_to("Checks")?;
    person.has_it_done("findings on 5 hosts")?;
    person.goes_on_to("Review")?;
    person.has_it_done("Make the plan")?;
    person.goes_on_to("Confirm")?;
    person.reads("steps on 5 hosts. It is kept in")?;
    Ok(person)
}

fn installed_by_keys_alone(context: &Context<'_>) -> Result<()> {
    let home = context.lab.seat_home();
    for file in [SITE, PLAN] {
        // One that an earlier try has left would be opened.
        let _ = fs::remove_file(home.join(file));
    }
    let mut person = answers_all(context)?;
    ensure!(context.runs()?.is_empty(), "a run began before anybody wanted one");
    person.answers("What is the site called that shall be installed now?", "demo")?;
    person.goes_on_to("Install")?;
    let run = until("the run's journal", INSTALL_WITHIN, || {
        let runs = context.runs()?;
        ensure!(runs.len() == 1, "there are {} runs", runs.len());
        Ok(runs.into_iter().find(|run| journal(context, run).exists()))
    })?;
    let mut first = attach(context, &run)?;
    let late = lose_viewers(context, &run, person, &mut first)?;
    let mut person = Person::sits_down(&context.seat.installer(&WIZARD))?;
    person.watches(&run)?;
    person.sees_page_within(INSTALL_WITHIN, "Result")?;
    person.reads("5 of 5 nodes are ready; voters: 3")?;
    person.finishes()?;
    let folds =
        [first, late].map(|viewer| viewer.finish(INSTALL_WITHIN).and_then(|ended| steps_seen(&ended)));
    let written = finished_steps(&fs::read_to_string(journal(context, &run))?);
    for fold in folds {
        let fold = fold?;
        ensure!(fold == written, "a viewer has seen {fold} steps end, the journal has {written}");
    }
    let proof = Proof::collect(context.lab)?;
    ensure!(proof.holds(), "{}", proof.json(&[]));
    Ok(())
}

/// One viewer after the other is lost, and each time the run goes on. Another viewer that came late.
fn lose_viewers(
    context: &Context<'_>,
    run: &str,
    person: Person,
    first: &mut InstallerRun,
) -> Result<InstallerRun> {
    let wizard = context.seat.installer(&WIZARD);
    person.kills_it()?;
    goes_on(context, run, "the wizard was killed", first)?;
    let mut person = Person::sits_down(&wizard)?;
    person.watches(run)?;
    person.closes_the_window()?;
    goes_on(context, run, "the window was closed", first)?;
    let server = SshServer::start(context.lab)?;
    let mut person = Person::sits_down(&server.line(&format!("./installer {}", WIZARD.join(" "))))?;
    person.watches(run)?;
    // The client's end takes the line with it, and that the terminal at the seat.
    person.kills_it()?;
    goes_on(context, run, "the SSH line was lost", first)?;
    attach(context, run)
}

/// A viewer who is told where the run stands.
fn attach(context: &Context<'_>, run: &str) -> Result<InstallerRun> {
    let mut viewer = context.start_installer(&["attach", run, "--output=json"])?;
    let begun = std::time::Instant::now();
    let state = viewer.next_event(Duration::from_mins(1))?.context("the viewer said nothing")?;
    ensure!(state["topic"] == "state" && state["data"]["goesOn"] == true, "the viewer began with {state}");
    context.note(format!(
        "a viewer knew after {:.1} s that {} of {} steps were done",
        begun.elapsed().as_secs_f64(),
        state["data"]["done"],
        state["data"]["steps"]
    ));
    Ok(viewer)
}

/// More is written, and a viewer is told of it.
fn goes_on(context: &Context<'_>, run: &str, after: &str, viewer: &mut InstallerRun) -> Result<()> {
    let written = || Ok::<_, anyhow::Error>(finished_steps(&fs::read_to_string(journal(context, run))?));
    let before = written()?;
    until_true(&format!("another step after {after}"), INSTALL_WITHIN, || Ok(written()? > before))?;
    let ends = |event: &Value| event["event"] == "stepFinished";
    viewer.wait_for("the end of a step", INSTALL_WITHIN, ends).map(drop)
}

fn journal(context: &Context<'_>, run: &str) -> PathBuf {
    context.lab.seat_home().join("runs").join(run).join("events.jsonl")
}

fn finished_steps(journal: &str) -> u64 {
    let events = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "stepFinished").count() as u64
}

/// Steps that were done when a viewer came, and those whose end it was told of.
fn steps_seen(ended: &Ended) -> Result<u64> {
    ended.expect_code(0)?;
    let state = ended.topic("state").context("the viewer was not told where the run stands")?;
    let before = state["data"]["done"].as_u64().context("the state has no number of steps")?;
    Ok(before + finished_steps(&ended.output))
}

/// Hosts as on their first day, and nobody at the keyboard.
fn same_plan_on_fresh_hosts(context: &Context<'_>) -> Result<()> {
    context.lab.set_up_anew()?;
    let profiles = profiles(context)?;
    let written = "unattended-plan.json";
    context
        .installer(&["plan", "--bundle", "orders.bundle", "--profile", &profiles[0], "--write", written])?
        .expect_code(0)?;
    let read = |name: &str| -> Result<Value> {
        let path = context.lab.seat_home().join(name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", path.display()))
    };
    let (shown, unattended) = (read(PLAN)?, read(written)?);
    ensure!(shown == unattended, "the plans differ: {}", difference("", &shown, &unattended));
    Ok(())
}

/// The first place where two documents differ.
fn difference(place: &str, left: &Value, right: &Value) -> String {
    match (left, right) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            let first = a.iter().find(|(name, value)| b[*name] != **value);
            first.map_or_else(String::new, |(name, value)| {
                difference(&format!("{place}/{name}"), value, &b[name])
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let first = a.iter().zip(b).enumerate().find(|(_, (a, b))| a != b);
            first.map_or_else(String::new, |(index, (a, b))| difference(&format!("{place}/{index}"), a, b))
        }
        _ => format!("{place}: {left} and {right}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named() {
        let one = json!({"a": [1, {"b": 2}], "c": 3});
        assert_eq!(difference("", &one, &json!({"a": [1, {"b": 4}], "c": 3})), "/a/1/b: 2 and 4");
        assert_eq!(difference("", &one, &json!({"a": [1], "c": 3})), "/a: [1,{\"b\":2}] and [1]");
    }

    #[test]
    fn a_viewer_who_comes_late_has_seen_all_steps() {
        let state = json!({"topic": "state", "data": {"done": 4}});
        let step = json!({"event": "stepFinished", "step": "m1.x"});
        let output = format!("{state}\n{step}\n{step}\n");
        assert_eq!(finished_steps(&output), 2);
        let ended = Ended { code: Some(0), output, errors: String::new(), seconds: 1.0 };
        assert_eq!(steps_seen(&ended).unwrap(), 6);
        assert!(steps_seen(&Ended { code: Some(4), ..ended }).is_err());
    }
}
