//! etcd's members as `etcdctl` shows them.

use serde::Deserialize;

use super::unreadable;
use crate::command::Command;
use crate::context::Context;
use crate::protocol::Failure;

const PKI: &str = "/etc/kubernetes/pki/etcd";

/// Members with their health.
#[derive(Debug, Default)]
pub(super) struct Members {
    all: Vec<Member>,
    healthy: Vec<String>,
    alarms: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Member {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "isLearner")]
    learner: bool,
    #[serde(default, rename = "clientURLs")]
    client_urls: Vec<String>,
}

#[derive(Deserialize)]
struct MemberList {
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Health {
    endpoint: String,
    health: bool,
}

impl Members {
    /// Asks this host's etcd for its members, each member for its health, and all for alarms.
    pub(super) fn read(ctx: &Context<'_>) -> Result<Self, Failure> {
        let list = ctx.run(etcdctl("https://127.0.0.1:2379", &["member", "list", "-w", "json"]))?;
        let list: MemberList = serde_json::from_slice(&list.stdout)
            .map_err(|error| unreadable("etcdctl member list", &error))?;
        let urls: Vec<&str> =
            list.members.iter().flat_map(|member| member.client_urls.iter().map(String::as_str)).collect();
        let healthy = if urls.is_empty() { Vec::new() } else { healthy(ctx, &urls.join(","))? };
        let alarms = ctx.run(etcdctl("https://127.0.0.1:2379", &["alarm", "list"]))?;
        let alarms = alarms.text().lines().map(str::to_owned).collect();
        Ok(Self { all: list.members, healthy, alarms })
    }

    /// Number of started, healthy voters.
    pub(super) fn healthy_voters(&self) -> u32 {
        let voters = self.all.iter().filter(|member| self.is_well(member)).count();
        u32::try_from(voters).unwrap_or(u32::MAX)
    }

    /// What is still missing for these names to be healthy voters; `None` when nothing is.
    pub(super) fn missing(&self, names: &[String]) -> Option<String> {
        if !self.alarms.is_empty() {
            return Some(format!("etcd raises an alarm: {}", self.alarms.join(", ")));
        }
        // Later masters may be members already when a finished site is looked at again: others do not count.
        for name in names {
            let Some(member) = self.all.iter().find(|member| &member.name == name) else {
                return Some(format!("{name} is no started etcd member"));
            };
            if member.learner {
                return Some(format!("{name} is still a learner"));
            }
            if !self.is_well(member) {
                return Some(format!("the etcd member {name} is not healthy"));
            }
        }
        None
    }

    fn is_well(&self, member: &Member) -> bool {
        !member.learner
            && !member.name.is_empty()
            && member.client_urls.iter().any(|url| self.healthy.contains(url))
    }
}

/// Endpoints that answer well; an unhealthy one makes etcdctl end with an error but its output still lists all.
fn healthy(ctx: &Context<'_>, endpoints: &str) -> Result<Vec<String>, Failure> {
    let finished = ctx.run_to_end(etcdctl(endpoints, &["endpoint", "health", "-w", "json"]))?;
    let list: Vec<Health> = serde_json::from_slice(&finished.stdout)
        .map_err(|error| unreadable("etcdctl endpoint health", &error))?;
    Ok(list.into_iter().filter(|one| one.health).map(|one| one.endpoint).collect())
}

fn etcdctl(endpoints: &str, args: &[&str]) -> Command {
    Command::new("/usr/local/bin/etcdctl")
        .arg(format!("--endpoints={endpoints}"))
        .arg(format!("--cacert={PKI}/ca.crt"))
        .arg(format!("--cert={PKI}/healthcheck-client.crt"))
        .arg(format!("--key={PKI}/healthcheck-client.key"))
        .args(["--command-timeout=5s", "--dial-timeout=3s"])
        .args(args.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str, healthy: &[&str]) -> Members {
        let list: MemberList = serde_json::from_str(json).unwrap();
        Members {
            all: list.members,
            healthy: healthy.iter().map(ToString::to_string).collect(),
            alarms: Vec::new(),
        }
    }

    const TWO: &str = r#"{"members":[
        {"ID":1,"name":"m1","peerURLs":["https://10.0.0.1:2380"],"clientURLs":["https://10.0.0.1:2379"]},
        {"ID":2,"name":"m2","clientURLs":["https://10.0.0.2:2379"],"isLearner":true}]}"#;

    #[test]
    fn a_learner_is_no_voter() {
        let members = members(TWO, &["https://10.0.0.1:2379", "https://10.0.0.2:2379"]);
        assert_eq!(members.healthy_voters(), 1);
        assert_eq!(members.missing(&["m1".into()]), None);
        assert_eq!(members.missing(&["m1".into(), "m2".into()]).unwrap(), "m2 is still a learner");
    }

    #[test]
    fn a_member_that_never_started_is_named() {
        let members = members(TWO, &[]);
        assert_eq!(members.missing(&["m3".into()]).unwrap(), "m3 is no started etcd member");
        assert_eq!(members.missing(&["m1".into()]).unwrap(), "the etcd member m1 is not healthy");
    }

    #[test]
    fn an_alarm_closes_the_gate() {
        let mut members = members(TWO, &["https://10.0.0.1:2379"]);
        members.alarms.push("memberID:1 alarm:NOSPACE".into());
        assert!(members.missing(&["m1".into()]).unwrap().contains("NOSPACE"));
    }
}
