//! What is missing or wrong, each at the page and field that can mend it.

use sealift_profile::ProfileFinding;

use crate::field;
use crate::model::{FileState, Model};
use crate::page::PageId;

/// Something that keeps a page from being done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The page that can mend it.
    pub page: PageId,
    /// The path of the field that can, where one alone can.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// Whether something is only not there yet.
    pub missing: bool,
}

impl Model {
    /// Everything that is missing or wrong, in the order of the pages.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let missing = self.judged.missing.iter().map(|finding| self.problem(finding, true));
        let wrong = self.judged.wrong.iter().chain(&self.found).map(|finding| self.problem(finding, false));
        let mut all: Vec<Problem> =
            missing.chain(wrong).chain(self.of_product()).chain(self.of_file()).collect();
        all.sort_by_key(|problem| problem.page);
        all
    }

    /// What is missing or wrong on a page.
    #[must_use]
    pub fn problems_of(&self, page: PageId) -> Vec<Problem> {
        self.problems().into_iter().filter(|problem| problem.page == page).collect()
    }

    fn problem(&self, finding: &ProfileFinding, missing: bool) -> Problem {
        let (page, field) = self.home(finding);
        let words = self.words();
        let (message, remedy) = match (&field, missing) {
            (_, true) if finding.path == "hosts" => {
                (words.text("problem.noHosts"), words.text("problem.noHosts.next"))
            }
            (Some(field), true) => {
                let label = self.label_of(field);
                (words.fill("problem.missing", &[("label", &label)]), words.text("problem.missing.next"))
            }
            _ => (finding.message.clone(), finding.remedy.clone()),
        };
        Problem { page, field, message, remedy, missing }
    }

    /// Page and field that can mend a finding.
    fn home(&self, finding: &ProfileFinding) -> (PageId, Option<String>) {
        let path = finding.path.as_str();
        // A host that cannot be known or logged in on: mended for all hosts at once by what the site says.
        if path.starts_with("hosts[") && path.ends_with(']') {
            match finding.rule {
                "host-key" => return (PageId::Access, Some("access.knownHosts".to_owned())),
                "login" => return (PageId::Access, Some("access.privateKey".to_owned())),
                _ => return (PageId::Hosts, None),
            }
        }
        let field = match (path, finding.rule) {
            ("metadata", _) => "metadata.name",
            ("access", "login") => "access.privateKey",
            ("access", _) => "access.user",
            ("access.bastion", "host-key") => "access.bastion.hostKey",
            ("access.bastion", "login") => "access.bastion.privateKey",
            ("services.database.tls", _) => "services.database.tls.ca",
            ("services.logs", "service-ca") => "services.logs.ca",
            ("services.metrics", "service-ca") => "services.metrics.ca",
            ("services.logs", "service-login") => "services.logs.user",
            ("services.metrics", "service-login") => "services.metrics.user",
            (path, _) => path,
        };
        if let Some((page, field)) = field::asking(self, field) {
            return (page, Some(field));
        }
        let section = path.split(['.', '[']).next().unwrap_or_default();
        (PageId::of_section(section), None)
    }

    /// Answers that the product cannot do without. The plan would refuse them as missing.
    fn of_product(&self) -> Vec<Problem> {
        let fields = field::of_page(self, PageId::Product).into_iter();
        let missing = fields.filter(|field| field.default.is_none() && self.draft.get(&field.path).is_none());
        let words = self.words();
        let problem = |field: field::Field| Problem {
            page: PageId::Product,
            message: words.fill("problem.missing", &[("label", &self.label(&field))]),
            remedy: words.text("problem.missing.next"),
            field: Some(field.path),
            missing: true,
        };
        missing.map(problem).collect()
    }

    /// A file that is there and cannot be written over.
    fn of_file(&self) -> Option<Problem> {
        let problem = |field: &str, trouble: &crate::Trouble| {
            let causes =
                trouble.causes.iter().fold(trouble.message.clone(), |text, cause| text + "\n" + cause);
            Problem {
                page: PageId::Start,
                field: Some(field.to_owned()),
                message: causes,
                remedy: trouble.remedies.join("; "),
                missing: false,
            }
        };
        match (&self.file_state, &self.bundle_trouble) {
            (FileState::Unusable(trouble), _) => Some(problem("start.file", trouble)),
            (_, Some(trouble)) => Some(problem("start.bundle", trouble)),
            _ => None,
        }
    }

    /// Whether sections that the product's questions stand in have to stay open.
    pub(crate) fn product_is_open(&self) -> bool {
        !self.of_product().is_empty()
    }
}
