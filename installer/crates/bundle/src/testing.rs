//! A complete small bundle for the tests of all rooms: real format, real signature, made-up content. And programs that
//! tests start, and ports where nobody listens.
//!
//! Functions here panic where a test would. Document and blobs are the same each time, key and signature are not.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::digest::digest_of;
use crate::document::{
    API_VERSION, BundleDocument, Chart, Component, FILE_ARTIFACT_TYPE, File, HostDirectory, Image,
    KubernetesRelease, Product, ProductSecret, Role, Setting, SiteValue, Stage, Workload,
};
use crate::layout::SIGNATURE_FILE;
use crate::member::{BLOCK, FoundHeader, header, padding_length};
use crate::oci::{Descriptor, Index, MANIFEST_MEDIA_TYPE, Manifest, REF_NAME, TITLE, VERSION};
use crate::signature::SignatureText;
use crate::sizing::{BasisKind, PartClass, PartDisk, Placement, SizingBasis, SizingModel, SizingPart};
use crate::write::{BlobContent, BlobGroup, BundleWriter, trusted_comment};

/// File name of [`sample_bundle`].
pub const SAMPLE_NAME: &str = "orders-4.2.0.bundle";

const KUBERNETES: &str = "v1.36.3";
const PAUSE: &str = "registry.k8s.io/pause:3.10.2";
const ETCD: &str = "registry.k8s.io/etcd:3.6.8-0";
const HAPROXY: &str = "docker.io/library/haproxy:2.6";
const MASTERS: &[Role] = &[Role::ControlPlane];
const WORKERS: &[Role] = &[Role::Worker];
const ALL: &[Role] = &[Role::ControlPlane, Role::Worker];
const IMAGES: &[(&str, &[Role])] = &[
    (HAPROXY, WORKERS),
    ("docker.io/library/postgres:15", WORKERS),
    ("ghcr.io/flannel-io/flannel:v0.28.4", ALL),
    ("registry.k8s.io/coredns/coredns:v1.14.2", ALL),
    (ETCD, MASTERS),
    ("registry.k8s.io/kube-apiserver:v1.36.3", MASTERS),
    ("registry.k8s.io/kube-controller-manager:v1.36.3", MASTERS),
    ("registry.k8s.io/kube-proxy:v1.36.3", ALL),
    ("registry.k8s.io/kube-scheduler:v1.36.3", MASTERS),
    (PAUSE, ALL),
    ("registry.sealift.example/orders/web:4.2.0", WORKERS),
];
const BINARIES: &[(&str, &str, &[Role])] = &[
    ("kubeadm", KUBERNETES, ALL),
    ("kubelet", KUBERNETES, ALL),
    ("kubectl", KUBERNETES, MASTERS),
    ("helm", "v4.0.0", MASTERS),
    ("etcdctl", "v3.6.8", MASTERS),
    ("ctr", "v2.2.0", ALL),
    ("containerd", "v2.2.0", ALL),
    ("containerd-shim-runc-v2", "v2.2.0", ALL),
    ("runc", "v1.4.0", ALL),
];
const NETWORK_PLUGINS: &[&str] = &["bridge", "host-local", "loopback", "portmap", "bandwidth", "flannel"];
const CHARTS: &[(&str, &str)] =
    &[("coredns", "1.0.0"), ("flannel", "0.28.4"), ("local-volumes", "1.0.0"), ("orders", "4.2.0")];

