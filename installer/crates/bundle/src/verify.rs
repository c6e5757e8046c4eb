//! stub
/// What a good bundle was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Blobs hashed.
    pub blobs: usize,
    /// Bytes read.
    pub bytes: u64,
}
