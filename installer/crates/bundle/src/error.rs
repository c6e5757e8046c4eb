//! Why a bundle is refused: one variant, one message per cause.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::parcel::ParcelKind;

/// Why a bundle is refused, or cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file cannot be opened.
    #[error("{}: cannot be opened", .path.display())]
    Open {
        /// The bundle.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Reading failed half-way.
    #[error("{}: reading at byte {offset} failed", .path.display())]
    Read {
        /// The bundle.
        path: PathBuf,
        /// Where, from the file's start.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Something else altogether.
    #[error("{}: not a Sealift bundle: {reason}", .path.display())]
    NotABundle {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// A delta or re-carry file in the place of a bundle.
    #[error("{}: is {kind}, not a bundle", .path.display())]
    Parcel {
        /// The file.
        path: PathBuf,
        /// Which of the two.
        kind: ParcelKind,
    },
    /// Neither delta nor re-carry file.
    #[error("{}: not a delta or re-carry file: {reason}", .path.display())]
    NotAParcel {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// A delta or re-carry file whose parts contradict each other.
    #[error("{}: this delta or re-carry file contradicts itself: {what}", .path.display())]
    ParcelInconsistent {
        /// The file.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// No signature inside.
    #[error("{}: the bundle is not signed: index.json.minisig is missing", .path.display())]
    Unsigned {
        /// The bundle.
        path: PathBuf,
    },
    /// A signature file that is not one.
    #[error("{}: index.json.minisig is not a minisign signature as Sealift writes it: {reason}", .path.display())]
    MalformedSignature {
        /// The bundle.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Signed by somebody else.
    #[error(
        "{}: signed by key {got}, which is not trusted here; trusted: {}",
        .path.display(), .expected.join(", ")
    )]
    WrongKey {
        /// The bundle.
        path: PathBuf,
        /// Ids of the trusted keys.
        expected: Vec<String>,
        /// Id of the key that signed.
        got: String,
    },
    /// The right key, but not for this content.
    #[error(
        "{}: the signature of key {key_id} does not match index.json: one of them was changed after signing",
        .path.display()
    )]
    BadSignature {
        /// The bundle.
        path: PathBuf,
        /// Id of the key that the signature names.
        key_id: String,
    },
    /// The end is missing.
    #[error("{}: cut short: {}", .path.display(), cut_short(*.expected, *.got))]
    Truncated {
        /// The bundle.
        path: PathBuf,
        /// Bytes it must have, where that is known already.
        expected: Option<u64>,
        /// Bytes it has.
        got: u64,
    },
    /// Bytes behind the end.
    #[error("{}: {got} bytes, but the bundle has {expected}: bytes were added", .path.display())]
    TrailingData {
        /// The bundle.
        path: PathBuf,
        /// Bytes it must have.
        expected: u64,
        /// Bytes it has.
        got: u64,
    },
    /// A part of a split bundle that is not there.
    #[error("{}: this part of the bundle is missing: {reason}", .path.display())]
    MissingPart {
        /// Where the part should be.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// A part that lost its end.
    #[error("{}: this part of the bundle is cut short: {}", .path.display(), cut_short(*.expected, *.got))]
    ShortPart {
        /// The part.
        path: PathBuf,
        /// Bytes it must have.
        expected: Option<u64>,
        /// Bytes it has.
        got: u64,
    },
    /// A part under the name of another.
    #[error(
        "{}: this part of the bundle belongs in the place of {}: parts were exchanged or renamed",
        .path.display(), .belongs.display()
    )]
    SwappedPart {
        /// The part.
        path: PathBuf,
        /// The name that it should have.
        belongs: PathBuf,
    },
    /// A part of something else.
    #[error("{}: this part does not belong to the bundle: {reason}", .path.display())]
    ForeignPart {
        /// The part.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// A member that the index does not lead to.
    #[error("{}: member {member} at byte {offset} does not belong to the bundle: it was added", .path.display())]
    ExtraMember {
        /// The bundle.
        path: PathBuf,
        /// The member's name.
        member: String,
        /// Where its header starts.
        offset: u64,
    },
    /// A member that should be there.
    #[error("{}: member {member} is missing: it was removed", .path.display())]
    MissingMember {
        /// The bundle.
        path: PathBuf,
        /// The member's name.
        member: String,
    },
    /// Members that changed places.
    #[error(
        "{}: member {found} stands at byte {offset} in the place of {expected}: members were moved",
        .path.display()
    )]
    MemberOrder {
        /// The bundle.
        path: PathBuf,
        /// Name of the member that belongs there.
        expected: String,
        /// Name of the member that stands there.
        found: String,
        /// Where.
        offset: u64,
    },
    /// A member under another name.
    #[error(
        "{}: a member named {found} stands at byte {offset} in the place of {expected}: it was renamed or exchanged",
        .path.display()
    )]
    MemberName {
        /// The bundle.
        path: PathBuf,
        /// Name of the member that belongs there.
        expected: String,
        /// Name of the member that stands there.
        found: String,
        /// Where.
        offset: u64,
    },
    /// A tar header with other fields than ours.
    #[error(
        "{}: the tar header of {member} at byte {offset} has another {fields} than it must have: the archive was repacked",
        .path.display()
    )]
    MemberHeader {
        /// The bundle.
        path: PathBuf,
        /// The member's name.
        member: String,
        /// Where its header starts.
        offset: u64,
        /// Which fields differ.
        fields: String,
    },
    /// A member that is no plain file.
    #[error("{}: member {member} at byte {offset} is {kind}: a bundle holds plain files only", .path.display())]
    MemberKind {
        /// The bundle.
        path: PathBuf,
        /// The member's name.
        member: String,
        /// Where its header starts.
        offset: u64,
        /// What it is, e.g. `a PAX header`.
        kind: &'static str,
    },
    /// A name that would lead outside, or a link.
    #[error("{}: {what} is a path trick", .path.display())]
    PathTrick {
        /// The bundle.
        path: PathBuf,
        /// What and where.
        what: String,
    },
    /// One blob, read alone, is not what its digest says.
    #[error("{}: blob {digest} at byte {offset} is damaged: its content has another digest", .path.display())]
    DigestMismatch {
        /// The bundle.
        path: PathBuf,
        /// What it should be.
        digest: String,
        /// Where its content starts.
        offset: u64,
    },
    /// Flipped bits, found by reading.
    #[error("{}: damaged in {} {}: {}", .path.display(), .damage.len(), places(.damage.len()), list(.damage))]
    Damaged {
        /// The bundle.
        path: PathBuf,
        /// Every damaged place, by offset.
        damage: Vec<Damage>,
    },
    /// Written by a newer Sealift.
    #[error("{}: format {found} is newer than this installer, which reads {supported}", .path.display())]
    NewerFormat {
        /// The bundle.
        path: PathBuf,
        /// What it says it is.
        found: String,
        /// What this installer reads.
        supported: &'static str,
    },
    /// More than this format allows.
    #[error("{}: {what} of {size} bytes is above the format's limit of {limit} bytes", .path.display())]
    TooLarge {
        /// The bundle.
        path: PathBuf,
        /// What.
        what: String,
        /// Bytes it claims to have.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Signed, but not readable.
    #[error("{}: {what} cannot be read", .path.display())]
    Malformed {
        /// The bundle.
        path: PathBuf,
        /// Which part.
        what: &'static str,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// Signed, but its parts contradict each other.
    #[error("{}: the bundle contradicts itself: {what}", .path.display())]
    Inconsistent {
        /// The bundle.
        path: PathBuf,
        /// How.
        what: String,
    },
    /// Asked for a blob that is not inside.
    #[error("{}: holds no blob {digest}", .path.display())]
    NoSuchBlob {
        /// The bundle.
        path: PathBuf,
        /// What was asked for.
        digest: String,
    },
    /// Asked for bytes behind a blob's end.
    #[error("{}: blob {digest} has {size} bytes, byte {offset} was asked for", .path.display())]
    BehindBlob {
        /// The bundle.
        path: PathBuf,
        /// Which blob.
        digest: String,
        /// Bytes it has.
        size: u64,
        /// What was asked for.
        offset: u64,
    },
}

/// One damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Name of the member, or `end of archive`.
    pub member: String,
    /// Digest of the member's content; empty for the archive's end.
    pub digest: String,
    /// What the member is for people, e.g. `image registry.k8s.io/etcd:3.6.8-0`; empty for the format's own members.
    pub what: String,
    /// Where the damaged part starts, bytes from the bundle's start.
    pub offset: u64,
    /// Bytes of the damaged part.
    pub size: u64,
    /// What part it is.
    pub kind: DamageKind,
    /// In a split bundle: the part that it starts in, and where there.
    pub part: Option<(PathBuf, u64)>,
}

