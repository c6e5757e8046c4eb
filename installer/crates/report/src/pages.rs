//! The report in words: which section says what, in which order.

mod annex;

use crate::document::{Block, Cell, Document, Mark, Section, Table};
use crate::figure::Figure;
use crate::glossary;
use crate::message::Message;
use crate::report::{
    Decision, Level, MachineLine, Phase, Readiness, Report, Resources, Risk, RiskState, Stage, Test,
    TestResult, Told,
};
use crate::words::{Language, Words};

/// Most risks on the first page, and in the list.
const FIRST_RISKS: usize = 3;
const RISKS: usize = 14;
/// Most assumed answers on the first page.
const FIRST_ASSUMED: usize = 4;

/// The report as a document in one language.
#[must_use]
pub fn document(report: &Report, language: Language) -> Document {
    let pages = Pages { report, words: Words::of(language) };
    let mut document = pages.front();
    document.sections = vec![pages.decision(), pages.told()];
    document.sections.extend(report.resources.as_ref().map(|resources| pages.resources(resources)));
    document.sections.extend([pages.timeline(), pages.risks(), pages.duties(), pages.acceptance()]);
    let glossary = pages.glossary(&document);
    document.sections.push(glossary);
    document.sections.extend(pages.annex());
    document
}

struct Pages<'a> {
    report: &'a Report,
    words: Words,
}

