//! Every number says what it counts: a unit or a noun stands behind it, or what it is the number of before it.

use sealift_report::document::Block;
use sealift_report::{Document, Language, Words, document};

use super::super::cases;

/// What is counted, beside the units of the catalogue. Engineers read the annex: it has some of its own.
const COUNTED: [&str; 33] = [
    "%",
    "GB",
    "GiB",
    "MB",
    "MiB",
    "kB",
    "ms",
    "s",
    "seconds",
    "days",
    "times",
    "years",
    "working",
    "packed",
    "earlier",
    "requests",
    "people",
    "cores",
    "copies",
    "files",
    "programs",
    "tests",
    "hosts",
    "writes",
    "runs",
    "steps",
    "more",
    "of them",
    "of the usual time",
    "fail",
    "warn",
    "not run",
    "accepted",
];
const COUNTED_CHINESE: [&str; 17] = [
    "台", "核", "人", "次", "个", "年", "月", "日", "天", "秒", "分钟", "项", "步", "倍", "节", "核心",
    "小时",
];
/// What has numbers and not amounts: parts of the report, versions, ports; and months before a day or a year.
const NAMED: [&str; 24] = [
    "section",
    "Section",
    "serial",
    "Version",
    "Port",
    "Linux",
    "版本",
    "端口",
    "第",
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
    "GNU/Linux",
    "port",
    "version",
];
const MONTHS: std::ops::Range<usize> = 9..21;

/// Numbers in a text with what stands before and behind each. What is part of a name, a version, an address, a time of
/// the day or a fingerprint is none.
fn numbers(text: &str) -> Vec<(&str, &str, &str)> {
    let part = |c: char| c.is_ascii_alphanumeric() || "_./:-~+@#,".contains(c);
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(at) = text[start..].find(part) {
        let begin = start + at;
        let length = text[begin..].find(|c: char| !part(c)).unwrap_or(text.len() - begin);
        let word = text[begin..begin + length].trim_end_matches(['.', ',', ':', '-', '/']);
        start = begin + length;
        let digits = word.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',');
        let identity = word.len() > 1 && word.starts_with('0') && !word.starts_with("0.");
        if digits && !identity && word.replace(',', "").parse::<f64>().is_ok() {
            found.push((&text[..begin], word, &text[begin + word.len()..]));
        }
    }
    found
}

/// Whether a text begins with a word, and not with the beginning of another one.
fn begins(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|rest| !word.is_ascii() || !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

/// Words of the units in the catalogues: `machines` of `{n} machines`. Chinese pages have an English annex.
fn units() -> Vec<String> {
    let texts = Language::ALL.into_iter().flat_map(|language| Words::of(language).texts());
    let forms = texts.filter(|(key, _)| key.starts_with("unit.")).flat_map(|(_, text)| text.split('|'));
    forms.filter_map(|form| Some(form.split_once("{n}")?.1.trim().to_owned())).collect()
}

/// Whether what stands around a number says what it is.
fn explained(before: &str, behind: &str, units: &[String]) -> bool {
    let behind = behind.trim_start();
    let counts = |word: &str| begins(behind, word);
    // The other end of a range, or the whole that it is a part of, says it.
    let further = ["to ", "of ", "至 "].iter().find_map(|between| behind.strip_prefix(between));
    let further = further.is_some_and(|rest| {
        numbers(rest)
            .first()
            .is_some_and(|(skipped, _, rest)| skipped.is_empty() && explained("", rest, units))
    });
    let before = before.trim_end().trim_end_matches(['(', '（']).trim_end();
    further
        || units.iter().any(|unit| counts(unit))
        || COUNTED.iter().chain(&COUNTED_CHINESE).chain(&NAMED[MONTHS]).any(|word| counts(word))
        || NAMED.iter().any(|word| before.ends_with(word))
}

/// The texts of a document, each with what names it: titles of columns stand before their cells. Not what stands there
/// as it is: the profile, and marks in rows and columns.
fn texts(set: &Document) -> Vec<String> {
    let mut texts = vec![set.title.clone()];
    texts.extend(set.lines.iter().cloned());
    for section in &set.sections {
        // The number of a section is its own.
        texts.push(section.title.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned());
        for block in &section.blocks {
            match block {
                Block::Say(text) | Block::Heading(text) => texts.push(text.clone()),
                Block::Lines(lines) => texts.extend(lines.iter().flat_map(|(label, cells)| {
                    cells.iter().map(move |cell| format!("{label} {}", cell.text))
                })),
                Block::Table(table) => texts.extend(table.rows.iter().flat_map(|row| {
                    table.head.iter().zip(row).map(|(head, cell)| format!("{head} {}", cell.text))
                })),
                Block::Sign(names) => texts.extend(names.iter().cloned()),
                Block::Verbatim(_) | Block::Blank(_) => {}
            }
        }
    }
    texts
}

#[test]
fn no_number_is_bare() {
    let (units, mut seen, mut bare) = (units(), 0, std::collections::BTreeSet::new());
    for (name, world) in cases() {
        let report = world.report();
        for language in Language::ALL {
            let sizing = report.annex.sizing.iter().cloned();
            for text in texts(&document(&report, language)).into_iter().chain(sizing) {
                for (before, number, behind) in numbers(&text) {
                    seen += 1;
                    if !explained(before, behind, &units) {
                        bare.insert(format!("{name}, {}: `{number}` in `{text}`", language.tag()));
                    }
                }
            }
        }
    }
    assert!(
        bare.is_empty(),
        "{} bare numbers:\n{}",
        bare.len(),
        bare.into_iter().collect::<Vec<_>>().join("\n")
    );
    assert!(seen > 4000, "{seen} numbers were looked at");
}

#[test]
fn bare_numbers_are_told_from_others() {
    let units = units();
    let bare = |text: &str| {
        numbers(text).into_iter().filter(|(before, _, behind)| !explained(before, behind, &units)).count()
    };
    for good in [
        "5 machines, by 3 Dec 2026 at 14:05",
        "see section 5.",
        "7 to 13 working days",
        "9 of 9 tests",
        "R1 on w2",
        "Orders 4.2.0 on 10.20.0.11",
        "每 4 台（第 2 节）",
        "2026 年 11 月 23 日",
        "1,825 GB, 10 % more",
        "v1.36.3",
    ] {
        assert_eq!(bare(good), 0, "{good}");
    }
    for wrong in
        ["It is 5.", "40 by the rule", "copies (2)", "plan, steps 244", "共 12。", "7 to 13", "3 machinery"]
    {
        assert_eq!(bare(wrong), if wrong == "7 to 13" { 2 } else { 1 }, "{wrong}");
    }
}
