//! Facts to findings: is this site fit for the install, and if not, what is in the way and what to do about it?
//!
//! **Purpose.** A registry of checks, each a pure function with an id, a title and a reason. All of them run, always,
//! and all that they find is reported together, in words that a person on the site can act on.
//!
//! **Must not know.** How facts were measured, SSH, plans, displays, the clock of this machine: ages of facts are told. Nothing here reads,
//! writes or waits.
//!
//! **Main types in order of use.**
//! 1. [`facts::Facts`]: what the agent measured on one host. [`paths`], [`MODULES`], [`SETTINGS`] and [`COMMANDS`] say
//!    what to ask it about.
//! 2. [`CheckInput`]: site, bundle document, facts of every host, and the [`Requirements`] that follow from them.
//! 3. [`run`]: one [`Finding`] per check and host; [`catalogue`] lists the checks themselves.
//! 4. [`Record`], [`FactsFile`] and [`assign`]: facts that came in files, days before; [`run_alone`] for one host alone.
//! 5. [`Fix`]: what of a finding can be mended by itself, as a value; [`given_host`]: a measured machine for the sizing room.
//! 6. [`blocking`]: the findings that stand in the way, accepted risks taken out; [`Summary`] counts, [`Matrix`] puts
//!    groups beside hosts, [`wishes`] is all that can be mended by itself.
//!
//! **Rules.** A check that could not see what it needs says *error*, and one whose host was not measured says
//! *blocked*; neither is ever *pass*, and neither can be accepted as a risk. Advice never blocks, not even where it
//! could not be given. What hosts say is not trusted: it is shown without control characters and cut short. A host that an
//! earlier run of ours holds for this very site is not in its own way: its ports, its disk use and its files are ours.
//! A production site has to follow some advice or accept the risk; on a test site headroom counts less.

mod catalogue;
mod environment;
pub mod facts;
mod finding;
mod fix;
mod import;
mod matrix;
mod record;
mod requirements;
mod run;
mod services;
mod text;

pub use catalogue::{Check, Severity, catalogue, check, given_host, risk_faults};
pub use finding::{Finding, Group, State, Summary};
pub use fix::{Fix, SETTINGS_FILE, Wish, wishes};
pub use import::{FactsFile, ImportError, assign};
pub use matrix::{Columns, Mark, Matrix, MatrixRow};
pub use record::{MAX_BYTES, Record, RecordError};
pub use requirements::{
    COMMANDS, DiskNeed, MODULES, PortNeed, Protocol, Requirements, RoleNeeds, SETTINGS, disk_needs,
    mesh_ports, paths, usual_disk_needs,
};
pub use run::{
    CheckInput, acceptance, accepted, blocking, may_be_accepted, run, run_alone, stands_in_the_way,
};
pub use services::services_of;
