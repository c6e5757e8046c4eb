//! A measured value and the most that it may be.

use std::fmt;

/// One figure. All of ours are such that less is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Name without blanks.
    pub name: &'static str,
    /// What was measured.
    pub value: f64,
    /// Unit without blanks.
    pub unit: &'static str,
    /// The most that it may be.
    pub target: f64,
}

impl Figure {
    /// Whether the target is met.
    pub fn passes(&self) -> bool {
        // Something that could not be measured has not passed.
        self.value.is_finite() && self.value <= self.target
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, unit, target } = self;
        let word = if self.passes() { "pass" } else { "miss" };
        write!(f, "figure {name} {value:.3} {unit} target {target} {word}")
    }
}

/// The middle one; between two, their mean. Nothing of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

/// The least of the values that at least so many percent of them are not above. Nothing of nothing.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64) -> Figure {
        Figure { name: "time", value, unit: "s", target: 20.0 }
    }

    #[test]
    fn a_figure_says_whether_it_passes() {
        assert_eq!(figure(20.0).to_string(), "figure time 20.000 s target 20 pass");
        assert_eq!(figure(20.1).to_string(), "figure time 20.100 s target 20 miss");
        assert!(!figure(f64::NAN).passes());
        assert!(!figure(f64::INFINITY).passes());
    }

    #[test]
    fn the_middle_is_found_whatever_the_order() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(&[4.0, 1.0]) - 2.5).abs() < 1e-9);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn one_of_a_hundred_may_be_slower() {
        let values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        assert!((percentile(&values, 99) - 990.0).abs() < 1e-9);
        assert!((percentile(&values, 100) - 1000.0).abs() < 1e-9);
        assert!((percentile(&[7.0], 99) - 7.0).abs() < 1e-9);
        assert!(percentile(&[], 99).is_nan());
    }
}
