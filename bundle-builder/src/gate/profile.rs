//! Files with values that charts are rendered with, beside the components' own values.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use crate::recipe::{Recipe, Source};
use crate::source::{Roots, SourceError};

/// Values are small; what is larger is something else.
const LIMIT: u64 = 4 << 20;

/// A file with values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// As the recipe says it.
    pub place: String,
    /// What is in it.
    pub content: Vec<u8>,
}

/// The profiles of every chart, in the recipe's order. They are no part of the bundle, and so none of the lock.
pub fn profiles(recipe: &Recipe, roots: &Roots) -> Result<Vec<Vec<Profile>>, SourceError> {
    let read = |source: &Source| {
        let place = source.to_string();
        let path = roots.resolve(source)?;
        match content(&path) {
            Ok(content) => Ok(Profile { place, content }),
            Err(source) => Err(SourceError::Read { place, path, source }),
        }
    };
    recipe.charts.iter().map(|chart| chart.profiles.iter().map(read).collect()).collect()
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?;
    if content.len() as u64 > LIMIT {
        let what = format!("it is larger than {} MiB: these are no values of a chart", LIMIT >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(content)
}
