//! What the site needs of the product, in units that people use, and what it decides against the calculation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much work there will be. Whatever is absent gets a value that the report marks as assumed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Needs {
    /// People with an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub users: Option<u32>,
    /// How many of a hundred people work at the same time, in a busy hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub concurrent_percent: Option<u32>,
    /// Seconds between two clicks of one person, 0.1 to 3600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 3600.0))]
    pub think_seconds: Option<f64>,
    /// Seconds that an answer may take, 0 to 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 600.0))]
    pub response_seconds: Option<f64>,
    /// How much more there is to do in the busiest minute than in a busy hour, 1 to 50.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 50.0))]
    pub peak_factor: Option<f64>,
    /// New data per day, gigabytes (thousand million bytes), 0 to 100000.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 100_000.0))]
    pub data_gigabytes_per_day: Option<f64>,
    /// Days that data are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub retention_days: Option<u32>,
    /// How all that grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
    /// What may fail without the product standing still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
}

/// Growth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Growth {
    /// More people each year, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 500))]
    pub users_percent_per_year: Option<u32>,
    /// More new data each year, percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 500))]
    pub data_percent_per_year: Option<u32>,
    /// Years to look ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub years: Option<u32>,
}

/// What may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Availability {
    /// Any one machine may fail and work goes on.
    OneMachineMayFail,
    /// No machine is spare: when one fails, the product may stand still until it is back.
    NoSpare,
}

/// Numbers that the site decides itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SizingOverrides {
    /// Number of workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<CountOverride>,
    /// Number of masters: 1, 3 or 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub masters: Option<CountOverride>,
    /// Size of a worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineOverride>,
}

/// A number of machines and why it is that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CountOverride {
    /// Machines.
    #[schemars(range(min = 1, max = 5000))]
    pub count: u32,
    /// Why, for those who read the report later.
    pub reason: String,
}

/// The size of a machine and why it is that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineOverride {
    /// Processors (cores, or hardware threads where they are sold as such).
    #[schemars(range(min = 1, max = 1024))]
    pub cpus: u32,
    /// Memory, gigabytes as machines are sold (GiB).
    #[schemars(range(min = 2, max = 65_536))]
    pub memory_gigabytes: u32,
    /// Why, for those who read the report later.
    pub reason: String,
}

/// A number that makes no sense: its key below `needs`, what is wrong, and what to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsFinding {
    /// E.g. `thinkSeconds` or `growth.years`.
    pub key: &'static str,
    /// What is wrong, one clause.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl Needs {
    /// Every number outside its range. Command lines and wizards give the same numbers without a schema.
    #[must_use]
    pub fn findings(&self) -> Vec<NeedsFinding> {
        let growth = self.growth.unwrap_or_default();
        let whole = |number: Option<u32>| number.map(f64::from);
        let numbers = [
            ("users", whole(self.users), 1.0, 1e7),
            ("concurrentPercent", whole(self.concurrent_percent), 1.0, 100.0),
            ("thinkSeconds", self.think_seconds, 0.1, 3600.0),
            ("responseSeconds", self.response_seconds, 0.0, 600.0),
            ("peakFactor", self.peak_factor, 1.0, 50.0),
            ("dataGigabytesPerDay", self.data_gigabytes_per_day, 0.0, 1e5),
            ("retentionDays", whole(self.retention_days), 1.0, 3650.0),
            ("growth.usersPercentPerYear", whole(growth.users_percent_per_year), 0.0, 500.0),
            ("growth.dataPercentPerYear", whole(growth.data_percent_per_year), 0.0, 500.0),
            ("growth.years", whole(growth.years), 0.0, 10.0),
        ];
        let mut found = Vec::new();
        for (key, number, least, most) in numbers {
            // A value that is no number at all is outside of every range, too.
            if let Some(number) = number.filter(|number| !(least..=most).contains(number)) {
                found.push(NeedsFinding {
                    key,
                    message: format!("`{key}` is {number}"),
                    remedy: format!("write a number from {least} to {most}"),
                });
            }
        }
        found
    }
}