/// Writes a program that a test starts: a script, with the folders above it. Another process writes it: had this one the
/// file open for writing, then so would have a process that another thread is just starting, and the system starts no
/// program that somebody has open for writing.
///
/// # Panics
/// When it cannot be written.
pub fn program(path: &Path, script: &str) {
    let mut install = Command::new("install");
    install.args(["-D", "-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut writer = install.spawn().expect("install, of every system");
    writer.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("a reader");
    assert!(writer.wait().expect("a child").success(), "{} cannot be written", path.display());
}

/// This command, where no file grows beyond so many KiB: as on a disk that fills up, a write fails half-way.
#[must_use]
pub fn on_a_full_disk(command: &Command, kibibytes: u32) -> Command {
    let mut full = Command::new("bash");
    full.args(["-c", "ulimit -f \"$0\" && trap '' XFSZ && exec \"$@\"", &kibibytes.to_string()])
        .arg(command.get_program())
        .args(command.get_args())
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(command.get_current_dir().unwrap_or(Path::new(".")))
        .stdin(Stdio::null());
    full
}

/// A port on loopback where nobody listens. It is bound, so the system gives it to nobody who asks for any free port;
/// a server that is told this very port can take it, as all that set `SO_REUSEADDR` share what is bound and not listened
/// on (socket(7)). A port that was free a moment ago is no such thing: the next test may have it already, and a listener
/// that was closed lives on in a process that another thread is just starting.
pub struct ClosedPort {
    address: SocketAddr,
    _held: OwnedFd,
}

impl ClosedPort {
    /// Holds one until it is dropped.
    ///
    /// # Panics
    /// When the system has no socket or no port left.
    #[must_use]
    pub fn hold() -> Self {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
        let held =
            rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .expect("a socket");
        sockopt::set_socket_reuseaddr(&held, true).expect("a socket");
        rustix::net::bind(&held, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        let address = rustix::net::getsockname(&held).expect("bound").try_into().expect("an IPv4 address");
        Self { address, _held: held }
    }

    /// Where nobody listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.address.port()
    }
}

/// A key that signs samples.
pub struct SampleKey {
    pair: minisign::KeyPair,
}

impl SampleKey {
    /// A new key without a password.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self { pair: minisign::KeyPair::generate_unencrypted_keypair().expect("randomness") }
    }

    /// The text of a signature file over `content`; another one each time.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn sign(&self, content: &[u8], trusted_comment: &str) -> String {
        minisign::sign(Some(&self.pair.pk), &self.pair.sk, content, Some(trusted_comment), None)
            .expect("a fresh key")
            .into_string()
    }

    /// The signature over an index as a bundle holds it.
    ///
    /// # Panics
    /// When the system has no randomness.
    #[must_use]
    pub fn signature_file(&self, index: &[u8]) -> Vec<u8> {
        let signed = self.sign(index, &trusted_comment(&product()));
        SignatureText::rewrite(&signed).expect("what minisign just made").text.into_bytes()
    }

    /// The text of the public key's file.
    ///
    /// # Panics
    /// Never: the key is a fresh one.
    #[must_use]
    pub fn public_key_text(&self) -> String {
        self.pair.pk.to_box().expect("a fresh key").into_string()
    }
}

/// The document of the sample bundle, complete with digests, sizes and blobs.
///
/// # Panics
/// When the sample contradicts itself.
#[must_use]
pub fn sample_document() -> BundleDocument {
    let folder = tempfile::tempdir().expect("a temporary folder");
    pack(&folder.path().join(SAMPLE_NAME), &SampleKey::generate())
}

/// Writes the sample bundle into the folder `dir`; gives its path and the text of the public key.
///
/// # Panics
/// When the folder cannot be written.
#[must_use]
pub fn sample_bundle(dir: &Path) -> (PathBuf, String) {
    let path = dir.join(SAMPLE_NAME);
    let key = SampleKey::generate();
    pack(&path, &key);
    (path, key.public_key_text())
}

