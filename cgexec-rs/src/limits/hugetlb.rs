//! Huge pages: `SIZE=LIMIT`.

use std::str::FromStr;

use super::size::{self, Memory};

/// A limit for the huge pages of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HugeTlb {
    /// The size of the pages, in bytes.
    pub page: u64,
    /// The limit in bytes.
    pub most: Memory,
}

impl HugeTlb {
    /// The size in the names of the kernel's files: `2MB`, `1GB`. mm/hugetlb_cgroup.c, mem_fmt()
    pub fn name(self) -> String {
        match self.page {
            page if page >= 1 << 30 => format!("{}GB", page >> 30),
            page if page >= 1 << 20 => format!("{}MB", page >> 20),
            page => format!("{}KB", page >> 10),
        }
    }
}

impl FromStr for HugeTlb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (page, most) = text.split_once('=').ok_or("expected SIZE=LIMIT: 2M=64M")?;
        let page = size::bytes(page)?;
        if !page.is_power_of_two() || page < 1 << 10 {
            return Err(
                "expected a size of huge pages, such as 2M or 1G: ls /sys/kernel/mm/hugepages".to_string()
            );
        }
        Ok(Self { page, most: most.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_named_as_the_kernel_names_its_files() {
        for (text, name) in [("2M=64M", "2MB"), ("2MB=max", "2MB"), ("1G=0", "1GB"), ("64k=1M", "64KB")] {
            assert_eq!(text.parse::<HugeTlb>().unwrap().name(), name, "{text}");
        }
    }

    #[test]
    fn nonsense_is_no_huge_page() {
        for text in ["", "2M", "3M=1G", "0=1", "=1"] {
            assert!(text.parse::<HugeTlb>().is_err(), "{text}");
        }
    }
}
