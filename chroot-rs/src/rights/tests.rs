use chain::command::Command;
use clap::{Args as _, FromArgMatches as _};

use super::*;
use crate::capabilities::{self, CAP_NET_RAW, CAP_SYS_ADMIN};
use crate::seccomp;

/// Root with all 41 capabilities, of the machine.
fn root() -> CallerRights {
    let known = Capabilities((1 << 41) - 1);
    let none = Capabilities::default();
    let filter = seccomp::Privilege::Machine;
    CallerRights {
        known,
        permitted: known,
        inheritable: none,
        ambient: none,
        uid: 0,
        has_host_root: true,
        filter,
    }
}

fn options(words: &[&str]) -> RightsOptions {
    let plain = clap::Arg::new("plain").long("plain").action(clap::ArgAction::SetTrue);
    let command = clap::Command::new("chroot-rs").no_binary_name(true).arg(plain);
    let matches = RightsOptions::augment_args(command).try_get_matches_from(words).unwrap();
    RightsOptions::from_arg_matches(&matches).unwrap()
}

fn resolve(
    words: &[&str],
    caller: &CallerRights,
    uid: Option<u32>,
) -> Result<(Rights, Vec<String>), Failure> {
    let (mut notes, credentials) = (Vec::new(), Credentials { uid, ..Credentials::default() });
    let rights = Rights::resolve(&options(words), caller, &credentials, &mut notes)?;
    Ok((rights, notes))
}

fn rights(words: &[&str], caller: &CallerRights, uid: Option<u32>) -> Rights {
    resolve(words, caller, uid).unwrap().0
}

fn refused(words: &[&str], caller: &CallerRights) -> String {
    let Err(failure) = resolve(words, caller, None) else { panic!("{words:?} is not refused") };
    failure.message
}

fn lines(rights: &Rights) -> Vec<String> {
    let mut plan = Plan::new(Command::shell("sh".into()));
    rights.plan_bounding_set(&mut plan);
    rights.plan_limits(&mut plan);
    rights.plan_before_credentials(&mut plan);
    rights.plan_capabilities(&mut plan);
    let name = |line: String| line.split([',', ')']).next().unwrap_or_default().to_string();
    plan.lines().into_iter().map(name).collect()
}

fn set(names: &str) -> Capabilities {
    Capabilities(
        names.split(' ').map(|name| capabilities::parse(name).unwrap()).fold(0, |all, bit| all | bit),
    )
}

const KEYRING: &str = "keyctl(KEYCTL_JOIN_SESSION_KEYRING";
const BOUNDING: &str = "prctl(PR_CAPBSET_DROP";
const FILTER: &str = "seccomp(SECCOMP_SET_MODE_FILTER";
const CAPSET: &str = "capset({version=_LINUX_CAPABILITY_VERSION_3";

#[test]
fn by_default_root_keeps_dockers_list() {
    let rights = rights(&[], &root(), None);
    assert_eq!(lines(&rights), [BOUNDING, KEYRING, FILTER, CAPSET]);
    let bounding = rights.bounding.unwrap();
    assert_eq!((bounding.kept, bounding.known), (Capabilities::default_set(), 41));
    assert_eq!(bounding.dropped.count(), 28);
    let sets = rights.sets.unwrap();
    assert_eq!((sets.permitted, sets.ambient.count()), (Capabilities::default_set(), 0));
}

#[test]
fn privileged_gives_up_nothing() {
    assert_eq!(lines(&rights(&["--privileged"], &root(), None)), [""; 0]);
    assert_eq!(
        lines(&rights(&["--privileged", "--no-new-privs"], &root(), None)),
        ["prctl(PR_SET_NO_NEW_PRIVS"]
    );
}

