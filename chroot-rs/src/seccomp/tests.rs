use std::collections::BTreeMap;
use std::path::Path;

use chain::args::ValueError;

use super::*;

const ALLOW: u32 = 0x7fff_0000;
const EPERM: u32 = 0x0005_0000 | libc::EPERM as u32;
const ENOSYS: u32 = 0x0005_0000 | libc::ENOSYS as u32;
const ALL: u64 = u64::MAX;

/// struct seccomp_data: linux/seccomp.h.
struct Data {
    number: u32,
    arch: u32,
    args: [u64; 6],
}

impl Data {
    fn word(&self, offset: u32) -> u32 {
        let argument = |at: u32| self.args[(at / 8) as usize] >> (32 * (u64::from(at % 8) / 4));
        match offset {
            0 => self.number,
            4 => self.arch,
            at => argument(at - 16) as u32,
        }
    }
}

/// What the kernel's interpreter returns for a call.
fn run(filter: &Filter, data: &Data) -> u32 {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let op = filter.instructions()[at];
        let jump = |taken: bool| usize::from(if taken { op.jt } else { op.jf });
        at += 1 + match op.code {
            0x20 => {
                accumulator = data.word(op.k);
                0
            }
            0x05 => op.k as usize,
            0x54 => {
                accumulator &= op.k;
                0
            }
            0x15 => jump(accumulator == op.k),
            0x25 => jump(accumulator > op.k),
            0x35 => jump(accumulator >= op.k),
            0x06 => return op.k,
            other => panic!("no such instruction: {other:#x}"),
        };
    }
}

fn rows() -> Vec<Vec<&'static str>> {
    let text = include_str!("../../seccomp/syscalls.tsv");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect()).collect()
}

/// The machines that a filter is built for.
const MACHINES: [&[Architecture]; 2] = [X86_64_MACHINE, AARCH64_MACHINE];

/// The default filter of a machine.
fn for_machine(machine: &[Architecture], privilege: Privilege, capabilities: u64) -> Filter {
    Filter::of(machine, |rule| rule.resolve(privilege, capabilities))
}

fn bit(name: &str) -> u64 {
    1 << match name {
        "DAC_READ_SEARCH" => 2,
        "SYS_MODULE" => 16,
        "SYS_RAWIO" => 17,
        "SYS_CHROOT" => 18,
        "SYS_PTRACE" => 19,
        "SYS_PACCT" => 20,
        "SYS_ADMIN" => 21,
        "SYS_BOOT" => 22,
        "SYS_NICE" => 23,
        "SYS_TIME" => 25,
        "SYS_TTY_CONFIG" => 26,
        "SYSLOG" => 34,
        "PERFMON" => 38,
        "BPF" => 39,
        other => panic!("no such capability: {other}"),
    }
}

/// What a rule of the table means for a call whose arguments are all 0.
fn expected(rule: &str, privilege: Privilege, capabilities: u64) -> u32 {
    let has = |list: &str| list.split(',').any(|name| capabilities & bit(name) != 0);
    let inside = privilege == Privilege::UserNamespace;
    match rule.split_once(':') {
        Some(("cap", list)) if has(list) => ALLOW,
        Some(("ns", list)) if inside || has(list) => ALLOW,
        Some(_) | None if rule == "deny" || rule.contains(':') => EPERM,
        _ if rule == "absent" => ENOSYS,
        _ if rule == "clone3" && !inside && !has("SYS_ADMIN") => ENOSYS,
        _ => ALLOW,
    }
}

#[test]
fn the_filter_does_with_each_number_what_the_table_says() {
    let rows = rows();
    let privileges = [Privilege::Machine, Privilege::UserNamespace];
    let capabilities = [0, bit("SYS_ADMIN"), bit("BPF") | bit("SYS_TIME"), ALL];
    let commands = || privileges.into_iter().flat_map(|privilege| capabilities.map(|set| (privilege, set)));
    for (machine, (privilege, capabilities)) in
        MACHINES.into_iter().flat_map(|machine| commands().map(move |command| (machine, command)))
    {
        let filter = for_machine(machine, privilege, capabilities);
        for Architecture { audit, column, .. } in machine {
            let numbers = rows.iter().filter_map(|row| Some((row[*column].parse::<u32>().ok()?, row[4])));
            let table: BTreeMap<u32, &str> = numbers.collect();
            assert!(table.len() > 300, "column {column} has {} calls", table.len());
            for number in (0..1024).chain([0x4000_0000, 0x4000_0027, u32::MAX]) {
                let rule = table.get(&number).copied().unwrap_or("absent");
                let data = Data { number, arch: *audit, args: [0; 6] };
                let wanted = expected(rule, privilege, capabilities);
                assert_eq!(run(&filter, &data), wanted, "{number} ({rule}) of column {column}");
            }
        }
    }
}

