//! The pages around a run: what each message leads to, and what is refused.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::path::PathBuf;
use std::sync::Arc;

use sealift_bundle::testing::sample_document;
use sealift_events::RunResult;
use sealift_events::bar;
use sealift_events::picture::RunPicture;
use sealift_wizard::testing::{cut_off, done, failed, going_on, start, stuck, summary};
use sealift_wizard::{
    Action, Agreed, Effect, Handover, Loaded, LogFilter, Mark, Message, Model, PageId, Row, Standing,
    Trouble, testing, update, view,
};

const WHOLE: &str = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\n\
    access: {user: ops, privateKey: {file: /k}, knownHosts: /h}\n\
    hosts:\n  - {name: m1, address: 10.20.0.11, role: control-plane}\n\
    product: {settings: {domain: x.example}, secrets: {adminPassword: {env: A}}}\n";

fn send(model: Model, message: Message) -> Model {
    update(model, message).0
}

fn answer(model: Model, field: &str, text: &str) -> Model {
    send(model, Message::Answer { field: field.to_owned(), text: text.to_owned() })
}

fn begin() -> Model {
    let (model, effects) = Model::new(start());
    assert!(effects.contains(&Effect::FindRuns), "{effects:?}");
    let model = send(model, Message::Loaded(Loaded::There(WHOLE.to_owned())));
    let outcome = Ok(Arc::new(sample_document()));
    send(model, Message::BundleOpened { file: PathBuf::from("orders.bundle"), outcome })
}

fn trouble(message: &str) -> Trouble {
    Trouble {
        message: message.to_owned(),
        causes: vec!["why".to_owned()],
        remedies: vec!["mend it".to_owned()],
    }
}

