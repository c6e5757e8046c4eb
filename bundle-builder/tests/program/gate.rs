//! The closure gate with the real Helm: what a vendor reads when charts and recipe do not fit.

use crate::helm;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::support::vendor::{Vendor, WEB, build};
use bundle_builder::chart::Chart;
use bundle_builder::helm::{Helm, HelmError, Limits, Request};
use sealift_bundle::document::{Component, Stage};
use serde_json::json;

/// A vendor whose charts are rendered by the real Helm.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    std::fs::remove_file(vendor.path("helm")).unwrap();
    std::os::unix::fs::symlink(helm::build(), vendor.path("helm")).unwrap();
    vendor
}

/// Standard error of a build that must end well.
fn built(vendor: &Vendor) -> String {
    vendor.lock();
    let output = vendor.run(&build("cache", "x.bundle"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}

/// Standard error of a build that the gate must refuse.
fn refused(vendor: &Vendor) -> String {
    vendor.lock();
    // Of an earlier step of the test.
    let _ = std::fs::remove_file(vendor.path("x.bundle"));
    let said = vendor.fail(2, &build("cache", "x.bundle"));
    assert!(!vendor.path("x.bundle").exists());
    said
}

fn warnings(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("warning   ")).collect()
}

/// A second chart and its component.
fn add_chart(vendor: &Vendor, template: &str) {
    vendor.write("second/Chart.yaml", "apiVersion: v2\nname: second\nversion: 1.0.0\n");
    vendor.write("second/templates/all.yaml", template);
    vendor.replace("recipe.yaml", "  - path: chart\n", "  - path: chart\n  - path: second\n");
    vendor.replace(
        "recipe.yaml",
        "components:\n",
        "components:\n  - {name: extra, chart: second, namespace: tools, stage: platform, timeoutSeconds: 60}\n",
    );
}

const JOBS: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}
spec: {template: {spec: {containers: [{name: m, image: 'ghcr.io/a/migrate:1.0.0'}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: try, annotations: {helm.sh/hook: test}}
spec: {containers: [{name: t, image: 'postgres:15'}]}
";

const LIST: &str = "
apiVersion: v1
kind: List
items:
  - apiVersion: batch/v1
    kind: CronJob
    metadata: {name: nightly, namespace: elsewhere}
    spec: {jobTemplate: {spec: {template: {spec: {
      initContainers: [{name: i, image: docker.io/library/postgres:15}],
      volumes: [{name: model, image: {reference: 'ghcr.io/a/model:2'}}]}}}}}
";

#[test]
fn everything_missing_in_all_charts_is_told_at_once() {
    let vendor = vendor();
    vendor.write("chart/templates/jobs.yaml", JOBS);
    add_chart(&vendor, LIST);
    let said = refused(&vendor);
    let expected = "error: 3 images missing from the recipe:
  docker.io/library/postgres:15
    chart orders, Pod orders/try, container t (spec.containers[0].image) as `postgres:15`
    chart second, component extra, CronJob elsewhere/nightly, init container i (spec.jobTemplate.spec.template.spec.initContainers[0].image)
  ghcr.io/a/migrate:1.0.0
    chart orders, Job orders/migrate, container m (spec.template.spec.containers[0].image)
  ghcr.io/a/model:2
    chart second, component extra, CronJob elsewhere/nightly, volume model (spec.jobTemplate.spec.template.spec.volumes[0].image.reference)

to add to the recipe:

images:
  - name: docker.io/library/postgres:15
  - name: ghcr.io/a/migrate:1.0.0
  - name: ghcr.io/a/model:2

  next: add these lines to the recipe, then run `bundle-builder lock`
";
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn the_lines_to_add_are_enough() {
    let vendor = vendor();
    vendor.write("chart/templates/jobs.yaml", JOBS.replace("postgres:15", "postgres:15.1.2").as_str());
    vendor.registry.mirrors(
        vendor.folder.path(),
        &["registry.k8s.io", "docker.io", "registry.sealift.example", "ghcr.io"],
    );
    for name in ["ghcr.io/a/migrate:1.0.0", "docker.io/library/postgres:15.1.2"] {
        vendor.registry.push_image(name, "amd64", &[b"layer"]);
    }
    let said = refused(&vendor);
    let lines = said.split("\nimages:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    vendor.replace("recipe.yaml", "images:\n", &format!("images:\n{lines}\n"));
    let said = built(&vendor);
    assert_eq!(warnings(&said), [""; 0]);
    assert!(said.contains("gate      1 component rendered once, 3 images named, none missing"), "{said}");
}

#[test]
fn digests_are_held_against_the_lock() {
    let vendor = vendor();
    vendor.lock();
    let lock = std::fs::read_to_string(vendor.path("recipe.lock.yaml")).unwrap();
    let at = lock.find(&format!("name: {WEB}")).unwrap();
    let mut digests = lock[at..].split("sha256:").skip(1).map(|rest| &rest[..64]);
    let (whole, platform) = (digests.next().unwrap(), digests.next().unwrap());
    let repository = WEB.rsplit_once(':').unwrap().0;
    for good in [whole, platform] {
        let text = format!(
            "kind: Pod\nmetadata: {{name: p}}\nspec: {{containers: [{{name: c, image: '{repository}@sha256:{good}'}}]}}\n"
        );
        vendor.write("chart/templates/web.yaml", &text);
        assert_eq!(warnings(&built(&vendor)), [""; 0]);
    }
    let wrong = "0".repeat(64);
    vendor.replace("chart/templates/web.yaml", platform, &wrong);
    let said = refused(&vendor);
    let expected = format!("  {repository}@sha256:{wrong}: the lock has {WEB} as sha256:{whole}\n");
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("correct the chart") && !said.contains("to add to the recipe"), "{said}");
}

#[test]
fn every_profile_is_rendered() {
    let vendor = vendor();
    vendor.write("chart/values.yaml", "cache: {active: false, image: 'valkey:9.0.1'}\n");
    vendor.write(
        "chart/templates/cache.yaml",
        "{{ if .Values.cache.active }}
kind: DaemonSet
metadata: {name: cache}
spec: {template: {spec: {containers: [{name: c, image: {{ .Values.cache.image }} }]}}}
{{ end }}",
    );
    vendor.write("profiles/large, new.yaml", "cache: {active: true}\n");
    vendor.write("profiles/same.yaml", "cache: {active: false}\n");
    vendor.replace(
        "recipe.yaml",
        "  - path: chart\n",
        "  - {path: chart, profiles: [{path: 'profiles/large, new.yaml'}, {path: profiles/same.yaml}]}\n",
    );
    let said = refused(&vendor);
    let place = "chart orders, DaemonSet orders/cache, container c (spec.template.spec.containers[0].image)";
    assert!(said.contains(&format!("{place} as `valkey:9.0.1`, with profiles/large, new.yaml\n")), "{said}");
    assert_eq!(warnings(&said), ["profiles/same.yaml changes nothing in what chart orders becomes"]);

    vendor.write("profiles/same.yaml", "cache: [\n");
    let said = refused(&vendor);
    assert!(said.contains("1 chart does not render, 1 image missing"), "{said}");
    assert!(
        said.contains(
            "chart orders for component orders, a small sample site with profiles/same.yaml:\n    Error: failed to parse profile.yaml:"
        ),
        "{said}"
    );
    std::fs::remove_file(vendor.path("profiles/same.yaml")).unwrap();
    let said = refused(&vendor);
    assert!(said.contains("cannot read profiles/same.yaml (profiles/same.yaml)"), "{said}");
}

#[test]
fn what_a_site_may_switch_on_is_seen_and_a_profile_stands_above_the_sample() {
    let vendor = vendor();
    vendor.write(
        "chart/templates/exporters.yaml",
        "{{ if .Values.metrics }}
kind: Pod
metadata: {name: exporter}
spec: {containers: [{name: c, image: 'exporter:1.0.0'}]}
{{ if not .Values.external }}
---
kind: Pod
metadata: {name: database}
spec: {containers: [{name: c, image: 'database-exporter:1.0.0'}]}
{{ end }}{{ end }}",
    );
    vendor.write("profiles/metrics.yaml", "metrics: true\n");
    vendor.replace(
        "recipe.yaml",
        "components:\n",
        "settings:
  metrics: {description: Whether it shows its measurements, default: false}
  external: {description: Whether the site has a database, default: false}
components:\n",
    );
    vendor.replace(
        "recipe.yaml",
        "chart: orders, ",
        "chart: orders, valuesFrom: {metrics: {setting: metrics}, external: {setting: external}}, ",
    );
    let said = refused(&vendor);
    assert!(
        said.contains("error: 1 image missing from the recipe:\n  docker.io/library/exporter:1.0.0\n"),
        "{said}"
    );

    vendor.replace(
        "recipe.yaml",
        "  - path: chart\n",
        "  - {path: chart, profiles: [{path: profiles/metrics.yaml}]}\n",
    );
    let said = refused(&vendor);
    assert!(
        said.contains(
            "error: 2 images missing from the recipe:\n  docker.io/library/database-exporter:1.0.0\n"
        ),
        "{said}"
    );
    assert_eq!(warnings(&said), [""; 0]);
}

#[test]
fn hints_lead_to_what_operators_start() {
    let vendor = vendor();
    vendor.write(
        "chart/templates/cluster.yaml",
        "apiVersion: db.example/v1
kind: Cluster
metadata: {name: pg}
spec: {imageName: 'ghcr.io/a/pg:17.2.1', sidecars: [{image: 'ghcr.io/a/backup:1.0.1'}]}
",
    );
    assert_eq!(warnings(&built(&vendor)), [""; 0]);
    vendor.replace(
        "recipe.yaml",
        "charts:\n",
        "imageHints:
  - {kind: Cluster, apiVersion: db.example, fields: [spec.imageName, 'spec.sidecars[*].image']}
  - {kind: Pool, fields: [spec.image]}
charts:\n",
    );
    let said = refused(&vendor);
    assert!(said.contains("Cluster orders/pg, imageHints[0] (spec.imageName)\n"), "{said}");
    assert!(said.contains("  - name: ghcr.io/a/backup:1.0.1\n  - name: ghcr.io/a/pg:17.2.1\n"), "{said}");
    assert_eq!(warnings(&said), ["imageHints[1]: no Pool of any chart names an image there"]);
}

#[test]
fn warnings_stand_once_and_stop_nothing() {
    let vendor = vendor();
    vendor.write(
        "chart/templates/more.yaml",
        "
kind: Deployment
metadata: {name: more}
spec: {template: {spec: {
  initContainers: [{name: a, image: 'busybox:1.36'}, {name: b, image: 'docker.io/library/busybox:1.36'}],
  containers: [{name: c, image: alpine}, {name: d, image: 'alpine:latest'}]}}}
---
kind: Pod
metadata: {name: try, annotations: {helm.sh/hook: test}}
spec: {containers: [{name: t, image: 'busybox:1.36'}]}
",
    );
    let mut images = String::new();
    for name in ["library/busybox:1.36", "library/alpine:latest", "library/left:1.0.0"] {
        vendor.registry.push_image(&format!("docker.io/{name}"), "amd64", &[b"layer"]);
        writeln!(images, "  - name: docker.io/{name}").unwrap();
    }
    vendor.replace("recipe.yaml", "images:\n", &format!("images:\n{images}"));
    let said = built(&vendor);
    let spec = "chart orders, Deployment orders/more";
    assert_eq!(
        warnings(&said),
        [
            format!("docker.io/library/alpine:latest has no fixed tag: the next lock may pin something else; {spec}, container c (spec.template.spec.containers[0].image), and 1 more"),
            format!("docker.io/library/busybox:1.36 of init is not pinned: give it a full version or a digest; {spec}, init container a (spec.template.spec.initContainers[0].image), and 2 more"),
            "docker.io/library/left:1.0.0 is packed and nothing names it: drop it from `images`, or say in `imageHints` who starts it".to_owned(),
        ]
    );
    vendor.replace(
        "recipe.yaml",
        "charts:\n",
        "imageHints: [{component: orders, images: ['docker.io/library/left:1.0.0']}]\ncharts:\n",
    );
    assert_eq!(warnings(&built(&vendor)).len(), 2);
}

#[test]
fn charts_that_do_not_render_are_told_together_in_helms_words() {
    let vendor = vendor();
    vendor.write("chart/templates/bad.yaml", "a: {{ required \"say who\" .Values.who }}\n");
    vendor.replace(
        "recipe.yaml",
        "stage: product, timeoutSeconds: 60",
        "stage: product, timeoutSeconds: 60, valuesFrom: {replicas: service-replicas}",
    );
    add_chart(&vendor, "kind: [\n---\nkind: Pod\n");
    let said = refused(&vendor);
    assert!(said.contains("error: 2 charts do not render:\n"), "{said}");
    assert!(
        said.contains(
            "  chart orders for component orders, a small sample site; a large sample site:\n    Error: execution error at (orders/templates/bad.yaml:1:6): say who\n"
        ),
        "{said}"
    );
    assert!(said.contains("  chart second for component extra, a small sample site:\n    "), "{said}");
    assert!(said.contains("next: correct the chart, the component's values"), "{said}");
    assert_eq!(warnings(&said), [""; 0]);
}

#[test]
fn the_same_chart_is_rendered_once() {
    let vendor = vendor();
    std::fs::remove_file(vendor.path("helm")).unwrap();
    std::fs::copy(helm::build(), vendor.path("helm")).unwrap();
    let gate = |said: &str| said.lines().filter(|line| line.starts_with("gate ")).collect::<String>();
    let first = gate(&built(&vendor));
    // The same program, which nobody can start any more.
    std::fs::set_permissions(vendor.path("helm"), PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(gate(&built(&vendor)), first);
    vendor.write("profiles/large.yaml", "replicas: 3\n");
    vendor.replace(
        "recipe.yaml",
        "  - path: chart\n",
        "  - {path: chart, profiles: [{path: profiles/large.yaml}]}\n",
    );
    let said = refused(&vendor);
    assert!(said.contains("cannot run Helm as `./helm`"), "{said}");
    std::fs::set_permissions(vendor.path("helm"), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(gate(&built(&vendor)).contains("rendered 2 times"));
}

#[test]
fn what_helm_takes_for_a_chart_is_bounded() {
    let vendor = vendor();
    let render = |limits: Limits, template: &str| {
        let helm = Helm::new(vendor.path("helm"), &vendor.path("")).unwrap().with_limits(limits);
        vendor.write("chart/templates/web.yaml", template);
        let chart = Chart::read(&vendor.path("chart")).unwrap();
        let component = Component {
            name: "orders".to_owned(),
            chart: "orders".to_owned(),
            namespace: "orders".to_owned(),
            stage: Stage::Product,
            values: json!({}),
            values_from: BTreeMap::new(),
            gates: vec![],
            timeout_seconds: 60,
            acceptance: false,
        };
        let (site, kubernetes) = (json!({}), "v1.36.3");
        helm.render(&Request { component: &component, chart: &chart, profile: None, site: &site, kubernetes })
    };
    let large = Limits { output: 1 << 20, ..Limits::default() };
    let large = render(large, "kind: ConfigMap\ndata: {a: '{{ repeat 2000000 \"x\" }}'}\n");
    assert!(matches!(large, Err(HelmError::TooMuch { .. })), "{large:?}");
    let endless = Limits { time: Duration::from_secs(1), ..Limits::default() };
    let endless = render(endless, "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}");
    assert!(matches!(endless, Err(HelmError::TooSlow { .. })), "{endless:?}");
}

/// Gives the product's component these gates.
fn wait_for(vendor: &Vendor, gates: &str) {
    vendor.replace(
        "recipe.yaml",
        "stage: product, timeoutSeconds: 60",
        &format!("stage: product, timeoutSeconds: 60, gates: [{gates}]"),
    );
}

#[test]
fn what_a_site_would_wait_for_in_vain_is_shown_where_it_stands() {
    let vendor = vendor();
    vendor.write(
        "chart/templates/more.yaml",
        "kind: Deployment\nmetadata: {name: agent, namespace: elsewhere}\n---\n\
         kind: Deployment\nmetadata: {name: try, annotations: {helm.sh/hook: test}}\n",
    );
    let gates = [
        ("{kind: Deployment, name: web}", None),
        ("{kind: Deployment, name: wep}", Some("; did you mean `web`?")),
        ("{kind: StatefulSet, name: web}", Some("; it has a Deployment of that name")),
        ("{kind: Deployment, name: agent}", Some("; it has one in the namespace elsewhere")),
        ("{kind: Deployment, name: nosuch}", Some("")),
        ("{kind: Deployment, name: try}", Some("")),
    ];
    wait_for(&vendor, &gates.map(|(gate, _)| gate).join(", "));
    let said = refused(&vendor);
    let text = vendor.read("recipe.yaml");
    let line = text.lines().position(|line| line.contains("gates:")).unwrap();
    for (at, (gate, hint)) in gates.iter().enumerate() {
        let column = text.lines().nth(line).unwrap().find(gate).unwrap() + 1;
        let place = format!("recipe.yaml:{}:{column}: components[0].gates[{at}] (orders): ", line + 1);
        let Some(hint) = hint else {
            assert!(!said.contains(&place), "{said}");
            continue;
        };
        let words: Vec<&str> = gate.trim_matches(['{', '}']).split([' ', ',']).collect();
        let finding = format!(
            "{place}chart orders brings no {} {} to the namespace orders: a site would wait for it in vain{hint}\n",
            words[1], words[4]
        );
        assert!(said.contains(&finding), "{finding}{said}");
    }
    // Told with what else is missing.
    vendor
        .write("chart/templates/test.yaml", "kind: Pod\nspec: {containers: [{name: c, image: 'a:1.0.0'}]}\n");
    let said = refused(&vendor);
    assert!(said.contains("error: 1 image missing from the recipe, 5 gates wait for nothing:\n"), "{said}");
    assert!(
        said.contains("components[0].gates[5] (orders): chart orders brings no Deployment try"),
        "{said}"
    );
}

#[test]
fn what_any_site_or_profile_brings_may_be_waited_for() {
    let vendor = vendor();
    vendor.write(
        "chart/templates/more.yaml",
        "apiVersion: v1
kind: List
items:
{{ if .Values.cache }}- {kind: StatefulSet, metadata: {name: cache}}{{ end }}
{{ if .Values.agent }}- {kind: DaemonSet, metadata: {name: agent, namespace: orders}}{{ end }}
{{ if .Values.own }}- {kind: Deployment, metadata: {name: database}}{{ end }}
- {kind: Deployment, metadata: {name: first, annotations: {helm.sh/hook: pre-install}}}
",
    );
    vendor.write("profiles/cache.yaml", "cache: true\n");
    vendor.replace(
        "recipe.yaml",
        "components:\n",
        "settings:
  agent: {description: Whether, default: false}
  own: {description: Whether, default: true}
components:\n",
    );
    vendor.replace(
        "recipe.yaml",
        "chart: orders, ",
        "chart: orders, valuesFrom: {agent: {setting: agent}, own: {setting: own}}, ",
    );
    let gates = "{kind: DaemonSet, name: agent}, {kind: Deployment, name: database}, {kind: Deployment, name: first}, {kind: StatefulSet, name: cache}";
    wait_for(&vendor, gates);
    let said = refused(&vendor);
    assert!(said.contains("brings no StatefulSet cache") && said.matches("brings no").count() == 1, "{said}");
    vendor.replace(
        "recipe.yaml",
        "  - path: chart\n",
        "  - {path: chart, profiles: [{path: profiles/cache.yaml}]}\n",
    );
    assert_eq!(warnings(&built(&vendor)), [""; 0]);
}

#[test]
fn what_an_operator_may_make_is_a_warning() {
    let vendor = vendor();
    wait_for(&vendor, "{kind: StatefulSet, name: pg}");
    assert!(refused(&vendor).contains("brings no StatefulSet pg"));
    vendor.write(
        "chart/templates/cluster.yaml",
        "apiVersion: db.example/v1\nkind: Cluster\nmetadata: {name: pg}\n",
    );
    let said = built(&vendor);
    let found = warnings(&said);
    assert_eq!(found.len(), 1, "{said}");
    assert!(
        found[0].contains(": components[0].gates[0] (orders): chart orders brings no StatefulSet pg to the namespace orders: only an operator could make it"),
        "{said}"
    );
}
