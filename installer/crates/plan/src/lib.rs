//! Profile, bundle and facts to typed steps.
