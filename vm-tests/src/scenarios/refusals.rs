//! To come.

use super::Test;

/// In order.
pub const TESTS: &[Test] = &[];
/// On the way.
pub const ON_THE_WAY: &[Test] = &[];
