//! rootfs-fetch with archives of a real Docker engine; cgexec-rs in a container of one.

use std::fs;
use std::path::Path;

use tests::engine::Engine;
use tests::layout::hex;
use tests::tree::assert_same;
use tests::{End, Run, Scratch, Snapshot, snapshot, tools};

mod with_engine {
    use super::*;

    /// A small root, as an engine's image `small:1`.
    fn import(engine: &Engine, scratch: &Scratch) {
        let root = Scratch::busybox_root();
        let archive = scratch.path("root.tar");
        Run::new("tar").arg("-C").arg(root.path("")).arg("-cf").arg(&archive).arg(".").end().ok();
        engine.docker().arg("import").arg(archive).arg("small:1").end().ok();
    }

    /// The same archive, unpacked by GNU tar.
    fn by_tar(archive: &Path, directory: &Path) {
        fs::create_dir(directory).unwrap();
        Run::new("tar").arg("-C").arg(directory).arg("-xpf").arg(archive).end().ok();
        fs::set_permissions(directory, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }

    #[test]
    #[ignore = "needs root and Debian's docker.io"]
    fn what_an_engine_exports_is_unpacked_from_a_pipe() {
        let before = Snapshot::take();
        let scratch = Scratch::new();
        let engine = Engine::start();
        import(&engine, &scratch);
        let container = engine.docker().args(["create", "small:1", "sh"]).end().ok();
        let exported = engine.docker().args(["export", container.trim()]).end().ended(End::Exit(0)).stdout;
        fs::write(scratch.path("export.tar"), &exported).unwrap();
        let found = scratch.path("found");
        Run::new(tools().fetch()).arg("-").arg(&found).stdin(exported).end().ok();
        by_tar(&scratch.path("export.tar"), &scratch.path("wanted"));
        // devices are skipped by default; the export has one
        let console = scratch.path("wanted/dev/console");
        if console.exists() && !scratch.path("found/dev/console").exists() {
            fs::remove_file(console).unwrap();
        }
        assert_same(&found, &scratch.path("wanted"));
        drop(engine);
        before.all_ended();
    }

    #[test]
    #[ignore = "needs root and Debian's docker.io"]
    fn what_an_engine_saves_is_unpacked_from_a_file_and_a_pipe() {
        let _turn = snapshot::turn();
        let scratch = Scratch::new();
        let engine = Engine::start();
        import(&engine, &scratch);
        // a second layer without running anything: a committed container that has changed
        let container = engine.docker().args(["create", "small:1", "sh"]).end().ok();
        fs::write(scratch.path("motd"), "hello\n").unwrap();
        let copy = engine.docker().arg("cp").arg(scratch.path("motd"));
        copy.arg(format!("{}:/etc/motd", container.trim())).end().ok();
        engine.docker().args(["commit", container.trim(), "small:2"]).end().ok();
        let saved = scratch.path("saved.tar");
        engine.docker().args(["save", "-o"]).arg(&saved).args(["small:1", "small:2"]).end().ok();
        for (name, has_motd) in [("small:1", false), ("small:2", true)] {
            let found = scratch.path(name);
            let source = format!("docker-archive:{}:{name}", saved.display());
            Run::new(tools().fetch()).arg(source).arg(&found).end().ok();
            assert_eq!(found.join("etc/motd").exists(), has_motd);
            let busybox = fs::read(found.join("bin/busybox")).unwrap();
            assert_eq!(hex(&busybox), hex(&fs::read(tests::scratch::busybox()).unwrap()));
        }
    }

    #[test]
    #[ignore = "needs root and Debian's docker.io"]
    fn in_a_container_of_docker_the_hint_is_an_option_of_docker() {
        let _turn = snapshot::turn();
        let scratch = Scratch::new();
        let engine = Engine::start();
        import(&engine, &scratch);
        let tool = format!("{}:/cgexec-rs:ro", tools().cgexec().display());
        let run = engine.docker().args(["run", "--rm", "--network", "none", "-v", &tool]);
        let ended = run.args(["small:1", "/cgexec-rs", "--pids-limit", "20", "--", "/bin/true"]).end();
        let refused = ended.ended(End::Exit(125)).err();
        let hint = "cgexec-rs: hint: start the container with docker run --security-opt writable-cgroups=true, \
            or --privileged where that is unknown\n";
        assert!(refused.ends_with(hint), "{refused}");
    }

    #[test]
    #[ignore = "needs root and Debian's docker.io"]
    fn an_engine_leaves_nothing_behind() {
        let run =
            || fs::read_dir("/run").unwrap().flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
        let before = Snapshot::take();
        let entries = run();
        let scratch = Scratch::new();
        let engine = Engine::start();
        import(&engine, &scratch);
        drop(engine);
        assert_eq!(run(), entries);
        before.all_ended();
    }
}
