//! How large masters must be for so many workers.
//!
//! | workers up to | processors busy, all masters together | memory of each | source |
//! | --- | --- | --- | --- |
//! | 10 | 1.2 | 8 GiB | kube-up's table: one master of 2 cores for 6 to 10 nodes, at 60 %; memory from etcd's hardware guide (small) |
//! | 25 | 4.8 | 16 GiB | `OpenShift`, control plane sizing: three of 4 cores, of which two carry the work at 60 % |
//! | 100 | 9.6 | 32 GiB | the same: 8 cores |
//! | 250 | 19.2 | 96 GiB | the same: 16 cores |
//! | 500 | 38.4 | 128 GiB | not published: twice the row before |
//!
//! Masters may be at most 60 % busy when one of them is lost. None is smaller than 2 cores and 4 GiB (kubeadm wants 2
//! cores and 1.7 GB, RKE2 2 and 4 GB), and none that one should buy smaller than 4 cores and 16 GiB (RKE2 and `OpenShift`).

use crate::shape::Shape;
use crate::words;

/// Workers, thousandths of a processor of all masters together, GiB of each.
const TABLE: [(u64, u64, u64); 5] =
    [(10, 1200, 8), (25, 4800, 16), (100, 9600, 32), (250, 19_200, 96), (500, 38_400, 128)];
/// Percent that masters may be busy.
const BUSY: u64 = 60;
/// The most workers that the table knows.
pub const MOST_WORKERS: u64 = 500;
/// What a master that also works keeps for its first duty: 2 cores and 4 GiB.
pub const RESERVE: Shape = Shape { millicores: 2000, memory_bytes: 4 << 30 };
const LEAST: Shape = Shape { millicores: 2000, memory_bytes: 4 << 30 };
const ADVISED: Shape = Shape { millicores: 4000, memory_bytes: 16 << 30 };

/// The least size of each of `masters` for `workers`; `advised` for what one should buy.
#[must_use]
pub fn master_size(workers: u64, masters: u64, advised: bool) -> Shape {
    let (_, busy, memory) =
        TABLE.into_iter().find(|(most, ..)| workers <= *most).unwrap_or(TABLE[TABLE.len() - 1]);
    let left = masters.saturating_sub(1).max(1);
    let least = if advised { ADVISED } else { LEAST };
    Shape {
        millicores: (busy * 100).div_ceil(left * BUSY).max(least.millicores),
        memory_bytes: (memory << 30).max(least.memory_bytes),
    }
}

/// Why a master must be so large, one sentence.
pub(crate) fn reason(workers: u64, masters: u64) -> String {
    let loss = if masters > 1 { " when one of them is lost" } else { "" };
    format!(
        "Each of {} that steer is at most {BUSY} % busy{loss}, with {} that work (sizes published for OpenShift and etcd).",
        words::machines(masters),
        words::machines(workers)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sized(workers: u64) -> (u64, u64) {
        let size = master_size(workers, 3, false);
        (size.millicores, size.memory_bytes >> 30)
    }

    #[test]
    fn sizes_are_those_that_openshift_publishes() {
        // docs.openshift.com, "Control plane node sizing".
        assert_eq!([25, 100, 250].map(sized), [(4000, 16), (8000, 32), (16_000, 96)]);
    }

    #[test]
    fn no_master_is_smaller_than_the_hardware_guide_of_etcd() {
        // etcd.io, op-guide/hardware: small (50 nodes) 2 cores and 8 GB, medium (250) 4 and 16, large (1000) 8 and 32. Our
        // masters carry the API server, too: at most four times the processors and six times the memory.
        for (nodes, cores, memory) in [(50, 2000, 8), (250, 4000, 16), (1000, 8000, 32)] {
            let (our_cores, our_memory) = sized(nodes);
            assert!(our_cores >= cores && our_cores <= 4 * cores, "{nodes} nodes: {our_cores}");
            assert!(our_memory >= memory && our_memory <= 6 * memory, "{nodes} nodes: {our_memory}");
        }
    }

    #[test]
    fn more_workers_and_fewer_masters_never_need_less() {
        for masters in [1, 3, 5] {
            for workers in 0..600 {
                let (now, next) =
                    (master_size(workers, masters, true), master_size(workers + 1, masters, true));
                assert!(next.millicores >= now.millicores && next.memory_bytes >= now.memory_bytes);
                assert!(master_size(workers, masters + 2, true).millicores <= now.millicores);
            }
        }
        assert_eq!(master_size(5, 3, true), Shape::new(4, 16));
    }
}
