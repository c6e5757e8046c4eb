//! Roles of groups of people: a `ClusterRoleBinding` each.

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use sealift_plan::operation::GroupRole;

use super::{changed, kubectl, unchanged};
use crate::context::Context;
use crate::protocol::{Failure, Outcome};

const API_GROUP: &str = "rbac.authorization.k8s.io";
/// Marks the bindings that are ours, so that those which nobody wants any more are found.
const LABEL: (&str, &str) = ("sealift.io/binding", "group");

/// Makes what is missing, replaces what differs, takes away what we made and nobody wants.
pub(super) fn ensure(ctx: &Context<'_>, roles: &[GroupRole]) -> Result<Outcome, Failure> {
    let select = format!("--selector={}={}", LABEL.0, LABEL.1);
    let standing: Vec<ClusterRoleBinding> = kubectl::list(ctx, &["clusterrolebindings", &select])?;
    let steps = steps(&standing, roles);
    for name in &steps.delete {
        kubectl::run(ctx, &["delete", "clusterrolebinding", name])?;
    }
    for binding in &steps.create {
        let object = serde_json::to_vec(binding)
            .map_err(|error| Failure::other("cannot write a role binding").because(&error))?;
        ctx.run(kubectl::command(&["create", "-f", "-"]).input(object))?;
    }
    if steps.delete.is_empty() && steps.create.is_empty() {
        return Ok(unchanged(format!("{} groups have their roles", roles.len())));
    }
    Ok(changed(format!("{} role bindings made, {} taken away", steps.create.len(), steps.delete.len())))
}

struct Steps {
    delete: Vec<String>,
    create: Vec<ClusterRoleBinding>,
}

/// A binding's role cannot be changed: it goes and comes anew.
fn steps(standing: &[ClusterRoleBinding], roles: &[GroupRole]) -> Steps {
    let wanted: Vec<ClusterRoleBinding> = roles.iter().map(binding).collect();
    let name = |binding: &ClusterRoleBinding| binding.metadata.name.clone().unwrap_or_default();
    let same = |one: &ClusterRoleBinding, other: &ClusterRoleBinding| {
        name(one) == name(other) && one.role_ref == other.role_ref && one.subjects == other.subjects
    };
    let unwanted = standing.iter().filter(|one| !wanted.iter().any(|other| same(one, other)));
    let delete = unwanted.map(name).collect();
    let create =
        wanted.iter().filter(|one| !standing.iter().any(|other| same(one, other))).cloned().collect();
    Steps { delete, create }
}

fn binding(role: &GroupRole) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: ObjectMeta {
            name: Some(role.name.clone()),
            labels: Some(
                [("app.kubernetes.io/managed-by", "sealift"), LABEL]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
            ..ObjectMeta::default()
        },
        role_ref: RoleRef {
            api_group: Some(API_GROUP.to_owned()),
            kind: "ClusterRole".to_owned(),
            name: role.role.clone(),
        },
        subjects: Some(vec![Subject {
            api_group: Some(API_GROUP.to_owned()),
            kind: "Group".to_owned(),
            name: role.group.clone(),
            namespace: None,
        }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, role: &str) -> GroupRole {
        GroupRole { name: name.to_owned(), group: format!("oidc:{name}"), role: role.to_owned() }
    }

    #[test]
    fn what_is_wanted_stays_and_the_rest_goes_or_comes() {
        let standing =
            [binding(&role("a", "view")), binding(&role("b", "view")), binding(&role("c", "edit"))];
        let wanted = [role("a", "view"), role("b", "admin"), role("d", "edit")];
        let steps = steps(&standing, &wanted);
        assert_eq!(steps.delete, ["b", "c"]);
        let made: Vec<_> = steps.create.iter().map(|one| one.metadata.name.as_deref().unwrap()).collect();
        assert_eq!(made, ["b", "d"]);
        assert_eq!(steps.create[0].role_ref.name, "admin");
        assert_eq!(steps.create[0].subjects.as_ref().unwrap()[0].name, "oidc:b");
    }
}
