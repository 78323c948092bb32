//! Users and groups from two files, this machine's or a new root's: passwd(5), group(5).
//!
//! Never through NSS: its services need the dynamic loader, which a static program lacks, and a new root's
//! users are not in this machine's directory service. Malformed lines are skipped, and so are lines for NIS,
//! which start with `+` or `-`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// The contents of the two files.
#[derive(Debug, Default)]
pub struct AccountFiles {
    passwd: Vec<u8>,
    group: Vec<u8>,
}

/// A line of passwd(5).
#[derive(Debug, PartialEq, Eq)]
pub struct User<'a> {
    /// The login name.
    pub name: &'a [u8],
    /// The user id.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    home: &'a [u8],
    shell: &'a [u8],
}

impl User<'_> {
    /// The home directory, if the line names one.
    pub fn home(&self) -> Option<OsString> {
        (!self.home.is_empty()).then(|| OsStr::from_bytes(self.home).to_owned())
    }

    /// The login shell, if the line names one.
    pub fn shell(&self) -> Option<OsString> {
        (!self.shell.is_empty()).then(|| OsStr::from_bytes(self.shell).to_owned())
    }
}

impl AccountFiles {
    /// From the text of the two files.
    pub const fn new(passwd: Vec<u8>, group: Vec<u8>) -> Self {
        Self { passwd, group }
    }

    /// The user with this name.
    pub fn user(&self, name: &[u8]) -> Option<User<'_>> {
        self.users().find(|user| user.name == name)
    }

    /// The first user with this id.
    pub fn user_of(&self, uid: u32) -> Option<User<'_>> {
        self.users().find(|user| user.uid == uid)
    }

    /// The id of the group with this name.
    pub fn group(&self, name: &[u8]) -> Option<u32> {
        self.groups().find(|(found, _, _)| *found == name).map(|(_, gid, _)| gid)
    }

    /// The ids of all users.
    pub fn user_ids(&self) -> Vec<u32> {
        self.users().map(|user| user.uid).collect()
    }

    /// The ids of all groups, including users' primary groups without a line of their own.
    pub fn group_ids(&self) -> Vec<u32> {
        self.groups().map(|(_, gid, _)| gid).chain(self.users().map(|user| user.gid)).collect()
    }

    /// The groups that list a user, the primary one first: getgrouplist(3).
    pub fn groups_of(&self, name: &[u8], primary: u32) -> Vec<u32> {
        let mut all = vec![primary];
        for (_, gid, members) in self.groups() {
            if members.split(|byte| *byte == b',').any(|member| member == name) && !all.contains(&gid) {
                all.push(gid);
            }
        }
        all
    }

    fn users(&self) -> impl Iterator<Item = User<'_>> {
        lines(&self.passwd).filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = fields.next()?;
            let (uid, gid) = (number(fields.nth(1)?)?, number(fields.next()?)?);
            let home = fields.nth(1).unwrap_or_default();
            Some(User { name, uid, gid, home, shell: fields.next().unwrap_or_default() })
        })
    }

    fn groups(&self) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
        lines(&self.group).filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = fields.next()?;
            let gid = number(fields.nth(1)?)?;
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty() && !line.starts_with(b"+") && !line.starts_with(b"-"))
}

/// An id in decimal. For the kernel, the highest number means "no change": setresuid(2).
pub fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number != u32::MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> AccountFiles {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\n\n+nis\n-::0:0:::\nbad\nworse:x:y:1::\n\
            toor:x:0:0\nsync:x:4:65534:sync:/bin:/bin/sync\nhuge:x:4294967295:1:::\n\xff:x:7:8:::\n1000:x:5:5:::";
        let group = b"root:x:0:\nbad:x:1 2:sync\nadm:x:4:sync,root\nwheel:x:10:,root\nadm2:x:4:root\nnogroup:x:65534:";
        AccountFiles::new(passwd.to_vec(), group.to_vec())
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let names = names();
        assert_eq!(names.user(b"sync").unwrap().gid, 65534);
        assert_eq!(names.user_of(4).unwrap().name, b"sync");
        assert_eq!(names.user_of(0).unwrap().name, b"root");
        assert_eq!(names.user(b"\xff").unwrap().uid, 7);
        assert_eq!(names.user(b"root").unwrap().shell().unwrap(), "/bin/sh");
        assert_eq!(names.user(b"root").unwrap().home().unwrap(), "/root");
        assert_eq!((names.user(b"toor").unwrap().shell(), names.user(b"toor").unwrap().home()), (None, None));
    }

    #[test]
    fn lines_that_are_not_of_the_form_name_nobody() {
        let names = names();
        for name in [&b"bad"[..], b"worse", b"+nis", b"-", b"", b"huge", b"nobody"] {
            assert_eq!(names.user(name), None, "{}", name.escape_ascii());
        }
        assert_eq!(names.group(b"bad"), None);
        assert_eq!(names.user_of(u32::MAX), None);
    }

    #[test]
    fn the_groups_of_a_user_are_those_that_list_it_and_its_own() {
        assert_eq!(names().groups_of(b"sync", 65534), [65534, 4]);
        assert_eq!(names().groups_of(b"root", 0), [0, 4, 10]);
        assert_eq!(names().groups_of(b"nobody", 7), [7]);
    }

    #[test]
    fn numbers_are_decimal_and_fit() {
        assert_eq!(number(b"4294967294"), Some(u32::MAX - 1));
        for text in [&b"4294967295"[..], b"99999999999", b"-1", b"+1", b"0x1", b"", b" 1", b"1 "] {
            assert_eq!(number(text), None);
        }
    }
}
