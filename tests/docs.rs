//! What README.md, the README of each tool and the course show is what happens.

use std::os::unix::fs::symlink;
use std::time::Duration;
use std::{env, fs};

use tests::engine::Engine;
use tests::layout::{Layout, Packing};
use tests::registry::{Door, Registry};
use tests::session::{SessionEnv, SessionKind, check, check_amid};
use tests::{Debian, End, Run, Scratch, daemon, documents, tools};

/// The pages, except those of the options, which `pages` runs.
const PAGES: [&str; 7] = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/",
    "unshare-rs/README.md",
    "cgexec-rs/README.md",
    "chroot-rs/README.md",
    "rootfs-fetch/README.md",
];

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut links = 0;
    for (page, text) in documents::starting_with("").filter(|(page, _)| page.ends_with(".md")) {
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(to, _)| to);
        for target in targets.filter(|to| !to.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let source = documents::source(page);
            let there = match file {
                "" => source,
                file => source.parent().expect("a page is in a folder").join(file),
            };
            assert!(there.exists(), "{page} links to {target}, which does not exist");
            if !heading.is_empty() {
                let text = fs::read_to_string(&there).expect("a page");
                let found = anchors(&text).any(|anchor| anchor == heading);
                assert!(found, "{page} links to {target}: that page does not have the heading");
            }
            links += 1;
        }
    }
    assert!(links > 50, "only {links} links were found");
}

/// The anchors that links use for a page's headings: lower-case words, with dashes in between.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    let outside_of_blocks = page.split("```").step_by(2);
    let headings = outside_of_blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix('#'));
    headings.map(|heading| {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
        kept.map(|char| if char == ' ' { '-' } else { char }).collect()
    })
}

#[test]
fn an_anchor_is_the_words_of_a_heading() {
    let page = "# What `--explain` prints\n```sh\n# a comment\n```\n## Docker, word by word\n";
    let found: Vec<String> = anchors(page).collect();
    assert_eq!(found, ["what---explain-prints", "docker-word-by-word"]);
}

/// Phrases that a native speaker would not write, most of them from word-for-word translation. A test is not an editor:
/// a text without them can still be stiff.
const HABITS: [&str; 24] = [
    "the own",
    "an own",
    "of outside",
    "in the place of",
    "takes the place",
    "take the place",
    "somebody",
    "nobody else",
    "everybody else",
    "who asks",
    "whoever",
    "lest",
    "is said",
    "are said",
    "is told",
    "are told",
    "says so",
    "said aloud",
    "in other words",
    "as by",
    "none is",
    "as without",
    "also without",
    "may be had",
];

/// The lines of a text with one of these phrases, wherever its lines end.
fn habits(page: &str, text: &str) -> Vec<String> {
    let words: Vec<(usize, String)> = text
        .lines()
        .enumerate()
        .flat_map(|(number, line)| line.split_whitespace().map(move |word| (number + 1, word.to_lowercase())))
        .map(|(number, word)| (number, word.trim_matches(|c: char| !c.is_alphanumeric()).to_string()))
        .collect();
    let mut found = Vec::new();
    for habit in HABITS {
        let habit: Vec<&str> = habit.split(' ').collect();
        for at in words
            .windows(habit.len())
            .filter(|at| at.iter().map(|(_, word)| word.as_str()).eq(habit.iter().copied()))
        {
            found.extend(at.first().map(|(line, _)| format!("{page}:{line}: {}", habit.join(" "))));
        }
    }
    found
}

#[test]
fn no_text_has_the_habits_of_a_translation() {
    let found: Vec<String> = documents::starting_with("")
        // a table that a test of cgexec-rs writes
        .filter(|(page, _)| !page.ends_with(".svg") && *page != "cgexec-rs/MATRIX.md")
        .flat_map(|(page, text)| habits(page, text))
        .collect();
    assert!(found.is_empty(), "{} phrases to rewrite:\n{}", found.len(), found.join("\n"));
}

#[test]
fn a_habit_is_found_across_lines_and_not_inside_words() {
    assert_eq!(habits("page", "a look\nat The\nown root\nbreathe owns"), ["page:2: the own"]);
}

