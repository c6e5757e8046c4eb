//! The bill of materials of a bundle: `CycloneDX` 1.6 as JSON.
//!
//! Everything in it comes from the signed document, so the same bundle gives the same text. Components are what the
//! bundle was packed from: images, charts and files. What is inside an image is not listed; the bill says so itself
//! (`compositions`).

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sealift_bundle::Bundle;
use sealift_bundle::digest;
use sealift_bundle::document::{BundleDocument, Chart, File, Image, Referrer, ReferrerKind, Role};
use serde::Serialize;

use crate::inspect::list::name_and_tag;
use crate::inspect::summary::Summary;
use crate::trust::signed_at;

/// What a package URL leaves as it is (package-url specification, "Character encoding").
const PURL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~');
/// The same, but for values of qualifiers, which are paths and checksums.
const PURL_VALUE: &AsciiSet = &PURL.remove(b'/').remove(b':');

/// A bill of materials, in the order of the specification's own examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sbom {
    bom_format: &'static str,
    spec_version: &'static str,
    serial_number: String,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
    compositions: Vec<Composition>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    tools: Tools,
    component: Component,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Tools {
    components: Vec<Component>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref", skip_serializing_if = "String::is_empty")]
    reference: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    properties: Vec<Property>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

/// Something that is said about a component elsewhere: what stands beside an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    hashes: Vec<Hash>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Property {
    name: String,
    value: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    depends_on: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Composition {
    aggregate: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    assemblies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dependencies: Vec<String>,
}

/// The bill of materials of `bundle`.
#[must_use]
pub fn sbom(bundle: &Bundle) -> Sbom {
    let document = bundle.document();
    let images = document.images.iter().map(image);
    let charts = document.charts.iter().map(chart);
    let files = document.files.iter().map(|file| self::file(file, &document.platforms));
    let mut components: Vec<Component> = images.chain(charts).chain(files).collect();
    components.sort_by(|a, b| a.reference.cmp(&b.reference));
    components.dedup_by(|a, b| a.reference == b.reference);
    let containers = components
        .iter()
        .filter(|part| part.kind == "container")
        .map(|part| part.reference.clone())
        .collect();
    let product = product(document);
    Sbom {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: serial_number(bundle.index_json()),
        version: 1,
        dependencies: dependencies(bundle, &product.reference, &components),
        compositions: vec![
            // All that the bundle holds is here, but not all that its images hold.
            Composition {
                aggregate: "complete",
                assemblies: vec![product.reference.clone()],
                dependencies: vec![],
            },
            Composition { aggregate: "incomplete", assemblies: containers, dependencies: vec![] },
        ],
        metadata: Metadata {
            timestamp: signed_at(bundle.trusted_comment()).map(|time| time.to_string()),
            tools: Tools { components: vec![this_program()] },
            component: product,
        },
        components,
    }
}

fn product(document: &BundleDocument) -> Component {
    let product = &document.product;
    Component {
        kind: "application",
        reference: format!("product:{}", product.name),
        name: product.title.clone(),
        version: product.version.clone(),
        hashes: vec![],
        purl: None,
        external_references: vec![],
        properties: properties(&[
            ("serial", product.serial.to_string()),
            ("kubernetes", document.kubernetes.version.clone()),
        ]),
    }
}

fn this_program() -> Component {
    Component {
        kind: "application",
        reference: String::new(),
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hashes: vec![],
        purl: None,
        external_references: vec![],
        properties: vec![],
    }
}

fn image(image: &Image) -> Component {
    let (name, tag) = name_and_tag(&image.name);
    let last = name.rsplit('/').next().unwrap_or(name);
    let qualifiers = [("repository_url", name), ("tag", tag)];
    Component {
        kind: "container",
        reference: format!("image:{}", image.name),
        name: name.to_owned(),
        version: tag.to_owned(),
        hashes: hashes(&image.digest),
        purl: Some(purl("oci", &last.to_lowercase(), &image.digest, &qualifiers)),
        external_references: image.referrers.iter().map(|referrer| reference(name, referrer)).collect(),
        properties: properties(&[
            ("mediaType", image.media_type.clone()),
            ("roles", roles(&image.roles)),
            ("size", image.size.to_string()),
        ]),
    }
}

/// The kinds are those of the specification ("External Reference Type"); `oci://` is how Helm writes such places.
fn reference(repository: &str, referrer: &Referrer) -> Reference {
    Reference {
        kind: match referrer.kind() {
            ReferrerKind::Signature => "digital-signature",
            ReferrerKind::Attestation => "attestation",
            ReferrerKind::Sbom => "bom",
            ReferrerKind::Other => "other",
        },
        url: format!("oci://{repository}@{}", referrer.digest),
        comment: referrer.artifact_type.clone(),
        hashes: hashes(&referrer.digest),
    }
}

fn chart(chart: &Chart) -> Component {
    Component {
        kind: "application",
        reference: format!("chart:{}", chart.name),
        name: chart.name.clone(),
        version: chart.version.clone(),
        hashes: hashes(&chart.digest),
        purl: Some(purl("helm", &chart.name, &chart.version, &[("checksum", &chart.digest)])),
        external_references: vec![],
        properties: properties(&[("manifest", chart.manifest.clone()), ("size", chart.size.to_string())]),
    }
}

fn file(file: &File, platforms: &[String]) -> Component {
    Component {
        kind: "file",
        reference: format!("file:{}:{}", file.path, file.plain_digest),
        name: file.name.clone(),
        version: file.version.clone(),
        hashes: hashes(&file.plain_digest),
        purl: Some(purl("generic", &file.name, &file.version, &[("checksum", &file.plain_digest)])),
        external_references: vec![],
        properties: properties(&[
            ("path", file.path.clone()),
            ("platforms", file.platform.clone().unwrap_or_else(|| platforms.join(" "))),
            ("roles", roles(&file.roles)),
            ("size", file.plain_size.to_string()),
        ]),
    }
}

/// A package URL: type, name, version, qualifiers sorted by name; empty ones are left out.
fn purl(kind: &str, name: &str, version: &str, qualifiers: &[(&str, &str)]) -> String {
    let encode = |text: &str| utf8_percent_encode(text, PURL).to_string();
    let given = qualifiers.iter().filter(|(_, value)| !value.is_empty());
    let qualifiers: Vec<String> =
        given.map(|(key, value)| format!("{key}={}", utf8_percent_encode(value, PURL_VALUE))).collect();
    format!("pkg:{kind}/{}@{}?{}", encode(name), encode(version), qualifiers.join("&"))
}

fn hashes(digest: &str) -> Vec<Hash> {
    let hash = |content: &str| Hash { alg: "SHA-256", content: content.to_owned() };
    digest::hex(digest).map(hash).into_iter().collect()
}

fn properties(list: &[(&str, String)]) -> Vec<Property> {
    list.iter()
        .map(|(name, value)| Property { name: format!("sealift:{name}"), value: value.clone() })
        .collect()
}

fn roles(roles: &[Role]) -> String {
    let name = |role: &Role| match role {
        Role::ControlPlane => "control-plane",
        Role::Worker => "worker",
    };
    roles.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// The product needs everything; a chart needs the images that it is known to name.
fn dependencies(bundle: &Bundle, product: &str, components: &[Component]) -> Vec<Dependency> {
    let mut needs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    needs.insert(product.to_owned(), components.iter().map(|part| part.reference.clone()).collect());
    for part in Summary::of(bundle).components {
        let images = part.images.iter().map(|image| format!("image:{image}"));
        needs.entry(format!("chart:{}", part.chart)).or_default().extend(images);
    }
    let dependency = |(reference, mut depends_on): (String, Vec<String>)| {
        depends_on.sort();
        depends_on.dedup();
        Dependency { reference, depends_on }
    };
    needs.into_iter().map(dependency).collect()
}

/// A UUID of version 8 (RFC 9562) from the index's digest: another content has another number, the same has the same.
fn serial_number(index_json: &str) -> String {
    let digest = digest::digest_of(index_json.as_bytes());
    let mut digits: Vec<char> = digest::hex(&digest).unwrap_or_default().chars().take(32).collect();
    if let Some(version) = digits.get_mut(12) {
        *version = '8';
    }
    if let Some(variant) = digits.get_mut(16) {
        // The two upper bits are 10.
        *variant = char::from_digit(8 | (variant.to_digit(16).unwrap_or_default() & 3), 16).unwrap_or('8');
    }
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default().iter().collect::<String>();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn package_urls_are_spelled_as_their_specification_does() {
        let oci = purl("oci", "web", DIGEST, &[("repository_url", "ghcr.io/a/web"), ("tag", "4.2.0")]);
        assert_eq!(
            oci,
            format!("pkg:oci/web@{}?repository_url=ghcr.io/a/web&tag=4.2.0", DIGEST.replace(':', "%3A"))
        );
        let file = purl("generic", "containerd shim", "v2.4.2+1", &[("checksum", DIGEST)]);
        assert_eq!(file, format!("pkg:generic/containerd%20shim@v2.4.2%2B1?checksum={DIGEST}"));
    }

    #[test]
    fn the_serial_number_is_a_uuid_that_follows_from_the_content() {
        let number = serial_number("{}");
        assert_eq!(number, serial_number("{}"));
        assert_ne!(number, serial_number("{ }"));
        let uuid = number.strip_prefix("urn:uuid:").unwrap();
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(&uuid[14..15], "8");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"));
    }
}
