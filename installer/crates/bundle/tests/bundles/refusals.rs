//! Everything that may be wrong with a bundle is refused, each with its own error.

use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;

use crate::common::{
    BLOCK, Piece, Tiny, check, empty_document, join, piece, pieces, tiny, tiny_bytes, with_header,
};
use sealift_bundle::testing::SampleKey;
use sealift_bundle::{Bundle, BundleError, Damage, DamageKind, TrustedKeys};

fn sample() -> Tiny {
    tiny(empty_document())
}

/// The refusal of an archive of these members.
fn refused(tiny: &Tiny, pieces: &[Piece]) -> BundleError {
    check(join(pieces), &tiny.keys).unwrap_err()
}

/// Place of the member of this name.
fn find(pieces: &[Piece], name: &str) -> usize {
    pieces.iter().position(|piece| piece.name == name).unwrap()
}

#[test]
fn the_untouched_bundle_is_good() {
    let tiny = sample();
    let pieces = pieces(&tiny.bytes);
    assert_eq!(pieces.len(), 9);
    assert_eq!(join(&pieces), tiny.bytes);
    let report = check(tiny.bytes.clone(), &tiny.keys).unwrap();
    assert_eq!((report.blobs, report.bytes), (6, tiny.bytes.len() as u64));
}

#[test]
fn every_flipped_byte_is_refused() {
    let tiny = sample();
    for place in 0..tiny.bytes.len() {
        let mut bytes = tiny.bytes.clone();
        bytes[place] ^= 1 << (place % 8);
        let error = check(bytes, &tiny.keys).expect_err(&format!("byte {place}"));
        assert!(error.to_string().starts_with("tiny.bundle: "), "byte {place}: {error}");
    }
}

#[test]
fn every_flipped_bit_of_the_signature_is_refused() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    let start: usize = members[..2].iter().map(|piece| piece.bytes.len()).sum();
    for place in start..start + members[2].bytes.len() {
        for bit in 0..8 {
            let mut bytes = tiny.bytes.clone();
            bytes[place] ^= 1 << bit;
            assert!(check(bytes, &tiny.keys).is_err(), "byte {place} bit {bit}");
        }
    }
}

#[test]
fn every_truncation_is_refused_as_one() {
    let tiny = sample();
    let full = tiny.bytes.len() as u64;
    assert!(matches!(check(Vec::new(), &tiny.keys), Err(BundleError::NotABundle { .. })));
    let mut known = 0;
    for length in 1..tiny.bytes.len() {
        match check(tiny.bytes[..length].to_vec(), &tiny.keys).unwrap_err() {
            BundleError::Truncated { expected, got, .. } => {
                assert_eq!(got, length as u64);
                assert!(expected.is_none() || expected == Some(full), "{expected:?}");
                known += usize::from(expected.is_some());
            }
            other => panic!("{length} bytes of {full}: {other}"),
        }
    }
    // Once the document is inside, the message says how many bytes there should be.
    assert!(known > 4 * BLOCK, "{known}");
}

#[test]
fn appended_bytes_are_refused() {
    let tiny = sample();
    for extra in [1, BLOCK, 10 * BLOCK] {
        let mut bytes = tiny.bytes.clone();
        bytes.resize(bytes.len() + extra, 0);
        let error = check(bytes, &tiny.keys).unwrap_err();
        assert!(matches!(error, BundleError::TrailingData { .. }), "{error}");
    }
}

#[test]
fn an_added_member_is_refused_by_name_wherever_it_stands() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    for name in ["extra", "blobs/sha256/extra", "blobs/", "index.json"] {
        for place in 0..=members.len() {
            let mut changed = members.clone();
            changed.insert(place, piece(name, b"hello"));
            match refused(&tiny, &changed) {
                BundleError::ExtraMember { member, offset, .. } => {
                    assert_eq!(member, name);
                    // Of two equal names the second is the one too many.
                    let place = if name == "index.json" { place.max(2) } else { place };
                    let before: usize = changed[..place].iter().map(|piece| piece.bytes.len()).sum();
                    assert_eq!(offset, before as u64, "{name} at place {place}");
                }
                // In front of everything it looks moved, not added.
                other if name == "index.json" && place == 0 => {
                    assert!(matches!(other, BundleError::MemberOrder { .. }), "{other}");
                }
                other => panic!("{name} at place {place}: {other}"),
            }
        }
    }
}

#[test]
fn a_doubled_member_is_refused_as_added() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    for place in 0..members.len() {
        let mut changed = members.clone();
        changed.push(members[place].clone());
        let error = refused(&tiny, &changed);
        assert!(
            matches!(&error, BundleError::ExtraMember { member, .. } if *member == members[place].name),
            "{error}"
        );
    }
}