/// With a plan that was seen.
fn planned() -> Model {
    let model = send(begin(), Message::Go(PageId::Review));
    let model = send(model, Message::Run);
    let (model, effects) = update(model, Message::Saved(Ok(Vec::new())));
    let [Effect::Plan { serial, keep, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(keep, &PathBuf::from("site.yaml.plan.json"));
    send(model, Message::Planned { serial: *serial, outcome: Ok(testing::planned(&["m1"])) })
}

fn confirm() -> Model {
    send(planned(), Message::Next)
}

/// An install that somebody has asked for, and its serial.
fn asked() -> (Model, u64) {
    let (model, effects) = update(answer(confirm(), "confirm.site", "plant"), Message::Next);
    let [Effect::Install { serial, agreed, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(*agreed, Agreed::File(PathBuf::from("site.yaml.plan.json")));
    (model, *serial)
}

fn begun() -> Model {
    let (model, serial) = asked();
    let (model, effects) = update(model, Message::InstallBegun { serial, outcome: Ok("r1".to_owned()) });
    assert_eq!(effects, [Effect::Watch { run: "r1".to_owned() }]);
    assert_eq!(model.page(), PageId::Install);
    model
}

fn see(model: Model, picture: RunPicture) -> (Model, Vec<Effect>) {
    update(model, Message::Watched { run: picture.run.clone(), outcome: Ok(Box::new(picture)) })
}

fn why(model: &Model) -> &str {
    &model.refused().unwrap().message
}

fn text(model: &Model) -> String {
    format!("{:?}", view(model).rows)
}

#[test]
fn nothing_is_installed_without_the_name_and_the_plan_that_was_seen() {
    let (model, effects) = update(confirm(), Message::Next);
    assert!(effects.is_empty() && why(&model).contains("name is not typed"), "{:?}", model.refused());
    assert!(model.refused().unwrap().remedy.contains("leave with F10"));
    let model = answer(model, "confirm.site", "plants");
    assert!(why(&model).contains("`plants` is not the name") && why(&model).contains("`plant`"));
    let (model, effects) = update(model, Message::Next);
    assert!(effects.is_empty() && why(&model).contains("name is not typed"));

    let unseen = answer(send(begin(), Message::Go(PageId::Confirm)), "confirm.site", "plant");
    assert!(text(&unseen).contains("There is no plan yet"));
    let (unseen, effects) = update(unseen, Message::Next);
    assert!(effects.is_empty() && why(&unseen).contains("no plan"), "{:?}", unseen.refused());

    // A name or a plan that holds no more.
    let changed = send(answer(model, "confirm.site", "plant"), Message::Go(PageId::Start));
    let renamed = send(answer(changed.clone(), "metadata.name", "other"), Message::Go(PageId::Confirm));
    assert!(text(&renamed).contains("make it again"));
    assert!(why(&send(renamed, Message::Next)).contains("name is not typed"));
    let changed = send(answer(changed, "environment", "test"), Message::Go(PageId::Confirm));
    assert!(why(&send(changed.clone(), Message::Next)).contains("no plan"));
    let open = answer(send(changed, Message::Go(PageId::Hosts)), "x", "x");
    let open = send(send(open, Message::RemoveHost(0)), Message::Go(PageId::Confirm));
    assert!(why(&send(open, Message::Next)).contains("missing or wrong"));

    let skipped = send(confirm(), Message::Skip);
    assert_eq!((skipped.page(), why(&skipped)), (PageId::Confirm, "this page cannot be left open"));
}

#[test]
fn a_plan_of_another_file_is_none() {
    let model = send(confirm(), Message::Go(PageId::Start));
    let (model, effects) =
        update(model, Message::Answer { field: "start.file".to_owned(), text: "b.yaml".to_owned() });
    assert!(matches!(&effects[..], [Effect::Load { .. }]), "{effects:?}");
    let model = send(send(model, Message::Loaded(Loaded::New)), Message::Go(PageId::Confirm));
    let model = send(answer(model, "confirm.site", "plant"), Message::Next);
    assert!(why(&model).contains("no plan"), "{:?}", model.refused());
}

#[test]
fn an_install_that_cannot_begin_says_why_and_can_be_asked_for_again() {
    let (model, serial) = asked();
    assert!(view(&model).message.contains("being started"));
    let (model, effects) = update(model, Message::Next);
    assert!(effects.is_empty() && why(&model).contains("just being started"));
    let late =
        send(model.clone(), Message::InstallBegun { serial: serial + 1, outcome: Ok("r9".to_owned()) });
    assert_eq!(late, model, "nobody asked for that one");
    let failed =
        send(model, Message::InstallBegun { serial, outcome: Err(trouble("the plan does not hold")) });
    assert_eq!(failed.page(), PageId::Confirm);
    assert!(text(&failed).contains("The install was not begun: the plan does not hold"), "{}", text(&failed));
    assert!(why(&failed).contains("the plan does not hold"));
    let (_, effects) = update(failed, Message::Next);
    assert!(matches!(&effects[..], [Effect::Install { .. }]), "the name is still there: {effects:?}");
}

#[test]
fn a_run_is_watched_until_it_ends_and_then_the_result_opens() {
    let model = begun();
    assert!(text(&model).contains("Its first sign is waited for"));
    let (model, effects) = see(model, going_on("plant", "r1"));
    assert_eq!(effects, [Effect::Watch { run: "r1".to_owned() }]);
    let screen = view(&model);
    assert!(screen.well && !screen.next_open && screen.message.contains("installer attach r1"), "{screen:?}");
    let hosts = screen.rows.iter().filter(|row| matches!(row, Row::Progress(one) if one.opens));
    assert_eq!(hosts.count(), 3);
    assert!(text(&model).contains("412 MB of 1.3 GB, 81 MB/s, 00:11 left, Images into the store"));
    let moved = bar::amount(412_000_000, 1_300_000_000, Some(81_000_000), Some(11_000));
    assert!(text(&model).contains(&format!("{moved}, Images")), "in the words of every other program");
    let of = LogFilter { host: Some("w1".to_owned()), ..LogFilter::default() };
    assert_eq!(model.log(&of).lines, ["06:41 Settings of the kernel: 14 settings"]);
    assert!(why(&send(model.clone(), Message::Next)).contains("goes on"));
    assert!(why(&send(model.clone(), Message::Run)).contains("goes on"));
    let other = see(model.clone(), done("plant", "r0"));
    assert_eq!((&other.0, other.1.len()), (&model, 0), "of a run that is not watched");

    let (model, effects) = see(model, done("plant", "r1"));
    assert_eq!(model.page(), PageId::Result);
    assert_eq!(model.mark(PageId::Install), Mark::Done);
    let [Effect::Report { serial, run, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(run, "r1");
    assert!(text(&model).contains("3 of 3 nodes are ready") && text(&model).contains("200 after 41 ms"));
    assert!(text(&model).contains("https://api.cluster.internal:6443"));
    let handover = Handover {
        file: PathBuf::from("runs/r1/report.html"),
        addresses: vec!["http://w1:30080".to_owned()],
    };
    let model = send(model, Message::Reported { serial: *serial, outcome: Ok(handover) });
    assert!(text(&model).contains("runs/r1/report.html") && text(&model).contains("http://w1:30080"));
    let back = send(model.clone(), Message::Back);
    assert_eq!(back.page(), PageId::Install);
    assert_eq!(send(back.clone(), Message::Next).page(), PageId::Result);
    assert!(why(&send(back, Message::Run)).contains("ended well"));
    let (ended, effects) = update(model, Message::Next);
    assert!(ended.has_ended() && ended.is_complete());
    assert_eq!(effects.last(), Some(&Effect::End));
}

#[test]
fn a_report_that_cannot_be_written_is_told_and_the_command_stays() {
    let (model, effects) = see(begun(), done("plant", "r1"));
    let [Effect::Report { serial, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    let model = send(model, Message::Reported { serial: *serial, outcome: Err(trouble("the disk is full")) });
    assert!(text(&model).contains("the disk is full"));
    assert!(
        text(&model).contains("installer report --bundle orders.bundle --profile site.yaml --run runs/r1")
    );
}

#[test]
fn a_failed_run_shows_cause_and_next_step_first_and_is_begun_again_with_its_own_plan() {
    let (model, effects) = see(begun(), failed("plant", "r1"));
    assert_eq!((effects.len(), model.page()), (0, PageId::Install));
    let shown = text(&model);
    let at = |part: &str| shown.find(part).unwrap_or_else(|| panic!("`{part}` is not in {shown}"));
    let order = [
        at("w1 failed: Joins the cluster: the kubelet on w1 does not answer"),
        at("port 10250 is closed"),
        at("next: let port 10250 through"),
        at("failed: Joins the cluster\""),
        at("bind: in use"),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert!(!view(&model).well && view(&model).actions.contains(&Action::Run));
    assert!(why(&send(model.clone(), Message::Next)).contains("not ended well"));
    let (model, effects) = update(model, Message::Run);
    let [Effect::Install { serial, agreed, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(*agreed, Agreed::Run("r1".to_owned()));
    assert!(why(&send(model.clone(), Message::Run)).contains("just being started"));
    let not = send(model.clone(), Message::InstallBegun { serial: *serial, outcome: Err(trouble("no")) });
    assert!(text(&not).contains("not begun: no"));
    let (model, effects) =
        update(model, Message::InstallBegun { serial: *serial, outcome: Ok("r2".to_owned()) });
    assert_eq!(effects, [Effect::Watch { run: "r2".to_owned() }]);
    assert_eq!((model.page(), model.page_before()), (PageId::Install, Some(PageId::Confirm)));
    let (model, _) = see(model, done("plant", "r2"));
    assert_eq!(model.page(), PageId::Result);
}

#[test]
fn every_way_in_which_a_run_can_stand_has_its_words() {
    let stopped = RunPicture { result: Some(RunResult::Cancelled), ..cut_off("plant", "r1") };
    let stopping = RunPicture { stopping: true, ..going_on("plant", "r1") };
    for (picture, message, well) in [
        (going_on("plant", "r1"), "All well", true),
        (stuck("plant", "r1"), "silent for long", false),
        (stopping, "as soon as the steps", true),
        (failed("plant", "r1"), "has failed", false),
        (stopped, "stopped as asked", false),
        (cut_off("plant", "r1"), "cut off", false),
    ] {
        let (model, _) = see(begun(), picture);
        let screen = view(&model);
        assert!(screen.message.contains(message), "{}", screen.message);
        assert_eq!(screen.well, well, "{message}");
    }
    let (model, _) = see(begun(), stuck("plant", "r1"));
    assert!(
        text(&model).contains("no sign for 95 s") && text(&model).contains("limit is 120 s"),
        "{}",
        text(&model)
    );
}

#[test]
fn stopping_is_asked_for_twice_and_leaving_says_that_the_run_goes_on() {
    let none = send(begin(), Message::Stop);
    assert!(!none.is_stopping() && why(&none).contains("no run goes on"));
    let (model, _) = see(begun(), going_on("plant", "r1"));
    let asked = send(model.clone(), Message::Stop);
    assert!(view(&asked).stopping.unwrap().contains("Stop the run?"));
    let (stays, effects) = update(asked.clone(), Message::ReallyStop(false));
    assert!(effects.is_empty() && !stays.is_stopping());
    // The run's signs do not answer the question, its end does.
    let (seen, _) = see(asked.clone(), going_on("plant", "r1"));
    assert!(seen.is_stopping());
    assert!(!see(asked.clone(), failed("plant", "r1")).0.is_stopping());
    let (asked, effects) = update(asked, Message::ReallyStop(true));
    assert_eq!(effects, [Effect::StopRun { run: "r1".to_owned() }]);
    let told = send(asked.clone(), Message::StopAsked { run: "r1".to_owned(), outcome: Ok(()) });
    assert!(view(&told).notice.unwrap().contains("told to stop"));
    let told = send(asked, Message::StopAsked { run: "r1".to_owned(), outcome: Err(trouble("it is gone")) });
    assert!(why(&told).contains("it is gone"));
    assert_eq!(update(model.clone(), Message::ReallyStop(true)).1, [], "nobody asked");

    let leaving = view(&send(model.clone(), Message::Quit)).leaving.unwrap();
    assert!(leaving.contains("The run goes on") && leaving.contains("installer attach r1"), "{leaving}");
    let (left, effects) = update(model, Message::Detach);
    assert_eq!((left.has_ended(), left.run_that_goes_on()), (true, Some("r1")));
    assert_eq!(effects, [Effect::End]);
    let (after, effects) = see(left, going_on("plant", "r1"));
    assert!(effects.is_empty() && after.has_ended(), "nobody watches any more");
    let (stays, effects) = update(send(begin(), Message::Go(PageId::Review)), Message::Detach);
    assert!(!stays.has_ended() && effects.is_empty());
}

#[test]
fn a_run_that_cannot_be_seen_is_not_looked_for_without_end() {
    let lost = Message::Watched { run: "r1".to_owned(), outcome: Err(trouble("its folder is gone")) };
    let (model, effects) = update(begun(), lost);
    assert!(effects.is_empty() && text(&model).contains("its folder is gone"));
    assert!(!view(&model).well && model.run_that_goes_on().is_none());
    let (model, effects) = update(model, Message::Run);
    assert_eq!(effects, [Effect::Watch { run: "r1".to_owned() }]);
    assert_eq!(update(model, Message::Run).1, [], "one look at a time");
}

#[test]
fn runs_that_are_there_are_listed_watched_and_go_on_with_their_own_profile_alone() {
    let found = (1..=7).map(|n| summary(&format!("r{n}"), Standing::Failed)).collect();
    let model = send(begin(), Message::RunsFound(found));
    assert!(text(&model).contains("r5") && !text(&model).contains("r6"), "the newest five");
    assert!(view(&model).actions.contains(&Action::WatchRun));
    assert!(why(&send(model.clone(), Message::WatchRun(5))).contains("no run of this number"));
    let elsewhere = send(send(model.clone(), Message::Go(PageId::Review)), Message::WatchRun(0));
    assert_eq!(elsewhere.page(), PageId::Review);
    let (model, effects) = update(model, Message::WatchRun(1));
    assert_eq!(effects, [Effect::Watch { run: "r2".to_owned() }]);
    assert_eq!((model.page(), model.page_before()), (PageId::Install, Some(PageId::Start)));

    let (other, _) = see(model.clone(), failed("harbin-plant", "r2"));
    let (other, effects) = update(other, Message::Run);
    assert!(effects.is_empty() && why(&other).contains("of the site harbin-plant"), "{:?}", other.refused());
    let (own, _) = see(model.clone(), cut_off("plant", "r2"));
    let (_, effects) = update(own.clone(), Message::Run);
    assert!(matches!(&effects[..], [Effect::Install { agreed: Agreed::Run(run), .. }] if run == "r2"));
    // What was changed since is saved first: the installer judges it.
    let changed = answer(send(own.clone(), Message::Go(PageId::Start)), "environment", "test");
    let changed = send(changed, Message::Go(PageId::Install));
    assert_eq!(changed.page(), PageId::Install);
    let bare =
        send(send(own, Message::Go(PageId::Start)), Message::Clear { field: "start.bundle".to_owned() });
    let bare = send(send(bare, Message::Go(PageId::Install)), Message::Run);
    assert!(why(&bare).contains("no bundle"));

    // A run that has ended long ago shows its result, and nothing is written about it.
    let (ended, effects) = see(model, done("plant", "r2"));
    assert_eq!((ended.page(), effects.len()), (PageId::Result, 0));
}

#[test]
fn the_pages_of_a_run_are_closed_without_one() {
    for page in [PageId::Install, PageId::Result] {
        let model = send(begin(), Message::Go(page));
        assert_eq!(model.page(), PageId::Start);
        assert!(why(&model).contains("nobody was on the page"));
    }
    // Watching another run closes the result of the one before.
    let (model, _) = see(begun(), done("plant", "r1"));
    let model = send(
        send(model, Message::Go(PageId::Start)),
        Message::RunsFound(vec![summary("r0", Standing::GoesOn)]),
    );
    let model = send(model, Message::WatchRun(0));
    assert_eq!(send(model, Message::Go(PageId::Result)).page(), PageId::Install);
}

#[test]
fn whoever_came_for_less_is_led_past_the_rest() {
    for (word, page) in [("check", PageId::Checks), ("plan", PageId::Review)] {
        let model = answer(begin(), "start.purpose", word);
        let (model, _) = update(model, Message::Next);
        assert_eq!(model.page(), page);
        assert_eq!(view(&model).next, None);
        let (ended, effects) = update(model, Message::Next);
        assert!(ended.has_ended() && effects.contains(&Effect::End));
    }
    let (model, effects) = Model::new(start());
    assert_eq!(effects.len(), 3);
    let model = send(
        model,
        Message::Loaded(Loaded::There(
            "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\n".to_owned(),
        )),
    );
    let outcome = Ok(Arc::new(sample_document()));
    let model = send(model, Message::BundleOpened { file: PathBuf::from("orders.bundle"), outcome });
    let model = send(send(answer(model, "start.purpose", "check"), Message::Next), Message::Run);
    assert!(why(&model).contains("missing or wrong"), "{:?}", model.refused());
    let model = send(model, Message::Go(PageId::Start));
    let model = send(model, Message::Clear { field: "start.purpose".to_owned() });
    assert_eq!(send(model, Message::Next).page(), PageId::Needs);
}

#[test]
fn a_log_is_read_in_part() {
    let (model, _) = see(begun(), failed("plant", "r1"));
    let read = |host: Option<&str>, text: &str, troubles| {
        let host = host.map(str::to_owned);
        let found = model.log(&LogFilter { host, text: text.to_owned(), troubles });
        (found.lines.len(), found.of)
    };
    assert_eq!(read(None, "", false), (4, 4));
    assert_eq!(
        read(None, " API ", false),
        (1, 4),
        "large letters or small, and blanks around it do not count"
    );
    assert_eq!(read(None, "w1", false), (2, 4), "the name of a host is part of what is shown");
    assert_eq!(read(Some("w1"), "w1", false), (1, 2), "and not where all lines are of that host");
    assert_eq!(read(None, "", true), (1, 4));
    assert_eq!(read(None, "kernel", true), (0, 4));
    assert_eq!(read(Some("m1"), "", true), (0, 1));
}
