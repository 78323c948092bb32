//! Variables of the caller that name no file in the new root, and their replacements.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use chain::{Plan, call};
use system::accounts::AccountFiles;

use crate::mount_request::MountRequests;
use crate::root::Root;

/// Replaces a PATH without any existing directory inside, as on a machine that keeps programs elsewhere.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A variable that names a file: environ(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    Path,
    Home,
    Shell,
    /// Without it, programs create files in `/tmp`.
    TmpDir,
    XdgRuntimeDir,
}

impl Variable {
    const ALL: [Self; 5] = [Self::Path, Self::Home, Self::Shell, Self::TmpDir, Self::XdgRuntimeDir];

    /// Whether passwd(5) has a value for it.
    pub fn is_of_user(self) -> bool {
        matches!(self, Self::Home | Self::Shell)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Path => "PATH",
            Self::Home => "HOME",
            Self::Shell => "SHELL",
            Self::TmpDir => "TMPDIR",
            Self::XdgRuntimeDir => "XDG_RUNTIME_DIR",
        }
    }

    /// The variables that name no file in a root with these mounts.
    pub fn broken(root: &Root, mounts: &MountRequests) -> Vec<Self> {
        let is_there = |path: &Path| {
            let ours = ["/dev", "/proc", "/sys"].iter().any(|dir| path.starts_with(dir));
            !path.is_absolute() || ours || is_inside(root, mounts, path)
        };
        let leads_nowhere = |variable: &Self| {
            std::env::var_os(variable.name()).is_some_and(|value| match variable {
                Self::Path => {
                    let mut dirs = std::env::split_paths(&value).filter(|dir| dir.is_absolute()).peekable();
                    dirs.peek().is_some() && !dirs.any(|dir| is_there(&dir))
                }
                _ => !value.is_empty() && !is_there(Path::new(&value)),
            })
        };
        Self::ALL.into_iter().filter(leads_nowhere).collect()
    }
}

/// The owner of the caller's HOME if other users cannot enter it, as with /root.
pub fn owner_of_closed_home(root: &Root, mounts: &MountRequests) -> Option<u32> {
    let home = PathBuf::from(std::env::var_os(Variable::Home.name())?);
    let is_in_newroot = home.is_absolute() && mounts.show(&home).is_none();
    is_in_newroot.then(|| root.owner_of_closed(&home)).flatten()
}

/// Whether a path is in a root with these mounts. Every path in a bind mount counts as existing.
fn is_inside(root: &Root, mounts: &MountRequests, path: &Path) -> bool {
    mounts.show(path).unwrap_or_else(|| root.has(path))
}

/// A variable with its new value; without a value, it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mended {
    variable: Variable,
    value: Option<OsString>,
}

impl Mended {
    /// The replacements for a user of the new root's passwd(5).
    pub fn all(
        broken: &[Variable],
        root: &Root,
        mounts: &MountRequests,
        accounts: &AccountFiles,
        uid: u32,
    ) -> Vec<Self> {
        let user = accounts.user_of(uid);
        let is_there = |path: &OsString| is_inside(root, mounts, Path::new(path));
        let value = |variable| match variable {
            Variable::Path => Some(OsString::from(USUAL_PATH)),
            Variable::Home => Some(
                user.as_ref().and_then(|user| user.home()).filter(is_there).unwrap_or_else(|| "/".into()),
            ),
            Variable::Shell => Some(
                user.as_ref()
                    .and_then(|user| user.shell())
                    .filter(is_there)
                    .unwrap_or_else(|| "/bin/sh".into()),
            ),
            Variable::TmpDir | Variable::XdgRuntimeDir => None,
        };
        broken.iter().map(|variable| Self { variable: *variable, value: value(*variable) }).collect()
    }

    /// Sets or removes it, for the search for the command and for the command.
    pub fn plan(self, plan: &mut Plan) {
        let name = self.variable.name();
        let reason = match self.variable {
            Variable::Path => "set PATH to the usual directories".to_string(),
            Variable::Home => "set HOME to a directory that the command can enter".to_string(),
            Variable::Shell => "set SHELL to a shell that exists".to_string(),
            Variable::TmpDir | Variable::XdgRuntimeDir => {
                format!("unset {name}, whose directory does not exist")
            }
        };
        match self.value {
            Some(value) => plan.step(reason, call::SetVariable { name, value }),
            None => plan.step(reason, call::UnsetVariable(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_and_shell_are_those_of_the_roots_own_passwd_if_they_are_there() {
        let root = Root::open("/".into()).unwrap();
        let passwd = b"root:x:0:0::/root:/no/such/shell\nuser:x:7:7::/no/such/home:/bin/sh\n";
        let accounts = AccountFiles::new(passwd.to_vec(), Vec::new());
        let mended = |uid| {
            let broken = [Variable::Home, Variable::Shell];
            let all = Mended::all(&broken, &root, &MountRequests::default(), &accounts, uid);
            all.into_iter().map(|mended| mended.value.unwrap()).collect::<Vec<_>>()
        };
        for (uid, expected) in [(0, ["/root", "/bin/sh"]), (7, ["/", "/bin/sh"]), (9, ["/", "/bin/sh"])] {
            assert_eq!(mended(uid), expected, "{uid}");
        }
    }

    #[test]
    fn what_may_be_made_anywhere_is_forgotten() {
        let root = Root::open("/".into()).unwrap();
        let accounts = AccountFiles::default();
        let mut plan = Plan::new(chain::command::Command::shell("sh".into()));
        let broken = [Variable::TmpDir, Variable::Path];
        for mended in Mended::all(&broken, &root, &MountRequests::default(), &accounts, 0) {
            mended.plan(&mut plan);
        }
        assert_eq!(
            plan.lines(),
            ["unsetenv(\"TMPDIR\")".into(), format!("setenv(\"PATH\", \"{USUAL_PATH}\", 1)")]
        );
    }
}