#[test]
fn a_removed_member_is_refused_by_name() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    for place in 0..members.len() {
        let mut changed = members.clone();
        let removed = changed.remove(place);
        match refused(&tiny, &changed) {
            BundleError::MissingMember { member, .. } => assert_eq!(member, removed.name),
            BundleError::Unsigned { .. } => assert_eq!(removed.name, "index.json.minisig"),
            other => panic!("{}: {other}", removed.name),
        }
    }
}

#[test]
fn exchanged_members_are_refused_as_moved() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    for first in 0..members.len() {
        for second in first + 1..members.len() {
            let mut changed = members.clone();
            changed.swap(first, second);
            match refused(&tiny, &changed) {
                BundleError::MemberOrder { expected, found, .. } => {
                    assert_eq!(
                        (expected, found),
                        (members[first].name.clone(), members[second].name.clone())
                    );
                }
                other => panic!("{first} with {second}: {other}"),
            }
        }
    }
}

#[test]
fn a_renamed_member_is_refused_as_renamed() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    let mut changed = members.clone();
    changed[7] = with_header(&members[7], |header| header.set_path("blobs/sha256/other").unwrap());
    let error = refused(&tiny, &changed);
    assert!(
        matches!(&error, BundleError::MemberName { expected, found, .. }
            if *expected == members[7].name && found == "blobs/sha256/other"),
        "{error}"
    );
}

#[test]
fn other_header_fields_are_refused_as_repacked() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    let edits: [fn(&mut tar::Header); 4] = [
        |header| header.set_mtime(1),
        |header| header.set_mode(0o755),
        |header| header.set_uid(1000),
        |header| header.as_ustar_mut().unwrap().set_username("root").unwrap(),
    ];
    for edit in edits {
        for place in 0..members.len() {
            let mut changed = members.clone();
            changed[place] = with_header(&members[place], edit);
            let error = refused(&tiny, &changed);
            assert!(
                matches!(&error, BundleError::MemberHeader { member, .. } if *member == members[place].name),
                "{place}: {error}"
            );
        }
    }
}

#[test]
fn members_that_are_no_plain_files_are_refused_by_kind() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    for (kind, said) in [
        (tar::EntryType::Char, "a device"),
        (tar::EntryType::GNUSparse, "a sparse file"),
        (tar::EntryType::XHeader, "a PAX header"),
        (tar::EntryType::GNULongName, "a GNU long name"),
    ] {
        for place in 0..members.len() {
            let mut changed = members.clone();
            changed[place] = with_header(&members[place], |header| header.set_entry_type(kind));
            let error = refused(&tiny, &changed);
            assert!(
                matches!(&error, BundleError::MemberKind { kind, .. } if *kind == said),
                "{place}: {error}"
            );
        }
    }
}

#[test]
fn path_tricks_are_refused_as_such() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    for name in ["../../etc/passwd", "/etc/passwd", "blobs/../../x"] {
        let mut changed = members.clone();
        changed.insert(5, piece(name, b"x"));
        let error = refused(&tiny, &changed);
        assert!(matches!(error, BundleError::PathTrick { .. }), "{error}");
    }
    let mut linked = members.clone();
    linked[8] = with_header(&members[8], |header| header.set_entry_type(tar::EntryType::Symlink));
    assert!(matches!(refused(&tiny, &linked), BundleError::PathTrick { .. }));
}

#[test]
fn unsigned_and_wrongly_signed_are_told_apart() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    let mut unsigned = members.clone();
    unsigned.remove(find(&members, "index.json.minisig"));
    let error = refused(&tiny, &unsigned);
    assert_eq!(error.to_string(), "tiny.bundle: the bundle is not signed: index.json.minisig is missing");

    let stranger = SampleKey::generate();
    let keys = TrustedKeys::from_public_key_text(&stranger.public_key_text()).unwrap();
    match check(tiny.bytes.clone(), &keys).unwrap_err() {
        BundleError::WrongKey { expected, got, .. } => {
            assert_eq!((expected, vec![got]), (keys.ids(), tiny.keys.ids()));
        }
        other => panic!("{other}"),
    }
    // A second trusted key does not hurt.
    assert!(check(tiny.bytes.clone(), &keys.and(tiny.keys.clone())).is_ok());

    let mut changed = members.clone();
    let place = changed[1].bytes.iter().rposition(|byte| *byte == b'2').unwrap();
    changed[1].bytes[place] = b'3';
    let error = refused(&tiny, &changed);
    assert!(matches!(error, BundleError::BadSignature { .. }), "{error}");

    let mut changed = members.clone();
    changed[2] = piece("index.json.minisig", b"signed, honestly");
    let error = refused(&tiny, &changed);
    assert!(matches!(error, BundleError::MalformedSignature { .. }), "{error}");
}

