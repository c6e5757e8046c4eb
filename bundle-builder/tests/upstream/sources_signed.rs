//! Images that must be signed: cosign's key-based format.

use crate::cyclonedx;
use std::collections::BTreeSet;
use std::process::Command;

use crate::support::upstream::Guard;
use crate::support::vendor::{LOCK, Vendor, WEB, web};
use crate::support::{INDEX, MANIFEST};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use sealift_bundle::digest::digest_of;
use serde_json::{Value, json};

const REPOSITORY: &str = "registry.sealift.example/orders/web";

/// Someone who signs images.
struct Signer(EcdsaKeyPair);

impl Signer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap())
    }

    /// The public key as `cosign generate-key-pair` writes it (RFC 5480).
    fn public_key(&self) -> String {
        let header = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        let mut der: Vec<u8> = (0..header.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&header[at..at + 2], 16).unwrap())
            .collect();
        der.extend(self.0.public_key().as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    /// Puts a signature for `signed` beside the image with the digest `image`; the digest of the signature's manifest.
    fn sign(&self, vendor: &Vendor, image: &str, signed: &str) -> String {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": REPOSITORY},
                "image": {"docker-manifest-digest": signed},
                "type": "cosign container image signature",
            },
            "optional": null,
        })
        .to_string();
        let signature = self.0.sign(&SystemRandom::new(), payload.as_bytes()).unwrap();
        let payload = vendor.registry.push_blob(REPOSITORY, payload.as_bytes());
        let config = vendor.registry.push_blob(REPOSITORY, b"{}");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": config.digest, "size": config.size,
            },
            "layers": [{
                "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                "digest": payload.digest, "size": payload.size,
                "annotations": {"dev.cosignproject.cosign/signature": STANDARD.encode(signature.as_ref())},
            }],
        });
        let tag = format!("{}.sig", image.replace(':', "-"));
        vendor.registry.push_manifest(REPOSITORY, &tag, MANIFEST, manifest.to_string().as_bytes())
    }
}

/// A vendor whose product's image must be signed, and the image's digest.
fn vendor(signer: &Signer) -> (Vendor, String) {
    let vendor = Vendor::upstream(false, Guard::Open);
    let index = vendor.registry.push_index(WEB, &["amd64", "arm64"]);
    vendor.write("cosign.pub", &signer.public_key());
    vendor.replace(
        "recipe.yaml",
        &format!("- name: {WEB}\n"),
        &format!("- name: {WEB}\n    publicKey: {{path: cosign.pub}}\n"),
    );
    (vendor, digest_of(index.as_bytes()))
}

#[test]
fn a_signed_image_is_locked_with_its_signature() {
    let signer = Signer::new();
    let (vendor, digest) = vendor(&signer);
    let signature = signer.sign(&vendor, &digest, &digest);
    vendor.lock();
    let lock = vendor.read("recipe.lock.yaml");
    assert!(lock.contains(&format!("  signature:\n    manifest: {signature}\n    key: sha256:")), "{lock}");
    vendor.build("cache", "orders.bundle");
    assert_eq!(vendor.lock(), "unchanged recipe.lock.yaml\n");
    // The signature travels with the image, under the tag that cosign looks for.
    let opened = vendor.open("orders.bundle");
    let image = web(&opened);
    let [referrer] = &*image.referrers else { panic!("{:?}", image.referrers) };
    assert_eq!((&referrer.digest, referrer.blobs.len()), (&signature, 3));
    let tag = format!("{REPOSITORY}:{}.sig", digest.replace(':', "-"));
    assert!(opened.index_json().contains(&tag), "{}", opened.index_json());
    opened.verify(2, &|_, _| ()).unwrap();
}

