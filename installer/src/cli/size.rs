//! `installer size`: what does the site need, and do the machines that are there suffice?
//!
//! With `--output json` the last line has `topic` `size` and in `data`: `product` (the bundle's), `sizing`
//! ([`sealift_sizing::Sizing`]; absent where no machine to choose from is large enough for the hosts question), and, where
//! machines were given, `verdict` ([`sealift_sizing::Verdict`]). Amounts are whole numbers in the unit beside them:
//! thousandths of a processor, bytes, machines.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use sealift_bundle::BundleDocument;
use sealift_profile::{Availability, Growth, Needs, Site};
use sealift_sizing::words::{disk, grouped, machines};
use sealift_sizing::{
    GivenHost, Input, Machines, Shape, Sizing, Tier, TierKind, Verdict, hosts_from_csv, judge, sizing,
};
use serde_json::json;

use super::measured;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::trust::Trust;

/// What `size` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bundle.
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Site profile whose needs count; given more than once, later ones are laid over earlier ones. Flags below win.
    #[arg(long = "profile", value_name = "FILE")]
    profiles: Vec<PathBuf>,
    #[command(flatten)]
    needs: NeedFlags,
    /// A machine that is there, e.g. 8c/32GiB/500GiB, w1=8c/32GiB/500GiB or master:4c/16GiB; once for each machine. Says
    /// whether they suffice, and for how many people.
    #[arg(long = "host", value_name = "[NAME=][master:|worker:]CPUS/MEMORY[/DISK]", value_parser = given_host)]
    hosts: Vec<GivenHost>,
    /// Machines that are there, as a table: first line name,role,cpus,memoryGiB,diskGiB.
    #[arg(long, value_name = "CSV")]
    hosts_file: Option<PathBuf>,
    /// Machines that are there, as `installer kit` measured them: a file for each, or a folder; more than once for more.
    #[arg(long, value_name = "FILE|FOLDER")]
    facts: Vec<PathBuf>,
    /// Look at the hosts of the profile over the network, and judge these.
    #[arg(long, requires = "profiles", conflicts_with = "facts")]
    look: bool,
    /// A size of machine that can be had, e.g. 8c/32GiB; more than once for a choice. Without it 4, 8, 16 or 32 cores with
    /// 4 GiB each.
    #[arg(long = "shape", value_name = "CPUS/MEMORY", value_parser = given_host)]
    shapes: Vec<GivenHost>,
    /// Show each number with its reason.
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    trust: Trust,
}

fn given_host(text: &str) -> Result<GivenHost, String> {
    text.parse::<GivenHost>().map_err(|error| error.why.to_owned())
}

/// Needs on the command line.
#[derive(Debug, clap::Args)]
struct NeedFlags {
    /// People with an account.
    #[arg(long, value_name = "PEOPLE")]
    users: Option<u32>,
    /// How many of a hundred people work at the same time.
    #[arg(long, value_name = "PERCENT")]
    concurrent_percent: Option<u32>,
    /// Seconds between two clicks of one person.
    #[arg(long, value_name = "SECONDS")]
    think_seconds: Option<f64>,
    /// Seconds that an answer may take.
    #[arg(long, value_name = "SECONDS")]
    response_seconds: Option<f64>,
    /// How much more there is to do in the busiest minute than in a busy hour.
    #[arg(long, value_name = "TIMES")]
    peak_factor: Option<f64>,
    /// New data per day, gigabytes.
    #[arg(long, value_name = "GB")]
    data_gigabytes_per_day: Option<f64>,
    /// Days that data are kept.
    #[arg(long, value_name = "DAYS")]
    retention_days: Option<u32>,
    /// More people each year, percent.
    #[arg(long, value_name = "PERCENT")]
    users_growth_percent: Option<u32>,
    /// More new data each year, percent.
    #[arg(long, value_name = "PERCENT")]
    data_growth_percent: Option<u32>,
    /// Years that the machines shall do for.
    #[arg(long, value_name = "YEARS")]
    years: Option<u32>,
    /// What may fail without the product standing still.
    #[arg(long, value_enum)]
    availability: Option<Spare>,
}

/// What may fail.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Spare {
    /// Any one machine may fail and work goes on.
    OneMachineMayFail,
    /// No machine is spare.
    NoSpare,
}

