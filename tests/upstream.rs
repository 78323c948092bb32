//! coreutils' tests of chroot(1) and util-linux' tests of unshare(1), passed by our tools.

use tests::upstream::{Slash, coreutils, util_linux};
use tests::{End, Ended, Snapshot};

/// A skipped test ends with 77 and proves nothing.
#[track_caller]
fn passes(ended: Ended) {
    ended.ended(End::Exit(0));
}

/// In this suite a skipped test prints this, and ends like one that passed.
#[track_caller]
fn is_ok(ended: Ended) {
    let said = ended.ended(End::Exit(0)).out();
    assert!(said.trim_end().ends_with("OK"), "{said}");
}

mod as_anyone {
    use super::*;

    mod with_upstream {
        use super::*;

        #[test]
        #[ignore = "needs the tests of coreutils"]
        fn chroot_fail_passes() {
            let _before = Snapshot::take();
            for options in ["--plain", ""] {
                passes(coreutils("chroot-fail.sh", options, Slash::Slash));
            }
        }
    }
}

mod as_root {
    use super::*;

    mod with_upstream {
        use super::*;

        #[test]
        #[ignore = "needs root and the tests of coreutils"]
        fn chroot_credentials_passes() {
            let _before = Snapshot::take();
            for options in ["--plain", ""] {
                passes(coreutils("chroot-credentials.sh", options, Slash::Slash));
            }
        }

        #[test]
        #[ignore = "needs root and the tests of coreutils"]
        fn chroot_credentials_passes_where_the_root_does_change() {
            let _before = Snapshot::take();
            for options in ["--plain", ""] {
                passes(coreutils("chroot-credentials.sh", options, Slash::Elsewhere));
            }
        }

        #[test]
        #[ignore = "needs root and the tests of util-linux"]
        fn forward_signals_passes() {
            let _before = Snapshot::take();
            is_ok(util_linux("unshare/forward-signals"));
            is_ok(util_linux("unshare/forward-signals-kill-child"));
        }
    }
}