/// `BuildKit` puts what attests an image into the image's own index.
#[test]
fn attestations_in_an_image_index_travel_with_the_platforms_that_are_packed() {
    let vendor = Vendor::upstream(false, Guard::Open);
    let mut index: Value =
        serde_json::from_str(&vendor.registry.push_index(WEB, &["amd64", "arm64"])).unwrap();
    let attest = |subject: &Value| {
        let text = format!("provenance of {subject}");
        let layer = vendor.registry.push_blob(REPOSITORY, text.as_bytes());
        let config = vendor.registry.push_blob(REPOSITORY, format!("{{\"of\":{subject}}}").as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest, "size": config.size},
            "layers": [{"mediaType": "application/vnd.in-toto+json", "digest": layer.digest, "size": layer.size}],
        })
        .to_string();
        let digest = vendor.registry.push_manifest(REPOSITORY, "attestation", MANIFEST, manifest.as_bytes());
        json!({
            "mediaType": MANIFEST, "digest": digest, "size": manifest.len(),
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject,
            },
        })
    };
    let manifests = index["manifests"].as_array_mut().unwrap();
    let added = [attest(&manifests[0]["digest"]), attest(&manifests[1]["digest"])];
    manifests.extend(added.clone());
    vendor.registry.push_manifest(REPOSITORY, "4.2.0", INDEX, index.to_string().as_bytes());
    vendor.lock();
    vendor.build("cache", "orders.bundle");
    let opened = vendor.open("orders.bundle");
    opened.verify(2, &|_, _| ()).unwrap();
    let image = web(&opened);
    // Of the platform that is packed; not of the other one.
    let [referrer] = &*image.referrers else { panic!("{:?}", image.referrers) };
    assert_eq!((&*referrer.digest, referrer.blobs.len()), (added[0]["digest"].as_str().unwrap(), 3));
    let said = vendor.succeed(&["inspect", "orders.bundle", "--key", "release.key.pub"]);
    assert!(said.contains("\nbeside      1 attestation, "), "{said}");
}

/// Puts an SBOM that names the image `subject` beside it; its manifest.
fn add_sbom(vendor: &Vendor, subject: &str) -> String {
    let kind = "application/vnd.cyclonedx+json";
    let content = vendor.registry.push_blob(REPOSITORY, br#"{"bomFormat":"CycloneDX"}"#);
    let config = vendor.registry.push_blob(REPOSITORY, b"{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config.digest, "size": 2},
        "layers": [{"mediaType": kind, "digest": content.digest, "size": content.size}],
        "subject": {"mediaType": INDEX, "digest": subject, "size": 1},
    })
    .to_string();
    let digest = vendor.registry.push_manifest(REPOSITORY, "sbom", MANIFEST, manifest.as_bytes());
    let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{
        "mediaType": MANIFEST, "digest": digest, "size": manifest.len(), "artifactType": kind,
    }]});
    // For registries with the API, and for those without.
    vendor.registry.push_referrers(REPOSITORY, subject, list.to_string().as_bytes());
    let tag = subject.replace(':', "-");
    vendor.registry.push_manifest(REPOSITORY, &tag, INDEX, list.to_string().as_bytes());
    manifest
}

