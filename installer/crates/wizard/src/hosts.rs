//! Many hosts at once: lines as the form has them, or a table as spreadsheets save it. And the words in which the
//! secrets of a host are asked for.

use sealift_profile::Draft;
use sealift_report::questionnaire;
use serde_json::{Map, Value as Json, json};

use crate::words::Words;

/// Most lines of one list.
const MOST: usize = 5000;

/// Columns of a table, and where they go in a host.
const COLUMNS: [(&str, &str); 9] = [
    ("name", "name"),
    ("address", "address"),
    ("role", "role"),
    ("hostkey", "hostKey"),
    ("user", "user"),
    ("port", "port"),
    ("region", "region"),
    ("zone", "zone"),
    ("unit", "unit"),
];

/// Something wrong in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WrongLine {
    /// From 1.
    pub line: usize,
    pub message: String,
    pub remedy: String,
}

/// Hosts with their lines.
pub(crate) fn read(text: &str, words: Words) -> Result<Vec<(usize, Json)>, Vec<WrongLine>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .take(MOST + 1)
        .peekable();
    let columns = lines.peek().and_then(|(_, line)| columns(line));
    if columns.is_some() {
        lines.next();
    }
    let (mut hosts, mut wrong) = (Vec::new(), Vec::new());
    for (line, text) in lines {
        let host = match &columns {
            Some(columns) => of_table(columns, text),
            None => questionnaire::machine(text),
        };
        match host {
            Ok(host) => hosts.push((line, host)),
            Err(refused) => wrong.push(WrongLine {
                line,
                message: words.say(&refused.message),
                remedy: words.say(&refused.remedy),
            }),
        }
    }
    if hosts.is_empty() && wrong.is_empty() || hosts.len() + wrong.len() > MOST {
        let (message, remedy) = (words.text("refused.hosts"), words.text("refused.hosts.next"));
        wrong.push(WrongLine { line: 1, message, remedy });
    }
    if wrong.is_empty() { Ok(hosts) } else { Err(wrong) }
}

/// The separator, and for each column the key that it fills, if any; none where the line names no columns.
fn columns(line: &str) -> Option<(char, Vec<Option<&'static str>>)> {
    let separator = [';', '\t'].into_iter().find(|mark| line.contains(*mark)).unwrap_or(',');
    let known = |cell: &str| {
        let cell = plain(cell).to_lowercase().replace(['-', '_', ' '], "");
        COLUMNS.iter().find(|(name, _)| *name == cell).map(|(_, key)| *key)
    };
    let found: Vec<_> = line.split(separator).map(known).collect();
    let has = |key: &str| found.contains(&Some(key));
    (has("name") && has("address")).then_some((separator, found))
}

/// Without blanks and quotes around.
fn plain(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell).trim()
}

