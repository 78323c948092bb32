//! The mounts and directories that can contain a root.

use std::fs;

use tests::{Ended, Run, tools};

use crate::jail::Jail;

/// Checks that dev, proc and sys are complete and that `/` is the new root.
pub(crate) const CHECK_COMPLETE: &str = "test -c /dev/null && echo >/dev/null && test -d /dev/pts && test -e /proc/self/stat \
    && test -d /sys/class && test ! -e /proc/../../../../../../$SECRET && echo whole";

/// Where a root can be: each script creates one in `$place`, from the root in `$1`, at `$2` or below.
const LOCATIONS: [(&str, &str); 12] = [
    ("a tmpfs", r#"mount -t tmpfs t "$2"; copy "$2""#),
    (
        "an overlay",
        r#"mount -t tmpfs t "$2"; mkdir "$2"/u "$2"/w "$2"/m; place=$2/m
        mount -t overlay o -o lowerdir="$1",upperdir="$2"/u,workdir="$2"/w "$place""#,
    ),
    ("a shared mount", r#"mount --bind "$1" "$2"; mount --make-shared "$2"; mount --make-rshared /"#),
    ("a bind mount", r#"mount --bind "$1" "$2""#),
    ("a read-only mount", r#"mount --bind "$1" "$2"; remount ro"#),
    (
        "read-only media",
        r#"mount -t tmpfs t "$2"; mkdir "$2"/empty "$2"/m; place=$2/m
        mount -t overlay o -o lowerdir="$1":"$2"/empty "$place""#,
    ),
    ("a nodev and nosuid mount", r#"mount --bind "$1" "$2"; remount nodev,nosuid"#),
    (
        "three mounts in one place",
        r#"mount --bind "$1" "$2"; for i in 1 2 3; do mount -t tmpfs t "$2"/etc; done"#,
    ),
    (
        "a root with proc, sys and dev mounted",
        r#"mount --bind "$1" "$2"
        for name in proc sys dev proc; do mount --rbind /$name "$2"/$name; done"#,
    ),
    (
        "a mount over a mount",
        r#"mount --bind "$1" "$2"; mount --rbind /proc "$2"/proc
        mount --bind "$1" "$2"; mount --rbind /proc "$2"/proc"#,
    ),
    (
        "a name that is not text",
        r#"mount -t tmpfs t "$2"; place=$(printf '%s/new\377:,\\root' "$2"); mkdir "$place"; copy "$place""#,
    ),
    (
        "a closed directory",
        r#"mount -t tmpfs t "$2"; mkdir -m 700 "$2"/closed; place=$2/closed/fs; mkdir "$place"; copy "$place""#,
    ),
];

/// The common start of the scripts.
const BEFORE: &str = r#"place=$2
    copy() { for name in bin proc sys dev etc sub; do cp -a "$root/$name" "$1"; done; mkdir "$1"/tmp; }
    remount() { mount -o remount,bind,"$1" "$root/tmp"; }
    root=$1"#;

/// Runs a shell outside, in a new mount namespace, with the root as `$1`, a path as `$2` and the tool as
/// `$3`.
pub(crate) fn run_outside(jail: &Jail, script: &str) -> Run {
    let user: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    Run::new("unshare")
        .args(user)
        .args(["--mount", "--propagation", "private", "/bin/sh", "-euc", script, "sh"])
        .args([jail.root.path(""), jail.root.path("tmp"), tools().chroot()])
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("SECRET", &jail.secret)
        .env("OUTSIDE", std::process::id().to_string())
        .env("CHECK_COMPLETE", CHECK_COMPLETE)
}

/// Each location, with its script.
pub(crate) fn at_each_location(script: &str) -> impl Iterator<Item = (&'static str, Ended)> {
    let places = LOCATIONS.into_iter().filter(|(_, made)| !made.contains("overlay") || has_overlay());
    places.map(move |(place, made)| {
        let jail = Jail::new();
        (place, run_outside(&jail, &format!("{BEFORE}\n{made}\n{script}")).end())
    })
}

/// A script that tries all of them at this location.
pub(crate) fn try_all(tricks: &[&str]) -> String {
    let try_it =
        |trick: &&str| format!("\"$3\" \"$place\" /bin/sh -c '{}' || :\n", trick.replace('\'', r"'\''"));
    tricks.iter().map(try_it).collect()
}

/// Whether the kernel has overlay, which may be a module that is not loaded.
pub(crate) fn has_overlay() -> bool {
    fs::read_to_string("/proc/filesystems").unwrap().contains("\toverlay\n")
}
