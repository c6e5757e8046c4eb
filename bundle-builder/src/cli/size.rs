//! Sizes of parts, as people give them.

use bytesize::ByteSize;

/// Largest file that FAT32 holds, bytes: its directories keep sizes in 32 bits (Microsoft's FAT specification, "Directory
/// Structure").
const FAT32: u64 = u32::MAX as u64;

/// `fat32`, or bytes with a unit. Exactly 4 GiB is refused: whoever asks for it means FAT32, and it is one byte too much.
pub(super) fn part(text: &str) -> Result<u64, String> {
    if text.eq_ignore_ascii_case("fat32") {
        return Ok(FAT32);
    }
    let wrong = |_| "must be fat32, or a number with its unit: 4GB, 700MB, 512MiB".to_owned();
    match text.parse::<ByteSize>().map_err(wrong)?.as_u64() {
        size if size == FAT32 + 1 => {
            Err("FAT32 holds files up to one byte less than 4 GiB: say fat32".to_owned())
        }
        size => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_gibibytes_are_not_taken_for_what_fat32_holds() {
        assert_eq!(["fat32", "FAT32"].map(part), [Ok(4_294_967_295), Ok(4_294_967_295)]);
        assert_eq!(["4GB", "512MiB"].map(part), [Ok(4_000_000_000), Ok(536_870_912)]);
        for text in ["4GiB", "4096MiB", "4294967296"] {
            assert!(part(text).unwrap_err().ends_with("say fat32"), "{text}");
        }
        assert_eq!(part("5GiB"), Ok(5_368_709_120));
        assert!(part("large").unwrap_err().starts_with("must be fat32, or a number"));
    }
}
