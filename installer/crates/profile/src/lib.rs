//! The site profile: types, loading, overlays, findings, schema.
