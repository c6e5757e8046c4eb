//! Frames out of a byte stream that arrives in pieces.

use std::io;

use sealift_host::protocol::{Frame, MAX_JSON, read_frame};
use zeroize::Zeroize;

const HEADER: usize = 5;

/// Takes the first whole frame off `bytes`; `None` where more must come.
pub(crate) fn take_frame(bytes: &mut Vec<u8>) -> io::Result<Option<Frame>> {
    let Some(&[_, a, b, c, d]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]);
    // An overlong frame goes on to `read_frame`, which refuses it by its header.
    let whole = HEADER + length as usize;
    if length <= MAX_JSON && bytes.len() < whole {
        return Ok(None);
    }
    let frame = read_frame(&mut bytes.as_slice())?;
    discard(bytes, whole);
    Ok(Some(frame))
}

/// Drops the first `count` bytes and wipes the freed end: replies may carry secrets.
pub(crate) fn discard(bytes: &mut Vec<u8>, count: usize) {
    let count = count.min(bytes.len());
    let kept = bytes.len() - count;
    bytes.copy_within(count.., 0);
    bytes[kept..].zeroize();
    bytes.truncate(kept);
}

#[cfg(test)]
mod tests {
    use sealift_host::protocol::{write_data, write_json};

    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        let mut stream = Vec::new();
        write_json(&mut stream, &"first").expect("a vector takes all");
        write_data(&mut stream, b"second").expect("a vector takes all");
        let mut bytes = Vec::new();
        let mut frames = Vec::new();
        for byte in stream {
            bytes.push(byte);
            frames.extend(take_frame(&mut bytes).expect("good frames"));
        }
        assert_eq!(frames, [Frame::Json(b"\"first\"".to_vec()), Frame::Data(b"second".to_vec())]);
        assert!(bytes.is_empty());
    }

    #[test]
    fn strange_and_overlong_frames_are_refused_by_their_header() {
        assert!(take_frame(&mut b"X\0\0\0\0".to_vec()).is_err());
        assert!(take_frame(&mut b"J\xff\xff\xff\xff".to_vec()).is_err());
    }
}
