//! Sets of namespaces, and the options that select them.
//!
//! A namespace gives its processes their own instance of one global resource: the mounts, the hostname, the
//! process ids and so on. namespaces(7)

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use chain::reporter::listed;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use nix::sched::CloneFlags;
use system::namespace::{CLONE_NEWTIME, NamespaceKind};

/// An option that enters a new namespace, as in unshare(1).
#[derive(Debug)]
pub struct NamespaceOption {
    /// The kind of namespace.
    pub kind: NamespaceKind,
    /// Its name.
    pub long: &'static str,
    short: char,
    help: &'static str,
}

const fn option(kind: NamespaceKind, long: &'static str, short: char, help: &'static str) -> NamespaceOption {
    NamespaceOption { kind, long, short, help }
}

/// The options in the order of unshare(1)'s help.
static OPTIONS: [NamespaceOption; 8] = [
    option(NamespaceKind::MOUNT, "mount", 'm', "Enter a new mount namespace; mounts made in it stay in it"),
    option(NamespaceKind::UTS, "uts", 'u', "Enter a new UTS namespace, with its own hostname"),
    option(
        NamespaceKind::IPC,
        "ipc",
        'i',
        "Enter a new IPC namespace, with its own System V IPC and message queues",
    ),
    option(NamespaceKind::NET, "net", 'n', "Enter a new network namespace, which has only lo"),
    option(NamespaceKind::PID, "pid", 'p', "Enter a new PID namespace, with the command as its process 1"),
    option(NamespaceKind::USER, "user", 'U', "Enter a new user namespace, with its own user and group ids"),
    option(
        NamespaceKind::CGROUP,
        "cgroup",
        'C',
        "Enter a new cgroup namespace rooted at the current control group",
    ),
    option(
        NamespaceKind::TIME,
        "time",
        'T',
        "Enter a new time namespace, with its own monotonic and boot clocks",
    ),
];

/// A set of namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces(CloneFlags);

impl Default for Namespaces {
    fn default() -> Self {
        Self::NONE
    }
}

impl Namespaces {
    /// The empty set.
    pub const NONE: Self = Self(CloneFlags::empty());

    /// The namespaces of a container. Not cgroup: cgexec-rs creates that after it has moved into a group. Not
    /// time: few programs need it.
    pub const CONTAINER: Self = Self(
        CloneFlags::CLONE_NEWNS
            .union(CloneFlags::CLONE_NEWUTS)
            .union(CloneFlags::CLONE_NEWIPC)
            .union(CloneFlags::CLONE_NEWPID)
            .union(CloneFlags::CLONE_NEWNET),
    );

    /// This set with one more kind.
    pub fn with(self, kind: CloneFlags) -> Self {
        Self(self.0 | kind)
    }

    /// This set without the kinds of the other.
    pub fn without(self, other: Self) -> Self {
        // `!` would drop the flag of time namespaces, which nix does not have
        Self(CloneFlags::from_bits_retain(self.0.bits() & !other.0.bits()))
    }

    /// Whether a kind is in the set.
    pub fn has(self, kind: CloneFlags) -> bool {
        self.0.contains(kind)
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The flags of unshare(2).
    pub fn flags(self) -> CloneFlags {
        self.0
    }

    /// The reason of the step that enters them.
    pub fn reason(self) -> String {
        let options = OPTIONS.iter().filter(|option| self.has(option.kind.flag));
        let names: Vec<&str> = options.map(|option| option.kind.name).collect();
        match names.as_slice() {
            [one] => format!("enter a new {one} namespace"),
            more => format!("enter new {} namespaces", listed(more)),
        }
    }

    /// Whether only children enter the new namespaces, so that a child is needed: pid_namespaces(7),
    /// time_namespaces(7).
    pub fn need_child(self) -> bool {
        self.0.intersects(CloneFlags::CLONE_NEWPID | CLONE_NEWTIME)
    }
}

/// Parses `--share`: `none`, or a list such as `net,ipc`, with names of options or of files in /proc/PID/ns.
impl FromStr for Namespaces {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        if list == "none" {
            return Ok(Self::NONE);
        }
        list.split(',').try_fold(Self::NONE, |set, name| {
            let is_named = |option: &&NamespaceOption| option.long == name || option.kind.file == name;
            let option = OPTIONS.iter().find(is_named).ok_or_else(|| {
                let known = OPTIONS.each_ref().map(|option| option.long);
                format!("no such namespace; there are {}", known.join(", "))
            })?;
            Ok(set.with(option.kind.flag))
        })
    }
}

/// The options that select namespaces: `--net` enters a new one, `--net=FILE` also persists it.
#[derive(Clone, Debug, Default)]
pub struct NamespaceOptions {
    /// The selected namespaces.
    pub selected: Namespaces,
    /// The files that persist some of them.
    pub files: Vec<(&'static NamespaceOption, PathBuf)>,
}

impl clap::Args for NamespaceOptions {
    fn augment_args(command: Command) -> Command {
        OPTIONS.iter().fold(command, |command, option| {
            let arg = Arg::new(option.long).long(option.long).short(option.short).help(option.help);
            // the default, an empty FILE, selects the namespace without persisting it
            let arg = arg.value_name("FILE").num_args(0..=1).require_equals(true).default_missing_value("");
            command.arg(arg.action(ArgAction::Append).value_parser(value_parser!(OsString)))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for NamespaceOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self::default();
        for option in &OPTIONS {
            let Some(files) = matches.get_many::<OsString>(option.long) else { continue };
            options.selected = options.selected.with(option.kind.flag);
            let files = files.filter(|file| !file.is_empty());
            options.files.extend(files.map(|file| (option, PathBuf::from(file))));
        }
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_by_option_or_by_file() {
        let both = Namespaces::NONE.with(CloneFlags::CLONE_NEWNS).with(CloneFlags::CLONE_NEWNET);
        assert_eq!("mount,net".parse(), Ok(both));
        assert_eq!("mnt,net".parse(), Ok(both));
        assert_eq!("none".parse(), Ok(Namespaces::NONE));
    }

    #[test]
    fn an_unknown_kind_is_refused_with_those_there_are() {
        let error = "net,host".parse::<Namespaces>().unwrap_err();
        assert_eq!(error, "no such namespace; there are mount, uts, ipc, net, pid, user, cgroup, time");
    }

    #[test]
    fn the_reason_lists_the_kinds() {
        let reason = Namespaces::CONTAINER.reason();
        assert_eq!(reason, "enter new mount, UTS, IPC, network and PID namespaces");
        assert_eq!(Namespaces::NONE.with(CLONE_NEWTIME).reason(), "enter a new time namespace");
    }
}
