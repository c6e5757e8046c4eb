//! What stands on a page beside its fields.

use sealift_profile::HostRole;
use sealift_sizing::words::disk;
use sealift_sizing::{Machines, Sizing, Tier, TierKind};

use crate::effect::Message;
use crate::field;
use crate::model::{Model, Task};
use crate::page::PageId;
use crate::part::Part;
use crate::screen::{Entry, Row};
use crate::view::reach::without_empty;

impl Model {
    pub(super) fn body(&self) -> Vec<Row> {
        if let Some(Part::PlannedHost(index)) = self.part() {
            return self.planned_host_rows(*index);
        }
        let mut rows = match self.page {
            PageId::Sizing => self.sizing_rows(),
            PageId::Hosts => self.host_rows(),
            PageId::Product => self.product_rows(),
            PageId::Checks => self.check_rows(),
            PageId::Review => self.review_rows(),
            PageId::Start => self.start_rows(),
            PageId::Confirm => self.confirm_rows(),
            PageId::Install => self.install_rows(),
            PageId::Result => self.result_rows(),
            PageId::Access => self.reach_summary(),
            PageId::Needs | PageId::Network | PageId::Storage => Vec::new(),
        };
        if self.part().is_some() {
            return rows;
        }
        // What no field of the page shows.
        for problem in self.problems_of(self.page) {
            let shown = problem
                .field
                .as_ref()
                .is_some_and(|path| field::fields(self).iter().any(|field| field.path == *path));
            if !shown {
                let places = [("message", problem.message.as_str()), ("remedy", problem.remedy.as_str())];
                rows.push(Row::Text(self.words().fill("problem.line", &places)));
            }
        }
        rows
    }

    pub(super) fn text(&self, key: &str) -> Row {
        Row::Text(self.words().text(key))
    }

    pub(super) fn heading(&self, key: &str) -> Row {
        Row::Heading(self.words().text(key))
    }

    /// What a task came to: its rows, or why there are none.
    pub(super) fn task<T>(&self, task: &Task<T>, idle: &str, rows: impl FnOnce(&T) -> Vec<Row>) -> Vec<Row> {
        match task {
            Task::Idle => vec![self.text(idle)],
            Task::Waiting(_) => vec![self.text("message.busy")],
            Task::Failed(trouble) => {
                let all = [vec![trouble.message.clone()], trouble.causes.clone(), trouble.remedies.clone()];
                all.concat().into_iter().map(Row::Text).collect()
            }
            Task::Done { value, outdated } => {
                let old = outdated.then(|| self.text("task.outdated"));
                old.into_iter().chain(rows(value)).collect()
            }
        }
    }

    fn sizing_rows(&self) -> Vec<Row> {
        if self.document.is_none() {
            return vec![self.text("sizing.noBundle")];
        }
        self.task(&self.sizing, "sizing.idle", |sizing| self.sized(sizing))
    }

    fn sized(&self, sizing: &Sizing) -> Vec<Row> {
        let words = self.words();
        let set = |machines: &Machines| {
            format!("{} x ({}, {})", machines.count.amount, machines.shape, disk(machines.disk_bytes))
        };
        let name = |kind: TierKind| match kind {
            TierKind::Minimum => words.text("tier.minimum"),
            TierKind::Recommended => words.text("tier.recommended"),
            TierKind::WithGrowth => words.text("tier.withGrowth"),
        };
        let line = |tier: &Tier| vec![name(tier.kind), set(&tier.masters), set(&tier.workers)];
        let mut rows = vec![Row::Table {
            names: ["tier", "tier.masters", "tier.workers"].map(|key| words.text(key)).to_vec(),
            lines: sizing.tiers.iter().map(line).collect(),
        }];
        if let Some(tier) = sizing.tier(TierKind::Recommended) {
            rows.push(self.heading("sizing.why"));
            let sentences = [
                &tier.workers.count.because,
                &tier.workers.because,
                &tier.masters.count.because,
                &tier.masters.because,
                &tier.binding.text,
            ];
            rows.extend(sentences.map(|text| Row::Text(text.clone())));
        }
        let assumed: Vec<&str> = sizing
            .answers
            .iter()
            .filter(|answer| answer.assumed)
            .map(|answer| answer.text.as_str())
            .collect();
        if !assumed.is_empty() {
            rows.push(self.heading("sizing.assumed"));
            rows.extend(assumed.into_iter().map(|text| Row::Text(text.to_owned())));
        }
        rows.extend(sizing.overridden.iter().map(|one| {
            let places = [
                ("value", one.value.as_str()),
                ("calculated", &one.calculated),
                ("reason", one.reason.trim_end_matches('.')),
            ];
            Row::Text(words.fill("sizing.decided", &places))
        }));
        rows.extend(sizing.remarks.iter().map(|remark| Row::Text(remark.text.clone())));
        rows
    }

