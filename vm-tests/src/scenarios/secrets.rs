//! To come.

use super::Test;

/// In order.
pub const TESTS: &[Test] = &[];
