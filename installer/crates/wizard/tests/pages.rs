//! Pages, fields and words: each field can be reached, refuses what is wrong, and has its words in every language.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use sealift_bundle::testing::sample_document;
use sealift_profile::ProfileFinding;
use sealift_wizard::field::{fields, word_keys};
use sealift_wizard::testing::{cut_off, done, failed, findings, going_on, start, stuck, summary};
use sealift_wizard::{
    Effect, Kind, Language, Loaded, Mark, Message, Model, PageId, Part, Source, Standing, Task, Trouble,
    Verdict, Words, update, view,
};

fn begin(file: Loaded) -> Model {
    let (model, effects) = Model::new(start());
    assert_eq!(effects.len(), 3, "the profile, the bundle and runs are looked for");
    let model = send(model, Message::Loaded(file));
    let outcome = Ok(Arc::new(sample_document()));
    send(model, Message::BundleOpened { file: PathBuf::from("orders.bundle"), outcome })
}

fn send(model: Model, message: Message) -> Model {
    update(model, message).0
}

fn answer(model: Model, field: &str, text: &str) -> Model {
    send(model, Message::Answer { field: field.to_owned(), text: text.to_owned() })
}

/// Every page has been seen.
const OPEN: &str = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\n";

fn opened() -> Model {
    begin(Loaded::There(OPEN.to_owned()))
}

#[test]
fn every_text_is_there_in_every_language_with_the_same_places() {
    let keys = |words: Words| words.texts().map(|(key, _)| key).collect::<BTreeSet<_>>();
    let [english, chinese] = Language::ALL.map(Words::of);
    assert!(keys(english).len() > 300);
    assert_eq!(keys(english), keys(chinese));
    let places = |text: &str| -> BTreeSet<String> {
        text.split('{').skip(1).map(|part| part.split('}').next().unwrap().to_owned()).collect()
    };
    for (key, text) in english.texts() {
        let other = chinese.text(key);
        assert_eq!(places(text), places(&other), "{key}");
        assert!(!text.trim().is_empty() && !other.trim().is_empty(), "{key}");
        assert!(!text.contains('!') && !other.contains('！'), "{key}: no exclamation marks");
    }
    for key in word_keys() {
        assert!(english.find(&format!("help.{key}")).is_some(), "help.{key}");
    }
}

/// The model on each page, with what makes all its fields answerable.
fn pages(language: Language) -> Vec<Model> {
    let gates: [(PageId, &[(&str, &str)]); 3] = [
        (
            PageId::Sizing,
            &[("sizing.workers.count", "3"), ("sizing.masters.count", "3"), ("sizing.machine.cpus", "8")],
        ),
        (PageId::Access, &[("access.privateKey", "file ~/k"), ("access.bastion.address", "gate.example")]),
        (
            PageId::Storage,
            &[
                ("services.database.host", "10.20.0.9"),
                ("services.logs.url", "http://10.20.0.9/"),
                ("services.metrics.url", "http://10.20.0.9/"),
            ],
        ),
    ];
    let opened = begin(Loaded::There(format!("{OPEN}acceptedRisks:\n  - {{check: disk.space}}\n")));
    let mut model = send(opened, Message::Speak(language));
    for (page, answers) in gates {
        model = send(model, Message::Go(page));
        for (field, text) in answers {
            model = answer(model, field, text);
            assert_eq!(model.refused(), None);
        }
    }
    let mut found = Vec::new();
    for page in PageId::ALL.into_iter().filter(|page| !page.is_of_run()) {
        let mut there = send(model.clone(), Message::Go(page));
        if page == PageId::Hosts {
            there = send(there, Message::AddHost);
        }
        if page == PageId::Checks {
            there = send(there, Message::Open(Part::Risk(0)));
        }
        assert_eq!(there.page(), page);
        found.push(there);
    }
    // The pages of a run, in each way that it can stand.
    let begun = send(found[0].clone(), Message::RunsFound(vec![summary("r1", Standing::GoesOn)]));
    let begun = send(begun, Message::WatchRun(0));
    let pictures = [going_on, stuck, cut_off, failed, done].map(|picture| picture("plant", "r1"));
    found.extend(pictures.map(|picture| {
        send(begun.clone(), Message::Watched { run: "r1".to_owned(), outcome: Ok(Box::new(picture)) })
    }));
    assert_eq!(found.last().unwrap().page(), PageId::Result);
    found.push(begun);
    found
}

