//! Trying the hosts: what is asked, which outcomes count, which keys can be confirmed, and that nothing holds Next shut.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

use std::sync::Arc;

use sealift_bundle::testing::sample_document;
use sealift_profile::Site;
use sealift_wizard::testing::{key_of, reached, start};
use sealift_wizard::{
    Action, Effect, Loaded, Message, Model, NewKey, PageId, Reached, Row, ShownKey, Trouble, Whose, update,
    view,
};

const HOSTS: &str = "apiVersion: sealift/v1
kind: Site
metadata: {name: plant}
hosts:
  - {name: m1, address: 10.20.0.11, role: control-plane}
  - {name: w1, address: 10.20.0.21, role: worker}
  - {name: w2, address: 10.20.0.22, role: worker}
";
const ACCESS: &str = "access: {user: ops, privateKey: {file: /k}}\n";

fn send(model: Model, message: Message) -> Model {
    update(model, message).0
}

/// On the page of hosts, with a profile.
fn on_hosts(profile: &str) -> Model {
    let (model, _) = Model::new(start());
    let model = send(model, Message::Loaded(Loaded::There(profile.to_owned())));
    let outcome = Ok(Arc::new(sample_document()));
    let model = send(model, Message::BundleOpened { file: "orders.bundle".into(), outcome });
    let model = send(model, Message::Go(PageId::Hosts));
    assert_eq!((model.page(), model.refused()), (PageId::Hosts, None));
    model
}

/// The tries among effects.
fn tries(effects: &[Effect]) -> Vec<(u64, String, Arc<Site>)> {
    let one = |effect: &Effect| match effect {
        Effect::Reach { serial, host, site } => Some((*serial, host.clone(), Arc::clone(site))),
        _ => None,
    };
    effects.iter().filter_map(one).collect()
}

fn names(effects: &[Effect]) -> Vec<String> {
    tries(effects).into_iter().map(|(_, host, _)| host).collect()
}

/// Lets every host that is tried answer.
fn answered(model: Model, effects: &[Effect]) -> Model {
    tries(effects).into_iter().fold(model, |model, (serial, host, site)| {
        let outcome = reached(&host, &site);
        send(model, Message::Reached { serial, host, outcome })
    })
}

fn run(model: Model) -> Model {
    let (model, effects) = update(model, Message::Run);
    answered(model, &effects)
}

/// The last three cells of each host: SSH, key, what was seen; fewer where no host has any.
fn cells(model: &Model) -> Vec<Vec<String>> {
    let screen = view(model);
    let lines = screen.rows.iter().find_map(|row| match row {
        Row::Table { lines, .. } => Some(lines.clone()),
        _ => None,
    });
    lines.unwrap().into_iter().map(|line| line[5..].to_vec()).collect()
}

fn stands(model: &Model) -> Vec<String> {
    cells(model).into_iter().map(|line| line[0].clone()).collect()
}

fn body(model: &Model) -> String {
    format!("{:?}", view(model).rows)
}

fn pinned(model: &Model, index: usize) -> Option<String> {
    model.draft().get(&format!("hosts[{index}].hostKey")).map(|key| key.as_str().unwrap().to_owned())
}

fn new_key(host: &str) -> NewKey {
    NewKey { whose: Whose::Host(host.to_owned()), key: key_of(host) }
}

#[test]
fn each_host_is_asked_and_stands_as_it_answered() {
    let known = format!("{HOSTS}access: {{user: ops, privateKey: {{file: /k}}, knownHosts: /h}}\n");
    let (model, effects) = update(on_hosts(&known), Message::Run);
    assert_eq!(names(&effects), ["m1", "w1", "w2"]);
    assert_eq!(stands(&model), ["asking", "asking", "asking"]);
    assert!(view(&model).message.contains("being asked: 3 of 3"), "{}", view(&model).message);
    // Asking again while they are asked asks nobody twice.
    assert_eq!(names(&update(model.clone(), Message::Run).1), [""; 0]);
    let first = &effects[..1];
    let model = answered(model, first);
    assert_eq!(stands(&model), ["ok", "asking", "asking"]);
    let model = answered(model, &effects[1..]);
    assert_eq!(stands(&model), ["ok", "FAIL", "ok"]);
    assert_eq!(cells(&model)[0], ["ok", "SHA256:m1xm…", "8 cpu 31G"]);
    assert!(body(&model).contains("w1 (10.20.0.21) refused the password of user ops"), "{}", body(&model));
    assert!(body(&model).contains("What to do: check the password of ops"), "{}", body(&model));
    let screen = view(&model);
    assert!(screen.message.contains("do not answer as they should: 1 of 3"), "{}", screen.message);
    assert!(screen.next_open && screen.warns);
    let opened = send(model, Message::EditHost(1));
    assert!(body(&opened).contains("refused the password"), "{}", body(&opened));
    // In a host, it alone is asked.
    assert_eq!(names(&update(opened, Message::Run).1), ["w1"]);
}

