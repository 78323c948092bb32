//! Completions beyond clap_complete: after the options of a link comes another command line, and before it a
//! directory, or a source of rootfs-fetch.

use clap::builder::PossibleValuesParser;
use clap::{Arg, Command};
use clap_complete::Shell;
use rootfs_fetch::source::distro::table;

use crate::options;

const TRANSPORTS: &str = "docker:// distro: host: oci: oci-archive: docker-archive: https://";

/// Values from a list of words, if the tool parses them with its own type.
const VALUES: [(&str, &str, &[&str]); 8] = [
    ("unshare-rs", "share", &["mount", "uts", "ipc", "net", "pid", "user", "cgroup", "none"]),
    ("unshare-rs", "userns", &["auto"]),
    ("cgexec-rs", "manager", &["auto", "systemd", "cgroupfs", "none"]),
    ("cgexec-rs", "report", &["human", "json", "runexec"]),
    ("chroot-rs", "cap_add", CAPABILITIES),
    ("chroot-rs", "cap_drop", CAPABILITIES),
    ("rootfs-fetch", "devices", &["keep-mode"]),
    (
        "rootfs-fetch",
        "platform",
        &["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/riscv64", "linux/s390x"],
    ),
];

/// The capabilities that people use.
const CAPABILITIES: &[&str] = &[
    "ALL",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "KILL",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETUID",
    "SYS_ADMIN",
    "SYS_CHROOT",
    "SYS_NICE",
    "SYS_PTRACE",
    "SYS_TIME",
];

/// The definition for completions, with those values; it is not used for parsing.
pub fn with_values(mut tool: Command) -> Command {
    let name = tool.get_name().to_string();
    for (_, option, values) in VALUES.iter().filter(|(owner, ..)| *owner == name) {
        tool = tool.mut_arg(option, |option| option.value_parser(PossibleValuesParser::new(*values)));
    }
    tool
}

/// A script of clap_complete, extended to complete operands.
pub fn with_operands(shell: Shell, tool: &Command, script: &str) -> String {
    match shell {
        Shell::Zsh => zsh(tool, script),
        Shell::Fish => format!("{script}{}", fish(tool)),
        _ => bash(tool, script),
    }
}

/// The number of operands before the command; None for a tool that runs no command.
fn before_command(tool: &Command) -> Option<usize> {
    match tool.get_name() {
        "rootfs-fetch" => None,
        "chroot-rs" => Some(1),
        _ => Some(0),
    }
}

/// The options whose value is a separate word.
fn valued(tool: &Command) -> Vec<String> {
    let takes_next = |option: &&Arg| {
        option.get_num_args().is_some_and(|count| count.min_values() > 0) && !option.is_require_equals_set()
    };
    let names = |option: &Arg| {
        let long = option.get_long_and_visible_aliases().unwrap_or_default().into_iter();
        let short = option.get_short().map(|short| format!("-{short}"));
        long.map(|long| format!("--{long}")).chain(short).collect::<Vec<_>>()
    };
    options(tool).filter(takes_next).flat_map(names).collect()
}

fn distributions() -> String {
    table::all().iter().map(|known| known.name).collect::<Vec<_>>().join(" ")
}

fn bash(tool: &Command, script: &str) -> String {
    let function = format!("_{}", tool.get_name().replace('-', "__"));
    let valued = valued(tool).join(" | ");
    let operands = match before_command(tool) {
        None => BASH_SOURCE.replace("TRANSPORTS", TRANSPORTS).replace("DISTRIBUTIONS", &distributions()),
        Some(0) => BASH_COMMAND.to_string(),
        Some(_) => format!("{BASH_DIRECTORY}{BASH_COMMAND}"),
    };
    let added =
        BASH.replace("OPERANDS\n", &operands).replace("VALUED", &valued).replace("FUNCTION", &function);
    let (before, complete) = script.split_once("\nif [[ \"${BASH_VERSINFO[0]}\" -eq 4").expect("the end");
    let complete = complete.replace(&format!("-F {function} "), &format!("-F {function}_operands "));
    format!("{before}\n{added}\nif [[ \"${{BASH_VERSINFO[0]}}\" -eq 4{complete}")
}

/// bash(1) splits words at `=` and `:`.
const BASH: &str = r#"FUNCTION_operands() {
    local at=1 cur=$2
    while (( at < COMP_CWORD )); do
        case ${COMP_WORDS[at]} in
            --) (( at++ )); break ;;
            VALUED) [[ ${COMP_WORDS[at+1]} == = ]] || (( at++ )) ;;
            -*) ;;
            *) break ;;
        esac
        (( at++ ))
        while (( at < COMP_CWORD )) && [[ ${COMP_WORDS[at]} == [=:] ]]; do (( at += 2 )); done
    done
    if (( at > COMP_CWORD )) || { (( at == COMP_CWORD )) && [[ $cur == -* ]]; }; then
        FUNCTION "$@"
        return
    fi
