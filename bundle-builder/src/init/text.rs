//! The recipe's text, with its comments.

use std::collections::{BTreeMap, BTreeSet};

use super::{Draft, Named, Rendered};
use crate::fill::fill;
use crate::image::{ImageName, PodImage};

const TEMPLATE: &str = include_str!("recipe.yaml");
/// Lines of a foreign message that are shown.
const MOST_LINES: usize = 20;

/// The whole recipe.
pub(super) fn recipe(drafts: &[Draft]) -> String {
    let product = Product::of(drafts);
    let mut well = drafts.iter().rev().filter(|draft| matches!(draft.rendered, Rendered::Well(_)));
    let example = well.next().map_or("product", |draft| &draft.component);
    let values = [
        ("charts", &*list(drafts.iter().map(chart))),
        ("components", &list(drafts.iter().map(component))),
        ("images", &images(drafts)),
        ("example", &scalar(example)),
        ("change", if product.guessed { " # CHANGE" } else { "" }),
        ("name", &scalar(&product.name)),
        ("title", &scalar(&product.title)),
        ("version", &scalar(&product.version)),
    ];
    fill(TEMPLATE, &values)
}

/// What is sold, as far as charts tell.
struct Product {
    name: String,
    title: String,
    version: String,
    guessed: bool,
}

impl Product {
    fn of(drafts: &[Draft]) -> Self {
        let [draft] = drafts else {
            let text = |word: &str| word.to_owned();
            return Self {
                name: text("product"),
                title: text("Product"),
                version: text("0.1.0"),
                guessed: true,
            };
        };
        let mut letters = draft.component.chars();
        let title =
            letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default();
        let version = if draft.version.is_empty() { "0.1.0".to_owned() } else { one_line(&draft.version) };
        Self { name: draft.component.clone(), title, version, guessed: false }
    }
}

/// An entry of a list, and whether it is only a comment.
struct Entry {
    text: String,
    comment: bool,
}

/// Entries as they stand below their key.
fn list(entries: impl Iterator<Item = Entry>) -> String {
    let entries: Vec<Entry> = entries.collect();
    let start = if entries.iter().all(|entry| entry.comment) { " []\n" } else { "\n" };
    let lines = entries.iter().flat_map(|entry| {
        let mark = if entry.comment { "# " } else { "" };
        entry.text.lines().map(move |line| format!("  {}\n", format!("{mark}{line}").trim_end()))
    });
    start.to_owned() + &lines.collect::<String>()
}

fn chart(draft: &Draft) -> Entry {
    let path = draft.path.to_string_lossy();
    match &draft.rendered {
        Rendered::Well(_) => Entry { text: format!("- path: {}", scalar(&path)), comment: false },
        Rendered::Not(_) => {
            let text = format!("- path: {} (left out: see its component)", one_line(&path));
            Entry { text, comment: true }
        }
    }
}

fn component(draft: &Draft) -> Entry {
    let mut text = format!(
        "- name: {}\n  chart: {}\n  namespace: {}\n  stage: {}\n",
        scalar(&draft.component),
        scalar(&draft.chart),
        scalar(if draft.platform { "kube-system" } else { &draft.component }),
        if draft.platform { "platform" } else { "product" },
    );
    match &draft.rendered {
        Rendered::Well(named) => {
            text.push_str(&gates(named));
            text.push_str("  timeoutSeconds: 600\n");
            text.push_str(
                "  # acceptance: true   # where `helm test` of this release proves that the product works\n",
            );
            Entry { text, comment: false }
        }
        Rendered::Not(why) => {
            let why: Vec<String> =
                why.lines().take(MOST_LINES).map(|line| format!("  {}\n", one_line(line))).collect();
            let text = format!(
                "{} is left out:\n{}When that is mended, take the marks away here and under `charts`, and add its images.\n{text}  timeoutSeconds: 600\n",
                one_line(&draft.path.to_string_lossy()),
                why.concat()
            );
            Entry { text, comment: true }
        }
    }
}

/// Workloads to wait for.
fn gates(named: &[Named]) -> String {
    let waited = named.iter().filter(|one| matches!(&*one.kind, "Deployment" | "StatefulSet" | "DaemonSet"));
    let line = |one: &Named| format!("    - {{kind: {}, name: {}}}\n", one.kind, scalar(&one.name));
    let gates: BTreeSet<String> = waited.map(line).collect();
    if gates.is_empty() {
        return "  gates: []\n".to_owned();
    }
    format!("  gates:\n{}", gates.into_iter().collect::<String>())
}

/// The images that charts name, each with who names it.
fn images(drafts: &[Draft]) -> String {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for draft in drafts {
        let Rendered::Well(named) = &draft.rendered else { continue };
        for one in named {
            let place = format!("{}: {}/{}", draft.component, one.kind, one.name);
            found.entry(&one.image).or_default().insert(place);
        }
    }
    let mut lines = BTreeMap::new();
    for (image, places) in found {
        let places = one_line(&places.into_iter().collect::<Vec<_>>().join(", "));
        let (key, line) = self::image(image, &places);
        // The same image under a short and a full name is one, and the cluster's own stand above.
        if !TEMPLATE.contains(&format!("- name: {key}\n")) {
            lines.entry(key).or_insert(line);
        }
    }
    let heading =
        if lines.is_empty() { "" } else { "  # Found in the charts, with the objects that name them.\n" };
    heading.to_owned() + &lines.into_values().collect::<String>()
}

