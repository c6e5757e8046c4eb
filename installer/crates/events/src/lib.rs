//! Event types, their fold, and the run journal's format.
