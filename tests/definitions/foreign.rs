//! Options of docker, and of our other tools, given to a tool that does not have them: the hint is correct,
//! and docs/docker.md has a row for each option of `docker run`.

use hints::docker::FLAGS;
use hints::{Foreign, Here};
use tests::{Run, daemon, documents, tools};

use crate::manual::same;
use crate::{definitions, options};

const PAGE: &str = "docs/docker.md";
const HEAD: &str = "| docker run | here |\n| --- | --- |\n";

/// The equivalents of an option, for all of its values.
fn every_here(flag: &Foreign) -> impl Iterator<Item = Here> {
    std::iter::once(flag.here).chain(flag.values.iter().map(|(_, here)| *here))
}

#[test]
fn an_option_that_is_advised_exists() {
    let tools = definitions();
    let others = hints::others::OPTIONS.iter().chain(hints::others::FETCHERS);
    let foreign = FLAGS.iter().chain(others.flat_map(|(_, options)| *options));
    for (tool, option) in foreign.flat_map(every_here).filter_map(|here| match here {
        Here::Option(tool, option) => Some((tool, option)),
        _ => None,
    }) {
        let definition = tools.iter().find(|known| known.get_name() == tool).expect("one of the tools");
        for word in option.split([' ', '=', '[']).filter(|word| word.starts_with("--")) {
            let is_long = |known: &&clap::Arg| {
                known.get_long_and_visible_aliases().is_some_and(|names| names.contains(&&word[2..]))
            };
            assert!(options(definition).any(|known| is_long(&known)), "{tool} has no {word}");
        }
    }
}

#[test]
fn our_own_options_at_the_wrong_tool_lead_to_the_right_one() {
    // hints/own.txt is compiled into the hints
    if documents::updating() {
        return;
    }
    let tools = definitions();
    let has = |tool: &clap::Command, name: &str| options(tool).any(|known| known.get_long() == Some(name));
    for owner in &tools {
        for option in options(owner).filter_map(|option| option.get_long()) {
            for other in tools.iter().filter(|other| !has(other, option)) {
                let said = hints::advice(other.get_name(), &format!("--{option}"), "");
                let said =
                    said.unwrap_or_else(|| panic!("nothing is said of {} --{option}", other.get_name()));
                let names_one = tools.iter().any(|tool| said.contains(tool.get_name()));
                assert!(names_one || option == "replace" || said.contains("here"), "--{option}: {said}");
            }
        }
    }
}

#[test]
fn each_known_value_that_belongs_after_an_equals_sign_gets_a_hint() {
    let mut count = 0;
    for tool in definitions() {
        for option in options(&tool).filter(|option| option.is_require_equals_set()) {
            let name = format!("--{}", option.get_long().expect("a long name"));
            for value in option.get_possible_values() {
                count += 1;
                let said = hints::unjoined(tool.get_name(), &name, value.get_name());
                assert!(said.is_some(), "nothing is said of {} {name} {}", tool.get_name(), value.get_name());
            }
        }
    }
    assert!(count > 8, "only {count} values");
}

#[test]
fn the_table_of_dockers_options_is_that_of_the_hints() {
    let text = documents::text(PAGE);
    let (before, rest) = text.split_once(HEAD).expect("a table in docs/docker.md");
    let (_, after) = rest.split_once("\n\n").expect("an empty line after the table");
    let rows: String = FLAGS.iter().map(row).collect();
    same(PAGE, &format!("{before}{HEAD}{rows}\n{after}"));
}

/// A row of the table: docker's option, and its equivalent.
fn row(flag: &Foreign) -> String {
    let spellings = flag.spellings.iter().filter(|spelling| !["-it", "-ti", "--net"].contains(spelling));
    let spellings: Vec<String> = spellings.map(|spelling| format!("`{spelling}`")).collect();
    let mut cells = Vec::new();
    for same in flag.values.chunk_by(|(_, first), (_, second)| first == second) {
        let values: Vec<String> = same.iter().map(|(value, _)| format!("`{value}`")).collect();
        let here = same.first().map(|(_, here)| cell(*here)).unwrap_or_default();
        cells.push(format!("{}: {here}", values.join(", ")));
    }
    match flag.here {
        Here::NotHere(_) if !cells.is_empty() => cells.push(format!("other values: {}", cell(flag.here))),
        here => cells.insert(0, cell(here)),
    }
    let here = cells.join("; ");
    format!("| {} | {} |\n", spellings.join(", "), here.replace('|', "\\|"))
}

