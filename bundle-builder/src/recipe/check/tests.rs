use crate::recipe::testing::{FULL, RECIPE};
use crate::recipe::{FileContent, RecipeError, parse};
use std::path::Path;

/// The findings about `RECIPE` with `from` replaced by `to`.
fn findings(from: &str, to: &str) -> Vec<String> {
    let text = RECIPE.replacen(from, to, 1);
    assert_ne!(text, RECIPE, "`{from}` is not in the recipe");
    match parse(&text, Path::new("recipe.yaml")) {
        Err(RecipeError::Findings { findings, .. }) => findings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_contradiction_has_its_own_sentence() {
    for (from, to, expected) in [
        ("sealift/v1", "sealift/v9", "apiVersion: `sealift/v9` is not known"),
        ("kind: Recipe", "kind: Site", "kind: `Site` is no `Recipe`"),
        ("name: orders\n  title", "name: Orders\n  title", "product.name: `Orders` must be lower-case"),
        ("linux/amd64", "linux", "platforms[0]: `linux` must look like"),
        ("linux/amd64", "linux/amd46", "platforms[0]: `linux/amd46` is not among linux/386, linux/amd64,"),
        ("linux/amd64", "linux/amd46", "; did you mean `linux/amd64`?"),
        ("linux/amd64", "windows/amd64", "platforms[0]: `windows/amd64` is not among"),
        ("- name: registry.k8s.io/pause:3.10.2", "- name: pause:3.10.2", "images[0].name: "),
        (
            "pauseImage: registry.k8s.io/pause:3.10.2",
            "pauseImage: registry.k8s.io/pause:3.10",
            "kubernetes.pauseImage: needs the image registry.k8s.io/pause:3.10, which is not in the list; add `- name: registry.k8s.io/pause:3.10` under `images`; did you mean `registry.k8s.io/pause:3.10.2`?",
        ),
        ("kube-proxy:v1.36.3", "kube-proxy:v1.36.4", "needs the image registry.k8s.io/kube-proxy:v1.36.3"),
        (
            "path: /usr/local/bin/kubelet",
            "path: usr/local/bin/kubelet",
            "files[0].path: `usr/local/bin/kubelet` must",
        ),
        ("path: /usr/local/bin/kubelet", "path: /usr/../kubelet", "files[0].path: `/usr/../kubelet` must"),
        ("{setting: title}", "{setting: titel}", "there is no setting `titel`; did you mean `title`?"),
        ("component: orders", "component: order", "there is no component `order`; did you mean `orders`?"),
        ("  title:\n    description", "  colour:\n    description", "settings.colour: no component uses it"),
        ("kind: DaemonSet", "kind: Pod", "cannot wait for a Pod"),
        ("level: 3", "level: 22", "compression.level: must be between"),
        ("name: orders-database", "name: Orders_Database", "secrets[0].name: `Orders_Database` is no name"),
        ("name: orders-database", "name: orders..database", "secrets[0].name: `orders..database` is no name"),
        (
            "{password: data",
            "{a b/c: data",
            "secrets[0].fromSite.a b/c: `a b/c` is no key that a Secret takes",
        ),
        ("generated: [session]", "generated: ['']", "secrets[0].generated[0]: `` is no key"),
        ("generated: [session]", "generated: [..a]", "secrets[0].generated[0]: `..a` is no key"),
        (
            "generated: [session]",
            "generated: [a, session, a]",
            "secrets[0].generated[2]: a stands already at secrets[0].generated[0]",
        ),
        (
            "generated: [session]",
            "generated: [session, password]",
            "secrets[0].generated[1]: the key `password` is both taken from the site and generated",
        ),
        (
            "      component: orders\n      class",
            "      component: order\n      class",
            "sizing.parts[0].component: there is no component `order`",
        ),
        ("      copies: 2", "      copies: 0", "sizing.parts[0].copies: 0 must be between 1 and 100"),
    ] {
        let found = findings(from, to);
        assert!(found.iter().any(|finding| finding.contains(expected)), "{to}: {found:?}");
    }
}

#[test]
fn two_files_at_one_path_are_refused() {
    let second =
        "  - name: other\n    version: v1\n    path: /usr/local/bin/kubelet\n    source: {path: other}\n";
    let found = findings("components:\n", &format!("{second}components:\n"));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].ends_with(": files[1].path: /usr/local/bin/kubelet stands already at files[0].path"),
        "{found:?}"
    );
}

/// `RECIPE` with these values of its last component, and these lines of its `valuesFrom`.
fn with_values(values: &str, values_from: &[&str]) -> String {
    let (before, rest) = RECIPE.rsplit_once("    values:\n").unwrap();
    let (_, after) = rest.split_once("{setting: title}\n").unwrap();
    let lines = values_from.join("\n      ");
    format!(
        "{before}    values: {values}\n    valuesFrom:\n      title: {{setting: title}}\n      {lines}\n{after}"
    )
}

