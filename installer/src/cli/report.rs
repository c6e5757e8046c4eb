//! `installer report`: what people sign, before, during and after an install, as HTML, text and JSON.
//!
//! Looks at the hosts as `check` does, or with `--offline` at none. With `--output json` and no file to write, the last
//! line has `topic` `report` and the report in `data`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use sealift_bundle::{Bundle, digest};
use sealift_checks::Finding;
use sealift_checks::facts::Facts;
use sealift_events::{Record, journal};
use sealift_plan::{Plan, saved};
use sealift_profile::Site;
use sealift_report::{BundleFacts, Difference, Language, Made, Report, Words, compare, document, html, text};
use sealift_sizing::{GivenHost, Shape, judge, sizing};
use serde_json::{Value, json};

use super::install;
use super::prepare::{self, Prepared};
use crate::failure::{Failure, Kind};
use crate::output::{Output, print};
use crate::written::write;

/// What `report` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    prepare: prepare::Arguments,
    /// Look at no host: say what profile and bundle alone tell.
    #[arg(long)]
    offline: bool,
    /// Folder of a run: the report is then about its state, or the handover.
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
    /// Folder of an earlier run, whose time calibrates the estimate; may be given more than once.
    #[arg(long, value_name = "DIR")]
    earlier: Vec<PathBuf>,
    /// Language of the words.
    #[arg(long, value_enum, default_value = "en")]
    language: Tongue,
    /// Who makes the report; the account's name where absent.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Write it as one HTML file, which prints on A4.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write it as text in 80 columns. Without any file it goes to standard output so.
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// Write it as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say in what it differs from an earlier report, written with `--json`.
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

impl Arguments {
    /// The handover of a run as HTML, looking at no host.
    pub(super) fn handover(prepare: prepare::Arguments, run: &Path, html: &Path, language: Tongue) -> Self {
        Self {
            prepare,
            offline: true,
            run: Some(run.to_owned()),
            earlier: Vec::new(),
            language,
            by: None,
            html: Some(html.to_owned()),
            text: None,
            json: None,
            compare: None,
        }
    }
}

/// A language of reports and forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tongue {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}

impl From<Tongue> for Language {
    fn from(tongue: Tongue) -> Self {
        match tongue {
            Tongue::En => Self::English,
            Tongue::Zh => Self::Chinese,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    // What can be wrong at the seat is told before a host is asked.
    let old = arguments.compare.as_deref().map(read_report).transpose()?;
    let run = arguments.run.as_deref().map(Run::read).transpose()?;
    let earlier: Result<Vec<Run>, Failure> = arguments.earlier.iter().map(|path| Run::read(path)).collect();
    let earlier: Vec<Vec<Record>> = earlier?.into_iter().map(|run| run.records).collect();
    let seen = Seen::new(arguments, output)?;
    let report = seen.report(arguments, run.as_ref(), &earlier);
    deliver(arguments, &report, output)?;
    if let Some(old) = old {
        differences(&compare(&old, &report, Words::of(arguments.language.into())), output);
    }
    prepare::nothing_changed(output);
    Ok(())
}

/// The records of a run, and its plan where it is there.
struct Run {
    records: Vec<Record>,
    plan: Option<Plan>,
}

impl Run {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("events.jsonl");
        let records = journal::read(&path).map_err(|error| {
            Failure::of(Kind::Usage, &error).hint("name the folder of a run, such as runs/2026-11-21-063800")
        })?;
        let plan = match std::fs::read_to_string(folder.join("plan.json")) {
            Ok(text) => Some(saved::from_json(&text)?),
            // A run that stopped before its plan was written has none.
            Err(_) => None,
        };
        Ok(Self { records, plan })
    }
}

/// Everything that was seen for the report.
struct Seen {
    site: Site,
    bundle: Bundle,
    /// Of the hosts; nothing where nobody looked.
    facts: BTreeMap<String, Facts>,
    findings: Option<Vec<Finding>>,
    plan: Option<Plan>,
}

impl Seen {
    fn new(arguments: &Arguments, output: Output) -> Result<Self, Failure> {
        let prepare = &arguments.prepare;
        if arguments.offline {
            let site = crate::profiles::load(&prepare.profile)?;
            prepare::risks_make_sense(&site)?;
            let bundle = prepare.trust.open(&prepare.bundle, output)?;
            return Ok(Self { site, bundle, facts: BTreeMap::new(), findings: None, plan: None });
        }
        let prepared = Prepared::new(prepare, output)?;
        prepared.sessions.close();
        let findings = prepared.findings();
        // What keeps a plan from being made is among the findings; the report says so.
        let plan = prepared.plan().ok();
        let Prepared { bundle, site, facts, .. } = prepared;
        Ok(Self { site: site.site, bundle, facts, findings: Some(findings), plan })
    }

