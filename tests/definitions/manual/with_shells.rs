//! Asks the shells for completions, and reads manual pages with mandoc(1).

use std::collections::BTreeSet;
use std::fs;

use clap::{Arg, Command};
use tests::{Run, Scratch, documents, tools};

use crate::{definitions, options};

/// Each long option as users type it, and its other names.
fn long_options(tool: &Command) -> BTreeSet<String> {
    let names = |option: &Arg| -> Vec<String> {
        let others = option.get_visible_aliases().unwrap_or_default();
        option.get_long().into_iter().chain(others).map(|long| format!("--{long}")).collect()
    };
    options(tool).flat_map(names).collect()
}

/// Writes a file of a tool where a shell or mandoc finds it.
fn written(scratch: &Scratch, tool: &Command, file: &str) -> String {
    let path = scratch.path(file.rsplit('/').next().expect("a name"));
    fs::write(&path, &*documents::text(&format!("{}/{file}", tool.get_name())))
        .expect("a file of the scratch");
    path.to_str().expect("a path of ours").to_string()
}

#[test]
#[ignore = "needs bash"]
fn bash_offers_each_option() {
    for tool in definitions() {
        let (scratch, name) = (Scratch::new(), tool.get_name().to_string());
        let file = written(&scratch, &tool, &format!("completions/{name}.bash"));
        let function = format!("_{}", name.replace('-', "__"));
        let script = format!(
            "source '{file}' && complete -p {name} >/dev/null && COMP_WORDS=({name} --) COMP_CWORD=1 && \
             {function} {name} -- {name}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let offered = Run::new("bash").args(["--norc", "-c", &script]).end().ok();
        let offered: BTreeSet<String> = offered.lines().map(str::to_string).collect();
        assert_eq!(offered, long_options(&tool), "{name}");
    }
}

#[test]
#[ignore = "needs fish"]
fn fish_offers_each_option() {
    for tool in definitions() {
        let (scratch, name) = (Scratch::new(), tool.get_name().to_string());
        let file = written(&scratch, &tool, &format!("completions/{name}.fish"));
        let script = format!("source '{file}'; complete -C '{name} --'");
        let fish = Run::new("fish").args(["--no-config", "-c", &script]).env("HOME", scratch.path(""));
        let offered = fish.end().ok();
        let option = |line: &str| line.split(['\t', '=']).next().unwrap_or_default().to_string();
        let offered: BTreeSet<String> = offered.lines().map(option).collect();
        assert_eq!(offered, long_options(&tool), "{name}");
    }
}

#[test]
#[ignore = "needs zsh"]
fn zsh_finds_the_completion_and_completes_an_option() {
    for tool in definitions() {
        let (scratch, name) = (Scratch::new(), tool.get_name().to_string());
        written(&scratch, &tool, &format!("completions/_{name}"));
        // a shell that believes it has a terminal; the reader waits for a pattern
        let script = format!(
            "zmodload zsh/zpty && zpty z zsh -f -i &&
             zpty -w z 'fpath=({dir} $fpath); autoload -Uz compinit; compinit -D -u; PS1=; print -n re; print ady' &&
             zpty -r -m z seen '*ready*' && zpty -n -w z $'{name} --explai\\t' &&
             zpty -r -m z seen '*--explain*' && print -r -- $seen",
            dir = scratch.path("").display()
        );
        let zsh = Run::new("zsh").args(["-f", "-c", &script]).env("HOME", scratch.path(""));
        let seen = zsh.end().ok();
        assert!(seen.contains("--explain") && !seen.contains("comparguments"), "{name}: {seen}");
    }
}

/// The text before Tab, and its completion or the offered words; `new-root` is a directory.
const CHAINS: [(&str, &str); 12] = [
    ("unshare-rs -- cgexec-r", "cgexec-rs"),
    ("unshare-rs -- cgexec-rs --memory-swap-", "--memory-swap-max"),
    ("unshare-rs -- cgexec-rs --memory 1G -- chroot-rs new-ro", "new-root"),
    ("chroot-rs new-root unshare-r", "unshare-rs"),
    ("chroot-rs --bind /a:/b new-root unshare-rs --map-cur", "--map-current-user"),
    ("chroot-rs --bind new-ro", "new-root"),
    ("rootfs-fetch docker-a", "docker-archive:"),
    ("rootfs-fetch distro:alp", "alpine"),
    ("cgexec-rs --manager cgr", "cgroupfs"),
    ("unshare-rs --share mo", "mount"),
    ("unshare-rs -- chroot-rs --cap-add NET_A", "NET_ADMIN"),
    ("rootfs-fetch host: new-ro", "new-root"),
];

/// A directory with all scripts of a shell and a root, and the PATH with the tools.
fn chain_scratch(file: impl Fn(&str) -> String) -> (Scratch, String) {
    let scratch = Scratch::new();
    for tool in definitions() {
        written(&scratch, &tool, &format!("completions/{}", file(tool.get_name())));
    }
    fs::create_dir(scratch.path("new-root")).expect("a directory");
    let path = format!("{}:{}", tools().dir().display(), std::env::var("PATH").unwrap_or_default());
    (scratch, path)
}

#[test]
#[ignore = "needs bash"]
fn bash_completes_a_chain() {
    let (scratch, path) = chain_scratch(|name| format!("{name}.bash"));
    for (typed, wanted) in CHAINS {
        // bash splits words at = and :
        let words = typed.replace('=', " = ").replace(':', " : ");
        let tool = typed.split(' ').next().unwrap_or_default();
        let script = format!(
            "for script in ./*.bash; do source $script; done; COMP_WORDS=({words}); \
             COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); _{}_operands {tool} \"${{COMP_WORDS[COMP_CWORD]}}\" \
             \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            tool.replace('-', "__")
        );
        let bash = Run::new("bash").args(["--norc", "-c", &script]).env("PATH", &path);
        let offered = bash
            .with(|bash| {
                bash.current_dir(scratch.path(""));
            })
            .end()
            .ok();
        assert!(offered.lines().any(|line| line == wanted), "{typed}: {offered}");
    }
}

#[test]
#[ignore = "needs fish"]
fn fish_completes_a_chain() {
    let (scratch, path) = chain_scratch(|name| format!("{name}.fish"));
    for (typed, wanted) in CHAINS {
        let script = format!("for script in ./*.fish; source $script; end; complete -C '{typed}'");
        let fish = Run::new("fish").args(["--no-config", "-c", &script]).env("PATH", &path);
        let fish = fish.env("HOME", scratch.path("")).with(|fish| {
            fish.current_dir(scratch.path(""));
        });
        let offered = fish.end().ok();
        // bash and zsh complete the part after a colon, fish the whole word
        let is_wanted = |line: &str| {
            let word = line.split('\t').next().unwrap_or_default().trim_end_matches('/');
            word == wanted || word.strip_suffix(wanted).is_some_and(|start| start.ends_with(':'))
        };
        assert!(offered.lines().any(is_wanted), "{typed}: {offered}");
    }
}

#[test]
#[ignore = "needs zsh"]
fn zsh_completes_a_chain() {
    let (scratch, path) = chain_scratch(|name| format!("_{name}"));
    for (typed, wanted) in CHAINS {
        let script = format!(
            "zmodload zsh/zpty && zpty z zsh -f -i &&
             zpty -w z 'fpath=({dir} $fpath); autoload -Uz compinit; compinit -D -u; PS1=; print -n re; print ady' &&
             zpty -r -m z seen '*ready*' && zpty -n -w z $'{typed}\\t' &&
             zpty -r -m z seen '*{wanted}*' && print -r -- $seen",
            dir = scratch.path("").display()
        );
        let zsh =
            Run::new("zsh").args(["-f", "-c", &script]).env("HOME", scratch.path("")).env("PATH", &path);
        let seen = zsh
            .with(|zsh| {
                zsh.current_dir(scratch.path(""));
            })
            .end()
            .ok();
        assert!(seen.contains(wanted) && !seen.contains("bad pattern"), "{typed}: {seen}");
    }
}

#[test]
#[ignore = "needs mandoc"]
fn mandoc_finds_nothing_wrong_in_a_manual_page() {
    let scratch = Scratch::new();
    let overview = scratch.path("exec-chain.7");
    fs::write(&overview, include_str!("../../../dist/exec-chain.7")).expect("a file of the scratch");
    let pages = definitions().map(|tool| written(&scratch, &tool, &format!("man/{}.1", tool.get_name())));
    for page in pages.into_iter().chain(overview.to_str().map(String::from)) {
        let said = Run::new("mandoc").args(["-T", "lint", &page]).end();
        // the pages have no date, because there is no release yet
        let said = said.out() + &said.err();
        let wrong: Vec<&str> = said.lines().filter(|line| !line.contains("missing date")).collect();
        assert_eq!(wrong, [""; 0]);
    }
}
