//! The wizard drawn on a terminal.
//!
//! **Purpose.** Show what the wizard shows and take keys, on every terminal from 80x24 on, and leave the terminal as it
//! was in every way out.
//!
//! **Must not know.** What is asked and what follows from an answer: that is the wizard's. How files, bundles and hosts
//! are worked with: that is [`Perform`]'s, which says nothing and asks through [`Ask`] alone.
//!
//! **Rooms in order of use.** `display` decides what the terminal can show. `keys` reads keys, `app` says what follows
//! from them, `state` is where somebody is. `frame` draws, of `body`, `lists`, `run`, `layers` and `rows`. All these are
//! pure. `terminal`
//! takes the terminal over and gives it back, `work` does what takes time, `runner` joins them.

mod app;
mod body;
mod display;
mod frame;
mod keys;
mod layers;
mod lists;
mod rows;
mod run;
mod runner;
mod state;
mod terminal;
mod work;

pub(crate) use display::{Surroundings, Wanted, Way, choose};
pub(crate) use runner::{Over, run};
pub(crate) use work::{AT_ONCE, Ask, Perform};

#[cfg(test)]
mod tests;
