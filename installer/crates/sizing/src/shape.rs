//! Sizes of machines: what there is to buy, and what is there already.

use std::fmt;
use std::str::FromStr;

use sealift_profile::HostRole;
use serde::Serialize;

use crate::words;

/// The size of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    /// Thousandths of a processor.
    pub millicores: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Shape {
    /// So many processors, so many GiB of memory.
    #[must_use]
    pub fn new(cpus: u32, memory_gib: u32) -> Self {
        Self { millicores: u64::from(cpus) * 1000, memory_bytes: u64::from(memory_gib) << 30 }
    }

    /// What it costs compared with others: one for each core, one for each 4 GiB, and four for each machine (its place in
    /// the rack, its licences, its care), in thousandths. With that, few large machines and many small ones are weighed
    /// against each other and neither wins by itself.
    #[must_use]
    pub fn weight(&self) -> u64 {
        let memory = u128::from(self.memory_bytes) * 1000 / (4 << 30);
        self.millicores.saturating_add(words::narrow(memory)).saturating_add(4000)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}, {} memory", words::cores(self.millicores), words::memory(self.memory_bytes))
    }
}

/// Sizes that can be bought nearly everywhere: 4, 8, 16 and 32 processors with 4 GiB each.
#[must_use]
pub fn usual_shapes() -> Vec<Shape> {
    [(4, 16), (8, 32), (16, 64), (32, 128)].map(|(cpus, memory)| Shape::new(cpus, memory)).to_vec()
}

/// The size under which a machine with this much memory is sold: kernels and firmware keep up to a sixteenth for
/// themselves, so what a host says of itself is a little less. A size that nobody sells is left as it is.
#[must_use]
pub fn memory_as_sold(bytes: u64) -> u64 {
    const GIB: u64 = 1 << 30;
    let step = match bytes / GIB {
        0..16 => GIB,
        16..32 => 2 * GIB,
        32..64 => 4 * GIB,
        _ => 8 * GIB,
    };
    let next = bytes.div_ceil(step).saturating_mul(step);
    if next.saturating_sub(bytes) <= next / 16 { next } else { bytes }
}

/// A machine that is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GivenHost {
    /// Its name; where none was given, its number.
    pub name: String,
    /// What it is for; decided by its size where absent.
    pub role: Option<HostRole>,
    /// Processors and memory.
    pub shape: Shape,
    /// Bytes of disk, all file systems together; not judged where unknown.
    pub disk_bytes: Option<u64>,
}

/// Why a text is no machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no machine: {why}")]
pub struct ShapeError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FromStr for GivenHost {
    type Err = ShapeError;

    /// `[NAME=][master:|worker:]8c/32GiB[/500GiB]`.
    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let wrong = |why| ShapeError { text: text.to_owned(), why };
        let (name, rest) = text.split_once('=').unwrap_or(("", text));
        let (role, size) = match rest.split_once(':') {
            None => (None, rest),
            Some(("master", size)) => (Some(HostRole::ControlPlane), size),
            Some(("worker", size)) => (Some(HostRole::Worker), size),
            Some(_) => return Err(wrong("what stands before `:` must be `master` or `worker`")),
        };
        let mut parts = size.split('/');
        let cpus = parts.next().and_then(cpus).ok_or_else(|| {
            wrong("write processors first, such as 8c/32GiB/500GiB for 8 processors, 32 GiB of memory and 500 GiB of disk")
        })?;
        let memory = parts
            .next()
            .and_then(bytes)
            .ok_or_else(|| wrong("memory stands behind the processors, such as 8c/32GiB"))?;
        let disk = match parts.next() {
            None => None,
            Some(part) => {
                Some(bytes(part).ok_or_else(|| wrong("disk stands behind memory, such as 8c/32GiB/500GiB"))?)
            }
        };
        if parts.next().is_some() {
            return Err(wrong("processors, memory and disk are all that is asked for"));
        }
        Ok(Self {
            name: name.to_owned(),
            role,
            shape: Shape { millicores: cpus, memory_bytes: memory },
            disk_bytes: disk,
        })
    }
}

/// `8c` or `8`, 1 to 1024.
fn cpus(text: &str) -> Option<u64> {
    let number = text.strip_suffix('c').unwrap_or(text).parse::<u64>().ok()?;
    (1..=1024).contains(&number).then_some(number * 1000)
}

/// `32GiB`, `500GB`, `2TiB`, `2TB`; at least one byte and at most 1 PiB.
fn bytes(text: &str) -> Option<u64> {
    let units = [("GiB", 1u64 << 30), ("GB", 1_000_000_000), ("TiB", 1 << 40), ("TB", 1_000_000_000_000)];
    let (number, unit) =
        units.into_iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?.trim(), unit)))?;
    let bytes = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (1..=1 << 50).contains(&bytes).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_keeps_counts_as_bought() {
        // MemTotal of machines sold with 2, 4, 8, 16, 32, 64 and 256 GiB.
        for (mebibytes, sold) in
            [(1964, 2), (3900, 4), (7940, 8), (15_990, 16), (32_080, 32), (64_300, 64), (257_600, 256)]
        {
            assert_eq!(memory_as_sold(mebibytes << 20), sold << 30, "{mebibytes} MiB");
        }
        for odd in [0, 12 << 30, (12 << 30) + (100 << 20), u64::MAX] {
            let sold = memory_as_sold(odd);
            assert!(sold >= odd && sold - odd <= sold / 16, "{odd}: {sold}");
        }
    }

    #[test]
    fn machines_are_read_as_people_write_them() {
        let host: GivenHost = "w1=worker:8c/32GiB/500GB".parse().unwrap();
        assert_eq!(host.name, "w1");
        assert_eq!((host.role, host.shape), (Some(HostRole::Worker), Shape::new(8, 32)));
        assert_eq!(host.disk_bytes, Some(500_000_000_000));
        let host: GivenHost = "4/16GiB".parse().unwrap();
        assert_eq!((host.role, host.shape, host.disk_bytes), (None, Shape::new(4, 16), None));
        for (wrong, why) in [
            ("", "processors first"),
            ("0c/1GiB", "processors first"),
            ("8c", "memory stands"),
            ("8c/32", "memory stands"),
            ("8c/32GiB/x", "disk stands"),
            ("8c/32GiB/1GiB/1", "all that is asked for"),
            ("boss:8c/32GiB", "`master` or `worker`"),
            ("8c/99999999TiB", "memory stands"),
        ] {
            let error = wrong.parse::<GivenHost>().unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
