//! What each limit writes, in either version.

use super::*;
use crate::limits::io::{Count, Disk};

/// Every limit, what it writes in version 2 and in version 1; nothing where it has no counterpart.
fn table() -> Vec<(Limit, &'static str, Option<&'static str>)> {
    let mib = |count: u64| Memory(Some(count << 20));
    let list = |text: &str| text.parse().unwrap();
    let rate = |count, most| Rate { disk: Disk { major: 8, minor: 0 }, count, most };
    vec![
        (Limit::Memory(mib(1)), "memory.max=1048576", Some("memory.limit_in_bytes=1048576")),
        (Limit::Memory(Memory(None)), "memory.max=max", Some("memory.limit_in_bytes=-1")),
        (Limit::High(mib(1)), "memory.high=1048576", None),
        (Limit::Low(mib(1)), "memory.low=1048576", Some("memory.soft_limit_in_bytes=1048576")),
        (Limit::Min(mib(1)), "memory.min=1048576", None),
        (
            Limit::Swap { memory: Some(mib(1)), swap: mib(2) },
            "memory.swap.max=2097152",
            Some("memory.memsw.limit_in_bytes=3145728"),
        ),
        (
            Limit::Swap { memory: Some(mib(1)), swap: Memory(None) },
            "memory.swap.max=max",
            Some("memory.memsw.limit_in_bytes=-1"),
        ),
        (Limit::Swap { memory: None, swap: mib(2) }, "memory.swap.max=2097152", None),
        (Limit::OomGroup, "memory.oom.group=1", None),
        (Limit::Pids(Pids(Some(20))), "pids.max=20", Some("pids.max=20")),
        (Limit::Pids(Pids(None)), "pids.max=max", Some("pids.max=max")),
        (
            Limit::Cpu(Bandwidth { quota: Some(50_000), period: 100_000 }),
            "cpu.max=50000 100000",
            Some("cpu.cfs_period_us=100000 cpu.cfs_quota_us=50000"),
        ),
        (
            Limit::Cpu(Bandwidth { quota: None, period: 1000 }),
            "cpu.max=max 1000",
            Some("cpu.cfs_period_us=1000 cpu.cfs_quota_us=-1"),
        ),
        (Limit::CpuWeight(CpuWeight::from_weight("200").unwrap()), "cpu.weight=200", Some("cpu.shares=2452")),
        (Limit::CpuWeight(CpuWeight::from_shares("512").unwrap()), "cpu.weight=59", Some("cpu.shares=512")),
        (Limit::CpuIdle, "cpu.idle=1", Some("cpu.idle=1")),
        (Limit::Cpus(list("0,1")), "cpuset.cpus=0-1", Some("cpuset.cpus=0-1")),
        (Limit::Mems(list("0")), "cpuset.mems=0", Some("cpuset.mems=0")),
        (
            Limit::Io(rate(Count::ReadBytes, Some(5))),
            "io.max=8:0 rbps=5",
            Some("blkio.throttle.read_bps_device=8:0 5"),
        ),
        (
            Limit::Io(rate(Count::Writes, None)),
            "io.max=8:0 wiops=max",
            Some("blkio.throttle.write_iops_device=8:0 0"),
        ),
        (
            Limit::IoWeight(IoWeight::from_weight("200").unwrap()),
            "io.weight=200",
            Some("blkio.bfq.weight=109"),
        ),
        (
            Limit::IoWeight(IoWeight::from_blkio("500").unwrap()),
            "io.weight=4950",
            Some("blkio.bfq.weight=500"),
        ),
        (
            Limit::HugeTlb("2M=4M".parse().unwrap()),
            "hugetlb.2MB.max=4194304 hugetlb.2MB.rsvd.max=4194304",
            Some("hugetlb.2MB.limit_in_bytes=4194304 hugetlb.2MB.rsvd.limit_in_bytes=4194304"),
        ),
        (Limit::Raw("misc.max=x 1".parse().unwrap()), "misc.max=x 1", Some("misc.max=x 1")),
    ]
}

fn written(settings: Result<Vec<ControlFile>, String>) -> Option<String> {
    let lines = settings.ok()?.into_iter().map(|setting| format!("{}={}", setting.file, setting.value));
    Some(lines.collect::<Vec<_>>().join(" "))
}

#[test]
fn each_limit_is_written_in_the_words_of_its_version() {
    for (limit, v2, v1) in table() {
        let parent = Path::new("/nowhere");
        assert_eq!(written(limit.settings(Version::V2, parent)).as_deref(), Some(v2), "{limit}");
        assert_eq!(written(limit.settings(Version::V1, parent)).as_deref(), v1, "{limit}");
    }
}

#[test]
fn devices_are_denied_before_some_are_allowed() {
    let limit = Limit::Devices(vec!["c 10:229 rw".parse().unwrap()]);
    let v1 = written(limit.settings(Version::V1, Path::new("/nowhere"))).unwrap();
    assert!(v1.starts_with("devices.deny=a devices.allow=c *:* m devices.allow=b *:* m "), "{v1}");
    assert!(v1.ends_with(" devices.allow=c 136:* rwm devices.allow=c 10:229 rw"), "{v1}");
    assert_eq!(written(limit.settings(Version::V2, Path::new("/nowhere"))).unwrap(), "");
    assert_eq!(limit.to_string(), "devices to those of a container, c 10:229 rw");
}

#[test]
fn what_version_1_does_not_have_is_said() {
    assert_eq!(
        Limit::OomGroup.settings(Version::V1, Path::new("/")).unwrap_err(),
        "--oom-group needs version 2, and the controller memory is in version 1 here"
    );
}

#[test]
fn limits_are_said_as_people_say_them() {
    assert_eq!(Limit::Memory(Memory(Some(50 << 20))).to_string(), "memory to 50 MiB");
    let cpu = |quota, period| Limit::Cpu(Bandwidth { quota: Some(quota), period }).to_string();
    assert_eq!(cpu(150_000, 100_000), "processors to 1.5");
    assert_eq!(cpu(2000, 10_000), "processor time to 2000 of each 10000 microseconds");
}

#[test]
fn a_command_needs_at_least_one_process() {
    assert_eq!("20".parse(), Ok(Pids(Some(20))));
    assert!("0".parse::<Pids>().is_err());
    assert!("4194305".parse::<Pids>().is_err());
}
