//! The pictures of the documentation are drawn from their texts; each is shown on a page and fits.

use tests::documents;
use tests::pictures::{draw, draw_terminal};

const PICTURES: &str = "docs/pictures/";

/// Compares a picture with what is committed, or writes it.
#[track_caller]
fn hold(path: &str, drawn: &str) {
    if documents::updating() {
        documents::write(path, drawn);
    }
    assert!(
        documents::text(path) == drawn,
        "CHAIN_UPDATE=1 cargo test -p tests --test pictures writes {path}"
    );
}

#[test]
fn each_picture_is_what_its_text_makes() {
    let mut pictures = 0;
    for (text, drawing) in documents::starting_with(PICTURES).filter(|(path, _)| path.ends_with(".txt")) {
        hold(&text.replace(".txt", ".svg"), &draw(drawing));
        pictures += 1;
    }
    assert!(pictures >= 6, "only {pictures} texts were found");
}

/// The session is the first one of README.md, which the tests of the pages run.
#[test]
fn the_terminal_shows_the_first_session_of_the_readme() {
    let page = documents::text("README.md");
    let (_, rest) = page.split_once("```console login\n").expect("README.md has a session");
    let (session, _) = rest.split_once("```").expect("a fence has an end");
    let session = session.replace(": [..] files, [..]", ": 306 files, 32 MB");
    let session = session.replace("\n? 7\n", "\n$ echo $?\n7\n");
    assert!(!session.contains("[..]"), "a picture cannot show a wildcard: {session}");
    hold(
        "docs/pictures/first-command.svg",
        &draw_terminal("A terminal: the first command, and what it prints", &session),
    );
}

#[test]
fn each_picture_is_on_a_page_and_narrow_enough() {
    let pages: Vec<&str> = documents::starting_with("")
        .filter(|(path, _)| path.ends_with(".md"))
        .map(|(_, text)| text)
        .collect();
    for (path, svg) in documents::starting_with(PICTURES).filter(|(path, _)| path.ends_with(".svg")) {
        let name = path.trim_start_matches("docs/");
        assert!(pages.iter().any(|page| page.contains(&format!("{name})"))), "no page shows {path}");
        let width =
            svg.split_once(" width=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(width, _)| width);
        let width: usize = width.and_then(|width| width.parse().ok()).expect("a width in pixels");
        assert!(width <= 960, "{path} is {width} pixels wide");
    }
}
