//! Secrets of the product: given by the site, or made once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{changed, kubectl, unchanged};
use crate::context::Context;
use crate::protocol::{Failure, Outcome, SecretFiles};

/// Length of a generated secret: 32 of 62 characters are 190 bits.
const LENGTH: usize = 32;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Makes or completes a Secret. Generated keys that are there keep their values.
pub(super) fn ensure(
    ctx: &Context<'_>,
    namespace: &str,
    name: &str,
    generated: &[String],
    given: &SecretFiles,
) -> Result<Outcome, Failure> {
    kubectl::ensure_namespace(ctx, namespace)?;
    let before: Option<Secret> = kubectl::find(ctx, &["-n", namespace, "secret", name])?;
    let old = before.as_ref().and_then(|secret| secret.data.clone()).unwrap_or_default();
    let mut data: BTreeMap<String, ByteString> = old.clone();
    for secret in &given.0 {
        data.insert(secret.name.clone(), ByteString(secret.content.clone().into_bytes()));
    }
    for key in generated {
        if !data.contains_key(key) {
            data.insert(key.clone(), ByteString(random()?));
        }
    }
    if before.is_some() && data == old {
        return Ok(unchanged(format!("secret {name} has its {} keys", data.len())));
    }
    let keys = data.len();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".into(), "sealift".into())])),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..Secret::default()
    };
    // Not `apply`: that would repeat the content in an annotation.
    let verb = if before.is_some() { "replace" } else { "create" };
    let object = serde_json::to_vec(&secret)
        .map_err(|error| Failure::other(format!("cannot write secret {name}")).because(&error))?;
    ctx.run(kubectl::command(&[verb, "-f", "-"]).input(object))?;
    Ok(changed(format!("secret {name} with {keys} keys")))
}

/// Random characters from the kernel, without bias: bytes above the largest multiple of 62 are left out.
fn random() -> Result<Vec<u8>, Failure> {
    let path = std::path::Path::new("/dev/urandom");
    let mut source = File::open(path).map_err(|error| Failure::io("read", path, &error))?;
    let mut text = Vec::with_capacity(LENGTH);
    let mut buffer = [0u8; 64];
    while text.len() < LENGTH {
        source.read_exact(&mut buffer).map_err(|error| Failure::io("read", path, &error))?;
        let usable = buffer.iter().filter(|byte| **byte < 248);
        text.extend(usable.map(|byte| ALPHABET[usize::from(byte % 62)]).take(LENGTH - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_secrets_are_long_and_differ() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), LENGTH);
        assert!(one.iter().all(u8::is_ascii_alphanumeric));
        assert_ne!(one, other);
    }
}
