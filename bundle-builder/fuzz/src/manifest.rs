//! What registries send: indexes, manifests, configs, errors, challenges.

use bundle_builder::manifest::{Manifest, Names, config_platform, serves};

/// Reads the bytes as each thing that a registry may send.
///
/// # Panics
/// When something that is no digest is taken for one.
pub fn manifest(content: &[u8]) {
    if let Ok(manifest) = Manifest::parse(content) {
        let named = match manifest.names {
            Names::Platforms(platforms) => {
                for (platform, _) in &platforms {
                    assert!(serves(platform, platform));
                }
                platforms.into_iter().map(|(_, content)| content).collect()
            }
            Names::Blobs { config, layers } => [vec![config], layers].concat(),
        };
        assert!(named.iter().all(|content| sealift_bundle::digest::is_valid(&content.digest)));
    }
    let _ = config_platform(content);
    bundle_builder::registry::read_answer(content);
}
