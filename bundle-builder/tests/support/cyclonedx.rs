//! The official schema of `CycloneDX` 1.6 (see `assets/cyclonedx/README.md`).

use serde_json::Value;

fn asset(name: &str) -> Value {
    let text =
        std::fs::read(format!("{}/tests/assets/cyclonedx/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Every complaint of the official schema.
pub fn complaints(sbom: &Value) -> Vec<String> {
    // The schema names its two helpers relative to its own address; nothing is fetched.
    let base = "http://cyclonedx.org/schema/";
    let mut registry = jsonschema::Registry::new();
    for helper in ["spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json"] {
        registry = registry.add(format!("{base}{helper}"), asset(helper)).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let schema = asset("bom-1.6.SNAPSHOT.schema.json");
    let validator =
        jsonschema::options().should_validate_formats(true).with_registry(&registry).build(&schema).unwrap();
    validator.iter_errors(sbom).map(|error| format!("{}: {error}", error.instance_path())).collect()
}
