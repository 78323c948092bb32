//! Many chains at once: each behaves as if it were alone, and together they leave nothing.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tests::{Link, Rng, Scratch, Snapshot};

/// How many chains run at the same time.
const CHAINS: usize = 64;

/// The duration; `CHAIN_SECONDS` overrides it, for example with 120.
const SECONDS: u64 = 10;

/// Runs a chain once, and returns what is wrong with its output or its end.
fn run(chain: &Link, status: usize, quiet: &str) -> Option<String> {
    let words = chain.words(["sh", "-c", &format!("exit {status}")]);
    let (program, args) = words.split_first().expect("a chain has a program");
    let ended = Command::new(program).args(args).stdin(Stdio::null()).output().expect("a chain");
    let said = String::from_utf8_lossy(&ended.stderr);
    let right = ended.status.code() == i32::try_from(status).ok() && said == quiet && ended.stdout.is_empty();
    (!right).then(|| format!("{}: exit {status} became {:?}, said {said}", chain.name, ended.status))
}

mod on_host {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn sixty_four_chains_at_once_do_not_disturb_each_other() {
        let before = Snapshot::take();
        let root = Scratch::busybox_root();
        let seconds = std::env::var("CHAIN_SECONDS").map_or(SECONDS, |text| text.parse().expect("seconds"));
        let mut rng = Rng::new();
        let [.., first, second] = Link::all(&root);
        // each run prints the same line about what it skips
        let chains = [first, second].map(|chain| {
            let quiet = chain.run(["true"]).end();
            (chain, quiet.err())
        });
        let end = Instant::now() + Duration::from_secs(seconds);
        let (wrong, count) = (Mutex::new(Vec::new()), Mutex::new(0));
        thread::scope(|scope| {
            for _ in 0..CHAINS {
                let mut rng = Rng::seeded(rng.next_u64());
                let (wrong, count, chains) = (&wrong, &count, &chains);
                scope.spawn(move || {
                    while Instant::now() < end {
                        let (chain, quiet) = rng.choose(chains);
                        let found = run(chain, rng.below(100), quiet);
                        wrong.lock().expect("no panic").extend(found);
                        *count.lock().expect("no panic") += 1;
                    }
                });
            }
        });
        let (wrong, count) = (wrong.into_inner().expect("no panic"), count.into_inner().expect("no panic"));
        println!("{count} chains in {seconds} s, {CHAINS} at once");
        before.all_ended();
        before.unchanged();
        assert!(count >= CHAINS, "only {count} chains");
        assert!(wrong.is_empty(), "{} of {count} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    }
}
