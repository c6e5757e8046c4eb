//! What a node keeps for itself: the one formula that both the estimate and the kubelet's settings follow.
//!
//! Processors: the reservations that AKS publishes (1 core 60 m, 2: 100 m, 4: 140 m, 8: 180 m, 16: 260 m, 32: 420 m,
//! 64: 740 m), which lie on a ladder: 60 m for the first core, 40 m for the second, 20 m for the third and fourth, 10 m
//! for each further one. Memory: the ladder of GKE, TKE and older AKS: 25 % of the first 4 GiB, 20 % of the next 4,
//! 10 % of the next 8, 6 % up to 128, 2 % above. Eviction: kubelet's default `memory.available<100Mi`. Of the published
//! formulas these keep most memory, which is the safe side for an estimate.

use sealift_profile::Reserved;
use serde::Serialize;

/// The formula's name, for reports.
pub const FORMULA: &str = "AKS processor table, GKE memory ladder, 100 MiB before eviction";

const GIB: u64 = 1 << 30;
/// Processors: width of a step in thousandths of a core, and what is kept of each thousand, in thousandths.
const CPU: [(u64, u64); 3] = [(1000, 60), (1000, 40), (2000, 20)];
/// What is kept of each core above the steps.
const CPU_ABOVE: u64 = 10;
/// Memory: width of a step in bytes, and percent of it that is kept.
const MEMORY: [(u64, u64); 4] = [(4 * GIB, 25), (4 * GIB, 20), (8 * GIB, 10), (112 * GIB, 6)];
/// Percent of memory kept above the steps.
const MEMORY_ABOVE: u64 = 2;
/// kubelet's default threshold of hard eviction.
const EVICTION: u64 = 100 << 20;

/// What a node keeps for the system and the kubelet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeOverhead {
    /// Thousandths of a processor.
    pub cpu_millicores: u64,
    /// Bytes of memory, eviction not counted.
    pub memory_bytes: u64,
    /// Bytes of memory that must stay free before pods are evicted.
    pub eviction_bytes: u64,
}

impl NodeOverhead {
    /// With the numbers that a site decides itself in place of these.
    #[must_use]
    pub fn with(self, own: Reserved) -> Self {
        let bytes = |mebibytes: u32| u64::from(mebibytes) << 20;
        Self {
            cpu_millicores: own.cpu_millicores.map_or(self.cpu_millicores, u64::from),
            memory_bytes: own.memory_mebibytes.map_or(self.memory_bytes, bytes),
            eviction_bytes: own.eviction_mebibytes.map_or(self.eviction_bytes, bytes),
        }
    }
}

/// What a node of this size (thousandths of a processor, bytes of memory) keeps. Rounded up; monotone in both.
#[must_use]
pub fn node_overhead(millicores: u64, memory_bytes: u64) -> NodeOverhead {
    NodeOverhead {
        cpu_millicores: ladder(millicores, &CPU, CPU_ABOVE, 1000),
        memory_bytes: ladder(memory_bytes, &MEMORY, MEMORY_ABOVE, 100),
        eviction_bytes: EVICTION,
    }
}

/// Sums `share / whole` of each step that `amount` reaches.
fn ladder(amount: u64, steps: &[(u64, u64)], above: u64, whole: u64) -> u64 {
    let mut rest = amount;
    let mut kept: u128 = 0;
    for (width, share) in steps {
        let here = rest.min(*width);
        kept += u128::from(here) * u128::from(*share);
        rest -= here;
    }
    kept += u128::from(rest) * u128::from(above);
    crate::words::narrow(kept.div_ceil(u128::from(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_follow_the_published_table() {
        // learn.microsoft.com, AKS "node resource reservations": CPU.
        for (cores, kept) in [(1, 60), (2, 100), (4, 140), (8, 180), (16, 260), (32, 420), (64, 740)] {
            assert_eq!(node_overhead(cores * 1000, 0).cpu_millicores, kept, "{cores} cores");
        }
    }

    #[test]
    fn memory_follows_the_published_ladder() {
        // Tencent TKE 457/48777 and GKE: 3.56 GiB of 32 GiB, 5.48 GiB of 64 GiB.
        let mebibytes = |gib: u64| node_overhead(0, gib * GIB).memory_bytes.div_ceil(1 << 20);
        assert_eq!([4, 8, 16, 32, 64].map(mebibytes), [1024, 1844, 2663, 3646, 5612]);
        assert_eq!(node_overhead(0, 0).memory_bytes, 0);
    }

    #[test]
    fn a_sites_own_numbers_stand_in_place_of_the_formulas() {
        let own = Reserved { memory_mebibytes: Some(3), ..Reserved::default() };
        let kept = node_overhead(2000, 4 * GIB).with(own);
        let expected = NodeOverhead { cpu_millicores: 100, memory_bytes: 3 << 20, eviction_bytes: EVICTION };
        assert_eq!(kept, expected);
    }
}