/// Which part of a member is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamageKind {
    /// Its tar header.
    Header,
    /// Its content: the digest differs.
    Content,
    /// The zeros behind its content.
    Padding,
    /// The two zero blocks at the archive's end.
    Trailer,
    /// It could not be read; the system's message.
    Unreadable(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.part {
            Some((part, offset)) => format!("byte {offset} of {}", part.display()),
            None => format!("byte {}", self.offset),
        };
        let size = self.size;
        let member = match self.what.as_str() {
            "" => self.member.clone(),
            what => format!("{} ({what})", self.member),
        };
        match &self.kind {
            DamageKind::Header => write!(f, "tar header of {member} at {place}"),
            DamageKind::Content => write!(f, "content of {member} at {place}, {size} bytes"),
            DamageKind::Padding => write!(f, "padding behind {member} at {place}"),
            DamageKind::Trailer => write!(f, "end of the archive at {place}"),
            DamageKind::Unreadable(message) => {
                write!(f, "{member} at {place}, {size} bytes, cannot be read ({message})")
            }
        }
    }
}

/// How many damaged places the message of [`BundleError::Damaged`] spells out.
const LISTED: usize = 5;

fn list(damage: &[Damage]) -> String {
    let listed = damage.iter().take(LISTED).map(Damage::to_string);
    let more =
        damage.len().checked_sub(LISTED).filter(|more| *more > 0).map(|more| format!("and {more} more"));
    listed.chain(more).collect::<Vec<_>>().join("; ")
}

fn places(count: usize) -> &'static str {
    if count == 1 { "place" } else { "places" }
}

fn cut_short(expected: Option<u64>, got: u64) -> String {
    match expected {
        Some(expected) => format!("{got} bytes of {expected}"),
        None => format!("{got} bytes are not even its index and signature"),
    }
}
