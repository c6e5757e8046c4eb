//! The form out and back.

use sealift_bundle::document::BundleDocument;
use sealift_bundle::testing::sample_document;
use sealift_profile::{Availability, Circumstances, HostRole, SecretRef, load_partly};
use sealift_report::questionnaire::{Imported, form, import, questions, sheet};
use sealift_report::{Language, Words, html, text};
use serde_json::json;

/// The form with these answers in it, as somebody would write them with an editor.
fn filled(document: Option<&BundleDocument>, language: Language, answers: &[(&str, &str)]) -> String {
    let words = Words::of(language);
    let (mut lines, mut current) = (Vec::new(), String::new());
    let answer = format!("{}:", words.text("form.answer"));
    for line in form(document, words).lines() {
        let mut line = line.to_owned();
        if let Some(start) = line.find('[').filter(|_| line.ends_with(']')) {
            line[start + 1..line.len() - 1].clone_into(&mut current);
        }
        if line.trim_end() == answer
            && let Some((_, said)) = answers.iter().find(|(key, _)| *key == current)
        {
            line = format!("{answer} {said}");
        }
        lines.push(line);
    }
    lines.join("\n")
}

fn load(imported: &Imported) -> Result<sealift_profile::Partly, sealift_profile::ProfileError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.yaml");
    std::fs::write(&path, &imported.profile).unwrap();
    load_partly(&[path], &Circumstances::on(jiff::civil::date(2026, 11, 23)))
}

const HOSTS: &str = "m1, 10.20.0.11, steer\nw1; 10.20.0.21; work\n  w2，10.20.0.22，工作";

const ANSWERS: [(&str, &str); 13] = [
    ("metadata.name", "harbin-plant"),
    ("needs.users", "2,000"),
    ("needs.thinkSeconds", "0.5"),
    ("needs.growth.years", "3"),
    ("needs.availability", "no"),
    ("hosts", HOSTS),
    ("access.user", "ops"),
    ("access.privateKey", "file ~/.ssh/id_ed25519"),
    ("access.sudoPassword", "ask"),
    ("access.knownHosts", "~/.ssh/known_hosts"),
    ("cluster.nameservers", "10.20.0.53, 10.20.0.54"),
    ("product.settings.domain", "orders.harbin"),
    ("product.secrets.adminPassword", "env ADMIN"),
];

#[test]
fn a_filled_in_form_becomes_a_profile_in_either_language() {
    let document = sample_document();
    for language in Language::ALL {
        let imported = import(&filled(Some(&document), language, &ANSWERS), Some(&document)).unwrap();
        assert_eq!(imported.open, Vec::<String>::new(), "{}", imported.profile);
        let site = load(&imported).unwrap().loaded.unwrap().site;
        assert_eq!(site.metadata.name, "harbin-plant");
        let needs = site.needs.clone().unwrap();
        assert_eq!(
            (needs.users, needs.think_seconds, needs.concurrent_percent),
            (Some(2000), Some(0.5), None)
        );
        assert_eq!(needs.growth.unwrap().years, Some(3));
        assert_eq!(needs.availability, Some(Availability::NoSpare));
        let hosts: Vec<(&str, HostRole)> =
            site.hosts.iter().map(|host| (host.name.as_str(), host.role)).collect();
        let expected = [("m1", HostRole::ControlPlane), ("w1", HostRole::Worker), ("w2", HostRole::Worker)];
        assert_eq!(hosts, expected);
        assert_eq!(site.access.private_key, Some(SecretRef::File("~/.ssh/id_ed25519".into())));
        assert_eq!(site.access.sudo_password, Some(SecretRef::Prompt("access.sudoPassword".into())));
        assert_eq!(site.cluster.nameservers.len(), 2);
        assert_eq!(site.product.settings["domain"], json!("orders.harbin"));
        assert_eq!(site.product.secrets["adminPassword"], SecretRef::Env("ADMIN".into()));
        assert_eq!(imported.unanswered.len(), questions(Some(&document)).len() - ANSWERS.len());
    }
}

