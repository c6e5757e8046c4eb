//! The site profile: one YAML file (or several laid over each other) that holds all answers of one site.
//!
//! **Purpose.** Read what people wrote, say everything that is wrong with it at once and where, and hand on one
//! [`Site`] value that no later room has to doubt.
//!
//! **Must not know.** Bundles, hosts' facts, checks, plans, SSH, displays. It reads the profile files, the files of
//! certificates that they name and, when asked, the files that secrets are in; it reads nothing else and writes nothing.
//!
//! **Main types in order of use.**
//! 1. [`template`]: a profile with remarks to start from.
//! 2. [`load`] (or [`load_at`], [`load_with_places`]): files to [`Site`], or a [`ProfileError`] with every finding.
//!    [`load_partly`] for those who can do with sections that are left open ([`Partly`]).
//! 3. [`Site`] and what it answers: [`Site::masters`], [`Site::workers`], [`Site::host`], [`Site::access_for`].
//!    [`Site::needs`] says how much work the product will have to do, in units that people use ([`Needs`]);
//!    [`Site::environment`], [`Site::nodes`] and [`Site::replicas`] hold the operating choices ([`operation`]).
//!    [`Site::api`] what the API servers do ([`Api`]), [`Site::etcd`] where the database stands ([`Etcd`]). [`Site::with_certificates`] brings the texts of certificates.
//!    [`Site::services`] says what the site runs in place of the product's own ([`Services`]).
//! 4. [`SecretRef`] and [`ResolvedSecrets`]: references to secrets and, in memory only, the secrets. [`Sealer`] and
//!    [`Opener`]: sealed ones.
//! 5. [`to_yaml`] and [`Loaded::to_yaml`]: a site as a file again, with the origin of each value.
//! 6. [`Draft`]: a profile while somebody writes it, judged by the same rules.
//! 7. [`schema()`]: the JSON Schema of the file, generated from the types.
//!
//! **How a profile is read.** Three passes, each of which reports all that it finds:
//! *syntax* ([`ProfileFinding::rule`] `yaml`, `duplicate-key` …): the text becomes a tree whose every node knows its
//! file, line and column; *shape*: the merged tree is held against the schema (unknown keys, wrong types, literal
//! secrets); *meaning*: rules over the whole site (addresses, networks, masters, ways to log in). The tree is made
//! from the events of `saphyr-parser` and not by the YAML serde crate, because that one knows places of its errors
//! only, and the third pass needs the places of values that are well-formed but wrong. Shape is checked against the
//! generated schema, so that a field added to [`Site`] needs no second description anywhere.

pub mod access;
pub mod api;
pub mod certificates;
mod circumstances;
mod draft;
pub mod error;
pub mod etcd;
mod load;
mod merge;
mod names;
pub mod needs;
mod node;
mod open;
pub mod operation;
mod rules;
pub mod schema;
pub mod seal;
pub mod secret;
pub mod services;
mod shape;
pub mod site;
mod template;
mod yaml;

pub use access::HostAccess;
pub use api::{Api, Audit, EncryptionAtRest, GroupRole, Oidc, PodSecurity, Role, Standard};
pub use certificates::{Authority, Certificates};
pub use circumstances::Circumstances;
pub use draft::{Draft, Judged};
pub use error::{Invalid, Place, Places, ProfileError, ProfileFinding};
pub use etcd::{Backup, Etcd, Events};
pub use load::{Loaded, MAX_FILE_BYTES, load, load_at, load_partly, load_with_places, version};
pub use names::{is_dns_label, nearest};
pub use needs::{Availability, CountOverride, Growth, MachineOverride, Needs, SizingOverrides};
pub use open::{OpenSection, Partly};
pub use operation::{Environment, EvictionBrake, NodeFailure, Nodes, Placement, Replicas, Reserved};
pub use schema::{schema, schema_text};
pub use seal::{Opener, SealError, Sealer};
pub use secret::{Exposure, ResolvedSecrets, SecretError, SecretRef};
pub use services::{Database, DatabaseTls, Endpoint, Services, TlsMode, UrlParts};
pub use site::{
    API_VERSION, AcceptedRisk, Access, Bastion, Cluster, Host, HostRole, KIND, Metadata, ProductAnswers, Site,
};
pub use template::{Extent, template};
pub use yaml::to_yaml;
