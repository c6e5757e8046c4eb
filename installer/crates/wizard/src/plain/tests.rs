//! The whole way, a line at a time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use sealift_bundle::testing::sample_document;
use sealift_checks::Finding;
use sealift_events::picture::RunPicture;

use super::lines::FakeLines;
use super::{Ended, Reason, World, run};
use crate::effect::{Effect, Loaded, Message, Trouble, size};
use crate::look::{MadeChange, MadeResult, Mended};
use crate::model::Start;
use crate::page::PageId;
use crate::runs::Agreed;
use crate::testing::{done, failed, going_on};
use crate::words::{Language, Words};

/// A machine with files in memory, the sample bundle and no hosts.
#[derive(Debug, Default)]
pub(crate) struct FakeWorld {
    pub(crate) files: BTreeMap<PathBuf, String>,
    pub(crate) saves: usize,
    /// What is seen of runs, one picture a look.
    pub(crate) pictures: Vec<RunPicture>,
    /// Plans of installs that were begun.
    pub(crate) installs: Vec<Agreed>,
    /// What checks find; hosts cannot be reached where there is nothing.
    pub(crate) found: Option<Vec<Finding>>,
}

fn trouble(message: &str) -> Trouble {
    Trouble { message: message.to_owned(), causes: Vec::new(), remedies: vec!["try again".to_owned()] }
}

impl World for FakeWorld {
    fn perform(&mut self, effect: Effect) -> Option<Message> {
        let read = |file: &str| {
            self.files.get(&PathBuf::from(file)).cloned().ok_or_else(|| trouble("there is no such file"))
        };
        Some(match effect {
            Effect::Save { file, text } => {
                self.files.insert(file, text);
                self.saves += 1;
                Message::Saved(Ok(Vec::new()))
            }
            Effect::Load { file } => {
                Message::Loaded(self.files.get(&file).map_or(Loaded::New, |text| Loaded::There(text.clone())))
            }
            Effect::OpenBundle { file } => {
                let good = file.as_os_str() == "orders.bundle";
                let outcome =
                    if good { Ok(Arc::new(sample_document())) } else { Err(trouble("this is no bundle")) };
                Message::BundleOpened { file, outcome }
            }
            Effect::ReadText { field, file } => Message::TextRead { field, text: read(&file) },
            Effect::ReadHosts { file } => Message::HostsRead(read(&file)),
            Effect::Size { serial, document, site } => {
                let outcome = size(&document, &site).map(Box::new);
                Message::Sized { serial, outcome: outcome.map_err(|error| trouble(&error.to_string())) }
            }
            Effect::Reach { serial, host, site } => {
                let outcome = crate::testing::reached(&host, &site);
                Message::Reached { serial, host, outcome }
            }
            Effect::Check { serial, .. } => {
                let found = self.found.clone();
                Message::Checked { serial, outcome: found.ok_or_else(|| trouble("m1 cannot be reached")) }
            }
            Effect::Plan { serial, .. } => {
                Message::Planned { serial, outcome: Ok(crate::testing::planned(&["m1", "w1"])) }
            }
            Effect::Fix { serial, .. } => {
                let change = "switch swap off".to_owned();
                let made = vec![MadeChange { host: "w1".to_owned(), change, result: MadeResult::Done }];
                let outcome = Ok(Mended { made, findings: Ok(Vec::new()) });
                Message::Fixed { serial, outcome }
            }
            Effect::FindRuns => {
                Message::RunsFound(vec![crate::testing::summary("r0", crate::Standing::Failed)])
            }
            Effect::Install { serial, agreed, .. } => {
                self.installs.push(agreed);
                Message::InstallBegun { serial, outcome: Ok("r1".to_owned()) }
            }
            Effect::Watch { run } if self.pictures.is_empty() => {
                Message::Watched { run, outcome: Err(trouble("it is gone")) }
            }
            Effect::Watch { run } => {
                let picture = RunPicture { run: run.clone(), ..self.pictures.remove(0) };
                Message::Watched { run, outcome: Ok(Box::new(picture)) }
            }
            Effect::StopRun { run } => Message::StopAsked { run, outcome: Ok(()) },
            Effect::Report { serial, .. } => {
                Message::Reported { serial, outcome: Err(trouble("the disk is full")) }
            }
            Effect::End => return None,
        })
    }
}

pub(crate) fn start() -> Start {
    Start { trust: vec!["--trust-key".to_owned(), "the vendor.pub".to_owned()], ..crate::testing::start() }
}

