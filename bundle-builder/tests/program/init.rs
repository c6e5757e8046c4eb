//! A first recipe from a folder of charts, rendered by the real Helm.

use crate::helm;
use std::fs;

use crate::support::vendor::{Vendor, WEB};
use bundle_builder::chart::Chart;
use bundle_builder::recipe::{self, Recipe};

const WEB_CHART: &str = "apiVersion: v2\nname: orders\nversion: 1.0.0\nappVersion: 4.2.0\n";
const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}-web}
spec:
  template:
    spec:
      containers: [{name: web, image: {{ .Values.image | quote }}}]
";
const DATABASE: &str = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: database}
spec: {template: {spec: {containers: [{name: database, image: 'postgres:15'}]}}}
";

/// A vendor with a folder of charts: an archive, folders, a library, one that wants a value, and a link to nowhere.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    vendor.write("charts/orders/Chart.yaml", WEB_CHART);
    vendor.write("charts/orders/values.yaml", &format!("image: {WEB}\n"));
    vendor.write("charts/orders/templates/web.yaml", DEPLOYMENT);
    vendor.write("database/Chart.yaml", "apiVersion: v2\nname: database\nversion: 2.0.0\n");
    vendor.write("database/templates/database.yaml", DATABASE);
    let archive = Chart::read(&vendor.path("database")).unwrap().archive;
    fs::write(vendor.path("charts/database-2.0.0.tgz"), archive).unwrap();
    vendor.write("charts/base/Chart.yaml", "apiVersion: v2\nname: base\nversion: 1.0.0\ntype: library\n");
    vendor.write("charts/mail/Chart.yaml", "apiVersion: v2\nname: mail\nversion: 1.0.0\n");
    let wants =
        "kind: ConfigMap\nmetadata: {name: {{ required \"say who sends: sender\" .Values.sender }}}\n";
    vendor.write("charts/mail/templates/config.yaml", wants);
    std::os::unix::fs::symlink("/nonexistent", vendor.path("charts/link")).unwrap();
    vendor.registry.push_image("docker.io/library/postgres:15", "amd64", &[b"postgres"]);
    vendor
}

fn init(vendor: &Vendor, charts: &str, out: &str) -> (String, Recipe, String) {
    let helm = helm::build();
    let arguments = ["init", charts, "--out", out, "--helm", helm.to_str().unwrap()];
    let output = vendor.run(&arguments);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    let text = fs::read_to_string(vendor.path(out)).unwrap();
    (said, recipe::load(&vendor.path(out)).unwrap(), text)
}

#[test]
fn a_folder_of_charts_becomes_a_recipe_that_locks() {
    let vendor = vendor();
    let (said, recipe, text) = init(&vendor, "charts", "begun.yaml");
    assert!(said.starts_with("written   begun.yaml: 2 charts, 9 images\n"), "{said}");
    // The database before what uses it.
    let components: Vec<_> = recipe.components.iter().map(|one| (&*one.name, &*one.chart)).collect();
    assert_eq!(components, [("database", "database"), ("orders", "orders")]);
    let gate = &recipe.components[1].gates[0];
    assert_eq!((&*gate.kind, &*gate.name), ("Deployment", "orders-web"));
    assert_eq!(recipe.components[0].gates[0].kind, "StatefulSet");
    let images: Vec<&str> = recipe.images[7..].iter().map(|image| &*image.name).collect();
    assert_eq!(images, ["docker.io/library/postgres:15", WEB]);
    assert!(text.contains(&format!("- name: {WEB} # orders: Deployment/orders-web\n")), "{text}");
    // Several charts: nobody knows what the product is called.
    assert_eq!(text.matches(" # CHANGE\n").count(), 3, "{text}");
    let sections = ["product:", "kubernetes:", "platforms:", "images:", "charts:", "files:", "components:"];
    for section in sections {
        let start = text.find(&format!("\n{section}")).unwrap();
        assert!(text[..start].lines().next_back().unwrap().starts_with("# "), "no comment above {section}");
    }

    let lock = ["lock", "--recipe", "begun.yaml", "--mirrors", "mirrors.yaml", "--cache", "cache"];
    assert_eq!(vendor.succeed(&lock), "locked    begun.lock.yaml: 9 images, 2 charts, 0 files\n");
}