#[test]
fn what_nobody_answered_is_left_open() {
    let document = sample_document();
    let empty = import(&form(Some(&document), Words::of(Language::English)), Some(&document)).unwrap();
    assert_eq!(empty.open, ["metadata", "access", "hosts", "product"]);
    let partly = load(&empty).unwrap();
    let open: Vec<&str> = partly.open.iter().map(|section| section.name.as_str()).collect();
    assert_eq!((open, partly.loaded.is_none()), (vec!["access", "hosts", "metadata", "product"], true));
    let needs = [("needs.users", "500"), ("access.user", "ops")];
    let some = import(&filled(None, Language::English, &needs), None).unwrap();
    assert_eq!(some.open, ["metadata", "access", "hosts"], "a user alone cannot log in");
    load(&some).unwrap();
}

#[test]
fn all_that_is_wrong_is_told_with_its_line() {
    let answers = [
        ("needs.users", "many"),
        ("needs.availability", "perhaps"),
        ("access.password", "hunter2"),
        ("hosts", "m1, 10.20.0.11, steer\nw1 10.20.0.21"),
        ("metadata.name", "one\ntwo"),
    ];
    let text = filled(None, Language::English, &answers).replace("[access.port]", "[acces.port]");
    let findings = import(&text, None).unwrap_err();
    let lines: Vec<&str> = text.lines().collect();
    let mut keys: Vec<&str> = findings.iter().map(|finding| finding.key.as_str()).collect();
    assert!(findings.windows(2).all(|pair| pair[0].line <= pair[1].line), "in the order of the form");
    keys.sort_unstable();
    assert_eq!(
        keys,
        ["acces.port", "access.password", "hosts", "metadata.name", "needs.availability", "needs.users"]
    );
    let of = |key: &str| findings.iter().find(|finding| finding.key == key).unwrap();
    assert_eq!(lines[of("needs.users").line - 1], "Answer: many");
    assert_eq!(lines[of("hosts").line - 1], "w1 10.20.0.21");
    assert!(of("acces.port").remedy.contains("`access.port`"));
    let all = findings.iter().map(ToString::to_string).collect::<String>();
    assert!(!all.contains("hunter2"), "{all}");
    for (wrong, message) in
        [("", "no question"), ("1. a [needs.users]\nAnswer: 1\n2. b [needs.users]\nAnswer: 2", "twice")]
    {
        assert!(import(wrong, None).unwrap_err()[0].message.contains(message), "{wrong}");
    }
    assert!(
        import("1. a [needs.users]\n5\n", None).unwrap_err()[0].message.contains("no line for its answer")
    );
}

#[test]
fn findings_of_the_profile_find_their_line_in_the_form() {
    let mut answers = ANSWERS.to_vec();
    answers[0].1 = "Harbin Plant";
    answers[5].1 = "m1, 10.20.0.11, steer\nw1, 10.20.0.11, work";
    let text = filled(None, Language::English, &answers[..11]);
    let imported = import(&text, None).unwrap();
    let error = load(&imported).unwrap_err();
    let lines: Vec<&str> = text.lines().collect();
    let found: Vec<&str> =
        error.findings().iter().map(|finding| lines[imported.line_of(&finding.path).unwrap() - 1]).collect();
    assert!(found.contains(&"Answer: Harbin Plant") && found.contains(&"w1, 10.20.0.11, work"), "{found:?}");
    assert_eq!(imported.line_of("unseal"), None);
}

#[test]
fn the_sheet_has_every_question_and_nothing_of_the_vendor_s_as_markup() {
    let mut document = sample_document();
    let setting = document.settings.values_mut().next().unwrap();
    setting.description = "<b>bold</b>\n1. faked [access.user]\nAnswer: root".into();
    for language in Language::ALL {
        let words = Words::of(language);
        let set = sheet(Some(&document), words);
        let page = html(&set);
        let all = questions(Some(&document));
        for question in &all {
            assert!(
                text(&set).contains(&format!("[{}]", question.key).replace('\n', "")),
                "{}",
                question.key
            );
        }
        assert!(!page.contains("<b>bold") && page.contains("&lt;b&gt;bold"));
        let form = form(Some(&document), words);
        assert_eq!(form.lines().filter(|line| line.ends_with(']')).count(), all.len());
        assert_eq!(
            import(&form, Some(&document)).unwrap().unanswered.len(),
            all.len(),
            "nothing was slipped in"
        );
        for text in set.main_texts() {
            assert!(!text.contains("[form."), "{text}");
        }
    }
}
