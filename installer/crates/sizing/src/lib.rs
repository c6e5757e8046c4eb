//! Needs and the bundle's sizing model to machines, each number with its reason.
//!
//! **Purpose.** Answer two questions of people who buy machines: *what do I need?* ([`sizing`]) and *does what I have
//! suffice, and for how many people?* ([`judge`]). What the product costs comes from the bundle's model, never from here.
//!
//! **Must not know.** Hosts' facts, SSH, plans, displays, files, the clock. It calculates in whole thousandths of a
//! processor and whole bytes, rounds needs up and room down, and saturates where input is absurd.
//!
//! **Main types in order of use.**
//! 1. [`Input`]: needs, model, bytes of the bundle, overrides, sizes to choose from.
//! 2. [`Sizing`]: answers (assumed ones marked), load, three [`Tier`]s, remarks.
//! 3. [`Figure`]: a number, the sentence that explains it, its inputs.
//! 4. [`judge`] and [`Verdict`]: given machines against the same needs.
//! 5. [`system_paths`]: what the system takes on a machine's disks, at the least and advised; also for the checks.
//! 6. [`node_overhead`]: what a node keeps for itself, also for the kubelet's settings.
//!
//! **How it calculates.** People at work follow from people with an account, requests per second from Little's law, growth
//! multiplies load and data year by year. Each part needs the larger of what it asks for at rest and what the load costs.
//! A machine has room for the product after the node's own overhead, what runs on every host, and 15 % in reserve. There
//! are as many machines as processors, memory and pods each ask for, one more so that any may fail, and no fewer than
//! copies need. One size is chosen for all tiers: the one with which the machines for the years to come cost least.

mod answers;
pub mod disks;
pub mod fit;
pub mod hosts;
pub mod masters;
pub mod overhead;
mod parts;
pub mod shape;
mod table;
mod tier;
pub mod words;

use sealift_bundle::document::BundleDocument;
use sealift_bundle::sizing::SizingModel;
use sealift_profile::{Etcd, Needs, Reserved, SizingOverrides};
use serde::Serialize;

pub use answers::{Answer, CrossCheck, Load};
pub use disks::{BundleBytes, HostBytes, PathNeed, SystemPath, system_paths};
pub use fit::{Resource, Room, Shortfall};
pub use hosts::{AssignedHost, TierVerdict, Verdict, judge};
pub use overhead::{NodeOverhead, node_overhead};
pub use parts::{ClassNeed, PartNeed};
pub use shape::{GivenHost, Shape, ShapeError, memory_as_sold, usual_shapes};
pub use table::hosts_from_csv;
pub use tier::{Binding, Machines, Slack, Tier, TierKind};
pub use words::{Figure, Unit};

use answers::{Answers, cross_check, guessed, load};

/// Why there is no sizing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizingError {
    /// The bundle's vendor gave no model.
    #[error("the bundle does not say what {product} needs")]
    NoModel {
        /// Product and version.
        product: String,
    },
    /// A part does not fit into any machine to choose from.
    #[error("one copy of {part} needs {need}: no machine to choose from has that free")]
    NothingFits {
        /// Title of the part.
        part: String,
        /// What one copy needs, in words.
        need: String,
    },
    /// More machines than a cluster may have.
    #[error("that takes {machines}; one cluster may have 5,000")]
    TooMany {
        /// How many at the least, in words.
        machines: String,
    },
    /// There is no machine to judge.
    #[error("no machine was given")]
    NoHosts,
}

/// What is calculated from.
#[derive(Debug, Clone)]
pub struct Input<'a> {
    /// What the site told, within its ranges ([`Needs::findings`]).
    pub needs: &'a Needs,
    /// What the product costs.
    pub model: &'a SizingModel,
    /// Bytes that end up on disks.
    pub bytes: BundleBytes,
    /// What the site decides itself.
    pub overrides: SizingOverrides,
    /// Sizes of machines to choose from; the site's own where it decides that.
    pub shapes: Vec<Shape>,
    /// What each machine keeps for itself, where the site decides that: the nodes will keep the same.
    pub reserved: Reserved,
    /// Where masters keep the cluster's database.
    pub etcd: Etcd,
}

impl<'a> Input<'a> {
    /// For a bundle; where `shapes` is empty, among [`usual_shapes`]. Each machine keeps what the formula says, the
    /// database stands at its usual place.
    pub fn new(
        document: &'a BundleDocument,
        needs: &'a Needs,
        overrides: SizingOverrides,
        shapes: Vec<Shape>,
    ) -> Result<Self, SizingError> {
        let product = || format!("{} {}", document.product.title, document.product.version);
        let model = document.sizing.as_ref().ok_or_else(|| SizingError::NoModel { product: product() })?;
        let given = overrides.machine.as_ref().map(|one| Shape::new(one.cpus, one.memory_gigabytes));
        let shapes = match given {
            Some(shape) => vec![shape],
            None if shapes.is_empty() => usual_shapes(),
            None => shapes,
        };
        let (bytes, reserved, etcd) = (BundleBytes::of(document), Reserved::default(), Etcd::default());
        Ok(Self { needs, model, bytes, overrides, shapes, reserved, etcd })
    }
}