#[test]
fn a_signature_over_another_index_is_refused() {
    let key = SampleKey::generate();
    let keys = TrustedKeys::from_public_key_text(&key.public_key_text()).unwrap();
    let bytes = tiny_bytes(empty_document(), &key, |_, key| key.sign(b"something else", "product:orders"));
    assert!(matches!(check(bytes, &keys), Err(BundleError::BadSignature { .. })));
}

#[test]
fn a_newer_format_is_refused_as_newer() {
    let mut document = empty_document();
    document.api_version = "sealift/v2".to_owned();
    let tiny = tiny(document);
    let error = check(tiny.bytes, &tiny.keys).unwrap_err();
    assert!(matches!(&error, BundleError::NewerFormat { found, .. } if found == "sealift/v2"), "{error}");
}

#[test]
fn other_files_are_not_bundles() {
    let keys = sample().keys;
    let tar_of = |name| join(&[piece(name, b"x")]);
    for other in
        [vec![0; 10_000], vec![b'x'; 3], b"#!/bin/sh\n".repeat(200), tar_of("a"), tar_of("oci-layout")]
    {
        let error = check(other, &keys).unwrap_err();
        assert!(matches!(error, BundleError::NotABundle { .. }), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Bundle::open(folder.path(), &keys), Err(BundleError::NotABundle { .. })));
    assert!(matches!(Bundle::open(&folder.path().join("none"), &keys), Err(BundleError::Open { .. })));
}

#[test]
fn sizes_beyond_the_limits_are_refused_without_reading() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    for (place, size) in [(1, 1 << 40), (1, (16 << 20) + 1), (2, 5000)] {
        let mut changed = members.clone();
        changed[place] = with_header(&members[place], |header| header.set_size(size));
        let error = refused(&tiny, &changed);
        assert!(matches!(error, BundleError::TooLarge { size: found, .. } if found == size), "{error}");
    }
}

#[test]
fn all_damaged_blobs_are_listed_with_their_offsets() {
    let tiny = sample();
    let members = pieces(&tiny.bytes);
    let mut bytes = tiny.bytes.clone();
    let start = |place: usize| members[..place].iter().map(|piece| piece.bytes.len()).sum::<usize>();
    for place in [6, 7, 8] {
        bytes[start(place) + BLOCK] ^= 1;
    }
    let end = bytes.len() - 1;
    bytes[end] = 1;
    let BundleError::Damaged { damage, .. } = check(bytes, &tiny.keys).unwrap_err() else {
        panic!("not as damaged")
    };
    let places: Vec<(String, u64)> =
        damage.iter().map(|damage: &Damage| (damage.member.clone(), damage.offset)).collect();
    let content = |place: usize| (members[place].name.clone(), (start(place) + BLOCK) as u64);
    let trailer = ("end of archive".to_owned(), start(members.len()) as u64);
    assert_eq!(places, [content(6), content(7), content(8), trailer]);
    assert_eq!(damage[3].kind, DamageKind::Trailer);
}

#[test]
fn a_tail_of_zeros_from_a_failed_copy_is_damage() {
    let tiny = sample();
    let mut bytes = tiny.bytes.clone();
    let start = bytes.len() - 6 * BLOCK;
    bytes[start..].fill(0);
    let error = check(bytes, &tiny.keys).unwrap_err();
    assert!(matches!(&error, BundleError::Damaged { damage, .. } if damage.len() >= 2), "{error}");
}

#[test]
fn a_damaged_blob_is_caught_when_it_is_read_alone() {
    let tiny = sample();
    let mut bytes = tiny.bytes.clone();
    let place = bytes.len() - 3 * BLOCK;
    bytes[place] ^= 1;
    let bundle = Bundle::from_source(Path::new("b"), Arc::new(bytes), &tiny.keys).unwrap();
    let last = bundle.blobs().last().unwrap();
    let error = bundle.read_blob(&last.digest).unwrap_err();
    assert!(
        matches!(&error, BundleError::DigestMismatch { digest, .. } if *digest == last.digest),
        "{error}"
    );
}

#[test]
fn verification_reports_progress_up_to_the_last_byte_on_any_number_of_threads() {
    let tiny = sample();
    let bundle = Bundle::from_source(Path::new("b"), Arc::new(tiny.bytes), &tiny.keys).unwrap();
    for threads in [0, 1, 4] {
        let seen = Mutex::new(Vec::new());
        let report = bundle.verify(threads, &|done, total| seen.lock().unwrap().push((done, total))).unwrap();
        let seen = seen.into_inner().unwrap();
        assert_eq!(seen.iter().max(), Some(&(bundle.size(), bundle.size())));
        assert_eq!(report.bytes, bundle.size());
    }
}
