//! What is in a bundle: for people, for programs, and for other people's tools.

use crate::helm;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::vendor::{Vendor, WEB, with_key};
use sealift_bundle::digest::digest_of;
use serde_json::Value;

/// A vendor with the bundle `orders.bundle`.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    vendor
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn fits(text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

/// Runs a program that must be installed, and gives what it prints.
fn run(vendor: &Vendor, program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(vendor.folder.path())
        .env("HELM_CACHE_HOME", vendor.path("helm-cache"))
        .env("HELM_CONFIG_HOME", vendor.path("helm-config"))
        .env("HELM_DATA_HOME", vendor.path("helm-data"))
        .env("KUBECONFIG", vendor.path("no-cluster"))
        .output()
        .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn inspect_tells_people_what_is_inside() {
    let vendor = vendor();
    let said = vendor.succeed(&with_key(&["inspect", "orders.bundle"]));
    fits(&said);
    for expected in [
        "product     Orders 4.2.0 (serial 17)\n",
        "cluster     Kubernetes v1.36.3, linux/amd64\n",
        "signed      product:orders version:4.2.0 serial:17 timestamp:",
        "            fingerprint ",
        "holds       8 images, 1 chart, 2 files, ",
        "orders                   product   orders 4.2.0                    1 ",
        "each master gets 8 images (",
        "each worker gets 8 images (",
        "/var/lib/containerd",
        // Seven images share their base of 200 000 bytes.
        "  1 blob in 7 images, 1.2 MB saved:\n",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    let shown = vendor.succeed(&["key", "show", "release.key.pub"]);
    let fingerprint = shown.lines().find_map(|line| line.strip_prefix("fingerprint  ")).unwrap();
    assert!(said.contains(fingerprint), "{shown}\n{said}");
}

#[test]
fn inspect_tells_programs_the_same() {
    let vendor = vendor();
    let summary = json(&vendor.succeed(&with_key(&["inspect", "orders.bundle", "--output", "json"])));
    assert_eq!(summary["product"]["serial"], 17);
    assert_eq!(summary["counts"]["images"], 8);
    assert_eq!(summary["components"][0]["images"], serde_json::json!([WEB]));
    assert_eq!(summary["otherImages"]["images"].as_array().unwrap().len(), 7);
    let sharing = &summary["sharing"];
    assert_eq!(sharing["groups"][0]["saved"], 1_200_000);
    assert_eq!(
        sharing["apart"].as_u64().unwrap() - sharing["together"].as_u64().unwrap(),
        sharing["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["saved"].as_u64().unwrap())
            .sum::<u64>()
    );
    assert_eq!(summary["size"], vendor.path("orders.bundle").metadata().unwrap().len());
    // The helper's own list in the document, summed by hand.
    let worker = summary["roles"].as_array().unwrap().iter().find(|role| role["role"] == "worker").unwrap();
    assert_eq!(worker["files"], 1);
    assert_eq!(worker["plainFileSize"], 400_000);
}

#[test]
fn ls_gives_a_line_per_entry() {
    let vendor = vendor();
    let said = vendor.succeed(&with_key(&["ls", "orders.bundle"]));
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 8 + 1 + 2);
    assert!(lines.iter().all(|columns| columns.len() == 6), "{said}");
    let web = lines.iter().find(|columns| columns[1] == "registry.sealift.example/orders/web").unwrap();
    assert_eq!((web[0], web[2], web[3]), ("image", "4.2.0", "linux/amd64"));
    let kubelet = lines.iter().find(|columns| columns[1] == "kubelet").unwrap();
    assert_eq!(kubelet[4], digest_of(&std::fs::read(vendor.path("payload/bin/kubelet")).unwrap()));
    let list = json(&vendor.succeed(&with_key(&["ls", "orders.bundle", "--output", "json"])));
    assert_eq!(list.as_array().unwrap().len(), lines.len());
}

#[test]
fn skopeo_reads_an_extracted_image() {
    let vendor = vendor();
    let said = vendor.succeed(&with_key(&[
        "extract",
        "orders.bundle",
        "registry.k8s.io/pause:3.10.2",
        "--out",
        ".",
    ]));
    assert!(said.contains("pause-3.10.2.oci.tar"), "{said}");
    let list = json(&vendor.succeed(&with_key(&["ls", "orders.bundle", "--output", "json"])));
    let digest = |name: &str| {
        let entry = list.as_array().unwrap().iter().find(|entry| entry["name"] == name).unwrap();
        entry["digest"].as_str().unwrap().to_owned()
    };
    let reference = "oci-archive:pause-3.10.2.oci.tar:registry.k8s.io/pause:3.10.2";
    let raw = run(&vendor, "skopeo", &["inspect", "--raw", reference]);
    assert_eq!(digest_of(&raw), digest("registry.k8s.io/pause"));
    run(&vendor, "skopeo", &["--insecure-policy", "copy", "--preserve-digests", reference, "dir:pause"]);
    assert_eq!(digest_of(&std::fs::read(vendor.path("pause/manifest.json")).unwrap()), digest_of(&raw));

    // An index stays whole, with the platforms that were packed.
    vendor.succeed(&with_key(&["extract", "orders.bundle", WEB, "--out", "web.tar"]));
    let raw = run(&vendor, "skopeo", &["inspect", "--raw", "oci-archive:web.tar"]);
    assert_eq!(digest_of(&raw), digest("registry.sealift.example/orders/web"));
    let amd64 = ["--insecure-policy", "--override-arch", "amd64", "copy", "oci-archive:web.tar", "dir:web"];
    run(&vendor, "skopeo", &amd64);
    assert!(vendor.names("web").iter().any(|name| name == "manifest.json"));
}

#[test]
fn helm_takes_an_extracted_chart() {
    let vendor = vendor();
    vendor.succeed(&with_key(&["extract", "orders.bundle", "chart:orders", "--out", "."]));
    let helm = helm::build();
    let rendered = run(&vendor, helm.to_str().unwrap(), &["template", "orders", "orders-4.2.0.tgz"]);
    assert!(String::from_utf8_lossy(&rendered).contains(WEB));
    let helm = helm.to_str().unwrap();
    let installed = run(&vendor, helm, &["install", "orders", "orders-4.2.0.tgz", "--dry-run=client"]);
    assert!(String::from_utf8_lossy(&installed).contains("STATUS: pending-install"));
}

#[test]
fn an_extracted_file_is_the_one_that_hosts_get() {
    let vendor = vendor();
    vendor.succeed(&with_key(&["extract", "orders.bundle", "kubectl", "--out", "mine"]));
    let read = |name: &str| std::fs::read(vendor.path(name)).unwrap();
    assert!(read("mine") == read("payload/bin/kubectl"));
    assert_eq!(vendor.path("mine").metadata().unwrap().permissions().mode() & 0o777, 0o750);
    let again = with_key(&["extract", "orders.bundle", "kubelet", "--out", "mine"]);
    let said = vendor.fail(2, &again);
    assert!(said.contains("mine exists already\n  next: choose another name, or replace it"), "{said}");
    assert!(read("mine") == read("payload/bin/kubectl"));
    vendor.succeed(&[&again[..], &["--overwrite"]].concat());
    assert!(read("mine") == read("payload/bin/kubelet"));
    let said = vendor.fail(2, &with_key(&["extract", "orders.bundle", "kubelt", "--out", "other"]));
    assert!(said.contains("named `kubelt`\n  next: did you mean `kubelet`?"), "{said}");
    assert!(!vendor.path("other").exists());
    // As `ls` shows it: the platforms of the bundle, where it has none of its own.
    vendor.succeed(&with_key(&["extract", "orders.bundle", "kubelet@linux/amd64", "--out", "other"]));
    assert!(read("other") == read("payload/bin/kubelet"));
    let said = vendor.fail(2, &with_key(&["extract", "orders.bundle", "kubelet@linux/arm64", "--out", "x"]));
    assert!(said.contains("named `kubelet@linux/arm64`\n  next: did you mean `kubelet`?"), "{said}");
    vendor.succeed(&with_key(&["extract", "orders.bundle", "haproxy:2.6@linux/amd64", "--out", "x"]));
}

#[test]
fn diff_tells_what_changed_between_two_releases() {
    let vendor = vendor();
    vendor.replace("recipe.yaml", "version: 4.2.0, serial: 17", "version: 4.3.0, serial: 18");
    vendor.replace("recipe.yaml", "web:4.2.0", "web:4.3.0");
    vendor.replace("chart/templates/web.yaml", "web:4.2.0", "web:4.3.0");
    vendor.write("chart/values.yaml", "web: {replicas: 2}\n");
    vendor.write(
        "chart/values.schema.json",
        r#"{"properties": {"web": {"type": "object", "properties": {"replicas": {"type": "integer"}}}}}"#,
    );
    vendor.write("payload/bin/kubelet", "a new kubelet");
    vendor.registry.push_index("registry.sealift.example/orders/web:4.3.0", &["amd64", "arm64"]);
    vendor.lock();
    vendor.build("cache", "next.bundle");

    let said = vendor.succeed(&with_key(&["diff", "orders.bundle", "next.bundle"]));
    fits(&said);
    for expected in [
        "old         Orders 4.2.0 (serial 17)\nnew         Orders 4.3.0 (serial 18)\n",
        "Kubernetes  v1.36.3, the same\n",
        "images: 1 change, 7 the same\n~ registry.sealift.example/orders/web      4.2.0 to 4.3.0 ",
        "charts: 1 change, 0 the same\n~ orders ",
        "files: 1 change, 1 the same\n~ /usr/local/bin/kubelet                   v1.36.3, other content ",
        "settings: 0 changes\n",
        "chart values: 1 change\n+ orders: web.replicas\n    now  2\n",
        "+ orders: web.replicas\n    now  {\"type\":\"integer\"}\n",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    let diff =
        json(&vendor.succeed(&with_key(&["diff", "orders.bundle", "next.bundle", "--output", "json"])));
    let listed = |name: &str| {
        json(&vendor.succeed(&with_key(&["inspect", name, "--output", "json"])))["counts"]["blobs"]
            .as_u64()
            .unwrap()
    };
    assert!(listed("next.bundle") > 0);
    let bytes = |name: &str| diff["bytes"][name].as_u64().unwrap();
    // All seven cluster images are the same.
    assert!(bytes("same") > 200_000 && bytes("new") < 20_000 && bytes("gone") < 20_000, "{diff}");
    let same = json(&vendor.succeed(&with_key(&["diff", "next.bundle", "next.bundle", "--output", "json"])));
    assert_eq!((&same["bytes"]["new"], &same["images"]["same"]), (&Value::from(0), &Value::from(8)));
}

/// What a recipe can say beside images, charts and files.
const SAID: &str = r#"secrets: [{component: orders, name: database, generated: [password]}]
hostDirectories: [{path: /var/lib/orders, mode: "0700", roles: [worker]}]
services: {database: {hostDirectories: [/var/lib/orders]}}
sizing:
  kilobytesPerUserPerDay: 100
  dataBasis: {kind: assumed, source: made up}
  parts:
    - {name: web, title: the page, component: orders, class: general, cpuMillicores: 50, memoryMebibytes: 64,
       basis: {kind: assumed, source: made up}}
"#;

#[test]
fn diff_tells_everything_that_the_signed_document_says_differently() {
    let vendor = Vendor::new();
    let recipe = vendor.read("recipe.yaml") + SAID;
    vendor.write("recipe.yaml", &recipe);
    vendor.replace(
        "recipe.yaml",
        "timeoutSeconds: 60}",
        "timeoutSeconds: 60,
      valuesFrom: {database: {service: database-host}}}",
    );
    vendor.built();
    for (from, to) in [
        (
            "namespace: orders, stage: product, timeoutSeconds: 60,
      valuesFrom: {database: {service: database-host}}}",
            "namespace: shop, stage: platform, timeoutSeconds: 90, values: {web: {replicas: 3}},
      valuesFrom: {database: {service: database-host}, web.dns: cluster-dns}, gates: [{kind: Deployment, name: web}]}",
        ),
        ("generated: [password]", "generated: [password, salt]"),
        ("mode: \"0700\"", "mode: \"0750\""),
        ("{database: {hostDirectories: [/var/lib/orders]}}", "{database: {sizingParts: [web]}}"),
        ("memoryMebibytes: 64", "memoryMebibytes: 640"),
        ("version: 4.2.0, serial: 17", "version: 4.3.0, serial: 18"),
    ] {
        vendor.replace("recipe.yaml", from, to);
    }
    vendor.lock();
    vendor.build("cache", "next.bundle");
    let said = vendor.succeed(&with_key(&["diff", "orders.bundle", "next.bundle"]));
    fits(&said);
    for expected in [
        "images: 0 changes, 8 the same\n",
        "components: 6 changes\n",
        "~ orders: namespace\n    was  \"orders\"\n    now  \"shop\"\n",
        "~ orders: stage\n    was  \"product\"\n    now  \"platform\"\n",
        "~ orders: timeoutSeconds\n    was  60\n    now  90\n",
        "+ orders: values.web.replicas\n    now  3\n",
        "+ orders: valuesFrom.web.dns\n    now  \"cluster-dns\"\n",
        "~ orders: gates\n    was  []\n    now  [{\"kind\":\"Deployment\",\"name\":\"web\"}]\n",
        "secrets: 1 change\n~ orders/database: generated\n",
        "host directories: 1 change\n~ /var/lib/orders: mode\n    was  448\n    now  488\n",
        "services: 2 changes\n- database.hostDirectories\n",
        "+ database.sizingParts\n    now  [\"web\"]\n",
        "sizing: 1 change\n~ parts.orders/web.memoryMebibytes\n    was  64\n    now  640\n",
        "product: 2 changes\n~ serial\n    was  17\n    now  18\n",
        "total: 13 changes\n",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    let told = |old, new| json(&vendor.succeed(&with_key(&["diff", old, new, "--output", "json"])));
    let diff = told("orders.bundle", "next.bundle");
    assert_eq!(diff["total"], 13);
    let components = diff["document"]["components"].as_array().unwrap();
    assert!(
        components.contains(&serde_json::json!({"name": "orders: timeoutSeconds", "old": "60", "new": "90"})),
        "{diff}"
    );
    assert_eq!(told("next.bundle", "next.bundle")["total"], 0);
}

#[test]
fn releases_in_the_wrong_order_are_compared_with_a_hint() {
    let vendor = vendor();
    vendor.replace("recipe.yaml", "version: 4.2.0, serial: 17", "version: 4.3.0, serial: 18");
    vendor.lock();
    vendor.build("cache", "next.bundle");
    let told = |old, new| {
        let output = vendor.run(&with_key(&["diff", old, new]));
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        told("next.bundle", "orders.bundle"),
        "note: OLD has serial 18, NEW only 17: for the way forward, exchange the two\n"
    );
    assert_eq!(told("orders.bundle", "next.bundle"), "");
}

#[test]
fn nothing_is_told_of_a_bundle_that_is_not_trusted() {
    let vendor = vendor();
    vendor.succeed(&["keygen", "--out", "stranger.key", "--no-password"]);
    for verb in [
        &["inspect", "orders.bundle"][..],
        &["ls", "orders.bundle"],
        &["diff", "orders.bundle", "orders.bundle"],
    ] {
        let said = vendor.fail(5, &[verb, &["--key", "stranger.key.pub"]].concat());
        assert!(said.contains("which is not trusted here"), "{said}");
        vendor.fail(2, verb);
    }
}
