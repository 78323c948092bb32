//! Man pages, completions and tables of options are generated from the definition of the options.
//!
//! They are committed, so that a packager needs no cargo to install them;
//! `CHAIN_UPDATE=1 cargo test -p tests --test definitions manual` writes them.

use clap::{Arg, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use tests::documents;

use crate::{definitions, options, page, written};

mod operands;
mod with_shells;

/// The handwritten sections of a man page: the title, and the file with its roff source.
const SECTIONS: [(&str, &str); 7] = [
    ("EXIT STATUS", "exit-status.man"),
    ("DIAGNOSTICS", "diagnostics.man"),
    ("ENVIRONMENT", "environment.man"),
    ("FILES", "files.man"),
    ("EXAMPLES", "examples.man"),
    ("NOTES", "notes.man"),
    ("SEE ALSO", "see-also.man"),
];

#[test]
fn man_pages_are_those_of_the_definition() {
    for tool in definitions() {
        let name = tool.get_name().to_string();
        same(&format!("{name}/man/{name}.1"), &man_page(tool));
    }
}

#[test]
fn completions_are_those_of_the_definition() {
    for tool in definitions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let (mut tool, mut script) = (operands::with_values(tool.clone()), Vec::new());
            let name = tool.get_name().to_string();
            clap_complete::generate(shell, &mut tool, &name, &mut script);
            let file = match shell {
                Shell::Zsh => format!("_{name}"),
                Shell::Fish => format!("{name}.fish"),
                _ => format!("{name}.bash"),
            };
            let script = String::from_utf8(script).expect("a script is text");
            same(&format!("{name}/completions/{file}"), &operands::with_operands(shell, &tool, &script));
        }
    }
}

#[test]
fn tables_of_options_are_those_of_the_definition() {
    for tool in definitions() {
        let page = format!("{}/README.md", tool.get_name());
        let text = documents::text(&page);
        let (head, rest) =
            text.split_once("| option | |\n").expect("a table of options in the tool's README");
        let (_, tail) = rest.split_once("\n\n").expect("an empty line after the table");
        same(&page, &format!("{head}{}\n{tail}", table(&tool)));
    }
}

#[test]
fn the_list_of_options_for_hints_is_that_of_the_definition() {
    let mut list = String::new();
    for tool in definitions() {
        for option in options(&tool) {
            let (short, long) = written(option);
            let short = short.map(|short| format!("{short} ")).unwrap_or_default();
            list.push_str(&format!("{} {short}{long}\n", tool.get_name()));
        }
    }
    same("hints/own.txt", &list);
}

/// Asserts that a file equals the generated text; with `CHAIN_UPDATE=1`, writes it.
#[track_caller]
pub fn same(file: &str, generated: &str) {
    if documents::text(file) == generated {
        return;
    }
    if documents::updating() {
        return documents::write(file, generated);
    }
    panic!(
        "{file} differs from the definition: CHAIN_UPDATE=1 cargo test -p tests --test definitions manual writes it"
    );
}

fn man_page(tool: Command) -> String {
    let (name, version) = (tool.get_name().to_string(), tool.get_version().unwrap_or_default().to_string());
    let about = tool.get_about().expect("a tool says what it is").to_string();
    // NAME has one line without its full stop, DESCRIPTION the whole text
    let first = about.lines().next().unwrap_or_default().trim_end_matches('.').to_string();
    let man = Man::new(tool.about(first).long_about(about))
        .title(name.to_uppercase())
        .manual("User Commands")
        .source(format!("{name} {version}"));
    let mut page = Vec::new();
    man.render_title(&mut page).expect("a Vec takes all");
    man.render_name_section(&mut page).expect("a Vec takes all");
    man.render_synopsis_section(&mut page).expect("a Vec takes all");
    man.render_description_section(&mut page).expect("a Vec takes all");
    man.render_options_section(&mut page).expect("a Vec takes all");
    let page = String::from_utf8(page).expect("a page is text");
    let page = grouped(&page);
    // without a date, clap_mangen omits the field, and the next ones move up: man(7), TH
    let mut page = page.replacen(" 1  \"", " 1 \"\" \"", 1);
    for (title, file) in SECTIONS {
        let own = documents::text(&format!("{name}/man/{file}"));
        // sections that are the same for every link are written once
        let section = if own.is_empty() { documents::text(&format!("chain/man/{file}")) } else { own };
        assert!(!section.is_empty(), "{name}/man/{file} is not written");
        page.push_str(&format!(".SH \"{title}\"\n{section}"));
    }
    filled(&page)
}

/// Turns the sections that clap_mangen makes of option groups into parts of OPTIONS.
fn grouped(page: &str) -> String {
    let (before, options) = page.split_once(".SH OPTIONS\n").expect("a section with the options");
    let heading = |line: &str| match line.strip_prefix(".SH ") {
        Some(group) => {
            let group = group.trim_matches('"').to_lowercase();
            let (first, rest) = group.split_at(1);
            format!(".SS \"{}{rest}\"\n", first.to_uppercase())
        }
        None => format!("{line}\n"),
    };
    format!("{before}.SH OPTIONS\n{}", options.lines().map(heading).collect::<String>())
}

/// Text wrapped for editors. A line that starts with a dot is a request and must not be wrapped.
fn filled(page: &str) -> String {
    let mut filled = String::with_capacity(page.len() + 64);
    for line in page.lines() {
        let mut width = 0;
        for (number, word) in line.split(' ').enumerate() {
            let begins = !line.starts_with('.') && width + word.len() > 78 && !word.starts_with(['.', '\'']);
            if number > 0 {
                filled.push(if begins { '\n' } else { ' ' });
                width = if begins { 0 } else { width + 1 };
            }
            filled.push_str(word);
            width += word.len();
        }
        filled.push('\n');
    }
    filled
}

fn table(tool: &Command) -> String {
    let row = |option: &Arg| {
        let (short, long) = written(option);
        let short = short.map(|short| format!("`{short}`, ")).unwrap_or_default();
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.replace('|', "\\|").replace('*', "\\*");
        format!("| {short}[`{long}`](../{}) | {help} |\n", page(tool, option))
    };
    let mut groups: Vec<(Option<&str>, String)> = vec![(None, String::new())];
    for option in options(tool) {
        let heading = option.get_help_heading();
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, rows)) => rows.push_str(&row(option)),
            None => groups.push((heading, row(option))),
        }
    }
    let title = |heading: Option<&str>| heading.map(|name| format!("| **{name}** | |\n")).unwrap_or_default();
    let rows: String = groups.into_iter().map(|(heading, rows)| title(heading) + &rows).collect();
    format!("| option | |\n| --- | --- |\n{rows}")
}
