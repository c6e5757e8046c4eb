//! The shipped profiles that no lab is installed by, planned on the hosts of a lab.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Test;
use crate::lab::{HostSpec, Role};
use crate::programs;
use crate::test::Context;

/// Those that other tests install have labs of their own.
const PROFILES: [&str; 5] = ["small", "standard", "large", "pre-release", "test"];

/// On hosts whose disks are as the largest site wants them.
pub const TESTS: &[Test] = &[Test::fresh("shipped::the_other_profiles_plan_on_hosts", plan_here)];

/// Each becomes a site of this lab, as a customer makes it one: as many of its hosts as there are here, with their
/// addresses, and this seat's way to log in. All else stays as it was shipped.
fn plan_here(context: &Context<'_>) -> Result<()> {
    let here = |role| -> Vec<&HostSpec> { context.lab.hosts().filter(|host| host.role == role).collect() };
    let (masters, workers) = (here(Role::Master), here(Role::Worker));
    let demo = read("demo")?;
    for name in PROFILES {
        let mut site = read(name)?;
        site["access"] = demo["access"].clone();
        site["product"]["secrets"] = demo["product"]["secrets"].clone();
        let hosts = site["hosts"].as_array().with_context(|| format!("{name} has no hosts"))?;
        let hosts = [at(hosts, "control-plane", &masters), at(hosts, "worker", &workers)].concat();
        let names: Vec<String> =
            hosts.iter().filter_map(|host| host["name"].as_str().map(str::to_owned)).collect();
        site["hosts"] = Value::Array(hosts);
        let (profile, plan) = (format!("{name}-here.yaml"), format!("{name}-here.json"));
        let home = context.lab.seat_home();
        // JSON is YAML, too.
        fs::write(home.join(&profile), site.to_string())?;
        let words = ["plan", "--bundle", "orders.bundle", "--profile", &profile, "--write", &plan];
        context.installer(&words)?.expect_code(0).with_context(|| format!("planning {name}"))?;
        let plan = fs::read(home.join(&plan)).with_context(|| format!("no plan of {name}"))?;
        let plan: Value = serde_json::from_slice(&plan).with_context(|| format!("the plan of {name}"))?;
        let planned: Vec<&str> = plan["changes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|host| host["host"].as_str())
            .collect();
        ensure!(planned == names, "the plan of {name} is for {planned:?} and not for {names:?}");
        context.note(format!("{name}: {} hosts", names.len()));
    }
    Ok(())
}

fn read(name: &str) -> Result<Value> {
    let path = programs::checkout().join("profiles").join(name).with_extension("yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_yaml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
}

/// Hosts of a profile on hosts of the lab, as far as there are some of both.
fn at(hosts: &[Value], role: &str, here: &[&HostSpec]) -> Vec<Value> {
    let mut found: Vec<Value> = hosts.iter().filter(|host| host["role"] == role).cloned().collect();
    found.truncate(here.len());
    for (host, spec) in found.iter_mut().zip(here) {
        host["address"] = spec.address.to_string().into();
        // The account is that of all hosts.
        if let Some(host) = host.as_object_mut() {
            host.remove("password");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::LabSpec;

    #[test]
    fn every_shipped_profile_is_installed_or_planned() {
        let mut named: Vec<&str> =
            PROFILES.into_iter().chain(["demo", "external-services", "hardened"]).collect();
        named.sort_unstable();
        let folder = fs::read_dir(programs::checkout().join("profiles")).unwrap();
        let files = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut shipped: Vec<String> =
            files.filter_map(|file| file.strip_suffix(".yaml").map(str::to_owned)).collect();
        shipped.sort_unstable();
        assert_eq!(shipped, named);
    }

    #[test]
    fn no_more_hosts_than_there_are_keep_their_names_and_get_addresses() {
        let spec = LabSpec::standard(0);
        let masters: Vec<&HostSpec> = spec.hosts.iter().filter(|host| host.role == Role::Master).collect();
        let large = read("large").unwrap();
        let hosts = at(large["hosts"].as_array().unwrap(), "control-plane", &masters);
        assert_eq!(hosts.len(), 3);
        assert_eq!((&hosts[2]["name"], &hosts[2]["address"]), (&"m3".into(), &"10.77.0.13".into()));
        assert_eq!(hosts[2]["placement"]["zone"], "c");
    }
}