#[test]
fn every_screen_has_all_its_words() {
    for language in Language::ALL {
        for model in pages(language) {
            let screen = view(&model);
            let text = format!("{screen:?}");
            let page = model.page().name();
            // A key that no table has stands in brackets.
            for (at, _) in text.match_indices('[') {
                let inside = text[at + 1..].split(']').next().unwrap();
                let key =
                    inside.contains('.') && inside.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
                assert!(!key, "[{inside}] on {page}");
            }
            for field in screen.fields() {
                assert!(field.help.len() >= 3, "{}", field.path);
                assert!(field.enabled, "{} cannot be reached", field.path);
            }
        }
    }
}

/// A wrong answer for each field that is no free text, and a part of why.
const WRONG: [(&str, &str, &str); 58] = [
    ("start.language", "fr", "none of the choices"),
    ("start.purpose", "all", "none of the choices"),
    ("confirm.site", "plants", "not the name of this site"),
    ("metadata.name", "Harbin", "no name for a site"),
    ("environment", "9", "none of the choices"),
    ("needs.users", "0", "`needs.users` is `0`"),
    ("needs.concurrentPercent", "101", "101"),
    ("needs.thinkSeconds", "0", "0"),
    ("needs.responseSeconds", "601", "601"),
    ("needs.peakFactor", "0.5", "0.5"),
    ("needs.dataGigabytesPerDay", "two", "no number"),
    ("needs.retentionDays", "1.5", "1.5"),
    ("needs.growth.usersPercentPerYear", "501", "501"),
    ("needs.growth.dataPercentPerYear", "-1", "-1"),
    ("needs.growth.years", "11", "11"),
    ("needs.availability", "maybe", "neither yes nor no"),
    ("sizing.workers.count", "0", "0"),
    ("sizing.masters.count", "2", "cannot agree"),
    ("sizing.machine.cpus", "2000", "2000"),
    ("sizing.machine.memoryGigabytes", "1", "1"),
    ("hosts[0].name", "M1", "no name for a host"),
    ("hosts[0].address", "10.20.0.300", "10.20.0.300"),
    ("hosts[0].role", "boss", "none of the choices"),
    ("hosts[0].hostKey", "MD5:aa", "no fingerprint"),
    ("hosts[0].port", "0", "0"),
    ("hosts[0].password", "hunter2", "where the secret is"),
    ("hosts[0].sudoPassword", "hunter2", "where the secret is"),
    ("hosts[0].placement.region", "a b", "no name for a region"),
    ("hosts[0].placement.zone", "a b", "no name for a zone"),
    ("hosts[0].placement.unit", "a b", "no name for a unit"),
    ("access.port", "70000", "70000"),
    ("access.privateKey", "hunter2", "where the secret is"),
    ("access.privateKeyPassphrase", "hunter2", "where the secret is"),
    ("access.password", "env 1X", "environment variable"),
    ("access.sudoPassword", "hunter2", "where the secret is"),
    ("access.bastion.port", "0", "0"),
    ("access.bastion.privateKey", "hunter2", "where the secret is"),
    ("access.bastion.password", "hunter2", "where the secret is"),
    ("access.bastion.hostKey", "SHA256:short", "no fingerprint"),
    ("unseal", "sealed x.age", "sealed itself"),
    ("cluster.endpoint", "10.20.0.1", "must be a name"),
    ("cluster.endpointPort", "2379", "taken by etcd"),
    ("cluster.podCidr", "10.244.0.1/16", "bits behind its prefix"),
    ("cluster.serviceCidr", "10.96.0.0/28", "too small"),
    ("cluster.nameservers", "10.20.0.53, dns", "dns"),
    ("cluster.registryPort", "10250", "taken by the kubelet"),
    ("services.database.host", "127.0.0.1", "another machine on every host"),
    ("services.database.port", "0", "0"),
    ("services.database.password", "hunter2", "where the secret is"),
    ("services.database.tls.mode", "maybe", "none of the choices"),
    ("services.logs.url", "logs", "no address of a service"),
    ("services.logs.user", "a:b", "colon"),
    ("services.logs.password", "hunter2", "where the secret is"),
    ("services.metrics.url", "ftp://x", "no address of a service"),
    ("services.metrics.user", "a:b", "colon"),
    ("services.metrics.password", "hunter2", "where the secret is"),
    ("product.secrets.adminPassword", "hunter2", "where the secret is"),
    ("acceptedRisks[0].until", "2026-11-21", "ran out"),
];

