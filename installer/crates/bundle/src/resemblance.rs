//! Whether what can no longer be opened is left of a certain bundle. Whoever mends in place asks before writing anything:
//! any other file that was named by mistake would be lost.
//!
//! Knows nothing of where good bytes come from.

use std::path::Path;

use crate::bundle::Bundle;
use crate::digest::digest_of;
use crate::layout::LAYOUT_CONTENT;
use crate::member::padding_length;
use crate::oci::EMPTY_CONTENT;
use crate::open;
use crate::parts::stands_at;
use crate::signature::TrustedKeys;
use crate::source::{Source, read_full};

/// What speaks against taking `source` for a damaged copy of `bundle`; nothing where it may be mended as one.
pub(crate) fn against(
    bundle: &Bundle,
    path: &Path,
    source: &dyn Source,
    keys: &TrustedKeys,
) -> Option<&'static str> {
    // Releases of one product may have blobs at the same places.
    if open::signed(path, source, keys).is_ok_and(|(_, found)| found.index_json != bundle.index_json()) {
        return Some("it begins with the signed index of another bundle");
    }
    if begins_as(bundle, source) || holds_a_header(bundle, source) {
        return None;
    }
    Some("nothing of that bundle stands in its place there")
}

/// Whether everything up to the signature's end, or as far as there is anything, is as it must be. So an empty file
/// counts as well: nothing in it could be lost.
fn begins_as(bundle: &Bundle, source: &dyn Source) -> bool {
    let mut front = Vec::new();
    let texts = [LAYOUT_CONTENT, bundle.index_json(), bundle.signature()];
    for (member, text) in bundle.members().as_slice().iter().zip(texts) {
        front.extend(member.header());
        front.extend(text.as_bytes());
        front.resize(front.len() + padding_length(member.size), 0);
    }
    let mut found = vec![0; front.len()];
    read_full(source, &mut found, 0).is_ok_and(|count| found[..count] == front[..count])
}

/// Whether the header of a blob stands in its place: it names the blob by digest and size. The members in front and
/// the empty config are named alike in every bundle and prove nothing.
fn holds_a_header(bundle: &Bundle, source: &dyn Source) -> bool {
    let empty = digest_of(EMPTY_CONTENT);
    let blobs = open::blobs(bundle.members().as_slice());
    blobs
        .iter()
        .filter(|member| member.digest != empty)
        .any(|member| stands_at(source, &member.header(), member.offset))
}
