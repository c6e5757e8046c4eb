//! stub
use std::path::{Path, PathBuf};
/// Whose signatures count.
#[derive(Debug, Clone)]
pub struct TrustedKeys {}
/// Why.
#[derive(Debug, thiserror::Error)]
#[error("key")]
pub struct KeyError;
impl TrustedKeys {
    /// From files.
    pub fn from_files(_paths: &[PathBuf]) -> Result<Self, KeyError> { unimplemented!() }
    /// From text.
    pub fn from_public_key_text(_text: &str) -> Result<Self, KeyError> { unimplemented!() }
    /// Ids.
    #[must_use]
    pub fn ids(&self) -> Vec<String> { unimplemented!() }
}
#[allow(dead_code)]
fn unused(_: &Path) {}
