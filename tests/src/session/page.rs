//! The sessions of a page, parsed but not run.

use crate::session_kind::SessionKind;

/// A session of a page.
#[derive(Debug)]
pub struct Session {
    pub(super) page: &'static str,
    pub(super) line: usize,
    /// Its number on the page, from 1.
    pub(super) number: usize,
    pub(super) world: SessionKind,
    /// One block, or all blocks of a typed page.
    pub(super) blocks: Vec<Block>,
}

/// The text between two fences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) text: String,
    pub(super) terminal: Terminal,
}

/// The terminal that a block is typed into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Terminal {
    First,
    Second,
}

/// A command and its expected output.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) prompt: char,
    pub(super) command: String,
    pub(super) answer: String,
}

impl Exchange {
    /// As a page shows it, with this output.
    pub(super) fn shown(&self, answer: &str) -> String {
        format!("{} {}\n{answer}", self.prompt, self.command.replace('\n', "\n> "))
    }
}

/// The pages whose sessions are typed into a terminal.
pub(super) const TYPED: &str = "docs/course/";

/// The sessions of a page.
///
/// # Panics
/// If a fence is not closed or its second word is unknown.
#[track_caller]
pub fn sessions(page: &'static str, text: &str) -> Vec<Session> {
    let mut found: Vec<Session> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, fence)) = lines.next() {
        let Some(info) = fence.strip_prefix("```") else { continue };
        let Some(text) = body(&mut lines) else { panic!("{page}:{}: this fence has no end", number + 1) };
        let Some(info) = info.strip_prefix("console") else { continue };
        let mut words = info.split_whitespace();
        let world = match words.next() {
            None => SessionKind::Anyone,
            Some(word) => SessionKind::named(word)
                .unwrap_or_else(|| panic!("{page}:{}: {word:?} is not a world", number + 1)),
        };
        let terminal = match words.next() {
            None => Terminal::First,
            Some("second") if page.starts_with(TYPED) => Terminal::Second,
            Some(other) => panic!("{page}:{}: {other:?} is not a terminal", number + 1),
        };
        let block = Block { text, terminal };
        match found.last_mut() {
            Some(session) if page.starts_with(TYPED) => {
                assert_eq!(
                    session.world,
                    world,
                    "{page}:{}: a page of the course has one reader",
                    number + 1
                );
                session.blocks.push(block);
            }
            _ => {
                let count = found.len() + 1;
                found.push(Session { page, line: number + 1, number: count, world, blocks: vec![block] });
            }
        }
    }
    found
}

/// The lines before the end of a fence.
fn body<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Option<String> {
    let mut body = String::new();
    loop {
        let (_, line) = lines.next()?;
        if line == "```" {
            return Some(body);
        }
        body.push_str(line);
        body.push('\n');
    }
}

/// The commands of a block, each with the output below it.
///
/// # Errors
/// If it does not start with a command.
pub(super) fn exchanges(text: &str, prompts: &[char]) -> Result<Vec<Exchange>, String> {
    let mut found: Vec<Exchange> = Vec::new();
    for line in text.lines() {
        let typed =
            prompts.iter().find_map(|prompt| Some((*prompt, line.strip_prefix(*prompt)?.strip_prefix(' ')?)));
        if let Some((prompt, command)) = typed {
            found.push(Exchange { prompt, command: command.to_string(), answer: String::new() });
            continue;
        }
        let last = found.last_mut().ok_or("a session starts with a command: $ ")?;
        match line.strip_prefix("> ") {
            Some(more) if last.answer.is_empty() => {
                last.command.push('\n');
                last.command.push_str(more);
            }
            _ => {
                last.answer.push_str(line);
                last.answer.push('\n');
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_fence_by_fence() {
        let page = "text\n```console\n$ a\n```\n```sh\n$ no\n```\n```console root\n$ b \\\n> c\nd\n```\n";
        let found = sessions("page.md", page);
        let read: Vec<_> =
            found.iter().map(|found| (found.line, found.world, found.blocks[0].text.as_str())).collect();
        assert_eq!(read, [(2, SessionKind::Anyone, "$ a\n"), (8, SessionKind::Root, "$ b \\\n> c\nd\n")]);
    }

    #[test]
    fn a_page_of_the_course_is_one_session() {
        let page = "```console root\n$ a\n```\ntext\n```console root second\n$ b\n```\n";
        let found = sessions("docs/course/01.md", page);
        let blocks: Vec<_> = found[0].blocks.iter().map(|block| block.terminal).collect();
        assert_eq!((found.len(), blocks), (1, vec![Terminal::First, Terminal::Second]));
    }
}
