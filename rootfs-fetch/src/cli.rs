// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options of rootfs-fetch.

/// What the command line may ask for.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Say nothing but what went wrong
    #[arg(short, long)]
    pub quiet: bool,

    /// Make device nodes too, as root; they are left out otherwise
    #[arg(long)]
    pub devices: bool,

    /// Make everything the caller's, also as root
    #[arg(long)]
    pub no_same_owner: bool,

    /// Make what belongs to an id that does not exist here the caller's
    #[arg(long, conflicts_with = "no_same_owner")]
    pub squash: bool,

    /// Refuse an archive that unpacks to more bytes
    #[arg(long, value_name = "BYTES", default_value = "256G", value_parser = size)]
    pub max_size: u64,

    /// Refuse an archive of more entries
    #[arg(long, value_name = "COUNT", default_value_t = 4_000_000)]
    pub max_files: u64,
}

const LARGEST: u64 = 256 << 30;

impl Default for Options {
    fn default() -> Self {
        Self {
            quiet: false,
            devices: false,
            no_same_owner: false,
            squash: false,
            max_size: LARGEST,
            max_files: 4_000_000,
        }
    }
}

/// `512`, `64K`, `1M`, `8G`, `1T`: powers of 1024.
fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        Some(b't' | b'T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let count: u64 = digits.parse().map_err(|_| "a number of bytes, or with K, M, G or T".to_string())?;
    count.checked_mul(1 << shift).ok_or_else(|| "too large".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("64K"), Ok(65536));
        assert_eq!(size("256G"), Ok(LARGEST));
        assert!(size("1X").is_err());
        assert!(size("99999999999T").is_err());
        assert!(size("").is_err());
    }
}
