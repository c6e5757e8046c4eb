//! What an ordinary user cannot see of a host.

use sealift_checks::facts::Facts;

/// Names as unread what only root sees, so that nothing is judged from where nobody could look: the agent's own rights,
/// what it could write, folders that are closed to others, and the machine's identity.
pub fn unseen_without_root(facts: &mut Facts) {
    let hidden = facts.details.as_ref().is_some_and(|details| {
        details
            .machine
            .proc_options
            .iter()
            .any(|option| option.starts_with("hidepid=") && option != "hidepid=0")
    });
    let mut unseen = vec!["privileges", "capSysResource", "conntrackWritable", "leftovers"];
    if facts.product_uuid.is_empty()
        && !facts.details.as_ref().is_some_and(|details| details.machine.container)
    {
        unseen.push("productUuid");
    }
    if hidden {
        unseen.push("processes");
    }
    facts.unreadable.extend(unseen.into_iter().map(|fact| format!("{fact}: only root can see it")));
}
