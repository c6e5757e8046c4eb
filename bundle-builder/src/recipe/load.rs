//! Reads a recipe: syntax errors with line, column and the nearest valid name; then every other finding together.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{Recipe, check};

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
    #[error("{}: {}", path.display(), findings.join("\n  "))]
    Findings {
        /// The recipe.
        path: PathBuf,
        /// One sentence each, led by the place.
        findings: Vec<String>,
    },
}

/// Reads and checks the recipe at `path`.
pub fn load(path: &Path) -> Result<Recipe, RecipeError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Checks a recipe's text; `path` is for messages.
pub fn parse(text: &str, path: &Path) -> Result<Recipe, RecipeError> {
    let recipe: Recipe = yaml(text, path)?;
    let findings = check::findings(&recipe);
    if findings.is_empty() {
        Ok(recipe)
    } else {
        Err(RecipeError::Findings { path: path.to_owned(), findings })
    }
}

/// Reads YAML into `T`; `path` is for messages.
pub(crate) fn yaml<T: DeserializeOwned>(text: &str, path: &Path) -> Result<T, RecipeError> {
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
    names
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().max(3) / 2)
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::testing::RECIPE;
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
    fn a_duplicate_key_and_a_bare_mode_are_refused() {
        let twice = refused(&RECIPE.replace("serial: 17", "serial: 17\n  serial: 18")).to_string();
        assert!(twice.contains("duplicate"), "{twice}");
        let mode = refused(&RECIPE.replace("\"0755\"", "rwx")).to_string();
        assert!(mode.contains("octal digits in quotes"), "{mode}");
    }

    #[test]
    fn a_missing_file_names_it() {
        let error = load(Path::new("/nonexistent/recipe.yaml")).unwrap_err();
        assert_eq!(error.to_string(), "cannot read /nonexistent/recipe.yaml");
    }
}