#[test]
fn what_the_site_says_needs_a_place_that_the_installer_can_reach() {
    for (values, first, path, expected) in [
        ("{greeting: Hello}", "", "greeting.text", "`greeting` is a text in the component's values"),
        ("{a: {b: [1]}}", "", "a.b.c.d", "`a.b` is a list in the component's values"),
        ("{a: 1}", "a: {service: database-host}", "a.b", "valuesFrom puts a value at `a` already"),
        ("{}", "a: pod-cidr", "a.b", "valuesFrom puts a value at `a` already"),
        ("", "", "title.text", "valuesFrom puts a value at `title` already"),
    ] {
        let text = with_values(values, &[first, &format!("{path}: cluster-dns")]);
        let line = text.lines().position(|line| line.contains("cluster-dns")).unwrap() + 1;
        let expected = format!(
            "{line}:7: components[1].valuesFrom.{path} (orders): {expected}, and nothing can be put below that"
        );
        match parse(&text, Path::new("recipe.yaml")) {
            Err(RecipeError::Findings { findings, .. }) => {
                assert!(findings.iter().any(|finding| finding.starts_with(&expected)), "{findings:?}");
            }
            other => panic!("{path}: {other:?}"),
        }
    }
    // A map, nothing at all, and a setting that is a map have room; a map may give way to a value.
    for values in ["{a: {c: 1}}", "{a: }", "{title: {x: 1}}"] {
        parse(&with_values(values, &["a.b: pod-cidr"]), Path::new("recipe.yaml")).unwrap();
    }
    let text = with_values("", &["title.x: pod-cidr"]).replace("default: Orders", "default: {text: Orders}");
    parse(&text, Path::new("recipe.yaml")).unwrap();
}

#[test]
fn folders_of_the_system_are_no_folders_of_the_product() {
    for path in ["/etc", "/usr", "/var/lib", "/var/lib/kubelet", "/etc/kubernetes", "/root", "/opt", "/srv"] {
        let found = findings_of_full("path: /var/lib/orders", &format!("path: {path}"));
        let expected = format!("hostDirectories[0].path: {path} is the system's own folder");
        assert!(found.len() == 1 && found[0].contains(&expected), "{found:?}");
    }
    for path in ["/proc", "/sys/fs/cgroup", "/dev/shm", "/run/orders"] {
        let found = findings_of_full("path: /var/lib/orders", &format!("path: {path}"));
        assert!(found.len() == 1 && found[0].contains("is gone when the machine starts again"), "{found:?}");
    }
    for path in ["/", "//etc", "/srv/./data", "/etc/"] {
        let found = findings_of_full("path: /var/lib/orders", &format!("path: {path}"));
        assert!(found[0].contains("must be an absolute path"), "{found:?}");
    }
    for path in ["/srv/data", "/opt/orders", "/data", "/var/lib/kubelet/plugins/orders", "/etc/orders"] {
        parse(&FULL.replace("path: /var/lib/orders", &format!("path: {path}")), Path::new("recipe.yaml"))
            .unwrap();
    }
}

