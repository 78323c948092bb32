//! Input and output: rates of a disk, and a weight among sibling groups.

use std::fmt::{self, Display};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::str::FromStr;

use super::cpu::number;
use super::size::{bytes, is_unlimited};

/// A whole disk, by its numbers: the kernel counts per disk, not per partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    pub major: u64,
    pub minor: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    ReadBytes,
    WriteBytes,
    Reads,
    Writes,
}

/// A limit for one disk: docker's `DISK:RATE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub disk: Disk,
    pub count: Count,
    /// The rate per second; None for no limit.
    pub most: Option<u64>,
}

/// `--io-max DISK:rbps=…,wiops=…`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates(pub Vec<Rate>);

/// A weight among sibling groups, in the units of both schedulers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoWeight {
    /// io.weight: 1 to 10000, 100 by default.
    pub iocost: u64,
    /// For the bfq scheduler: 1 to 1000, 100 by default, as in systemd.
    pub bfq: u64,
}

impl IoWeight {
    /// `--io-weight`
    pub fn from_weight(text: &str) -> Result<Self, String> {
        let weight = number(text, 1, 10_000, "expected a weight from 1 to 10000; the default is 100")?;
        let bfq = if weight <= 100 { weight } else { 100 + (weight - 100) * 900 / 9900 };
        Ok(Self { iocost: weight, bfq })
    }

    /// `--blkio-weight`: linear from 10 -> 1 to 1000 -> 10000, as in runc and crun.
    pub fn from_blkio(text: &str) -> Result<Self, String> {
        let weight = number(text, 10, 1000, "expected a weight from 10 to 1000")?;
        Ok(Self { iocost: 1 + (weight - 10) * 9999 / 990, bfq: weight })
    }
}

impl Count {
    pub const fn key(self) -> &'static str {
        match self {
            Self::ReadBytes => "rbps",
            Self::WriteBytes => "wbps",
            Self::Reads => "riops",
            Self::Writes => "wiops",
        }
    }

    pub const fn v1_file(self) -> &'static str {
        match self {
            Self::ReadBytes => "blkio.throttle.read_bps_device",
            Self::WriteBytes => "blkio.throttle.write_bps_device",
            Self::Reads => "blkio.throttle.read_iops_device",
            Self::Writes => "blkio.throttle.write_iops_device",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::ReadBytes => "bytes read",
            Self::WriteBytes => "bytes written",
            Self::Reads => "reads",
            Self::Writes => "writes",
        }
    }
}

impl Rate {
    /// A parser for docker's `DISK:RATE` with one kind of count.
    pub fn reader(count: Count) -> impl Fn(&str) -> Result<Self, String> + Clone {
        move |text| {
            let (disk, most) = text.rsplit_once(':').ok_or("expected DISK:RATE: /dev/sda:1M")?;
            Ok(Self { disk: disk.parse()?, count, most: rate(most)? })
        }
    }
}

impl FromStr for Rates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = "expected DISK:KEY=RATE[,KEY=RATE]...: /dev/sda:rbps=1M,wiops=100";
        let (disk, rates) = text.rsplit_once(':').ok_or(form)?;
        let disk = disk.parse()?;
        let one = |part: &str| {
            let (key, most) = part.split_once('=').ok_or(form)?;
            let count = [Count::ReadBytes, Count::WriteBytes, Count::Reads, Count::Writes]
                .into_iter()
                .find(|count| count.key() == key)
                .ok_or("expected one of the keys rbps, wbps, riops and wiops")?;
            Ok(Rate { disk, count, most: rate(most)? })
        };
        rates.split(',').map(one).collect::<Result<_, String>>().map(Self)
    }
}

/// A rate per second; operations accept the same units as bytes.
fn rate(text: &str) -> Result<Option<u64>, String> {
    match text {
        text if is_unlimited(text) => Ok(None),
        text => match bytes(text)? {
            0 => Err("the rate must be more than 0".to_string()),
            rate => Ok(Some(rate)),
        },
    }
}

impl FromStr for Disk {
    type Err = String;

    /// Parses a device file, or MAJOR:MINOR.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once(':')
            .and_then(|(major, minor)| Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? }));
        let disk = match numbers {
            Some(disk) => disk,
            None => {
                let meta = fs::metadata(text).map_err(|why| match why.kind() {
                    std::io::ErrorKind::NotFound => format!("there is no {text}"),
                    kind => format!("{text}: {kind}"),
                })?;
                if !meta.file_type().is_block_device() {
                    return Err(format!("{text} is not a block device"));
                }
                let device = meta.rdev();
                Self { major: nix::sys::stat::major(device), minor: nix::sys::stat::minor(device) }
            }
        };
        disk.whole()
    }
}

impl Disk {
    /// # Source
    /// Documentation/ABI/stable/sysfs-block: a partition has a file `partition`.
    fn whole(self) -> Result<Self, String> {
        let device = format!("/sys/dev/block/{self}");
        if !Path::new(&device).join("partition").exists() {
            return Ok(self);
        }
        let disk = fs::canonicalize(&device).ok().and_then(|path| Some(path.parent()?.to_path_buf()));
        let disk = disk.and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
        let name = disk.unwrap_or_else(|| "the disk".to_string());
        Err(format!("{self} is a partition: limit the whole disk, /dev/{name}"))
    }
}

impl Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// As part of a sentence: "disk 8:0 to 1048576 bytes read a second".
impl Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            Some(most) => write!(f, "disk {} to {most} {} a second", self.disk, self.count.unit()),
            None => write!(f, "disk {} to no limit of {}", self.disk, self.count.unit()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: Disk = Disk { major: 9999, minor: 7 };

    #[test]
    fn rates_are_read_with_units_and_by_key() {
        let read: Rates = "9999:7:rbps=1M,wiops=100".parse().unwrap();
        assert_eq!(
            read.0,
            [
                Rate { disk: DISK, count: Count::ReadBytes, most: Some(1 << 20) },
                Rate { disk: DISK, count: Count::Writes, most: Some(100) },
            ]
        );
        let rate = Rate::reader(Count::WriteBytes)("9999:7:max").unwrap();
        assert_eq!(rate, Rate { disk: DISK, count: Count::WriteBytes, most: None });
    }

    #[test]
    fn what_is_no_disk_is_refused_with_the_reason() {
        assert_eq!("/dev/null".parse::<Disk>().unwrap_err(), "/dev/null is not a block device");
        assert_eq!("/nowhere".parse::<Disk>().unwrap_err(), "there is no /nowhere");
    }

    #[test]
    fn nonsense_is_no_rate() {
        for text in ["", "9999:7", "9999:7:", "9999:7:rbps", "9999:7:x=1", "9999:7:rbps=0", "9999:7:rbps=1,"]
        {
            assert!(text.parse::<Rates>().is_err(), "{text}");
        }
    }

    #[test]
    fn dockers_weights_lie_on_a_line() {
        for (bfq, iocost) in [(10, 1), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(IoWeight::from_blkio(&bfq.to_string()), Ok(IoWeight { iocost, bfq }));
        }
    }

    #[test]
    fn the_default_weight_is_that_of_bfq_too() {
        for (iocost, bfq) in [(1, 1), (100, 100), (10_000, 1000)] {
            assert_eq!(IoWeight::from_weight(&iocost.to_string()), Ok(IoWeight { iocost, bfq }));
        }
    }
}
