//! A document as one HTML file: no scripts, no fonts, no pictures, nothing from elsewhere; prints on A4.

use std::fmt::Write as _;

use crate::document::{Block, Cell, Document, Mark, Section, Table, tame};

/// Nothing may be loaded or run, whatever a name in the profile looks like.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The document as HTML.
#[must_use]
pub fn html(document: &Document) -> String {
    let mut page = Page(String::new());
    page.raw("<!doctype html>\n<html lang=\"");
    page.raw(document.language.tag());
    page.raw("\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"");
    page.text(POLICY);
    page.raw("\">\n<title>");
    page.text(&document.title);
    page.raw("</title>\n<style>\n");
    page.raw(include_str!("style.css"));
    page.raw(&running(&document.running));
    page.raw("</style>\n</head>\n<body>\n<header>\n");
    page.tag("h1", "", &document.title);
    for line in &document.lines {
        page.tag("p", "", line);
    }
    page.raw("</header>\n<main>\n");
    for section in &document.sections {
        page.section(section);
    }
    page.raw("</main>\n</body>\n</html>\n");
    page.0
}

/// Name and page number on every printed page. Everything but letters and digits is escaped as CSS does, so that no
/// name ends the text or the style. A blank ends each escape, or the next blank of the text would.
fn running(text: &str) -> String {
    let mut escaped = String::new();
    for c in tame(text).chars() {
        if c.is_ascii_alphanumeric() || c == ' ' {
            escaped.push(c);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\{:06x} ", u32::from(c));
        }
    }
    format!("@page {{ @top-left {{ content: \"{escaped}\"; }} }}\n")
}

struct Page(String);

impl Page {
    /// Markup of ours.
    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Anything else.
    fn text(&mut self, text: &str) {
        for c in tame(text).chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c => self.0.push(c),
            }
        }
    }

    fn open(&mut self, tag: &str, class: &str) {
        self.0.push('<');
        self.0.push_str(tag);
        if !class.is_empty() {
            self.0.push_str(" class=\"");
            self.0.push_str(class);
            self.0.push('"');
        }
        self.0.push('>');
    }

    fn close(&mut self, tag: &str) {
        self.0.push_str("</");
        self.0.push_str(tag);
        self.0.push_str(">\n");
    }

    fn tag(&mut self, tag: &str, class: &str, text: &str) {
        self.open(tag, class);
        self.text(text);
        self.close(tag);
    }

    fn section(&mut self, section: &Section) {
        let class = match (section.annex, section.new_page) {
            (true, true) => " class=\"annex page\"",
            (true, false) => " class=\"annex\"",
            (false, true) => " class=\"page\"",
            (false, false) => "",
        };
        self.raw(&format!("<section id=\"{}\"{class}>\n", section.id));
        self.tag("h2", "", &section.title);
        for block in &section.blocks {
            self.block(block);
        }
        self.close("section");
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Say(text) => self.tag("p", "", text),
            Block::Heading(text) => self.tag("h3", "", text),
            Block::Verbatim(text) => self.tag("pre", "", text),
            Block::Lines(lines) => {
                self.raw("<dl>\n");
                for (label, cells) in lines {
                    self.tag("dt", "", label);
                    self.raw("<dd>");
                    for cell in cells {
                        self.raw("<div>");
                        self.cell(cell);
                        self.raw("</div>");
                    }
                    self.close("dd");
                }
                self.close("dl");
            }
            Block::Table(table) => self.table(table),
            Block::Sign(names) => {
                self.raw("<div class=\"sign\">\n");
                for name in names {
                    self.tag("div", "", name);
                }
                self.close("div");
            }
            Block::Blank(lines) => {
                for _ in 0..*lines {
                    self.raw("<div class=\"blank\"></div>\n");
                }
            }
        }
    }

    fn table(&mut self, table: &Table) {
        self.raw("<table>\n<thead><tr>");
        for title in &table.head {
            self.raw("<th scope=\"col\">");
            self.text(title);
            self.raw("</th>");
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for row in &table.rows {
            self.raw("<tr>");
            for (index, cell) in row.iter().enumerate() {
                self.raw("<td data-label=\"");
                self.text(table.head.get(index).map_or("", String::as_str));
                self.raw("\">");
                self.cell(cell);
                self.raw("</td>");
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody>\n</table>\n");
    }

    fn cell(&mut self, cell: &Cell) {
        let class = match cell.mark {
            Mark::Plain => "",
            Mark::Strong => "strong",
            Mark::Good => "mark good",
            Mark::Warn => "mark warn",
            Mark::Bad => "mark bad",
        };
        if class.is_empty() {
            self.text(&cell.text);
        } else {
            self.open("span", class);
            self.text(&cell.text);
            self.raw("</span>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_wrote_is_markup() {
        let mut page = Page(String::new());
        page.text("<script>alert(\"a & 'b'\")</script>\u{1b}[2J\u{202e}");
        assert_eq!(
            page.0,
            "&lt;script&gt;alert(&quot;a &amp; &#39;b&#39;&quot;)&lt;/script&gt;\u{fffd}[2J\u{fffd}"
        );
        let style = running("a\"; } </style><script> 工厂");
        assert!(!style.contains('<') && style.matches('"').count() == 2, "{style}");
        assert!(style.contains("\\005de5 \\005382 "), "{style}");
        assert!(running("plant, 23").contains("plant\\00002c  23"), "the blank behind the comma stays");
    }
}