/// The findings about `FULL` with `from` replaced by `to`.
fn findings_of_full(from: &str, to: &str) -> Vec<String> {
    let text = FULL.replacen(from, to, 1);
    assert_ne!(text, FULL, "`{from}` is not in the recipe");
    match parse(&text, Path::new("recipe.yaml")) {
        Err(RecipeError::Findings { findings, .. }) => findings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_source_is_looked_at() {
    parse(FULL, Path::new("recipe.yaml")).unwrap();
    for (from, to, expected) in [
        ("    platforms: [linux/amd64]\n", "    platforms: [linux/amd46]\n", "did you mean `linux/amd64`?"),
        (
            "platforms: [linux/amd64, linux/arm64]",
            "platforms: [linux/amd64, linux/amd64]",
            "stands already at platforms[0]",
        ),
        (
            "https://charts.example/stable",
            "charts.example",
            "charts[1].repository: `charts.example` must look",
        ),
        ("https://charts.example", "https://me:word@charts.example", "must hold no user"),
        ("version: 1.2.3", "version: ^1.2.3", "is no exact version"),
        ("oci: registry.example/charts/flannel", "oci: flannel", "charts[2].oci: `flannel` is no registry"),
        ("linux/arm64:\n", "linux/arm46:\n", "files[0].sources: there is none for linux/arm64"),
        ("linux/arm64:\n", "linux/arm46:\n", "is no platform of this file; did you mean `linux/arm64`?"),
        ("sha256: e3", "sha256: XX", "files[0].sources.linux/arm64.sha256: `XX"),
        ("url: https://dl", "url: ftp://dl", "files[0].sources.linux/arm64.url: `ftp://dl"),
        ("member: bin/helm", "member: ../helm", "files[1].source.archive.member: `../helm` must"),
        (
            "    source:\n      archive:\n        path: helm.tar.gz\n        member: bin/helm\n",
            "",
            "say where it is",
        ),
        (
            "    platforms: [linux/amd64]\n    source:",
            "    sources: {linux/amd64: {path: a}}\n    source:",
            "exclude each other",
        ),
        ("component: orders, images", "component: order, images", "did you mean `orders`?"),
        (
            "images: [registry.sealift.example/orders/web:4.2.0]",
            "images: ['ghcr.io/a/b:1']",
            "add `- name: ghcr.io/a/b:1` under `images`",
        ),
        (
            "images: [registry.sealift.example/orders/web:4.2.0]",
            "images: [registry.sealift.example/orders/web:4.2.1]",
            "under `images`; did you mean `registry.sealift.example/orders/web:4.2.0`?",
        ),
        (
            "path: /var/lib/orders",
            "path: /usr/local/bin/helm",
            "hostDirectories[0].path: /usr/local/bin/helm stands already at files[1].path",
        ),
        (
            "path: /var/lib/orders",
            "path: /usr/local/bin/helm/x",
            "below /usr/local/bin/helm, which is a file",
        ),
        (
            "{oci: registry.example/charts/flannel, version: 0.28.4}",
            "{path: charts/orders}",
            "charts/orders stands already at charts[0]",
        ),
        ("name: helm\n", "name: kubelet\n", "files[1].name: kubelet stands already at files[0].name"),
    ] {
        let found = findings_of_full(from, to);
        assert!(found.iter().any(|finding| finding.contains(expected)), "{to}: {found:?}");
    }
}

#[test]
fn contents_of_files_follow_the_platforms() {
    let recipe = parse(FULL, Path::new("recipe.yaml")).unwrap();
    let titles: Vec<String> = recipe.file_contents().iter().map(FileContent::title).collect();
    assert_eq!(
        titles,
        ["kubelet for linux/amd64", "kubelet for linux/arm64", "helm for linux/amd64", "notes"]
    );
    let recipe = parse(RECIPE, Path::new("recipe.yaml")).unwrap();
    assert_eq!(recipe.file_contents()[0].title(), "kubelet");
}

#[test]
fn all_findings_come_together() {
    let text = RECIPE.replace("kind: Recipe", "kind: Site").replace("linux/amd64", "linux");
    let Err(RecipeError::Findings { findings, .. }) = parse(&text, Path::new("recipe.yaml")) else {
        panic!("accepted")
    };
    assert_eq!(findings.len(), 2);
}

#[test]
fn services_of_the_site_leave_out_only_what_is_there() {
    let good = RECIPE
        .replace(
            "      web.title: {setting: title}\n",
            "      web.title: {setting: title}\n      database.host: {service: database-host}\n",
        )
        .replace(
            "    generated: [session]\n",
            "    generated: [session]\n    fromServices: {session: database}\n",
        )
        + "services:\n  database:\n    components: [flannel]\n    gates: [{kind: DaemonSet, name: flannel}]\n    sizingParts: [web]\n";
    parse(&good, Path::new("recipe.yaml")).unwrap();
    for (from, to, expected) in [
        (
            "[flannel]\n    gates",
            "[flanel]\n    gates",
            "services.database.components: there is no component `flanel`; did you mean `flannel`?",
        ),
        (
            "sizingParts: [web]",
            "sizingParts: [page]",
            "services.database.sizingParts: there is no part of the sizing model `page`",
        ),
        (
            "gates: [{kind: DaemonSet, name: flannel}]",
            "gates: [{kind: Deployment, name: flannel}]",
            "services.database.gates: no component has a gate on Deployment flannel",
        ),
        ("sizingParts: [web]", "images: [web]", "services.database.images: there is no image `web`"),
        (
            "sizingParts: [web]",
            "hostDirectories: [/data]",
            "services.database.hostDirectories: there is no folder `/data`",
        ),
        (
            "      database.host: {service: database-host}\n",
            "",
            "services.database: no component gets to know the site's",
        ),
        (
            "{service: database-host}",
            "{service: logs-url}",
            "valuesFrom `database.host`: the product does not say that a site may run `logs` itself",
        ),
        ("{session: database}", "{session: metrics}", "may run `metrics` itself"),
        (
            "{session: database}",
            "{password: database}",
            "the key `password` is both taken from the site and from its service",
        ),
        ("password: databasePassword", "password: services.database.password", "is no name for a secret"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        match parse(&text, Path::new("recipe.yaml")) {
            Err(RecipeError::Findings { findings, .. }) => {
                assert!(findings.iter().any(|finding| finding.contains(expected)), "{to}: {findings:?}");
            }
            other => panic!("{to}: {other:?}"),
        }
    }
}
