//! Images that run a command: examples/run, which is `docker run` with these tools, compared with docker and
//! podman.

use std::time::Duration;

use serde_json::{Value, json};
use tests::engine::Engine;
use tests::layout::{Layout, Packing, hex};
use tests::{End, Run, Scratch, tools};

/// For an emulated processor, on which each of the three programs of a run takes seconds to start.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(120);

const RUN: &str = include_str!("../examples/run");

/// An image's configuration, the words after `run`, with the image as `IMAGE`, and the output. The engines
/// agree with each line.
struct Case {
    name: &'static str,
    config: fn() -> Value,
    typed: &'static [(&'static str, &'static str, i32)],
}

/// The ids inside are the same for root and for a user.
const CASES: [Case; 10] = [
    Case {
        name: "command",
        config: || json!({"Cmd": ["/bin/sh", "-c", "id; pwd; env | grep -v HOSTNAME | sort"]}),
        typed: &[
            (
                "IMAGE",
                "uid=0(root) gid=0(root) groups=0(root),10(wheel)\n/\nHOME=/root\n\
                 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\nSHLVL=1\n",
                0,
            ),
            ("IMAGE pwd", "/\n", 0),
            ("-w /tmp IMAGE pwd", "/tmp\n", 0),
            ("-u app IMAGE id", "uid=1000(app) gid=1001(app) groups=50(staff),1001(app)\n", 0),
            ("--user :staff IMAGE id", "uid=0(root) gid=50(staff) groups=50(staff)\n", 0),
        ],
    },
    Case {
        name: "shell-form",
        config: || json!({"Cmd": ["/bin/sh", "-c", "echo $HOME; exit 7"], "Entrypoint": null}),
        typed: &[("IMAGE", "/root\n", 7)],
    },
    Case {
        name: "entrypoint",
        config: || json!({"Entrypoint": ["/bin/echo", "to"], "Cmd": ["all", "of you"]}),
        typed: &[
            ("IMAGE", "to all of you\n", 0),
            ("IMAGE a b", "to a b\n", 0),
            ("--entrypoint /bin/pwd IMAGE", "/\n", 0),
            ("--entrypoint= IMAGE echo x", "x\n", 0),
        ],
    },
    Case {
        name: "entrypoint-in-shell-form",
        config: || json!({"Entrypoint": ["/bin/sh", "-c", "exec echo entry"], "Cmd": ["ignored"]}),
        typed: &[("IMAGE", "entry\n", 0), ("IMAGE ignored too", "entry\n", 0)],
    },
    Case {
        name: "user",
        config: || json!({"User": "app", "Cmd": ["/bin/sh", "-c", "id; echo $HOME"]}),
        typed: &[("IMAGE", "uid=1000(app) gid=1001(app) groups=50(staff),1001(app)\n/srv\n", 0)],
    },
    Case {
        name: "user-and-group",
        config: || json!({"User": "app:staff", "Cmd": ["id"]}),
        typed: &[("IMAGE", "uid=1000(app) gid=50(staff) groups=50(staff)\n", 0)],
    },
    Case {
        name: "number-without-account",
        config: || json!({"User": "4242", "Cmd": ["/bin/sh", "-c", "id; echo $HOME"]}),
        typed: &[("IMAGE", "uid=4242 gid=0(root) groups=0(root)\n/\n", 0)],
    },
    Case {
        name: "environment",
        config: || {
            json!({
                "Env": ["A=x y", "B=1=2", "PATH=/bin:/opt", "A=later", "C="],
                "WorkingDir": "/srv/new",
                "Volumes": {"/data": {}},
                "StopSignal": "SIGQUIT",
                "Cmd": ["sh", "-c", "pwd; echo $A $B $PATH ${C-unset}"],
            })
        },
        typed: &[
            ("IMAGE", "/srv/new\nlater 1=2 /bin:/opt\n", 0),
            ("-e A=mine --env=C=d IMAGE", "/srv/new\nmine 1=2 /bin:/opt d\n", 0),
            ("-eA=it's -w / IMAGE", "/\nit's 1=2 /bin:/opt\n", 0),
        ],
    },
    Case {
        name: "nothing",
        config: || json!({}),
        typed: &[
            ("IMAGE", "", 125),
            ("IMAGE nosuch", "", 127),
            ("IMAGE /etc/passwd", "", 126),
            ("--read-only IMAGE touch /x", "", 1),
            ("--rm IMAGE true", "", 0),
        ],
    },
    Case {
        name: "null",
        config: || json!({"Env": null, "Cmd": null, "Entrypoint": [], "User": "", "WorkingDir": ""}),
        typed: &[("IMAGE", "", 125), ("IMAGE pwd", "/\n", 0)],
    },
];

