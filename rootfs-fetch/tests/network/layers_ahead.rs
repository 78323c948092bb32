//! Layers that are read ahead of the current one, on one processor and on all.

use super::*;

/// A run on one processor.
fn run_on_one(scratch: &Scratch, args: &[&str]) -> Outcome {
    let mut command = unsettled(scratch, scratch.as_who(As::Caller, "taskset"));
    command.args(["--cpu-list", "0"]).arg(scratch.path("tool")).args(args);
    feed(command, b"")
}

/// A layer that creates a file of its own and replaces `last`.
fn layer(name: &str) -> Vec<u8> {
    Tar::new().file(name, &[b'x'; 300_000]).file("last", name.as_bytes()).end()
}

#[test]
fn layers_that_come_again_are_applied_in_their_order() {
    let order = ["x", "a", "b", "a", "b", "c", "a"];
    let server = registry_of(order.map(layer).to_vec(), |_| None);
    let name = format!("docker://127.0.0.1:{}/it", server.port());
    for run in [run, run_on_one] {
        let scratch = Scratch::new();
        // the last time all layers are in the cache
        for (cache, root) in
            [("--no-cache", "one"), ("--cache-dir=kept", "two"), ("--cache-dir=kept", "three")]
        {
            let outcome = run(&scratch, &[cache, &name, root]);
            assert_eq!(outcome.code, Some(0), "{cache}: {outcome:?}");
            let root = scratch.work().join(root);
            assert_eq!(fs::read(root.join("last")).unwrap(), b"a", "{cache}");
            assert!(order.iter().all(|name| root.join(name).is_file()), "{cache}");
        }
    }
}

#[test]
fn what_is_wrong_with_a_layer_is_told_while_a_later_one_hangs() {
    let damaged = b"this is not an archive".repeat(100);
    let hanging = Digest::of(&layer("b")).to_string();
    let server = registry_of(vec![layer("a"), damaged.clone(), layer("b")], move |head| {
        head.contains(&hanging).then_some(None)
    });
    let name = format!("docker://127.0.0.1:{}/it", server.port());
    for cache in ["--no-cache", "--cache-dir=kept"] {
        let scratch = Scratch::new();
        let started = Instant::now();
        let outcome = run(&scratch, &["--timeout=60", cache, &name, "root"]);
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
        assert!(outcome.stderr.contains(&Digest::of(&damaged).hex()), "{outcome:?}");
        assert!(started.elapsed() < Duration::from_secs(50), "{outcome:?}");
        assert!(!scratch.work().join("root").exists());
    }
}
