//! `WORLDS.md` agrees with `worlds/known`; `tests/run worlds` finds out whether `known` is true.

use tests::documents;
use tests::worlds::known::expected;
use tests::worlds::page::{PAGE, page};

#[test]
fn the_page_says_what_is_known() {
    let written = page(&expected());
    if documents::updating() {
        documents::write(PAGE, &written);
    }
    assert!(
        documents::text(PAGE) == written,
        "CHAIN_UPDATE=1 cargo test -p tests --test worlds writes {PAGE}"
    );
}

#[test]
fn what_is_known_is_of_sessions_that_are_run() {
    assert_eq!(expected().surplus(), [""; 0]);
}
