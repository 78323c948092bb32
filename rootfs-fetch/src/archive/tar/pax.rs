//! The records of a pax header: `LENGTH KEY=VALUE\n`, which override a header's fields.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use chain::reporter::Quoted;

use crate::archive::tar::number::decimal;
use crate::archive::tar::sparse::Segment;
use crate::archive::tar::{Time, acl};
use crate::failure::{Failure, Result};

/// libarchive writes no padding, but other writers may.
const STANDARD_NO_PAD_INDIFFERENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// More than any file has: all names of a file's attributes together are 64 KiB at most, xattr(7).
const MAX_ATTRIBUTES: usize = 4096;

/// The pax records for one entry, or, from a global header, for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pax {
    /// The name.
    pub path: Option<Vec<u8>>,
    /// The target of a link.
    pub linkpath: Option<Vec<u8>>,
    /// The number of bytes that follow. If present, this locates the next header, never the header's own
    /// field.
    pub size: Option<u64>,
    /// The owner.
    pub uid: Override<i64>,
    /// The group.
    pub gid: Override<i64>,
    /// The time of the last change.
    pub mtime: Override<Time>,
    /// Extended attributes, name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// GNU tar's three ways to describe holes.
    pub sparse: SparseKeys,
}

/// How records override a field of the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Override<T> {
    /// They do not.
    #[default]
    Unset,
    /// With an empty value, which cancels an earlier one, even that of a global header: POSIX, pax.
    Cleared,
    /// With this value.
    Value(T),
}

impl<T> Override<T> {
    /// This value; if it is unset, the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if matches!(self, Self::Unset) { other } else { self }
    }

    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Cleared => None,
        }
    }
}

/// The `GNU.sparse.` keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseKeys {
    /// `major`; 1 if the map comes before the contents.
    pub major: Option<u64>,
    /// `minor`.
    pub minor: Option<u64>,
    /// `name`: the real name, if the header has a placeholder.
    pub name: Option<Vec<u8>>,
    /// `realsize` or `size`: the length of the file with its holes.
    pub size: Option<u64>,
    /// `map` (0.1), or pairs of `offset` and `numbytes` (0.0).
    pub map: Vec<Segment>,
    offset: Option<u64>,
}

impl SparseKeys {
    /// Sets a key; None if its value is malformed.
    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"name" => self.name = (!value.is_empty()).then(|| value.to_vec()),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"offset" => self.offset = Some(decimal(value)?),
            b"numbytes" => {
                let offset = self.offset.take()?;
                self.map.push(Segment { offset, length: decimal(value)? });
            }
            b"map" => self.map = map(value)?,
            _ => {}
        }
        Some(())
    }
}

impl Pax {
    /// Applies the records of a header; later ones override earlier ones.
    ///
    /// # Errors
    /// Damaged, for a malformed record, or a value that does not suit its key.
    pub fn read(&mut self, mut rest: &[u8]) -> Result<()> {
        // some writers pad the last record with NULs
        while rest.iter().any(|&byte| byte != 0) {
            let (key, value, after) =
                record(rest).ok_or_else(|| Failure::damaged("a pax header has a malformed record"))?;
            self.set(key, value)?;
            rest = after;
        }
        Ok(())
    }

    /// Applies a global header, except keys that make no sense for every entry, such as a name or a size.
    pub fn read_global(&mut self, data: &[u8]) -> Result<()> {
        let mut all = Self::default();
        all.read(data)?;
        self.uid = all.uid.or(self.uid);
        self.gid = all.gid.or(self.gid);
        self.mtime = all.mtime.or(self.mtime);
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let malformed = || Failure::damaged(format_args!("the pax value of {} is malformed", Quoted(key)));
        // an empty value undoes an earlier one: POSIX
        let bytes = || (!value.is_empty()).then(|| value.to_vec());
        match key {
            b"path" => self.path = bytes(),
            b"linkpath" => self.linkpath = bytes(),
            b"size" if value.is_empty() => self.size = None,
            b"size" => self.size = Some(decimal(value).ok_or_else(malformed)?),
            b"uid" => self.uid = signed(value).ok_or_else(malformed)?,
            b"gid" => self.gid = signed(value).ok_or_else(malformed)?,
            b"mtime" => self.mtime = time(value).ok_or_else(malformed)?,
            b"SCHILY.acl.access" => self.attribute(b"system.posix_acl_access", acl_value(value))?,
            b"SCHILY.acl.default" => self.attribute(b"system.posix_acl_default", acl_value(value))?,
            b"SCHILY.acl.ace" => self.attribute(b"system.nfs4_acl", value.to_vec())?,
            _ => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.set(key, value).ok_or_else(malformed)?;
                } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attribute(&unescaped(name, |byte| matches!(byte, b'=' | b'%')), value.to_vec())?;
                } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                    // bsdtar writes both forms of an attribute, or only this one
                    let name = unescaped(name, |_| true);
                    if !self.xattrs.iter().any(|(known, _)| *known == name) {
                        let value = STANDARD_NO_PAD_INDIFFERENT.decode(value);
                        // an unreadable value is skipped, and counted as an attribute
                        self.attribute(&name, value.unwrap_or_default())?;
                    }
                }
            }
        }
        Ok(())
    }

    fn attribute(&mut self, name: &[u8], value: Vec<u8>) -> Result<()> {
        self.xattrs.retain(|(known, _)| known != name);
        self.xattrs.push((name.to_vec(), value));
        if self.xattrs.len() > MAX_ATTRIBUTES {
            return Err(Failure::damaged(format_args!(
                "refused: an entry has more than {MAX_ATTRIBUTES} extended attributes"
            )));
        }
        Ok(())
    }
}

