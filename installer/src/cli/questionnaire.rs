//! `installer questionnaire`: the questions as a form; a filled-in form as a profile. Asks no host.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sealift_bundle::Bundle;
use sealift_profile::{ProfileError, ProfileFinding};
use sealift_report::questionnaire::{self, FormFinding, Imported};
use sealift_report::{Words, html};
use serde_json::json;

use super::report::Tongue;
use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::trust::Trust;
use crate::written::{write, write_new};

/// Largest form, bytes.
const MOST: u64 = 1 << 20;

/// What `questionnaire` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The bundle, for the product's own questions.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    #[command(flatten)]
    trust: Trust,
    /// Language of the questions.
    #[arg(long, value_enum, default_value = "en")]
    language: Tongue,
    /// Write the form to this text file: to fill in with any editor and to send back.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["html", "import"])]
    out: Option<PathBuf>,
    /// Write the form to this HTML file: to print and to fill in by hand.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Read this filled-in form, in whatever language, and make a profile of it.
    #[arg(long, value_name = "FILE", requires = "profile", conflicts_with_all = ["out", "html"])]
    import: Option<PathBuf>,
    /// Write the profile to this new file.
    #[arg(long, value_name = "FILE", requires = "import")]
    profile: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let bundle = arguments.bundle.as_deref().map(|path| arguments.trust.open(path, output)).transpose()?;
    if let (Some(form), Some(profile)) = (&arguments.import, &arguments.profile) {
        return import(form, profile, bundle.as_ref(), output);
    }
    let document = bundle.as_ref().map(Bundle::document);
    let words = Words::of(arguments.language.into());
    if let Some(path) = &arguments.out {
        write(path, &questionnaire::form(document, words))?;
        let next = format!("installer questionnaire --import {} --profile NEW-FILE", path.display());
        let text = format!("written to {}; when it is filled in: {next}", path.display());
        output.line("form", &text, &json!({"file": path}));
    }
    if let Some(path) = &arguments.html {
        write(path, &html(&questionnaire::sheet(document, words)))?;
        output.line("form", &format!("written to {}, to print", path.display()), &json!({"file": path}));
    }
    Ok(())
}

fn import(form: &Path, profile: &Path, bundle: Option<&Bundle>, output: Output) -> Result<(), Failure> {
    let imported = questionnaire::import(&read(form)?, bundle.map(Bundle::document))
        .map_err(|findings| wrong(form, findings.iter().map(FormFinding::to_string).collect()))?;
    validate(form, &imported)?;
    write_new(profile, imported.profile.as_bytes(), 0o644)?;
    let data = json!({"file": profile, "open": imported.open, "unanswered": imported.unanswered});
    output.line("profile", &format!("written to {}", profile.display()), &data);
    if !imported.unanswered.is_empty() {
        output.remark(&format!("          not answered: {}", imported.unanswered.join(", ")));
    }
    if imported.open.is_empty() {
        output.remark(&format!(
            "          next: installer profile validate --profile {0}, then installer size --profile {0}",
            profile.display()
        ));
    } else {
        output.remark(&format!(
            "          left open until they are answered: {}; what is missing says `installer profile validate`",
            imported.open.join(", ")
        ));
    }
    Ok(())
}

fn read(form: &Path) -> Result<String, Failure> {
    let failed = |cause: String| {
        let failure = Failure::new(Kind::Usage, format!("the form {} cannot be read", form.display()));
        Failure { causes: vec![cause], ..failure }
            .hint("name a form that `installer questionnaire --out FILE` has written, saved as UTF-8 text")
    };
    let file = std::fs::File::open(form).map_err(|error| failed(error.to_string()))?;
    let mut text = String::new();
    file.take(MOST + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MOST {
        return Err(failed(format!("it is larger than {MOST} bytes: this is no form")));
    }
    Ok(text)
}

fn wrong(form: &Path, causes: Vec<String>) -> Failure {
    let message =
        format!("the form {} has {} findings; no profile was written", form.display(), causes.len());
    Failure { causes, ..Failure::new(Kind::Usage, message) }
        .hint("correct these lines and run the same command again")
}

/// The profile's own rules, with the lines of the form in place of those of a file that nobody has written.
fn validate(form: &Path, imported: &Imported) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        let failure = Failure::new(Kind::Internal, "no temporary file can be written");
        Failure { causes: vec![error.to_string()], ..failure }
    };
    let mut file = tempfile::NamedTempFile::new().map_err(cannot)?;
    file.write_all(imported.profile.as_bytes()).map_err(cannot)?;
    match crate::profiles::load_partly(&[file.path().to_owned()]) {
        Ok(_) => Ok(()),
        Err(ProfileError::Invalid(invalid)) => {
            let said = |finding: &ProfileFinding| {
                let line = imported.line_of(&finding.path);
                let place = line.map_or_else(String::new, |line| format!("line {line}, "));
                let next = if finding.remedy.is_empty() { "" } else { "\n    next: " };
                format!("{place}{}: {}{next}{}", finding.path, finding.message, finding.remedy)
            };
            Err(wrong(form, invalid.findings.iter().map(said).collect()))
        }
        Err(error) => Err(error.into()),
    }
}
