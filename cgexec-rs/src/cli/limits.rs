//! The options for limits: with docker's names, and otherwise systemd's meaning.

use crate::limits::cpu::{Bandwidth, CpuWeight, Cpus, PERIOD_USEC, PeriodUsec, QuotaUsec};
use crate::limits::device::DeviceRule;
use crate::limits::hugetlb::HugeTlb;
use crate::limits::io::{Count, IoWeight, Rate, Rates};
use crate::limits::list::List;
use crate::limits::raw::Raw;
use crate::limits::size::Memory;
use crate::limits::{Limit, Pids};

/// The limits that the options set.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// Limit memory to BYTES: 50M, 1.5G, max (k, m, g, t are powers of 1024)
    #[arg(short, long, value_name = "BYTES", value_parser = runnable_memory)]
    pub memory: Option<Memory>,
    /// Slow COMMAND down, instead of killing it, above BYTES of memory
    #[arg(long, value_name = "BYTES")]
    pub memory_high: Option<Memory>,
    /// Reclaim the first BYTES of memory only as a last resort
    #[arg(long, value_name = "BYTES", visible_alias = "memory-reservation")]
    pub memory_low: Option<Memory>,
    /// Never reclaim the first BYTES of memory
    #[arg(long, value_name = "BYTES")]
    pub memory_min: Option<Memory>,
    /// Limit memory and swap together to BYTES, as docker does; needs --memory
    #[arg(
        long,
        value_name = "BYTES",
        requires = "memory",
        conflicts_with = "memory_swap_max",
        allow_hyphen_values = true
    )]
    pub memory_swap: Option<Memory>,
    /// Limit swap to BYTES; 0 for none
    #[arg(long, value_name = "BYTES")]
    pub memory_swap_max: Option<Memory>,
    /// Kill the whole group, not one process, when memory runs out
    #[arg(long)]
    pub oom_group: bool,
    /// Limit the number of processes and threads at one time to N; max for no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<Pids>,
    /// Limit processor time to that of N processors: 0.5, 2
    #[arg(long, value_name = "N", conflicts_with_all = ["cpu_quota", "cpu_period"])]
    pub cpus: Option<Cpus>,
    /// Limit processor time to USEC microseconds in each period; max for no limit
    #[arg(long, value_name = "USEC", allow_hyphen_values = true)]
    pub cpu_quota: Option<QuotaUsec>,
    /// The period of --cpu-quota [default: 100000]
    #[arg(long, value_name = "USEC")]
    pub cpu_period: Option<PeriodUsec>,
    /// Set the CPU weight, for when processors are busy: 1 to 10000, 100 is the default
    #[arg(long, value_name = "N", value_parser = CpuWeight::from_weight, conflicts_with_all = ["cpu_shares", "cpu_idle"])]
    pub cpu_weight: Option<CpuWeight>,
    /// The same in docker's unit: 2 to 262144, 1024 is the default
    #[arg(long, value_name = "N", value_parser = CpuWeight::from_shares, conflicts_with = "cpu_idle")]
    pub cpu_shares: Option<CpuWeight>,
    /// Use only processor time that no other process needs
    #[arg(long)]
    pub cpu_idle: bool,
    /// Run COMMAND only on these processors: 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<List>,
    /// Allocate memory only on these nodes
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<List>,
    /// Limit a disk's rates per second: /dev/sda:rbps=1M,wbps=1M,riops=100,wiops=max
    #[arg(long, value_name = "DISK:KEY=RATE,...")]
    pub io_max: Vec<Rates>,
    /// Limit reads from a disk to RATE bytes per second: /dev/sda:1M
    #[arg(long, value_name = "DISK:RATE", value_parser = Rate::reader(Count::ReadBytes))]
    pub device_read_bps: Vec<Rate>,
    /// Limit writes to a disk to RATE bytes per second
    #[arg(long, value_name = "DISK:RATE", value_parser = Rate::reader(Count::WriteBytes))]
    pub device_write_bps: Vec<Rate>,
    /// Limit reads from a disk to RATE operations per second
    #[arg(long, value_name = "DISK:RATE", value_parser = Rate::reader(Count::Reads))]
    pub device_read_iops: Vec<Rate>,
    /// Limit writes to a disk to RATE operations per second
    #[arg(long, value_name = "DISK:RATE", value_parser = Rate::reader(Count::Writes))]
    pub device_write_iops: Vec<Rate>,
    /// Set the I/O weight, for when disks are busy: 1 to 10000, 100 is the default
    #[arg(long, value_name = "N", value_parser = IoWeight::from_weight, conflicts_with = "blkio_weight")]
    pub io_weight: Option<IoWeight>,
    /// The same in docker's unit: 10 to 1000
    #[arg(long, value_name = "N", value_parser = IoWeight::from_blkio)]
    pub blkio_weight: Option<IoWeight>,
    /// Limit huge pages of one size to LIMIT bytes: 2M=64M
    #[arg(long, value_name = "SIZE=LIMIT")]
    pub hugetlb: Vec<HugeTlb>,
    /// Allow only the devices of a container's /dev and this one: 'c 10:229 rwm', as docker's
    /// --device-cgroup-rule, or /dev/fuse:rwm; root only
    #[arg(long, value_name = "RULE")]
    pub device: Vec<DeviceRule>,
    /// Write VALUE to a FILE of the group: memory.oom.group=1
    #[arg(long, value_name = "FILE=VALUE")]
    pub set: Vec<Raw>,
}

