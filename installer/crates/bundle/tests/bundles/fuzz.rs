//! Made-up and spoiled input is refused without panic.

use std::sync::LazyLock;

use crate::common::{BLOCK, Tiny, check, empty_document, join, pieces, tiny};
use proptest::prelude::*;

static TINY: LazyLock<Tiny> = LazyLock::new(|| tiny(empty_document()));

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        prop_assert!(check(bytes, &TINY.keys).is_err());
    }

    #[test]
    fn random_bytes_written_over_a_bundle(
        place in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 1..600),
    ) {
        let mut spoiled = TINY.bytes.clone();
        let start = place.index(spoiled.len());
        for (old, new) in spoiled[start..].iter_mut().zip(&bytes) {
            *old = *new;
        }
        let same = spoiled == TINY.bytes;
        prop_assert_eq!(check(spoiled, &TINY.keys).is_ok(), same);
    }

    #[test]
    fn headers_with_random_fields(
        member in 0..9_usize,
        size in any::<u64>(),
        name in "[a-z./]{0,90}",
        kind in any::<u8>(),
    ) {
        let mut members = pieces(&TINY.bytes);
        members[member] = crate::common::with_header(&members[member], |header| {
            header.set_size(size);
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(tar::EntryType::new(kind));
        });
        prop_assert!(check(join(&members), &TINY.keys).is_err());
    }

    #[test]
    fn blocks_cut_out_or_doubled(from in any::<prop::sample::Index>(), count in 1..4_usize, doubled in any::<bool>()) {
        let mut blocks: Vec<&[u8]> = TINY.bytes.chunks(BLOCK).collect();
        let start = from.index(blocks.len());
        let end = (start + count).min(blocks.len());
        if doubled {
            let copy = blocks[start..end].to_vec();
            blocks.splice(start..start, copy);
        } else {
            blocks.drain(start..end);
        }
        prop_assert!(check(blocks.concat(), &TINY.keys).is_err());
    }
}