/// Runs through answers; what was said, and how it ended.
fn answered(start: Start, world: &mut FakeWorld, answers: &str) -> (String, Ended) {
    let mut lines = FakeLines::new(answers);
    let ended = run(start, &mut lines, world).unwrap();
    (lines.text(), ended)
}

/// A line for each prompt from the first page to the last.
const WHOLE: &str = "\n\n\nharbin-plant\nproduction\n\n\
    2,000\n10\n?\n\n\n\n\n\n\n\n\nyes\n\n\
    \n\n\n\n\
    add\nm1\n10.20.0.11\nsteer\n\n\npaste\nw1, 10.20.0.21, work\nw2, 10.20.0.22, work\n\n\n\
    ops\n\nfile ~/.ssh/id_ed25519\n\n\n\n~/.ssh/known_hosts\n\n\n\n\
    \n\n\n\n10.20.0.53\n\n\
    \n\n\n\n\n\n\
    \norders.harbin.example\nenv ADMIN_PASSWORD\n\n\
    run\n\nrun\n\n\nquit\nyes\n";

#[test]
fn the_whole_way_gives_a_profile_and_the_commands() {
    let mut world = FakeWorld::default();
    let (said, ended) = answered(start(), &mut world, WHOLE);
    let profile = &world.files[&PathBuf::from("site.yaml")];
    assert_eq!((ended.reason, ended.model.page()), (Reason::Finished, PageId::Confirm), "{said}");
    assert!(!profile.contains("interactive"), "{profile}\n{said}");
    for part in ["name: harbin-plant", "users: 2000", "address: 10.20.0.22", "env: ADMIN_PASSWORD"] {
        assert!(profile.contains(part), "`{part}` is not in {profile}");
    }
    let commands = "installer plan --bundle orders.bundle --profile site.yaml --trust-key 'the vendor.pub'";
    for part in [
        "Page 2 of 13: Needs",
        "Question 1 of 11: How many people will have an account?",
        "Between two clicks people read and type.",
        "Sizing: recommended; Steer: ",
        "m1 cannot be reached",
        "61 steps on 2 hosts",
        commands,
    ] {
        let flat = said.replace('\n', " ");
        assert!(flat.contains(part), "`{part}` is not in {said}");
    }
    assert!(said.lines().all(|line| crate::width::columns(line) <= 80), "{said}");
}

#[test]
fn the_same_in_chinese_has_no_english_question() {
    let mut world = FakeWorld::default();
    let answers = WHOLE.replacen('\n', "zh\n", 1);
    let (said, ended) = answered(start(), &mut world, &answers);
    assert_eq!(ended.reason, Reason::Finished, "{said}");
    let after = said.split_once("问题 2").unwrap().1;
    for word in ["Question", "Page ", "How many", "answer>", "next:"] {
        assert!(!after.contains(word), "`{word}` is in {after}");
    }
}

#[test]
fn a_wrong_answer_is_refused_with_its_reason_and_asked_again() {
    let mut world = FakeWorld::default();
    let (said, ended) = answered(start(), &mut world, "\n\n\nHarbin Plant\nharbin\nquit\nno\nquit\nyes\n");
    assert_eq!(ended.reason, Reason::Quit);
    assert!(said.contains("error: `Harbin Plant` is no name for a site\n  next: use lowercase"), "{said}");
    assert_eq!(said.matches("Question 4 of 6").count(), 2, "{said}");
    assert!(said.contains("Leave the wizard? The answers are kept in site.yaml."), "{said}");
    assert!(world.files[&PathBuf::from("site.yaml")].contains("name: harbin\n"));
}

#[test]
fn the_end_of_the_input_saves_what_is_there() {
    let mut world = FakeWorld::default();
    let (said, ended) = answered(start(), &mut world, "\n\n\nharbin\n");
    assert_eq!(ended.reason, Reason::InputEnded, "{said}");
    let text = &world.files[&PathBuf::from("site.yaml")];
    assert!(text.contains("name: harbin\n") && text.contains("interactive:"), "{text}");
    // Nothing was answered, nothing is written.
    let mut world = FakeWorld::default();
    answered(start(), &mut world, "");
    assert_eq!(world.files.len(), 0);
}

