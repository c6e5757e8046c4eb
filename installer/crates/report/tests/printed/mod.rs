//! The pages as people get them: printed by Chromium on A4, and at the width of a phone.
//!
//! Nothing is loaded from anywhere, and no name is looked up.

use std::path::{Path, PathBuf};
use std::process::Command;

use sealift_bundle::testing::sample_document;
use sealift_report::document::Block;
use sealift_report::questionnaire::sheet;
use sealift_report::{Document, Language, Words, document, html};
use tempfile::TempDir;

use super::cases;

/// Most pages before the annex.
const MOST: usize = 6;
/// A4 and its margins at the sides, points.
const PAPER: &str = "594.96 x 841.92 pts (A4)";
const LEFT: f64 = 42.5;
const RIGHT: f64 = 594.96 - LEFT;
/// Width of a phone, pixels.
const PHONE: u32 = 375;

/// What a program says; both of its packages are among those that the tests stand on.
fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program)
        .args(words)
        .output()
        .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?} failed: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// Chromium without a window, with settings of its own that are thrown away.
fn chromium(words: &[&str], page: &Path) -> String {
    let settings = TempDir::new().unwrap();
    let settings = format!("--user-data-dir={}", settings.path().display());
    let address = format!("file://{}", page.display());
    // Its own sandbox cannot be had as root, and what it opens here are our own pages.
    let always = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND", &settings];
    said("chromium-headless-shell", &[&always, words, &[&address]].concat())
}

fn squashed(text: &str) -> String {
    text.split_whitespace().collect()
}

/// A document on paper.
struct Print {
    name: String,
    file: PathBuf,
    /// The text of each page.
    pages: Vec<String>,
}

impl Print {
    fn of(folder: &Path, name: &str, set: &Document) -> Self {
        let page = folder.join(format!("{name}.html"));
        std::fs::write(&page, html(set)).unwrap();
        // Kept, for people to look at.
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("report-{name}.pdf"));
        chromium(&["--no-pdf-header-footer", &format!("--print-to-pdf={}", file.display())], &page);
        let text = said("pdftotext", &[file.to_str().unwrap(), "-"]);
        let pages = text.split_terminator('\u{c}').map(ToOwned::to_owned).collect();
        Self { name: name.to_owned(), file, pages }
    }

    /// Every page is A4, and its words keep to its margins. Chromium makes everything smaller where something is too
    /// wide: the title of 16 points tells.
    fn fits_the_paper(&self) {
        let file = self.file.to_str().unwrap();
        let sizes = said("pdfinfo", &["-l", "-1", file]);
        let sizes: Vec<&str> = sizes.lines().filter(|line| line.contains(" size: ")).collect();
        let sizes: Vec<&&str> = sizes.iter().filter(|line| line.starts_with("Page ")).collect();
        assert_eq!(sizes.len(), self.pages.len(), "{}", self.name);
        assert!(sizes.iter().all(|line| line.ends_with(PAPER)), "{}: {sizes:?}", self.name);
        let words = said("pdftotext", &["-bbox", file, "-"]);
        let words: Vec<&str> = words.lines().filter(|line| line.contains("<word ")).collect();
        let edge = |word: &str, name: &str| -> f64 {
            let (_, rest) = word.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap().parse().unwrap()
        };
        for word in &words {
            let inside = edge(word, "xMin") >= LEFT - 2.0 && edge(word, "xMax") <= RIGHT + 2.0;
            assert!(inside, "{} reaches beyond its margin: {word}", self.name);
        }
        let largest = words.iter().map(|word| edge(word, "yMax") - edge(word, "yMin")).fold(0.0, f64::max);
        assert!(largest > 16.0, "{} was made smaller: its title is {largest} points high", self.name);
    }

    /// No page ends with a title whose section or table begins on the next one, and none is empty.
    fn breaks_where_it_may(&self, set: &Document) {
        let titles = set.sections.iter().flat_map(|section| {
            let headings = section.blocks.iter().filter_map(|block| match block {
                Block::Heading(text) => Some(text.as_str()),
                _ => None,
            });
            headings.chain([section.title.as_str()]).map(squashed).collect::<Vec<_>>()
        });
        let titles: Vec<String> = titles.collect();
        for (index, page) in self.pages.iter().enumerate() {
            let around = [format!("{}/{}", index + 1, self.pages.len()), squashed(&set.running)];
            let mut lines = page.lines().map(squashed).filter(|line| !line.is_empty());
            let last = lines.rfind(|line| !around.contains(line));
            let last = last.unwrap_or_else(|| panic!("{}: page {} is empty", self.name, index + 1));
            assert!(!titles.contains(&last), "{}: page {} ends with `{last}`", self.name, index + 1);
        }
    }

    /// Chinese has letters of a font that has them; English needs none.
    fn has_its_letters(&self, language: Language) {
        let fonts = said("pdffonts", &[self.file.to_str().unwrap()]);
        let others = fonts.lines().skip(2).filter_map(|line| line.split_once('+')).any(|(_, name)| {
            // These are the ones for Latin letters that the style names first.
            !name.starts_with("Liberation")
        });
        assert_eq!(others, language == Language::Chinese, "{}:\n{fonts}", self.name);
    }
}