impl NeedFlags {
    /// The profile's needs with what the flags say over them.
    fn over(&self, needs: &Needs) -> Needs {
        let growth = needs.growth.unwrap_or_default();
        Needs {
            users: self.users.or(needs.users),
            concurrent_percent: self.concurrent_percent.or(needs.concurrent_percent),
            think_seconds: self.think_seconds.or(needs.think_seconds),
            response_seconds: self.response_seconds.or(needs.response_seconds),
            peak_factor: self.peak_factor.or(needs.peak_factor),
            data_gigabytes_per_day: self.data_gigabytes_per_day.or(needs.data_gigabytes_per_day),
            retention_days: self.retention_days.or(needs.retention_days),
            growth: Some(Growth {
                users_percent_per_year: self.users_growth_percent.or(growth.users_percent_per_year),
                data_percent_per_year: self.data_growth_percent.or(growth.data_percent_per_year),
                years: self.years.or(growth.years),
            }),
            availability: self.availability.map_or(needs.availability, |spare| {
                Some(match spare {
                    Spare::OneMachineMayFail => Availability::OneMachineMayFail,
                    Spare::NoSpare => Availability::NoSpare,
                })
            }),
        }
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let site =
        if arguments.profiles.is_empty() { None } else { Some(sealift_profile::load(&arguments.profiles)?) };
    let needs = arguments.needs.over(&site.as_ref().map(Site::planned_needs).unwrap_or_default());
    refuse_impossible(&needs)?;
    let hosts = hosts(arguments, site.as_ref(), output)?;
    let bundle = arguments.trust.open(&arguments.bundle, output)?;
    // What the site runs itself takes nothing of these machines.
    let external = site.as_ref().map(sealift_checks::services_of).unwrap_or_default();
    let document = &bundle.document().for_services(&external);
    let shapes: Vec<Shape> = arguments.shapes.iter().map(|given| given.shape).collect();
    let reserved = site.as_ref().map(|site| site.nodes.reserved).unwrap_or_default();
    let overrides = site.and_then(|site| site.sizing).unwrap_or_default();
    let input = Input { reserved, ..Input::new(document, &needs, overrides, shapes)? };
    if hosts.is_empty() {
        let result = sizing(&input)?;
        let text = sentence(document, &result);
        output.remark("");
        let mut sheet = needed(document, &result);
        if arguments.why {
            sheet.reasons(&result);
        }
        sheet.print(output);
        size_line(output, &text, &json!({"product": document.product, "sizing": result}));
        return Ok(());
    }
    // Machines that are there are judged even where none that one could buy would be large enough.
    let result = sizing(&input).ok();
    let verdict = judge(&input, &hosts)?;
    let people = people(&needs, result.as_ref());
    let text = verdict_sentence(document, &verdict, &people);
    output.remark("");
    let mut sheet = judged(&verdict, &text, result.as_ref());
    if let Some(result) = result.as_ref().filter(|_| arguments.why) {
        sheet.reasons(result);
    }
    sheet.print(output);
    let data = json!({"product": document.product, "sizing": result, "verdict": verdict});
    size_line(output, &text, &data);
    if verdict.suffices {
        return Ok(());
    }
    let failure = Failure::new(Kind::Checks, format!("{} do not suffice for {people}", count_of(&verdict)));
    Err(failure.hint("add what is missing, or plan for fewer people; nothing was changed"))
}

/// The machine-readable answer; people have it already.
fn size_line(output: Output, text: &str, data: &serde_json::Value) {
    if output == Output::Json {
        output.line("size", text, data);
    }
}

/// Numbers on the command line have no schema before them.
fn refuse_impossible(needs: &Needs) -> Result<(), Failure> {
    let findings = needs.findings();
    if findings.is_empty() {
        return Ok(());
    }
    let mut failure = Failure::new(Kind::Usage, "these needs make no sense");
    failure.causes = findings.iter().map(|one| format!("{}: {}", one.message, one.remedy)).collect();
    Err(failure)
}

/// Machines of all flags; one that the profile knows by name has its role there.
fn hosts(arguments: &Arguments, site: Option<&Site>, output: Output) -> Result<Vec<GivenHost>, Failure> {
    let mut hosts = arguments.hosts.clone();
    if !arguments.facts.is_empty() {
        hosts.extend(measured::from_files(&arguments.facts, site)?);
    }
    if arguments.look {
        hosts.extend(measured::by_looking(&arguments.profiles, output)?);
    }
    if let Some(path) = &arguments.hosts_file {
        hosts.extend(from_table(path)?);
    }
    for host in hosts.iter_mut().filter(|host| host.role.is_none()) {
        host.role = site.and_then(|site| site.host(&host.name)).map(|known| known.role);
    }
    let mut twice: Vec<&str> =
        hosts.iter().map(|host| host.name.as_str()).filter(|name| !name.is_empty()).collect();
    twice.sort_unstable();
    if let Some([name, ..]) = twice.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("the machine `{name}` was given twice");
        return Err(Failure::new(Kind::Usage, message).hint("give each machine a name of its own, or none"));
    }
    Ok(hosts)
}