#[test]
fn nothing_is_asked_before_it_is_known_how_to_log_in() {
    let (model, effects) = update(on_hosts(HOSTS), Message::Run);
    assert_eq!(effects, []);
    assert!(model.refused().unwrap().message.contains("how to log in"));
    let (model, effects) = update(model, Message::Next);
    assert_eq!((names(&effects), model.page()), (vec![], PageId::Access));
    assert_eq!(model.refused(), None);
    let none = format!("{}{ACCESS}", HOSTS.split("hosts:").next().unwrap());
    let (model, effects) = update(on_hosts(&none), Message::Run);
    assert_eq!(effects, []);
    assert!(model.refused().unwrap().message.contains("no host"));
    // A host without an address is left out, the others are asked.
    let model = send(on_hosts(&format!("{HOSTS}{ACCESS}")), Message::AddHost);
    let model = send(model, Message::Answer { field: "hosts[3].name".to_owned(), text: "w3".to_owned() });
    let model = send(model, Message::CloseHost);
    assert_eq!(names(&update(model.clone(), Message::Run).1), ["m1", "w1", "w2"]);
    assert_eq!(stands(&model)[3], "2 to answer");
}

#[test]
fn an_outcome_counts_only_for_the_try_that_was_made_last() {
    let model = on_hosts(&format!("{HOSTS}{ACCESS}"));
    let (model, first) = update(model, Message::Run);
    let address =
        |text: &str| Message::Answer { field: "hosts[0].address".to_owned(), text: text.to_owned() };
    let moved = send(send(model, Message::EditHost(0)), address("10.20.0.19"));
    let moved = send(moved, Message::CloseHost);
    assert_eq!(stands(&moved), ["retest", "asking", "asking"]);
    let (moved, second) = update(moved, Message::Run);
    assert_eq!(names(&second), ["m1"], "those that are being asked go on");
    // The late answer of the old address.
    let late = answered(moved, &first);
    assert_eq!(stands(&late), ["asking", "new key", "new key"]);
    let late = answered(late, &second);
    assert_eq!(stands(&late), ["new key", "new key", "new key"]);
    // Another answer outdates it, the old one brings it back.
    let port = |text: &str| Message::Answer { field: "access.port".to_owned(), text: text.to_owned() };
    let other = send(send(late, Message::Go(PageId::Access)), port("2022"));
    assert_eq!(view(&other).new_keys, []);
    let other = send(other, Message::Go(PageId::Hosts));
    assert_eq!(stands(&other), ["retest", "retest", "retest"]);
    assert!(view(&other).message.contains("changed since they were tested: 3"), "{}", view(&other).message);
    let same = send(send(other, Message::Go(PageId::Access)), Message::Clear { field: "access.port".into() });
    assert_eq!(view(&same).new_keys.len(), 3);
    // Of a host that is gone nothing is left, and a host of that name begins anew.
    let gone = send(send(same, Message::Go(PageId::Hosts)), Message::RemoveHost(0));
    assert_eq!(view(&gone).new_keys, [new_key("w1"), new_key("w2")]);
}

