//! The comparisons, and the ratios to reach.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::fixtures::{Fixtures, StartedIn};

/// Two ways to start `true`.
pub struct Comparison {
    /// The two programs.
    pub title: &'static str,
    /// Our command line, in which FS, GROUPS, GROUP, BUNDLE, LIMITED and ID stand for what [`Fixtures`] has.
    pub ours: &'static str,
    /// The peer's command line.
    pub theirs: &'static str,
    /// Where both are started.
    pub place: StartedIn,
    /// The ratio to reach if starts follow each other.
    warm: Option<f64>,
    /// The ratio to reach when the machine is idle between two starts.
    cold: Option<f64>,
    /// How many times fewer rounds there are, because each start takes longer.
    slower: usize,
    /// Whether many starts at once are measured, too.
    pub also_at_once: bool,
}

const CHAIN: &str = "unshare-rs -- cgexec-rs -- chroot-rs FS /bin/true";

/// What the chain does, except for the control group, which bwrap does not have.
const BWRAP: &str = "bwrap --unshare-all --hostname container --bind FS / --proc /proc --tmpfs /proc/acpi \
    --ro-bind /dev/null /proc/keys --ro-bind /dev/null /proc/timer_list --ro-bind /sys /sys \
    --tmpfs /sys/firmware --dev /dev --mqueue /dev/mqueue /bin/true";

const BWRAP_LESS: &str = "bwrap --unshare-all --bind FS / --proc /proc --dev /dev /bin/true";

const CLASSIC: &str = "unshare -muinpC --fork --mount-proc=FS/proc chroot FS /bin/true";

impl Comparison {
    const fn new(title: &'static str, ours: &'static str, theirs: &'static str) -> Self {
        let (place, warm, cold) = (StartedIn::Here, None, None);
        Self { title, ours, theirs, place, warm, cold, slower: 1, also_at_once: false }
    }

    const fn goals(mut self, warm: f64, cold: Option<f64>) -> Self {
        self.warm = Some(warm);
        self.cold = cold;
        self
    }

    const fn at(mut self, place: StartedIn, slower: usize) -> Self {
        self.place = place;
        self.slower = slower;
        self
    }

    const fn and_at_once(mut self) -> Self {
        self.also_at_once = true;
        self
    }

    /// The number of its pairs.
    pub fn rounds(&self, rounds: usize) -> usize {
        (rounds / self.slower).max(5)
    }

    /// The ratio to reach.
    pub const fn goal(&self, back_to_back: bool) -> Option<f64> {
        if back_to_back { self.warm } else { self.cold }
    }
}

/// All pairs that this user can start.
pub fn all(fixtures: &Fixtures) -> Vec<Comparison> {
    if !fixtures.is_root {
        return vec![
            Comparison::new("chain, bwrap doing the same", CHAIN, BWRAP).goals(0.95, None).and_at_once(),
            Comparison::new("chain with one id, bwrap doing the same", CHAIN, BWRAP)
                .at(StartedIn::WithOneId, 1),
            Comparison::new("chain, bwrap doing less", CHAIN, BWRAP_LESS),
            Comparison::new(
                "unshare-rs, unshare(1)",
                "unshare-rs -r -m -u -i -n -p --mount-proc -- FS/bin/true",
                "unshare -rmuinp --fork --mount-proc FS/bin/true",
            ),
        ];
    }
    vec![
        Comparison::new("chain, the floor", CHAIN, "floor FS GROUPS /bin/true")
            .goals(2.0, None)
            .and_at_once(),
        Comparison::new("chain, bwrap doing the same", CHAIN, BWRAP).goals(0.85, None).and_at_once(),
        Comparison::new("chain, bwrap doing less", CHAIN, BWRAP_LESS).goals(1.0, None),
        Comparison::new(
            "chain, cgexec(1) + unshare(1) + chroot(1)",
            CHAIN,
            "cgexec -g pids,memory:GROUP unshare -muinpC --fork --mount-proc=FS/proc chroot FS /bin/true",
        )
        .goals(0.65, Some(0.3)),
        Comparison::new(
            "chain, crun without a group",
            CHAIN,
            "crun --root STATE --cgroup-manager=disabled run -b BUNDLE ID",
        )
        .goals(0.6, None)
        .at(StartedIn::WithoutUnified, 2),
        Comparison::new("chain, crun", CHAIN, "crun --root STATE run -b BUNDLE ID")
            .goals(0.4, Some(0.25))
            .at(StartedIn::WithoutUnified, 2)
            .and_at_once(),
        Comparison::new("chain, runc", CHAIN, "runc --root STATE run -b BUNDLE ID")
            .goals(0.12, None)
            .at(StartedIn::WithoutUnified, 8),
        Comparison::new("chain, docker run", CHAIN, "docker run --rm --network none box /bin/true")
            .goals(0.02, None)
            .at(StartedIn::WithEngine, 20),
        Comparison::new("chain, unshare(1) + chroot(1), with 1,000 mounts", CHAIN, CLASSIC)
            .at(StartedIn::WithMounts(1000), 4),
        Comparison::new("chain, unshare(1) + chroot(1), with 4,000 mounts", CHAIN, CLASSIC)
            .goals(1.2, None)
            .at(StartedIn::WithMounts(4000), 8),
        Comparison::new(
            "unshare-rs, unshare(1)",
            "unshare-rs -m -u -i -n -p -C --mount-proc -- FS/bin/true",
            "unshare -muinpC --fork --mount-proc FS/bin/true",
        ),
        Comparison::new(
            "cgexec-rs joining, cgexec(1)",
            "cgexec-rs -g pids,memory:GROUP -- FS/bin/true",
            "cgexec -g pids,memory:GROUP FS/bin/true",
        ),
        Comparison::new(
            "cgexec-rs with a group of its own, cgexec(1) joining one",
            "cgexec-rs --pids-limit 20 -m 50M -- FS/bin/true",
            "cgexec -g pids,memory:GROUP FS/bin/true",
        )
        .goals(1.0, Some(1.0)),
        Comparison::new(
            "chroot-rs --plain, chroot(1)",
            "chroot-rs --plain FS /bin/true",
            "chroot FS /bin/true",
        )
        .goals(0.6, None),
    ]
}

/// With a memory limit, if version 2 enforces it: then crun also enables controllers and writes a limit.
pub fn limited() -> Vec<Comparison> {
    vec![
        Comparison::new(
            "chain with a limit of memory, crun with one",
            "unshare-rs -- cgexec-rs -m 50M -- chroot-rs FS /bin/true",
            "crun --root STATE run -b LIMITED ID",
        )
        .goals(0.6, Some(0.6)),
    ]
}

/// The words of a command line, with the placeholders replaced by fixtures.
pub fn words(line: &str, fixtures: &Fixtures) -> Vec<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let id = || format!("start-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    line.split_whitespace()
        .map(|word| match word {
            "unshare-rs" | "cgexec-rs" | "chroot-rs" => fixtures.tools.join(word).display().to_string(),
            "floor" => fixtures.work.join("floor").display().to_string(),
            "STATE" => fixtures.work.join("state").display().to_string(),
            "BUNDLE" => fixtures.work.join("bundle").display().to_string(),
            "LIMITED" => fixtures.work.join("limited").display().to_string(),
            "GROUPS" => fixtures.groups.display().to_string(),
            "ID" => id(),
            word => word
                .replace("FS", &fixtures.work.join("root").display().to_string())
                .replace("GROUP", &fixtures.group),
        })
        .collect()
}
