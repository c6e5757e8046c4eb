//! The wizard: what is asked, in which order, what follows from an answer. For every front end the same.
//!
//! **Purpose.** Lead somebody who knows no YAML to a whole site profile, and say at each step what is wrong, why it is
//! asked and whom to ask. What comes out is a profile as [`sealift_profile`] reads it; its rules are the wizard's rules.
//!
//! **Must not know.** Terminals, keys, colours, files, hosts, the clock. What has to be done outside is an [`Effect`]: a
//! value that the front end's world does, and whose outcome comes back as a [`Message`].
//!
//! **Main types in order of use.**
//! 1. [`Model`]: everything that the wizard knows, made by [`Model::new`].
//! 2. [`Message`]: what somebody did, or what came out of an effect.
//! 3. [`update`]: model and message to the next model and effects. Pure.
//! 4. [`view`]: model to [`Screen`], a value that a drawing front end and the plain prompts both read. Pure.
//! 5. [`RunSummary`], [`Standing`], [`Agreed`]: runs as the last pages and the first know them.
//! 6. [`field::fields`]: the fields of a page as data, [`Words`]: all texts in each language.
//! 7. [`Reached`]: what trying to log in on a host came to. A [`NewKey`] waits until somebody has compared it
//!    ([`Message::TrustKeys`]); no host is logged in on before.
//! 8. [`LogFilter`]: which lines of a run's log are read.
//! 9. [`plain`]: numbered prompts over lines of text, for screen readers, serial lines and pipes.
//!
//! **Rules of the flow.** Back returns to the page last seen and keeps every answer. An answer that changes marks the
//! pages behind it that were done as to be looked at again, and erases nothing: what an answer makes needless is kept aside and
//! comes back with it. A page that was left is saved. A wrong answer is refused with its reason and never stored, so that
//! the saved profile loads, with what is not done yet named under `interactive:`.

mod answers;
mod effect;
pub mod field;
mod help;
mod hosts;
mod log;
mod look;
mod model;
mod page;
mod part;
pub mod plain;
mod problems;
mod reach;
mod risks;
mod runs;
mod screen;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod update;
mod view;
pub mod width;
mod words;

pub use effect::{Effect, Loaded, Message, Trouble, size};
pub use field::{Field, Kind};
pub use log::{LogFilter, LogLines};
pub use look::{MadeChange, MadeResult, Mended, Planned, PlannedHost};
pub use model::{Mark, Model, Refused, Source, Start, Task};
pub use page::PageId;
pub use part::{FindingName, Part};
pub use problems::Problem;
pub use reach::{KnownBy, NewKey, Reached, ShownKey, Whose};
pub use runs::{Agreed, Handover};
pub use screen::{Action, Entry, FieldView, Progress, Row, Screen, Verdict};
pub use sealift_events::picture::{RunSummary, Standing};
pub use update::update;
pub use view::{key_rows, view};
pub use words::{Language, Words};
