//! See `bundle_builder_fuzz::recipe`.
#![no_main]

libfuzzer_sys::fuzz_target!(|content: &[u8]| bundle_builder_fuzz::recipe(content));
