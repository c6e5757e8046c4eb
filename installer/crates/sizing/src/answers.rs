//! What the site told, with what is assumed for the rest, as whole numbers.

use sealift_bundle::sizing::{BasisKind, SizingModel};
use sealift_profile::{Availability, Needs};
use serde::Serialize;

use crate::words::{self, decimal, disk, grouped};

/// One answer of the site, or what was assumed in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// Key in the profile, e.g. `needs.users`.
    pub key: String,
    /// Value with unit and meaning, one clause: `10 % of people work at the same time`.
    pub text: String,
    /// The value alone, as `text` has it, for those who say it in another language: `2,000`, `0.3`, `160 MB`; of
    /// `needs.availability` the word that the profile has.
    pub value: String,
    /// Whether nobody said so. Wrong assumptions are the main reason why sites turn out too small: show these first.
    pub assumed: bool,
}

/// People with an account, where nothing is said.
const USERS: u32 = 100;
/// How many of a hundred work at the same time.
const CONCURRENT_PERCENT: u32 = 10;
/// Seconds between two clicks.
const THINK_SECONDS: f64 = 10.0;
/// Seconds that an answer takes.
const RESPONSE_SECONDS: f64 = 0.3;
/// The busiest minute against the busy hour.
const PEAK_FACTOR: f64 = 2.0;
/// Days that data are kept.
const RETENTION_DAYS: u32 = 365;
/// Growth of people and data, percent a year.
const GROWTH_PERCENT: u32 = 20;
/// Years to look ahead.
const YEARS: u32 = 2;

/// All answers as whole numbers.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    pub users: u64,
    pub concurrent_percent: u64,
    pub think_ms: u64,
    pub response_ms: u64,
    pub peak_thousandths: u64,
    pub bytes_per_day: u64,
    pub retention_days: u64,
    pub users_growth: u64,
    pub data_growth: u64,
    pub years: u32,
    pub spare: bool,
    pub list: Vec<Answer>,
}

/// Thousandths of a number that is in its range; a number that is none counts as nothing.
fn thousandths(number: f64) -> u64 {
    let rounded = (number * 1000.0).round();
    // In range: needs end at 1e5, and a cast of what is beyond saturates.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = rounded as u64;
    whole
}

impl Answers {
    pub fn new(needs: &Needs, model: &SizingModel) -> Self {
        let mut list = Vec::new();
        let mut answer = |key: &str, value: String, text: String, assumed: bool| {
            list.push(Answer { key: format!("needs.{key}"), text, value, assumed });
        };
        let growth = needs.growth.unwrap_or_default();
        let users = u64::from(needs.users.unwrap_or(USERS));
        let value = grouped(users);
        answer("users", value.clone(), format!("{value} people have an account"), needs.users.is_none());
        let concurrent = needs.concurrent_percent.unwrap_or(CONCURRENT_PERCENT);
        answer(
            "concurrentPercent",
            concurrent.to_string(),
            format!("{concurrent} % of people work at the same time"),
            needs.concurrent_percent.is_none(),
        );
        let think_ms = thousandths(needs.think_seconds.unwrap_or(THINK_SECONDS)).max(1);
        answer(
            "thinkSeconds",
            decimal(think_ms),
            format!("a person at work clicks every {} seconds", decimal(think_ms)),
            needs.think_seconds.is_none(),
        );
        let response_ms = thousandths(needs.response_seconds.unwrap_or(RESPONSE_SECONDS));
        answer(
            "responseSeconds",
            decimal(response_ms),
            format!("an answer may take {} seconds", decimal(response_ms)),
            needs.response_seconds.is_none(),
        );
        let peak_thousandths = thousandths(needs.peak_factor.unwrap_or(PEAK_FACTOR));
        answer(
            "peakFactor",
            decimal(peak_thousandths),
            format!("the busiest minute has {} times the work of an average one", decimal(peak_thousandths)),
            needs.peak_factor.is_none(),
        );
        let per_user = u64::from(model.kilobytes_per_user_per_day) * 1000;
        let told =
            needs.data_gigabytes_per_day.map(|gigabytes| thousandths(gigabytes).saturating_mul(1_000_000));
        let bytes_per_day = told.unwrap_or(users.saturating_mul(per_user));
        answer(
            "dataGigabytesPerDay",
            disk(bytes_per_day),
            if told.is_some() {
                format!("{} of new data a day", disk(bytes_per_day))
            } else {
                format!("{} of new data a day: {} for each person", disk(bytes_per_day), small(per_user))
            },
            told.is_none(),
        );
        let retention = needs.retention_days.unwrap_or(RETENTION_DAYS);
        answer(
            "retentionDays",
            retention.to_string(),
            format!("data are kept for {retention} days"),
            needs.retention_days.is_none(),
        );
        let users_growth = growth.users_percent_per_year.unwrap_or(GROWTH_PERCENT);
        answer(
            "growth.usersPercentPerYear",
            users_growth.to_string(),
            format!("{users_growth} % more people each year"),
            growth.users_percent_per_year.is_none(),
        );
        let data_growth = growth.data_percent_per_year.unwrap_or(GROWTH_PERCENT);
        answer(
            "growth.dataPercentPerYear",
            data_growth.to_string(),
            format!("{data_growth} % more new data each year"),
            growth.data_percent_per_year.is_none(),
        );
        let years = growth.years.unwrap_or(YEARS);
        let ahead = if years == 1 { "1 year".to_owned() } else { format!("{years} years") };
        let text = format!("the machines shall do for {ahead}");
        answer("growth.years", years.to_string(), text, growth.years.is_none());
        let spare = needs.availability != Some(Availability::NoSpare);
        let (value, text) = if spare {
            ("one-machine-may-fail", "work goes on when any one machine fails")
        } else {
            ("no-spare", "work may stop when a machine fails, until it is back")
        };
        answer("availability", value.to_owned(), text.to_owned(), needs.availability.is_none());
        Self {
            users,
            concurrent_percent: u64::from(concurrent),
            think_ms,
            response_ms,
            peak_thousandths,
            bytes_per_day,
            retention_days: u64::from(retention),
            users_growth: u64::from(users_growth),
            data_growth: u64::from(data_growth),
            years,
            spare,
            list,
        }
    }