#[test]
fn keys_are_confirmed_once_for_all_hosts_and_the_test_goes_on() {
    let model = run(on_hosts(&format!("{HOSTS}{ACCESS}")));
    let screen = view(&model);
    assert_eq!(screen.new_keys, ["m1", "w1", "w2"].map(new_key));
    assert_eq!(screen.actions.first(), Some(&Action::TrustKeys));
    assert!(screen.message.contains("New host keys: 3"), "{}", screen.message);
    let shown = body(&model);
    assert!(shown.contains("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"), "{shown}");
    assert!(shown.contains(&key_of("w2").fingerprint) && shown.contains("ED25519"), "{shown}");
    assert!(!shown.contains("the same key"), "{shown}");
    // On the page of access, where they are missed.
    let model = send(model, Message::Go(PageId::Access));
    assert!(!view(&model).next_open);
    assert_eq!(view(&model).new_keys.len(), 3);
    let shown = view(&model).new_keys;
    let (model, effects) = update(model, Message::TrustKeys(shown));
    assert_eq!(model.refused(), None);
    for (index, host) in ["m1", "w1", "w2"].into_iter().enumerate() {
        assert_eq!(pinned(&model, index), Some(key_of(host).fingerprint));
    }
    let [Effect::Save { text, .. }, ..] = effects.as_slice() else { panic!("{effects:?}") };
    assert!(text.contains(&key_of("m1").fingerprint), "{text}");
    assert_eq!(names(&effects), ["m1", "w1", "w2"]);
    let model = answered(model, &effects);
    assert!(view(&model).next_open && view(&model).new_keys.is_empty());
    assert!(body(&model).contains("Of 3 hosts 2 let the installer in"), "{}", body(&model));
    let model = send(model, Message::Go(PageId::Hosts));
    assert_eq!(stands(&model), ["ok", "FAIL", "ok"]);
}

#[test]
fn only_what_is_shown_now_can_be_confirmed_and_nothing_is_written_over() {
    let model = run(on_hosts(&format!("{HOSTS}{ACCESS}")));
    let other = ShownKey { fingerprint: key_of("evil").fingerprint, ..key_of("m1") };
    let refused = |model: &Model, keys: Vec<NewKey>| {
        let (after, effects) = update(model.clone(), Message::TrustKeys(keys));
        assert_eq!(effects, []);
        assert_eq!(after.draft(), model.draft());
        after.refused().unwrap().message.clone()
    };
    // One that is not so spoils all.
    let wrong = vec![new_key("w1"), NewKey { key: other, ..new_key("m1") }];
    assert!(refused(&model, wrong).contains("not all of these keys"));
    assert!(refused(&model, vec![new_key("w7")]).contains("not all of these keys"));
    assert!(refused(&model, Vec::new()).contains("no new host key"));
    let elsewhere = send(model.clone(), Message::Go(PageId::Network));
    assert_eq!(view(&elsewhere).new_keys, []);
    refused(&elsewhere, vec![new_key("m1")]);
    // A host that shows another key than the pinned one.
    let pin = format!("hostKey: \"{}\", role: control-plane", key_of("old").fingerprint);
    let changed = HOSTS.replace("role: control-plane", &pin) + ACCESS;
    let model = run(on_hosts(&changed));
    assert_eq!(stands(&model), ["FAIL", "new key", "new key"]);
    let shown = body(&model);
    assert!(
        shown.contains(&key_of("old").fingerprint) && shown.contains(&key_of("m1").fingerprint),
        "{shown}"
    );
    assert_eq!(view(&model).new_keys, [new_key("w1"), new_key("w2")]);
    assert!(refused(&model, vec![new_key("m1")]).contains("the profile has another one"));
    // Taken back by hand, it is new.
    let model = send(send(model, Message::EditHost(0)), Message::Clear { field: "hosts[0].hostKey".into() });
    let model = run(send(model, Message::CloseHost));
    assert_eq!(view(&model).new_keys.len(), 3);
    let shown = view(&model).new_keys;
    let model = send(model, Message::TrustKeys(shown));
    assert_eq!(pinned(&model, 0), Some(key_of("m1").fingerprint));
}