#[test]
fn what_was_typed_for_a_secret_is_never_repeated() {
    let mut world = FakeWorld::default();
    let answers = WHOLE.replace("file ~/.ssh/id_ed25519", "hunter2-secret\nfile ~/.ssh/id_ed25519");
    let (said, ended) = answered(start(), &mut world, &answers);
    assert_eq!(ended.reason, Reason::Finished, "{said}");
    assert!(said.contains("does not say where the secret is") && !said.contains("hunter2"), "{said}");
    assert!(!format!("{ended:?}{world:?}").contains("hunter2"));
}

#[test]
fn a_profile_is_opened_one_answer_changed_and_the_rest_stays() {
    let mut world = FakeWorld::default();
    answered(start(), &mut world, WHOLE);
    let before = world.files[&PathBuf::from("site.yaml")].clone();
    let (said, ended) = answered(start(), &mut world, "go needs\n1\n3000\ngo confirm\nquit\nyes\n");
    assert_eq!(ended.reason, Reason::Finished, "{said}");
    assert!(said.contains("opened site.yaml"), "{said}");
    let after = &world.files[&PathBuf::from("site.yaml")];
    assert_eq!(*after, before.replace("users: 2000", "users: 3000"));
}

#[test]
fn a_file_that_is_no_profile_is_never_written_over() {
    let mut world = FakeWorld::default();
    let file = PathBuf::from("site.yaml");
    world.files.insert(file.clone(), "apiVersion: sealift/v1\nkind: Site\nhots: []\n".to_owned());
    let (said, _) = answered(start(), &mut world, "\n\n\nharbin\n\n\nskip\nsave\n");
    assert!(said.contains("site.yaml is there and cannot be used") && said.contains("`hots`"), "{said}");
    assert!(world.files[&file].contains("hots"));
    let (_, ended) = answered(start(), &mut world, "\nother.yaml\n\nharbin\n\n\nquit\nyes\n");
    assert_eq!(ended.model.page(), PageId::Needs);
    assert!(world.files[&PathBuf::from("other.yaml")].contains("name: harbin"));
}

#[test]
fn hosts_come_from_a_table_and_wrong_lines_are_named() {
    let mut world = FakeWorld::default();
    let table = "name;address;role\nm1;10.20.0.11;master\nw1;10.20.0.11;worker\nw2;10.20.0.300;worker\n";
    world.files.insert(PathBuf::from("hosts.csv"), table.to_owned());
    let to_hosts = "\n\n\nharbin\n\n\nskip\nskip\n";
    let (said, ended) = answered(start(), &mut world, &format!("{to_hosts}import hosts.csv\n"));
    let flat = said.replace('\n', " ");
    assert!(
        flat.contains("line 3: `w1` and `m1` have the same address") || flat.contains("line 4"),
        "{said}"
    );
    assert_eq!(ended.model.draft().hosts(), 0, "all or none");
    let table = table.replace("10.20.0.300", "10.20.0.22").replace("w1;10.20.0.11", "w1;10.20.0.21");
    world.files.insert(PathBuf::from("hosts.csv"), table);
    world.files.remove(&PathBuf::from("site.yaml"));
    let (said, ended) =
        answered(start(), &mut world, &format!("{to_hosts}import hosts.csv\n2\n2\n10.20.0.29\n\nremove 3\n"));
    assert_eq!(ended.model.draft().hosts(), 2, "{said}");
    assert_eq!(ended.model.draft().get("hosts[1].address").unwrap(), "10.20.0.29", "{said}");
}

/// The whole way, and an install at its end.
fn installing() -> String {
    WHOLE.replace("\n\nquit\nyes\n", "\nharbin-plant\n\n")
}

#[test]
fn an_install_is_followed_in_lines_to_its_result() {
    let mut world = FakeWorld { pictures: vec![going_on("harbin-plant", ""); 3], ..FakeWorld::default() };
    let again = world.pictures[0].log[0].clone();
    world.pictures[1].log.push(again);
    world.pictures[2].log = world.pictures[1].log.clone();
    world.pictures[2].elapsed_millis += 5000;
    world.pictures.push(done("harbin-plant", ""));
    world.pictures[3].log = world.pictures[2].log.clone();
    let (said, ended) = answered(start(), &mut world, &(installing() + "\n"));
    assert_eq!((ended.reason, ended.model.page()), (Reason::Finished, PageId::Result), "{said}");
    assert_eq!(world.installs, [Agreed::File(PathBuf::from("site.yaml.plan.json"))]);
    let flat = said.replace('\n', " ");
    for part in [
        "Ctrl-C ends only this wizard",
        "the run r1 has begun",
        "06:39 the gate of the workers is open",
        "38 of 72 steps done after 06:46",
        "w2 (works): 5 of 24 steps; 412 MB of 1.3 GB, 81 MB/s, 00:11 left, Images into the store",
        "Page 13 of 13: Result",
        "3 of 3 nodes are ready",
        "Acceptance test: The product answers; Result: passed; Seen: 200 after 41 ms",
        "could not be written: the disk is full",
    ] {
        assert!(flat.contains(part), "`{part}` is not in {said}");
    }
    let starts = said.matches("Starts the cluster").count();
    assert_eq!(starts, 2, "each line once, as often as it was written: {said}");
    assert!(said.lines().all(|line| crate::width::columns(line) <= 80), "{said}");
}

