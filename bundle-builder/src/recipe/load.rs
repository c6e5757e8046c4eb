//! Reads a recipe: syntax errors with line, column and the nearest valid name; then every other finding together.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::places::Places;
use super::{Recipe, Written, check, doubles};
use crate::nearest::nearest;

/// Why a recipe was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The recipe.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not YAML, a wrong type, or a name that does not exist.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The recipe.
        path: PathBuf,
        /// Line, from 1; 0 where unknown.
        line: usize,
        /// Column, from 1; 0 where unknown.
        column: usize,
        /// What is wrong there.
        message: String,
        /// A valid name close to the one found.
        nearest: Option<String>,
    },
    /// Readable, but it contradicts itself; all findings.
    #[error("{}", listed(path, findings))]
    Findings {
        /// The recipe.
        path: PathBuf,
        /// One sentence each, led by line and column (`12:5: `) where they are known, and the place.
        findings: Vec<String>,
    },
}

/// Each finding behind the file's name, so that an editor finds every one.
fn listed(path: &Path, findings: &[String]) -> String {
    let line = |finding: &String| {
        let numbered = finding.starts_with(|first: char| first.is_ascii_digit());
        format!("{}:{}{finding}", path.display(), if numbered { "" } else { " " })
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n  ")
}

/// Reads and checks the recipe at `path`.
pub fn load(path: &Path) -> Result<Recipe, RecipeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Checks a recipe's text; `path` is for messages.
pub fn parse(text: &str, path: &Path) -> Result<Recipe, RecipeError> {
    let mut recipe: Recipe = yaml(text, path)?;
    recipe.written = Written { path: path.to_owned(), text: text.to_owned() };
    let found = check::findings(&recipe);
    if found.is_empty() { Ok(recipe) } else { Err(recipe.placed(found)) }
}

/// The findings `found`, with line and column of their places in `text`.
pub(super) fn placed(path: &Path, text: &str, found: Vec<(String, String)>) -> RecipeError {
    let places = Places::of(text);
    let finding = |(place, what): (String, String)| match places.find(&place) {
        Some((line, column)) => format!("{line}:{column}: {place}: {what}"),
        None => format!("{place}: {what}"),
    };
    RecipeError::Findings { path: path.to_owned(), findings: found.into_iter().map(finding).collect() }
}

/// Reads YAML into `T`; `path` is for messages. A map has each key once: of two, one would be lost without a word.
pub(crate) fn yaml<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, RecipeError> {
    let findings = doubles::findings(text);
    if !findings.is_empty() {
        return Err(RecipeError::Findings { path: path.to_owned(), findings });
    }
    // Enums with content are written `{setting: name}`; the plain deserialiser would want a YAML tag, `!setting name`.
    serde_yaml::with::singleton_map_recursive::deserialize(serde_yaml::Deserializer::from_str(text))
        .map_err(|error| syntax(path, &error))
}

fn syntax(path: &Path, error: &serde_yaml::Error) -> RecipeError {
    let full = error.to_string();
    let (line, column) = error.location().map_or((0, 0), |place| (place.line(), place.column()));
    let position = format!(" at line {line} column {column}");
    let message = full.replacen(&position, "", 1);
    let nearest = nearest_name(&message);
    RecipeError::Syntax { path: path.to_owned(), line, column, message, nearest }
}

/// The valid name closest to the wrong one in a message like ``unknown field `nmae`, expected one of `name`, `roles` ``.
fn nearest_name(message: &str) -> Option<String> {
    let (_, rest) =
        message.split_once("unknown field ").or_else(|| message.split_once("unknown variant "))?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    nearest(wrong, names).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::{FULL, RECIPE};
    use sealift_bundle::document::{Role, SiteValue};

    fn refused(text: &str) -> RecipeError {
        parse(text, Path::new("recipe.yaml")).unwrap_err()
    }

    #[test]
    fn a_full_recipe_is_read() {
        let recipe = parse(RECIPE, Path::new("recipe.yaml")).unwrap();
        assert_eq!(recipe.files[0].mode, 0o755);
        assert_eq!(recipe.images[0].roles, [Role::ControlPlane, Role::Worker]);
        assert_eq!(recipe.components[1].values_from["web.title"], SiteValue::Setting("title".to_owned()));
        assert_eq!(recipe.components[0].values_from["podCidr"], SiteValue::PodCidr);
        assert_eq!(recipe.compression.level, 3);
    }

    #[test]
    fn an_unknown_key_is_shown_with_its_place_and_the_nearest_name() {
        let text = RECIPE.replace("serial: 17", "seriall: 17");
        let RecipeError::Syntax { line, column, nearest, message, .. } = refused(&text) else {
            panic!("not a syntax error")
        };
        assert_eq!(text.lines().nth(line - 1).unwrap().trim(), "seriall: 17");
        assert_eq!(column, 3);
        assert_eq!(nearest.as_deref(), Some("serial"));
        assert!(message.contains("unknown field `seriall`") && !message.contains("at line"), "{message}");
    }

    #[test]
    fn an_unknown_key_in_a_list_is_shown_with_its_line() {
        let text = RECIPE.replace("timeoutSeconds: 600", "timeoutSecond: 600");
        let RecipeError::Syntax { line, nearest, .. } = refused(&text) else { panic!("not a syntax error") };
        assert!(text.lines().nth(line - 1).unwrap().contains("timeoutSecond"));
        assert_eq!(nearest.as_deref(), Some("timeoutSeconds"));
    }

    #[test]
    fn an_unknown_site_value_gets_the_nearest_one() {
        let error = refused(&RECIPE.replace("pod-cidr", "podcidr"));
        assert!(
            matches!(&error, RecipeError::Syntax { nearest: Some(name), .. } if name == "pod-cidr"),
            "{error:?}"
        );
    }

    #[test]
    fn a_duplicate_key_is_shown_where_it_stands_the_second_time() {
        for (place, more) in [
            ("product.serial", "  serial: 17\n"),
            ("components[1].values.web", "      web: {image: registry.sealift.example/orders/web:4.2.0}\n"),
            ("components[1].valuesFrom.web.replicas", "      web.replicas: service-replicas\n"),
            ("settings.title", "  title:\n    description: Name on the first page\n    default: Orders\n"),
            ("secrets[0].fromSite", "    fromSite: {password: databasePassword}\n"),
        ] {
            let text = RECIPE.replacen(more, &more.repeat(2), 1);
            assert_ne!(text, RECIPE, "{more}");
            let first = text[..text.find(more).unwrap()].lines().count() + 1;
            let (line, column) = (first + more.lines().count(), more.find(|c| c != ' ').unwrap() + 1);
            assert_eq!(
                refused(&text).to_string(),
                format!(
                    "recipe.yaml:{line}:{column}: {place}: duplicate key, it stands in line {first} already"
                )
            );
        }
        let twice = refused(&RECIPE.replace("{password: databasePassword}", "{password: x, password: y}"));
        assert!(twice.to_string().contains(": secrets[0].fromSite.password: duplicate key"), "{twice}");
        let documents = refused(&format!("{RECIPE}---\n{RECIPE}")).to_string();
        let line = RECIPE.lines().count() + 1;
        assert!(
            documents.starts_with(&format!("recipe.yaml:{line}:1: a second YAML document")),
            "{documents}"
        );
    }

    #[test]
    fn a_bare_mode_is_refused() {
        let mode = refused(&RECIPE.replace("\"0755\"", "rwx")).to_string();
        assert!(mode.contains("octal digits in quotes"), "{mode}");
    }

    #[test]
    fn unknown_keys_of_sources_have_place_and_nearest_name() {
        for (from, to, nearest) in [
            ("ociArchive:", "ociArchiv:", "ociArchive"),
            ("reference: web", "referenc: web", "reference"),
            ("member: bin/helm", "membre: bin/helm", "member"),
            ("sha256:", "sha265:", "sha256"),
            ("profiles:", "profile:", "profiles"),
            ("imageHints:", "imageHint:", "imageHints"),
            ("publicKey:", "publickey:", "publicKey"),
            ("sources:", "source_s:", "sources"),
        ] {
            let text = FULL.replacen(from, to, 1);
            assert_ne!(text, FULL, "{from}");
            let RecipeError::Syntax { line, nearest: Some(found), .. } = refused(&text) else {
                panic!("{to}: {:?}", refused(&text))
            };
            assert_eq!(found, nearest);
            assert!(
                text.lines().nth(line - 1).unwrap().contains(to.trim_end_matches(':')),
                "{to}: line {line}"
            );
        }
    }

    #[test]
    fn a_mixed_source_is_shown_with_its_line() {
        let text = RECIPE.replace("source: {root: payload, path", "source: {url: 'https://h/k', path");
        let RecipeError::Syntax { line, message, .. } = refused(&text) else { panic!("not a syntax error") };
        assert!(message.contains("`path` stands alone"), "{message}");
        // The line where the list of files starts its entry, or the source itself.
        let place = text.lines().position(|line| line.contains("https://h/k")).unwrap() + 1;
        assert!(line > 0 && line <= place && place - line <= 5, "line {line}, not near {place}");
    }

    #[test]
    fn findings_have_line_and_column() {
        let text = RECIPE.replace("path: /usr/local/bin/kubelet", "path: usr/local/bin/kubelet");
        let line = text.lines().position(|line| line.contains("path: usr/local")).unwrap() + 1;
        let error = refused(&text).to_string();
        assert!(error.starts_with(&format!("recipe.yaml:{line}:5: files[0].path: `usr/local")), "{error}");
    }

    #[test]
    fn findings_of_the_sizing_model_have_their_line() {
        let text = RECIPE.replace("      copies: 2", "      copies: 101");
        let line = text.lines().position(|line| line.contains("copies: 101")).unwrap() + 1;
        let error = refused(&text).to_string();
        assert!(error.starts_with(&format!("recipe.yaml:{line}:7: sizing.parts[0].copies: 101")), "{error}");
    }

    #[test]
    fn a_missing_file_names_it() {
        let error = load(Path::new("/nonexistent/recipe.yaml")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/recipe.yaml");
    }
}
