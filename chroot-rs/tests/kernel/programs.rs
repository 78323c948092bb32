//! Typical programs inside, which need proc, sys and dev.

use std::process::Command;

use tests::{Terminal, tools};

use crate::jail::{Isolation, Jail};

mod as_anyone {
    use super::*;

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn tools_that_read_proc_and_dev_work() {
        let jail = Jail::new();
        for isolation in [Isolation::Default, Isolation::Chain] {
            for script in [
                "mount | grep -q ' on / '",
                "df / | grep -q ' /$'",
                "ps -o pid,comm | grep -q ' ps$'",
                "echo >/dev/null && head -c 9 /dev/zero /dev/urandom /dev/random >/dev/null",
                "echo through | cat /dev/stdin | grep -q through && ls /dev/fd/ >/dev/null",
                // needed by sem_open(3) and Python's multiprocessing
                "touch /dev/shm/sem.x && rm /dev/shm/sem.x",
                "test \"$(ls -id /dev/ptmx)\" && test -c /dev/pts/ptmx",
            ] {
                let ended = jail.run(isolation, &[], script).end();
                assert_eq!(ended.end, tests::End::Exit(0), "{isolation:?} {script}: {}", ended.err());
            }
        }
    }

    #[test]
    #[ignore = "needs busybox-static and namespaces"]
    fn a_terminal_has_a_name_inside_and_new_ones_can_be_made() {
        let jail = Jail::new();
        let mut command = Command::new(tools().chroot());
        // busybox has no script(1): opening the multiplexer is what script(1) does
        let script = "tty; exec 5<>/dev/ptmx; ls /dev/pts; read x";
        command.arg(jail.root.path("")).args(["/bin/sh", "-c", script]);
        let mut terminal = Terminal::start(command);
        terminal.wait_for("/dev/console\r\n");
        terminal.wait_for("0");
        terminal.wait_for("ptmx");
        terminal.line("");
        assert_eq!(terminal.end(), tests::End::Exit(0));
    }
}

mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root and busybox-static"]
    fn root_becomes_another_user_and_hears_itself_on_lo() {
        let script = "su user -c id | grep -q '^uid=1000(user)' && ping -c 1 -W 5 127.0.0.1 | grep -q '1 packets received'";
        let ended = Jail::new().run(Isolation::Chain, &[], script).end();
        assert_eq!(ended.end, tests::End::Exit(0), "{}", ended.err());
    }
}
