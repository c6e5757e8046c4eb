//! Machines from a table, as spreadsheets save it.

use sealift_profile::HostRole;

use crate::shape::{GivenHost, Shape};

/// Columns that must be there, with what stands in them.
const NEEDED: [&str; 2] = ["cpus", "memoryGiB"];
/// Columns that may be there.
const OPTIONAL: [&str; 3] = ["name", "role", "diskGiB"];

/// Reads machines from comma-, semicolon- or tab-separated text whose first line names the columns `name`, `role`
/// (`master` or `worker`), `cpus`, `memoryGiB`, `diskGiB`; the others are left alone. Empty lines and lines that start
/// with `#` do not count. Every finding comes with its line, all together.
pub fn hosts_from_csv(text: &str) -> Result<Vec<GivenHost>, Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_end()))
        .filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let Some((number, header)) = lines.next() else {
        return Err(vec!["there is no line in it: the first names the columns".to_owned()]);
    };
    let separator = [';', '\t'].into_iter().find(|mark| header.contains(*mark)).unwrap_or(',');
    let names: Vec<&str> = header.split(separator).map(plain).collect();
    let column = |name: &str| names.iter().position(|found| found.eq_ignore_ascii_case(name));
    let missing: Vec<&str> = NEEDED.into_iter().filter(|name| column(name).is_none()).collect();
    if !missing.is_empty() {
        let known = [&NEEDED[..], &OPTIONAL[..]].concat().join(", ");
        return Err(vec![format!(
            "line {number}: there is no column {}; columns are {known}",
            missing.join(" and none ")
        )]);
    }
    let mut hosts = Vec::new();
    let mut findings = Vec::new();
    for (number, line) in lines {
        let cells: Vec<&str> = line.split(separator).map(plain).collect();
        let cell = |name: &str| column(name).and_then(|at| cells.get(at)).copied().unwrap_or_default();
        match host(&cell) {
            Ok(host) => hosts.push(host),
            Err(wrong) => findings.extend(wrong.into_iter().map(|what| format!("line {number}: {what}"))),
        }
    }
    if hosts.is_empty() && findings.is_empty() {
        findings.push("there is no machine below the columns' names".to_owned());
    }
    if findings.is_empty() { Ok(hosts) } else { Err(findings) }
}

/// Without blanks and quotes around.
fn plain(cell: &str) -> &str {
    let cell = cell.trim();
    cell.strip_prefix('"').and_then(|cell| cell.strip_suffix('"')).unwrap_or(cell).trim()
}

fn host<'a>(cell: &dyn Fn(&str) -> &'a str) -> Result<GivenHost, Vec<String>> {
    let mut wrong = Vec::new();
    let mut number = |name: &str, most: u32| {
        let found = cell(name).parse::<u32>().ok().filter(|number| (1..=most).contains(number));
        if found.is_none() {
            wrong.push(format!("`{}` in {name} is no whole number from 1 to {most}", cell(name)));
        }
        found.unwrap_or(1)
    };
    let shape = Shape::new(number("cpus", 1024), number("memoryGiB", 65_536));
    let disk_bytes = (!cell("diskGiB").is_empty()).then(|| u64::from(number("diskGiB", 1_048_576)) << 30);
    let role = match cell("role").to_ascii_lowercase().as_str() {
        "" => None,
        "master" | "control-plane" => Some(HostRole::ControlPlane),
        "worker" => Some(HostRole::Worker),
        other => {
            wrong.push(format!("`{other}` in role is neither `master` nor `worker`"));
            None
        }
    };
    let name = cell("name").to_owned();
    if wrong.is_empty() { Ok(GivenHost { name, role, shape, disk_bytes }) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_spreadsheets_are_read() {
        let comma = "name,rack,cpus,memoryGiB,diskGiB,role\nm1,a,4,16,100,master\n# old\n\nw1,b,8,32,,\n";
        let hosts = hosts_from_csv(comma).unwrap();
        assert_eq!(hosts.len(), 2);
        assert_eq!((hosts[0].role, hosts[0].disk_bytes), (Some(HostRole::ControlPlane), Some(100 << 30)));
        assert_eq!((hosts[1].role, hosts[1].shape, hosts[1].disk_bytes), (None, Shape::new(8, 32), None));
        let semicolon = "\u{feff}CPUs;MemoryGiB\r\n\"8\";\"32\"\r\n";
        assert_eq!(hosts_from_csv(semicolon).unwrap()[0].shape, Shape::new(8, 32));
    }

    #[test]
    fn every_wrong_cell_is_named_with_its_line() {
        let text = "name,role,cpus,memoryGiB\nw1,boss,x,16\nw2,,4,0\n";
        assert_eq!(
            hosts_from_csv(text).unwrap_err(),
            [
                "line 2: `x` in cpus is no whole number from 1 to 1024",
                "line 2: `boss` in role is neither `master` nor `worker`",
                "line 3: `0` in memoryGiB is no whole number from 1 to 65536",
            ]
        );
        let missing = hosts_from_csv("name,cpu\nw1,4\n").unwrap_err();
        assert!(
            missing[0].starts_with("line 1: there is no column cpus and none memoryGiB; columns are"),
            "{missing:?}"
        );
        assert_eq!(hosts_from_csv("\n").unwrap_err().len(), 1);
        assert_eq!(hosts_from_csv("cpus,memoryGiB\n").unwrap_err().len(), 1);
    }
}
