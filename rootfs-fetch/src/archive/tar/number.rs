//! Numbers in archives: octal, base 256, decimal.

/// A number: octal digits between spaces and NULs, or base 256 as GNU and star write it.
pub fn number(field: &[u8]) -> std::result::Result<i64, &'static str> {
    match field.first() {
        Some(&first) if first & 0x80 != 0 => base256(field),
        _ => octal(field),
    }
}

/// Two's complement, big endian, after the marker bit.
fn base256(field: &[u8]) -> std::result::Result<i64, &'static str> {
    let negative = field.first().is_some_and(|first| first & 0x40 != 0);
    let mut value: i128 = if negative { -1 } else { 0 };
    for (at, &byte) in field.iter().enumerate() {
        let byte = match (at, negative) {
            (0, true) => byte | 0x80,
            (0, false) => byte & 0x7f,
            _ => byte,
        };
        // 12 bytes at most, so 96 bits: no overflow here
        value = (value << 8) | i128::from(byte);
    }
    i64::try_from(value).map_err(|_| "is out of range")
}

/// Like GNU tar, skips one leading NUL. Readers disagree about digits after several.
fn octal(field: &[u8]) -> std::result::Result<i64, &'static str> {
    let rest = field.strip_prefix(b"\0").unwrap_or(field);
    let digits = rest.iter().skip_while(|&&byte| byte == b' ');
    if rest.first() == Some(&0) && rest.iter().any(|&byte| byte != 0) {
        return Err("is not a number");
    }
    let mut value: i64 = 0;
    for &byte in digits {
        match byte {
            // 12 digits at most, so 36 bits
            b'0'..=b'7' => value = value * 8 + i64::from(byte - b'0'),
            b' ' | 0 => break,
            _ => return Err("is not a number"),
        }
    }
    Ok(value)
}

/// Decimal digits and nothing else.
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_numbers_may_be_padded_either_way() {
        assert_eq!(number(b"0000755\0"), Ok(0o755));
        assert_eq!(number(b"   755 \0"), Ok(0o755));
        assert_eq!(number(b"\0\0\0\0"), Ok(0));
        assert_eq!(number(b"777777777777"), Ok(0o777_777_777_777));
        assert!(number(b"12x\0").is_err());
        assert!(number(b"-1\0").is_err());
    }

    #[test]
    fn base_256_reaches_beyond_octal_and_below_zero() {
        assert_eq!(number(&[0x80, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]), Ok(2 << 56));
        assert_eq!(number(&[0xff; 12]), Ok(-1));
        assert_eq!(number(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]), Ok(-2));
    }

    #[test]
    fn a_number_that_does_not_fit_is_an_error_and_never_wraps() {
        assert_eq!(number(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Err("is out of range"));
        assert_eq!(number(&[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]), Err("is out of range"));
    }
}