OPERANDS
}
"#;

const BASH_DIRECTORY: &str = r#"    if (( at == COMP_CWORD )); then
        COMPREPLY=($(compgen -d -- "$cur"))
        compopt -o filenames 2>/dev/null
        return
    fi
    (( at++ ))
"#;

const BASH_COMMAND: &str = r#"    if (( at == COMP_CWORD )); then
        COMPREPLY=($(compgen -c -- "$cur"))
        return
    fi
    local command=${COMP_WORDS[at]##*/} loader
    for loader in _comp_load _completion_loader; do
        complete -p "$command" &>/dev/null || { declare -F $loader >/dev/null && $loader "$command"; }
    done
    COMP_WORDS=("${COMP_WORDS[@]:at}")
    (( COMP_CWORD -= at ))
    COMP_LINE=${COMP_WORDS[*]} COMP_POINT=${#COMP_LINE}
    if [[ $(complete -p "$command" 2>/dev/null) =~ \ -F\ ([^ ]+) ]]; then
        "${BASH_REMATCH[1]}" "$command" "$cur" "${COMP_WORDS[COMP_CWORD-1]}"
    else
        COMPREPLY=($(compgen -f -- "$cur"))
        compopt -o filenames 2>/dev/null
    fi
"#;

const BASH_SOURCE: &str = r#"    if [[ ${COMP_WORDS[COMP_CWORD-2]}${COMP_WORDS[COMP_CWORD-1]} == distro: ]]; then
        COMPREPLY=($(compgen -W "DISTRIBUTIONS" -- "$cur"))
    elif (( at == COMP_CWORD )); then
        COMPREPLY=($(compgen -W "TRANSPORTS" -- "$cur") $(compgen -f -- "$cur"))
        [[ ${#COMPREPLY[@]} -ne 1 || $COMPREPLY != *[:/] ]] || compopt -o nospace 2>/dev/null
    else
        COMPREPLY=($(compgen -d -- "$cur"))
        compopt -o filenames 2>/dev/null
    fi
"#;

fn zsh(tool: &Command, script: &str) -> String {
    let operands = match before_command(tool) {
        None => "'1:SOURCE:_rootfs-fetch_source' \\\n'2:DIRECTORY:_directories' \\\n",
        Some(0) => "'*:::command: _normal' \\\n",
        Some(_) => "'1:NEWROOT:_directories' \\\n'*:::command: _normal' \\\n",
    };
    let mut script = script.replace("'*::operands:_default' \\\n", operands);
    if before_command(tool).is_some() {
        // no options of this tool after its first operand
        script =
            script.replace("=(-s -S -C)", "=(-s -S -C -A \"-*\")").replace("=(-s -C)", "=(-s -C -A \"-*\")");
    } else {
        let source = ZSH_SOURCE.replace("TRANSPORTS", TRANSPORTS).replace("DISTRIBUTIONS", &distributions());
        script = script.replacen("\n(( $+functions", &format!("\n{source}\n(( $+functions"), 1);
    }
    // a colon ends the description of a value
    for option in options(tool) {
        let Some(name) = option.get_value_names().and_then(|names| names.first()) else { continue };
        let plain = name.replace(':', "\\:").replace('[', "\\[").replace(']', "\\]");
        script = script.replace(&format!(":{name}:"), &format!(":{plain}:"));
    }
    script
}

const ZSH_SOURCE: &str = r#"_rootfs-fetch_source() {
    if compset -P 'distro:'; then
        compadd - DISTRIBUTIONS
    else
        compadd -S '' - TRANSPORTS
        _files
    fi
}
"#;

fn fish(tool: &Command) -> String {
    let (name, valued) = (tool.get_name(), valued(tool).join(" "));
    // the function would take a word with two dashes as its own option
    let subcommand = |skip: usize| format!("(__fish_complete_subcommand --fcs-skip={skip} - {valued})");
    match before_command(tool) {
        None => {
            let names = distributions().split(' ').map(|name| format!(" distro:{name}")).collect::<String>();
            format!("complete -c {name} -a '{TRANSPORTS}{names}'\n")
        }
        Some(0) => format!("complete -c {name} -x -a '{}'\n", subcommand(1)),
        Some(_) => FISH_NEWROOT.replace("VALUED", &valued).replace("SUBCOMMAND", &subcommand(2)),
    }
}

const FISH_NEWROOT: &str = r#"function __chroot_rs_has_newroot
    set -l words (commandline -cop)
    set -l is_value 0
    for word in $words[2..]
        if test $is_value = 1
            set is_value 0
        else if contains -- $word VALUED
            set is_value 1
        else if not string match -q -- '-*' $word
            return 0
        end
    end
    return 1
end
complete -c chroot-rs -n 'not __chroot_rs_has_newroot' -x -a '(__fish_complete_directories)'
complete -c chroot-rs -n __chroot_rs_has_newroot -x -a 'SUBCOMMAND'
"#;