impl Pages<'_> {
    fn text(&self, key: &str) -> String {
        self.words.text(key)
    }

    fn say(&self, message: &Message) -> String {
        self.words.say(message)
    }

    fn head(&self, keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| self.text(key)).collect()
    }

    fn section(&self, id: &'static str, new_page: bool, blocks: Vec<Block>) -> Section {
        Section { id, title: self.text(&format!("section.{id}")), annex: false, new_page, blocks }
    }

    fn front(&self) -> Document {
        let heading = &self.report.heading;
        let stage = match heading.stage {
            Stage::Proposal => "stage.proposal",
            Stage::Running => "stage.running",
            Stage::Handover => "stage.handover",
        };
        let title = self.say(
            &Message::new("title")
                .word("product", &heading.product)
                .word("version", &heading.version)
                .word("site", &heading.site),
        );
        let made = Message::new("made")
            .part("stage", Message::new(stage))
            .day("day", heading.made.date())
            .word("time", heading.made.strftime("%H:%M").to_string())
            .word("by", &heading.by)
            .word("tool", &heading.tool);
        let seen = if heading.looked { "made.looked" } else { "made.notLooked" };
        let running =
            self.say(&Message::new("running").word("title", &title).day("day", heading.made.date()));
        Document {
            language: self.words.language(),
            title,
            lines: vec![self.say(&made), self.text(seen)],
            running,
            sections: Vec::new(),
        }
    }

    fn decision(&self) -> Section {
        let Decision { sentence, readiness, meaning, machines, spare, there, asks } = &self.report.decision;
        let mark = match readiness {
            Readiness::Ready | Readiness::Installed => Mark::Good,
            Readiness::WithConditions | Readiness::Unknown | Readiness::Installing => Mark::Warn,
            Readiness::NotReady | Readiness::Stopped => Mark::Bad,
        };
        let word = self.text(&format!("readiness.{}", crate::build::readiness_word(*readiness)));
        let first = vec![
            (self.text("label.sentence"), vec![Cell::marked(self.say(sentence), Mark::Strong)]),
            (self.text("label.readiness"), vec![Cell::marked(word, mark), Cell::new(self.say(meaning))]),
        ];
        let machines = Table {
            head: self.head(&["column.purpose", "column.count", "column.each", "column.why"]),
            rows: machines.iter().map(|line| self.machine(line)).collect(),
        };
        let mut rest = vec![
            (self.text("label.spare"), vec![Cell::new(self.say(spare)), Cell::new(self.say(there))]),
            (self.text("label.dates"), self.dates()),
        ];
        let risks: Vec<Cell> =
            self.report.risks.iter().take(FIRST_RISKS).map(|risk| Cell::new(self.first_risk(risk))).collect();
        if !risks.is_empty() {
            rest.push((self.text("label.risks"), risks));
        }
        let asks = asks.iter().map(|ask| {
            let message = Message::new("ask.line")
                .day("due", ask.due)
                .part("what", ask.what.clone())
                .part("owner", Message::new(ask.owner.key()));
            Cell::new(self.say(&message))
        });
        rest.push((self.text("label.asks"), asks.collect()));
        let assumed = self.report.answers.iter().filter(|told| told.assumed);
        let mut assumed: Vec<Cell> =
            assumed.take(FIRST_ASSUMED).map(|told| Cell::new(self.say(&told.told))).collect();
        if !assumed.is_empty() {
            assumed.push(Cell::new(self.text("assumed.tell")));
            rest.push((self.text("label.assumed"), assumed));
        }
        let handover = self.report.heading.stage == Stage::Handover;
        let machines_label = if handover { "label.machines.after" } else { "label.machines" };
        let mut blocks = vec![Block::Lines(first)];
        if !machines.rows.is_empty() {
            blocks.extend([Block::Heading(self.text(machines_label)), Block::Table(machines)]);
        }
        blocks.push(Block::Lines(rest));
        self.section("decision", false, blocks)
    }

    fn machine(&self, line: &MachineLine) -> Vec<Cell> {
        let amount = |figure: &Figure| self.words.quantity(figure.amount);
        let each = Message::new("each")
            .word("cores", amount(&line.cores))
            .word("memory", amount(&line.memory))
            .word("disk", amount(&line.disk));
        let why = [&line.count.reason, &line.cores.reason].map(|reason| self.say(reason));
        vec![
            Cell::new(self.say(&line.purpose)),
            Cell::marked(amount(&line.count), Mark::Strong),
            Cell::marked(self.say(&each), Mark::Strong),
            Cell::new(why.join(&self.text("sentence.between"))),
        ]
    }

    fn dates(&self) -> Vec<Cell> {
        let timeline = &self.report.timeline;
        if self.report.heading.stage == Stage::Handover {
            return vec![Cell::new(self.text("dates.done"))];
        }
        let total = Message::new("dates.total")
            .word("total", self.words.range(&timeline.total))
            .day("earliest", timeline.earliest)
            .day("latest", timeline.latest);
        let yours = Message::new("dates.yours").word("site", self.words.range(&timeline.site));
        vec![Cell::new(self.say(&total)), Cell::new(self.say(&yours))]
    }

    /// One risk on the first page: what, what it leads to, who mends it.
    fn first_risk(&self, risk: &Risk) -> String {
        let message = Message::new("risk.line")
            .word("id", &risk.id)
            .word("text", self.matter(risk))
            .part("owner", Message::new(risk.owner.key()));
        self.say(&message)
    }

    /// What is the matter, where, and what it leads to.
    fn matter(&self, risk: &Risk) -> String {
        let parts = [self.say(&risk.what), self.place(risk), self.say(&risk.effect)];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(&self.text("sentence.between"))
    }

    /// Hosts of a risk in brackets; nothing for the site as a whole.
    fn place(&self, risk: &Risk) -> String {
        const NAMED: usize = 5;
        if risk.hosts.is_empty() {
            return String::new();
        }
        let named = risk.hosts.iter().take(NAMED).map(String::as_str);
        if risk.hosts.len() > NAMED {
            let more = risk.hosts.len() - NAMED;
            let message = Message::new("risk.place.more").words("hosts", named).number(
                "more",
                more as u64,
                crate::figure::Unit::Machines,
            );
            return self.say(&message);
        }
        self.say(&Message::new("risk.place").words("hosts", named))
    }

    fn told(&self) -> Section {
        let row = |told: &Told| {
            let (word, mark) =
                if told.assumed { ("told.assumed", Mark::Warn) } else { ("told.told", Mark::Plain) };
            vec![
                Cell::marked(self.text(word), mark),
                Cell::new(self.say(&told.told)),
                Cell::marked(self.words.quantity(told.means.amount), Mark::Strong),
                Cell::new(self.say(&told.means.reason)),
            ]
        };
        let rows: Vec<Vec<Cell>> = self.report.answers.iter().map(row).collect();
        let mut blocks = Vec::new();
        if rows.is_empty() {
            // With numbers of the vendor and none of ours there is a risk that says why.
            let beyond = self.report.risks.iter().any(|risk| risk.topic == "beyond");
            blocks.push(Block::Say(self.text(if beyond { "told.beyond" } else { "told.none" })));
        } else {
            blocks.push(Block::Say(self.text("told.intro")));
            let head = self.head(&["column.source", "column.answer", "column.leads", "column.because"]);
            blocks.push(Block::Table(Table { head, rows }));
        }
        if !self.report.decided.is_empty() {
            blocks.push(Block::Heading(self.text("told.decided")));
            blocks.extend(self.report.decided.iter().map(|message| Block::Say(self.say(message))));
        }
        self.section("told", true, blocks)
    }

    fn resources(&self, resources: &Resources) -> Section {
        let mut head = self.head(&["column.what", "column.least", "column.advised"]);
        let years = Message::new("column.later").number("years", resources.years, crate::figure::Unit::Years);
        head.push(self.say(&years));
        head.extend(self.head(&["column.down", "column.why"]));
        let mut rows: Vec<Vec<Cell>> = Vec::new();
        for row in &resources.rows {
            let mut cells = vec![Cell::new(self.say(&row.what))];
            cells.extend(row.cells.iter().map(|cell| {
                let text =
                    cell.map_or_else(|| self.text("cell.same"), |quantity| self.words.quantity(quantity));
                Cell::new(text)
            }));
            cells.push(Cell::new(self.say(&row.reason)));
            rows.push(cells);
        }
        let mut price = vec![Cell::new(self.text("resource.price"))];
        price.extend((0..4).map(|_| Cell::new("")));
        price.push(Cell::new(self.text("resource.price.why")));
        rows.push(price);
        let blocks = vec![
            Block::Say(self.text("resources.intro")),
            Block::Table(Table { head, rows }),
            Block::Say(self.say(&resources.one_down)),
        ];
        self.section("resources", false, blocks)
    }

    fn timeline(&self) -> Section {
        let timeline = &self.report.timeline;
        let row = |phase: &Phase| {
            let done = |text: String| {
                if phase.done { Cell::marked(self.text("phase.done"), Mark::Good) } else { Cell::new(text) }
            };
            vec![
                Cell::new(self.text(&format!("phase.{}", phase.id))),
                Cell::new(self.text(phase.owner.key())),
                // How long something would have taken that is there already helps nobody; what was measured does.
                Cell::new(if phase.done && phase.time.optimistic < phase.time.pessimistic {
                    String::new()
                } else {
                    self.words.range(&phase.time)
                }),
                done(self.words.date(phase.due)),
                Cell::new(self.say(&phase.time.reason)),
            ]
        };
        let head = self.head(&["column.task", "column.owner", "column.time", "column.due", "column.why"]);
        let rows = timeline.phases.iter().map(row).collect();
        let blocks = vec![
            Block::Say(self.text("timeline.intro")),
            Block::Table(Table { head, rows }),
            Block::Lines(vec![(self.text("label.dates"), self.dates())]),
        ];
        self.section("timeline", false, blocks)
    }

    fn risks(&self) -> Section {
        let level = |level: Level| match level {
            Level::Low => "level.low",
            Level::Medium => "level.medium",
            Level::High => "level.high",
        };
        let row = |risk: &Risk| {
            let (state, mark) = self.state(&risk.state);
            let chance = Message::new("risk.levels")
                .part("likelihood", Message::new(level(risk.likelihood)))
                .part("impact", Message::new(level(risk.impact)));
            let action = Message::new("risk.action").part("action", risk.action.clone()).day("due", risk.due);
            vec![
                Cell::marked(&risk.id, Mark::Strong),
                Cell::marked(state, mark),
                Cell::new(self.matter(risk)),
                Cell::new(self.say(&chance)),
                Cell::new(self.text(risk.owner.key())),
                Cell::new(self.say(&action)),
            ]
        };
        let risks = &self.report.risks;
        let head = self.head(&[
            "column.number",
            "column.state",
            "column.risk",
            "column.levels",
            "column.owner",
            "column.action",
        ]);
        let mut blocks = vec![
            Block::Say(self.text("risks.intro")),
            Block::Table(Table { head, rows: risks.iter().take(RISKS).map(row).collect() }),
        ];
        if risks.len() > RISKS {
            let more = (risks.len() - RISKS) as u64;
            let message = Message::new("risks.more").number("more", more, crate::figure::Unit::Things);
            blocks.push(Block::Say(self.say(&message)));
        }
        self.section("risks", false, blocks)
    }

    fn state(&self, state: &RiskState) -> (String, Mark) {
        match state {
            RiskState::MustMend => (self.text("state.must"), Mark::Bad),
            RiskState::Watch => (self.text("state.watch"), Mark::Warn),
            RiskState::Accepted { person, until, .. } => {
                let message = Message::new("state.accepted").word("person", person).word("until", until);
                (self.say(&message), Mark::Plain)
            }
        }
    }

    fn duties(&self) -> Section {
        let lines = self
            .report
            .duties
            .iter()
            .map(|duty| (self.text(duty.owner.key()), vec![Cell::new(self.say(&duty.duty))]));
        let mut signers: Vec<String> = Vec::new();
        for duty in &self.report.duties {
            let message = Message::new("sign.line").part("owner", Message::new(duty.owner.key()));
            signers.push(self.say(&message));
        }
        let blocks =
            vec![Block::Lines(lines.collect()), Block::Say(self.text("sign.intro")), Block::Sign(signers)];
        self.section("duties", false, blocks)
    }

    fn acceptance(&self) -> Section {
        let row = |test: &Test| {
            let result = match &test.result {
                TestResult::Open => Cell::new(self.text("test.result.open")),
                TestResult::Passed(_) => Cell::marked(self.text("test.result.passed"), Mark::Good),
                TestResult::Failed(_) => Cell::marked(self.text("test.result.failed"), Mark::Bad),
            };
            vec![Cell::new(self.say(&test.what)), result, Cell::new("")]
        };
        let head = self.head(&["column.test", "column.result", "column.seen"]);
        let rows = self.report.acceptance.iter().map(row).collect();
        let blocks = vec![Block::Say(self.text("acceptance.intro")), Block::Table(Table { head, rows })];
        self.section("acceptance", false, blocks)
    }

    fn glossary(&self, document: &Document) -> Section {
        let entries = glossary::entries(&document.main_texts(), self.words);
        let lines = entries.into_iter().map(|entry| (entry.word, vec![Cell::new(entry.means)]));
        self.section("glossary", false, vec![Block::Lines(lines.collect())])
    }
}
