//! This master's member: its static pod, and its way from a learner to a voter.
//!
//! Every attempt begins by asking the members that stand already, so a run that was killed anywhere goes on where it was:
//! a member that was added is not added again, one that votes is left alone.

use std::time::{Duration, Instant};

use sealift_plan::operation::EventsMemberSpec;

use super::super::etcd::{EVENTS, Member, list};
use super::super::{changed, unchanged};
use crate::context::Context;
use crate::journal::Change;
use crate::protocol::{Failure, FailureKind, Outcome};

/// Longest wait for the member to vote: twice kubeadm's limit for a control plane.
const LIMIT: Duration = Duration::from_mins(8);
const PAUSE: Duration = Duration::from_secs(1);

/// What is next for a member.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// The others must hear of it.
    Add,
    /// It does not run yet.
    Start,
    /// It runs and follows; the others may let it vote.
    Promote(u64),
    /// Nothing.
    Votes,
}

/// Makes this master's member run, and where others stand before it, makes it one of their voters.
pub(in super::super) fn join(ctx: &Context<'_>, spec: &EventsMemberSpec) -> Result<Outcome, Failure> {
    if spec.ask.is_empty() {
        let wrote = write(ctx, spec)?;
        return Ok(if wrote { changed("the first member's pod") } else { unchanged("in place") });
    }
    let started = Instant::now();
    let mut did: Vec<&str> = Vec::new();
    loop {
        let reason = match advance(ctx, spec, &mut did) {
            Ok(None) if did.is_empty() => return Ok(unchanged("votes already")),
            Ok(None) => return Ok(changed(did.join(", "))),
            Ok(Some(reason)) => reason,
            // Members that have just seen one more, or elect a leader, refuse for moments.
            Err(failure) if failure.kind == FailureKind::Command => {
                failure.log.last().cloned().unwrap_or(failure.message)
            }
            Err(failure) => return Err(failure),
        };
        if started.elapsed() > LIMIT {
            let message = format!("{} is no voter of the database of events", spec.name);
            return Err(Failure::new(FailureKind::Timeout, message).cause(reason).hint(
                "see on the host what its pod says: crictl logs, or /var/log/pods/kube-system_etcd-events-*",
            ));
        }
        ctx.still_wanted()?;
        ctx.progress(format!("waiting: {reason}"), 0, 0);
        std::thread::sleep(PAUSE);
    }
}

/// Does what is next. Gives what is waited for; nothing where the member votes.
fn advance(
    ctx: &Context<'_>,
    spec: &EventsMemberSpec,
    did: &mut Vec<&'static str>,
) -> Result<Option<String>, Failure> {
    let endpoints = spec.ask.join(",");
    match next(&list(ctx, EVENTS, &endpoints)?, &spec.peer_url) {
        Next::Add => {
            // As a learner: one that never comes up takes no quorum from the others.
            ctx.record(Change::Command { command: format!("etcdctl member add: {}", spec.peer_url) })?;
            let peer = format!("--peer-urls={}", spec.peer_url);
            ctx.run(EVENTS.etcdctl(&endpoints, &["member", "add", &spec.name, &peer, "--learner"]))?;
            did.push("added");
        }
        Next::Promote(id) => {
            ctx.record(Change::Command { command: format!("etcdctl member promote: {id:x}") })?;
            ctx.run(EVENTS.etcdctl(&endpoints, &["member", "promote", &format!("{id:x}")]))?;
            did.push("became a voter");
        }
        Next::Start | Next::Votes => {}
    }
    // Not before the others know of it: etcd would end at once, and kubelet start it later and later.
    if write(ctx, spec)? {
        did.push("started");
    }
    Ok(match next(&list(ctx, EVENTS, &endpoints)?, &spec.peer_url) {
        Next::Votes => None,
        Next::Add => Some("the others have not heard of this member".to_owned()),
        Next::Start => Some("this member has not started".to_owned()),
        Next::Promote(_) => Some("this member is still a learner".to_owned()),
    })
}

fn next(members: &[Member], peer_url: &str) -> Next {
    match members.iter().find(|member| member.peer_urls.iter().any(|url| url == peer_url)) {
        None => Next::Add,
        // A member says its name when it starts.
        Some(member) if member.name.is_empty() => Next::Start,
        Some(member) if member.learner => Next::Promote(member.id),
        Some(_) => Next::Votes,
    }
}

fn write(ctx: &Context<'_>, spec: &EventsMemberSpec) -> Result<bool, Failure> {
    ctx.write_file(&spec.manifest.path, spec.manifest.content.as_bytes(), spec.manifest.mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_added_started_and_promoted_each_once() {
        let members = |json: &str| -> Vec<Member> { serde_json::from_str(json).unwrap() };
        let url = "https://10.0.0.2:2383";
        let first = r#"{"ID":1,"name":"m1","peerURLs":["https://10.0.0.1:2383"]}"#;
        let with = |member: &str| members(&format!("[{first},{member}]"));
        assert_eq!(next(&members(&format!("[{first}]")), url), Next::Add);
        let unstarted = r#"{"ID":2,"peerURLs":["https://10.0.0.2:2383"],"isLearner":true}"#;
        assert_eq!(next(&with(unstarted), url), Next::Start);
        // Larger than what a float holds exactly.
        let learner = r#"{"ID":12593025985174218689,"name":"m2","peerURLs":["https://10.0.0.2:2383"],"isLearner":true}"#;
        assert_eq!(next(&with(learner), url), Next::Promote(12_593_025_985_174_218_689));
        let voter = r#"{"ID":2,"name":"m2","peerURLs":["https://10.0.0.2:2383"]}"#;
        assert_eq!(next(&with(voter), url), Next::Votes);
    }
}
