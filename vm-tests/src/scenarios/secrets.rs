//! No secret where it does not belong: known secrets of the site and the cluster are searched for in everything that an
//! install leaves or shows.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Test;
use crate::test::Context;

/// In order.
pub const TESTS: &[Test] = &[
    Test::cluster("secrets::none_at_the_seat", none_at_the_seat),
    Test::cluster("secrets::none_in_process_lists", none_in_process_lists),
    Test::cluster("secrets::none_in_logs_and_journals_of_hosts", none_on_hosts),
];

/// Files of the cluster's private keys.
const KEYS: &[&str] = &[
    "/etc/kubernetes/pki/ca.key",
    "/etc/kubernetes/pki/front-proxy-ca.key",
    "/etc/kubernetes/pki/etcd/ca.key",
    "/etc/kubernetes/pki/sa.key",
    "/etc/kubernetes/pki/apiserver.key",
    "/var/lib/sealift/pki/site-ca.key",
    "/var/lib/sealift/pki/registry.key",
];

/// What a host must not have a secret in. The store and the places of keys are left out: that is where things belong.
const PLACES: &str = "/var/log /var/tmp /tmp /run/sealift /home /root \
    $(find /var/lib/sealift -mindepth 1 -maxdepth 1 ! -name store ! -name pki ! -name volumes ! -name bin)";

/// A secret and what it is.
struct Canary {
    what: String,
    text: String,
}

/// All that must not be found. Each is long enough to be nothing else.
struct Canaries(Vec<Canary>);

/// Every secret has at least so many bytes; by these it is looked for.
const START: usize = 16;

impl Canaries {
    fn collect(context: &Context<'_>) -> Result<Self> {
        let mut canaries = Self(Vec::new());
        let home = context.lab.seat_home();
        for name in ["ops-password", "plain-password", "admin-password"] {
            canaries.text(name, fs::read_to_string(home.join(".sealift").join(name))?.trim())?;
        }
        canaries.key("the private key of the seat", &fs::read_to_string(home.join(".ssh/id_ed25519"))?)?;
        for master in ["m1", "m2", "m3"] {
            for path in KEYS {
                let output = context.lab.exec(master, &["cat", path])?;
                if output.status.success() {
                    canaries.key(&format!("{path} of {master}"), &String::from_utf8_lossy(&output.stdout))?;
                } else if master == "m1" {
                    bail!("m1 has no {path}: this test does not know where keys are");
                }
            }
        }
        canaries.in_secrets(&context.cluster().get(&["secrets", "--all-namespaces"])?)?;
        Ok(canaries)
    }

    fn add(&mut self, what: &str, text: String) -> Result<()> {
        if text.len() < START {
            bail!("{what} is too short to be told from other text");
        }
        self.0.push(Canary { what: what.to_owned(), text });
        Ok(())
    }

    fn text(&mut self, what: &str, text: &str) -> Result<()> {
        self.add(what, text.to_owned())?;
        self.add(what, base64(text.as_bytes()))
    }

    /// The lines between the marks, without short ends and without the first one, which keys of one kind share.
    fn key(&mut self, what: &str, pem: &str) -> Result<()> {
        let body: Vec<&str> =
            pem.lines().filter(|line| !line.starts_with("-----") && line.len() >= 24).collect();
        for line in body.iter().skip(usize::from(body.len() > 1)) {
            self.add(what, (*line).to_owned())?;
        }
        self.add(what, base64(pem.as_bytes()))
    }

    /// The product's own secrets, and tokens to join with that still live.
    fn in_secrets(&mut self, list: &Value) -> Result<()> {
        let mut generated = false;
        for secret in list["items"].as_array().into_iter().flatten() {
            let kind = secret["type"].as_str().unwrap_or_default();
            let name = secret["metadata"]["name"].as_str().unwrap_or_default();
            let wanted = match kind {
                "Opaque" if name == "orders-secrets" => None,
                "bootstrap.kubernetes.io/token" => Some("token-secret"),
                _ => continue,
            };
            for (key, value) in secret["data"].as_object().into_iter().flatten() {
                if wanted.is_some_and(|wanted| wanted != key) {
                    continue;
                }
                let text = unbase64(value.as_str().unwrap_or_default())?;
                generated |= key == "db-password";
                self.text(&format!("{key} of the secret {name}"), &text)?;
            }
        }
        if !generated {
            bail!("the cluster has no generated database password: this test does not know where it is");
        }
        Ok(())
    }

