//! The bundle format: read, verify, write.
