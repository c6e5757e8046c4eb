//! Manual pages, made from the definition of the command line: they say what `--help` says.

use clap_mangen::Man;

/// A manual page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Name of its file, e.g. `bundle-builder-lock.1`.
    pub file: String,
    /// Its text, as `man` reads it.
    pub text: String,
}

/// The pages of `command`: its own first, then one for each verb, and for each verb of a verb.
#[must_use]
pub fn pages(command: clap::Command) -> Vec<Page> {
    // Every verb has `--help`; a page for each `help VERB` would say the same again.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add(&command, &mut pages);
    pages
}

fn add(command: &clap::Command, pages: &mut Vec<Page>) {
    let man = Man::new(command.clone());
    let mut text = Vec::new();
    // Writing to memory does not fail.
    if man.render(&mut text).is_ok() {
        // What comes after the options are notes and examples.
        let text = String::from_utf8_lossy(&text).replace("\n.SH EXTRA\n", "\n.SH NOTES\n");
        pages.push(Page { file: man.get_filename(), text });
    }
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        add(verb, pages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_and_the_program_comes_first() {
        let command = clap::Command::new("tool")
            .subcommand(clap::Command::new("make").about("Makes it").after_help("Examples:\n  tool make"))
            .subcommand(clap::Command::new("secret").hide(true));
        let pages = pages(command);
        let files: Vec<&str> = pages.iter().map(|page| page.file.as_str()).collect();
        assert_eq!(files, ["tool.1", "tool-make.1"]);
        assert!(pages[1].text.contains(".SH NOTES\nExamples:\n"), "{}", pages[1].text);
    }
}
