//! A line for each technical word that a reader meets on the pages before the annex.
//!
//! In the catalogues a term has `term.NAME.word` (its forms, parted by `|`, the first being the one shown) and
//! `term.NAME.means`.

use crate::words::{Language, Words};

/// A word and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The word.
    pub word: String,
    /// What it means, one sentence.
    pub means: String,
}

/// Entries for the words that stand in these texts, and for those that the entries themselves need.
#[must_use]
pub fn entries(texts: &[&str], words: Words) -> Vec<Entry> {
    let mut open: Vec<(Vec<&str>, Entry)> = words
        .texts()
        .filter_map(|(key, text)| {
            let name = key.strip_prefix("term.")?.strip_suffix(".word")?;
            let forms: Vec<&str> = text.split('|').collect();
            let means = words.text(&format!("term.{name}.means"));
            let word = forms.first().copied().unwrap_or_default().to_owned();
            Some((forms, Entry { word, means }))
        })
        .collect();
    let mut found: Vec<Entry> = Vec::new();
    let mut searched: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    loop {
        let here = |(forms, _): &mut (Vec<&str>, Entry)| {
            forms.iter().any(|form| searched.iter().any(|text| stands_in(text, form, words.language())))
        };
        let new: Vec<Entry> = open.extract_if(.., here).map(|(_, entry)| entry).collect();
        if new.is_empty() {
            break;
        }
        searched = new.iter().map(|entry| entry.means.to_lowercase()).collect();
        found.extend(new);
    }
    found.sort_by_key(|entry| entry.word.to_lowercase());
    found
}

/// Whether a word stands in a text (in lower case): as a word of its own where words are parted by spaces.
#[must_use]
pub fn stands_in(text: &str, word: &str, language: Language) -> bool {
    let word = word.to_lowercase();
    text.match_indices(&word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let latin = word.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        (language == Language::Chinese && !latin) || (!letter(before) && !letter(after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_words() {
        assert!(stands_in("a bundle.", "Bundle", Language::English));
        assert!(!stands_in("bundled", "bundle", Language::English));
        assert!(stands_in("每个安装包都", "安装包", Language::Chinese));
    }

    #[test]
    fn only_what_occurs_is_explained() {
        for language in Language::ALL {
            assert_eq!(entries(&["-"], Words::of(language)), []);
            let text = match language {
                Language::English => "The firewall.",
                Language::Chinese => "防火墙。",
            };
            assert!(!entries(&[text], Words::of(language)).is_empty());
        }
    }
}
