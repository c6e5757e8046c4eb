use std::fs;

use proptest::prelude::*;
use sealift_bundle::digest::digest_of;

use super::*;
use crate::context::testing::Recorder;
use crate::paths::Paths;

fn blob(content: &[u8]) -> Blob {
    Blob { digest: digest_of(content), size: content.len() as u64 }
}

fn boot(root: &Path, id: &str) {
    let path = root.join("proc/sys/kernel/random/boot_id");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, id).unwrap();
}

#[test]
fn partials_survive_the_process_but_not_the_boot() {
    let root = tempfile::tempdir().unwrap();
    boot(root.path(), "boot-1");
    let paths = Paths::below(root.path());
    let recorder = Recorder::default();
    let ctx = Context::new(&paths, &recorder, "r", "s");
    let wanted = blob(b"0123456789");
    let mut incoming = Store::open(&ctx).unwrap().begin(&ctx, &wanted).unwrap().unwrap();
    incoming.write(b"0123").unwrap();
    drop(incoming);
    let store = Store::open(&ctx).unwrap();
    assert_eq!(store.missing(std::slice::from_ref(&wanted)).unwrap()[0].offset, 4);
    boot(root.path(), "boot-2");
    let store = Store::open(&ctx).unwrap();
    assert_eq!(store.missing(&[wanted]).unwrap()[0].offset, 0);
}

#[test]
fn a_second_session_waits_for_the_first_and_finds_the_blob() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let recorder = Recorder::default();
    let ctx = Context::new(&paths, &recorder, "r", "s");
    let store = Store::open(&ctx).unwrap();
    let wanted = blob(b"0123456789");
    let mut first = store.begin(&ctx, &wanted).unwrap().unwrap();
    let second = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let ctx = Context::new(&paths, &recorder, "r", "s");
            store.begin(&ctx, &wanted).map(|incoming| incoming.is_none())
        });
        while recorder.0.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        first.write(b"0123456789").unwrap();
        first.finish().unwrap();
        waiting.join().unwrap()
    });
    assert!(second.unwrap());
}

#[test]
fn a_wrong_digest_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let recorder = Recorder::default();
    let ctx = Context::new(&paths, &recorder, "r", "s");
    let store = Store::open(&ctx).unwrap();
    let wanted = blob(b"right");
    let mut incoming = store.begin(&ctx, &wanted).unwrap().unwrap();
    incoming.write(b"wrong").unwrap();
    assert!(incoming.complete());
    let failure = incoming.finish().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Verification);
    assert!(!store.holds(&wanted).unwrap());
    assert_eq!(store.missing(std::slice::from_ref(&wanted)).unwrap()[0].offset, 0);
    let mut incoming = store.begin(&ctx, &wanted).unwrap().unwrap();
    assert_eq!(incoming.write(b"much longer").unwrap_err().kind, FailureKind::Verification);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn any_cuts_give_the_same_blob(content in proptest::collection::vec(any::<u8>(), 0..5000),
                                   cuts in proptest::collection::vec(1usize..2000, 0..6)) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let store = Store::open(&ctx).unwrap();
        let wanted = blob(&content);
        for cut in cuts {
            let mut incoming = store.begin(&ctx, &wanted).unwrap().unwrap();
            let start = usize::try_from(incoming.offset()).unwrap();
            incoming.write(&content[start..(start + cut).min(content.len())]).unwrap();
        }
        let mut incoming = store.begin(&ctx, &wanted).unwrap().unwrap();
        let start = usize::try_from(incoming.offset()).unwrap();
        incoming.write(&content[start..]).unwrap();
        incoming.finish().unwrap();
        prop_assert!(store.holds(&wanted).unwrap());
        prop_assert_eq!(fs::read(store.blob(&wanted.digest).unwrap()).unwrap(), content);
        prop_assert!(store.missing(&[wanted]).unwrap().is_empty());
    }
}