/// A tar of `members` as the format wants it, whatever they hold; names are cut at 100 bytes.
#[must_use]
pub fn archive_of(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in members {
        let size = content.len() as u64;
        archive.extend_from_slice(&header(name, size));
        archive.extend_from_slice(content);
        archive.resize(archive.len() + padding_length(size), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

/// `bundle` with a good signature of `key` over the index that stands in it; nothing where none can be found.
#[must_use]
pub fn resigned(bundle: &[u8], key: &SampleKey) -> Option<Vec<u8>> {
    // Start of the content, and its end, of the member behind `start`.
    let member = |start: usize| {
        let block: &[u8; BLOCK] = bundle.get(start..)?.first_chunk()?;
        let size = usize::try_from(FoundHeader::parse(block)?.size).ok()?;
        let content = start + BLOCK;
        let end = content.checked_add(size).filter(|end| *end <= bundle.len())?;
        Some((content, end, end.checked_add(padding_length(size as u64))?))
    };
    let (_, _, index_start) = member(0)?;
    let (content, end, signature_start) = member(index_start)?;
    let (_, _, rest) = member(signature_start)?;
    let signature = key.signature_file(&bundle[content..end]);
    let mut signed = archive_of(&[(SIGNATURE_FILE.to_owned(), signature)]);
    signed.truncate(signed.len() - 2 * BLOCK);
    Some([bundle.get(..signature_start)?, &signed, bundle.get(rest..)?].concat())
}

/// Writes the sample bundle with `count` more blobs of `size` bytes each, all of them holes, into the folder `dir`; gives
/// its path and the text of the public key. It opens and lists, and does not verify.
///
/// # Panics
/// When the folder cannot be written.
#[must_use]
pub fn hollow_bundle(dir: &Path, count: u32, size: u64) -> (PathBuf, String) {
    let path = dir.join("hollow.bundle");
    let key = SampleKey::generate();
    let mut writer = sample_writer();
    for number in 0..count {
        let digest = digest_of(&number.to_le_bytes());
        let content = BlobContent::File(PathBuf::from("hole"));
        writer.add_blob(&digest, size, BlobGroup::Data, content).expect("a digest just computed");
    }
    let comment = trusted_comment(&product());
    writer.pack_hollow(&path, |index| key.sign(index, &comment)).expect("a consistent sample");
    (path, key.public_key_text())
}

/// How many blobs of `size` bytes are too many for the disk of `dir`.
///
/// # Panics
/// When the folder is not there.
#[must_use]
pub fn too_many_blobs(dir: &Path, size: u64) -> u32 {
    let disk = rustix::fs::statvfs(dir).expect("a folder");
    // One more: meanwhile others may give some back.
    u32::try_from(disk.f_bavail * disk.f_frsize / size).expect("large blobs") + 2
}

fn pack(path: &Path, key: &SampleKey) -> BundleDocument {
    let comment = trusted_comment(&product());
    let sign = |index: &[u8]| Ok::<_, Infallible>(key.sign(index, &comment));
    let packed = sample_writer().pack(path, 2, &|_, _| {}, sign);
    packed.expect("a consistent sample in a writable folder").document
}

/// The sample, ready to be changed and packed.
///
/// # Panics
/// When the sample contradicts itself.
#[must_use]
pub fn sample_writer() -> BundleWriter {
    let mut parts = Parts::default();
    let images = IMAGES.iter().map(|(name, roles)| parts.image(name, roles)).collect();
    let binaries = BINARIES.iter().map(|(name, version, roles)| (*name, *version, "/usr/local/bin", *roles));
    let plugins = NETWORK_PLUGINS.iter().map(|name| (*name, "v1.8.0", "/opt/cni/bin", ALL));
    let mut files: Vec<File> = binaries
        .chain(plugins)
        .map(|(name, version, folder, roles)| parts.file(name, version, folder, roles))
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let charts = CHARTS.iter().map(|(name, version)| parts.chart(name, version)).collect();
    let mut writer = BundleWriter::new(document(images, files, charts));
    for entry in parts.entries {
        writer.add_entry(entry);
    }
    for (group, content) in parts.blobs {
        writer.add_bytes(group, content).expect("a digest just computed");
    }
    writer
}

/// Blobs and index entries as they come up.
#[derive(Default)]
struct Parts {
    entries: Vec<Descriptor>,
    blobs: Vec<(BlobGroup, Vec<u8>)>,
}

impl Parts {
    fn add(&mut self, group: BlobGroup, media_type: &str, content: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor::of(media_type, &content);
        self.blobs.push((group, content));
        descriptor
    }

    fn manifest(&mut self, manifest: &Manifest) -> Descriptor {
        let content = serde_json::to_vec(manifest).expect("plain JSON");
        let mut descriptor = self.add(BlobGroup::Metadata, MANIFEST_MEDIA_TYPE, content);
        descriptor.artifact_type.clone_from(&manifest.artifact_type);
        descriptor
    }

    /// An image of one layer with one file; the sandbox image comes as an index, as many do.
    fn image(&mut self, name: &str, roles: &[Role]) -> Image {
        let layer = archive("name", name.as_bytes());
        let layer = self.add(BlobGroup::Data, "application/vnd.oci.image.layer.v1.tar", layer);
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/name"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        });
        let config = self.add(BlobGroup::Metadata, "application/vnd.oci.image.config.v1+json", text(&config));
        let mut manifest = Manifest::artifact("", vec![layer.clone()]);
        manifest.artifact_type = None;
        manifest.config = config.clone();
        let mut top = self.manifest(&manifest);
        let mut blobs = vec![top.clone(), config, layer];
        if name == PAUSE {
            let index = serde_json::to_value(Index::new(vec![top])).expect("plain JSON");
            top = self.add(BlobGroup::Metadata, crate::oci::INDEX_MEDIA_TYPE, with_platform(index));
            blobs.insert(0, top.clone());
        }
        self.entries.push(top.clone().annotated(REF_NAME, name));
        Image {
            name: name.to_owned(),
            digest: top.digest,
            media_type: top.media_type,
            size: blobs.iter().map(|blob| blob.size).sum(),
            roles: roles.to_vec(),
            blobs: blobs.into_iter().map(|blob| blob.digest).collect(),
            referrers: Vec::new(),
        }
    }

    fn file(&mut self, name: &str, version: &str, folder: &str, roles: &[Role]) -> File {
        let plain = format!("#!/bin/sh\necho {name} {version}\n");
        let frame = zstd::encode_all(plain.as_bytes(), 3).expect("memory");
        let layer = self
            .add(BlobGroup::Data, "application/zstd", frame)
            .annotated("dev.sealift.plain.digest", &digest_of(plain.as_bytes()))
            .annotated("dev.sealift.plain.size", &plain.len().to_string());
        let manifest = self.manifest(&Manifest::artifact(FILE_ARTIFACT_TYPE, vec![layer.clone()]));
        self.entries.push(manifest.clone().annotated(TITLE, name).annotated(VERSION, version));
        File {
            name: name.to_owned(),
            version: version.to_owned(),
            path: format!("{folder}/{name}"),
            mode: 0o755,
            roles: roles.to_vec(),
            platform: None,
            manifest: manifest.digest,
            digest: layer.digest,
            size: layer.size,
            plain_digest: digest_of(plain.as_bytes()),
            plain_size: plain.len() as u64,
        }
    }

    fn chart(&mut self, name: &str, version: &str) -> Chart {
        let text = format!("apiVersion: v2\nname: {name}\nversion: {version}\n");
        let content = archive(&format!("{name}/Chart.yaml"), text.as_bytes());
        let layer = self.add(BlobGroup::Data, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", content);
        let config = json!({"name": name, "version": version, "apiVersion": "v2"});
        let mut manifest = Manifest::artifact("", vec![layer.clone()]);
        manifest.artifact_type = None;
        manifest.config =
            self.add(BlobGroup::Metadata, "application/vnd.cncf.helm.config.v1+json", self::text(&config));
        let manifest = self.manifest(&manifest);
        self.entries.push(manifest.clone().annotated(TITLE, name).annotated(VERSION, version));
        Chart {
            name: name.to_owned(),
            version: version.to_owned(),
            manifest: manifest.digest,
            digest: layer.digest,
            size: layer.size,
        }
    }
}

fn product() -> Product {
    Product { name: "orders".into(), title: "Orders".into(), version: "4.2.0".into(), serial: 17 }
}

fn document(images: Vec<Image>, files: Vec<File>, charts: Vec<Chart>) -> BundleDocument {
    let setting = |description: &str, default| Setting { description: description.into(), default };
    BundleDocument {
        api_version: API_VERSION.into(),
        kind: "Bundle".into(),
        product: product(),
        kubernetes: KubernetesRelease {
            version: KUBERNETES.into(),
            pause_image: PAUSE.into(),
            etcd_image: ETCD.into(),
            load_balancer_image: HAPROXY.into(),
        },
        platforms: vec!["linux/amd64".into()],
        images,
        files,
        charts,
        components: components(),
        host_directories: vec![HostDirectory {
            path: "/var/lib/orders/database".into(),
            mode: 0o700,
            uid: 999,
            gid: 999,
            roles: WORKERS.to_vec(),
        }],
        secrets: vec![ProductSecret {
            component: "orders".into(),
            name: "orders-database".into(),
            from_site: [("admin-password".to_owned(), "adminPassword".to_owned())].into(),
            from_services: [].into(),
            generated: vec!["database-password".into()],
        }],
        settings: [
            ("companyName".to_owned(), setting("Name on the page", Some(json!("Example")))),
            ("domain".to_owned(), setting("Host name of the page", None)),
        ]
        .into(),
        services: [].into(),
        sizing: Some(sizing()),
        blobs: Vec::new(),
    }
}

/// A page that grows with the work, a database of one copy, and a network on every host.
fn sizing() -> SizingModel {
    let basis = || SizingBasis {
        kind: BasisKind::Assumed,
        source: "made up for tests".into(),
        hardware: None,
        date: None,
    };
    let part = |name: &str, title: &str, component: &str, class| SizingPart {
        name: name.into(),
        title: title.into(),
        component: component.into(),
        class,
        placement: Placement::Workers,
        copies: 1,
        cpu_millicores: 50,
        memory_mebibytes: 64,
        cpu_microseconds_per_request: 0,
        memory_kibibytes_per_session: 0,
        most_millicores_per_copy: None,
        disk: None,
        basis: basis(),
    };
    SizingModel {
        busy_percent: 65,
        kilobytes_per_user_per_day: 100,
        data_basis: basis(),
        parts: vec![
            SizingPart {
                copies: 2,
                cpu_microseconds_per_request: 20_000,
                memory_kibibytes_per_session: 1024,
                most_millicores_per_copy: Some(1000),
                ..part("web", "the order page", "orders", PartClass::General)
            },
            SizingPart {
                cpu_microseconds_per_request: 10_000,
                memory_kibibytes_per_session: 2048,
                disk: Some(PartDisk {
                    path: "/var/lib/orders/database".into(),
                    fixed_megabytes: 1000,
                    data_share_percent: 100,
                    samples: None,
                    retention_days: None,
                    overhead_percent: 50,
                    copies: 1,
                }),
                ..part("database", "the order database", "orders", PartClass::Database)
            },
            SizingPart {
                placement: Placement::EveryHost,
                ..part("network", "the network between machines", "flannel", PartClass::General)
            },
        ],
    }
}

fn components() -> Vec<Component> {
    let component = |name: &str,
                     namespace: &str,
                     stage,
                     gate: (&str, &str),
                     values_from: &[(&str, SiteValue)]| Component {
        name: name.into(),
        chart: name.into(),
        namespace: namespace.into(),
        stage,
        values: json!({}),
        values_from: values_from.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect(),
        gates: vec![Workload { kind: gate.0.into(), name: gate.1.into() }],
        timeout_seconds: 300,
        acceptance: name == "orders",
    };
    let company = SiteValue::Setting("companyName".into());
    vec![
        component(
            "flannel",
            "kube-flannel",
            Stage::Platform,
            ("DaemonSet", "flannel"),
            &[("podCidr", SiteValue::PodCidr)],
        ),
        component(
            "coredns",
            "kube-system",
            Stage::Platform,
            ("Deployment", "coredns"),
            &[("dns.address", SiteValue::ClusterDns)],
        ),
        component("local-volumes", "local-volumes", Stage::Product, ("DaemonSet", "local-volumes"), &[]),
        component(
            "orders",
            "orders",
            Stage::Product,
            ("Deployment", "orders-web"),
            &[("replicas", SiteValue::ServiceReplicas), ("company", company)],
        ),
    ]
}

/// A tar archive of one file.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, name, content).expect("memory");
    builder.into_inner().expect("memory")
}

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn with_platform(mut index: Value) -> Vec<u8> {
    index["manifests"][0]["platform"] = json!({"architecture": "amd64", "os": "linux"});
    text(&index)
}
