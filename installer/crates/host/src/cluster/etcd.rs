//! The databases' folders, and etcd's members as `etcdctl` shows them.

use std::path::Path;
use std::time::Duration;

use sealift_plan::operation::DirectorySpec;
use serde::Deserialize;

use super::api_server::arguments;
use super::{changed, unchanged, unreadable};
use crate::command::Command;
use crate::context::Context;
use crate::file;
use crate::operation::directories;
use crate::protocol::{Failure, FailureKind, Outcome};

/// Who asks: to all databases the same client, which the authority of the cluster's own one signed.
const CLIENT: &str = "/etc/kubernetes/pki/etcd/healthcheck-client";
const MANIFESTS: &str = "/etc/kubernetes/manifests";

/// A database and how it is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Database {
    /// Where this host's member listens.
    own: &'static str,
    /// The authority that vouches for its members.
    authority: &'static str,
}

/// The cluster's own database.
pub(super) const CLUSTER: Database =
    Database { own: "https://127.0.0.1:2379", authority: "/etc/kubernetes/pki/etcd/ca.crt" };

/// That of events. No client certificate is its own: `sealift_render::events` says why.
pub(super) const EVENTS: Database =
    Database { own: "https://127.0.0.1:2382", authority: "/etc/kubernetes/pki/etcd-events/ca.crt" };

impl Database {
    /// `etcdctl` that asks these members, one or several URLs.
    pub(super) fn etcdctl(&self, endpoints: &str, args: &[&str]) -> Command {
        self.client(endpoints).arg("--command-timeout=5s").args(args.iter().copied())
    }

    /// `etcdctl` that fails soon where this host's member does not answer, a quorum or not.
    pub(super) fn own_status(&self) -> Command {
        self.etcdctl(self.own, &["endpoint", "status"])
    }

    /// `etcdctl` that writes a snapshot of this host's member. All of the database comes: for that there is more time.
    pub(super) fn save_snapshot(&self, file: &Path, limit: Duration) -> Command {
        let save = ["snapshot".to_owned(), "save".to_owned(), file.display().to_string()];
        self.client(self.own).args(save).timeout(limit)
    }

    fn client(&self, endpoints: &str) -> Command {
        Command::new("/usr/local/bin/etcdctl")
            .arg(format!("--endpoints={endpoints}"))
            .arg(format!("--cacert={}", self.authority))
            .arg(format!("--cert={CLIENT}.crt"))
            .arg(format!("--key={CLIENT}.key"))
            .arg("--dial-timeout=3s")
    }
}

/// Makes a database's folder; refuses where the database runs with another.
pub(super) fn prepare(ctx: &Context<'_>, pod: &str, directory: &DirectorySpec) -> Result<Outcome, Failure> {
    let manifest = format!("{MANIFESTS}/{pod}.yaml");
    if let Some(text) = file::read_text_if_exists(&ctx.paths().host(&manifest))?
        && let Some(folder) = arguments(&text).get("data-dir")
        && *folder != directory.path
    {
        let message =
            format!("the data of {pod} stand in {folder}, and the profile comes to {}", directory.path);
        return Err(Failure::new(FailureKind::Conflict, message).hint(
            "what stands under `etcd:` in the profile is chosen when a cluster is installed: write the folder as it was",
        ));
    }
    if directories::ensure(ctx, directory)? {
        return Ok(changed(format!("{} is there for root alone", directory.path)));
    }
    Ok(unchanged("the folder is as wanted"))
}

/// Members with their health.
#[derive(Debug, Default)]
pub(super) struct Members {
    all: Vec<Member>,
    healthy: Vec<String>,
    alarms: Vec<String>,
}

/// One member. Only those that have started have a name.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Member {
    #[serde(rename = "ID")]
    pub(super) id: u64,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, rename = "isLearner")]
    pub(super) learner: bool,
    #[serde(default, rename = "peerURLs")]
    pub(super) peer_urls: Vec<String>,
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
    /// Asks this host's member of a database for all members, each member for its health, and all for alarms.
    pub(super) fn read(ctx: &Context<'_>, database: Database) -> Result<Self, Failure> {
        let all = list(ctx, database, database.own)?;
        let urls: Vec<&str> =
            all.iter().flat_map(|member| member.client_urls.iter().map(String::as_str)).collect();
        let healthy = if urls.is_empty() { Vec::new() } else { healthy(ctx, database, &urls.join(","))? };
        let alarms = ctx.run(database.etcdctl(database.own, &["alarm", "list"]))?;
        let alarms = alarms.text().lines().map(str::to_owned).collect();
        Ok(Self { all, healthy, alarms })
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

/// Asks these members for all members.
pub(super) fn list(ctx: &Context<'_>, database: Database, endpoints: &str) -> Result<Vec<Member>, Failure> {
    let list = ctx.run(database.etcdctl(endpoints, &["member", "list", "-w", "json"]))?;
    let list: MemberList =
        serde_json::from_slice(&list.stdout).map_err(|error| unreadable("etcdctl member list", &error))?;
    Ok(list.members)
}

/// Endpoints that answer well; an unhealthy one makes etcdctl end with an error but its output still lists all.
fn healthy(ctx: &Context<'_>, database: Database, endpoints: &str) -> Result<Vec<String>, Failure> {
    let finished = ctx.run_to_end(database.etcdctl(endpoints, &["endpoint", "health", "-w", "json"]))?;
    let list: Vec<Health> = serde_json::from_slice(&finished.stdout)
        .map_err(|error| unreadable("etcdctl endpoint health", &error))?;
    Ok(list.into_iter().filter(|one| one.health).map(|one| one.endpoint).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::context::testing::Recorder;
    use crate::journal::Journal;
    use crate::paths::Paths;

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
    fn the_folder_is_made_once_and_data_are_never_left_behind() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let owner = fs::metadata(root.path()).unwrap();
        let folder = |path: &str| DirectorySpec {
            path: path.to_owned(),
            mode: 0o700,
            uid: owner.uid(),
            gid: owner.gid(),
        };
        assert!(prepare(&ctx, "etcd", &folder("/data/etcd")).unwrap().changed);
        assert_eq!(fs::metadata(paths.host("/data/etcd")).unwrap().mode() & 0o777, 0o700);
        let manifest = paths.host("/etc/kubernetes/manifests/etcd.yaml");
        fs::create_dir_all(manifest.parent().unwrap()).unwrap();
        fs::write(manifest, "  - command:\n    - etcd\n    - --data-dir=/data/etcd\n").unwrap();
        assert!(!prepare(&ctx, "etcd", &folder("/data/etcd")).unwrap().changed);

        let failure = prepare(&ctx, "etcd", &folder("/var/lib/etcd")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(failure.message.contains("stand in /data/etcd"), "{failure:?}");
        assert!(!paths.host("/var/lib/etcd").exists());
        let changes = format!("{:?}", Journal::new(&paths).entries().unwrap());
        assert!(changes.contains("/data/etcd") && !changes.contains("/var/lib/etcd"), "{changes}");
    }

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
