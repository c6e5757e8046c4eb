//! See `bundle_builder_fuzz::parcel`.
#![no_main]

libfuzzer_sys::fuzz_target!(|content: &[u8]| bundle_builder_fuzz::parcel(content));
