//! The annex, from the values as they are.

use std::collections::BTreeMap;

use sealift_checks::{Finding, Group, State, Summary, accepted};
use sealift_events::state::RunState;
use sealift_plan::flows;
use sealift_profile::{Host, HostRole, Site};
use sealift_sizing::words::{cores, memory};
use serde_json::Value;

use crate::annex::{Annex, FindingLine, HostLine, MatrixRow, PortLine, VersionLine};
use crate::input::Input;
use crate::report::Risk;

pub(crate) fn annex(input: &Input<'_>, risks: &[Risk]) -> Annex {
    Annex {
        hosts: input.site.hosts.iter().map(|host| host_line(host, input)).collect(),
        summary: input.findings.map(|findings| Summary::of(findings).to_string()),
        findings: findings(input, risks),
        matrix: matrix(input),
        sizing: sizing(input),
        ports: ports(input.site),
        versions: versions(input),
        digests: digests(input),
        run: run(input),
        profile: profile(input.site),
    }
}

fn role(role: HostRole) -> &'static str {
    match role {
        HostRole::ControlPlane => "control plane",
        HostRole::Worker => "worker",
    }
}

fn host_line(host: &Host, input: &Input<'_>) -> HostLine {
    let facts = input.facts.get(&host.name);
    HostLine {
        name: host.name.clone(),
        address: host.address.to_string(),
        role: role(host.role).to_owned(),
        system: facts.map(|facts| facts.os.name.clone()).unwrap_or_default(),
        size: facts
            .map(|facts| format!("{}, {}", cores(u64::from(facts.cpus) * 1000), memory(facts.memory_bytes)))
            .unwrap_or_default(),
    }
}

/// Findings that are not as they should be; hosts of which the same was found stand together.
fn findings(input: &Input<'_>, risks: &[Risk]) -> Vec<FindingLine> {
    let speaks = |finding: &&Finding| !matches!(finding.state, State::Pass | State::NotRun);
    let mut lines: Vec<FindingLine> = Vec::new();
    for finding in input.findings.unwrap_or_default().iter().filter(speaks) {
        let host = finding.host.clone();
        let same = |line: &&mut FindingLine| {
            line.check == finding.check
                && line.measured == finding.measured
                && line.remedy == finding.remedy
                && line.state == mark_word(finding, input.site)
        };
        if let Some(line) = lines.iter_mut().find(same) {
            line.hosts.extend(host);
            continue;
        }
        let risk = risks.iter().find(|risk| {
            risk.checks.iter().any(|check| check == finding.check)
                && (host.is_none() || host.as_ref().is_some_and(|host| risk.hosts.contains(host)))
        });
        lines.push(FindingLine {
            check: finding.check.to_owned(),
            title: finding.title.to_owned(),
            risk: risk.map(|risk| risk.id.clone()).unwrap_or_default(),
            hosts: host.into_iter().collect(),
            state: mark_word(finding, input.site).to_owned(),
            measured: finding.measured.clone(),
            limit: finding.threshold.clone(),
            why: finding.why.clone(),
            remedy: finding.remedy.clone(),
        });
    }
    lines
}

fn mark_word(finding: &Finding, site: &Site) -> &'static str {
    if accepted(finding, site) { "accepted" } else { finding.state.word() }
}

/// The gravest of each group and host.
fn matrix(input: &Input<'_>) -> Vec<MatrixRow> {
    let Some(found) = input.findings else { return Vec::new() };
    let mut marks: BTreeMap<(Group, Option<&str>), (u8, char)> = BTreeMap::new();
    for finding in found {
        let mark = match finding.state {
            State::NotRun => (0, '-'),
            State::Pass => (1, '.'),
            State::Warn => (2, 'W'),
            State::Fail if accepted(finding, input.site) => (3, 'A'),
            State::Blocked => (4, 'B'),
            State::Error => (5, '?'),
            State::Fail => (6, 'F'),
        };
        let place = marks.entry((finding.group, finding.host.as_deref())).or_insert(mark);
        *place = (*place).max(mark);
    }
    let mark = |group: Group, host: Option<&str>| marks.get(&(group, host)).map_or(' ', |(_, mark)| *mark);
    let row = |group: Group| MatrixRow {
        group: group.title().to_owned(),
        marks: input
            .site
            .hosts
            .iter()
            .map(|host| mark(group, Some(&host.name)))
            .chain([mark(group, None)])
            .collect(),
    };
    Group::ALL.into_iter().map(row).filter(|row| row.marks.iter().any(|mark| *mark != ' ')).collect()
}