#[test]
fn what_stands_beside_an_image_travels_and_shows() {
    let signer = Signer::new();
    let (vendor, digest) = vendor(&signer);
    signer.sign(&vendor, &digest, &digest);
    // A second tag of the same image: what stands beside it is in the bundle once.
    let index = vendor.registry.push_index(WEB, &["amd64", "arm64"]);
    vendor.registry.push_manifest(REPOSITORY, "stable", INDEX, index.as_bytes());
    vendor.replace("recipe.yaml", "charts:\n", &format!("  - name: {REPOSITORY}:stable\ncharts:\n"));
    vendor.lock();
    vendor.build("cache", "signed.bundle");
    // Now an SBOM comes, which is signed itself.
    let sbom = add_sbom(&vendor, &digest);
    let sbom_digest = digest_of(sbom.as_bytes());
    let over_sbom = signer.sign(&vendor, &sbom_digest, &sbom_digest);
    assert!(vendor.lock().starts_with("locked "));
    vendor.build("cache", "described.bundle");

    let opened = vendor.open("described.bundle");
    opened.verify(2, &|_, _| ()).unwrap();
    // Its manifest is the one that was pushed, with its subject.
    assert_eq!(opened.read_blob(&sbom_digest).unwrap(), sbom.as_bytes());

    let json = |arguments: &[&str]| -> Value {
        let format = ["--key", "release.key.pub", "--output", "json"];
        serde_json::from_str(&vendor.succeed(&[arguments, &format].concat())).unwrap()
    };
    let text = |arguments: &[&str]| vendor.succeed(&[arguments, &["--key", "release.key.pub"]].concat());
    let said = text(&["inspect", "described.bundle"]);
    assert!(said.contains("\nbeside      2 signatures, 1 SBOM, "), "{said}");
    assert!(said.contains("\n            of 2 images; hosts do not get them\n"), "{said}");
    let (before, after) = (json(&["inspect", "signed.bundle"]), json(&["inspect", "described.bundle"]));
    assert_eq!(after["referrers"]["kinds"], json!({"signature": 2, "sbom": 1}));
    assert_eq!(before["referrers"]["kinds"], json!({"signature": 1}));
    // No host needs room for it.
    assert_eq!(before["roles"], after["roles"]);
    assert_eq!(before["sharing"], after["sharing"]);

    let listed = text(&["ls", "described.bundle"]);
    let lines: Vec<&str> = listed.lines().filter(|line| line.starts_with("referrer ")).collect();
    let tag = |digest: &str| format!("{}.sig", digest.replace(':', "-"));
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(
        lines.iter().any(|line| line.starts_with(&format!("referrer {REPOSITORY} SBOM any {sbom_digest} ")))
    );
    let expected = format!("referrer {REPOSITORY} {} any {over_sbom} ", tag(&sbom_digest));
    assert!(lines.iter().any(|line| line.starts_with(&expected)), "{listed}");
    let entries = json(&["ls", "described.bundle"]);
    let entry = entries.as_array().unwrap().iter().find(|entry| entry["digest"] == *sbom_digest).unwrap();
    assert_eq!((&entry["referrer"], &entry["image"]), (&json!("sbom"), &json!(WEB)));

    let bill: Value = serde_json::from_str(&text(&["sbom", "described.bundle"])).unwrap();
    let parts = bill["components"].as_array().unwrap();
    let web = parts.iter().find(|part| part["bom-ref"] == format!("image:{WEB}")).unwrap();
    let kinds: BTreeSet<&str> = web["externalReferences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["bom", "digital-signature"].into());
    assert_eq!(cyclonedx::complaints(&bill), Vec::<String>::new());

    let said = text(&["diff", "signed.bundle", "described.bundle"]);
    assert!(said.contains("\nbeside images: 2 changes, 1 the same\n"), "{said}");
    let line = |text: &&str| text.starts_with(&format!("+ {REPOSITORY} SBOM "));
    assert!(said.lines().any(|text| line(&text)), "{said}");
    assert!(!text(&["diff", "signed.bundle", "signed.bundle"]).contains("SBOM"));

    // Other people's tools find the signature under its tag, in the bundle as it is.
    let reference = format!("oci-archive:described.bundle:{REPOSITORY}:{}", tag(&sbom_digest));
    let skopeo = Command::new("skopeo")
        .args(["inspect", "--raw", &reference])
        .current_dir(vendor.folder.path())
        .output()
        .unwrap_or_else(|error| panic!("this test needs skopeo: {error}"));
    assert!(skopeo.status.success(), "{}", String::from_utf8_lossy(&skopeo.stderr));
    assert_eq!(digest_of(&skopeo.stdout), over_sbom);
    // The delta carries what came, and no more.
    let arguments = ["delta", "signed.bundle", "described.bundle", "--out", "sbom.delta"];
    let delta = json(&arguments);
    assert!(delta["whole"]["blobs"].as_u64().unwrap() <= 5 + 3, "{delta}");
    text(&["apply", "signed.bundle", "sbom.delta", "--out", "applied.bundle"]);
    assert!(vendor.same("applied.bundle", "described.bundle"));
}

#[test]
fn what_is_not_signed_by_the_key_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let (vendor, digest) = vendor(&signer);
    let refused = |expected: &str| {
        let said = vendor.fail(5, &LOCK);
        assert!(said.contains(expected), "{said}");
        assert!(!vendor.path("recipe.lock.yaml").exists());
    };
    refused(&format!("image {WEB} is not signed: there is no {}.sig beside it", digest.replace(':', "-")));
    stranger.sign(&vendor, &digest, &digest);
    refused(&format!("image {WEB} is not signed by "));
    let other = digest_of(b"another image");
    signer.sign(&vendor, &digest, &other);
    refused(&format!("is for another image: it names {other}, the image is {digest}"));
    // The signature of an image that the tag no longer names does not count for the new one.
    signer.sign(&vendor, &digest, &digest);
    let moved = vendor.registry.push_image(WEB, "amd64", &[b"moved"]);
    refused(&format!("there is no {}.sig beside it", digest_of(moved.as_bytes()).replace(':', "-")));
}

#[test]
fn a_key_that_is_none_is_refused() {
    let signer = Signer::new();
    let (vendor, digest) = vendor(&signer);
    signer.sign(&vendor, &digest, &digest);
    vendor.write("cosign.pub", "no key");
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("cosign.pub is no public key in PEM form (ECDSA P-256)"), "{said}");
    std::fs::remove_file(vendor.path("cosign.pub")).unwrap();
    let said = vendor.fail(2, &LOCK);
    assert!(said.contains("cannot read the public key"), "{said}");
}