#[test]
fn every_field_refuses_what_is_wrong_and_keeps_what_it_had() {
    let mut seen = BTreeSet::new();
    for model in pages(Language::English) {
        for field in fields(&model) {
            let before = model.draft().clone();
            let wrong = WRONG.iter().find(|(path, ..)| *path == field.path);
            let (text, why) =
                wrong.map_or(("a\u{200d}\u{7}b", "nobody can see"), |(_, text, why)| (text, why));
            seen.extend(wrong.map(|(path, ..)| *path));
            let after = answer(model.clone(), &field.path, text);
            let refused = after.refused().unwrap_or_else(|| panic!("{} took {text}", field.path));
            assert_eq!(refused.field.as_deref(), Some(&*field.path));
            assert!(refused.message.contains(why), "{}: {}", field.path, refused.message);
            assert!(!refused.remedy.is_empty(), "{}", field.path);
            assert!(!format!("{refused:?}").contains("hunter2"), "{}", field.path);
            assert_eq!(*after.draft(), before, "{}", field.path);
        }
    }
    let unseen: Vec<_> = WRONG.iter().filter(|(path, ..)| !seen.contains(path)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn a_changed_answer_marks_later_pages_and_erases_nothing() {
    let mut model = begin(Loaded::New);
    model = answer(model, "metadata.name", "harbin");
    model = send(model, Message::Next);
    model = answer(model, "needs.users", "2000");
    model = send(send(model, Message::Next), Message::Next);
    assert_eq!(model.page(), PageId::Hosts);
    assert_eq!(model.mark(PageId::Sizing), Mark::Done);
    model = send(model, Message::Go(PageId::Needs));
    model = answer(model, "needs.users", "2000");
    assert_eq!(model.mark(PageId::Sizing), Mark::Done, "the same answer changes nothing");
    model = answer(model, "needs.users", "3000");
    assert_eq!(model.mark(PageId::Sizing), Mark::Review);
    assert_eq!(model.mark(PageId::Start), Mark::Done, "pages before stay as they are");
    assert_eq!(model.draft().get("metadata.name").unwrap(), "harbin");
    let (_, effects) = update(model, Message::Next);
    assert!(matches!(&effects[..], [Effect::Save { .. }, Effect::Size { .. }]), "{effects:?}");
}

#[test]
fn what_hangs_on_an_answer_is_kept_aside_and_comes_back() {
    let mut model = send(opened(), Message::Go(PageId::Access));
    let disabled = |model: &Model, path: &str| {
        view(model).fields().find(|field| field.path == path).is_some_and(|field| !field.enabled)
    };
    assert!(disabled(&model, "access.bastion.user"));
    model = answer(model, "access.bastion.user", "jump");
    assert!(model.refused().unwrap().message.contains("Which machine must we go through"));
    model = answer(model, "access.bastion.address", "gate.example");
    model = answer(model, "access.bastion.user", "jump");
    let cleared = send(model.clone(), Message::Clear { field: "access.bastion.address".to_owned() });
    assert_eq!(cleared.draft().get("access.bastion"), None);
    assert_eq!(cleared.answer("access.bastion.user").unwrap(), "jump");
    let again = answer(cleared, "access.bastion.address", "gate2.example");
    assert_eq!(again.draft().get("access.bastion.user").unwrap(), "jump");
    assert!(!disabled(&again, "access.bastion.user"));
}

#[test]
fn findings_stand_at_the_field_that_can_mend_them() {
    let profile = format!(
        "{OPEN}access: {{user: ops}}\nhosts:\n  - {{name: m1, address: 10.20.0.11, role: control-plane}}\n"
    );
    let model = begin(Loaded::There(profile));
    let found: Vec<(PageId, Option<String>)> =
        model.problems().into_iter().map(|problem| (problem.page, problem.field)).collect();
    let at = |page, field: &str| (page, Some(field.to_owned()));
    for expected in [
        at(PageId::Access, "access.knownHosts"),
        at(PageId::Access, "access.privateKey"),
        at(PageId::Product, "product.settings.domain"),
        at(PageId::Product, "product.secrets.adminPassword"),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {found:?}");
    }
    assert!(!found.iter().any(|(page, _)| *page == PageId::Hosts), "{found:?}");
    let access = send(model, Message::Go(PageId::Access));
    let screen = view(&access);
    assert!(!screen.next_open);
    let key = screen.fields().find(|field| field.path == "access.privateKey").unwrap();
    assert!(matches!(&key.verdict, Verdict::Wrong { message, .. } if message.contains("no way to log in")));
    let user = screen.fields().find(|field| field.path == "access.user").unwrap();
    assert_eq!((user.source, user.value.as_deref()), (Source::File, Some("ops")));
    let port = screen.fields().find(|field| field.path == "access.port").unwrap();
    assert_eq!((port.source, port.default.as_deref()), (Source::Default, Some("22")));
}

#[test]
fn an_answer_that_comes_too_late_is_dropped() {
    let mut model = send(opened(), Message::Go(PageId::Sizing));
    let ask = |model: Model| {
        let (model, effects) = update(model, Message::Run);
        let [Effect::Size { serial, document, site }] = effects.as_slice() else { panic!("{effects:?}") };
        let outcome = sealift_wizard::size(document, site).map(Box::new).unwrap();
        (model, Message::Sized { serial: *serial, outcome: Ok(outcome) })
    };
    let (next, first) = ask(model);
    let (next, second) = ask(next);
    model = send(next, first);
    assert!(view(&model).message.contains("At work"), "the first answer is not waited for any more");
    model = send(model, second);
    assert!(!view(&model).message.contains("At work"));
    assert!(format!("{:?}", view(&model).rows).contains("recommended"));
    // A changed answer makes it old, and the page asks again.
    model = answer(send(model, Message::Go(PageId::Needs)), "needs.users", "5000");
    let (_, effects) = update(model, Message::Go(PageId::Sizing));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Size { .. })), "{effects:?}");
    assert_eq!(Task::<u8>::Idle.value(), None);
}