#[test]
fn what_is_added_is_in_the_filter_too() {
    let length = |words: &[&str]| rights(words, &root(), None).filters[0].filter.instructions().len();
    assert_ne!(length(&["--cap-add=SYS_ADMIN"]), length(&[]));
    let all = rights(&["--cap-add=ALL"], &root(), None);
    assert_eq!(lines(&all), [KEYRING, FILTER], "nothing is left to give up");
}

#[test]
fn a_capability_that_is_not_there_is_refused_if_it_was_asked_for() {
    let less = CallerRights { permitted: root().permitted.without(set("NET_RAW SYS_TIME")), ..root() };
    assert_eq!(refused(&["--cap-add=sys_time"], &less), "cannot keep SYS_TIME: the caller does not have it");
    let (rights, notes) = resolve(&["--cap-add=ALL"], &less, None).unwrap();
    assert_eq!(notes, [""; 0]);
    let kept = rights.bounding.unwrap().kept;
    assert!(kept.has(CAP_SYS_ADMIN) && !kept.has(CAP_NET_RAW));
}

#[test]
fn who_may_not_change_the_bounding_set_is_told() {
    let less = CallerRights { permitted: root().permitted.without(set("SETPCAP")), ..root() };
    let (rights, notes) = resolve(&[], &less, None).unwrap();
    assert_eq!(
        notes,
        ["root inside keeps every capability: that needs CAP_SETPCAP, which the caller does not have"]
    );
    assert_eq!(lines(&rights), [KEYRING, FILTER, CAPSET]);
    assert_eq!(
        refused(&["--cap-drop=KILL"], &less),
        "cannot give up capabilities permanently: that needs CAP_SETPCAP, which the caller does not have"
    );
}

#[test]
fn a_user_who_is_not_root_has_what_was_asked_for() {
    let sets = |words: &[&str]| rights(words, &root(), Some(5)).sets;
    assert_eq!(sets(&[]), None, "setresuid(2) takes them all");
    let ambient = set("NET_ADMIN");
    let wanted = Sets { permitted: ambient, ambient, user_changes: true };
    assert_eq!(sets(&["--cap-add=NET_ADMIN"]), Some(wanted));
    let words = ["--privileged", "--cap-add=NET_ADMIN"];
    assert_eq!(lines(&rights(&words, &root(), Some(5)))[0], "prctl(PR_SET_KEEPCAPS");
    assert_eq!(sets(&words), Some(wanted));
}

#[test]
fn a_user_who_has_capabilities_keeps_those_of_the_list() {
    let all = root().permitted;
    let user = CallerRights { uid: 1000, inheritable: all, ambient: all, ..root() };
    let kept = Capabilities::default_set();
    let sets = |words: &[&str], uid| rights(words, &user, uid).sets.unwrap();
    assert_eq!(sets(&[], None), Sets { permitted: kept, ambient: kept, user_changes: false });
    assert_eq!(sets(&[], Some(5)).permitted.count(), 0);
}

#[test]
fn the_terminal_is_left_alone_under_unconfined_too() {
    let unconfined = rights(&["--seccomp=unconfined"], &root(), None);
    let [only] = &unconfined.filters[..] else { panic!("one filter") };
    assert_eq!(only.filter.instructions(), Filter::terminal_only().instructions());
    assert!(!only.requested);
}

#[test]
fn a_profile_is_read_and_a_wrong_one_refused() {
    let scratch = ::tests::Scratch::new();
    let path = scratch.path("profile.json");
    let option = format!("--seccomp={}", path.display());
    let missing = refused(&[&option], &root());
    assert!(missing.ends_with("profile.json\" as a filter: No such file or directory (ENOENT)"), "{missing}");
    std::fs::write(&path, "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}").unwrap();
    assert_eq!(lines(&rights(&[&option], &root(), None)), [BOUNDING, KEYRING, FILTER, FILTER, CAPSET]);
    std::fs::write(&path, "{").unwrap();
    let wrong = refused(&[&option], &root());
    assert!(wrong.contains("as a filter: it is not JSON: "), "{wrong}");
}
