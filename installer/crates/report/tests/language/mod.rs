//! The rules of the words: short sentences, explained terms, none of the cluster's own words on the first page, and both
//! languages with the same sentences.

mod numbers;

use std::collections::BTreeSet;

use sealift_report::glossary::{entries, stands_in};
use sealift_report::{Document, Language, Words, document};

use super::{cases, section};

/// Most words of a sentence.
const MOST: usize = 20;
/// What nobody needs to know who only decides.
const FORBIDDEN: [&str; 22] = [
    "kubernetes",
    "kube",
    "pod",
    "pods",
    "node",
    "nodes",
    "etcd",
    "master",
    "masters",
    "cluster",
    "replica",
    "replicas",
    "container",
    "containers",
    "namespace",
    "yaml",
    "json",
    "api",
    "helm",
    "image",
    "registry",
    "kernel",
];
/// Words that not everybody knows: each needs its line among the words where it is used before the annex.
const JARGON: [&str; 40] = [
    "bundle",
    "certificate",
    "certificates",
    "core",
    "cores",
    "processor",
    "processors",
    "memory",
    "disk",
    "disks",
    "firewall",
    "operating system",
    "acceptance",
    "backup",
    "backups",
    "link",
    "port",
    "ports",
    "profile",
    "SSD",
    "name server",
    "name servers",
    "time server",
    "request",
    "requests",
    "working days",
    "check",
    "checks",
    "swap",
    "DNS",
    "CIDR",
    "MTU",
    "VXLAN",
    "SSH",
    "sudo",
    "sysctl",
    "TLS",
    "SELinux",
    "daemon",
    "checksum",
];
/// Latin letters that also stand in Chinese: units, and the names that everybody uses.
const LATIN: [&str; 10] = ["GB", "MB", "kB", "SSD", "IT", "Linux", "R", "RIP", "ssh", "VIP"];

fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(['.', '?', '!', ':', ';'])
        .flat_map(|part| part.split('\n'))
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
}

#[test]
fn sentences_are_short() {
    for (name, world) in cases() {
        let set = document(&world.report(), Language::English);
        for text in set.main_texts() {
            for sentence in sentences(text) {
                let words = sentence.split_whitespace().count();
                assert!(words <= MOST, "{name}: {words} words: {sentence}");
            }
        }
    }
}

#[test]
fn every_place_is_filled_and_no_key_is_shown() {
    for (name, world) in cases() {
        let report = world.report();
        for language in Language::ALL {
            let set = document(&report, language);
            for text in set.main_texts() {
                assert!(!text.contains(['[', ']', '{', '}', '|']), "{name}: {text}");
            }
        }
    }
}

#[test]
fn the_first_page_has_none_of_the_cluster_s_own_words() {
    for (name, world) in cases() {
        let set = document(&world.report(), Language::English);
        let page = section(&set, "decision").to_lowercase();
        for word in FORBIDDEN {
            assert!(!stands_in(&page, word, Language::English), "{name}: `{word}` stands in\n{page}");
        }
    }
}

#[test]
fn every_technical_word_has_its_line() {
    for (name, world) in cases() {
        let set = document(&world.report(), Language::English);
        let explained = section(&set, "glossary").to_lowercase();
        for text in set.main_texts() {
            for word in JARGON.iter().filter(|word| stands_in(&text.to_lowercase(), word, Language::English))
            {
                let stem = word.trim_end_matches('s').to_lowercase();
                let known = explained.contains(&stem)
                    || (stem.starts_with("processor") && explained.contains("core"));
                assert!(known, "{name}: `{word}` is not explained, but stands in: {text}");
            }
        }
    }
    // Every term can be found in both languages, and has a meaning.
    for language in Language::ALL {
        let words = Words::of(language);
        let terms = words.texts().filter_map(|(key, text)| Some((key.strip_prefix("term.")?, text)));
        for (key, text) in terms.filter(|(key, _)| key.split('.').next_back() == Some("word")) {
            let form = text.split('|').next().unwrap();
            assert!(entries(&[form], words).iter().any(|entry| entry.word == form), "{key}");
        }
    }
}

#[test]
fn both_languages_have_the_same_sentences_with_the_same_places() {
    let [english, chinese] = Language::ALL.map(Words::of);
    let keys = |words: Words| words.texts().map(|(key, _)| key).collect::<BTreeSet<_>>();
    assert!(keys(english).len() > 300);
    assert_eq!(keys(english), keys(chinese));
    for (key, text) in english.texts() {
        let other = chinese.text(key);
        assert_eq!(places(text), places(&other), "{key}");
        let plural = key.starts_with("unit.");
        assert!(!plural || (text.matches('|').count() == 1 && other.matches('|').count() == 1), "{key}");
    }
}

fn places(text: &str) -> BTreeSet<&str> {
    text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
}

#[test]
fn every_check_has_a_chinese_title() {
    let checks: BTreeSet<&str> = sealift_checks::catalogue().iter().map(|check| check.id).collect();
    let titled: BTreeSet<&str> = Words::translated_checks().collect();
    let missing: Vec<_> = checks.difference(&titled).collect();
    let gone: Vec<_> = titled.difference(&checks).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "words/checks.zh.yaml lacks {missing:?} and has too many: {gone:?}"
    );
}

/// Words in Latin letters, two and more.
fn latin(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 1)
}

#[test]
fn nothing_english_is_left_on_the_chinese_pages() {
    for (name, world) in cases() {
        let report = world.report();
        let set: Document = document(&report, Language::Chinese);
        // What the site and the vendor named stays as they named it.
        let parts =
            world.document.sizing.iter().flat_map(|model| &model.parts).map(|part| part.title.clone());
        let hosts = world.site.hosts.iter().map(|host| host.name.clone());
        let components = world.document.components.iter().map(|component| component.name.clone());
        let heading =
            [&report.heading.product, &report.heading.site, &report.heading.by, &report.heading.tool];
        let own: Vec<String> =
            parts.chain(hosts).chain(components).chain(heading.into_iter().cloned()).collect();
        let own: BTreeSet<&str> = own.iter().flat_map(|text| latin(text)).collect();
        for text in set.main_texts() {
            for word in latin(text) {
                assert!(LATIN.contains(&word) || own.contains(word), "{name}: `{word}` in {text}");
            }
        }
    }
}
