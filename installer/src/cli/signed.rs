//! `install --plan FILE`: what was signed is what is done, or nothing.

use std::path::{Path, PathBuf};

use sealift_plan::inputs::{Difference, Inputs};
use sealift_plan::{Plan, saved};

use crate::failure::{Failure, Kind};

/// A plan that people have agreed to.
#[derive(Debug)]
pub(crate) struct SignedPlan {
    path: PathBuf,
    plan: Plan,
}

impl SignedPlan {
    /// Reads it; nothing else is looked at before.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let failure = Failure::new(Kind::Usage, format!("the plan file {shown} cannot be read"));
            Failure { causes: vec![error.to_string()], ..failure }
                .hint("name a file that `installer plan --write FILE` has made")
        })?;
        let plan = saved::from_json(&text).map_err(|error| {
            let failure = Failure::from(error);
            Failure { message: format!("{shown}: {}", failure.message), ..failure }
        })?;
        Ok(Self { path: path.to_owned(), plan })
    }

    /// Refuses another bundle, program or profile, before a host is asked.
    pub(crate) fn agrees_before_hosts(&self, now: &Inputs) -> Result<(), Failure> {
        self.refuse(&saved::known_before_hosts(&self.plan.inputs, now))
    }

    /// Refuses a plan that would do something else.
    pub(crate) fn agrees(&self, now: &Plan) -> Result<(), Failure> {
        self.refuse(&saved::differences(&self.plan, now))
    }

    fn refuse(&self, differences: &[Difference]) -> Result<(), Failure> {
        if differences.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the plan {} was made for something else than is here now; nothing was changed",
            self.path.display()
        );
        let causes = differences.iter().map(ToString::to_string).collect();
        Err(Failure { causes, ..Failure::new(Kind::Usage, message) }.hint(
            "put it back as it was, or make a new plan with `installer plan --write FILE` and have it agreed to",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Failure {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        std::fs::write(&path, text).unwrap();
        SignedPlan::read(&path).unwrap_err()
    }

    #[test]
    fn files_that_are_no_plan_of_ours_are_refused_with_the_way_forward() {
        for (text, cause) in [
            ("", "cannot be understood"),
            ("{}", "cannot be understood"),
            (r#"{"apiVersion": "sealift/v1", "kind": "Site"}"#, "cannot be understood"),
            (r#"{"apiVersion": "sealift/v1", "steps": []}"#, "does not say what it was made from"),
            (r#"{"apiVersion": "sealift/v3", "kind": "Plan"}"#, "sealift/v3"),
        ] {
            let failure = refused(text);
            assert!(failure.message.contains(cause), "{text}: {failure:?}");
            assert!(failure.message.contains("plan.json"), "{failure:?}");
            assert_eq!((failure.exit_code(), failure.hints.len()), (2, 1), "{text}");
        }
        let failure = SignedPlan::read(Path::new("/nonexistent/plan.json")).unwrap_err();
        assert_eq!((failure.exit_code(), failure.hints.len()), (2, 1));
    }
}
