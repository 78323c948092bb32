//! Files and directories that a root directory needs besides its programs.

use rustix::fs::Mode;

use crate::archive::tar::{Entry, EntryKind, Time};
use crate::failure::{Failure, Result};
use crate::host::target::Target;
use crate::tree::name::Name;
use crate::unpack::file;
use crate::unpack::policy::Policy;
use crate::unpack::selection::Selection;

/// Empty directories and their modes.
const DIRECTORIES: [(&str, u32); 12] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

/// The users and groups that programs need; none can log in.
const FILES: [(&str, &str); 8] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\n\
         daemon:x:1:1:daemon:/:/usr/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    (
        "etc/group",
        "root:x:0:\ndaemon:x:1:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nmail:x:8:\nutmp:x:43:\nusers:x:100:\nnogroup:x:65534:\n",
    ),
    ("etc/shells", "/bin/sh\n/bin/bash\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("etc/profile", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nexport PATH\n"),
    ("etc/fstab", ""),
    ("root/.bashrc", "PS1='\\u@\\h:\\w\\$ '\nalias ls='ls --color=auto'\n"),
];

/// PAM rules: only root can change the user.
const PAM: (&str, &str) = (
    "etc/pam.d/other",
    "auth sufficient pam_rootok.so\nauth required pam_deny.so\n\
     account required pam_permit.so\npassword required pam_deny.so\nsession required pam_permit.so\n",
);

/// Creates the skeleton. What a tree had before stays as it was.
pub fn make(target: &mut Target<'_>, with_pam: bool) -> Result<()> {
    for (path, mode) in DIRECTORIES {
        let name = Name::parse(path.as_bytes())?;
        if target.selects(&name) && !target.had(&name)? {
            let inode = target.tree.make_directory(&name)?;
            target.tree.directories().set_metadata(inode, directory(path, mode, target.policy))?;
            target.count_directory(&name)?;
        }
    }
    let pam = with_pam.then_some(PAM);
    for (path, text) in FILES.into_iter().chain(pam) {
        write(target, path, text.as_bytes())?;
    }
    write(target, "etc/os-release", os_release().as_bytes())
}

/// Whether there is anything in it that a selection selects.
pub fn is_selected(selection: &Selection) -> bool {
    let names = DIRECTORIES.map(|(path, _)| path).into_iter().chain(FILES.map(|(path, _)| path));
    names.filter_map(|path| Name::parse(path.as_bytes()).ok()).any(|name| selection.select(&name).is_some())
}

/// The host's os-release with a VARIANT that scripts can detect.
fn os_release() -> String {
    let host = ["/etc/os-release", "/usr/lib/os-release"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .unwrap_or_else(|| "ID=linux\nNAME=Linux\nPRETTY_NAME=Linux\n".into());
    let kept = host.lines().filter(|line| !line.starts_with("VARIANT"));
    let mut text: String = kept.flat_map(|line| [line, "\n"]).collect();
    text.push_str("VARIANT=\"programs copied by rootfs-fetch\"\nVARIANT_ID=host-copy\n");
    text
}

fn directory(path: &str, mode: u32, policy: &Policy) -> Entry {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Entry {
        raw_name: path.into(),
        kind: EntryKind::Directory,
        mode,
        uid: Some(policy.uid.as_raw()),
        gid: Some(policy.gid.as_raw()),
        mtime: Time { seconds: i64::try_from(now.as_secs()).unwrap_or(0), nanoseconds: now.subsec_nanos() },
        xattrs: Vec::new(),
        stored: 0,
    }
}

fn write(target: &mut Target<'_>, path: &str, text: &[u8]) -> Result<()> {
    let name = Name::parse(path.as_bytes())?;
    if !target.selects(&name) || target.had(&name)? {
        return Ok(());
    }
    target.count_file(&name, text.len() as u64)?;
    let entry_path = target.tree.entry_path(&name)?;
    let failed = |call: &str, error| Failure::call(format_args!("create {name}"), call, error);
    let fd =
        file::create(&entry_path, Mode::from_raw_mode(0o644)).map_err(|error| failed("openat()", error))?;
    let mut rest = text;
    while !rest.is_empty() {
        let written = rustix::io::write(&fd, rest).map_err(|error| failed("write()", error))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(())
}