#[test]
fn an_install_that_fails_says_why_and_is_begun_again() {
    let pictures = vec![failed("harbin-plant", ""), done("harbin-plant", "")];
    let mut world = FakeWorld { pictures, ..FakeWorld::default() };
    let (said, ended) = answered(start(), &mut world, &(installing() + "run\n\n"));
    assert_eq!((ended.reason, ended.model.page()), (Reason::Finished, PageId::Result), "{said}");
    assert_eq!(world.installs[1..], [Agreed::Run("r1".to_owned())]);
    let flat = said.replace('\n', " ");
    for part in
        ["Page 12 of 13: Install", "w1 failed: Joins the cluster", "next: let port 10250", "bind: in use"]
    {
        assert!(flat.contains(part), "`{part}` is not in {said}");
    }
}

#[test]
fn a_run_that_is_there_is_watched_and_the_wrong_name_installs_nothing() {
    let mut world = FakeWorld { pictures: vec![failed("harbin-plant", "")], ..FakeWorld::default() };
    let (said, ended) = answered(start(), &mut world, "watch 1\nback\nquit\nyes\n");
    assert_eq!(ended.reason, Reason::Quit, "{said}");
    assert!(said.contains("Run: r0; Site: harbin-plant; State: failed; Steps: 38 of 72"), "{said}");
    assert!(said.contains("w1 failed: Joins the cluster"), "{said}");
    let wrong = installing().replace("\nharbin-plant\n\n", "\nharbin\n\n\nquit\nyes\n");
    let mut world = FakeWorld::default();
    let (said, ended) = answered(start(), &mut world, &wrong);
    assert_eq!((ended.reason, world.installs.len()), (Reason::Finished, 0), "{said}");
    assert!(said.contains("`harbin` is not the name of this site"), "{said}");
}

#[test]
fn the_log_of_a_run_is_read_in_part() {
    let after = |command: &str| {
        let mut world = FakeWorld { pictures: vec![failed("harbin-plant", "")], ..FakeWorld::default() };
        let (said, _) = answered(start(), &mut world, &format!("watch 1\n{command}\nquit\nyes\n"));
        let (_, said) = said.rsplit_once("Page 12").unwrap();
        // What the page itself says of it stands before the first prompt.
        let (_, said) = said.split_once("> ").unwrap();
        said.to_owned()
    };
    let all = after("log");
    assert!(
        all.contains("06:39 -  the gate of the workers is open") && all.contains("4 of 4 lines"),
        "{all}"
    );
    let some = after("log API");
    assert!(some.contains("the API is up") && some.contains("1 of 4 lines"), "{some}");
    assert!(!some.contains("the gate"), "{some}");
    let troubles = after("troubles");
    assert!(troubles.contains("failed: the kubelet") && troubles.contains("1 of 4 lines"), "{troubles}");
    assert!(after("异常 kernel").contains("0 of 4 lines"));
    assert!(after("?").contains("troubles WORDS"));
}

/// Hosts whose keys nobody knows.
const STRANGERS: &str = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\nhosts:\n\
    \x20 - {name: m1, address: 10.20.0.11, role: control-plane}\n  - {name: w1, address: 10.20.0.21, role: worker}\n\
    access: {user: ops, privateKey: {file: ~/k}}\n";