/// A limit with which a command can run. With less than a page, the unit is probably missing.
fn runnable_memory(text: &str) -> Result<Memory, String> {
    match text.parse()? {
        Memory(Some(bytes @ ..4096)) => {
            Err(format!("no command can run in {bytes} bytes; 50M is 50 MiB, max means no limit"))
        }
        memory => Ok(memory),
    }
}

impl LimitOptions {
    /// The limits of the options, in the order in which they are written.
    ///
    /// # Errors
    /// Options that contradict each other.
    pub fn limits(&self) -> Result<Vec<Limit>, String> {
        let swap = self.swap()?;
        let bandwidth = self.bandwidth();
        // version 1 needs memory before memory and swap
        let mut limits: Vec<Limit> = [
            self.memory.map(Limit::Memory),
            self.memory_high.map(Limit::High),
            self.memory_low.map(Limit::Low),
            self.memory_min.map(Limit::Min),
            swap.map(|swap| Limit::Swap { memory: self.memory, swap }),
            self.oom_group.then_some(Limit::OomGroup),
            self.pids_limit.map(Limit::Pids),
            bandwidth.map(Limit::Cpu),
            self.cpu_weight.or(self.cpu_shares).map(Limit::CpuWeight),
            self.cpu_idle.then_some(Limit::CpuIdle),
            self.cpuset_cpus.clone().map(Limit::Cpus),
            self.cpuset_mems.clone().map(Limit::Mems),
            self.io_weight.or(self.blkio_weight).map(Limit::IoWeight),
        ]
        .into_iter()
        .flatten()
        .collect();
        let rates = self.io_max.iter().flat_map(|rates| &rates.0);
        let rates = rates.chain(&self.device_read_bps).chain(&self.device_write_bps);
        let rates = rates.chain(&self.device_read_iops).chain(&self.device_write_iops);
        limits.extend(rates.map(|rate| Limit::Io(*rate)));
        limits.extend(self.hugetlb.iter().map(|huge| Limit::HugeTlb(*huge)));
        if !self.device.is_empty() {
            limits.push(Limit::Devices(self.device.clone()));
        }
        limits.extend(self.set.iter().cloned().map(Limit::Raw));
        Ok(limits)
    }

    /// The swap that docker's total leaves, or the value of `--memory-swap-max`.
    fn swap(&self) -> Result<Option<Memory>, String> {
        let (Some(Memory(total)), Some(Memory(memory))) = (self.memory_swap, self.memory) else {
            return Ok(self.memory_swap_max);
        };
        match (total, memory) {
            (None, _) => Ok(Some(Memory(None))),
            (Some(_), None) => Err("--memory-swap includes memory, and --memory has no limit".to_string()),
            (Some(total), Some(memory)) => match total.checked_sub(memory) {
                Some(swap) => Ok(Some(Memory(Some(swap)))),
                None => Err("--memory-swap is memory and swap together, so it cannot be less than --memory"
                    .to_string()),
            },
        }
    }

    fn bandwidth(&self) -> Option<Bandwidth> {
        if let Some(cpus) = self.cpus {
            return Some(cpus.bandwidth());
        }
        (self.cpu_quota.is_some() || self.cpu_period.is_some()).then(|| Bandwidth {
            quota: self.cpu_quota.and_then(|QuotaUsec(quota)| quota),
            period: self.cpu_period.map_or(PERIOD_USEC, |PeriodUsec(period)| period),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_swap(memory: &str, total: &str) -> Result<Vec<Limit>, String> {
        let asked = LimitOptions {
            memory: Some(memory.parse().unwrap()),
            memory_swap: Some(total.parse().unwrap()),
            ..LimitOptions::default()
        };
        asked.limits()
    }

    #[test]
    fn dockers_total_is_memory_and_swap() {
        let swap = |memory, total| match with_swap(memory, total).as_deref() {
            Ok([_, Limit::Swap { swap, .. }]) => swap.0,
            other => panic!("{other:?}"),
        };
        assert_eq!(swap("1M", "3M"), Some(2 << 20));
        assert_eq!(swap("1M", "1M"), Some(0));
        assert_eq!(swap("1M", "-1"), None);
        assert!(with_swap("2M", "1M").is_err());
        assert!(with_swap("max", "1M").is_err());
    }

    #[test]
    fn a_memory_without_its_unit_is_refused() {
        for (memory, is_enough) in
            [("0", false), ("50", false), ("4095", false), ("4096", true), ("max", true)]
        {
            assert_eq!(runnable_memory(memory).is_ok(), is_enough, "{memory}");
        }
    }

    #[test]
    fn a_period_alone_is_a_period_without_limit() {
        let asked = LimitOptions { cpu_period: Some(PeriodUsec(5000)), ..LimitOptions::default() };
        assert_eq!(asked.limits(), Ok(vec![Limit::Cpu(Bandwidth { quota: None, period: 5000 })]));
    }
}
