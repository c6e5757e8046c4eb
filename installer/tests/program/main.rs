//! The program as people run it: its verbs that need no host, on a small real bundle. One test program for all of
//! them, since each would link the whole installer.
#![allow(clippy::unwrap_used)] // a test may fall over, and so may what tests share

mod bundle;
mod check;
mod detached;
mod drawn;
mod guide;
mod profile;
mod report;
mod schema;
mod seat;
mod size;
mod stop;
mod terminal;
mod verify;
mod watch;
mod wizard;
mod wizard_runs;
