//! Where mounts land, without making one.

use std::fs;
use std::os::unix::fs::symlink;

use clap::FromArgMatches as _;

use super::*;
use crate::rights::MountLimits;
use chain::Plan;

/// A root with links, gone when dropped.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("chroot-rs-{}-{name}", std::process::id()));
        for inside in ["run/lock", "etc", "opt", "dev", "proc", "sys", "source/sub"] {
            fs::create_dir_all(dir.join(inside)).unwrap();
        }
        fs::write(dir.join("etc/file"), "").unwrap();
        for (link, to) in
            [("var", "/run"), ("up", "../../../../opt"), ("a", "b"), ("b", "a"), ("gone", "/nope/x")]
        {
            symlink(to, dir.join(link)).unwrap();
        }
        Self(dir)
    }

    fn lines(&self, ephemeral: bool, words: &[&str]) -> Result<Vec<String>, Failure> {
        lines(&self.0, ephemeral, words)
    }

    fn bind(&self, target: &str) -> String {
        format!("--bind={}:{target}", self.0.join("source").display())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The plan's lines for the mounts that these options ask for.
fn lines(root: &Path, ephemeral: bool, words: &[&str]) -> Result<Vec<String>, Failure> {
    let mode = if ephemeral { WriteMode::Ephemeral } else { WriteMode::Persistent };
    lines_in(root, mode, words)
}

fn lines_in(root: &Path, mode: WriteMode, words: &[&str]) -> Result<Vec<String>, Failure> {
    let root = Root::open(root.to_path_buf()).unwrap();
    let matches =
        <MountRequests as clap::Args>::augment_args(clap::Command::new("x").arg(clap::Arg::new("plain")))
            .try_get_matches_from([&["x"], words].concat())
            .unwrap();
    let requests = MountRequests::from_arg_matches(&matches).unwrap();
    let kernel =
        KernelMounts { proc: FsProvision::Fresh, sys: FsProvision::Fresh, ..KernelMounts::default() };
    let mut plan = Plan::new(chain::command::Command::shell("/bin/sh".into()));
    let dev = Dev { mqueue: true, ..Dev::default() };
    for extra in TargetResolver::new(&root, mode, &kernel, Some(&dev)).resolve_all(&requests)? {
        let new_root = plan.slot("new root");
        extra.plan_source(&mut plan, MountLimits::default()).plan(&mut plan, new_root, 0o22);
    }
    Ok(plan.lines())
}

const SHOW: &str = "MOVE_MOUNT_F_EMPTY_PATH)";

fn show(name: &str) -> String {
    format!("move_mount(<source>, \"\", AT_FDCWD, \"{name}\", {SHOW}")
}

#[test]
fn links_lead_where_they_lead_inside() {
    let dir = Dir::new("links");
    for (target, enter, name) in [
        ("/opt", "fchdir(<new root>)", "opt"),
        ("/var/lock", "fchdir(<new root/run>)", "lock"),
        ("/up", "fchdir(<new root>)", "opt"),
        ("/run/../../etc/../run/lock", "fchdir(<new root/run>)", "lock"),
        ("/dev/shm", "fchdir(<new root/dev>)", "shm"),
    ] {
        let lines = dir.lines(false, &[&dir.bind(target)]).unwrap();
        assert_eq!(lines[1..], [enter.to_string(), show(name)], "{target}");
    }
}

#[test]
fn a_tmpfs_has_the_mode_of_what_it_covers_in_our_own_dev() {
    let dir = Dir::new("dev-modes");
    for (target, options) in [
        ("/dev/shm:64m", "mode=1777,size=64m"),
        ("/dev/mqueue", "mode=1777"),
        ("/dev/pts", "mode=755"),
        ("/dev/new", "mode=755"),
    ] {
        let lines = dir.lines(false, &[&format!("--tmpfs={target}")]).unwrap();
        assert!(lines.last().unwrap().ends_with(&format!("\"{options}\")")), "{target}: {lines:#?}");
    }
    let failure = dir.lines(false, &["--bind=/etc/passwd:/dev/shm"]).unwrap_err();
    assert_eq!(failure.message, "cannot mount on \"/dev/shm\": it is a directory");
}

#[test]
fn what_is_missing_is_an_error_that_says_how() {
    let dir = Dir::new("missing");
    for target in ["/nope", "/nope/x", "/a", "/a/x", "/gone", "/opt/../nope"] {
        let failure = dir.lines(false, &[&dir.bind(target)]).unwrap_err();
        assert_eq!(failure.message, format!("nothing to mount on: the new root has no \"{target}\""));
    }
    let advice = dir.lines(false, &[&dir.bind("/opt/x")]).unwrap_err().hint.unwrap();
    let root = dir.0.display();
    assert_eq!(advice, format!("mkdir -p {root}/opt/x; or use --ephemeral, which creates it for this run"));
    let file = format!("--bind={root}/etc/file:/opt/y/z");
    let advice = dir.lines(false, &[&file]).unwrap_err().hint.unwrap();
    assert!(advice.starts_with(&format!("mkdir -p {root}/opt/y && touch {root}/opt/y/z; ")), "{advice}");
}

#[test]
fn no_hint_creates_something_in_a_file_system_of_the_kernel() {
    let dir = Dir::new("kernel");
    for (target, kind) in
        [("/proc/nope", "proc(5)"), ("/sys/nope/x", "sysfs(5)"), ("/sys/kernel/nope", "sysfs(5)")]
    {
        let failure = dir.lines(false, &[&dir.bind(target)]).unwrap_err();
        assert_eq!(
            failure.message,
            format!(
                "nothing to mount on: the new root has no \"{target}\", and its file system has no place for a mount \
                point: {kind}"
            )
        );
        assert_eq!(failure.hint, None);
    }
    // what the caller binds can be one, too
    let failure = dir.lines(true, &["--bind=/sys:/opt", &dir.bind("/opt/nope")]).unwrap_err();
    assert!(failure.message.ends_with(": sysfs(5)"), "{}", failure.message);
    assert!(lines(Path::new("/sys"), false, &["--tmpfs=/nope"]).is_err_and(|failure| failure.hint.is_none()));
}

#[test]
fn a_file_on_the_way_is_named_even_if_directories_can_be_created() {
    let dir = Dir::new("file-on-the-way");
    for ephemeral in [false, true] {
        let failure = dir.lines(ephemeral, &[&dir.bind("/etc/file/x")]).unwrap_err();
        assert_eq!(
            failure.message,
            "nothing to mount on: the new root has no \"/etc/file/x\", because \"/etc/file\" is not a directory"
        );
        assert_eq!(failure.hint, None);
    }
}

#[test]
fn a_read_only_root_is_not_advised_to_be_ephemeral() {
    let dir = Dir::new("read-only");
    let failure = lines_in(&dir.0, WriteMode::ReadOnly, &["--tmpfs=/cache"]).unwrap_err();
    assert_eq!(failure.hint, Some(format!("mkdir -p {}/cache", dir.0.display())));
}

#[test]
fn a_root_on_a_read_only_file_system_is_ephemeral_or_copied() {
    let hint = |mode, can_overlay| unwritable_hint(Path::new("my root"), mode, can_overlay);
    assert_eq!(hint(WriteMode::Persistent, true), "use --ephemeral, which creates it for this run");
    let copy = "copy NEWROOT to a directory of yours: cp -a 'my root' COPY";
    assert_eq!(hint(WriteMode::Persistent, false), copy);
    assert_eq!(hint(WriteMode::ReadOnly, true), copy);
}

#[test]
fn what_only_the_owner_of_the_root_can_create_is_left_to_them() {
    // root may write to every directory
    if nix::unistd::geteuid().is_root() {
        return;
    }
    for words in [&["--resolv-conf"][..], &["--bind=/etc/passwd:/etc/resolv.conf"]] {
        let failure = lines(Path::new("/usr/share"), false, words).unwrap_err();
        assert_eq!(failure.message, "nothing to mount on: the new root has no \"/etc/resolv.conf\"");
        let advice =
            "as the owner of /usr/share: mkdir -p /usr/share/etc && touch /usr/share/etc/resolv.conf";
        assert_eq!(failure.hint.as_deref(), Some(advice), "{words:?}");
    }
}

#[test]
fn what_is_missing_is_made_where_it_vanishes() {
    let dir = Dir::new("made");
    let made = ["fchdir(<new root/run>)", "mkdirat(AT_FDCWD, \"x\", 0755)", "fchdir(<new root/run/x>)"];
    let file = format!("--bind={}:/run/x/f", dir.0.join("etc/file").display());
    let node = "mknodat(AT_FDCWD, \"f\", S_IFREG|0644)";
    let lines = dir.lines(true, &[&file, &dir.bind("/run/x/d")]).unwrap();
    assert_eq!(lines[1..6], [&made[..], &[node, &show("f")]].concat());
    // the directory is there by then
    assert_eq!(lines[7..9], ["fchdir(<new root/run/x>)", "mkdirat(AT_FDCWD, \"d\", 0755)"]);
    let on_tmpfs = dir.lines(false, &["--tmpfs=/var:1m", &dir.bind("/var/d")]).unwrap();
    assert_eq!(on_tmpfs[0..2], ["fchdir(<new root>)", "fchdir(<new root/run>)"]);
    assert!(on_tmpfs[2].ends_with(",size=1m\")"), "{on_tmpfs:#?}");
    assert_eq!(on_tmpfs[4..6], ["fchdir(<new root/run>)", "mkdirat(AT_FDCWD, \"d\", 0755)"]);
}

#[test]
fn a_later_mount_may_lie_on_an_earlier_one_and_nothing_is_made_in_the_callers_files() {
    let dir = Dir::new("order");
    let lines = dir.lines(true, &[&dir.bind("/opt"), &dir.bind("/opt/sub")]).unwrap();
    assert_eq!(lines[4..], ["fchdir(<new root/opt>)".to_string(), show("sub")]);
    assert!(dir.lines(true, &[&dir.bind("/opt"), &dir.bind("/opt/nope")]).is_err());
    assert!(dir.lines(true, &[&dir.bind("/run/x/../y")]).is_err());
}

#[test]
fn a_directory_goes_on_a_directory_and_a_file_on_a_file() {
    let dir = Dir::new("kinds");
    let refused = |words: &str| dir.lines(true, &[words]).unwrap_err().message;
    assert_eq!(refused(&dir.bind("/etc/file")), "cannot mount on \"/etc/file\": it is not a directory");
    assert_eq!(refused("--tmpfs=/etc/file"), "cannot mount on \"/etc/file\": it is not a directory");
    let file = dir.0.join("etc/file");
    assert_eq!(
        refused(&format!("--bind={}:/opt", file.display())),
        "cannot mount on \"/opt\": it is a directory"
    );
}

#[test]
fn what_is_missing_in_the_callers_directory_is_the_callers_to_make() {
    let dir = Dir::new("callers");
    let advice = dir.lines(false, &[&dir.bind("/opt"), &dir.bind("/opt/nope")]).unwrap_err().hint.unwrap();
    assert_eq!(advice, format!("mkdir -p {}/source/nope", dir.0.display()));
}

#[test]
fn a_file_on_a_link_covers_the_link_and_not_what_it_leads_to() {
    let dir = Dir::new("zone");
    symlink("/etc/file", dir.0.join("opt/localtime")).unwrap();
    for target in ["/opt/localtime", "/gone"] {
        let file = format!("--bind={}:{target}", dir.0.join("etc/file").display());
        let lines = dir.lines(false, &[&file]).unwrap();
        let name = target.rsplit('/').next().unwrap();
        assert_eq!(lines.last(), Some(&show(name)), "{target}");
    }
}

#[test]
fn the_hint_names_a_path_in_the_root_wherever_links_and_dots_lead() {
    let dir = Dir::new("hints");
    let root = dir.0.display();
    for (target, place) in [("/gone", "nope/x"), ("/new/../../../etc/x", "etc/x"), ("/var/it's", "run/it's")]
    {
        let hint = dir.lines(false, &[&dir.bind(target)]).unwrap_err().hint.unwrap();
        let word = shell_word(&PathBuf::from(format!("{root}/{place}")));
        assert_eq!(
            hint,
            format!("mkdir -p {word}; or use --ephemeral, which creates it for this run"),
            "{target}"
        );
    }
}

#[test]
fn what_our_dev_does_not_have_is_made_in_it() {
    let dir = Dir::new("console");
    let file = format!("--bind={}:/dev/console", dir.0.join("etc/file").display());
    let lines = dir.lines(false, &[&file]).unwrap();
    assert_eq!(lines[1..3], ["fchdir(<new root/dev>)", "mknodat(AT_FDCWD, \"console\", S_IFREG|0644)"]);
}

#[test]
fn a_pipe_that_is_open_has_a_hint_by_each_of_its_names() {
    let dir = Dir::new("pipe");
    let (open, _end) = std::io::pipe().unwrap();
    for fds in ["/dev/fd", "/proc/self/fd"] {
        let bind = format!("--bind={fds}/{}:/etc/file:ro", std::os::fd::AsRawFd::as_raw_fd(&open));
        let failure = dir.lines(false, &[&bind]).unwrap_err();
        assert!(failure.message.ends_with("it is a pipe, which cannot be mounted"), "{}", failure.message);
    }
}

#[test]
fn a_source_that_may_be_missing_is_passed_over() {
    let dir = Dir::new("try");
    assert_eq!(dir.lines(false, &["--bind-try=/no/such:/opt"]).unwrap(), [""; 0]);
    assert!(dir.lines(false, &["--bind=/no/such:/opt"]).is_err());
    assert_eq!(dir.lines(false, &["--bind-try=/etc:/opt"]).unwrap().len(), 3);
}