    /// What is found in a text.
    fn found_in(&self, text: &[u8]) -> BTreeSet<&str> {
        // One pass over the text, whatever the number of secrets: there are megabytes of both.
        let mut starts: HashMap<&[u8], Vec<&Canary>> = HashMap::new();
        for canary in &self.0 {
            starts.entry(&canary.text.as_bytes()[..START]).or_default().push(canary);
        }
        let mut names = BTreeSet::new();
        for (offset, window) in text.windows(START).enumerate() {
            let candidates = starts.get(window).into_iter().flatten();
            let there = candidates.filter(|canary| text[offset..].starts_with(canary.text.as_bytes()));
            names.extend(there.map(|canary| canary.what.as_str()));
        }
        if has_join_token(text) {
            names.insert("a token to join with");
        }
        names
    }

    /// One per line, for `grep -f`.
    fn patterns(&self) -> String {
        let lines: Vec<&str> = self.0.iter().map(|canary| canary.text.as_str()).collect();
        lines.join("\n") + "\n"
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    text.windows(needle.len()).any(|part| part == needle)
}

/// Whether there is a text like `abcdef.0123456789abcdef`: the form of every token that joins a cluster.
fn has_join_token(text: &[u8]) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let joins = |byte: Option<&u8>| byte.is_some_and(|byte| plain(*byte) || b"._-/".contains(byte));
    text.windows(23).enumerate().any(|(start, part)| {
        part[6] == b'.'
            && part[..6].iter().chain(&part[7..]).all(|byte| plain(*byte))
            // Words with a dot between them have no digits.
            && part[7..].iter().filter(|byte| byte.is_ascii_digit()).count() >= 2
            && !joins(start.checked_sub(1).and_then(|before| text.get(before)))
            && !joins(text.get(start + 23))
    })
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks(3).flat_map(|group| {
        let number =
            group.iter().fold(0u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        (0..=group.len()).map(move |index| char::from(LETTERS[(number >> (18 - 6 * index) & 63) as usize]))
    });
    groups.collect()
}

/// The text that `base64` gives, padded or not.
fn unbase64(text: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let (mut number, mut bits) = (0u32, 0);
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("not base64"),
        };
        number = number << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((number >> bits & 255) as u8);
        }
    }
    Ok(String::from_utf8(bytes)?)
}

/// All files below a folder.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn none_at_the_seat(context: &Context<'_>) -> Result<()> {
    let canaries = Canaries::collect(context)?;
    let mut paths = Vec::new();
    files(&context.lab.seat_home().join("runs"), &mut paths)?;
    for name in ["plan.json", "events.jsonl"] {
        if !paths.iter().any(|path| path.ends_with(name)) {
            bail!("no run folder has a {name}");
        }
    }
    for path in &paths {
        let found = canaries.found_in(&fs::read(path)?);
        if !found.is_empty() {
            bail!("{} holds {found:?}", path.display());
        }
    }
    let ended = &context.installed()?.ended;
    let found = canaries.found_in(ended.text().as_bytes());
    if !found.is_empty() {
        bail!("the installer said {found:?}");
    }
    // What it shows before anything is done: the plan in both forms.
    for output in ["--output=plain", "--output=json"] {
        let arguments = ["plan", "--profile", "profiles/demo.yaml", "--bundle", "orders.bundle", output];
        let plan = context.installer(&arguments)?;
        let found = canaries.found_in(plan.expect_code(0)?.text().as_bytes());
        if !found.is_empty() {
            bail!("the plan shows {found:?}");
        }
    }
    Ok(())
}

fn none_in_process_lists(context: &Context<'_>) -> Result<()> {
    let canaries = Canaries::collect(context)?;
    let processes = &context.installed()?.processes;
    // It saw the seat's and the hosts' processes, or it proves nothing.
    for program in ["./installer\0install\0", "kubeadm\0", "installer\0agent"] {
        if !processes.iter().any(|text| contains(text, program.as_bytes())) {
            bail!("no process was seen with {program:?}");
        }
    }
    for text in processes {
        let found = canaries.found_in(text);
        if !found.is_empty() {
            let start = String::from_utf8_lossy(&text[..text.len().min(60)]).replace('\0', " ");
            bail!("{found:?} in the command line or environment that begins with {start:?}");
        }
    }
    Ok(())
}

