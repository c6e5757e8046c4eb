//! A read-only OCI registry over a store.
