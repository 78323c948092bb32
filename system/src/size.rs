//! Sizes as people write them, with docker's units: k and m are powers of 1024.

/// A number and a unit, where units are powers of 1024: 50M, 1.5G, 10mb, 2KiB.
///
/// # Errors
/// A description of valid sizes.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err("expected a number and a unit, k, m, g or t: 50M, 1.5G".to_string()),
    };
    let thousandths = thousandths(number).ok_or("expected a number and a unit: 50M, 1.5G")?;
    let bytes = (u128::from(thousandths) << shift) / 1000;
    u64::try_from(bytes)
        .ok()
        .filter(|bytes| *bytes <= i64::MAX as u64)
        .ok_or_else(|| "that is more than a machine can have".to_string())
}

/// A decimal number in thousandths; digits beyond the third are cut off.
pub fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() + part.len() == 0 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // docker accepts .5 as well
    let whole = if whole.is_empty() { "0" } else { whole };
    let whole: u64 = whole.bytes().all(|byte| byte.is_ascii_digit()).then(|| whole.parse().ok())??;
    let part: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit_of_1024() {
        let sizes = [("512", 512), ("64K", 65536), ("256G", 256 << 30), ("1.5m", 3 << 19), ("2KiB", 2048)];
        for (text, size) in sizes {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "1X", "M", "-1", "99999999999T"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