#[test]
fn a_machine_takes_only_calls_of_its_own_architectures() {
    for (machine, others) in [(MACHINES[0], MACHINES[1]), (MACHINES[1], MACHINES[0])] {
        let filter = for_machine(machine, Privilege::Machine, ALL);
        for (number, other) in (0..1024).flat_map(|number| others.iter().map(move |other| (number, other))) {
            assert_eq!(run(&filter, &Data { number, arch: other.audit, args: [0; 6] }), ENOSYS);
        }
    }
}

#[test]
fn a_call_of_an_unknown_architecture_is_absent() {
    let filter = Filter::for_command(Privilege::Machine, 0);
    assert_eq!(run(&filter, &Data { number: 1, arch: 0x8000_0016, args: [0; 6] }), ENOSYS);
}

/// What a filter of a machine does with a call, on each of its architectures that has it.
fn call_on(machine: &[Architecture], filter: &Filter, name: &str, args: &[u64]) -> Vec<u32> {
    let row = rows().into_iter().find(|row| row[0] == name).expect("a call of the table");
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    let number = |architecture: &Architecture| row[architecture.column].parse().ok();
    let numbers = machine.iter().filter_map(|each| Some((each.audit, number(each)?)));
    numbers.map(|(arch, number)| run(filter, &Data { number, arch, args: all })).collect()
}

fn call(filter: &Filter, name: &str, args: &[u64]) -> Vec<u32> {
    call_on(ARCHITECTURES, filter, name, args)
}

#[test]
fn arguments_decide_where_a_filter_can_read_them() {
    for machine in MACHINES {
        let filter = for_machine(machine, Privilege::Machine, 0);
        let call = |name: &str, args: &[u64]| call_on(machine, &filter, name, args);
        let namespaces = [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWCGROUP];
        let personality = |value: u64| call("personality", &[value]);
        for (calls, wanted) in [
            (namespaces.map(|flag| call("clone", &[flag as u64])).concat(), EPERM),
            (call("clone", &[(libc::CLONE_VM | libc::SIGCHLD) as u64]), ALLOW),
            // the upper half of the command is not read by the kernel either
            (call("ioctl", &[0, 0x5412]), EPERM),
            (call("ioctl", &[0, 0xffff_ffff_0000_541c]), EPERM),
            (call("ioctl", &[0, 0x5401]), ALLOW),
            (call("socket", &[40]), EPERM),
            (call("socket", &[2]), ALLOW),
            ([0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(personality).concat(), ALLOW),
            ([1, 9, 0x40_0000].map(personality).concat(), EPERM),
        ] {
            assert!(
                !calls.is_empty() && calls.iter().all(|result| *result == wanted),
                "{calls:x?} {wanted:x}"
            );
        }
    }
}

#[test]
fn without_the_filter_the_terminal_is_still_safe() {
    let filter = Filter::terminal_only();
    assert!(call(&filter, "ioctl", &[0, 0x5412]).iter().all(|result| *result == EPERM));
    for name in ["mount", "bpf", "clone3", "read"] {
        assert!(call(&filter, name, &[]).iter().all(|result| *result == ALLOW), "{name}");
    }
}

#[test]
fn a_filter_of_a_few_calls_allows_no_other() {
    let calls = [libc::SYS_ppoll, libc::SYS_capset, libc::SYS_exit_group];
    let filter = Filter::only(&calls);
    for number in 0..600 {
        for arch in [0xc000_003e, 0x4000_0003, 0xc000_00b7, 1] {
            let data = Data { number, arch, args: [0; 6] };
            let passes = arch == ARCHITECTURES[0].audit && calls.contains(&i64::from(number));
            let wanted = if passes { ALLOW } else { ENOSYS };
            assert_eq!(run(&filter, &data), wanted, "{number} of {arch:x}");
        }
    }
}

#[test]
fn the_filter_stays_small_and_shallow() {
    for (machine, privilege) in MACHINES
        .into_iter()
        .flat_map(|machine| [(machine, Privilege::Machine), (machine, Privilege::UserNamespace)])
    {
        let filter = for_machine(machine, privilege, 0);
        // the kernel allows 4096, and each costs a part of the start
        assert!(filter.instructions().len() < 300, "{}", filter.instructions().len());
    }
}

#[test]
fn a_filter_whose_parts_are_longer_than_a_jump_decides_the_same() {
    // every second number has an action of its own, so no end is shared
    let ranges =
        || (0..2000).map(|number| (number, Leaf::Always(Action::errno((number % 2 * number) as i32))));
    let filter =
        Filter(program([(1, ranges().collect()), (2, vec![(0, Leaf::Always(Action::ALLOW))])].into_iter()));
    for number in (0..2000).chain([u32::MAX]) {
        let wanted = number.min(1999) % 2 * number.min(1999);
        let data = |arch| Data { number, arch, args: [0; 6] };
        assert_eq!(run(&filter, &data(1)), 0x0005_0000 | wanted, "{number}");
        assert_eq!((run(&filter, &data(2)), run(&filter, &data(3))), (ALLOW, ENOSYS), "{number}");
    }
}

#[test]
fn a_comparison_is_one_of_64_bits_without_a_sign() {
    let edges = [0, 1, 2, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, 0x8000_0000_0000_0000, u64::MAX];
    let kept = Action::errno(7);
    for value in edges {
        type Compared = (Test, fn(u64, u64) -> bool);
        let tests: [Compared; 7] = [
            (Test::Equal(value), |argument, value| argument == value),
            (Test::NotEqual(value), |argument, value| argument != value),
            (Test::Less(value), |argument, value| argument < value),
            (Test::LessOrEqual(value), |argument, value| argument <= value),
            (Test::Greater(value), |argument, value| argument > value),
            (Test::GreaterOrEqual(value), |argument, value| argument >= value),
            (Test::MaskedEqual(0xffff_0000_0000_00ff, value), |argument, value| {
                argument & 0xffff_0000_0000_00ff == value
            }),
        ];
        for (test, holds) in tests {
            let leaf = Leaf::ByArguments {
                rules: vec![(vec![Condition { argument: 5, test }], kept)],
                other: Action::ALLOW,
            };
            let filter = Filter(program([(1, vec![(0, leaf)])].into_iter()));
            for argument in edges {
                let data = Data { number: 0, arch: 1, args: [0, 0, 0, 0, 0, argument] };
                let wanted = if holds(argument, value) { kept.0 } else { ALLOW };
                assert_eq!(run(&filter, &data), wanted, "{argument:x} {test:x?}");
            }
        }
    }
}

#[test]
fn of_several_rules_the_first_that_holds_decides() {
    let condition = |argument, value| Condition { argument, test: Test::Equal(value) };
    let rules = vec![
        (vec![condition(0, 1), condition(1, 2)], Action::errno(1)),
        (vec![condition(0, 1)], Action::errno(2)),
    ];
    let leaf = Leaf::ByArguments { rules, other: Action::errno(3) };
    let filter = Filter(program([(1, vec![(0, leaf)])].into_iter()));
    for (first, second, wanted) in [(1, 2, 1), (1, 3, 2), (2, 2, 3)] {
        let data = Data { number: 0, arch: 1, args: [first, second, 0, 0, 0, 0] };
        assert_eq!(run(&filter, &data), 0x0005_0000 | wanted);
    }
}

fn profile(text: &str, capabilities: u64) -> Result<Filter, ValueError> {
    profile::read(text.as_bytes(), Path::new("profile.json"), profile::Facts { capabilities, kernel: (6, 1) })
}

#[test]
fn a_profile_of_dockers_is_read() {
    let text = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
        "syscalls": [
            {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone3", "bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["process_vm_readv"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "7.0"}},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
            {"names": ["personality"], "action": "SCMP_ACT_KILL_PROCESS", "args": [{"index": 0, "value": 9, "op": "SCMP_CMP_EQ"}]}
        ]}"#;
    let admin = 1 << CAP_SYS_ADMIN;
    for (name, argument, capabilities, wanted) in [
        ("read", 0, 0, ALLOW),
        ("write", 0, 0, EPERM),
        ("clone3", 0, 0, ENOSYS),
        ("clone3", 0, admin, ALLOW),
        ("bpf", 0, 0, EPERM),
        ("bpf", 0, admin, ALLOW),
        ("ptrace", 0, 0, ALLOW),
        ("process_vm_readv", 0, 0, EPERM),
        ("personality", 8, 0, ALLOW),
        ("personality", 9, 0, 0x8000_0000),
        ("personality", 0x1_0000_0008, 0, EPERM),
    ] {
        let results = call(&profile(text, capabilities).unwrap(), name, &[argument]);
        assert!(results.iter().all(|result| *result == wanted), "{name} {results:x?}");
    }
}

