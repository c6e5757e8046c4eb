//! A document as text in 80 columns. Chinese characters take two columns each, and lines may break between them.

use crate::document::{Block, Cell, Document, Section, Table, tame};

/// Columns of a line.
const WIDTH: usize = 80;
/// Columns of a label.
const LABEL: usize = 18;
/// Columns between two columns of a table.
const GAP: usize = 2;
/// A table whose columns would be narrower than this is set as a list.
const NARROWEST: usize = 9;

/// The document as text.
#[must_use]
pub fn text(document: &Document) -> String {
    let mut lines = wrapped(&document.title, WIDTH);
    for line in &document.lines {
        lines.extend(wrapped(line, WIDTH));
    }
    lines.push("=".repeat(WIDTH));
    for section in &document.sections {
        lines.push(String::new());
        lines.extend(set(section));
    }
    let mut text = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
    text.push('\n');
    text
}

fn set(section: &Section) -> Vec<String> {
    let mut lines = wrapped(&section.title, WIDTH);
    lines.push("-".repeat(columns(&section.title).min(WIDTH)));
    for block in &section.blocks {
        match block {
            Block::Say(text) => {
                lines.extend(wrapped(text, WIDTH));
                lines.push(String::new());
            }
            Block::Heading(text) => {
                lines.push(String::new());
                lines.extend(wrapped(text, WIDTH));
            }
            Block::Lines(rows) => {
                for (label, cells) in rows {
                    lines.extend(beside(label, cells));
                }
                lines.push(String::new());
            }
            Block::Table(table) => {
                lines.extend(tabular(table).unwrap_or_else(|| listed(table)));
                lines.push(String::new());
            }
            Block::Verbatim(text) => {
                lines.extend(tame(text).lines().map(|line| line.replace('\t', "    ")));
                lines.push(String::new());
            }
            Block::Sign(names) => {
                for name in names {
                    lines.push(String::new());
                    lines.push(format!("{} {name}", "_".repeat(30)));
                }
                lines.push(String::new());
            }
            Block::Blank(count) => lines.extend(std::iter::repeat_n("_".repeat(WIDTH), *count)),
        }
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// A label with lines beside it.
fn beside(label: &str, cells: &[Cell]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut head = pad(label, LABEL);
    if columns(label) >= LABEL {
        lines.push(label.to_owned());
        head = " ".repeat(LABEL);
    }
    for cell in cells {
        for line in wrapped(&cell.text, WIDTH - LABEL) {
            lines.push(format!("{head}{line}"));
            head = " ".repeat(LABEL);
        }
    }
    lines
}

/// Columns beside each other; nothing where they would be too narrow.
fn tabular(table: &Table) -> Option<Vec<String>> {
    let count = table.head.len();
    let room = WIDTH.checked_sub(GAP * count.saturating_sub(1))?;
    let natural: Vec<usize> = (0..count)
        .map(|index| {
            let cells = table.rows.iter().filter_map(|row| row.get(index)).map(|cell| columns(&cell.text));
            cells.chain([columns(&table.head[index])]).max().unwrap_or(0).max(1)
        })
        .collect();
    let widths = fit(&natural, room)?;
    let mut lines = side_by_side(&table.head.iter().map(String::as_str).collect::<Vec<_>>(), &widths);
    lines.push("-".repeat(widths.iter().sum::<usize>() + GAP * count.saturating_sub(1)));
    for row in &table.rows {
        let cells: Vec<&str> = row.iter().map(|cell| cell.text.as_str()).collect();
        lines.extend(side_by_side(&cells, &widths));
    }
    Some(lines)
}

/// Narrow columns get what they need; the others share what is left, those with more text more of it.
fn fit(natural: &[usize], room: usize) -> Option<Vec<usize>> {
    let mut widths = vec![0; natural.len()];
    let mut left = room;
    let mut open: Vec<usize> = (0..natural.len()).collect();
    loop {
        let share = left.checked_div(open.len()).unwrap_or(0);
        let (small, large): (Vec<usize>, Vec<usize>) =
            open.iter().copied().partition(|index| natural[*index] <= share);
        for index in &small {
            widths[*index] = natural[*index];
            left -= natural[*index];
        }
        open = large;
        if open.is_empty() {
            return Some(widths);
        }
        if small.is_empty() {
            break;
        }
    }
    let spare = left.checked_sub(NARROWEST * open.len())?;
    let wanted: usize = open.iter().map(|index| natural[*index]).sum();
    for index in open {
        widths[index] = NARROWEST + spare * natural[index] / wanted.max(1);
    }
    Some(widths)
}

fn side_by_side(cells: &[&str], widths: &[usize]) -> Vec<String> {
    let parts: Vec<Vec<String>> =
        cells.iter().zip(widths).map(|(cell, width)| wrapped(cell, *width)).collect();
    let height = parts.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|line| {
            let cells = parts.iter().zip(widths);
            cells
                .map(|(part, width)| pad(part.get(line).map_or("", String::as_str), *width))
                .collect::<Vec<_>>()
                .join(&" ".repeat(GAP))
        })
        .collect()
}

/// Each row as lines of its own: title of the column, then the cell.
fn listed(table: &Table) -> Vec<String> {
    let mut lines = Vec::new();
    for row in &table.rows {
        for (index, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.text.is_empty()) {
            let label = table.head.get(index).map_or("", String::as_str);
            lines.extend(beside(label, std::slice::from_ref(cell)));
        }
        lines.push(String::new());
    }
    lines.pop();
    lines
}

/// Columns that a terminal takes for a text.
fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// East Asian wide characters (Unicode TR 11) as far as Chinese and its punctuation use them.
fn width(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe4f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// Text in lines of at most so many columns. A word that is longer is broken.
fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in tame(text).replace('\t', " ").split('\n') {
        let mut line = String::new();
        for piece in pieces(paragraph) {
            let word = if line.is_empty() { piece.trim_start() } else { piece };
            if columns(&line) + columns(word.trim_end()) <= room {
                line.push_str(word);
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
            }
            for c in piece.trim_start().chars() {
                if columns(&line) + width(c) > room {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(c);
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// Where a line may break: behind a space, and between wide characters, but never before punctuation.
fn pieces(text: &str) -> Vec<&str> {
    let closes = |c: char| "，。；：、！？）」』》”’".contains(c);
    let opens = |c: char| "（「『《“‘".contains(c);
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut before: Option<char> = None;
    for (index, c) in text.char_indices() {
        let breaks = before.is_some_and(|before| {
            let space = before == ' ' && c != ' ';
            let wide = (width(before) == 2 || width(c) == 2) && before != ' ';
            (space || wide) && !closes(c) && !opens(before)
        });
        if breaks {
            pieces.push(&text[start..index]);
            start = index;
        }
        before = Some(c);
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_words_and_between_chinese_characters() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("三台机器，两台工作", 8), ["三台机", "器，两台", "工作"]);
        assert_eq!(columns("三台 GB"), 7);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn wide_columns_share_what_narrow_ones_leave() {
        assert_eq!(fit(&[3, 4], 20), Some(vec![3, 4]));
        assert_eq!(fit(&[3, 90, 90], 43), Some(vec![3, 20, 20]));
        assert_eq!(fit(&[20, 60], 42), Some(vec![20, 22]), "what fits is not cut");
        assert_eq!(fit(&[30, 60], 42), Some(vec![17, 25]));
        assert_eq!(fit(&[90; 10], 60), None);
    }
}