fn of_table(
    (separator, columns): &(char, Vec<Option<&'static str>>),
    line: &str,
) -> Result<Json, questionnaire::Refused> {
    let mut cells: Vec<(&str, &str)> = Vec::new();
    for (key, cell) in columns.iter().zip(line.split(*separator)) {
        cells.extend(key.map(|key| (key, plain(cell))).filter(|(_, cell)| !cell.is_empty()));
    }
    let cell = |wanted: &str| cells.iter().find(|(key, _)| *key == wanted).map_or("", |(_, cell)| cell);
    // The form's own reading of the three things that every machine has.
    let mut host =
        questionnaire::machine(&format!("{}\t{}\t{}", cell("name"), cell("address"), cell("role")))?;
    let mut placement = Map::new();
    for (key, cell) in &cells {
        match *key {
            "hostKey" | "user" => host[*key] = json!(cell),
            "port" => host["port"] = questionnaire::value("port", questionnaire::Kind::Number, cell)?,
            "region" | "zone" | "unit" => drop(placement.insert((*key).to_owned(), json!(cell))),
            _ => {}
        }
    }
    if !placement.is_empty() {
        host["placement"] = Json::Object(placement);
    }
    Ok(host)
}

/// Secrets that a host may have of its own.
const SECRETS: [&str; 2] = ["password", "sudoPassword"];

/// The number of the host, from 0, that a path is about.
pub(crate) fn index_of(path: &str) -> Option<usize> {
    path.strip_prefix("hosts[")?.split_once(']')?.0.parse().ok()
}

/// The name of a host, where it has one.
pub(crate) fn name(draft: &Draft, index: usize) -> Option<String> {
    draft.get(&format!("hosts[{index}].name"))?.as_str().map(str::to_owned)
}

/// Asks for the secrets of a host by its name, where they were asked for by its number or by the name that it had
/// before: numbers change when hosts are taken out, and two that are asked for in the same words share one answer. What
/// somebody wrote in words of their own stays.
pub(crate) fn name_prompts(draft: &mut Draft, index: usize, before: Option<&str>) {
    let Some(name) = name(draft, index) else { return };
    for key in SECRETS {
        let path = format!("hosts[{index}].{key}");
        let asked = draft.get(&path).and_then(|secret| secret.get("prompt")).and_then(Json::as_str);
        let by_number = |asked: &str| {
            let rest = asked.strip_prefix("hosts[").and_then(|rest| rest.strip_suffix(key));
            rest.is_some_and(|rest| rest.ends_with("]."))
        };
        let by_name = |asked: &str| before.is_some_and(|before| asked == prompt(before, key));
        if asked.is_some_and(|asked| by_number(asked) || by_name(asked)) {
            draft.set(&path, json!({"prompt": prompt(&name, key)}));
        }
    }
}

fn prompt(name: &str, key: &str) -> String {
    format!("hosts.{name}.{key}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Language;

    fn read(text: &str) -> Result<Vec<(usize, Json)>, Vec<WrongLine>> {
        super::read(text, Words::of(Language::English))
    }

    #[test]
    fn lines_and_tables_give_the_same_hosts() {
        let lines = read("# ours\nm1, 10.20.0.11, steer\n\nw1；10.20.0.21；work\n").unwrap();
        let table =
            read("Name;Rack;Address;Role\n\"m1\";a;10.20.0.11;master\nw1;b;10.20.0.21;worker\n").unwrap();
        let hosts = |read: &[(usize, Json)]| read.iter().map(|(_, host)| host.clone()).collect::<Vec<_>>();
        assert_eq!(hosts(&lines), hosts(&table));
        assert_eq!(lines[1].0, 4);
        let all = "name,address,role,host_key,port,zone,user\nm1,10.0.0.1,master,SHA256:x,2022,rack-1,\n";
        let expected = json!({
            "name": "m1", "address": "10.0.0.1", "role": "control-plane", "hostKey": "SHA256:x", "port": 2022,
            "placement": {"zone": "rack-1"},
        });
        assert_eq!(read(all).unwrap()[0].1, expected);
    }

    #[test]
    fn no_two_hosts_are_asked_for_in_the_same_words() {
        let mut draft = Draft::default();
        draft.set("hosts[0]", json!({"name": "m1", "password": {"prompt": "hosts[0].password"}}));
        draft.set("hosts[1]", json!({"password": {"prompt": "hosts[1].password"}}));
        draft.set("hosts[2]", json!({"name": "w2", "password": {"prompt": "what Ann knows"}}));
        let asked = |draft: &mut Draft, before: Option<&str>| {
            (0..3).for_each(|index| name_prompts(draft, index, before));
            let of = |index: usize| draft.get(&format!("hosts[{index}].password.prompt")).cloned();
            (0..3).map(|index| of(index).unwrap().as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let expected = ["hosts.m1.password", "hosts[1].password", "what Ann knows"];
        assert_eq!(asked(&mut draft, None), expected);
        draft.set("hosts[0].name", json!("m7"));
        draft.set("hosts[1].name", json!("w1"));
        let expected = ["hosts.m7.password", "hosts.w1.password", "what Ann knows"];
        assert_eq!(asked(&mut draft, Some("m1")), expected);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let wrong = read("m1, 10.20.0.11\nw1, 10.20.0.21, work\nw2, 10.20.0.22, boss\n").unwrap_err();
        assert_eq!(wrong.iter().map(|one| one.line).collect::<Vec<_>>(), [1, 3]);
        assert!(wrong[1].message.contains("`boss`"), "{wrong:?}");
        assert_eq!(read("name,address,role\n").unwrap_err().len(), 1);
        assert_eq!(read("").unwrap_err()[0].line, 1);
        assert_eq!(read("name,address,role,port\nm1,10.0.0.1,master,x\n").unwrap_err()[0].line, 2);
    }
}
