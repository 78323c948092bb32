//! Pictures of the documentation, drawn as SVG from text.
//!
//! `docs/pictures/NAME.txt` has a title, an empty line, and a drawing in box-drawing characters. The corners
//! of a box show its kind: round for a process, heavy for what the kernel keeps, double for a limit, plain
//! for everything else. `▶ ◀ ▲ ▼` are the heads of arrows. A word in backquotes is drawn bold; the quotes
//! take no space, so a line with them is longer by two. The colours suit a light or a dark page, by the
//! reader's preference, and the picture has its own background.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The size of a character, and of the margin, in pixels.
const CELL: (usize, usize) = (9, 20);
const MARGIN: usize = 14;

const STYLE: &str = "\
text{font:15px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#1f2328;white-space:pre}
.b{font-weight:bold}.page{fill:#f6f8fa;stroke:#d0d7de}.line{stroke:#57606a;fill:none;stroke-width:1.5}.head{fill:#57606a}
.box{fill:#fff;stroke:#57606a}.process{fill:#ddf4ff;stroke:#0969da}.kernel{fill:#dafbe1;stroke:#1a7f37}
.limit{fill:#fff8c5;stroke:#9a6700}.box,.process,.kernel,.limit{stroke-width:1.5}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#161b22;stroke:#30363d}.line{stroke:#8b949e}.head{fill:#8b949e}
.box{fill:#21262d;stroke:#8b949e}.process{fill:#0c2d6b;stroke:#58a6ff}.kernel{fill:#0f2d16;stroke:#3fb950}.limit{fill:#3b2300;stroke:#d29922}}
";

/// A terminal is dark on every page.
const TERMINAL_STYLE: &str = "\
text{font:15px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:#c9d1d9;white-space:pre}
.b{font-weight:bold;fill:#fff}.page{fill:#161b22;stroke:#8b949e}.bar{fill:#30363d}.dim{fill:#8b949e}
";

/// Corners, and the class of their box: top left, top right, bottom left, bottom right.
const BOXES: [([char; 4], &str); 4] = [
    (['╭', '╮', '╰', '╯'], "process"),
    (['┏', '┓', '┗', '┛'], "kernel"),
    (['╔', '╗', '╚', '╝'], "limit"),
    (['┌', '┐', '└', '┘'], "box"),
];

/// The directions out of a character, as bits.
const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const UP: u8 = 4;
const DOWN: u8 = 8;

/// The lines that a character draws from its centre, and whether it is the head of an arrow.
fn ways(character: char) -> u8 {
    match character {
        '─' | '━' | '═' => LEFT | RIGHT,
        '│' | '┃' | '║' => UP | DOWN,
        '┌' | '╭' | '┏' | '╔' => RIGHT | DOWN,
        '┐' | '╮' | '┓' | '╗' => LEFT | DOWN,
        '└' | '╰' | '┗' | '╚' => RIGHT | UP,
        '┘' | '╯' | '┛' | '╝' => LEFT | UP,
        '├' | '┠' | '╟' => UP | DOWN | RIGHT,
        '┤' | '┨' | '╢' => UP | DOWN | LEFT,
        '┬' | '┯' | '╤' => LEFT | RIGHT | DOWN,
        '┴' | '┷' | '╧' => LEFT | RIGHT | UP,
        '┼' => LEFT | RIGHT | UP | DOWN,
        '▶' => LEFT,
        '◀' => RIGHT,
        '▲' => DOWN,
        '▼' => UP,
        _ => 0,
    }
}

/// A closed box, measured in characters.
struct Frame {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    class: &'static str,
}

struct Drawing {
    rows: Vec<Vec<char>>,
    /// Which characters are bold, as (row, column).
    bold: BTreeSet<(usize, usize)>,
}

impl Drawing {
    fn new(text: &str) -> Self {
        let (mut rows, mut bold) = (Vec::new(), BTreeSet::new());
        for (number, line) in text.lines().enumerate() {
            let (mut row, mut is_bold) = (Vec::new(), false);
            for character in line.chars() {
                if character == '`' {
                    is_bold = !is_bold;
                    continue;
                }
                if is_bold {
                    bold.insert((number, row.len()));
                }
                row.push(character);
            }
            rows.push(row);
        }
        Self { rows, bold }
    }

    fn at(&self, row: usize, column: usize) -> char {
        self.rows.get(row).and_then(|row| row.get(column)).copied().unwrap_or(' ')
    }

    fn size(&self) -> (usize, usize) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        (columns * CELL.0 + 2 * MARGIN, self.rows.len() * CELL.1 + 2 * MARGIN)
    }

    /// The boxes, the largest first.
    fn frames(&self) -> Vec<Frame> {
        let mut found = Vec::new();
        for (top, row) in self.rows.iter().enumerate() {
            for (left, corner) in row.iter().enumerate() {
                let Some((corners, class)) = BOXES.iter().find(|(corners, _)| corners[0] == *corner) else {
                    continue;
                };
                found.extend(self.frame(top, left, corners, class));
            }
        }
        found.sort_by_key(|frame| std::cmp::Reverse((frame.right - frame.left) * (frame.bottom - frame.top)));
        found
    }

    fn frame(&self, top: usize, left: usize, corners: &[char; 4], class: &'static str) -> Option<Frame> {
        let right = (left + 1..).find(|column| ways(self.at(top, *column)) & RIGHT == 0)?;
        let bottom = (top + 1..).find(|row| ways(self.at(*row, left)) & DOWN == 0)?;
        let is_closed = self.at(top, right) == corners[1]
            && self.at(bottom, left) == corners[2]
            && self.at(bottom, right) == corners[3];
        is_closed.then_some(Frame { left, top, right, bottom, class })
    }

    /// The lines of a character that do not belong to a box.
    fn open_ways(&self, row: usize, column: usize, frames: &[Frame]) -> u8 {
        frames.iter().fold(ways(self.at(row, column)), |ways, frame| {
            let (over, under) = (row == frame.top, row == frame.bottom);
            let (before, behind) = (column == frame.left, column == frame.right);
            let mut drawn = 0;
            if (over || under) && (frame.left..=frame.right).contains(&column) {
                drawn |= if before {
                    RIGHT
                } else if behind {
                    LEFT
                } else {
                    LEFT | RIGHT
                };
            }
            if (before || behind) && (frame.top..=frame.bottom).contains(&row) {
                drawn |= if over {
                    DOWN
                } else if under {
                    UP
                } else {
                    UP | DOWN
                };
            }
            ways & !drawn
        })
    }

    /// All lines as one path: half lines that meet become one stroke.
    fn path(&self, frames: &[Frame]) -> String {
        let (columns, _) = self.size();
        let (mut across, mut down) = (BTreeSet::new(), BTreeSet::new());
        for row in 0..self.rows.len() {
            for column in 0..columns / CELL.0 {
                let ways = self.open_ways(row, column, frames);
                across.extend(
                    [(LEFT, 2 * column), (RIGHT, 2 * column + 1)]
                        .into_iter()
                        .filter(|(way, _)| ways & way != 0)
                        .map(|(_, half)| (row, half)),
                );
                down.extend(
                    [(UP, 2 * row), (DOWN, 2 * row + 1)]
                        .into_iter()
                        .filter(|(way, _)| ways & way != 0)
                        .map(|(_, half)| (column, half)),
                );
            }
        }
        let mut path = String::new();
        for (row, from, to) in strokes(&across) {
            write!(
                path,
                "M{} {}H{}",
                MARGIN * 2 + from * CELL.0,
                middle(row, CELL.1) * 2,
                MARGIN * 2 + to * CELL.0
            )
            .expect("a String takes all");
        }
        for (column, from, to) in strokes(&down) {
            write!(
                path,
                "M{} {}V{}",
                middle(column, CELL.0) * 2,
                MARGIN * 2 + from * CELL.1,
                MARGIN * 2 + to * CELL.1
            )
            .expect("a String takes all");
        }
        path
    }

    /// The words of a row: where each begins, and whether it is bold.
    fn words(&self, row: usize) -> Vec<(usize, String, bool)> {
        let mut words: Vec<(usize, String, bool)> = Vec::new();
        for (column, character) in self.rows[row].iter().enumerate() {
            let bold = self.bold.contains(&(row, column));
            match words.last_mut() {
                _ if ways(*character) != 0 => {}
                Some((start, word, same))
                    if *start + word.chars().count() == column && *same == bold && !word.ends_with("  ") =>
                {
                    word.push(*character);
                }
                _ if *character == ' ' => {}
                _ => words.push((column, character.to_string(), bold)),
            }
        }
        words.into_iter().map(|(start, word, bold)| (start, word.trim_end().to_string(), bold)).collect()
    }
}

/// Halves that meet, as (line, from, to).
fn strokes(halves: &BTreeSet<(usize, usize)>) -> Vec<(usize, usize, usize)> {
    let mut found: Vec<(usize, usize, usize)> = Vec::new();
    for (line, half) in halves {
        match found.last_mut() {
            Some((same, _, to)) if same == line && to == half => *to += 1,
            _ => found.push((*line, *half, half + 1)),
        }
    }
    found
}

/// The centre of a character along one axis.
fn middle(index: usize, cell: usize) -> usize {
    MARGIN + index * cell + cell / 2
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn text_at(column: usize, row: usize, word: &str, class: &str) -> String {
    let (x, y) = (MARGIN + column * CELL.0, MARGIN + row * CELL.1 + 15);
    let width = word.chars().count() * CELL.0;
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    format!(
        "<text x=\"{x}\" y=\"{y}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\"{class}>{}</text>\n",
        escaped(word)
    )
}

fn opened(size: (usize, usize), title: &str, style: &str) -> String {
    let (width, height) = size;
    let title = escaped(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n\
         <rect class=\"page\" x=\"1\" y=\"1\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n",
        width - 2,
        height - 2
    )
}

/// The picture of a text: a title, an empty line and a drawing.
pub fn draw(text: &str) -> String {
    let (title, drawing) = text.split_once("\n\n").unwrap_or(("", text));
    let drawing = Drawing::new(drawing);
    let mut svg = opened(drawing.size(), title, STYLE);
    let frames = drawing.frames();
    for frame in &frames {
        let radius = if frame.class == "process" { 10 } else { 3 };
        writeln!(
            svg,
            "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{radius}\"/>",
            frame.class,
            middle(frame.left, CELL.0),
            middle(frame.top, CELL.1),
            (frame.right - frame.left) * CELL.0,
            (frame.bottom - frame.top) * CELL.1,
        )
        .expect("a String takes all");
    }
    // half characters are halves of pixels
    writeln!(
        svg,
        "<path class=\"line\" transform=\"scale(.5)\" style=\"stroke-width:3\" d=\"{}\"/>",
        drawing.path(&frames)
    )
    .expect("a String takes all");
    for row in 0..drawing.rows.len() {
        for (column, character) in drawing.rows[row].iter().enumerate() {
            let (x, y) = (middle(column, CELL.0), middle(row, CELL.1));
            let points = match character {
                '▶' => format!("{},{} {},{} {},{y}", x - 4, y - 5, x - 4, y + 5, x + 5),
                '◀' => format!("{},{} {},{} {},{y}", x + 4, y - 5, x + 4, y + 5, x - 5),
                '▼' => format!("{},{} {},{} {x},{}", x - 5, y - 4, x + 5, y - 4, y + 6),
                '▲' => format!("{},{} {},{} {x},{}", x - 5, y + 4, x + 5, y + 4, y - 6),
                _ => continue,
            };
            writeln!(svg, "<polygon class=\"head\" points=\"{points}\"/>").expect("a String takes all");
        }
        for (column, word, bold) in drawing.words(row) {
            svg.push_str(&text_at(column, row, &word, if bold { "b" } else { "" }));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The picture of a terminal: commands after `$ ` or `# ` are bold, and lines from a tool of the chain are
/// dimmed.
pub fn draw_terminal(title: &str, session: &str) -> String {
    let lines: Vec<&str> = session.lines().collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0).max(60);
    let size = (columns * CELL.0 + 2 * MARGIN, (lines.len() + 1) * CELL.1 + 2 * MARGIN);
    let mut svg = opened(size, title, TERMINAL_STYLE);
    for (number, colour) in ["#ff5f57", "#febc2e", "#28c840"].into_iter().enumerate() {
        writeln!(svg, "<circle cx=\"{}\" cy=\"16\" r=\"5\" fill=\"{colour}\"/>", 20 + 18 * number)
            .expect("a String takes all");
    }
    for (row, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let class = match line {
            line if line.starts_with("$ ") || line.starts_with("# ") || line.starts_with("> ") => "b",
            line if line
                .split_once(": ")
                .is_some_and(|(tool, _)| tool.ends_with("-rs") || tool == "rootfs-fetch") =>
            {
                "dim"
            }
            _ => "",
        };
        svg.push_str(&text_at(0, row + 1, line, class));
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_a_rectangle_and_a_word_a_text() {
        let svg = draw("A title\n\n╭────╮\n│ `a` ├─▶ b\n╰────╯\n".replace("│ `a` ├", "│ `a`  ├").as_str());
        assert!(svg.contains("<title>A title</title>") && svg.contains("class=\"process\""), "{svg}");
        assert!(svg.contains(" class=\"b\">a</text>") && svg.contains(">b</text>"), "{svg}");
        // only the arrow's line is left
        assert_eq!(svg.matches('H').count(), 1, "{svg}");
        assert!(svg.contains("<polygon"), "{svg}");
    }

    #[test]
    fn what_is_not_closed_stays_a_line() {
        let svg = draw("A title\n\n┌──\n│\n");
        assert!(!svg.contains("class=\"box\"") && svg.contains('V'), "{svg}");
    }
}