    fn report(&self, arguments: &Arguments, run: Option<&Run>, earlier: &[Vec<Record>]) -> Report {
        let document = self.bundle.document();
        let needs = self.site.needs.clone().unwrap_or_default();
        let overrides = self.site.sizing.clone().unwrap_or_default();
        let input = sealift_sizing::Input::new(document, &needs, overrides, Vec::new());
        let input = input.map(|input| sealift_sizing::Input { etcd: self.site.etcd.clone(), ..input });
        let hosts = hosts(&self.site, &self.facts);
        let verdict = input.as_ref().ok().and_then(|input| judge(input, &hosts?).ok());
        let sizing = input.and_then(|input| sizing(&input));
        let plan = run.and_then(|run| run.plan.as_ref()).or(self.plan.as_ref());
        sealift_report::report(&sealift_report::Input {
            site: &self.site,
            document,
            bundle: bundle_facts(&self.bundle),
            sizing: sizing.as_ref(),
            verdict: verdict.as_ref(),
            findings: self.findings.as_deref(),
            facts: &self.facts,
            plan,
            run: run.map(|run| run.records.as_slice()),
            earlier,
            made: Made {
                at: jiff::Zoned::now().datetime(),
                by: arguments.by.clone().unwrap_or_else(install::account),
                tool: format!("Sealift installer {}", env!("CARGO_PKG_VERSION")),
            },
        })
    }
}

fn bundle_facts(bundle: &Bundle) -> BundleFacts {
    BundleFacts {
        bytes: bundle.size(),
        key: bundle.key_id().to_owned(),
        index: digest::digest_of(bundle.index_json().as_bytes()),
    }
}

/// The machines as they were seen; nothing unless all were. Their disks are judged by the checks.
fn hosts(site: &Site, facts: &BTreeMap<String, Facts>) -> Option<Vec<GivenHost>> {
    let given = |host: &sealift_profile::Host| {
        let facts = facts.get(&host.name)?;
        let shape = Shape { millicores: u64::from(facts.cpus) * 1000, memory_bytes: facts.memory_bytes };
        Some(GivenHost { name: host.name.clone(), role: Some(host.role), shape, disk_bytes: None })
    };
    site.hosts.iter().map(given).collect()
}

fn deliver(arguments: &Arguments, report: &Report, output: Output) -> Result<(), Failure> {
    let language = arguments.language.into();
    let set = document(report, language);
    let mut written = Vec::new();
    let files = [
        (&arguments.html, html as fn(&sealift_report::Document) -> String),
        (&arguments.text, text as fn(&sealift_report::Document) -> String),
    ];
    for (path, form) in files {
        if let Some(path) = path {
            write(path, &form(&set))?;
            written.push(path);
        }
    }
    let json_text = sealift_report::to_json(report, language);
    if let Some(path) = &arguments.json {
        write(path, &json_text)?;
        written.push(path);
    }
    for path in &written {
        output.line("report", &format!("written to {}", path.display()), &json!({"file": path}));
    }
    if written.is_empty() {
        match output {
            Output::Plain | Output::Quiet => print(&format!("\n{}", text(&set)))?,
            Output::Json => {
                let data: Value = serde_json::from_str(&json_text).unwrap_or_default();
                output.line("report", &set.title, &data);
            }
        }
    }
    Ok(())
}

fn read_report(path: &Path) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let failure =
            Failure::new(Kind::Usage, format!("the earlier report {} cannot be read", path.display()));
        Failure { causes: vec![error.to_string()], ..failure }
            .hint("name a file that `--json FILE` has written")
    })?;
    sealift_report::from_json(&text).map_err(|error| {
        let failure = Failure::of(Kind::Usage, &error);
        Failure { message: format!("{}: {}", path.display(), failure.message), ..failure }
            .hint("name a file that `installer report --json FILE` of this version has written")
    })
}

fn differences(found: &[Difference], output: Output) {
    let count = format!("{} differences from the earlier report", found.len());
    let data: Vec<Value> =
        found.iter().map(|one| json!({"what": one.what, "was": one.was, "is": one.is})).collect();
    output.line("compare", &count, &data);
    for one in found {
        let side = |text: &Option<String>| match text.as_deref() {
            None => "not there".to_owned(),
            Some("") => "there".to_owned(),
            Some(text) => text.to_owned(),
        };
        output.remark(&format!("  {}\n    was  {}\n    is   {}", one.what, side(&one.was), side(&one.is)));
    }
}
