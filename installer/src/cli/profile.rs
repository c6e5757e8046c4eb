//! `installer profile …`: a profile to start from, what is wrong with one, what it comes to, and its schema.

use std::path::PathBuf;

use clap::Subcommand;
use sealift_profile::{Extent, Partly, ProfileFinding};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::output::{Output, print};
use crate::profiles;
use crate::written::write_new;

/// What can be done with a profile.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a profile to start from, with a remark at each setting.
    Init(Init),
    /// Say everything that is wrong with a profile, where, and what to do; asks no host.
    Validate(Files),
    /// Show what the profiles laid over each other come to, each value with its origin.
    Render(Files),
    /// Bring a profile to the version that this installer reads.
    Migrate(Files),
    /// Print the JSON Schema of the profile, for editors.
    Schema,
}

/// What `init` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Init {
    /// Only what every site must say, with blanks to fill in (the default).
    #[arg(long, conflicts_with = "full")]
    minimal: bool,
    /// Every setting, with an example.
    #[arg(long)]
    full: bool,
    /// Write it to this new file in place of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The profile's files.
#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// The site profile; given more than once, later ones lie over earlier ones.
    #[arg(long, value_name = "FILE", required = true)]
    profile: Vec<PathBuf>,
}

pub(crate) fn run(verb: &Verb, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Init(init) => start(init, output),
        Verb::Validate(files) => validate(&files.profile, output),
        Verb::Render(files) => render(&files.profile, output),
        Verb::Migrate(files) => migrate(&files.profile, output),
        Verb::Schema => print(&sealift_profile::schema_text()),
    }
}

fn start(init: &Init, output: Output) -> Result<(), Failure> {
    let text = sealift_profile::template(if init.full { Extent::Full } else { Extent::Minimal });
    let Some(path) = &init.out else {
        return print(&text);
    };
    write_new(path, text.as_bytes(), 0o644)?;
    let next = if init.full { "change the examples" } else { "fill in what stands empty" };
    let said =
        format!("written to {0}: {next}, then `installer profile validate --profile {0}`", path.display());
    output.line("profile", &said, &json!({"file": path}));
    Ok(())
}

fn validate(files: &[PathBuf], output: Output) -> Result<(), Failure> {
    let partly = profiles::load_partly(files).inspect_err(|error| {
        if output == Output::Json {
            error
                .findings()
                .iter()
                .for_each(|finding| output.line("finding", &finding.message, &data(finding)));
        }
    })?;
    let name = partly.name.as_deref().unwrap_or("without a name yet");
    let open: Vec<Value> = partly
        .open
        .iter()
        .map(|section| {
            json!({
                "section": section.name, "missing": section.missing.iter().map(data).collect::<Vec<_>>(),
            })
        })
        .collect();
    let text = format!("{name}: nothing is wrong{}", extent(&partly));
    output.line("profile", &text, &json!({"site": partly.name, "open": open}));
    for section in &partly.open {
        output.remark(&format!("          {} is left open, {} missing", section.name, section.missing.len()));
        for finding in &section.missing {
            output.remark(&format!("            {}", finding.to_string().replace('\n', "\n        ")));
        }
    }
    Ok(())
}

/// How many hosts of what sort, or that sections are open.
fn extent(partly: &Partly) -> String {
    match &partly.loaded {
        _ if !partly.open.is_empty() => {
            format!("; {} sections are left open, so that nothing runs with it unattended", partly.open.len())
        }
        Some(loaded) => {
            let (masters, workers) = (loaded.site.masters().count(), loaded.site.workers().count());
            format!(
                "; {masters} control plane, {workers} workers. Hosts and bundle are for `installer check`"
            )
        }
        None => String::new(),
    }
}

fn data(finding: &ProfileFinding) -> Value {
    let place = finding.place.as_ref();
    json!({
        "rule": finding.rule, "path": finding.path, "message": finding.message, "remedy": finding.remedy,
        "file": place.map(|place| place.file.as_ref()), "line": place.map(|place| place.line),
        "column": place.map(|place| place.column),
    })
}

fn render(files: &[PathBuf], output: Output) -> Result<(), Failure> {
    let partly = profiles::load_partly(files)?;
    let Some(loaded) = partly.loaded else {
        let sections = partly.open.iter().filter(|section| !section.missing.is_empty());
        let names = sections.map(|section| section.name.as_str()).collect::<Vec<_>>().join(", ");
        let message =
            format!("the profile cannot be shown: there are values missing in what is left open ({names})");
        return Err(Failure::new(Kind::Usage, message)
            .hint("`installer profile validate` says which; fill them in, here or in a profile laid over"));
    };
    if output == Output::Json {
        let origins: Value = loaded.places.iter().map(|(path, place)| (path, place.to_string())).collect();
        output.line("profile", &loaded.site.metadata.name, &json!({"site": loaded.site, "origins": origins}));
        return Ok(());
    }
    print(&loaded.to_yaml().map_err(|error| Failure::of(Kind::Internal, &error))?)
}

/// There is one version so far; what can be wrong with the version of a file is said by the profile room.
fn migrate(files: &[PathBuf], output: Output) -> Result<(), Failure> {
    let version = sealift_profile::version(files)?;
    for file in files {
        let text =
            format!("{}: {version} is the newest version there is; nothing to migrate", file.display());
        output.line("profile", &text, &json!({"file": file, "apiVersion": version, "changed": false}));
    }
    Ok(())
}
