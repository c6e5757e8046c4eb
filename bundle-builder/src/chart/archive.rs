//! A chart's archive, read as Helm reads it: one folder at the top, below it plain files. What Helm would read in another
//! way than this program is refused, so that both speak of the same chart. It knows names and bytes, not what is in them.

use std::io::{self, Read};

use flate2::read::MultiGzDecoder;

use super::LIMIT;
use crate::archive::{self, ArchiveError};

/// Shows every file of a chart's archive to `visit`: its path below the top folder, and its content.
pub(crate) fn files(
    archive: &[u8],
    mut visit: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> Result<(), ArchiveError> {
    // One byte more: what is larger is noticed.
    let mut reader = MultiGzDecoder::new(archive).take(LIMIT + 1);
    let mut top = None;
    let walked = archive::walk_files(&mut reader, |member, content| {
        visit(below_top(&member.name, &mut top)?, content).map_err(ArchiveError::Read)
    });
    // What compresses it has a checksum at its end.
    let rest = io::copy(&mut reader, &mut io::sink()).map_err(ArchiveError::Read);
    if reader.limit() == 0 {
        let message = format!("it unpacks to more than {} MiB: that is no chart", LIMIT >> 20);
        return Err(ArchiveError::Refused(message));
    }
    walked.and(rest.map(drop))
}

/// The path of `name` below the one folder at the top, which the first member names.
fn below_top<'a>(name: &'a str, top: &mut Option<String>) -> Result<&'a str, ArchiveError> {
    let Some((folder, path)) = name.split_once('/') else {
        let message =
            format!("the member {name:?} stands in no folder: a chart is one folder with all in it");
        return Err(ArchiveError::Refused(message));
    };
    let top = top.get_or_insert_with(|| folder.to_owned());
    if top == folder {
        return Ok(path);
    }
    Err(ArchiveError::Refused(format!("the member {name:?} stands outside of the chart's folder {top:?}")))
}
