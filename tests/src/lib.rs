//! Support library of the tests of all crates.
//!
//! The tests use the tools as their users do, through the built programs.
//!
//! # Where a test runs
//!
//! A test that runs anywhere is a plain `#[test]`. Any other is `#[ignore = "needs …"]` and is in a module
//! whose name says which user runs it, and where; `tests/run` gives each module the machine it needs.
//!
//! | module | runs |
//! | --- | --- |
//! | `as_root` | as root, on this host and in the VM |
//! | `as_user` | as an ordinary user with subordinate ids, on this host and in the VM |
//! | `as_anyone` | as root and as an ordinary user, on this host and in the VM |
//! | `in_vm` | as root in the VM: one cgroup v2 hierarchy and nothing else |
//! | `in_v1` | as root in a VM with the hierarchies of version 1 alone |
//! | `without_memory` | as root in a VM like that of `in_vm`, whose kernel was started with cgroup_disable=memory |
//! | `under_systemd` | as root in a VM with Debian's systemd |
//! | `under_login` | there, as a user who logged in |
//! | `delegated` | in the VM as an ordinary user who owns a part of that hierarchy |
//! | `on_host` | as root and as an ordinary user on this host: needs more than the VM has |
//! | `in_debian` | the same, with a root directory of Debian's, where `tests/debian` could make one |
//! | `peers` | the same, with umoci, skopeo, bsdtar, acl, attr, gpg, gpgv, bubblewrap and archives of others |
//! | `with_registry` | as `on_host`, with docker-registry, skopeo, umoci, openssl, htpasswd and jq |
//! | `with_packages` | as `in_debian`, with what `dist/make` makes |
//! | `with_shells` | as `on_host`, with bash, zsh, fish and mandoc |
//! | `with_apparmor` | on this host, in the source tree, with the parser of AppArmor 4 |
//! | `with_upstream` | as `on_host`, with coreutils' and util-linux' own tests, where `tests/upstream` could fetch them |
//! | `with_engine` | as root on this host, with Debian's docker.io |
//! | `with_podman` | as an ordinary user in the machine of `tests/worlds` with podman |
//! | `with_peers` | as root on this host, with the root of `tests/worlds/image`, which has bwrap, crun, podman, runc and systemd-nspawn |
//! | `with_mirror` | as root on this host, with mmdebstrap and a mirror of Debian's packages |
//!
//! The sessions of the pages also run on the machines that people have, each a line of [`worlds::list::WORLDS`].
//!
//! They can be nested: a test in `as_root::in_debian` only runs as root. All of them can rely on
//! busybox-static, strace and namespaces. A test that reads the source tree is in a module `in_tree` and is
//! not ignored; it runs where the tree is.

pub mod accounts;
pub mod certificates;
pub mod corpus;
pub mod cpio;
pub mod daemon;
pub mod deadline;
pub mod debian;
pub mod documents;
pub mod engine;
pub mod engine_group;
pub mod explain;
pub mod fetch;
pub mod file_handle;
pub mod json_schema;
pub mod layout;
pub mod links;
pub mod login;
pub mod machine;
pub mod peers;
pub mod pictures;
pub mod registry;
pub mod rng;
pub mod run;
pub mod scratch;
pub mod seccomp;
pub mod server;
pub mod session;
pub mod session_kind;
pub mod snapshot;
pub mod tar;
pub mod terminal;
pub mod timing;
pub mod token_server;
pub mod tools;
pub mod trace;
pub mod tree;
pub mod typed;
pub mod upstream;
pub mod vm;
pub mod worlds;

pub use debian::Debian;
pub use explain::ExplainedStep;
pub use links::Link;
pub use rng::Rng;
pub use run::{End, Ended, Run};
pub use scratch::Scratch;
pub use snapshot::Snapshot;
pub use terminal::Terminal;
pub use tools::tools;
pub use trace::Trace;
