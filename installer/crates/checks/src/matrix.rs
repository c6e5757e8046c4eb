//! Groups by hosts: what was found, in one mark for each place. For every front end the same; how it is drawn is theirs.

use std::collections::BTreeMap;

use sealift_profile::AcceptedRisk;

use crate::finding::{Finding, Group, State};
use crate::run::acceptance;

/// Least columns of a host: two digits and a blank.
const COLUMN: usize = 3;
/// The same where the digits of its number stand below each other.
const STACKED: usize = 2;

/// How a place of the matrix came out, from what says least to what is gravest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Does not apply as things are.
    NotRun,
    /// As it should be.
    Pass,
    /// Works, but somebody should know.
    Warn,
    /// In the way, and somebody accepts that.
    Accepted,
    /// Something else must be right first.
    Blocked,
    /// The check itself could not be made.
    Error,
    /// In the way.
    Fail,
}

impl Mark {
    /// All, from what says least.
    pub const ALL: [Self; 7] =
        [Self::NotRun, Self::Pass, Self::Warn, Self::Accepted, Self::Blocked, Self::Error, Self::Fail];

    /// Of one finding, as long as these risks are accepted.
    #[must_use]
    pub fn of(finding: &Finding, risks: &[AcceptedRisk]) -> Self {
        match finding.state {
            State::NotRun => Self::NotRun,
            State::Pass => Self::Pass,
            State::Warn => Self::Warn,
            State::Blocked => Self::Blocked,
            State::Error => Self::Error,
            State::Fail if acceptance(finding, risks).is_some() => Self::Accepted,
            State::Fail => Self::Fail,
        }
    }

    /// The letter that stands in the matrix.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::NotRun => '-',
            Self::Pass => '.',
            Self::Warn => 'W',
            Self::Accepted => 'A',
            Self::Blocked => 'B',
            Self::Error => '?',
            Self::Fail => 'F',
        }
    }
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatrixRow {
    /// Which.
    pub group: Group,
    /// The gravest mark on each host, in the matrix' order; none where nothing was looked at.
    pub hosts: Vec<Option<Mark>>,
    /// The gravest mark of what concerns the site as a whole, if anything does.
    pub site: Option<Mark>,
}

/// The gravest finding of each group on each host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// Names of the hosts.
    pub hosts: Vec<String>,
    /// The groups of which anything is known.
    pub rows: Vec<MatrixRow>,
}

/// How the hosts stand beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Columns of a host, with the blank before it.
    pub width: usize,
    /// How many hosts stand beside each other; the others stand in blocks below.
    pub at_once: usize,
    /// Whether hosts stand under their names; else under their numbers from 1, and somebody has to say which is which.
    pub by_name: bool,
    /// The lines above the hosts, each with a text for every host.
    pub heads: Vec<Vec<String>>,
}

impl Matrix {
    /// Of these findings on these hosts, as long as these risks are accepted.
    #[must_use]
    pub fn of(findings: &[Finding], hosts: Vec<String>, risks: &[AcceptedRisk]) -> Self {
        let mut marks: BTreeMap<(Group, Option<&str>), Mark> = BTreeMap::new();
        for finding in findings {
            let mark = Mark::of(finding, risks);
            let place = marks.entry((finding.group, finding.host.as_deref())).or_insert(mark);
            *place = (*place).max(mark);
        }
        let row = |group: Group| MatrixRow {
            group,
            hosts: hosts.iter().map(|host| marks.get(&(group, Some(host.as_str()))).copied()).collect(),
            site: marks.get(&(group, None)).copied(),
        };
        let known = |row: &MatrixRow| row.site.is_some() || row.hosts.iter().any(Option::is_some);
        let rows = Group::ALL.into_iter().map(row).filter(known).collect();
        Self { hosts, rows }
    }

    /// How the hosts stand in so many columns: under their names where these fit, else under numbers.
    #[must_use]
    pub fn columns(&self, room: usize) -> Columns {
        let count = self.hosts.len();
        let widest = self.hosts.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let named = (widest + 1).max(COLUMN);
        if count * named <= room {
            return Columns {
                width: named,
                at_once: count.max(1),
                by_name: true,
                heads: vec![self.hosts.clone()],
            };
        }
        let numbers = (1..=count).map(|number| number.to_string()).collect();
        // Three digits fill a column: then there is a column more between numbers.
        let width = if count > 99 { COLUMN + 1 } else { COLUMN };
        Columns { width, at_once: (room / width).max(1), by_name: false, heads: vec![numbers] }
    }

    /// The same where more hosts shall stand beside each other: where numbers do not fit, their digits stand below each
    /// other.
    #[must_use]
    pub fn narrow_columns(&self, room: usize) -> Columns {
        let columns = self.columns(room);
        if columns.by_name || columns.at_once >= self.hosts.len() {
            return columns;
        }
        let numbers = &columns.heads[0];
        let lines = numbers.last().map_or(0, String::len);
        let digit = |number: &String, line: usize| {
            let missing = lines - number.len();
            let digit = line.checked_sub(missing).and_then(|at| number.chars().nth(at));
            digit.map_or_else(|| " ".to_owned(), |digit| digit.to_string())
        };
        let heads =
            (0..lines).map(|line| numbers.iter().map(|number| digit(number, line)).collect()).collect();
        Columns { width: STACKED, at_once: (room / STACKED).max(1), by_name: false, heads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(count: usize, name: impl Fn(usize) -> String) -> Matrix {
        Matrix::of(&[], (1..=count).map(name).collect(), &[])
    }

    #[test]
    fn hosts_stand_under_names_numbers_or_digits_below_each_other() {
        let few = matrix(5, |number| format!("m{number}")).narrow_columns(68);
        assert_eq!((few.by_name, few.width, few.heads.len()), (true, 3, 1));
        let more = matrix(20, |number| format!("node-{number}")).narrow_columns(68);
        assert_eq!((more.by_name, more.width, more.at_once), (false, 3, 22));
        let many = matrix(24, |number| format!("node-{number}"));
        assert_eq!(many.columns(68).at_once, 22);
        let many = many.narrow_columns(68);
        assert_eq!((many.width, many.at_once, many.heads.len()), (2, 34, 2));
        assert_eq!((many.heads[0][8].as_str(), many.heads[1][8].as_str()), (" ", "9"));
        assert_eq!((many.heads[0][22].as_str(), many.heads[1][22].as_str()), ("2", "3"));
        assert_eq!(matrix(100, |number| number.to_string()).narrow_columns(68).heads.len(), 3);
    }

    #[test]
    fn every_mark_has_a_letter_of_its_own() {
        let letters: std::collections::BTreeSet<char> = Mark::ALL.into_iter().map(Mark::letter).collect();
        assert_eq!(letters.len(), Mark::ALL.len());
        assert!(Mark::ALL.is_sorted());
    }
}
