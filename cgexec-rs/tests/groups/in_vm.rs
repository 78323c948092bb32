//! Tests that need a kernel with only version 2.

use super::*;

#[test]
#[ignore = "needs the VM"]
fn groups_that_the_command_made_and_froze_go_too() {
    tests::vm::only_here();
    let script = "g=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup); setsid sleep 1000 & mkdir -p $g/a/b; \
        echo $! >$g/a/b/cgroup.procs; echo 1 >$g/a/cgroup.freeze";
    let ended = shell(&["--no-cgroupns", "--report=json"], script).ended(End::Exit(0));
    is_gone(&reported(&ended));
}

#[test]
#[ignore = "needs the VM"]
fn the_limit_of_a_group_above_is_named() {
    tests::vm::only_here();
    let inner = "\"$0\" --report=json -m 80M --memory-swap-max 0 -- sh -c \"$1\"";
    let program = tools().cgexec().display().to_string();
    // a group without processes, with its own limit, that delegates memory
    let script = format!(
        "g=/sys/fs/cgroup/outer; mkdir $g; echo +memory >$g/../cgroup.subtree_control; \
         echo +memory >$g/cgroup.subtree_control; echo 20M >$g/memory.max; echo 0 >$g/memory.swap.max 2>/dev/null; \
         mkdir $g/own; echo 0 >$g/own/cgroup.procs; {inner}; s=$?; \
         echo 0 >/sys/fs/cgroup/cgroup.procs; rmdir $g/own $g; exit $s"
    );
    let ended =
        Run::new("sh").args(["-c", &script, &program, "exec tail /dev/zero"]).end().ended(End::Exit(137));
    let line = "cgexec-rs: memory ran out above this group, at the limit of /sys/fs/cgroup/outer: 1 process killed\n";
    assert!(ended.err().contains(line), "{}", ended.err());
    assert_eq!(reported(&ended).text("reason"), "oom-above");
}

#[test]
#[ignore = "needs the VM"]
fn memory_high_slows_down_and_says_so() {
    tests::vm::only_here();
    let script = "timeout 3 sh -c 'exec tail /dev/zero' >/dev/null; true";
    let ended = shell(&["--memory-high", "10M", "-m", "200M"], script).ended(End::Exit(0));
    assert!(ended.err().contains("cgexec-rs: --memory-high slowed the command down: "), "{}", ended.err());
}

#[test]
#[ignore = "needs the VM"]
fn all_of_a_group_ends_where_that_was_asked_for() {
    tests::vm::only_here();
    let script = format!("sh -c '{}'; echo survived", eats(60).replace('\'', "'\\''"));
    let with = shell(&["-m", "20M", "--oom-group"], &script);
    assert_eq!(with.out(), "");
    assert_eq!(shell(&["-m", "20M"], &script).out(), "survived\n");
}

#[test]
#[ignore = "needs the VM"]
fn a_hierarchy_that_is_mounted_read_only_is_called_that() {
    tests::vm::only_here();
    let script = "mount --bind /sys/fs/cgroup /sys/fs/cgroup && mount -o remount,bind,ro /sys/fs/cgroup && exec \"$0\" -m 5M true";
    let program = tools().cgexec().display().to_string();
    let unshare = tools().unshare().display().to_string();
    let ended =
        Run::new(unshare).args(["--mount", "--", "sh", "-c", script, &program]).end().ended(End::Exit(125));
    assert!(
        ended
            .err()
            .starts_with("cgexec-rs: cannot limit: /sys/fs/cgroup is mounted read-only, as in a container\n"),
        "{}",
        ended.err()
    );
}

#[test]
#[ignore = "needs the VM"]
fn from_inside_a_cgroup_namespace_the_reason_is_said() {
    tests::vm::only_here();
    let program = tools().cgexec().display().to_string();
    // root of only a user namespace: the mount namespace belongs to another one
    let unshare = tools().unshare().display().to_string();
    let script = format!("exec {unshare} --user --map-root-user --cgroup -- {program} -m 5M true");
    let ended = shell(&[], &script).ended(End::Exit(125));
    assert!(ended.err().contains("the mounted hierarchies do not show the current group"), "{}", ended.err());
    // which no other test enables
    let ended = shell(&[], &format!("exec {program} --set misc.max=max true")).ended(End::Exit(125));
    assert!(
        ended.err().contains("misc is not available in the mounted hierarchy (available: "),
        "{}",
        ended.err()
    );
}

/// A disk in a file.
fn disk_of_16_mib(disk: &str) -> Scratch {
    let scratch = Scratch::new();
    let file = scratch.path("disk");
    fs::File::create(&file).unwrap().set_len(16 << 20).unwrap();
    Run::new("losetup").arg(disk).arg(&file).end().ok();
    scratch
}

#[test]
#[ignore = "needs the VM"]
fn rates_of_a_disk_hold_by_the_groups_own_count() {
    tests::vm::only_here();
    let disk = "/dev/loop3";
    let _file = disk_of_16_mib(disk);
    let read = ["dd", "if=/dev/loop3", "of=/dev/null", "bs=64k", "count=64", "iflag=direct"];
    let write = ["dd", "if=/dev/zero", "of=/dev/loop3", "bs=64k", "count=64", "oflag=direct"];
    let small = ["dd", "if=/dev/loop3", "of=/dev/null", "bs=4k", "count=40", "iflag=direct"];
    for (limit, command, count, sum) in [
        (["--device-read-bps", "/dev/loop3:2M"], read, "rbytes", 4 << 20),
        (["--io-max", "/dev/loop3:wbps=2M"], write, "wbytes", 4 << 20),
        (["--device-read-iops", "/dev/loop3:20"], small, "rios", 40),
    ] {
        let args: Vec<&str> = limit.into_iter().chain(["--report=json", "--"]).chain(command).collect();
        once_of_five(|| {
            let report = reported(&cgexec(&args).end().ended(End::Exit(0)));
            let Value::Array(disks) = report.at("io") else { panic!("{limit:?}: no disk") };
            let counted: f64 = disks.iter().map(|disk| disk.number(count)).sum();
            assert_eq!(counted, f64::from(sum), "{limit:?}");
            // each amount takes two seconds
            let seconds = report.number("wall_usec") / 1e6;
            assert!(seconds >= 1.7, "{limit:?}: {seconds} s");
            if seconds < 4.0 { Ok(()) } else { Err(format!("{limit:?}: {seconds} s")) }
        });
    }
    Run::new("losetup").args(["-d", disk]).end().ok();
}