/// A list in the kernel's format. Text with names waits until the tree's names are known. The kernel refuses
/// a malformed list, so it is skipped and counted.
fn acl_value(text: &[u8]) -> Vec<u8> {
    acl::binary(text, &mut |_, _| None).unwrap_or_else(|| text.to_vec())
}

/// A name with `%XX` decoded, for the bytes that the writer escapes: GNU tar escapes `=` and `%`, libarchive
/// every byte that is special in a URL.
fn unescaped(name: &[u8], escaped: fn(u8) -> bool) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.first_chunk::<2>().filter(|_| first == b'%');
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        let (byte, used) = byte.filter(|byte| escaped(*byte)).map_or((first, 1), |byte| (byte, 3));
        plain.push(byte);
        rest = rest.get(used..).unwrap_or_default();
    }
    plain
}

fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(data.get(..space)?)?).ok()?;
    let body = data.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    Some((body.get(..equals)?, body.get(equals + 1..)?, data.get(length..)?))
}

fn signed(text: &[u8]) -> Option<Override<i64>> {
    if text.is_empty() {
        return Some(Override::Cleared);
    }
    let value = match text.strip_prefix(b"-") {
        Some(digits) => i64::try_from(decimal(digits)?).ok()?.checked_neg()?,
        None => i64::try_from(decimal(text)?).ok()?,
    };
    Some(Override::Value(value))
}

/// `1234567890.123`, to the nanosecond. A negative number has a negative fraction.
fn time(text: &[u8]) -> Option<Override<Time>> {
    if text.is_empty() {
        return Some(Override::Cleared);
    }
    let (whole, fraction) = match text.iter().position(|&byte| byte == b'.') {
        Some(dot) => (text.get(..dot)?, text.get(dot + 1..)?),
        None => (text, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = digits.fold(0_u32, |value, byte| value * 10 + u32::from(byte - b'0'));
    let seconds = signed(whole)?.value()?;
    let below_zero = whole.first() == Some(&b'-') && nanoseconds > 0;
    Some(Override::Value(if below_zero {
        Time { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds }
    } else {
        Time { seconds, nanoseconds }
    }))
}

fn map(text: &[u8]) -> Option<Vec<Segment>> {
    let mut numbers = text.split(|&byte| byte == b',').map(decimal);
    let mut map = Vec::new();
    while let Some(offset) = numbers.next() {
        map.push(Segment { offset: offset?, length: numbers.next()?? });
    }
    Some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Result<Pax> {
        let mut pax = Pax::default();
        pax.read(data)?;
        Ok(pax)
    }

    #[test]
    fn records_override_in_order_and_an_empty_one_takes_back() {
        let pax = read(b"10 path=a\n10 path=b\n12 size=123\n9 gid=-2\n").expect("well formed");
        assert_eq!(pax.path.as_deref(), Some(&b"b"[..]));
        assert_eq!((pax.size, pax.gid), (Some(123), Override::Value(-2)));
        assert_eq!(read(b"10 path=a\n8 path=\n").expect("well formed").path, None);
    }

    #[test]
    fn a_value_may_contain_newlines_and_equals_signs() {
        let pax = read(b"27 SCHILY.xattr.user.k=\n=\0\n").expect("well formed");
        assert_eq!(pax.xattrs, [(b"user.k".to_vec(), b"\n=\0".to_vec())]);
    }

    #[test]
    fn a_malformed_record_is_an_error_and_not_the_end() {
        for data in
            [&b"x path=a\n"[..], b"8 path=a\n", b"10 path=ab", b"99 path=a\n", b"6 abc\n", b"0 =\n", b"\0x"]
        {
            assert!(read(data).is_err(), "{}", Quoted(data));
        }
        for data in
            [&b"12 size=-12\n"[..], b"10 size=0x\n", b"12 mtime=1x\n", b"29 size=99999999999999999999\n"]
        {
            assert!(read(data).is_err(), "{}", Quoted(data));
        }
    }

    #[test]
    fn times_have_nanoseconds_and_a_past_before_1970() {
        assert_eq!(time(b"1.5"), Some(Override::Value(Time { seconds: 1, nanoseconds: 500_000_000 })));
        assert_eq!(time(b"-1.25"), Some(Override::Value(Time { seconds: -2, nanoseconds: 750_000_000 })));
        assert_eq!(time(b"-0.5"), Some(Override::Value(Time { seconds: -1, nanoseconds: 500_000_000 })));
        assert_eq!(
            time(b"7.1234567899"),
            Some(Override::Value(Time { seconds: 7, nanoseconds: 123_456_789 }))
        );
        assert_eq!(time(b"1.5.5"), None);
    }

    #[test]
    fn a_global_header_names_no_entry() {
        let mut pax = Pax::default();
        pax.read_global(b"10 path=a\n10 size=9\n8 uid=7\n").expect("well formed");
        assert_eq!(pax, Pax { uid: Override::Value(7), ..Pax::default() });
    }
    #[test]
    fn an_empty_value_takes_a_global_one_back() {
        let mut global = Pax::default();
        global.read_global(b"8 uid=7\n8 gid=8\n").expect("well formed");
        let mut own = Pax::default();
        own.read(b"7 uid=\n").expect("well formed");
        assert_eq!((own.uid.or(global.uid).value(), own.gid.or(global.gid).value()), (None, Some(8)));
        global.read_global(b"7 gid=\n").expect("well formed");
        assert_eq!(own.gid.or(global.gid).value(), None);
    }
}
