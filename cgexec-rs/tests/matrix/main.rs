//! Every environment for a command, with and without a supervisor, and every way to end: the documented
//! status, the documented line, and nothing left behind. MATRIX.md shows the table.
#![cfg(test)]

mod cell;
mod environment;
mod machine_state;
mod outcome;

use std::fmt::Write as _;

use cell::run_all;
use environment::Environment;
use outcome::{Expected, Outcome, RunMode};
use tests::{Snapshot, documents};

/// All cells of environments that nothing else on the machine disturbs.
#[track_caller]
fn check(environments: &[Environment]) {
    let before = Snapshot::take();
    run_all(environments);
    before.unchanged();
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and control groups"]
    fn root_has_every_outcome() {
        check(&[Environment::root()]);
    }
}

mod as_user {
    use super::*;

    #[test]
    #[ignore = "needs an ordinary user without a control group"]
    fn a_user_without_a_group_is_refused_what_was_asked_for_and_nothing_else() {
        check(&[Environment::user_without_a_group()]);
    }
}

mod in_vm {
    use super::*;

    #[test]
    #[ignore = "needs the VM"]
    fn a_cgroup_namespace_without_its_mount_has_every_outcome() {
        tests::vm::only_here();
        check(&[Environment::cgroup_namespace()]);
    }

    #[test]
    #[ignore = "needs the VM"]
    fn a_hierarchy_that_is_mounted_read_only_is_said_to_be() {
        tests::vm::only_here();
        check(&[Environment::read_only()]);
    }
}

mod delegated {
    use super::*;

    #[test]
    #[ignore = "needs the VM"]
    fn a_user_with_a_group_has_every_outcome_also_in_namespaces() {
        tests::vm::only_here();
        check(&[Environment::delegated(), Environment::in_namespaces("a user's group, in namespaces")]);
    }
}

mod in_v1 {
    use super::*;

    #[test]
    #[ignore = "needs the VM with version 1 alone"]
    fn root_has_every_outcome_on_version_1_alone() {
        tests::vm::only_here();
        check(&[Environment::root_on_v1()]);
    }
}

mod under_systemd {
    use super::*;

    #[test]
    #[ignore = "needs the VM with systemd, as root"]
    fn root_a_service_and_sudo_have_every_outcome() {
        tests::vm::only_here();
        run_all(&[
            Environment::root_with_systemd(),
            Environment::service(),
            Environment::undelegated_service(),
            Environment::sudo(),
        ]);
    }
}

mod under_login {
    use super::*;

    #[test]
    #[ignore = "needs the VM with systemd, as a user who logged in"]
    fn a_user_who_logged_in_has_every_outcome_also_in_namespaces() {
        tests::vm::only_here();
        run_all(&[Environment::login(), Environment::in_namespaces("a login with systemd, in namespaces")]);
    }
}

mod in_tree {
    use super::*;

    #[test]
    fn the_table_is_written_down() {
        let file = "cgexec-rs/MATRIX.md";
        let written = table();
        if documents::text(file) != written {
            assert!(documents::updating(), "{file} differs: CHAIN_UPDATE=1 writes it");
            documents::write(file, &written);
        }
    }
}

/// The page: a row for each environment and mode, a column for each outcome.
fn table() -> String {
    let mut page = String::from(
        "# What ends how\n\n\
         For each place, and for both ways to stay, the exit status of each outcome; 9 is the signal. \
         Tests run every cell, look for the printed line, and that nothing is left:\n\
         `cgexec-rs/tests/matrix`, which writes this page.\n\n| place | |",
    );
    for outcome in Outcome::ALL {
        let _ = write!(page, " {} |", outcome.name());
    }
    page.push_str(&format!("\n|{}\n", " --- |".repeat(Outcome::ALL.len() + 2)));
    let mut notes: Vec<&str> = Vec::new();
    for environment in Environment::all() {
        for mode in RunMode::ALL {
            let _ = write!(page, "| {} | `{}` |", environment.name, mode.option());
            for outcome in Outcome::ALL {
                let cell = match environment.expects(mode, outcome) {
                    Ok(Expected { end: tests::End::Exit(code), .. }) => code.to_string(),
                    Ok(Expected { end: tests::End::Signal(signal), .. }) => format!("signal {signal}"),
                    Err(why) => {
                        let at = notes.iter().position(|known| *known == why).unwrap_or_else(|| {
                            notes.push(why);
                            notes.len() - 1
                        });
                        format!("({})", at + 1)
                    }
                };
                let _ = write!(page, " {cell} |");
            }
            page.push('\n');
        }
    }
    page.push_str("\nThe commands, and the line that a supervisor prints:\n\n| | | |\n| --- | --- | --- |\n");
    for outcome in Outcome::ALL {
        let _ = writeln!(page, "| {} | {} | {} |", outcome.name(), outcome.done(), outcome.said());
    }
    page.push('\n');
    for (number, why) in notes.iter().enumerate() {
        let _ = writeln!(page, "{}. {why}", number + 1);
    }
    page + &limits_around()
}

/// The table for tests/systemd/worlds.sh.
fn limits_around() -> String {
    let mut rows = include_str!("../systemd/worlds.tab").lines();
    let mut page = String::from(
        "\n## Limits around a run\n\n\
         A limit of an outer cgexec-rs, or of the unit of systemd in which cgexec-rs runs. held: the limit also held for a\n\
         command with a higher limit of its own. refused: no group, exit status 125 and the line. ended: stopping the\n\
         unit ended all that the command had started; after a user's login, the user's systemd ends it at the last logout.\n\
         stays: it runs on, because the user lingers. A dash: this limit does not exist there.\n\n",
    );
    if let Some(row) = rows.find_map(|row| row.strip_prefix("# place")) {
        let columns = row.matches('|').count() + 1;
        let _ = writeln!(page, "| place{row} |\n|{}", " --- |".repeat(columns));
    }
    rows.for_each(|row| {
        let _ = writeln!(page, "| {} |", row.trim_end());
    });
    page
}