#[test]
fn hosts_are_tested_and_their_keys_confirmed_by_a_word() {
    let pinned = |world: &FakeWorld| world.files[&PathBuf::from("site.yaml")].matches("hostKey").count();
    let begin = || {
        let mut world = FakeWorld::default();
        world.files.insert(PathBuf::from("site.yaml"), STRANGERS.to_owned());
        world
    };
    // Neither Enter nor the end of the input is a word.
    for no in ["test\ntrust\n\nquit\nyes\n", "test\ntrust\n", "trust\nyes\nquit\nyes\n"] {
        let mut world = begin();
        let (said, _) = answered(start(), &mut world, &format!("go hosts\n{no}"));
        assert_eq!(pinned(&world), 0, "{no}: {said}");
    }
    let mut world = begin();
    let (said, _) = answered(start(), &mut world, "go hosts\ntest\ntrust\nyes\n?\n1\n\nquit\nyes\n");
    assert_eq!(pinned(&world), 2, "{said}");
    let flat = said.replace('\n', " ");
    for part in [
        "Name: m1; Address: 10.20.0.11; Does: steers; User: -; SSH: new key; Host key: SHA256:m1xm…",
        "Machine: m1; Fingerprint: SHA256:m1xm1x",
        "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        "Are these the keys that the consoles print? yes or no>",
        "SSH: ok; Host key: SHA256:m1xm…; Seen: 8 cpu 31G",
        "SSH: FAIL",
        "w1 (10.20.0.21) refused the password of user ops   What to do: check the password",
        "test: tries to log in on every host",
    ] {
        assert!(flat.contains(part), "`{part}` is not in {said}");
    }
    let mut world = begin();
    let (said, _) = answered(start(), &mut world, "zh\n前往 hosts\n测试\n信任\n是\n退出\n是\n");
    assert_eq!(pinned(&world), 2, "{said}");
}

#[test]
fn findings_are_opened_accepted_and_taken_back_by_numbers() {
    let mut world = FakeWorld::default();
    answered(start(), &mut world, WHOLE);
    world.found = Some(crate::testing::findings(&["m1", "w1"]));
    let file = PathBuf::from("site.yaml");
    let accept = "go checks\nrun\nnext\n6\n1\naccept\nLi Wei\n2020-01-01 comes\n2020-01-01\n2026-12-31\n\n\n";
    let (said, _) = answered(start(), &mut world, &format!("{accept}\n\nsave\nquit\nyes\n"));
    let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "6 Disks: 1 FAIL (m1), 2 ok, 1 not run",
        "error: Findings that stand in the way: 1",
        "1 State: FAIL; Check: disk.space; Host: m1",
        "What to do: free some space",
        "Question 1 of 4: Who accepts this risk?",
        "ran out on 2020-01-01",
        "Accepted: by Li Wei until 2026-12-31: 2020-01-01 comes",
        "8 Check: disk.space; Host: m1; By: Li Wei; Until: 2026-12-31; State: accepts 1",
        "All is well on this page.",
    ] {
        assert!(flat.contains(part), "`{part}` is not in {said}");
    }
    assert!(world.files[&file].contains("person: Li Wei"), "{}", world.files[&file]);
    let (said, _) = answered(start(), &mut world, "go checks\nrun\n8\nwithdraw\nquit\nyes\n");
    assert!(!world.files[&file].contains("Li Wei"), "{said}");
}

#[test]
fn what_can_be_mended_is_mended_after_a_yes_alone() {
    let mut world = FakeWorld::default();
    answered(start(), &mut world, WHOLE);
    world.found = Some(crate::testing::findings(&["m1", "w1"]));
    for (answer, made) in [("\n", false), ("no\n", false), ("maybe\n", false), ("yes\n", true)] {
        let (said, _) = answered(start(), &mut world, &format!("go checks\nrun\nfix\n{answer}quit\nyes\n"));
        assert!(
            said.contains("Make these changes?") && said.contains("Host: w1; Change: switch swap off"),
            "{said}"
        );
        assert_eq!(said.contains("w1: switch swap off: done"), made, "{answer}: {said}");
    }
}

#[test]
fn a_hosts_plan_is_opened_by_its_number() {
    let mut world = FakeWorld::default();
    answered(start(), &mut world, WHOLE);
    let (said, _) = answered(start(), &mut world, "go review\nrun\n11\n\nquit\nyes\n");
    assert!(said.contains("11 Host: w1; Steps: 30; Files: 12; Services: 4; What stops: -"), "{said}");
    assert!(said.contains("/etc/w1/30.conf") && !said.contains("/etc/m1/"), "{said}");
}

#[test]
fn every_command_is_explained_in_both_languages() {
    for language in Language::ALL {
        let words = Words::of(language);
        for key in ["field", "page", "hosts", "host", "reach", "checks", "run"] {
            let text = words.find(&format!("plain.help.{key}"));
            assert!(text.is_some_and(|text| text.len() > 40), "{key}");
        }
        assert!(words.find("plain.follow").is_some_and(|text| text.len() > 40));
    }
}