#[test]
fn a_host_that_does_not_answer_keeps_no_page_open() {
    let known = format!("{HOSTS}access: {{user: ops, privateKey: {{file: /k}}, knownHosts: /h}}\n");
    let model = on_hosts(&known);
    let (model, effects) = update(model, Message::Next);
    assert_eq!((model.page(), names(&effects).len()), (PageId::Access, 3), "leaving the page tests");
    let away = |model: Model, effects: &[Effect]| {
        tries(effects).into_iter().fold(model, |model, (serial, host, _)| {
            let trouble = Trouble { message: "the secret is not there".to_owned(), ..Trouble::default() };
            send(model, Message::Reached { serial, host, outcome: Reached::Failed { key: None, trouble } })
        })
    };
    let model = send(away(model, &effects), Message::Go(PageId::Hosts));
    assert_eq!(stands(&model), ["FAIL", "FAIL", "FAIL"]);
    // One cause is said once.
    assert_eq!(body(&model).matches("the secret is not there").count(), 1);
    assert!(body(&model).contains("m1, w1, w2: the secret"), "{}", body(&model));
    let (model, effects) = update(model, Message::Next);
    assert_eq!((model.page(), names(&effects)), (PageId::Access, vec![]), "nothing has changed since");
    assert_eq!(model.refused(), None);
    // That something before the page has changed is not lost over it.
    let environment = Message::Answer { field: "environment".to_owned(), text: "test".to_owned() };
    let model = send(send(model, Message::Go(PageId::Start)), environment);
    let message = view(&send(model, Message::Go(PageId::Hosts))).message;
    assert!(message.contains("has changed") && message.contains("do not answer"), "{message}");
}

#[test]
fn the_bastion_has_a_key_too_and_copies_are_told() {
    let gate = "access: {user: ops, privateKey: {file: /k}, bastion: {address: gate.example, user: jump}}\n";
    let (model, effects) = update(on_hosts(&format!("{HOSTS}{gate}")), Message::Run);
    let shows = |model: Model, effects: &[Effect], outcome: &dyn Fn(&str) -> Reached| {
        tries(effects).into_iter().fold(model, |model, (serial, host, _)| {
            let outcome = outcome(&host);
            send(model, Message::Reached { serial, host, outcome })
        })
    };
    let bastion = NewKey { whose: Whose::Bastion, key: key_of("gate") };
    let model = shows(model, &effects, &|_| Reached::NewKey(bastion.clone()));
    assert_eq!(view(&model).new_keys, std::slice::from_ref(&bastion), "once, not once for each host");
    assert!(body(&model).contains("in between"), "{}", body(&model));
    let (model, effects) = update(model, Message::TrustKeys(vec![bastion]));
    let written = model.draft().get("access.bastion.hostKey").unwrap();
    assert_eq!(written, key_of("gate").fingerprint.as_str());
    assert_eq!(names(&effects), ["m1", "w1", "w2"]);
    let clone = |host: &str| {
        let key = if host == "m1" { key_of("m1") } else { key_of("copy") };
        Reached::NewKey(NewKey { whose: Whose::Host(host.to_owned()), key })
    };
    let model = shows(model, &effects, &clone);
    assert!(body(&model).contains("w1, w2 show the same key"), "{}", body(&model));
}

#[test]
fn a_secret_is_asked_for_by_the_name_of_its_host() {
    let model = on_hosts(&format!("{HOSTS}{ACCESS}"));
    let answer = |model: Model, field: &str, text: &str| {
        let model = send(model, Message::Answer { field: field.to_owned(), text: text.to_owned() });
        assert_eq!(model.refused(), None);
        model
    };
    let prompt = |model: &Model, index: usize| {
        let secret = model.draft().get(&format!("hosts[{index}].password")).unwrap();
        secret["prompt"].as_str().unwrap().to_owned()
    };
    let model = answer(send(model, Message::EditHost(1)), "hosts[1].password", "ask");
    let model = send(model, Message::CloseHost);
    let model = answer(send(model, Message::EditHost(2)), "hosts[2].password", "ask");
    assert_eq!([prompt(&model, 1), prompt(&model, 2)], ["hosts.w1.password", "hosts.w2.password"]);
    let model = answer(model, "hosts[2].name", "w9");
    let model = send(model, Message::RemoveHost(0));
    assert_eq!([prompt(&model, 0), prompt(&model, 1)], ["hosts.w1.password", "hosts.w9.password"]);
}
