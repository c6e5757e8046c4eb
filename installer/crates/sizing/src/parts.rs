//! What each part needs under a load, and all parts together.

use sealift_bundle::sizing::{PartClass, PartDisk, Placement, SizingModel, SizingPart};
use sealift_profile::Reserved;
use serde::Serialize;

use crate::Input;
use crate::answers::{Answers, Load, guessed};
use crate::words::{self, Figure, Unit, cores, decimal, disk, memory};

/// Bytes that Prometheus takes for a measurement: its documentation says 1 to 2 (prometheus.io, "Storage",
/// operational aspects); what was measured elsewhere lies at 1.8 (Robust Perception).
const BYTES_PER_SAMPLE: u128 = 2;
const MEBIBYTE: u64 = 1 << 20;
const SECONDS_PER_DAY: u128 = 86_400;

/// What one part needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartNeed {
    /// Name in the sizing model.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Sort of work.
    pub class: PartClass,
    /// Copies on the workers; 1 on each host for what runs on every host.
    pub copies: u64,
    /// Whether it runs once on each host. Its processors and memory are then those of one host.
    pub every_host: bool,
    /// Processors of all copies together.
    pub cpu: Figure,
    /// Memory of all copies together.
    pub memory: Figure,
}

/// Needs of one sort of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassNeed {
    /// Sort of work.
    pub class: PartClass,
    /// Thousandths of a processor.
    pub cpu_millicores: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// What a part keeps on disks of workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    pub title: String,
    pub path: String,
    /// Copies, each on a host of its own.
    pub copies: u64,
    /// All copies together, bytes, before any reserve.
    pub bytes: u64,
    pub because: String,
    pub inputs: Vec<String>,
    pub assumed: bool,
}

/// Everything that must find room on workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Demand {
    pub parts: Vec<PartNeed>,
    /// Thousandths of a processor and bytes of memory, without what runs on every host.
    pub cpu: u64,
    pub memory: u64,
    pub pods: u64,
    /// The largest single copy: it must fit into one machine.
    pub largest_cpu: u64,
    pub largest_memory: u64,
    pub largest: String,
    /// What runs on every host, for one host.
    pub host_cpu: u64,
    pub host_memory: u64,
    pub host_pods: u64,
    pub stores: Vec<Store>,
    /// What the site lets each machine keep for itself, in place of the formula's numbers.
    pub reserved: Reserved,
}

impl Demand {
    pub fn new(input: &Input<'_>, answers: &Answers, load: &Load) -> Self {
        let model = input.model;
        let mut demand = Self {
            parts: Vec::new(),
            cpu: 0,
            memory: 0,
            pods: 0,
            largest_cpu: 0,
            largest_memory: 0,
            largest: String::new(),
            host_cpu: 0,
            host_memory: 0,
            host_pods: 0,
            stores: Vec::new(),
            reserved: input.reserved,
        };
        for part in &model.parts {
            demand.add(need(part, model, answers, load));
            demand.stores.extend(part.disk.as_ref().map(|disk| store(part, disk, answers, load)));
        }
        demand
    }

    fn add(&mut self, part: PartNeed) {
        if part.every_host {
            self.host_cpu = self.host_cpu.saturating_add(part.cpu.amount);
            self.host_memory = self.host_memory.saturating_add(part.memory.amount);
            self.host_pods += 1;
        } else {
            self.cpu = self.cpu.saturating_add(part.cpu.amount);
            self.memory = self.memory.saturating_add(part.memory.amount);
            self.pods = self.pods.saturating_add(part.copies);
            let (cpu, memory) =
                (part.cpu.amount.div_ceil(part.copies), part.memory.amount.div_ceil(part.copies));
            if cpu > self.largest_cpu || self.largest.is_empty() {
                self.largest.clone_from(&part.title);
            }
            self.largest_cpu = self.largest_cpu.max(cpu);
            self.largest_memory = self.largest_memory.max(memory);
        }
        self.parts.push(part);
    }

    /// Sums for each sort of work that occurs; what runs on every host is not in them.
    pub fn classes(&self) -> Vec<ClassNeed> {
        let mut classes: Vec<ClassNeed> = Vec::new();
        for part in self.parts.iter().filter(|part| !part.every_host) {
            let (cpu, memory) = (part.cpu.amount, part.memory.amount);
            match classes.iter_mut().find(|class| class.class == part.class) {
                Some(class) => {
                    class.cpu_millicores = class.cpu_millicores.saturating_add(cpu);
                    class.memory_bytes = class.memory_bytes.saturating_add(memory);
                }
                None => {
                    classes.push(ClassNeed { class: part.class, cpu_millicores: cpu, memory_bytes: memory });
                }
            }
        }
        classes.sort_by_key(|class| class.class);
        classes
    }
}

/// Needs that Little's law makes grow, by key.
const LOAD_KEYS: [&str; 5] = ["users", "concurrentPercent", "thinkSeconds", "responseSeconds", "peakFactor"];

fn inputs(part: &SizingPart, keys: &[&str]) -> Vec<String> {
    let needs = keys.iter().map(|key| format!("needs.{key}"));
    needs.chain([format!("parts.{}", part.name)]).collect()
}

