//! `installer kit`: what a host's owner runs on it, days before: measures this very host and writes a file for the seat.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use sealift_bundle::BundleDocument;
use sealift_checks::facts::Facts;
use sealift_checks::{CheckInput, Finding, Record, State, Summary, run_alone};
use sealift_host::protocol::Progress;
use sealift_host::{Context, Paths, Reporter, facts};
use sealift_profile::{API_VERSION, Backup, Etcd, Events, HostRole, KIND, Site};
use serde_json::json;

use super::prepare::probe_options;
use crate::facts_files::unix_millis;
use crate::failure::{Failure, Kind};
use crate::matrix;
use crate::output::{Output, bytes};
use crate::trust::Trust;
use crate::written;

/// Largest file of requirements, bytes; a bundle of a thousand images has some 2 MB.
const LARGEST: u64 = 32 << 20;
/// Longest silence while something is measured.
const SILENCE: Duration = Duration::from_secs(4);

/// What `kit` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file to write, e.g. m1.json; give it to whoever installs. There is nothing secret in it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What this host shall be for. Without it, it is looked at as a worker.
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// The bundle, where it is at hand: then disk space and processor architecture are judged, too.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Instead of the bundle, the small file that `installer verify BUNDLE --requirements FILE` wrote.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    requirements: Option<PathBuf>,
    /// Also time the disk under the cluster's database: half a minute of load.
    #[arg(long)]
    deep: bool,
    /// Where the cluster's database will be on masters, where the site's profile says it (`etcd.folder`).
    #[arg(long, value_name = "FOLDER", default_value_t = Etcd::default().folder)]
    etcd_folder: String,
    /// Where the database of events will be, where the site's profile has one (`etcd.events.folder`).
    #[arg(long, value_name = "FOLDER")]
    etcd_events_folder: Option<String>,
    /// Where its snapshots will be, where the site's profile says it (`etcd.events.backup.folder`).
    #[arg(long, value_name = "FOLDER", requires = "etcd_events_folder", default_value_t = Backup::default().folder)]
    etcd_events_backup_folder: String,
    #[command(flatten)]
    trust: Trust,
}

/// What a host is for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// It steers the cluster and keeps its database.
    ControlPlane,
    /// It runs the product.
    Worker,
}