fn none_on_hosts(context: &Context<'_>) -> Result<()> {
    let canaries = Canaries::collect(context)?;
    // The search must find what is there: one is planted in a log and in the journal.
    let planted = "canary-that-the-test-planted";
    let patterns = format!("{planted}\n{}", canaries.patterns());
    for host in context.hosts() {
        let plant = "mkdir -p /var/log/sealift && cat >/var/log/sealift/planted && \
            logger -t planted -f /var/log/sealift/planted && journalctl --sync";
        context.lab.exec_with_input(host, &["sh", "-c", plant], planted.as_bytes())?;
        let found = search(context, host, &patterns)?;
        context.lab.run(host, &["rm", "/var/log/sealift/planted"])?;
        if !found.iter().any(|place| place == "/var/log/sealift/planted")
            || !found.iter().any(|place| place == "journal planted")
        {
            bail!("{host}: the search does not find what was planted; it found {found:?}");
        }
        let real: Vec<&String> = found
            .iter()
            .filter(|place| !place.ends_with("planted") && !place.starts_with("/var/log/journal/"))
            .collect();
        if !real.is_empty() {
            bail!("{host} has secrets in {real:?}");
        }
        let tokens = join_tokens(context, host)?;
        if !tokens.is_empty() {
            bail!("{host} has tokens to join with in its logs:\n{}", tokens.join("\n"));
        }
    }
    Ok(())
}

/// Lines of logs and the host's own records that hold a token to join with, expired ones too.
fn join_tokens(context: &Context<'_>, host: &str) -> Result<Vec<String>> {
    let script = format!(
        "(grep -r -a -E \"$1\" {PLACES} 2>/dev/null; journalctl --no-pager -o cat | grep -a -E \"$1\") | cut -c 1-500"
    );
    let form = "(^|[^a-z0-9])[a-z0-9]{6}[.][a-z0-9]{16}([^a-z0-9]|$)";
    let output = context.lab.exec(host, &["sh", "-c", &script, "look", form])?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(lines.lines().filter(|line| has_join_token(line.as_bytes())).map(str::to_owned).collect())
}

/// Files, and `journal IDENTIFIER` for entries of the journal, that hold one of the patterns.
fn search(context: &Context<'_>, host: &str, patterns: &str) -> Result<Vec<String>> {
    let script = format!(
        "umask 077; cat >/run/patterns; trap 'rm -f /run/patterns' EXIT; \
         grep -r -a -l -F -f /run/patterns {PLACES} 2>/dev/null; \
         journalctl --no-pager -o json --output-fields=MESSAGE,_CMDLINE,SYSLOG_IDENTIFIER | grep -a -F -f /run/patterns \
         | sed -E 's/.*\"SYSLOG_IDENTIFIER\":\"([^\"]*)\".*/journal \\1/' | sort -u"
    );
    let output = context.lab.exec_with_input(host, &["sh", "-c", &script], patterns.as_bytes())?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_both_ways() {
        for (text, expected) in
            [("", ""), ("a", "YQ"), ("ab", "YWI"), ("abc", "YWJj"), ("admin-12?>", "YWRtaW4tMTI/Pg")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
            assert_eq!(unbase64(expected).unwrap(), text);
        }
        assert!(unbase64("?").is_err());
    }

    #[test]
    fn tokens_are_told_from_words() {
        assert!(has_join_token(b"--token abcdef.0123456789abcdef "));
        assert!(has_join_token(b"abcdef.0123456789abcdef"));
        assert!(!has_join_token(b"system.controllermanager "));
        assert!(!has_join_token(b"a.abcdef.0123456789abcdef.b"));
        assert!(!has_join_token(b"kubern.0123456789abcdef0 "));
    }

    #[test]
    fn a_key_is_found_by_its_lines() {
        let mut canaries = Canaries(Vec::new());
        let pem = "-----BEGIN X-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nBBBBBBBBBBBBBBBBBBBBBBBBBBBB\n-----END X-----\n";
        canaries.key("key", pem).unwrap();
        assert!(canaries.text("short", "too short").is_err());
        assert_eq!(canaries.found_in(b"xx BBBBBBBBBBBBBBBBBBBBBBBBBBBB xx"), BTreeSet::from(["key"]));
        assert!(canaries.found_in(b"xx AAAAAAAAAAAAAAAAAAAAAAAAAAAA xx").is_empty());
    }
}