#[test]
fn open_sections_of_a_file_stay_open_until_their_page_is_done() {
    let model = begin(Loaded::There(format!("{OPEN}interactive: [needs]\n")));
    let text = |model: &Model| {
        let (_, effects) = update(model.clone(), Message::Save);
        let [Effect::Save { text, .. }] = effects.as_slice() else { panic!("{effects:?}") };
        text.clone()
    };
    assert!(text(&model).contains("- needs"), "{}", text(&model));
    let model = send(send(model, Message::Go(PageId::Needs)), Message::Next);
    assert!(!text(&model).contains("- needs"), "{}", text(&model));
    assert!(text(&model).contains("- hosts"));
}

#[test]
fn the_hosts_are_not_looked_at_while_something_is_open() {
    let model = send(opened(), Message::Go(PageId::Checks));
    let (model, effects) = update(model, Message::Run);
    assert!(effects.is_empty());
    assert!(model.refused().unwrap().message.contains("missing or wrong"));
}

#[test]
fn kinds_of_the_products_questions_follow_from_their_defaults() {
    let model = send(opened(), Message::Go(PageId::Product));
    let kinds: Vec<(String, Kind)> =
        fields(&model).into_iter().map(|field| (field.path, field.kind)).collect();
    let expected = [
        ("product.settings.companyName", Kind::Text),
        ("product.settings.domain", Kind::Text),
        ("product.secrets.adminPassword", Kind::Secret),
    ];
    assert_eq!(kinds, expected.map(|(path, kind)| (path.to_owned(), kind)));
    let company = view(&model).fields().next().unwrap().clone();
    assert_eq!((company.source, company.default.as_deref()), (Source::Vendor, Some("Example")));
}

