//! Keeps the bundle's signed index in the store, verified on this host as well.

use minisign_verify::{PublicKey, Signature};
use sealift_bundle::layout::{index_path, signature_path};

use crate::context::Context;
use crate::file;
use crate::protocol::{Failure, FailureKind, Outcome};
use crate::store::Store;

pub(crate) fn apply(
    ctx: &Context<'_>,
    index: &str,
    signature: &str,
    public_key: &str,
) -> Result<Outcome, Failure> {
    verify(index, signature, public_key)?;
    let (index_file, signature_file) =
        (index_path(&ctx.paths().store()), signature_path(&ctx.paths().store()));
    let same = |path, content: &str| {
        Ok::<_, Failure>(file::read_if_exists(path)?.as_deref() == Some(content.as_bytes()))
    };
    if same(&index_file, index)? && same(&signature_file, signature)? {
        return Ok(Outcome::new(false, "the store has this index"));
    }
    let _store = Store::open(ctx)?;
    file::write_atomic(&signature_file, signature.as_bytes(), 0o644)?;
    file::write_atomic(&index_file, index.as_bytes(), 0o644)?;
    Ok(Outcome::new(true, "verified the bundle's index and put it into the store"))
}

fn verify(index: &str, signature: &str, public_key: &str) -> Result<(), Failure> {
    let refused = |error: &minisign_verify::Error| {
        Failure::new(
            FailureKind::Verification,
            "the bundle's index does not carry the signature that the seat trusted",
        )
        .because(error)
        .hint("nothing was changed; check the bundle file on the seat with `installer verify`")
    };
    let key = PublicKey::from_base64(public_key.trim()).map_err(|error| refused(&error))?;
    let signature = Signature::decode(signature).map_err(|error| refused(&error))?;
    key.verify(index.as_bytes(), &signature, false).map_err(|error| refused(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::testing::Recorder;
    use crate::paths::Paths;

    #[test]
    fn only_a_signed_index_enters_the_store() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let recorder = Recorder::default();
        let ctx = Context::new(&paths, &recorder, "r", "s");
        let index = r#"{"schemaVersion":2,"manifests":[]}"#;
        let keys = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
        let signature =
            minisign::sign(None, &keys.sk, index.as_bytes(), Some("orders 1.0 serial 1"), None).unwrap();
        let (signature, key) = (signature.into_string(), keys.pk.to_base64());
        let forged = apply(&ctx, &index.replace('2', "3"), &signature, &key).unwrap_err();
        assert_eq!(forged.kind, FailureKind::Verification);
        let other = minisign::KeyPair::generate_unencrypted_keypair().unwrap().pk.to_base64();
        assert_eq!(apply(&ctx, index, &signature, &other).unwrap_err().kind, FailureKind::Verification);
        assert!(!paths.store().exists());
        assert!(apply(&ctx, index, &signature, &key).unwrap().changed);
        assert!(!apply(&ctx, index, &signature, &key).unwrap().changed);
        assert_eq!(std::fs::read_to_string(index_path(&paths.store())).unwrap(), index);
    }
}
