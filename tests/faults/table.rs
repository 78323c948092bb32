//! `docs/faults.md`: what every tool prints for every failed call, written by the test.
//!
//! A plan differs between callers and layouts of control groups, so each of these worlds has its own section.
//! A world without a section is only judged, not compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tests::documents;

/// The page.
const PAGE: &str = "docs/faults.md";

/// The text before the sections.
const HEAD: &str = "# What happens when a call fails

A test makes each call of each plan fail with strace(1), with each errno that its manual page names or that a full machine can cause. The table shows the exit status, and
the one line that the tool prints, here without the text of the errno. Nothing stays behind: no process, mount, group or file. `NEWROOT`, `GROUP` and `UID` stand for the
values of one run. Calls that clean up after the command are not in the table: if one fails, the tool tries again or prints a line, and keeps the status of the command.

Written by a test: `CHAIN_UPDATE=1 cargo test -p tests --test faults -- --ignored on_host::`
";

/// The rows of one world.
#[derive(Debug, Default)]
pub struct Table {
    /// Plan, call, status and message, in the order of their first occurrence, with the errnos.
    rows: Vec<([String; 4], Vec<String>)>,
}

impl Table {
    /// Adds a fault and its result.
    pub fn add(&mut self, plan: &str, call: &str, errno: &str, status: &str, said: &str) {
        let key = [plan, call, status, said].map(String::from);
        let at = self.rows.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.rows.push((key, Vec::new()));
            self.rows.len() - 1
        });
        if let Some((_, errnos)) = self.rows.get_mut(at)
            && !errnos.iter().any(|known| known == errno)
        {
            errnos.push(errno.to_string());
        }
    }

    /// Compares the page's section with this table, or writes it with `CHAIN_UPDATE=1`.
    #[track_caller]
    pub fn check(&self, title: String) {
        let written = documents::text(PAGE);
        let mut sections = sections(&written);
        let own = self.text();
        if documents::updating() {
            sections.insert(title, own);
            let sections = sections.iter().map(|(title, rows)| format!("\n## {title}\n\n{rows}"));
            documents::write(PAGE, &format!("{HEAD}{}", sections.collect::<String>()));
            return;
        }
        match sections.get(&title) {
            Some(rows) => {
                // another kernel can have less to hide, but prints nothing that is not on the page
                let new = unwritten(rows, &own);
                assert!(new.is_empty(), "{PAGE} differs: CHAIN_UPDATE=1 writes it\n{new}");
            }
            None => println!("{PAGE} has no section \"{title}\""),
        }
    }

    fn text(&self) -> String {
        let mut text =
            String::from("| plan | call | fails with | exit | prints |\n| --- | --- | --- | --- | --- |\n");
        for ([plan, call, status, said], errnos) in &self.rows {
            let said = said.replace('|', "\\|");
            let said = if said.starts_with('(') { said } else { format!("`{said}`") };
            text.push_str(&format!("| {plan} | {call} | {} | {status} | {said} |\n", errnos.join(" ")));
        }
        text
    }
}

/// The rows of the page by the titles of their sections.
fn sections(page: &str) -> BTreeMap<String, String> {
    let parts = page.split("\n## ").skip(1);
    let parts = parts.filter_map(|part| part.split_once("\n\n"));
    parts.map(|(title, rows)| (title.to_string(), rows.trim_end().to_string() + "\n")).collect()
}

/// The rows that the page does not have.
fn unwritten(page: &str, rows: &str) -> String {
    rows.lines()
        .filter(|row| !page.lines().any(|known| known == *row))
        .map(|row| format!("{row}\n"))
        .collect()
}

/// Who makes the calls.
pub fn caller() -> &'static str {
    if nix::unistd::geteuid().is_root() { "As root" } else { "As an ordinary user" }
}

/// The caller, and the machine's control groups.
pub fn world() -> String {
    let who = caller();
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (one, two) = (mountinfo.contains(" - cgroup "), mountinfo.contains(" - cgroup2 "));
    let groups = match (one, two) {
        (true, true) => "control groups of both versions",
        (true, false) => "control groups of version 1",
        (false, true) if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() => {
            "control groups of version 2"
        }
        _ => "no control groups",
    };
    format!("{who}, {groups}")
}