    /// Whether one of these (keys below `needs`) is assumed.
    pub fn assumed(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| {
            self.list.iter().any(|answer| answer.assumed && answer.key.strip_prefix("needs.") == Some(key))
        })
    }
}

fn small(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{} kB", bytes / 1000) } else { disk(bytes) }
}

/// What there is to do at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// People with an account, thousandths (growth makes fractions).
    pub milliusers: u64,
    /// People at work at the same time, thousandths.
    pub millisessions: u64,
    /// Requests per second in the busiest minute, thousandths.
    pub millirequests_per_second: u64,
    /// Requests per second in a busy hour, thousandths.
    pub mean_millirequests_per_second: u64,
    /// New data per day, bytes.
    pub bytes_per_day: u64,
    /// Days that data are kept.
    pub retention_days: u64,
}

/// The load after so many years, by Little's law: people at work ÷ (think time + response time).
pub(crate) fn load(answers: &Answers, years: u32) -> Load {
    let grown = |amount: u128, percent: u64| {
        (0..years).fold(amount, |amount, _| (amount.saturating_mul(u128::from(100 + percent))).div_ceil(100))
    };
    // Millionths, so that rounding up each year shows nowhere.
    let users = grown(u128::from(answers.users) * 1_000_000, answers.users_growth);
    let sessions = users.saturating_mul(u128::from(answers.concurrent_percent)).div_ceil(100_000);
    let between = u128::from(answers.think_ms) + u128::from(answers.response_ms);
    let requests = |factor: u64| sessions.saturating_mul(u128::from(factor)).div_ceil(between);
    Load {
        milliusers: words::narrow(users.div_ceil(1000)),
        millisessions: words::narrow(sessions),
        millirequests_per_second: words::narrow(requests(answers.peak_thousandths)),
        mean_millirequests_per_second: words::narrow(requests(1000)),
        bytes_per_day: words::narrow(grown(u128::from(answers.bytes_per_day), answers.data_growth)),
        retention_days: answers.retention_days,
    }
}

/// Our requests per second beside a rule that others publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CrossCheck {
    /// Requests per second in the busiest minute by what the site told, thousandths.
    pub millirequests_per_second: u64,
    /// By the rule, thousandths.
    pub by_rule: u64,
    /// The rule and its source.
    pub rule: String,
    /// Whether the two are within a factor of two.
    pub agrees: bool,
    /// What that means, one sentence.
    pub text: String,
}

/// GitLab's reference architectures count 20 requests per second for each 1000 people
/// (`docs.gitlab.com/administration/reference_architectures`).
pub(crate) fn cross_check(answers: &Answers, load: &Load) -> CrossCheck {
    let by_rule = answers.users * 20;
    let ours = load.millirequests_per_second;
    let agrees = ours <= by_rule.saturating_mul(2) && by_rule <= ours.saturating_mul(2);
    let numbers = format!(
        "{} requests per second by your answers, {} requests per second by GitLab's rule (20 requests per second for each 1,000 people)",
        decimal(ours),
        decimal(by_rule)
    );
    let verdict = if agrees {
        "the two agree"
    } else if ours > by_rule {
        "your people work much more than those of others: talk it through before you buy"
    } else {
        "your people work much less than those of others: talk it through before you buy"
    };
    CrossCheck {
        millirequests_per_second: ours,
        by_rule,
        rule: "GitLab reference architectures: 20 requests per second for each 1,000 users".to_owned(),
        agrees,
        text: format!("{numbers}; {verdict}."),
    }
}

/// Whether the vendor only guesses.
pub(crate) fn guessed(kind: BasisKind) -> bool {
    kind == BasisKind::Assumed
}
