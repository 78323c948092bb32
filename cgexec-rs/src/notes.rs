//! Notes about limits that do less than their names suggest, printed before the command starts.

use system::sys;

use crate::limits::Limit;
use crate::limits::io::Count;
use crate::limits::size::Memory;
use crate::placement::Placement;
use crate::version::Version;

const NO_SWAP: &str =
    "without swap, a command that needs more than --memory-high may never end; --memory kills it";
const BUFFERED: &str = "in version 1 a write rate limits only direct and synchronous writes: \
    the kernel writes back buffered data without a limit";

/// A line for each such limit.
pub fn notes(place: &Placement) -> Vec<String> {
    let limits = |version| {
        let groups = place.groups().filter(move |group| group.version == version);
        groups.flat_map(|group| &group.limits)
    };
    let high = limits(Version::V2).any(|limit| matches!(limit, Limit::High(Memory(Some(_)))));
    let ends = limits(Version::V2).any(|limit| matches!(limit, Limit::Memory(Memory(Some(_)))));
    let no_swap = limits(Version::V2).any(|limit| matches!(limit, Limit::Swap { swap: Memory(Some(0)), .. }));
    let buffered = |limit: &Limit| match limit {
        Limit::Io(rate) => matches!(rate.count, Count::WriteBytes | Count::Writes) && rate.most.is_some(),
        _ => false,
    };
    let standing_still =
        (high && !ends && (no_swap || !has_swap(&sys::read("/proc/swaps").unwrap_or_default())))
            .then_some(NO_SWAP);
    let written_back = limits(Version::V1).any(buffered).then_some(BUFFERED);
    standing_still.into_iter().chain(written_back).map(str::to_string).collect()
}

/// Whether /proc/swaps has a line after its heading: proc_swaps(5). An unreadable file counts as yes.
fn has_swap(swaps: &[u8]) -> bool {
    swaps.is_empty() || swaps.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count() > 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Group;
    use crate::limits::io::{Disk, Rate};
    use crate::plan::tests::{placement, v2};

    #[test]
    fn a_machine_without_swap_is_known_by_its_table() {
        assert!(!has_swap(b"Filename\tType\tSize\tUsed\tPriority\n"));
        assert!(has_swap(b"Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 1 0 -2\n"));
        assert!(has_swap(b""), "nothing can be said without a table");
    }

    #[test]
    fn a_limit_that_only_slows_down_is_told_where_there_is_no_swap() {
        let high = Limit::High(Memory(Some(1 << 20)));
        let none = Limit::Swap { memory: None, swap: Memory(Some(0)) };
        let ended = [high.clone(), none.clone(), Limit::Memory(Memory(Some(2 << 20)))];
        assert_eq!(notes(&v2("/cg/x", &ended)), [""; 0]);
        let said = notes(&v2("/cg/x", &[high, none]));
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with("without swap, a command that needs more than --memory-high may"),
            "{said:?}"
        );
        assert_eq!(notes(&v2("/cg/x", &[Limit::Memory(Memory(Some(1 << 20)))])), [""; 0]);
    }

    #[test]
    fn buffered_writes_are_told_in_version_1_alone() {
        let disk = Disk { major: 8, minor: 0 };
        let rate = |count| Limit::Io(Rate { disk, count, most: Some(5) });
        let v1 = |count| {
            let mut group = Group::new(Version::V1, "/cg/x".into());
            group.limit(&rate(count)).unwrap();
            notes(&placement(group)).len()
        };
        assert_eq!((v1(Count::WriteBytes), v1(Count::Writes), v1(Count::ReadBytes)), (1, 1, 0));
        assert_eq!(notes(&v2("/cg/x", &[rate(Count::WriteBytes)])), [""; 0]);
    }
}
