//! The pages of checks and review: groups, findings, accepted risks, what is mended, what a plan changes.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::path::PathBuf;
use std::sync::Arc;

use sealift_bundle::testing::sample_document;
use sealift_checks::{Finding, Group, Severity, State};
use sealift_wizard::testing::{finding, findings, planned, start};
use sealift_wizard::{
    Action, Effect, FindingName, Loaded, MadeChange, MadeResult, Mended, Message, Model, PageId, Part, Row,
    Trouble, Verdict, update, view,
};

/// A profile in which nothing is missing.
const PROFILE: &str = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\n\
    access: {user: ops, privateKey: {file: /k}, knownHosts: /h}\n\
    hosts:\n  - {name: m1, address: 10.20.0.11, role: control-plane}\n  - {name: w1, address: 10.20.0.21, role: worker}\n\
    product: {settings: {domain: x.example}, secrets: {adminPassword: {env: A}}}\n";
const HOSTS: [&str; 2] = ["m1", "w1"];

fn send(model: Model, message: Message) -> Model {
    update(model, message).0
}

fn on_page(page: PageId, more: &str) -> Model {
    let (model, _) = Model::new(start());
    let model = send(model, Message::Loaded(Loaded::There(format!("{PROFILE}{more}"))));
    let outcome = Ok(Arc::new(sample_document()));
    let model = send(model, Message::BundleOpened { file: PathBuf::from("orders.bundle"), outcome });
    send(model, Message::Go(page))
}

/// Runs what the page is for; gives what it wants done once the profile is saved.
fn asked(model: Model, message: Message) -> (Model, Effect) {
    let (model, effects) = update(model, message);
    assert!(matches!(&effects[..], [Effect::Save { .. }]), "{effects:?} {:?}", model.refused());
    let (model, mut effects) = update(model, Message::Saved(Ok(Vec::new())));
    assert_eq!(effects.len(), 1, "{effects:?}");
    (model, effects.remove(0))
}

fn checked_with(more: &str, found: Vec<Finding>) -> Model {
    let (model, effect) = asked(on_page(PageId::Checks, more), Message::Run);
    let Effect::Check { serial, .. } = effect else { panic!("{effect:?}") };
    send(model, Message::Checked { serial, outcome: Ok(found) })
}

fn checked() -> Model {
    checked_with("", findings(&HOSTS))
}

fn named(check: &'static str, host: &str) -> Part {
    Part::Finding(FindingName { check, host: Some(host.to_owned()) })
}

fn open(model: Model, part: Part) -> Model {
    let model = send(model, Message::Open(part));
    assert_eq!(model.refused(), None);
    model
}

fn answer(model: Model, key: &str, text: &str) -> Model {
    let field = format!("acceptedRisks[0].{key}");
    send(model, Message::Answer { field, text: text.to_owned() })
}

/// The form of the risk of too little space on m1.
fn form() -> Model {
    let model = open(open(checked(), Part::Group(Group::Disks)), named("disk.space", "m1"));
    let model = send(model, Message::AcceptRisk);
    assert_eq!(model.part(), Some(&Part::Risk(0)), "{:?}", model.refused());
    model
}

fn accepted() -> Model {
    let model = answer(form(), "person", "Li Wei");
    let model = answer(answer(model, "reason", "a larger disk comes"), "until", "2026-12-31");
    send(model, Message::Next)
}

fn text(model: &Model) -> String {
    format!("{:?}", view(model).rows)
}

fn message(model: &Model) -> String {
    view(model).message
}