#[test]
fn what_anyone_can_try_is_true() {
    check(&PAGES, SessionKind::Anyone);
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn what_root_can_try_is_true() {
        check(&PAGES, SessionKind::Root);
    }

    #[test]
    #[ignore = "needs root"]
    fn the_first_command_ends_in_a_shell_of_its_own() {
        assert_first_command();
    }

    mod in_debian {
        use super::*;

        /// The part of the test below that runs inside.
        #[test]
        #[ignore = "needs root"]
        fn what_root_can_try_of_the_course_is_true() {
            check(&["docs/course/"], SessionKind::Root);
        }

        #[test]
        #[ignore = "needs root, and a root of Debian's"]
        fn the_course_can_be_followed_in_a_debian_that_is_entered_as_it_says() {
            let debian = Debian::new();
            let bin = debian.path("usr/local/bin");
            for tool in [tools().unshare(), tools().cgexec(), tools().chroot(), tools().fetch()] {
                fs::copy(&tool, bin.join(tool.file_name().expect("a name"))).expect("a copy");
            }
            // this program contains the pages, and needs nothing else
            fs::copy(env::current_exe().expect("its path"), debian.path("srv/docs")).expect("a copy");
            let page = documents::text("docs/course/README.md");
            let enter = "unshare-rs -- cgexec-rs -- chroot-rs --privileged debian-fs bash -c ";
            let (_, rest) = page.split_once(enter).expect("the page says how a Debian is entered");
            let (inside, _) = rest.split_once('\n').expect("it is one line");
            let test = module_path!().split_once("::").expect("a module").1;
            let script = inside.replace(
                "exec bash'",
                &format!("exec /srv/docs --ignored --exact {test}::what_root_can_try_of_the_course_is_true'"),
            );
            let typed = format!("{enter}{script}").replace("debian-fs", &debian.root().display().to_string());
            let path = format!("{}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", tools().dir().display());
            let run =
                Run::new("sh").args(["-c", &typed]).env("PATH", path).env("CHAIN_TOOLS", "/usr/local/bin");
            let run = run.env("TMPDIR", "/tmp").patience(Duration::from_secs(300));
            let said = run.end().ok();
            assert!(said.contains("test result: ok. 1 passed"), "{said}");
        }
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user who may make user namespaces"]
    fn what_an_ordinary_user_can_try_is_true() {
        check(&PAGES, SessionKind::User);
    }

    #[test]
    #[ignore = "needs an ordinary user who may make user namespaces"]
    fn the_first_command_ends_in_a_shell_of_its_own() {
        assert_first_command();
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs root in a VM with cgroup v2 alone"]
    fn what_takes_cgroup_v2_is_true() {
        tests::vm::only_here();
        check(&PAGES, SessionKind::Vm);
    }
}

/// A small root with the programs of busybox, as an archive.
fn small_root() -> Vec<u8> {
    let root = Scratch::busybox_root();
    fs::create_dir(root.path("usr")).expect("a directory of the root");
    symlink("../bin", root.path("usr/bin")).expect("a link in it");
    Run::new("tar").arg("-C").arg(root.path("")).args(["-cf", "-", "."]).end().ended(End::Exit(0)).stdout
}

mod with_registry {
    use super::*;

    #[test]
    #[ignore = "needs docker-registry, skopeo and jq"]
    fn what_takes_a_registry_is_true() {
        let scratch = Scratch::new();
        let layout = Layout::new(scratch.path("layout"));
        let machine = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        layout.tag(layout.image(&[layout.layer(&small_root(), Packing::Gzip)], machine), "app");
        let registry = Registry::start(Door::Open);
        registry.push(layout.path(), "app", "app:1", &[]);
        let variables = vec![
            ("REGISTRY", registry.address().into()),
            ("XDG_CACHE_HOME", scratch.path("cache").into()),
            ("REGISTRY_AUTH_FILE", registry.credentials().into()),
        ];
        check_amid(&PAGES, SessionKind::Registry, &SessionEnv { variables, ..SessionEnv::default() });
    }
}

mod with_engine {
    use super::*;

    #[test]
    #[ignore = "needs root and Debian's docker.io"]
    fn what_takes_a_docker_engine_is_true() {
        let scratch = Scratch::new();
        let engine = Engine::start();
        engine.docker().args(["import", "-", "small:1"]).stdin(small_root()).end().ok();
        let docker = daemon::program("docker");
        let programs = vec![docker.parent().expect("a program is in a directory").to_path_buf()];
        let variables = vec![("DOCKER_HOST", engine.address().into()), ("HOME", scratch.path("").into())];
        check_amid(&PAGES, SessionKind::Engine, &SessionEnv { programs, variables });
    }
}

mod with_mirror {
    use super::*;

    #[test]
    #[ignore = "needs root, mmdebstrap and a mirror of Debian's packages"]
    fn what_takes_debians_packages_is_true() {
        check(&PAGES, SessionKind::Mirror);
    }
}

/// Runs examples/shell, README's first command, without the build. The second time, the root already exists.
fn assert_first_command() {
    const BUILD: &str = "bin=$(\"${0%/*}/../dist/build\")\n";
    let page = documents::text("README.md");
    let (_, rest) = page.split_once("```sh\n").expect("the first command is the first sh block");
    let (first, _) = rest.split_once("```").expect("a fence has an end");
    assert!(first.trim_end().ends_with("examples/shell"), "{first}");
    let script = include_str!("../examples/shell");
    assert!(script.contains(BUILD), "{script}");
    let built = script.replace(BUILD, "bin=/nowhere\n");
    let scratch = Scratch::new();
    let path = std::env::var("PATH").unwrap_or_default();
    for _ in ["first", "second"] {
        let shell = Run::new("sh")
            .args(["-c", &built])
            .stdin("uname -n; id -u; ls -d /proc/[0-9]* | wc -l; exit 7\n");
        let shell = shell.env("PATH", format!("{}:{path}", tools().dir().display()));
        let ended = shell
            .with(|sh| {
                sh.current_dir(scratch.path(""));
            })
            .end()
            .ended(End::Exit(7));
        // the reaper is process 1 there, and the shell process 2; ls and wc add two more
        let said = ended.out();
        assert!(said.starts_with("container\n0\n") && said.lines().count() == 3, "{said}");
        let processes: u32 = said.lines().last().expect("three lines").trim().parse().expect("a number");
        assert!(processes <= 4, "the shell sees processes of outside: {said}");
    }
}
