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

/// The wanted platform of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WantedPlatform {
    /// Named by the user: the image must have it.
    Named(Platform),
    /// This machine's. An image for only another platform is used, with a message.
    Host(Platform),
}

impl WantedPlatform {
    /// This machine's.
    pub fn host() -> Self {
        Self::Host(Platform::host())
    }

    /// Which it is.
    pub fn platform(&self) -> &Platform {
        match self {
            Self::Named(platform) | Self::Host(platform) => platform,
        }
    }
}

/// Names from `uname -m`, Debian and others that differ from Go's, and the variant that they mean.
const SPELLINGS: [(&str, &str, Option<&str>); 12] = [
    ("x86_64", "amd64", None),
    ("x86-64", "amd64", None),
    ("aarch64", "arm64", None),
    ("i386", "386", None),
    ("i686", "386", None),
    ("x86", "386", None),
    ("armhf", "arm", Some("v7")),
    ("armv7l", "arm", Some("v7")),
    ("armel", "arm", Some("v6")),
    ("armv6l", "arm", Some("v6")),
    ("loongarch64", "loong64", None),
    ("ppc64el", "ppc64le", None),
];
/// Go's names of the architectures that Linux runs on.
const ARCHITECTURES: [&str; 13] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x",
];

/// The architecture in Go's spelling, and the variant that another spelling means.
fn normalized(architecture: &str) -> (String, Option<&'static str>) {
    let lower = architecture.to_ascii_lowercase();
    match SPELLINGS.iter().find(|(other, ..)| *other == lower) {
        Some(&(_, known, variant)) => (known.to_owned(), variant),
        None => (lower, None),
    }
}

impl Platform {
    /// A platform, as an index, a configuration or a user writes it.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let (architecture, meant) = normalized(architecture);
        let variant = variant.filter(|variant| !variant.is_empty()).or(meant).map(str::to_ascii_lowercase);
        Self { os: os.to_ascii_lowercase(), architecture, variant }
    }

    /// The platform in an object of an index or a configuration; None if there is none.
    pub fn of_json(value: &serde_json::Value) -> Option<Self> {
        let text = |name| value.get(name).and_then(serde_json::Value::as_str).filter(|text| !text.is_empty());
        Some(Self::new(text("os")?, text("architecture")?, text("variant")))
    }

    /// This machine's.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "aarch64" => ("arm64", Some("v8")),
            "arm" => ("arm", Some("v7")),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", None),
            other => (other, None),
        };
        Self::new("linux", architecture, variant)
    }

    /// How far an offered platform is from this one; None if it cannot run.
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
        let parts: Vec<&str> = text.split('/').collect();
        let is_architecture = |part: &str| ARCHITECTURES.contains(&normalized(part).0.as_str());
        match parts.as_slice() {
            _ if parts.iter().any(|part| part.is_empty()) => Err(wrong()),
            // as in docker and containerd, the name of a Linux architecture means linux/ARCH
            [architecture] if is_architecture(architecture) => Ok(Self::new("linux", architecture, None)),
            [architecture, variant] if is_architecture(architecture) => {
                Ok(Self::new("linux", architecture, Some(variant)))
            }
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(wrong()),
        }
    }
}

fn wrong() -> String {
    "expected OS/ARCHITECTURE[/VARIANT], such as linux/arm64".into()
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
    fn an_architecture_has_the_names_that_people_and_uname_give_it() {
        for (written, meant) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("arm64", "linux/arm64"),
            ("x86_64", "linux/amd64"),
            ("amd64/v2", "linux/amd64/v2"),
            ("armhf", "linux/arm/v7"),
            ("arm/v6", "linux/arm/v6"),
            ("linux/armhf/v6", "linux/arm/v6"),
            ("Linux/ARM64", "linux/arm64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(platform(written).to_string(), meant, "{written}");
        }
        assert_eq!(platform("amd64/v2").distance(&platform("linux/amd64")), Some(1));
        let json = serde_json::json!({"os": "linux", "architecture": "x86_64", "variant": ""});
        assert_eq!(Platform::of_json(&json), Some(platform("linux/amd64")));
        assert_eq!(Platform::of_json(&serde_json::json!({"os": "linux", "architecture": ""})), None);
    }

    #[test]
    fn a_platform_has_two_or_three_parts() {
        assert_eq!(platform("linux/arm/v7").to_string(), "linux/arm/v7");
        for wrong in ["linux", "a/b/c/d", "/amd64", "", "linux/", "linux/arm/", "amd64/"] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }
}