#[test]
fn what_does_not_render_is_left_out_with_helms_words() {
    let vendor = vendor();
    let (said, recipe, text) = init(&vendor, "charts", "begun.yaml");
    let words = "say who sends: sender";
    assert!(said.contains("left out  charts/mail: it does not render") && said.contains(words), "{said}");
    assert!(recipe.charts.len() == 2 && !recipe.components.iter().any(|one| one.name == "mail"));
    let place = text.find("\n  # charts/mail is left out:\n").unwrap();
    assert!(place > text.find("\ncomponents:").unwrap(), "{text}");
    let (_, comment) = text.split_at(place + 1);
    assert!(comment.lines().take_while(|line| line.starts_with("  # ")).any(|line| line.contains(words)));
    assert!(!text.contains("charts/base") && !text.contains("charts/link"), "{text}");

    // Given its value, it is taken by the marks alone.
    let marked =
        text.replace("  # - path: charts/mail (left out: see its component)", "  - path: charts/mail");
    let from = marked.find("  # - name: mail").unwrap();
    let (before, after) = marked.split_at(from);
    let lines = after
        .lines()
        .map(|line| line.strip_prefix("  # ").map_or(line.to_owned(), |rest| format!("  {rest}")));
    fs::write(vendor.path("mended.yaml"), before.to_owned() + &lines.collect::<Vec<_>>().join("\n")).unwrap();
    let mended = recipe::load(&vendor.path("mended.yaml")).unwrap();
    assert_eq!(mended.components[2].name, "mail");
}

#[test]
fn a_single_chart_names_the_product() {
    let vendor = vendor();
    fs::create_dir(vendor.path("recipes")).unwrap();
    let (_, recipe, text) = init(&vendor, "charts/orders", "recipes/recipe.yaml");
    let product = &recipe.product;
    assert_eq!((&*product.name, &*product.title, &*product.version), ("orders", "Orders", "4.2.0"));
    assert_eq!(recipe.charts[0].source.to_string(), "../charts/orders");
    assert!(!text.contains("# CHANGE\n"), "{text}");
}

#[test]
fn an_archive_is_a_single_chart_too() {
    let vendor = vendor();
    let (said, recipe, _) = init(&vendor, "charts/database-2.0.0.tgz", "begun.yaml");
    assert!(said.starts_with("written   begun.yaml: 1 chart, 8 images\n"), "{said}");
    assert_eq!((&*recipe.product.name, &*recipe.product.version), ("database", "2.0.0"));
    assert_eq!(recipe.charts[0].source.to_string(), "charts/database-2.0.0.tgz");
    // Anything else is no chart.
    let said = vendor.fail(2, &["init", "recipe.yaml", "--out", "new.yaml", "--helm", "./helm"]);
    assert!(
        said.contains("recipe.yaml is neither a folder nor a chart's archive")
            && !vendor.path("new.yaml").exists(),
        "{said}"
    );
}

#[test]
fn nothing_is_replaced_and_no_folder_is_guessed() {
    let vendor = vendor();
    let said = vendor.fail(2, &["init", "charts", "--helm", "./helm"]);
    assert!(
        said.contains("recipe.yaml is there already\n  next: choose another name with `--out`"),
        "{said}"
    );
    for (arguments, expected) in [
        (
            &["init", "payload", "--out", "new.yaml", "--helm", "./helm"][..],
            "there is no chart in payload\n  next: name",
        ),
        (&["init", "missing", "--out", "new.yaml", "--helm", "./helm"], "cannot read missing"),
        // What was named wrong first, and not the Helm that nothing would be rendered with.
        (&["init", "missing", "--out", "new.yaml", "--helm", "/nonexistent"], "cannot read missing"),
        (
            &["init", "charts", "--out", "new.yaml", "--helm", "/nonexistent"],
            "cannot run Helm as `/nonexistent`",
        ),
    ] {
        let said = vendor.fail(2, arguments);
        assert!(said.contains(expected), "{said}");
        assert!(!vendor.path("new.yaml").exists());
    }
}
