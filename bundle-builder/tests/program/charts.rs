//! Charts as archives: those that Helm and tar make are taken, those that Helm would read in another way are not.

use std::path::Path;
use std::process::Command;

use crate::helm;
use crate::support::vendor::{LOCK, Vendor, build};

/// A vendor whose chart is the archive `chart.tgz`.
fn vendor() -> Vendor {
    let vendor = Vendor::new();
    vendor.replace("recipe.yaml", "- path: chart\n", "- path: chart.tgz\n");
    vendor
}

/// Runs a program of the system in the vendor's folder.
fn run(vendor: &Vendor, program: &Path, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(vendor.folder.path()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A chart's archive with these members behind those that it needs.
fn archive(members: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let chart = [
        ("orders/Chart.yaml", tar::EntryType::Regular, "apiVersion: v2\nname: orders\nversion: 4.2.0\n"),
        ("orders/templates/web.yaml", tar::EntryType::Regular, "kind: Pod\n"),
    ];
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut builder = tar::Builder::new(encoder);
    for (name, kind, content) in chart.iter().chain(members) {
        let mut header = tar::Header::new_gnu();
        // Names that the library would refuse to write.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let is_link = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
        if is_link {
            header.set_link_name(content).unwrap();
        }
        let content = if is_link { "" } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

#[test]
fn an_archive_that_helm_would_read_otherwise_is_refused_by_name() {
    let vendor = vendor();
    let file = tar::EntryType::Regular;
    let other = "apiVersion: v2\nname: orders\nversion: 9.9.9\n";
    for (name, kind, content, expected) in [
        // Helm takes the last one.
        ("orders/Chart.yaml", file, other, "two members are named orders/Chart.yaml"),
        (
            "orders/values.yaml",
            tar::EntryType::Symlink,
            "/etc/passwd",
            r#"the member "orders/values.yaml" is a link to /etc/passwd"#,
        ),
        (
            "orders/values.yaml",
            tar::EntryType::Link,
            "orders/Chart.yaml",
            r#"the member "orders/values.yaml" is a link to orders/Chart.yaml"#,
        ),
        (
            "orders/disk",
            tar::EntryType::Block,
            "",
            r#"the member "orders/disk" is neither a file nor a folder"#,
        ),
        ("orders/../Chart.yaml", file, other, r#""orders/../Chart.yaml", which leads elsewhere"#),
        ("/etc/Chart.yaml", file, other, r#""/etc/Chart.yaml", which leads elsewhere"#),
        (
            "./orders/Chart.yaml",
            file,
            other,
            r#""./orders/Chart.yaml" has a name that programs read in several ways"#,
        ),
        (
            "orders\\Chart.yaml",
            file,
            other,
            r#""orders\\Chart.yaml" has a name that programs read in several ways"#,
        ),
        (
            "other/Chart.yaml",
            file,
            other,
            r#"the member "other/Chart.yaml" stands outside of the chart's folder "orders""#,
        ),
        ("Chart.yaml", file, other, r#"the member "Chart.yaml" stands in no folder"#),
    ] {
        vendor.write_bytes("chart.tgz", &archive(&[(name, kind, content)]));
        let said = vendor.fail(2, &LOCK);
        assert!(said.contains("chart.tgz cannot be used as a chart archive\n  because: "), "{name}: {said}");
        assert!(said.contains(expected), "{name}: {said}");
        assert!(said.contains("next: make the archive with `helm package`"), "{name}: {said}");
        assert!(!vendor.path("recipe.lock.yaml").exists(), "{name}");
    }
    // The same without a trick.
    vendor.write_bytes("chart.tgz", &archive(&[("orders/values.yaml", file, "a: b\n")]));
    vendor.lock();
    let whole = archive(&[]);
    vendor.write_bytes("chart.tgz", &whole[..whole.len() - 4]);
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("chart.tgz cannot be used as a chart archive"), "{said}");
    let bomb = "x".repeat(65 << 20);
    vendor.write_bytes("chart.tgz", &archive(&[("orders/files/zeros", file, &bomb)]));
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("because: it unpacks to more than 64 MiB: that is no chart"), "{said}");
}

#[test]
fn a_repository_cannot_give_such_an_archive_either() {
    let vendor = Vendor::new();
    let tricky = archive(&[("orders/Chart.yaml", tar::EntryType::Regular, "name: orders\n")]);
    vendor.registry.push_file("charts/orders-4.2.0.tgz", &tricky);
    let index = "apiVersion: v1\nentries:\n  orders:\n  - {version: 4.2.0, urls: [orders-4.2.0.tgz]}\n";
    let base = vendor.registry.push_file("charts/index.yaml", index.as_bytes()).replace("/index.yaml", "");
    let entry = format!("- {{repository: '{base}', name: orders, version: 4.2.0}}\n");
    vendor.replace("recipe.yaml", "- path: chart\n", &entry);
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains(&format!("orders 4.2.0 of {base} cannot be used as a chart archive")), "{said}");
    assert!(said.contains("two members are named orders/Chart.yaml"), "{said}");
}

#[test]
fn archives_of_helm_and_of_tar_are_taken() {
    let vendor = vendor();
    std::fs::remove_file(vendor.path("helm")).unwrap();
    std::os::unix::fs::symlink(helm::build(), vendor.path("helm")).unwrap();
    // Too long for a plain header.
    vendor.write(&format!("chart/files/{}.txt", "long".repeat(40)), "text");
    let chart = vendor.path("chart");
    std::fs::create_dir(vendor.path("in")).unwrap();
    std::fs::rename(&chart, vendor.path("in/orders")).unwrap();
    let pack = |format: &str| {
        let format = format!("--format={format}");
        run(&vendor, Path::new("tar"), &[&format, "-czf", "chart.tgz", "-C", "in", "orders"]);
    };
    let packers: [(&str, &dyn Fn()); 4] = [
        ("helm package", &|| {
            run(&vendor, &vendor.path("helm"), &["package", "in/orders"]);
            std::fs::rename(vendor.path("orders-4.2.0.tgz"), vendor.path("chart.tgz")).unwrap();
        }),
        ("tar with PAX headers", &|| pack("posix")),
        ("GNU tar", &|| pack("gnu")),
        ("a global header, as of git archive", &|| {
            let records = "--pax-option=globexthdr.name=pax_global_header,comment=4f3b";
            let arguments = ["--format=posix", records, "-czf", "chart.tgz", "-C", "in", "orders"];
            run(&vendor, Path::new("tar"), &arguments);
        }),
    ];
    for (title, pack) in packers {
        pack();
        vendor.lock();
        let bundle = format!("{title}.bundle");
        vendor.succeed(&build("cache", &bundle));
        let listed = vendor.succeed(&["ls", &bundle, "--key", "release.key.pub"]);
        assert!(listed.lines().any(|line| line.contains("orders") && line.contains("4.2.0")), "{listed}");
    }
}

#[test]
fn a_component_of_no_chart_is_shown_where_it_stands() {
    let vendor = Vendor::new();
    vendor.replace("recipe.yaml", "chart: orders", "chart: oders");
    let said = vendor.fail(2, &LOCK);
    let text = vendor.read("recipe.yaml");
    let line = text.lines().position(|line| line.contains("chart: oders")).unwrap() + 1;
    let column = text.lines().nth(line - 1).unwrap().find("chart: oders").unwrap() + 1;
    let expected = format!(
        "error: recipe.yaml:{line}:{column}: components[0].chart (orders): there is no chart `oders`; charts: orders; did you mean `orders`?\n"
    );
    assert!(said.contains(&expected), "{said}");
}
