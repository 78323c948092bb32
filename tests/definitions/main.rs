//! The definition of each tool's options, and everything that must agree with it: the option pages, the man
//! pages and completions, and the reaction of the tools to random command lines.

mod arguments;
mod foreign;
mod manual;
mod pages;

use clap::{Arg, Command};

/// The four command lines, with `--help` and `--version`.
fn definitions() -> [Command; 4] {
    let mut tools = [
        chain::args::command::<unshare_rs::cli::Options>(&unshare_rs::cli::TOOL),
        chain::args::command::<cgexec_rs::cli::Options>(&cgexec_rs::cli::TOOL),
        chain::args::command::<chroot_rs::cli::Options>(&chroot_rs::cli::TOOL),
        chain::args::command::<rootfs_fetch::cli::Options>(&rootfs_fetch::TOOL),
    ];
    tools.iter_mut().for_each(Command::build);
    tools
}

/// A tool's options in the order of its help.
fn options(tool: &Command) -> impl Iterator<Item = &Arg> {
    tool.get_arguments().filter(|argument| !argument.is_positional())
}

/// An option as pages write it: `-m`, and `--memory BYTES` or `--mount-proc[=DIR]`.
fn written(option: &Arg) -> (Option<String>, String) {
    let long = option.get_long().expect("each option has a long name");
    let takes = option.get_num_args().expect("built");
    let value = match option.get_value_names() {
        Some([name, ..]) if takes.takes_values() && takes.min_values() == 0 => format!("[={name}]"),
        Some([name, ..]) if takes.takes_values() => format!(" {name}"),
        _ => String::new(),
    };
    (option.get_short().map(|short| format!("-{short}")), format!("--{long}{value}"))
}

/// Its page.
fn page(tool: &Command, option: &Arg) -> String {
    format!("tests/options/{}/{}.md", tool.get_name(), option.get_long().unwrap_or_default())
}
