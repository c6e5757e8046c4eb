//! What people sign: one report, made before (a proposal), during and after an install (a handover) from the same values.
//!
//! **Purpose.** Say to people who know no clusters what will be installed, on how many machines of what size, by when,
//! what may go wrong and what is needed from them; and to engineers how all that is known. In English and in Simplified
//! Chinese, as HTML that prints on A4, as text and as JSON. And ask them first: a form to fill in, which becomes a profile.
//!
//! **Must not know.** Files, hosts, SSH, displays, the clock: when and by whom the data were gathered comes in as a value.
//!
//! **Main types in order of use.**
//! 1. [`Input`]: profile, bundle, sizing, findings, plan, run. Which of these are there decides what the report is.
//! 2. [`report()`] makes the [`Report`]: data only. A number in it is a [`Figure`] or a [`Range`], with unit and reason; a
//!    sentence is a [`Message`], a key with what stands in its places.
//! 3. [`document()`] puts it into the [`Words`] of one [`Language`]: a [`Document`] of sections and blocks.
//! 4. [`html`], [`text`], [`to_json`]: its forms. Whatever others wrote (names, answers, findings) is escaped there.
//! 5. [`compare()`]: what differs between two reports.
//! 6. [`questionnaire`]: the questions as a form, and a filled-in form as a profile.
//!
//! **Rules of the words.** Sentences of at most 20 words; numbers with unit and reason; no colour that no word repeats; a
//! glossary line for each technical word before the annex, and none of the cluster's own words on the first page. What other
//! rooms say in English (measured values, reasons of the sizing, remedies) stands in the annex alone.

pub mod annex;
mod build;
mod compare;
pub mod document;
mod figure;
pub mod glossary;
mod html;
mod input;
mod json;
mod message;
mod pages;
mod plain;
pub mod questionnaire;
mod report;
mod words;

pub use build::report;
pub use compare::{Difference, compare};
pub use document::Document;
pub use figure::{Figure, Quantity, Range, Unit};
pub use html::html;
pub use input::{BundleFacts, Input, Made};
pub use json::{ReadError, from_json, to_json};
pub use message::{Arg, Message};
pub use pages::document;
pub use plain::text;
pub use report::{
    API_VERSION, Ask, Decision, Duty, Heading, KIND, Level, MachineLine, Owner, Phase, Readiness, Report,
    ResourceRow, Resources, Risk, RiskState, Stage, Test, TestResult, Timeline, Told,
};
pub use words::{Catalogue, Language, Words};