impl Role {
    fn of_profile(self) -> HostRole {
        match self {
            Self::ControlPlane => HostRole::ControlPlane,
            Self::Worker => HostRole::Worker,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let document = document(arguments, output)?;
    let role = arguments.role.map(Role::of_profile);
    let backup = Backup { folder: arguments.etcd_events_backup_folder.clone(), ..Backup::default() };
    let events = arguments.etcd_events_folder.clone().map(|folder| Events { folder, backup });
    let etcd = Etcd { folder: arguments.etcd_folder.clone(), events, ..Etcd::default() };
    let facts = measure(&etcd, arguments.deep, output);
    let record = Record::new(facts, env!("CARGO_PKG_VERSION"), unix_millis(), role);
    let text = record.to_json();
    written::write(&arguments.out, &text)?;
    let data = json!({"path": arguments.out, "bytes": text.len(), "host": record.facts.hostname});
    let told = format!(
        "{} written, {}; give it to whoever installs",
        arguments.out.display(),
        bytes(text.len() as u64)
    );

    let site = Site { etcd, ..alone(&record)? };
    let facts = BTreeMap::from([(site.hosts[0].name.clone(), record.facts)]);
    let ages = BTreeMap::from([(site.hosts[0].name.clone(), 0)]);
    let input = match &document {
        Some(document) => CheckInput::new(&site, document, &facts),
        None => CheckInput::without_bundle(&site, &facts),
    };
    show(&run_alone(&input.aged(&ages)), &site, output);
    output.line("facts", &told, &data);
    Ok(())
}

/// What will be installed, as far as it is known here.
fn document(arguments: &Arguments, output: Output) -> Result<Option<BundleDocument>, Failure> {
    if let Some(path) = &arguments.bundle {
        return arguments.trust.open(path, output).map(|bundle| Some(bundle.document().clone()));
    }
    let Some(path) = &arguments.requirements else { return Ok(None) };
    read_requirements(path).map(Some).map_err(|cause| {
        let failure =
            Failure::new(Kind::Usage, format!("{} says nothing of what hosts need", path.display()));
        Failure { causes: vec![cause], ..failure }.hint(
            "give the file that `installer verify BUNDLE --requirements FILE` wrote, and this same installer",
        )
    })
}

fn read_requirements(path: &Path) -> Result<BundleDocument, String> {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// All that the agent would measure, here and now.
fn measure(etcd: &Etcd, deep: bool, output: Output) -> Facts {
    let (paths, reporter) = (Paths::system(), Spoken { output, last: Mutex::new(Instant::now()) });
    let context = Context::new(&paths, &reporter, "", "");
    let mut found = facts::probe(&context, &probe_options(etcd));
    if found.details.as_ref().is_some_and(|details| details.privileges.user != 0) {
        facts::unseen_without_root(&mut found);
        output.line("warning", "not started by root: what only root can see is not in the file", &json!({}));
    }
    if deep {
        let folder = &etcd.folder;
        let text = format!(
            "writing 3 times 22 MiB below {folder}, each small write waited for: up to a minute; what runs here may feel it"
        );
        output.line("deep", &text, &json!({"path": folder}));
        match facts::time_writes(&context, folder) {
            Ok(times) => found.etcd_writes = Some(times),
            Err(failure) => {
                let causes: Vec<String> = std::iter::once(failure.message).chain(failure.causes).collect();
                found.unreadable.push(format!("etcdWrites: {}", causes.join(": ")));
            }
        }
    }
    found
}

/// Says every few seconds what goes on.
struct Spoken {
    output: Output,
    last: Mutex<Instant>,
}

impl Reporter for Spoken {
    fn progress(&self, progress: Progress) {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() >= SILENCE {
            *last = Instant::now();
            let Progress { message, done, total } = progress;
            self.output.remark(&format!("deep      {message}: {done} of {total}"));
        }
    }
}

/// A site of this host alone, with the usual networks and ports.
fn alone(record: &Record) -> Result<Site, Failure> {
    let address = record.likely_address().or_else(|| record.addresses().next());
    let short = record.facts.hostname.to_lowercase();
    let short = short.split('.').next().unwrap_or_default();
    let host = json!({
        "name": if short.is_empty() { "this-host" } else { short },
        "address": address.unwrap_or(std::net::Ipv4Addr::LOCALHOST.into()),
        "role": record.role.unwrap_or(HostRole::Worker),
    });
    let site = json!({
        "apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": "not-named-yet"},
        "access": {"user": "root"}, "hosts": [host],
    });
    serde_json::from_value(site).map_err(|error| Failure::of(Kind::Internal, &error))
}

/// What was found, the worst first, for whoever owns this host. Nothing fails here: it is not known yet what will be
/// installed, and some of it may be accepted.
fn show(findings: &[Finding], site: &Site, output: Output) {
    let summary = Summary::of(findings);
    output.line("kit", &format!("{}: {summary}", site.hosts[0].name), &findings);
    let (bad, others): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| matches!(finding.state, State::Fail | State::Error));
    for reason in matrix::reasons(&bad) {
        for (index, line) in reason.lines().enumerate() {
            output.remark(&format!("{}{line}", if index == 0 { "  FAIL     " } else { "           " }));
        }
    }
    for line in matrix::exceptions(&others) {
        output.remark(&line);
    }
    if !bad.is_empty() {
        let count = bad.len();
        let these = if count == 1 { "this 1 thing" } else { &format!("these {count} things") };
        output.remark(&format!("mend {these} before the install, or talk to whoever installs"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_host_is_measured_judged_and_written() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("here.json");
        let arguments = Arguments {
            out: out.clone(),
            role: Some(Role::ControlPlane),
            bundle: None,
            requirements: None,
            deep: false,
            etcd_folder: Etcd::default().folder,
            etcd_events_folder: None,
            etcd_events_backup_folder: Backup::default().folder,
            trust: Trust::default(),
        };
        run(&arguments, Output::Json).unwrap();
        let read = Record::from_json(&std::fs::read(&out).unwrap()).unwrap();
        assert_eq!(read.role, Some(HostRole::ControlPlane));
        assert!(read.facts.cpus > 0 && read.facts.memory_bytes > 0);
        let site = alone(&read).unwrap();
        assert!(!site.hosts[0].name.contains('.'));
        let root = read.facts.details.as_ref().unwrap().privileges.user == 0;
        assert_eq!(
            read.facts.why_unreadable("privileges").is_none(),
            root,
            "what root alone sees is not guessed"
        );
    }
}
