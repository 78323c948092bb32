//! Processor time: a quota of each period, and a weight among sibling groups.

use std::str::FromStr;

use super::size::{is_unlimited, thousandths};

/// The kernel's default period, in microseconds.
pub const PERIOD_USEC: u64 = 100_000;

/// `--cpus`: thousandths of a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus(pub u64);

/// `--cpu-quota`: microseconds in each period; None for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaUsec(pub Option<u64>);

/// `--cpu-period`: microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodUsec(pub u64);

/// What the kernel accepts: a number of microseconds in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// None for no limit.
    pub quota: Option<u64>,
    pub period: u64,
}

/// A weight of processor time, in the units of both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuWeight {
    /// cpu.weight of version 2: 1 to 10000, 100 by default.
    pub weight: u64,
    /// cpu.shares of version 1: 2 to 262144, 1024 by default.
    pub shares: u64,
}

impl Cpus {
    /// Converts to a quota of the default period.
    pub const fn bandwidth(self) -> Bandwidth {
        Bandwidth { quota: Some(self.0 * (PERIOD_USEC / 1000)), period: PERIOD_USEC }
    }
}

impl CpuWeight {
    /// `--cpu-weight`
    pub fn from_weight(text: &str) -> Result<Self, String> {
        number(text, 1, 10_000, "expected a weight from 1 to 10000; the default is 100")
            .map(|weight| Self { weight, shares: shares_of(weight) })
    }

    /// `--cpu-shares`
    pub fn from_shares(text: &str) -> Result<Self, String> {
        number(text, 2, 262_144, "expected 2 to 262144 shares; the default is 1024")
            .map(|shares| Self { weight: weight_of(shares), shares })
    }
}

/// The weight for these shares, with 100 for 1024; the minimum and the maximum are kept.
///
/// # Source
/// The conversion of runc 1.3.2 and crun 1.23; the older, linear one converted the default to 39.
fn weight_of(shares: u64) -> u64 {
    if shares <= 2 {
        return 1;
    }
    let log = (shares as f64).log2();
    let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
    (10f64.powf(exponent).ceil() as u64).clamp(1, 10_000)
}

/// The shares that [`weight_of`] converts to this weight.
fn shares_of(weight: u64) -> u64 {
    let exponent = (weight as f64).log10() + 7.0 / 34.0;
    let log = ((15_625.0 + 2448.0 * exponent).sqrt() - 125.0) / 2.0;
    (log.exp2().round() as u64).clamp(2, 262_144)
}

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let thousandths = thousandths(text).ok_or("expected a number of processors: 0.5, 2")?;
        match thousandths.checked_mul(PERIOD_USEC / 1000) {
            // the kernel refuses a quota below a millisecond
            Some(quota) if quota >= 1000 => Ok(Self(thousandths)),
            Some(_) => Err("the least is 0.01".to_string()),
            None => Err("too many processors".to_string()),
        }
    }
}

impl FromStr for QuotaUsec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if is_unlimited(text) {
            return Ok(Self(None));
        }
        number(text, 1000, u64::MAX >> 20, "expected at least 1000 microseconds, or max")
            .map(|quota| Self(Some(quota)))
    }
}

impl FromStr for PeriodUsec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        number(text, 1000, 1_000_000, "expected 1000 to 1000000 microseconds").map(Self)
    }
}

/// An integer in a range.
pub fn number(text: &str, least: u64, most: u64, otherwise: &str) -> Result<u64, String> {
    text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| otherwise.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_become_a_quota_of_each_period() {
        let half: Cpus = "0.5".parse().unwrap();
        assert_eq!(half.bandwidth(), Bandwidth { quota: Some(50_000), period: 100_000 });
        assert_eq!("2".parse::<Cpus>().unwrap().bandwidth().quota, Some(200_000));
        assert!("0.001".parse::<Cpus>().is_err());
        assert!("0".parse::<Cpus>().is_err());
    }

    #[test]
    fn shares_become_weights_as_runc_and_crun_have_it() {
        for (shares, weight) in [
            (2, 1),
            (102, 17),
            (512, 59),
            (1000, 99),
            (1024, 100),
            (2000, 170),
            (2048, 174),
            (10_240, 639),
            (262_144, 10_000),
        ] {
            assert_eq!(weight_of(shares), weight, "{shares}");
        }
    }

    #[test]
    fn weights_become_shares_and_keep_both_ends_and_the_default() {
        for (weight, shares) in
            [(1, 2), (50, 421), (100, 1024), (200, 2452), (1000, 17_615), (10_000, 262_144)]
        {
            assert_eq!(shares_of(weight), shares, "{weight}");
        }
    }

    #[test]
    fn every_weight_survives_the_way_to_shares_and_back() {
        for weight in 1..=10_000 {
            let back = weight_of(shares_of(weight));
            // near the ends, one share is a whole step of the weight
            assert!(back.abs_diff(weight) <= 1, "{weight} came back as {back}");
        }
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused_before() {
        for text in ["999", "0", "-2", "100%", ""] {
            assert!(text.parse::<QuotaUsec>().is_err(), "{text}");
        }
        assert_eq!("-1".parse(), Ok(QuotaUsec(None)));
        for text in ["999", "1000001"] {
            assert!(text.parse::<PeriodUsec>().is_err(), "{text}");
        }
        assert!(CpuWeight::from_weight("10001").is_err());
        assert!(CpuWeight::from_shares("1").is_err());
    }
}
