//! A recipe from bytes, and what Helm may print.

use std::path::Path;

/// Reads and checks a recipe, and reads the same bytes as what a chart became.
///
/// # Panics
/// When a recipe that is right cannot be written for its lock, or an image is neither packed nor missing.
pub fn recipe(content: &[u8]) {
    let Ok(text) = std::str::from_utf8(content) else { return };
    let path = Path::new("recipe.yaml");
    let hints = match bundle_builder::recipe::parse(text, path) {
        Ok(recipe) => {
            serde_json::to_value(&recipe).expect("what was read can be written");
            recipe.image_hints
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Vec::new()
        }
    };
    if let Ok(found) = bundle_builder::closure::Found::read(text, "default", &hints) {
        use bundle_builder::closure::{References, Rendering};
        let mut references = References::default();
        let rendering = Rendering { chart: "c", component: "c", namespace: "default", profile: None };
        references.add(rendering, found);
        let missing = references.missing(&[]);
        assert_eq!(missing.len(), references.len());
        assert!(missing.iter().all(|one| !one.to_string().is_empty()));
    }
}