/// An image's full name, and its line.
fn image(found: &str, places: &str) -> (String, String) {
    let name = PodImage::parse(found).map(|image| image.name);
    let Some(name) = name.filter(|name| name.parse::<ImageName>().is_ok()) else {
        let found = one_line(found);
        let line = format!("  # CHANGE: add `- name: ` with a tag for {found}; {places}\n");
        return (found, line);
    };
    let latest = if name.ends_with(":latest") { " CHANGE: `latest` is another image tomorrow;" } else { "" };
    let line = format!("  - name: {} #{latest} {places}\n", scalar(&name));
    (name, line)
}

/// `text` as a YAML scalar that means this text.
fn scalar(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._/-+:@".contains(c))
        && !text.ends_with(':')
        && serde_yaml::from_str::<serde_yaml::Value>(text).is_ok_and(|value| value.as_str() == Some(text));
    // A JSON string is a YAML one.
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// Foreign text in a comment: no line of it may become one of the recipe's own.
fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    text.chars().take(300).map(|c| if breaks(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::render;
    use super::*;
    use crate::recipe;
    use std::path::Path;

    fn draft(name: &str, rendered: &str) -> Draft {
        Draft {
            path: format!("charts/{name}").into(),
            chart: name.to_owned(),
            component: name.to_owned(),
            version: "4.2".to_owned(),
            platform: false,
            rendered: Rendered::Well(render::named(name, rendered).unwrap()),
        }
    }

    fn workload(kind: &str, name: &str, image: &str) -> String {
        format!(
            "---\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{template: {{spec: {{containers: [{{name: c, image: '{image}'}}]}}}}}}\n"
        )
    }

    fn load(text: &str) -> recipe::Recipe {
        recipe::parse(text, Path::new("recipe.yaml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn one_chart_gives_its_name_and_version() {
        let text = recipe(&[draft("orders", &workload("Deployment", "web", "registry.example/web:1"))]);
        let recipe = load(&text);
        let product = &recipe.product;
        assert_eq!((&*product.name, &*product.title, &*product.version), ("orders", "Orders", "4.2"));
        assert_eq!(recipe.images.last().unwrap().name, "registry.example/web:1");
        assert_eq!(recipe.components[0].gates[0].kind, "Deployment");
        assert!(text.contains("- name: registry.example/web:1 # orders: Deployment/web\n"), "{text}");
        // With the files that it only names.
        let whole = text.replace("files: []", "files:").replace("\n#  - {name: ", "\n  - {name: ");
        assert!(load(&whole).files.len() > 10);
    }

    #[test]
    fn several_charts_leave_the_product_to_the_vendor() {
        let text = recipe(&[draft("a", ""), draft("b", &workload("StatefulSet", "db", "postgres"))]);
        assert_eq!(text.matches("# CHANGE\n").count(), 3, "{text}");
        let recipe = load(&text);
        assert_eq!(recipe.components.iter().map(|one| &*one.name).collect::<Vec<_>>(), ["a", "b"]);
        assert!(recipe.components[0].gates.is_empty());
        assert!(text.contains("docker.io/library/postgres:latest # CHANGE: `latest` is"), "{text}");
    }

    #[test]
    fn what_cannot_be_an_entry_becomes_a_comment() {
        let digest = format!("ghcr.io/a/b@sha256:{}", "0".repeat(64));
        let rendered = [
            workload("Deployment", "a", &digest),
            workload("Deployment", "b", "registry.k8s.io/pause:3.10.2"),
        ];
        let mut broken = draft("broken", "");
        broken.rendered = Rendered::Not("Error: first\nsecond: \u{85}- name: x".to_owned());
        let text = recipe(&[draft("a", &rendered.concat()), broken]);
        let recipe = load(&text);
        assert_eq!((recipe.charts.len(), recipe.components.len(), recipe.images.len()), (1, 1, 7));
        assert!(
            text.contains(&format!("  # CHANGE: add `- name: ` with a tag for {digest}; a: Deployment/a\n"))
        );
        assert!(text.contains("  #   Error: first\n  #   second:  - name: x\n"), "{text}");
        // Nothing renders: still a recipe.
        let mut only = draft("only", "");
        only.rendered = Rendered::Not("no".to_owned());
        assert!(load(&super::recipe(&[only])).components.is_empty());
    }

    #[test]
    fn names_that_mean_something_else_in_yaml_are_quoted() {
        for (text, expected) in [
            ("orders", "orders"),
            ("1.10", "\"1.10\""),
            ("true", "\"true\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("a\nb", "\"a\\nb\""),
            ("v1.2.3+build", "v1.2.3+build"),
        ] {
            assert_eq!(scalar(text), expected);
        }
    }
}