/// The equivalent, with a link to its page.
fn cell(here: Here) -> String {
    match here {
        Here::Option(tool, option) => {
            let name = option.split(' ').rfind(|word| word.starts_with("--")).unwrap_or_default();
            let name = name.split('=').next().unwrap_or_default();
            // an alias has no page of its own
            let page = format!("tests/options/{tool}/{}.md", name.trim_start_matches('-'));
            assert!(!documents::text(&page).is_empty(), "{page} is not written");
            format!("[`{tool} {option}`](../{page})")
        }
        Here::Line(line) => format!("`{line}`, [below](#with-another-program)"),
        Here::RootLine(line) => format!("as root `{line}`, [below](#with-another-program)"),
        Here::Nothing(why) => format!("not needed: {why}"),
        Here::Default(tools, how) => format!("not needed with {}: {how}", tools.join(" or ")),
        Here::NotHere(why) => format!("not here: {why}"),
    }
}

#[test]
fn each_line_with_another_program_was_run() {
    let text = [PAGE, "docs/network.md", "docs/running.md"].map(documents::text).concat();
    let commands: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    for here in FLAGS.iter().flat_map(every_here) {
        let (Here::Line(line) | Here::RootLine(line)) = here else { continue };
        // the program and its option, without what a reader puts in
        let (program, rest) = line.split_once(' ').expect("a program with words");
        let option = rest.split([' ', '=']).next().filter(|word| word.starts_with('-')).unwrap_or_default();
        let is_shown = |command: &&&str| command.contains(program) && command.contains(option);
        assert!(commands.iter().any(|command| is_shown(&command)), "no session shows {line}");
    }
}

#[test]
fn a_foreign_option_is_told_by_each_tool() {
    for (tool, line, hint) in [
        (tools().unshare(), &["-it", "ubuntu"][..], "docker's -it is not needed: "),
        (tools().chroot(), &["--rm", "r"], "docker's --rm is '--ephemeral' here"),
        (tools().chroot(), &["-v", "/a:/b", "r"], "docker's -v is '--bind SRC:DST[:ro]' here"),
        (tools().chroot(), &["--bind", "/usr", "/usr", "/"], "join DST to SRC: '--bind /usr:/usr'"),
        (tools().cgexec(), &["--bind", "/a"], "--bind is an option of chroot-rs: "),
        (tools().cgexec(), &["--ro-bind", "/a", "/b"], "bwrap's --ro-bind is an option of chroot-rs here: "),
        (tools().fetch(), &["--rm", "docker://ubuntu"], "docker's --rm is an option of chroot-rs here: "),
        (tools().fetch(), &["my-root", "docker://ubuntu"], "'rootfs-fetch docker://ubuntu my-root'"),
        (
            tools().unshare(),
            &["--privileged", "true"],
            "docker's --privileged is an option of chroot-rs here: ",
        ),
        (tools().unshare(), &["--cap-add=ALL"], "docker's --cap-add is an option of chroot-rs here: "),
        (tools().chroot(), &["ubuntu:24.04", "sh"], "unpack the image into a directory first: "),
        (tools().chroot(), &["pull", "ubuntu"], "docker's pull is rootfs-fetch here: "),
        (tools().chroot(), &["--ephemeral", "10g", "r"], "join the value to its option: '--ephemeral=10g'"),
        (tools().unshare(), &["run", "ubuntu"], "docker's run is a chain here: "),
        (tools().cgexec(), &["--cpuset", "0", "true"], "did you mean --cpuset-cpus or --cpuset-mems?"),
        (
            tools().fetch(),
            &["pull", "ubuntu"],
            "there are no commands: 'rootfs-fetch docker://ubuntu my-root'",
        ),
        (tools().unshare(), &["--network", "none", "true"], "docker's --network none is not needed: "),
        // printed before the tool does anything, for which an ordinary user would have no rights
        (tools().unshare(), &["--pid", "host"], "docker's --pid host is '--share pid' here"),
    ] {
        let said = Run::new(&tool).args(line).end().stderr;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains(&format!("hint: {hint}")), "{line:?}: {said}");
        assert_eq!(said.lines().count(), 2, "{said}");
    }
}

mod with_engine {
    use super::*;

    #[test]
    #[ignore = "needs Debian's docker.io"]
    fn each_option_of_docker_run_has_a_row() {
        let help = Run::new(daemon::program("docker")).args(["run", "--help"]).end().ok();
        // a line with more indentation continues a description
        let words = help.lines().filter_map(|line| {
            let option = line.trim_start();
            let is_option = option.starts_with('-') && line.len() - option.len() <= 6;
            is_option.then(|| option.split("  ").next().unwrap_or_default())
        });
        let mut count = 0;
        for word in words.flat_map(|line| line.split([' ', ',']).filter(|word| word.starts_with('-'))) {
            count += 1;
            assert!(FLAGS.iter().any(|flag| flag.spellings.contains(&word)), "{word} has no row in {PAGE}");
        }
        assert!(count > 90, "only {count} options were read:\n{help}");
    }
}