/// What the site needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sizing {
    /// Every answer, assumed ones first.
    pub answers: Vec<Answer>,
    /// Our requests per second beside a published rule.
    pub cross_check: CrossCheck,
    /// Minimum, recommended, with growth; all with machines of one size.
    pub tiers: Vec<Tier>,
    /// Numbers that the site decided, with reasons.
    pub overridden: Vec<Overridden>,
    /// What one should know before relying on the numbers.
    pub remarks: Vec<Remark>,
}

impl Sizing {
    /// One of the tiers.
    #[must_use]
    pub fn tier(&self, kind: TierKind) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.kind == kind)
    }
}

/// A number that the site decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overridden {
    /// Key in the profile, e.g. `sizing.workers`.
    pub key: String,
    /// What was decided, in words.
    pub value: String,
    /// What was calculated for the recommended tier, in words.
    pub calculated: String,
    /// The site's reason.
    pub reason: String,
}

/// A weakness that a number does not show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remark {
    /// Sort, for machines: `load-unusual`, `single-copy`, `beyond-table`, `does-not-hold`, `model-assumed`.
    pub id: &'static str,
    /// One or two sentences.
    pub text: String,
}

/// What a site needs.
pub fn sizing(input: &Input<'_>) -> Result<Sizing, SizingError> {
    let answers = Answers::new(input.needs, input.model);
    let shape = tier::choose(input, &answers)?;
    let tiers: Result<Vec<Tier>, SizingError> =
        TierKind::ALL.into_iter().map(|kind| tier::tier(kind, input, &answers, shape)).collect();
    let tiers = tiers?;
    let check = cross_check(&answers, &load(&answers, 0));
    Ok(Sizing {
        remarks: remarks(input, &answers, &tiers, &check),
        overridden: overridden(input)?,
        cross_check: check,
        tiers,
        answers: {
            let mut list = answers.list;
            list.sort_by_key(|answer| !answer.assumed);
            list
        },
    })
}

fn overridden(input: &Input<'_>) -> Result<Vec<Overridden>, SizingError> {
    let given = &input.overrides;
    if *given == SizingOverrides::default() {
        return Ok(Vec::new());
    }
    // What there would be without the site's decisions.
    let shapes = if given.machine.is_some() { usual_shapes() } else { input.shapes.clone() };
    let free = Input { overrides: SizingOverrides::default(), shapes, ..input.clone() };
    let free = sizing(&free)?;
    let Some(tier) = free.tier(TierKind::Recommended) else { return Ok(Vec::new()) };
    let mut list = Vec::new();
    let counts = [
        ("sizing.workers", &given.workers, tier.workers.count.amount),
        ("sizing.masters", &given.masters, tier.masters.count.amount),
    ];
    for (key, given, calculated) in counts {
        list.extend(given.as_ref().map(|given| Overridden {
            key: key.to_owned(),
            value: words::machines(u64::from(given.count)),
            calculated: words::machines(calculated),
            reason: given.reason.clone(),
        }));
    }
    list.extend(given.machine.as_ref().map(|machine| Overridden {
        key: "sizing.machine".to_owned(),
        value: Shape::new(machine.cpus, machine.memory_gigabytes).to_string(),
        calculated: tier.workers.shape.to_string(),
        reason: machine.reason.clone(),
    }));
    Ok(list)
}

fn remarks(input: &Input<'_>, answers: &Answers, tiers: &[Tier], check: &CrossCheck) -> Vec<Remark> {
    let mut list = Vec::new();
    for tier in tiers.iter().filter(|tier| !tier.one_down.is_empty()) {
        let when = match tier.kind {
            TierKind::Minimum => "at least",
            TierKind::Recommended => "today",
            TierKind::WithGrowth => "in the years to come",
        };
        let lacks: Vec<&str> = tier.one_down.iter().map(|lack| lack.text.as_str()).collect();
        let text = format!(
            "The number of machines that the site decided does not hold what is needed {when}: {}",
            lacks.join(" ")
        );
        list.push(Remark { id: "does-not-hold", text });
    }
    for part in input
        .model
        .parts
        .iter()
        .filter(|part| answers.spare && part.disk.as_ref().is_some_and(|disk| disk.copies == 1))
    {
        let text = format!(
            "{} keeps its data once, on one machine. While that machine is down it stands still; if the machine is lost for good, its data come back from a backup.",
            parts::capital(&part.title)
        );
        list.push(Remark { id: "single-copy", text });
    }
    if !check.agrees {
        list.push(Remark { id: "load-unusual", text: check.text.clone() });
    }
    if tiers.iter().any(|tier| tier.workers.count.amount > masters::MOST_WORKERS) {
        let text = format!(
            "More than {} machines that work: nobody publishes sizes for that. Talk to your vendor.",
            masters::MOST_WORKERS
        );
        list.push(Remark { id: "beyond-table", text });
    }
    let guesses: Vec<&str> = input
        .model
        .parts
        .iter()
        .filter(|part| guessed(part.basis.kind))
        .map(|part| part.title.as_str())
        .collect();
    if !guesses.is_empty() {
        let text =
            format!("Your vendor has not measured but assumed what these need: {}.", guesses.join(", "));
        list.push(Remark { id: "model-assumed", text });
    }
    list
}