#[test]
fn what_is_wrong_with_a_profile_is_told() {
    let wrong = |text: &str| profile(text, 0).expect_err("an error").wrong;
    assert!(wrong("no").starts_with("it is not JSON: "));
    assert_eq!(wrong("{}"), "it has no \"defaultAction\"");
    assert_eq!(wrong(r#"{"defaultAction": "ALLOW"}"#), "it has an unknown action: \"ALLOW\"");
    let hint = |text: &str| profile(text, 0).expect_err("an error").hint;
    assert_eq!(hint("{"), "python3 -m json.tool profile.json");
    assert!(hint(r#"{"defaultAction": "ALLOW"}"#).starts_with("use one of SCMP_ACT_ALLOW, "));
    let entry =
        |entry: &str| wrong(&format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{entry}]}}"#));
    assert_eq!(entry(r#"{"action": "SCMP_ACT_ALLOW"}"#), "an entry of \"syscalls\" has no \"names\"");
    assert_eq!(
        entry(r#"{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}"#),
        "SCMP_ACT_NOTIFY needs an agent, which chroot-rs does not have"
    );
    let arg =
        |arg: &str| entry(&format!(r#"{{"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{arg}]}}"#));
    assert_eq!(arg(r#"{"index": 6}"#), "an entry of \"args\" has no \"index\" from 0 to 5");
    assert_eq!(arg(r#"{"index": 0, "op": "EQ"}"#), "it has an unknown \"op\": \"EQ\"");
}
