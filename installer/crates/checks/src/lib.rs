//! Facts to findings.