#[test]
fn the_matrix_shows_the_gravest_and_each_line_opens_what_is_behind_it() {
    let model = checked();
    let screen = view(&model);
    let Some(Row::Matrix { matrix, entries, .. }) = screen.rows.first() else { panic!("{screen:?}") };
    assert_eq!(matrix.hosts, HOSTS);
    let cells: Vec<String> = entries.iter().map(|entry| entry.cells.join(": ")).collect();
    assert!(cells.contains(&"Disks: 1 FAIL (m1), 2 ok, 1 not run".to_owned()), "{cells:?}");
    assert!(cells.contains(&"System: 1 warning (w1), 2 ok".to_owned()), "{cells:?}");
    let disks = entries.iter().position(|entry| entry.cells[0] == "Disks").unwrap();
    let group = send(model, entries[disks].opens.clone());
    assert_eq!(group.part(), Some(&Part::Group(Group::Disks)));
    let screen = view(&group);
    let Some(Row::Entries { entries, .. }) = screen.rows.first() else { panic!("{screen:?}") };
    let states: Vec<&str> = entries.iter().map(|entry| entry.cells[0].as_str()).collect();
    assert_eq!(states, ["FAIL", "ok", "ok", "not run"], "the gravest first, and all can be seen");
    let finding = send(group, entries[0].opens.clone());
    assert_eq!(finding.part(), Some(&named("disk.space", "m1")));
    for part in
        ["12 GB free", "at least 40 GB", "stops working", "mount a larger disk", "disk.space on m1: FAIL"]
    {
        assert!(text(&finding).contains(part), "{part}: {}", text(&finding));
    }
    // Back leads through what was opened, and only then to another page.
    let group = send(finding, Message::Back);
    assert_eq!(group.part(), Some(&Part::Group(Group::Disks)));
    let page = send(group, Message::Back);
    assert_eq!((page.part(), page.page()), (None, PageId::Checks));
}

#[test]
fn what_stands_in_the_way_closes_next_until_it_is_accepted() {
    assert!(view(&on_page(PageId::Checks, "")).next_open, "where nothing is known, nothing is closed");
    let model = checked();
    let sentence = "Next opens when no F is left, or each is accepted with a name and a reason.";
    assert_eq!(message(&model), sentence);
    assert!(!view(&model).next_open && view(&model).actions.contains(&Action::Skip));
    let refused = send(model.clone(), Message::Next);
    assert_eq!(refused.page(), PageId::Checks);
    assert_eq!(refused.refused().unwrap().message, "Findings that stand in the way: 1");
    assert_eq!(send(model, Message::Skip).page(), PageId::Review, "it may be left open");

    let model = accepted();
    assert_eq!(model.part(), Some(&named("disk.space", "m1")), "{:?}", model.refused());
    assert!(text(&model).contains("by Li Wei until 2026-12-31: a larger disk comes"), "{}", text(&model));
    let page = send(send(model, Message::Back), Message::Back);
    assert!(view(&page).next_open && text(&page).contains("accepts 1"), "{}", text(&page));
    assert!(text(&page).contains("1 accepted (m1)"), "{}", text(&page));
    assert_eq!(send(page, Message::Next).page(), PageId::Review);
}