fn from_table(path: &Path) -> Result<Vec<GivenHost>, Failure> {
    let failure = |causes| Failure {
        causes,
        ..Failure::new(Kind::Usage, format!("{} is no table of machines", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failure(vec![error.to_string()]))?;
    hosts_from_csv(&text).map_err(failure)
}

/// Rows of a label and text, for people.
struct Sheet(Vec<String>);

/// Columns of a label, and of a line.
const LABEL: usize = 18;
const WIDTH: usize = 80;

impl Sheet {
    /// A label with text beside it, wrapped at words.
    fn row(&mut self, label: &str, text: &str) {
        let mut line = format!("{label:<LABEL$}");
        let mut empty = true;
        for word in text.split_whitespace() {
            let long = line.chars().count() + usize::from(!empty) + word.chars().count() > WIDTH;
            if long && !empty {
                self.0.push(std::mem::replace(&mut line, " ".repeat(LABEL)));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.0.push(line.trim_end().to_owned());
    }

    /// The same for several texts under one label.
    fn rows<'a>(&mut self, label: &str, texts: impl IntoIterator<Item = &'a str>) {
        for (index, text) in texts.into_iter().enumerate() {
            self.row(if index == 0 { label } else { "" }, text);
        }
    }

    fn print(&self, output: Output) {
        for line in &self.0 {
            output.remark(line);
        }
    }

    /// Every number of the advised machines with its sentence.
    fn reasons(&mut self, result: &Sizing) {
        for (kind, label) in [(TierKind::Recommended, "Why, today"), (TierKind::WithGrowth, "Why, later")] {
            let Some(tier) = result.tier(kind) else { continue };
            self.0.push(String::new());
            let parts = tier.parts.iter().flat_map(|part| [&part.cpu.because, &part.memory.because]);
            self.rows(label, parts.map(String::as_str));
            for machines in [&tier.workers, &tier.masters] {
                self.rows("", [machines.count.because.as_str(), machines.because.as_str()]);
            }
            for need in &tier.disks {
                let who =
                    if need.role == sealift_profile::HostRole::Worker { "that work" } else { "that steer" };
                let text = format!(
                    "{} on machines {who}: {} {}",
                    need.path,
                    disk(need.size.amount),
                    need.size.because
                );
                self.row("", &text);
            }
        }
        self.0.push(String::new());
        self.row("Cross-check", &result.cross_check.text);
    }
}

/// `3 x (4 cores, 16 GB memory, 120 GB disk)`.
fn set(machines: &Machines) -> String {
    format!("{} x ({}, {} disk)", machines.count.amount, machines.shape, disk(machines.disk_bytes))
}

/// `3 x (…) that steer, 5 x (…) that work.`
fn sets(tier: &Tier) -> String {
    format!("{} that steer, {} that work.", set(&tier.masters), set(&tier.workers))
}

fn sentence(document: &BundleDocument, result: &Sizing) -> String {
    let Some(tier) = result.tier(TierKind::Recommended) else { return String::new() };
    let count = tier.masters.count.amount + tier.workers.count.amount;
    let people = tier.load.milliusers.div_ceil(1000);
    format!(
        "{} will run {} for {} people, without internet.",
        capital(&machines(count)),
        document.product.title,
        grouped(people)
    )
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The page for "what do I need?".
fn needed(document: &BundleDocument, result: &Sizing) -> Sheet {
    let mut sheet = Sheet(Vec::new());
    sheet.row("In one sentence", &sentence(document, result));
    let title = &document.product.title;
    if let Some(tier) = result.tier(TierKind::Recommended) {
        sheet.row("Machines", &sets(tier));
        let spare = tier.masters.count.amount > 1 && tier.one_down.is_empty();
        sheet.row(
            "",
            &if spare {
                format!("Any one of them can fail and {title} goes on.")
            } else {
                format!("When one of them fails, {title} may stand still until it is back.")
            },
        );
        sheet.row("Why so many", &tier.binding.text);
        sheet.row(
            "",
            &format!(
                "{} % of the processors and {} % of the memory are left on top of the reserve.",
                tier.slack.cpu_percent, tier.slack.memory_percent
            ),
        );
    }
    if let Some(tier) = result.tier(TierKind::WithGrowth) {
        sheet.row("With growth", &sets(tier));
    }
    if let Some(tier) = result.tier(TierKind::Minimum) {
        sheet.row("At the very least", &format!("{} No reserve: slow on a busy day.", sets(tier)));
    }
    notes(&mut sheet, result);
    sheet
}

/// What was decided, what to know, what was assumed.
fn notes(sheet: &mut Sheet, result: &Sizing) {
    let decided = result.overridden.iter().map(|one| {
        format!("{} instead of {}: {}.", one.value, one.calculated, one.reason.trim_end_matches('.'))
    });
    let decided: Vec<String> = decided.collect();
    sheet.rows("You decided", decided.iter().map(String::as_str));
    sheet.rows("Good to know", result.remarks.iter().map(|remark| remark.text.as_str()));
    let assumed: Vec<String> = result
        .answers
        .iter()
        .filter(|answer| answer.assumed)
        .map(|answer| format!("ASSUMED: {}.", answer.text))
        .collect();
    sheet.rows("We assumed", assumed.iter().map(String::as_str));
    if !assumed.is_empty() {
        sheet.row("", "Tell us if not: it changes the numbers.");
    }
}

/// `2,000 people`.
fn people(needs: &Needs, result: Option<&Sizing>) -> String {
    let load = result.and_then(|result| result.tier(TierKind::Recommended)).map(|tier| tier.load);
    let users = needs.users.map(u64::from).or_else(|| load.map(|load| load.milliusers.div_ceil(1000)));
    users.map_or_else(|| "these needs".to_owned(), |users| format!("{} people", grouped(users)))
}

fn count_of(verdict: &Verdict) -> String {
    let count = verdict.hosts.len() as u64;
    if count == 1 { "This machine".to_owned() } else { format!("These {}", machines(count)) }
}

fn verdict_sentence(document: &BundleDocument, verdict: &Verdict, people: &str) -> String {
    let (who, title) = (count_of(verdict), &document.product.title);
    let verb = if verdict.hosts.len() == 1 { ("suffices", "does") } else { ("suffice", "do") };
    match (verdict.suffices, verdict.most_users) {
        (true, most) => {
            format!(
                "YES. {who} {} for {title} with {people}. The most is {} people.",
                verb.0,
                grouped(u64::from(most))
            )
        }
        (false, 0) => format!("NO. {who} {} not suffice for {title}, whatever the number of people.", verb.1),
        (false, most) => format!(
            "NO. {who} {} not suffice for {title} with {people}. The most is {} people.",
            verb.1,
            grouped(u64::from(most))
        ),
    }
}

/// The page for "do these suffice?".
fn judged(verdict: &Verdict, text: &str, result: Option<&Sizing>) -> Sheet {
    let mut sheet = Sheet(Vec::new());
    sheet.row("Verdict", text);
    for (kind, label) in [(TierKind::Recommended, "Missing today"), (TierKind::WithGrowth, "Missing later")] {
        let Some(tier) = verdict.tiers.iter().find(|tier| tier.kind == kind) else { continue };
        if tier.shortfalls.is_empty() {
            sheet.row(label, "Nothing.");
        }
        sheet.rows(label, tier.shortfalls.iter().map(|lack| lack.text.as_str()));
    }
    let minimum = verdict.tiers.iter().find(|tier| tier.kind == TierKind::Minimum);
    if !verdict.suffices && minimum.is_some_and(|tier| tier.shortfalls.is_empty()) {
        sheet.row("", "It would work without any reserve: slow on a busy day.");
    }
    let does = |steers: bool, works: bool| match (steers, works) {
        (true, true) => "steers and works",
        (true, false) => "steers",
        _ => "works",
    };
    let hosts: Vec<String> = verdict
        .hosts
        .iter()
        .map(|one| format!("{} {}: {}", one.host.name, does(one.steers, one.works), one.host.shape))
        .collect();
    sheet.rows("Machines", hosts.iter().map(String::as_str));
    if !verdict.disks_unknown.is_empty() {
        let names = verdict.disks_unknown.join(", ");
        sheet.row(
            "Not judged",
            &format!("The disks of {names}: give them behind the memory, such as /500GiB."),
        );
    }
    if let Some(result) = result {
        if let Some(tier) = result.tier(TierKind::Recommended) {
            sheet.row("Advised", &sets(tier));
        }
        notes(&mut sheet, result);
    }
    sheet
}