/// Every sort of report in one language, and the questions.
fn documents(language: Language) -> Vec<(String, Document)> {
    let tag = language.tag();
    let named =
        |(name, world): (&str, super::World)| (format!("{name}-{tag}"), document(&world.report(), language));
    let sample = sample_document();
    let questions = (format!("questions-{tag}"), sheet(Some(&sample), Words::of(language)));
    cases().into_iter().map(named).chain([questions]).collect()
}

fn all_print_well(language: Language) {
    let folder = TempDir::new().unwrap();
    for (name, set) in documents(language) {
        let print = Print::of(folder.path(), &name, &set);
        print.fits_the_paper();
        print.breaks_where_it_may(&set);
        print.has_its_letters(language);
        let annex = set.sections.iter().find(|section| section.annex).map(|section| squashed(&section.title));
        let begins = |page: &String| page.lines().any(|line| Some(squashed(line)) == annex);
        let main = print.pages.iter().position(begins).unwrap_or(print.pages.len());
        assert!((1..=MOST).contains(&main), "{name}: {main} pages before the annex");
        assert_eq!(annex.is_some(), main < print.pages.len(), "{name}: the annex begins a page");
        let first = squashed(&print.pages[0]);
        assert!(first.contains(&squashed(&set.title)), "{name}:\n{}", print.pages[0]);
        let decision = set.sections.iter().filter(|section| section.id == "decision");
        let cells = decision.flat_map(|section| &section.blocks).flat_map(|block| match block {
            Block::Lines(lines) => lines.iter().flat_map(|(_, cells)| cells).collect(),
            _ => Vec::new(),
        });
        for cell in cells {
            assert!(first.contains(&squashed(&cell.text)), "{name}: `{}` is not on page 1", cell.text);
        }
    }
}

#[test]
fn english_pages_print_on_few_sheets_of_a4() {
    all_print_well(Language::English);
}

#[test]
fn chinese_pages_print_on_few_sheets_of_a4() {
    all_print_well(Language::Chinese);
}

/// All of them beside each other in frames as wide as a phone: each says how wide its content is.
#[test]
fn no_page_is_wider_than_a_phone() {
    let folder = TempDir::new().unwrap();
    let (mut frames, mut names) = (Vec::new(), Vec::new());
    for (name, set) in Language::ALL.into_iter().flat_map(documents) {
        std::fs::write(folder.path().join(format!("{name}.html")), html(&set)).unwrap();
        frames.push(format!("<iframe id=\"{name}\" src=\"{name}.html\"></iframe>"));
        names.push(name);
    }
    let (wall, frames) = (folder.path().join("wall.html"), frames.join("\n"));
    let page = format!(
        "<!doctype html><style>iframe {{ border: 0; width: {PHONE}px; height: 812px; }}</style>\n{frames}<pre></pre>
<script>
  onload = () => {{
    const wide = frame => [frame.contentWindow.innerWidth, frame.contentDocument.documentElement.scrollWidth];
    const line = frame => [frame.id, ...wide(frame)].join(' ');
    const lines = [...document.querySelectorAll('iframe')].map(line);
    document.querySelector('pre').textContent = lines.join('\\n');
  }};
</script>"
    );
    std::fs::write(&wall, page).unwrap();
    let dom = chromium(&["--hide-scrollbars", "--allow-file-access-from-files", "--dump-dom"], &wall);
    let (_, lines) = dom.split_once("<pre>").unwrap();
    let (lines, _) = lines.split_once("</pre>").unwrap();
    let expected: Vec<String> = names.iter().map(|name| format!("{name} {PHONE} {PHONE}")).collect();
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
}