/// A profile in which nothing is missing, on the page of checks.
fn complete() -> Model {
    let rest = "access: {user: ops, privateKey: {file: /k}, knownHosts: /h}\n\
        hosts:\n  - {name: m1, address: 10.20.0.11, role: control-plane}\n\
        product: {settings: {domain: x.example}, secrets: {adminPassword: {env: A}}}\n";
    send(begin(Loaded::There(format!("{OPEN}{rest}"))), Message::Go(PageId::Checks))
}

#[test]
fn the_hosts_are_looked_at_with_what_was_saved_or_not_at_all() {
    let (model, effects) = update(complete(), Message::Run);
    assert!(matches!(&effects[..], [Effect::Save { .. }]), "{effects:?}");
    let (saved, effects) = update(model.clone(), Message::Saved(Ok(Vec::new())));
    let [Effect::Check { serial, file, bundle }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((file.as_path(), bundle.as_path()), ("site.yaml".as_ref(), "orders.bundle".as_ref()));
    assert!(view(&saved).message.contains("At work"));
    let done = send(saved, Message::Checked { serial: *serial, outcome: Ok(findings(&["m1"])) });
    assert!(format!("{:?}", view(&done).rows).contains("Disks"));

    let full = Trouble { message: "the disk is full".to_owned(), ..Trouble::default() };
    let (model, effects) = update(model, Message::Saved(Err(full)));
    assert_eq!(effects, []);
    assert_eq!(model.refused().unwrap().message, "the disk is full");
    assert!(!view(&model).message.contains("At work"));
}

#[test]
fn what_only_the_world_can_see_opens_its_section_and_shows_at_its_field() {
    let model = send(complete(), Message::Go(PageId::Storage));
    let model = answer(model, "customerCa.file", "/nonexistent.pem");
    assert_eq!(model.problems(), []);
    let finding = ProfileFinding {
        rule: "certificates",
        path: "customerCa.file".to_owned(),
        place: None,
        message: "it cannot be read".to_owned(),
        remedy: "bring it there".to_owned(),
    };
    let model = send(model, Message::Save);
    let (model, effects) = update(model, Message::Saved(Ok(vec![finding])));
    let [Effect::Save { text, .. }] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(text.contains("- customerCa"), "{text}");
    let model = send(model, Message::Saved(Ok(Vec::new())));
    assert!(!view(&model).next_open);
    let field = view(&model).fields().find(|field| field.path == "customerCa.file").unwrap().clone();
    assert!(matches!(field.verdict, Verdict::Wrong { message, .. } if message == "it cannot be read"));
    let model = send(model, Message::Clear { field: "customerCa.file".to_owned() });
    assert!(view(&model).next_open);
}