#[test]
fn an_acceptance_is_in_the_saved_profile_and_makes_no_finding_old() {
    let model = accepted();
    let (_, effects) = update(model.clone(), Message::Save);
    let [Effect::Save { text: saved, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    for part in
        ["check: disk.space", "host: m1", "person: Li Wei", "reason: a larger disk comes", "2026-12-31"]
    {
        assert!(saved.contains(part), "{part}: {saved}");
    }
    assert!(!saved.contains("interactive"), "{saved}");
    assert!(!text(&model).contains("run it again"), "{}", text(&model));
}

#[test]
fn an_acceptance_without_name_reason_or_day_is_none() {
    for left_out in ["person", "reason", "until"] {
        let mut model = form();
        let answers = [("person", "Li"), ("reason", "test"), ("until", "2026-12-31")];
        for (key, text) in answers.into_iter().filter(|(key, _)| *key != left_out) {
            model = answer(model, key, text);
            assert_eq!(model.refused(), None);
        }
        let model = send(model, Message::Next);
        assert_eq!(model.part(), Some(&Part::Risk(0)), "{left_out}");
        assert!(model.refused().unwrap().message.contains("missing or wrong: 1"), "{:?}", model.refused());
        let field = format!("acceptedRisks[0].{left_out}");
        let open = view(&model).fields().find(|one| one.path == field).unwrap().clone();
        assert_eq!(open.verdict, Verdict::Missing, "{left_out}");
        // It is kept as far as it is there, accepts nothing, and closes the page.
        let page = send(send(send(model, Message::Back), Message::Back), Message::Back);
        assert!(text(&page).contains("not whole") && !view(&page).next_open, "{}", text(&page));
        assert_eq!(page.in_the_way().len(), 1);
    }
}

#[test]
fn a_form_that_nobody_filled_in_leaves_nothing() {
    let model = send(form(), Message::Back);
    assert_eq!(model.draft().get("acceptedRisks"), None);
    assert_eq!(send(form(), Message::Go(PageId::Review)).draft().get("acceptedRisks"), None);
}

#[test]
fn a_day_that_is_over_or_none_and_a_host_that_is_none_are_refused() {
    for (key, text, why) in [
        ("until", "2026-11-21", "ran out on 2026-11-21"),
        ("until", "31.12.2026", "is no date"),
        ("host", "w9", "there is no host `w9`"),
        ("person", "\u{7}", "nobody can see"),
    ] {
        // A host is judged once the acceptance has its day.
        let model = if key == "host" { answer(form(), "until", "2026-12-31") } else { form() };
        let model = answer(model, key, text);
        let refused = model.refused().unwrap_or_else(|| panic!("{key} took {text}"));
        assert!(refused.message.contains(why) && !refused.remedy.is_empty(), "{refused:?}");
    }
    // The last day counts.
    assert_eq!(answer(form(), "until", "2026-11-22").refused(), None);
}

#[test]
fn an_acceptance_of_every_host_takes_all_out() {
    let mut found = findings(&HOSTS);
    found.push(finding("disk.space", Group::Disks, Some("w1"), State::Fail));
    let risk =
        "acceptedRisks:\n  - {check: disk.space, host: m1, person: Li, reason: test, until: 2026-12-31}\n";
    let model = checked_with(risk, found);
    assert_eq!(model.in_the_way().len(), 1, "on the other host it still stands");
    let model = open(model, Part::Risk(0));
    let model = send(model, Message::Clear { field: "acceptedRisks[0].host".to_owned() });
    let model = send(model, Message::Next);
    assert_eq!((model.in_the_way().len(), model.part()), (0, None));
}

#[test]
fn an_acceptance_is_taken_back_where_it_is_seen() {
    for model in [accepted(), open(accepted(), Part::Risk(0))] {
        let model = send(model, Message::TakeRiskBack);
        assert_eq!((model.refused(), model.draft().get("acceptedRisks")), (None, None));
        assert_eq!(model.part(), Some(&named("disk.space", "m1")));
        assert_eq!((model.in_the_way().len(), view(&model).notice.is_some()), (1, true));
        let again = send(model, Message::TakeRiskBack);
        assert!(again.refused().is_some());
    }
}

#[test]
fn what_fits_no_finding_any_more_is_shown_and_goes() {
    let risks = "acceptedRisks:\n  - {check: disk.space, host: w1, person: Li, reason: test, until: 2026-12-31}\n  \
        - {check: disk.space, host: m1, person: Wang, reason: test, until: 2026-12-31}\n";
    let unknown = on_page(PageId::Checks, risks);
    assert!(!text(&unknown).contains("fits no finding"), "nobody has looked: {}", text(&unknown));
    let model = checked_with(risks, findings(&HOSTS));
    assert!(text(&model).contains("fits no finding any more"), "{}", text(&model));
    let model = send(open(model, Part::Risk(0)), Message::TakeRiskBack);
    assert_eq!(model.draft().get("acceptedRisks[0].person").unwrap(), "Wang");
    assert!(!text(&model).contains("fits no finding") && view(&model).next_open, "{}", text(&model));
}

#[test]
fn an_acceptance_that_has_run_out_accepts_nothing() {
    let risk = "acceptedRisks:\n  - {check: disk.space, person: Li, reason: test, until: 2026-01-31}\n";
    let model = on_page(PageId::Checks, risk);
    assert!(!view(&model).next_open && text(&model).contains("ran out on 2026-01-31"), "{}", text(&model));
    let model = answer(open(model, Part::Risk(0)), "until", "2026-12-31");
    let model = send(model, Message::Next);
    assert!(model.part().is_none() && view(&model).next_open);
}

#[test]
fn what_no_acceptance_helps_against_says_why() {
    let stop =
        |state, severity| Finding { severity, ..finding("disk.space", Group::Disks, Some("m1"), state) };
    for (found, why) in [
        (stop(State::Fail, Severity::Stop), "no acceptance helps"),
        (stop(State::Error, Severity::Block), "the check could not be made"),
        (stop(State::Blocked, Severity::Block), "the check could not be made"),
        (stop(State::Warn, Severity::Advice), "does not stand in the way"),
        (stop(State::Pass, Severity::Block), "does not stand in the way"),
    ] {
        let model = open(checked_with("", vec![found.clone()]), named("disk.space", "m1"));
        assert!(!view(&model).actions.contains(&Action::AcceptRisk), "{found}");
        let closed = !matches!(found.state, State::Warn | State::Pass);
        assert_eq!(message(&model).contains("no F, B or ? is left"), closed, "{}", message(&model));
        let model = send(model, Message::AcceptRisk);
        assert!(model.refused().unwrap().message.contains(why), "{:?}", model.refused());
        assert_eq!(model.draft().get("acceptedRisks"), None);
    }
}

#[test]
fn findings_that_an_answer_has_made_old_close_nothing_and_mend_nothing() {
    let model = send(checked(), Message::Go(PageId::Needs));
    let model = send(model, Message::Answer { field: "needs.users".to_owned(), text: "3000".to_owned() });
    let model = send(model, Message::Go(PageId::Checks));
    assert!(text(&model).contains("run it again") && view(&model).next_open, "{}", text(&model));
    assert!(!view(&model).actions.contains(&Action::Fix));
    assert!(send(model.clone(), Message::Open(Part::Fixes)).refused().is_some());
    // They can still be read.
    assert!(text(&open(model, named("disk.space", "m1"))).contains("12 GB free"));
}

#[test]
fn the_checks_run_again_from_wherever_somebody_is() {
    let model = open(open(checked(), Part::Group(Group::Disks)), named("disk.space", "m1"));
    let (model, effect) = asked(model, Message::Run);
    let Effect::Check { serial, .. } = effect else { panic!("{effect:?}") };
    assert!(message(&model).contains("At work"));
    let well = vec![finding("disk.space", Group::Disks, Some("m1"), State::Pass)];
    let model = send(model, Message::Checked { serial, outcome: Ok(well) });
    assert_eq!(model.part(), Some(&named("disk.space", "m1")), "one stays where one was");
    assert!(text(&model).contains("disk.space on m1: ok"), "{}", text(&model));
    // What is not there any more is not looked at.
    let (model, effect) = asked(model, Message::Run);
    let Effect::Check { serial, .. } = effect else { panic!("{effect:?}") };
    let model = send(model, Message::Checked { serial, outcome: Ok(Vec::new()) });
    assert_eq!(model.part(), None);
}

#[test]
fn what_can_be_mended_is_shown_agreed_to_made_and_looked_at_again() {
    let model = checked();
    assert!(view(&model).actions.contains(&Action::Fix));
    let (nothing, effects) = update(model.clone(), Message::MakeFixes);
    assert!(effects.is_empty() && nothing.refused().is_some(), "nothing is made that was not shown");
    let model = open(model, Part::Fixes);
    let shown = text(&model);
    assert!(shown.contains("switch swap off") && shown.contains("check --undo-fixes"), "{shown}");
    assert_eq!(send(model.clone(), Message::Back).part(), None, "no is no");
    let (model, effect) = asked(model, Message::MakeFixes);
    let Effect::Fix { serial, wishes, .. } = effect else { panic!("{effect:?}") };
    assert_eq!(
        wishes.iter().map(|wish| (wish.host.as_str(), wish.check)).collect::<Vec<_>>(),
        [("w1", "swap.active")]
    );
    assert!(message(&model).contains("At work"));
    let made = |result| MadeChange { host: "w1".to_owned(), change: "switch swap off".to_owned(), result };
    let made =
        vec![made(MadeResult::Done), made(MadeResult::Failed("/etc/fstab is not writable".to_owned()))];
    let well = vec![finding("swap.active", Group::System, Some("w1"), State::Pass)];
    let outcome = Ok(Mended { made: made.clone(), findings: Ok(well) });
    let done = send(model.clone(), Message::Fixed { serial, outcome });
    let shown = text(&done);
    assert!(shown.contains("w1: switch swap off: done") && shown.contains("FAILED: /etc/fstab"), "{shown}");
    assert!(view(&done).next_open && !view(&done).actions.contains(&Action::Fix), "{shown}");

    let locked = Trouble { message: "another run has the lock of w1".to_owned(), ..Trouble::default() };
    // What was made is told also where nobody could look again.
    let outcome = Ok(Mended { made, findings: Err(locked.clone()) });
    let shown = text(&send(model.clone(), Message::Fixed { serial, outcome }));
    assert!(shown.contains("switch swap off: done") && shown.contains("another run"), "{shown}");
    let failed = send(model, Message::Fixed { serial, outcome: Err(locked) });
    assert!(text(&failed).contains("another run has the lock") && !message(&failed).contains("At work"));
}

#[test]
fn an_answer_meanwhile_makes_what_was_mended_old_but_shows_it() {
    let (model, effect) = asked(open(checked(), Part::Fixes), Message::MakeFixes);
    let Effect::Fix { serial, .. } = effect else { panic!("{effect:?}") };
    let model = send(model, Message::Go(PageId::Needs));
    let model = send(model, Message::Answer { field: "needs.users".to_owned(), text: "3000".to_owned() });
    let made =
        vec![MadeChange { host: "w1".to_owned(), change: "swap".to_owned(), result: MadeResult::WasSo }];
    let outcome = Ok(Mended { made, findings: Ok(findings(&HOSTS)) });
    let model = send(send(model, Message::Fixed { serial, outcome }), Message::Go(PageId::Checks));
    assert!(
        text(&model).contains("was so already") && text(&model).contains("not looked at yet"),
        "{}",
        text(&model)
    );
    assert_eq!(model.in_the_way().len(), 0);
}

#[test]
fn the_plan_has_a_line_for_each_host_and_all_of_it_behind() {
    let (model, effect) = asked(on_page(PageId::Review, ""), Message::Run);
    let Effect::Plan { serial, .. } = effect else { panic!("{effect:?}") };
    let model = send(model, Message::Planned { serial, outcome: Ok(planned(&HOSTS)) });
    let lines: Vec<Vec<String>> = view(&model).entries().map(|entry| entry.cells.clone()).collect();
    assert!(
        lines.contains(&["m1", "31", "12", "4", "swap /dev/sda3"].map(str::to_owned).to_vec()),
        "{lines:?}"
    );
    assert!(lines.contains(&["w1", "30", "12", "4", "-"].map(str::to_owned).to_vec()), "{lines:?}");
    assert!(text(&model).contains("61 steps on 2 hosts"), "{}", text(&model));
    let last = view(&model).entries().last().unwrap().opens.clone();
    let host = send(model.clone(), last);
    assert_eq!(host.part(), Some(&Part::PlannedHost(1)));
    assert!(text(&host).contains("/etc/w1/30.conf") && !text(&host).contains("/etc/m1"), "{}", text(&host));
    assert_eq!(
        (send(host.clone(), Message::Back).page(), send(host, Message::Next).part()),
        (PageId::Review, None)
    );
    assert!(send(model.clone(), Message::Open(Part::PlannedHost(2))).refused().is_some());
    // The pages above it are opened in the same way.
    let first = view(&model).entries().next().unwrap().opens.clone();
    assert_eq!(send(model, first).page(), PageId::Start);
}