    fn host_rows(&self) -> Vec<Row> {
        let words = self.words();
        if let Some(index) = self.host {
            let number = (index + 1).to_string();
            let heading = Row::Heading(words.fill("hosts.one", &[("number", &number)]));
            return std::iter::once(heading).chain(self.reach_of_one(index)).collect();
        }
        if self.draft.hosts() == 0 {
            return vec![self.text("hosts.none")];
        }
        let problems = self.problems();
        let line = |index: usize| {
            let path = format!("hosts[{index}]");
            let cell = |key: &str| {
                let value = self.draft.get(&format!("{path}.{key}"));
                value.and_then(|value| value.as_str()).unwrap_or("-").to_owned()
            };
            let role = match cell("role").as_str() {
                "-" => "-".to_owned(),
                role => words.text(&format!("choice.{role}")),
            };
            let start = format!("{path}.");
            let own = problems
                .iter()
                .filter(|problem| problem.field.as_ref().is_some_and(|field| field.starts_with(&start)));
            let own = own.count();
            let mut cells = vec![(index + 1).to_string(), cell("name"), cell("address"), role, cell("user")];
            cells.extend(self.reach_cells(index, own));
            cells
        };
        let names = ["number", "name", "address", "role", "user", "ssh", "key", "seen"];
        let names = names.map(|name| words.text(&format!("hosts.{name}"))).to_vec();
        let mut rows = vec![without_empty(names, (0..self.draft.hosts()).map(line).collect(), 6)];
        rows.extend(self.reach_rows());
        rows.extend(self.enough());
        rows
    }

    /// How the hosts compare with what sizing asks for.
    fn enough(&self) -> Option<Row> {
        let tier = self.sizing.value()?.tier(TierKind::Recommended)?;
        let wanted = [tier.masters.count.amount, tier.workers.count.amount];
        let role = |index: usize| self.draft.get(&format!("hosts[{index}].role")).cloned();
        let have = [HostRole::ControlPlane, HostRole::Worker].map(|wanted| {
            let wanted = serde_json::to_value(wanted).ok();
            (0..self.draft.hosts()).filter(|index| role(*index) == wanted).count() as u64
        });
        let enough = wanted.iter().zip(have).all(|(wanted, have)| have >= *wanted);
        let [masters, workers] = wanted.map(|count| count.to_string());
        let [own_masters, own_workers] = have.map(|count| count.to_string());
        let places = [
            ("masters", masters.as_str()),
            ("workers", &workers),
            ("ownMasters", &own_masters),
            ("ownWorkers", &own_workers),
        ];
        let key = if enough { "hosts.enough" } else { "hosts.short" };
        Some(Row::Text(self.words().fill(key, &places)))
    }

    fn product_rows(&self) -> Vec<Row> {
        match self.product() {
            None => vec![self.text("product.noBundle")],
            Some(_) if field::fields(self).is_empty() => vec![self.text("product.nothing")],
            Some(_) => Vec::new(),
        }
    }

    fn review_rows(&self) -> Vec<Row> {
        let words = self.words();
        let problems = self.problems();
        let entry = |page: PageId| {
            let open = problems.iter().filter(|problem| problem.page == page).count();
            let title = words.text(&format!("page.{}", page.name()));
            let mark = words.text(self.mark(page).key());
            Entry { cells: vec![title, mark, open.to_string()], opens: Message::Go(page) }
        };
        let names = ["page", "mark", "open"];
        let mut rows = vec![Row::Entries {
            names: names.map(|name| words.text(&format!("review.{name}"))).to_vec(),
            entries: PageId::ALL.into_iter().filter(|page| *page < PageId::Review).map(entry).collect(),
        }];
        if !problems.is_empty() {
            rows.push(self.heading("review.problems"));
        }
        rows.extend(problems.iter().filter(|problem| problem.page != PageId::Review).map(|problem| {
            let title = words.text(&format!("page.{}", problem.page.name()));
            let places =
                [("page", title.as_str()), ("message", &problem.message), ("remedy", &problem.remedy)];
            Row::Text(words.fill("review.problem", &places))
        }));
        if !self.left_open.is_empty() {
            let sections = self.left_open.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            rows.push(Row::Text(words.fill("review.leftOpen", &[("sections", &sections)])));
        }
        rows.push(self.heading("review.answers"));
        rows.extend(self.answers());
        if self.document.is_some() {
            rows.push(self.heading("review.plan"));
            rows.extend(self.task(&self.planned, "review.idle", |planned| self.plan_rows(planned)));
        }
        rows
    }

    /// Every answer that is not a default, with where it comes from.
    fn answers(&self) -> Vec<Row> {
        let words = self.words();
        let pages = PageId::ALL.into_iter().filter(|page| *page != PageId::Hosts);
        let hosts = (0..self.draft.hosts()).flat_map(field::of_host);
        let fields = pages.flat_map(|page| field::of_page(self, page)).chain(hosts);
        let said = fields.filter_map(|field| {
            let value = self.draft.get(&field.path)?;
            let places = [
                ("path", field.path.as_str()),
                ("value", &self.in_words(&field, value)),
                ("source", &words.text(self.source(&field).key())),
            ];
            Some(Row::Text(words.fill("review.answer", &places)))
        });
        said.collect()
    }
}
