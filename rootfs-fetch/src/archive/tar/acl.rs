//! Access control lists: from the text that star and GNU tar write into pax headers to the kernel's binary
//! format.
//!
//! # Source
//! acl(5), "ACL TEXT FORMS"; star(1), "SCHILY.acl.access"; the kernel's posix_acl_xattr.h.

use crate::archive::tar::number::decimal;

const VERSION: u32 = 2;
/// The maximum number of entries in a list: xattr(7) allows 64 KiB for a list, and an entry takes 8 bytes.
const MAX_ENTRIES: usize = (64 * 1024 - 4) / 8;
/// The id of an entry without a user or group.
const NOBODY: u32 = u32::MAX;

/// The kind of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Names of users.
    Users,
    /// Names of groups.
    Groups,
}

/// The value of `system.posix_acl_access` or `…_default`; nothing if the text is malformed or too long, or
/// `find` does not know a name that has no id.
pub fn binary(text: &[u8], find: &mut dyn FnMut(Names, &[u8]) -> Option<u64>) -> Option<Vec<u8>> {
    let mut entries = Vec::new();
    for line in text.split(|&byte| byte == b',' || byte == b'\n') {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii();
        if entries.len() > MAX_ENTRIES {
            return None;
        }
        if !line.is_empty() {
            entries.push(entry(line, find)?);
        }
    }
    // the kernel requires this order
    entries.sort_unstable();
    let mut value = VERSION.to_le_bytes().to_vec();
    for (tag, id, permissions) in entries {
        value.extend(tag.to_le_bytes());
        value.extend(permissions.to_le_bytes());
        value.extend(id.to_le_bytes());
    }
    Some(value)
}

/// `user:lisa:r-x:502`: kind, name, permissions, and the id that star adds.
fn entry(line: &[u8], find: &mut dyn FnMut(Names, &[u8]) -> Option<u64>) -> Option<(u16, u32, u16)> {
    let mut fields = line.split(|&byte| byte == b':').map(<[u8]>::trim_ascii);
    let (kind, who) = (fields.next()?, fields.next()?);
    let (permissions, number) = match kind {
        // acl(5): the empty field can be omitted
        b"mask" | b"m" | b"other" | b"o" if !who.is_empty() => (who, None),
        _ => (fields.next()?, fields.next()),
    };
    let id = match (kind, who) {
        (b"user" | b"u" | b"group" | b"g", who) if !who.is_empty() => {
            let names = if kind.starts_with(b"u") { Names::Users } else { Names::Groups };
            let id = number.and_then(decimal).or_else(|| decimal(who)).or_else(|| find(names, who))?;
            Some(u32::try_from(id).ok().filter(|&id| id != NOBODY)?)
        }
        _ => None,
    };
    let tag = match (kind, id) {
        (b"user" | b"u", None) => 0x01,
        (b"user" | b"u", Some(_)) => 0x02,
        (b"group" | b"g", None) => 0x04,
        (b"group" | b"g", Some(_)) => 0x08,
        (b"mask" | b"m", _) => 0x10,
        (b"other" | b"o", _) => 0x20,
        _ => return None,
    };
    let permissions = permissions.iter().try_fold(0, |bits, byte| {
        Some(
            bits | match byte {
                b'r' => 4,
                b'w' => 2,
                b'x' => 1,
                b'-' => 0,
                _ => return None,
            },
        )
    })?;
    Some((tag, id.unwrap_or(NOBODY), permissions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Option<Vec<(u16, u16, u32)>> {
        let value = binary(text.as_bytes(), &mut |names, who| match (names, who) {
            (Names::Users, b"adm") => Some(3),
            (Names::Groups, b"adm") => Some(4),
            _ => None,
        })?;
        let (version, rest) = value.split_first_chunk::<4>()?;
        assert_eq!(version, &[2, 0, 0, 0]);
        let entry = |bytes: &[u8]| {
            let (tag, rest) = bytes.split_first_chunk::<2>()?;
            let (permissions, id) = rest.split_first_chunk::<2>()?;
            let id = u32::from_le_bytes(*id.first_chunk()?);
            Some((u16::from_le_bytes(*tag), u16::from_le_bytes(*permissions), id))
        };
        rest.chunks(8).map(entry).collect()
    }

    #[test]
    fn stars_text_with_numbers_becomes_what_the_kernel_takes() {
        let text = "user::rwx,user:lisa:r-x:502,group::r-x,mask::rwx,other::---";
        let wanted = [(1, 7, NOBODY), (2, 5, 502), (4, 5, NOBODY), (16, 7, NOBODY), (32, 0, NOBODY)];
        assert_eq!(entries(text), Some(wanted.to_vec()));
    }

    #[test]
    fn lines_short_forms_and_comments_are_read_and_put_in_order() {
        let text = "o::r--\nm:rwx\ng:7:rw-\t#effective:r--\nu:9:r\nu:8:w\ng::r\nu::rw\n";
        let wanted = [
            (1, 6, NOBODY),
            (2, 2, 8),
            (2, 4, 9),
            (4, 4, NOBODY),
            (8, 6, 7),
            (16, 7, NOBODY),
            (32, 4, NOBODY),
        ];
        assert_eq!(entries(text), Some(wanted.to_vec()));
    }

    #[test]
    fn a_name_without_a_number_is_looked_up() {
        let text = "user::rw-,user:adm:rw-,group::r--,group:adm:r--,mask::rw-,other::---";
        let wanted = [(1, 6, NOBODY), (2, 6, 3), (4, 4, NOBODY), (8, 4, 4), (16, 6, NOBODY), (32, 0, NOBODY)];
        assert_eq!(entries(text), Some(wanted.to_vec()));
    }

    #[test]
    fn an_unknown_name_and_nonsense_are_none() {
        for text in ["user:lisa:rwx", "user::rwz", "owner@:rwx::allow", "user", "user:4294967295:r", "mask"] {
            assert_eq!(entries(text), None, "{text}");
        }
    }
}
