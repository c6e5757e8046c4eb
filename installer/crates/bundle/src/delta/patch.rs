//! Patches: how one content becomes another.
//!
//! A patch is three zstd frames, one behind the other:
//! - *Steps*, 24 bytes each, three little-endian numbers: how far to go in the base from where the last step ended
//!   (signed), how many bytes to take from there with a difference, how many bytes are new after them.
//! - *Differences*: for each byte taken from the base what to add to it, modulo 256.
//! - *What is new*, literally.
//!
//! So similar machine code, in which addresses moved, leaves mostly zeros, which compress well. The way of finding the
//! steps is bsdiff's (Colin Percival, "Naive differences of executable code", 2003).

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt as _;

/// zstd level of patches: higher ones win little and take long.
const LEVEL: i32 = 12;
/// Largest zstd window of a patch, as a power of two: what [`LEVEL`] uses, with room for other levels.
const WINDOW_LOG: u32 = 23;
/// Bytes of a step.
const STEP: usize = 24;
/// Bytes taken at once.
const PIECE: usize = 64 << 10;

/// Why a patch is refused.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It is no patch.
    #[error("it cannot be unpacked")]
    Unpack(#[source] io::Error),
    /// It ends before the outcome is complete.
    #[error("it ends early")]
    Short,
    /// It goes on when the outcome is complete, or would give more.
    #[error("it gives more than {size} bytes")]
    Long {
        /// Bytes that it should give.
        size: u64,
    },
    /// It takes bytes that the base does not have.
    #[error("it reads outside of the {size} bytes that it starts from")]
    Outside {
        /// Bytes of the base.
        size: u64,
    },
    /// A step that does nothing.
    #[error("it holds an empty step")]
    Idle,
    /// The outcome is complete, but not what it should be.
    #[error("it gives another content")]
    Content,
}

/// Why a patch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The patch is refused.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The base cannot be read.
    #[error("the base cannot be read")]
    Base(#[source] io::Error),
    /// The outcome cannot be written.
    #[error("the outcome cannot be written")]
    Output(#[source] io::Error),
}

/// The patch that makes `target` from `base`, and the bytes of its first two frames. Needs about five times the base's
/// bytes of memory; both must be below 2 GiB.
///
/// # Errors
/// When compressing fails.
pub fn make(base: &[u8], target: &[u8]) -> io::Result<(Vec<u8>, [u64; 2])> {
    let frame = || zstd::Encoder::new(Vec::new(), LEVEL);
    let (mut steps, mut differences, mut fresh) = (frame()?, frame()?, frame()?);
    let mut position = 0;
    let mut piece = Vec::new();
    let mut step = |start: usize, from: usize, length: usize, end: usize| {
        if from == end {
            return Ok(());
        }
        // Contents are below 2 GiB.
        let distance = i64::try_from(start).unwrap_or(0) - position;
        position = i64::try_from(start + length).unwrap_or(0);
        for number in [distance.to_le_bytes(), length_bytes(length), length_bytes(end - from - length)] {
            steps.write_all(&number)?;
        }
        for (old, new) in base[start..start + length].chunks(PIECE).zip(target[from..].chunks(PIECE)) {
            piece.clear();
            piece.extend(old.iter().zip(new).map(|(old, new)| new.wrapping_sub(*old)));
            differences.write_all(&piece)?;
        }
        fresh.write_all(&target[from + length..end])
    };
    if base.is_empty() || target.is_empty() {
        step(0, 0, 0, target.len())?;
    } else {
        bidiff::diff(base, target, &bidiff::DiffParams::default(), |found| {
            step(found.add_old_start, found.add_new_start, found.add_length, found.copy_end)
        })?;
    }
    let mut patch = steps.finish()?;
    let differences = differences.finish()?;
    let frames = [patch.len() as u64, differences.len() as u64];
    patch.extend(differences);
    patch.extend(fresh.finish()?);
    Ok((patch, frames))
}

fn length_bytes(length: usize) -> [u8; 8] {
    (length as u64).to_le_bytes()
}

/// Makes `size` bytes from `base` and the three frames of a patch, which may come from anybody: memory is bounded, and
/// nothing is read outside of the base or written beyond `size`.
///
/// # Errors
/// When the patch does not fit, or reading or writing fails. What was written until then is of no use.
pub fn apply(
    base: &File,
    frames: [impl Read; 3],
    size: u64,
    output: &mut dyn Write,
) -> Result<(), ApplyError> {
    let base_size = base.metadata().map_err(ApplyError::Base)?.len();
    let [steps, differences, fresh] = frames;
    let (mut steps, mut differences, mut fresh) = (unpack(steps)?, unpack(differences)?, unpack(fresh)?);
    let (mut old, mut change) = (vec![0; PIECE], vec![0; PIECE]);
    let (mut position, mut left) = (0_u64, size);
    while let Some((distance, taken, new)) = next_step(&mut steps)? {
        let start = position.checked_add_signed(distance);
        let end = start.and_then(|start| start.checked_add(taken)).filter(|end| *end <= base_size);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(PatchError::Outside { size: base_size }.into());
        };
        let sum = taken.checked_add(new).filter(|sum| *sum <= left).ok_or(PatchError::Long { size })?;
        if sum == 0 {
            return Err(PatchError::Idle.into());
        }
        left -= sum;
        position = start;
        while position < end {
            let count = piece(end - position);
            let (old, change) = (&mut old[..count], &mut change[..count]);
            base.read_exact_at(old, position).map_err(ApplyError::Base)?;
            fill(&mut differences, change)?;
            for (byte, change) in old.iter_mut().zip(change) {
                *byte = byte.wrapping_add(*change);
            }
            output.write_all(old).map_err(ApplyError::Output)?;
            position += count as u64;
        }
        let mut still = new;
        while still > 0 {
            let change = &mut change[..piece(still)];
            fill(&mut fresh, change)?;
            output.write_all(change).map_err(ApplyError::Output)?;
            still -= change.len() as u64;
        }
    }
    if left > 0 {
        return Err(PatchError::Short.into());
    }
    for frame in [&mut differences, &mut fresh] {
        if frame.read(&mut [0]).map_err(PatchError::Unpack)? > 0 {
            return Err(PatchError::Long { size }.into());
        }
    }
    Ok(())
}

type Frame<R> = zstd::Decoder<'static, BufReader<R>>;

fn unpack<R: Read>(frame: R) -> Result<Frame<R>, PatchError> {
    let mut decoder = zstd::Decoder::new(frame).map_err(PatchError::Unpack)?.single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(PatchError::Unpack)?;
    Ok(decoder)
}

/// Distance, bytes taken and bytes new; nothing at the end.
fn next_step(steps: &mut impl Read) -> Result<Option<(i64, u64, u64)>, PatchError> {
    let mut step = [0; STEP];
    let mut filled = 0;
    while filled < STEP {
        match steps.read(&mut step[filled..]).map_err(PatchError::Unpack)? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(PatchError::Short),
            count => filled += count,
        }
    }
    let mut numbers = step.chunks_exact(8).map(|bytes| {
        let mut number = [0; 8];
        number.copy_from_slice(bytes);
        u64::from_le_bytes(number)
    });
    let mut number = || numbers.next().unwrap_or_default();
    Ok(Some((number().cast_signed(), number(), number())))
}

fn fill(frame: &mut impl Read, buffer: &mut [u8]) -> Result<(), PatchError> {
    frame.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => PatchError::Short,
        _ => PatchError::Unpack(error),
    })
}

fn piece(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PIECE).min(PIECE)
}