fn need(part: &SizingPart, model: &SizingModel, answers: &Answers, load: &Load) -> PartNeed {
    let copies = u64::from(part.copies).max(1);
    let guessed = guessed(part.basis.kind);
    let standing = u64::from(part.cpu_millicores) * copies;
    let busy = u128::from(load.millirequests_per_second) * u128::from(part.cpu_microseconds_per_request);
    // Thousandths of a request × millionths of a second: 10⁻⁹ of a core, wanted in 10⁻³, at so many percent.
    let busy = words::narrow((busy * 100).div_ceil(u128::from(model.busy_percent.max(1)) * 1_000_000));
    let cpu = standing.max(busy);
    let most = part.most_millicores_per_copy.map(u64::from).filter(|most| *most > 0);
    let copies = most.map_or(copies, |most| copies.max(cpu.div_ceil(most)));
    let by_session = u128::from(load.millisessions) * u128::from(part.memory_kibibytes_per_session) * 1024;
    let by_session = words::narrow(by_session.div_ceil(1000));
    let base = (u64::from(part.memory_mebibytes) * MEBIBYTE).saturating_mul(copies);
    let cpu_keys = if busy > standing { &LOAD_KEYS[..] } else { &[] };
    let memory_keys = if by_session > 0 { &LOAD_KEYS[..2] } else { &[] };
    let every_host = part.placement == Placement::EveryHost;
    PartNeed {
        name: part.name.clone(),
        title: part.title.clone(),
        class: part.class,
        copies,
        every_host,
        cpu: Figure {
            amount: cpu,
            unit: Unit::Millicores,
            because: cpu_reason(part, model, load, cpu, busy > standing),
            inputs: inputs(part, cpu_keys),
            assumed: guessed || answers.assumed(cpu_keys),
        },
        memory: Figure {
            amount: base.saturating_add(by_session),
            unit: Unit::Bytes,
            because: memory_reason(part, load, copies, base.saturating_add(by_session)),
            inputs: inputs(part, memory_keys),
            assumed: guessed || answers.assumed(memory_keys),
        },
    }
}

fn cpu_reason(part: &SizingPart, model: &SizingModel, load: &Load, cpu: u64, by_load: bool) -> String {
    let title = capital(&part.title);
    if by_load {
        format!(
            "{title} needs {}: {} requests per second at {} ms of processor time each, on processors that are {} % busy.",
            cores(cpu),
            decimal(load.millirequests_per_second),
            decimal(u64::from(part.cpu_microseconds_per_request)),
            model.busy_percent,
        )
    } else if part.placement == Placement::EveryHost {
        format!("{title} asks for {} on each host.", cores(cpu))
    } else {
        let each = cores(u64::from(part.cpu_millicores));
        format!("{title} asks for {}: {each} {}.", cores(cpu), each_copy(u64::from(part.copies)))
    }
}

fn memory_reason(part: &SizingPart, load: &Load, copies: u64, bytes: u64) -> String {
    let title = capital(&part.title);
    let base = memory(u64::from(part.memory_mebibytes) * MEBIBYTE);
    if part.placement == Placement::EveryHost {
        return format!("{title} asks for {base} on each host.");
    }
    let mut text = format!("{title} needs {}: {base} {}", memory(bytes), each_copy(copies));
    if part.memory_kibibytes_per_session > 0 {
        let people = words::grouped(load.millisessions.div_ceil(1000));
        let each = u64::from(part.memory_kibibytes_per_session);
        let each = if each < 1024 { format!("{each} kB") } else { memory(each * 1024) };
        text = format!("{text}, and {each} for each of {people} people at work");
    }
    text + "."
}

fn each_copy(copies: u64) -> String {
    if copies == 1 { "for its one copy".to_owned() } else { format!("for each of its {copies} copies") }
}

fn store(part: &SizingPart, rule: &PartDisk, answers: &Answers, load: &Load) -> Store {
    let days = rule.retention_days.map_or(load.retention_days, u64::from);
    let share = u128::from(load.bytes_per_day) * u128::from(rule.data_share_percent) / 100;
    let samples = rule.samples.map_or(0, |samples| {
        let a_day = u128::from(samples.series) * SECONDS_PER_DAY * BYTES_PER_SAMPLE;
        a_day.div_ceil(u128::from(samples.every_seconds.max(1)))
    });
    let a_day = share + samples;
    let kept = a_day.saturating_mul(u128::from(days));
    let kept = kept.saturating_mul(100 + u128::from(rule.overhead_percent)).div_ceil(100);
    let fixed = u128::from(rule.fixed_megabytes) * 1_000_000;
    let bytes = words::narrow(kept.saturating_add(fixed).saturating_mul(u128::from(rule.copies)));
    let mut keys = Vec::new();
    if rule.data_share_percent > 0 {
        keys.extend(["dataGigabytesPerDay", "growth.dataPercentPerYear"]);
    }
    if rule.retention_days.is_none() && a_day > 0 {
        keys.push("retentionDays");
    }
    let copies = if rule.copies == 1 { "one copy".to_owned() } else { format!("{} copies", rule.copies) };
    Store {
        title: part.title.clone(),
        path: rule.path.clone(),
        copies: u64::from(rule.copies),
        bytes,
        because: format!(
            "{} keeps {}: {} a day for {days} days, {} % more for indexes and the like, {} from the first day, in {copies}.",
            capital(&part.title),
            disk(bytes),
            disk(words::narrow(a_day)),
            rule.overhead_percent,
            disk(words::narrow(fixed)),
        ),
        assumed: guessed(part.basis.kind) || answers.assumed(&keys),
        inputs: inputs(part, &keys),
    }
}

/// With a capital letter at its start.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
