//! A delta from bytes: the file, a patch in it, or the numbers and bytes inside a patch.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use sealift_bundle::TrustedKeys;
use sealift_bundle::delta::patch;
use sealift_bundle::parcel::Parcel;
use sealift_bundle::testing::SampleKey;

/// What patches start from.
const BASE: &[u8] = b"0123456789abcdef0123456789ABCDEF";
/// Bytes that a patch should give, at most.
const OUTCOME: u64 = 4096;

static KEYS: LazyLock<TrustedKeys> = LazyLock::new(|| {
    let key = SampleKey::generate().public_key_text();
    TrustedKeys::from_public_key_text(&key).expect("a fresh key")
});
static BASE_FILE: LazyLock<File> = LazyLock::new(|| file_of(BASE));

/// The first byte says what the rest is: `Z` the three frames of a patch, `S` what is in those frames, `M` an older and a
/// newer content to make a patch for, `D` the patches of a delta that is signed and applied, any other a whole parcel.
///
/// # Panics
/// When a patch gives more than it should, or another content than it was made for.
pub fn parcel(content: &[u8]) {
    let Some((kind, rest)) = content.split_first() else { return };
    match kind {
        b'Z' => drop(applied(three(rest))),
        b'S' => {
            let frames = three(rest).map(|plain| zstd::encode_all(plain, 1).expect("memory"));
            applied([&frames[0], &frames[1], &frames[2]]);
        }
        b'M' => {
            let [old, new, _] = three(rest);
            made(old, new);
        }
        b'D' => drop(applies(rest)),
        _ => whole(rest),
    }
}

/// Applies the delta with these patches: whether it made the newer release, or why not.
pub(crate) fn applies(content: &[u8]) -> Result<(), String> {
    let [patches, _, frames] = three(content);
    super::delta::delta(patches, three(frames))
}

fn whole(content: &[u8]) {
    let path = Path::new("fuzz.delta");
    match Parcel::from_source(path, Arc::new(content.to_vec())) {
        Ok(parcel) => {
            assert_eq!(parcel.size(), content.len() as u64);
            for patch in &parcel.document().patches {
                assert!(parcel.size_of(&patch.patch).is_some());
            }
            // Nobody signed it.
            assert!(parcel.target(&KEYS).is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Two pieces whose lengths stand in front, two bytes each, and the rest.
fn three(content: &[u8]) -> [&[u8]; 3] {
    let Some((lengths, rest)) = content.split_first_chunk::<4>() else { return [&[]; 3] };
    let length = |low, high| usize::from(u16::from_le_bytes([low, high]));
    let (first, rest) = rest.split_at(length(lengths[0], lengths[1]).min(rest.len()));
    let (second, rest) = rest.split_at(length(lengths[2], lengths[3]).min(rest.len()));
    [first, second, rest]
}

/// Applies a patch to [`BASE`]; what came out, if it was right.
fn applied(frames: [&[u8]; 3]) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    let result = patch::apply(&BASE_FILE, frames, OUTCOME, &mut output);
    assert!(output.len() as u64 <= OUTCOME);
    result.is_ok().then_some(output)
}

fn made(old: &[u8], new: &[u8]) {
    let (patch, [first, second]) = patch::make(old, new).expect("memory");
    let length = |bytes: u64| usize::try_from(bytes).expect("a small patch");
    let (steps, rest) = patch.split_at(length(first));
    let (differences, fresh) = rest.split_at(length(second));
    let mut output = Vec::new();
    patch::apply(&file_of(old), [steps, differences, fresh], new.len() as u64, &mut output)
        .expect("a patch that was just made");
    assert!(output == new);
}

fn file_of(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(content).expect("room for a small file");
    file
}
