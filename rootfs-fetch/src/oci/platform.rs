// SPDX-License-Identifier: MIT OR Apache-2.0
//! The platform of an image: operating system, architecture, variant.

use std::fmt;
use std::str::FromStr;

/// `linux/arm64`, `linux/arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The operating system, `linux`.
    pub os: String,
    /// The architecture as Go names it.
    pub architecture: String,
    /// `v7`, where an architecture has several.
    pub variant: Option<String>,
}

impl Platform {
    /// This machine's.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self { os: "linux".into(), architecture: architecture.into(), variant: variant.map(str::to_owned) }
    }

    /// How far an offered platform is from this one; nothing if it cannot run.
    pub fn distance(&self, offer: &Self) -> Option<u32> {
        if (&self.os, &self.architecture) != (&offer.os, &offer.architecture) {
            return None;
        }
        // arm64 without a variant is v8
        let level = |variant: &Option<String>| {
            let digits = variant.as_deref().unwrap_or(if self.architecture == "arm64" { "v8" } else { "v1" });
            digits.trim_start_matches('v').parse::<u32>().unwrap_or(0)
        };
        let wanted =
            if self.variant.is_none() && self.architecture == "arm" { 7 } else { level(&self.variant) };
        wanted.checked_sub(level(&offer.variant))
    }
}

impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split('/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(os), Some(architecture), variant, None) if !os.is_empty() && !architecture.is_empty() => {
                Ok(Self { os, architecture, variant })
            }
            _ => Err("a platform is OS/ARCHITECTURE[/VARIANT], as linux/arm64".into()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().expect("a platform")
    }

    #[test]
    fn an_older_variant_serves_and_a_newer_one_does_not() {
        let wanted = platform("linux/arm/v7");
        assert_eq!(wanted.distance(&platform("linux/arm/v7")), Some(0));
        assert_eq!(wanted.distance(&platform("linux/arm/v5")), Some(2));
        assert_eq!(platform("linux/arm/v6").distance(&platform("linux/arm/v7")), None);
        assert_eq!(platform("linux/arm64").distance(&platform("linux/arm64/v8")), Some(0));
        assert_eq!(platform("linux/amd64").distance(&platform("linux/amd64/v3")), None);
        assert_eq!(platform("linux/amd64").distance(&platform("linux/amd64")), Some(0));
        assert_eq!(platform("linux/amd64").distance(&platform("windows/amd64")), None);
    }

    #[test]
    fn a_platform_has_two_or_three_parts() {
        assert_eq!(platform("linux/arm/v7").to_string(), "linux/arm/v7");
        for wrong in ["linux", "a/b/c/d", "/amd64", ""] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }
}
