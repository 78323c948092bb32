//! The steps of a plan, as shown by a terminal.

use std::process::Command;

use tests::{Terminal, tools};

mod as_anyone {
    use super::*;

    /// The plan of two tools at a terminal; the second one prints its own part.
    fn plan_at_terminal(option: &str, columns: Option<&str>) -> String {
        let path = std::env::var("PATH").unwrap();
        let mut plan = Command::new("unshare-rs");
        plan.args(["--dry-run", option, "--uts", "--hostname=box", "unshare-rs", "--ipc", "true"]);
        plan.env("PATH", format!("{}:{path}", tools().dir().display())).env_remove("COLUMNS");
        plan.envs(columns.map(|columns| ("COLUMNS", columns)));
        let mut terminal = Terminal::start(plan);
        terminal.wait_for("become \"true\"") + &terminal.rest()
    }

    #[test]
    #[ignore = "needs a terminal of its own"]
    fn steps_stand_below_the_name_of_their_tool_and_are_as_wide_as_the_terminal() {
        let plan = "\
unshare-rs:
  enter a new UTS namespace: unshare(CLONE_NEWUTS)  # unshare(2)
  set the hostname: sethostname(\"box\", 3)  # sethostname(2)
  become \"unshare-rs\":
      execve(\"unshare-rs\", [\"unshare-rs\", \"--ipc\", \"true\"], environ)
        # execve(2)
unshare-rs: the next plan is computed outside, so its steps can differ: inside, there are other hostnames
unshare-rs:
  enter a new IPC namespace: unshare(CLONE_NEWIPC)  # unshare(2)
  become \"true\": execve(\"true\", [\"true\"], environ)  # execve(2)
";
        assert_eq!(plan_at_terminal("--explain", None), plan.replace('\n', "\r\n"));
        let narrow = plan_at_terminal("--explain", Some("50"));
        let mut steps = narrow.lines().filter(|line| line.starts_with(' '));
        assert!(steps.all(|line| line.trim_end().len() <= 50), "{narrow}");
        assert!(narrow.lines().count() > plan.lines().count(), "{narrow}");
    }

    #[test]
    #[ignore = "needs a terminal of its own"]
    fn a_short_plan_has_the_reasons_alone_also_in_the_next_tool() {
        let plan = "\
unshare-rs:
  enter a new UTS namespace
  set the hostname
  become \"unshare-rs\"
unshare-rs: the next plan is computed outside, so its steps can differ: inside, there are other hostnames
unshare-rs:
  enter a new IPC namespace
  become \"true\"
";
        assert_eq!(plan_at_terminal("--explain=short", None), plan.replace('\n', "\r\n"));
    }
}