/// Sentences of the advised machines and of those for later.
fn sizing(input: &Input<'_>) -> Vec<String> {
    let sizing = match input.sizing {
        Ok(sizing) => sizing,
        Err(error) => return vec![error.to_string()],
    };
    let mut said = Vec::new();
    for tier in sizing.tiers.iter().skip(1) {
        said.extend(
            tier.parts.iter().flat_map(|part| [part.cpu.because.clone(), part.memory.because.clone()]),
        );
        for machines in [&tier.workers, &tier.masters] {
            said.extend([machines.count.because.clone(), machines.because.clone()]);
        }
        said.extend(
            tier.disks
                .iter()
                .map(|need| format!("{} ({}): {}", need.path, role(need.role), need.size.because)),
        );
    }
    said.push(sizing.cross_check.text.clone());
    said.extend(sizing.remarks.iter().map(|remark| remark.text.clone()));
    let mut seen = std::collections::BTreeSet::new();
    said.retain(|sentence| seen.insert(sentence.clone()));
    said
}

fn ports(site: &Site) -> Vec<PortLine> {
    let mut lines = Vec::new();
    for host_role in [HostRole::ControlPlane, HostRole::Worker] {
        if !site.hosts.iter().any(|host| host.role == host_role) {
            continue;
        }
        for part in flows::parts_of(host_role, &site.etcd) {
            lines.extend(flows::listening(part, &site.cluster).into_iter().map(|one| PortLine {
                on: role(host_role).to_owned(),
                protocol: one.protocol.name().to_owned(),
                port: one.port,
                listener: one.listener.to_owned(),
                from: one.from.words().to_owned(),
                purpose: one.purpose.to_owned(),
            }));
        }
    }
    lines
}

fn versions(input: &Input<'_>) -> Vec<VersionLine> {
    let document = input.document;
    let line = |name: &str, version: &str, digest: &str| VersionLine {
        name: name.to_owned(),
        version: version.to_owned(),
        digest: digest.to_owned(),
    };
    let files = document.files.iter().map(|file| line(&file.path, &file.version, &file.plain_digest));
    let charts = document
        .charts
        .iter()
        .map(|chart| line(&format!("chart {}", chart.name), &chart.version, &chart.digest));
    let images = document.images.iter().map(|image| {
        let (name, tag) = image.name.rsplit_once(':').unwrap_or((&image.name, ""));
        line(name, tag, &image.digest)
    });
    images.chain(charts).chain(files).collect()
}

fn digests(input: &Input<'_>) -> Vec<(String, String)> {
    let mut digests = vec![
        (
            "bundle".to_owned(),
            format!(
                "{} {} (serial {})",
                input.document.product.title, input.document.product.version, input.document.product.serial
            ),
        ),
        ("bundle index".to_owned(), input.bundle.index.clone()),
        ("signing key".to_owned(), input.bundle.key.clone()),
        ("Kubernetes".to_owned(), input.document.kubernetes.version.clone()),
    ];
    if let Some(plan) = input.plan {
        digests.push(("plan".to_owned(), plan.digest()));
        digests.push(("plan, length".to_owned(), format!("{} steps", plan.steps.len())));
    }
    digests
}

/// How the run stands, and where it failed.
fn run(input: &Input<'_>) -> Vec<String> {
    let Some(records) = input.run else { return Vec::new() };
    let state = RunState::fold(records);
    let mut said = vec![format!("run {}: {} of {} steps done", state.run, state.done(), state.steps)];
    for (name, host) in &state.hosts {
        said.push(format!("{name}: {} steps, {} of them changed something", host.done, host.changed));
    }
    for (step, failure) in &state.failures {
        said.push(format!(
            "{step}: {}",
            [std::slice::from_ref(&failure.message), &failure.causes].concat().join(": ")
        ));
    }
    said
}

/// References stay; sealed text is of no use to a reader.
fn profile(site: &Site) -> String {
    // A site is maps, lists, texts and numbers: it can be written.
    let mut value = serde_json::to_value(site).unwrap_or_default();
    hide_sealed(&mut value);
    serde_yaml::to_string(&value).unwrap_or_default()
}

fn hide_sealed(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(text) if key == "sealed" && text.contains("BEGIN AGE") => {
                        "(sealed text, not shown)".clone_into(text);
                    }
                    other => hide_sealed(other),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(hide_sealed),
        _ => {}
    }
}