/// The files of all images.
fn root() -> Vec<u8> {
    let root = Scratch::busybox_root();
    let passwd = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/srv:/bin/sh\n";
    std::fs::write(root.path("etc/passwd"), passwd).expect("passwd");
    let group = "root:x:0:\napp:x:1001:\nwheel:x:10:root\nstaff:x:50:app\n";
    std::fs::write(root.path("etc/group"), group).expect("group");
    let tar =
        Run::new("tar").arg("-C").arg(root.path("")).args(["--numeric-owner", "--owner=0", "--group=0"]);
    tar.args(["-cf", "-", "."]).end().ended(End::Exit(0)).stdout
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// All images in one layout, and the program that runs them.
struct Example {
    scratch: Scratch,
    layout: Layout,
}

impl Example {
    fn new() -> Self {
        let scratch = Scratch::new();
        let layout = Layout::new(scratch.path("layout"));
        let layer = layout.layer(&root(), Packing::Gzip);
        for case in &CASES {
            let image =
                layout.image_that_runs(std::slice::from_ref(&layer), architecture(), &(case.config)());
            layout.tag(image, case.name);
        }
        Self { scratch, layout }
    }

    fn run(&self, case: &Case, typed: &str) -> tests::Ended {
        let image = format!("oci:{}:{}", self.layout.path().display(), case.name);
        let path = format!("{}:{}", tools().dir().display(), std::env::var("PATH").unwrap_or_default());
        let words = words(typed, &image);
        let run =
            Run::new("sh").args(["-c", RUN, "run"]).args(words).patience(ENGINE_TIMEOUT).env("PATH", path);
        run.env("XDG_CACHE_HOME", self.scratch.path("cache")).env("SECRET", "of the caller").end()
    }

    fn check(&self) {
        for case in &CASES {
            for (typed, out, status) in case.typed {
                let ended = self.run(case, typed);
                let said = (ended.out(), ended.end);
                let what = format!("{}: {typed}: {}", case.name, ended.err());
                assert_eq!(said, ((*out).to_string(), End::Exit(*status)), "{what}");
            }
        }
    }
}

fn words(typed: &str, image: &str) -> Vec<String> {
    typed.split(' ').map(|word| if word == "IMAGE" { image.to_string() } else { word.to_string() }).collect()
}

#[test]
fn the_example_has_at_most_25_lines() {
    assert!(RUN.lines().count() <= 25);
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn the_example_runs_images_as_they_were_made() {
        Example::new().check();
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user with subordinate ids"]
    fn the_example_runs_images_as_they_were_made() {
        Example::new().check();
    }
}

/// An archive for `docker load` and `podman load`: one layer and a configuration.
fn archive(case: &Case, layer: &[u8], scratch: &Scratch) -> Vec<u8> {
    let folder = scratch.path(case.name);
    std::fs::create_dir(&folder).expect("a folder");
    let config = json!({
        "architecture": architecture(), "os": "linux", "config": (case.config)(),
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", hex(layer))]},
    });
    let manifest = json!([{"Config": "config.json", "RepoTags": [tag(case)], "Layers": ["layer.tar"]}]);
    for (name, data) in [
        ("config.json", config.to_string().into_bytes()),
        ("manifest.json", manifest.to_string().into_bytes()),
        ("layer.tar", layer.to_vec()),
    ] {
        std::fs::write(folder.join(name), data).expect("a part of the image");
    }
    let tar = Run::new("tar").arg("-C").arg(&folder).args(["-cf", "-"]);
    tar.args(["manifest.json", "config.json", "layer.tar"]).end().ended(End::Exit(0)).stdout
}

fn tag(case: &Case) -> String {
    format!("localhost/{}:1", case.name)
}

/// Loads each image and runs each line with an engine; `engine` is the beginning of its command line.
/// `compared` selects the part of an output on which the engines agree.
fn check_engine(engine: impl Fn() -> Run, compared: impl Fn(&str) -> String) {
    let scratch = Scratch::new();
    let layer = root();
    let mut wrong = Vec::new();
    for case in &CASES {
        engine().arg("load").stdin(archive(case, &layer, &scratch)).patience(ENGINE_TIMEOUT).end().ok();
        for (typed, out, status) in case.typed {
            let run = engine().args(["run", "--rm", "--network=none"]).patience(ENGINE_TIMEOUT);
            let ended = run.args(words(typed, &tag(case))).end();
            let (printed, expected) = (compared(&ended.out()), compared(out));
            if (&printed, ended.end) != (&expected, End::Exit(*status)) {
                let end = ended.end;
                wrong.push(format!("{}: {typed}: {end:?} {printed:?}: {}", case.name, ended.err()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

mod with_engine {
    use super::*;

    #[test]
    #[ignore = "needs root and Debian's docker.io"]
    fn an_engine_runs_them_in_the_same_way() {
        let engine = Engine::start();
        check_engine(|| engine.docker(), str::to_string);
    }
}

mod with_podman {
    use super::*;

    /// Removes what podman adds on purpose: two variables in every image, and an account for a number without
    /// one. With docker, the group of the process is also in its list of groups; with podman it is not.
    fn compared(out: &str) -> String {
        let is_podmans = |line: &&str| ["container=podman", "TERM=xterm"].contains(line);
        let lines = out.lines().filter(|line| !is_podmans(line));
        lines.map(|line| without_own_group(&line.replace("uid=4242(4242)", "uid=4242")) + "\n").collect()
    }

    /// What id(1) prints, without the group after `gid=` in the list after `groups=`.
    fn without_own_group(line: &str) -> String {
        let Some((ids, groups)) = line.split_once(" groups=") else { return line.to_string() };
        let own = ids.split_once(" gid=").map(|(_, group)| group);
        let others: Vec<&str> = groups.split(',').filter(|group| Some(*group) != own).collect();
        if others.is_empty() { ids.to_string() } else { format!("{ids} groups={}", others.join(",")) }
    }

    #[test]
    #[ignore = "needs podman, as in the machine of tests/worlds"]
    fn podman_runs_them_in_the_same_way() {
        check_engine(|| Run::new("podman"), compared);
        let images = CASES.map(|case| tag(&case));
        Run::new("podman").args(["rmi", "--force"]).args(images).patience(ENGINE_TIMEOUT).end().ok();
    }
}
