//! What a scenario works with: a lab, a seat, and the product.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::{Ended, InstallerRun, Sampler};
use crate::bundle::Made;
use crate::cluster::Cluster;
use crate::database::SiteDatabase;
use crate::demo::seat::{self, Seat};
use crate::lab::Lab;
use crate::payload::Payload;
use crate::programs::Programs;
use crate::receiver::SiteReceiver;
use crate::scenarios::{HostFiles, look};

/// How long an install may take before something must be wrong.
pub const INSTALL_WITHIN: Duration = Duration::from_mins(25);

/// The plan that a lab is installed by, at the seat.
pub const SIGNED_PLAN: &str = "signed-plan.json";

/// Profiles that a lab is installed by, at its seat, each over the one before. What they need is made ready.
pub type Profiles = fn(&Context<'_>) -> Result<Vec<String>>;

/// Those of the demo.
#[expect(clippy::unnecessary_wraps, reason = "one of several `Profiles`")]
pub fn demo(_: &Context<'_>) -> Result<Vec<String>> {
    Ok(vec![seat::DEMO.to_owned()])
}

/// What every test of a group gets.
pub struct Context<'a> {
    /// Root of the cache.
    pub cache: &'a Path,
    /// The lab of this group.
    pub lab: &'a Lab,
    /// Its seat: installer, bundle, vendor's key and profiles are in place.
    pub seat: Seat<'a>,
    /// The product's programs.
    pub programs: &'a Programs,
    /// What stands for upstream.
    pub payload: &'a Payload,
    /// The bundle.
    pub made: &'a Made,
    profiles: Profiles,
    installed: OnceLock<Result<Installed, String>>,
    notes: RefCell<Vec<String>>,
    fresh: OnceCell<HostFiles<'a>>,
    database: OnceCell<SiteDatabase<'a>>,
    receiver: OnceCell<SiteReceiver<'a>>,
}

/// The undisturbed install of a group's lab.
pub struct Installed {
    /// The installer's end and words (JSON lines).
    pub ended: Ended,
    /// Command lines and environments of all processes of the machine while it ran.
    pub processes: BTreeSet<Vec<u8>>,
    /// Bytes that the seat sent.
    pub sent: u64,
}

impl<'a> Context<'a> {
    /// Prepares the seat.
    pub fn new(
        cache: &'a Path,
        lab: &'a Lab,
        programs: &'a Programs,
        payload: &'a Payload,
        made: &'a Made,
    ) -> Result<Self> {
        let seat = Seat::prepare(lab, programs, made)?;
        Ok(Self {
            cache,
            lab,
            seat,
            programs,
            payload,
            made,
            profiles: demo,
            installed: OnceLock::new(),
            notes: RefCell::default(),
            fresh: OnceCell::new(),
            database: OnceCell::new(),
            receiver: OnceCell::new(),
        })
    }

    /// One whose lab is installed by these profiles.
    pub fn installed_by(self, profiles: Profiles) -> Self {
        Self { profiles, ..self }
    }

    /// What it knows of its lab's install, for another one that goes on with the lab.
    pub fn into_installed(self) -> OnceLock<Result<Installed, String>> {
        self.installed
    }

    /// One whose lab was installed for another one.
    pub fn going_on(self, installed: OnceLock<Result<Installed, String>>) -> Self {
        Self { installed, ..self }
    }

    /// The files of all hosts as the first one who asks finds them: before anybody has touched them.
    pub fn fresh_files(&self) -> Result<&HostFiles<'a>> {
        if let Some(files) = self.fresh.get() {
            return Ok(files);
        }
        let names: Vec<&str> = self.lab.hosts().map(|host| host.name.as_str()).collect();
        let files = look(self.lab, &names)?;
        Ok(self.fresh.get_or_init(|| files))
    }

    /// The site's own PostgreSQL at the seat: started by the first one who asks, there until the lab goes.
    pub fn database(&self) -> Result<&SiteDatabase<'a>> {
        if let Some(database) = self.database.get() {
            return Ok(database);
        }
        let database = SiteDatabase::start(self.lab)?;
        Ok(self.database.get_or_init(|| database))
    }

    /// The site's own services for logs and measurements at the seat, started as [`Context::database`] is.
    pub fn receiver(&self) -> Result<&SiteReceiver<'a>> {
        if let Some(receiver) = self.receiver.get() {
            return Ok(receiver);
        }
        let receiver = SiteReceiver::start(self.lab)?;
        Ok(self.receiver.get_or_init(|| receiver))
    }

    /// The cluster of this lab: installed by the first one who asks, with nobody in the way. A lab that was kept has
    /// its cluster already; then this is a second run.
    pub fn installed(&self) -> Result<&Installed> {
        let result = self.installed.get_or_init(|| self.install_once().map_err(|error| format!("{error:#}")));
        result.as_ref().map_err(|reason| anyhow!("the install before this test failed: {reason}"))
    }

    fn install_once(&self) -> Result<Installed> {
        // As a customer does it: somebody signs the plan, and what was signed is installed.
        let profiles = (self.profiles)(self)?;
        let mut plan = vec!["plan", "--bundle", "orders.bundle", "--write", SIGNED_PLAN];
        plan.extend(profiles.iter().flat_map(|profile| ["--profile", profile]));
        self.installer(&plan)?.expect_code(0)?;
        let sampler = Sampler::start();
        let before = self.lab.seat_tx_bytes()?;
        let ended = self.install(&["--plan", SIGNED_PLAN])?;
        let sent = self.lab.seat_tx_bytes()? - before;
        let processes = sampler.stop();
        ended.expect_code(0)?;
        Ok(Installed { ended, processes, sent })
    }

    /// Starts `installer install` of the lab's profiles and bundle as JSON lines, with more arguments behind.
    pub fn start_install(&self, extra: &[&str]) -> Result<InstallerRun> {
        let profiles = (self.profiles)(self)?;
        let profiles: Vec<&str> = profiles.iter().map(String::as_str).collect();
        let mut arguments = Seat::install_arguments(&profiles, &["--output=json"]);
        arguments.extend(extra);
        self.start_installer(&arguments)
    }

    /// As [`Context::start_install`], to its end, whatever that is.
    pub fn install(&self, extra: &[&str]) -> Result<Ended> {
        self.start_install(extra)?.finish(INSTALL_WITHIN)
    }

    /// As [`Context::start_install`], in plain lines on a terminal of its own, which closes when what is given is killed.
    pub fn start_install_on_terminal(&self) -> Result<Child> {
        let profiles = (self.profiles)(self)?;
        let profiles: Vec<&str> = profiles.iter().map(String::as_str).collect();
        // No word of these has a space in it.
        let command = format!("exec ./installer {}", Seat::install_arguments(&profiles, &[]).join(" "));
        let mut terminal = self.lab.seat_command(&["script", "--quiet", "--command", &command, "/dev/null"]);
        terminal.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        terminal.spawn().context("cannot start a terminal")
    }

    /// Names of the runs that were started at the seat.
    pub fn runs(&self) -> Result<Vec<String>> {
        let folder = self.lab.seat_home().join("runs");
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    }

    /// Starts `installer` with any arguments.
    pub fn start_installer(&self, arguments: &[&str]) -> Result<InstallerRun> {
        InstallerRun::start(&mut self.seat.installer(arguments))
    }

    /// `installer` with any arguments, in plain lines, to its end.
    pub fn installer(&self, arguments: &[&str]) -> Result<Ended> {
        self.start_installer(arguments)?.finish(INSTALL_WITHIN)
    }

    /// Writes an overlay profile with this content at the seat and gives its path for `--profile`.
    pub fn overlay(&self, name: &str, content: &str) -> Result<String> {
        let path = format!("profiles/{name}.yaml");
        let text = format!("apiVersion: sealift/v1\nkind: Site\n{content}");
        fs::write(self.lab.seat_home().join(&path), text)
            .with_context(|| format!("cannot write the overlay {name}"))?;
        Ok(path)
    }

    /// A figure or a remark that is shown below the running test's line.
    pub fn note(&self, text: String) {
        self.notes.borrow_mut().push(text);
    }

    /// The notes since the last call.
    pub fn take_notes(&self) -> Vec<String> {
        self.notes.take()
    }

    /// The cluster through the first master.
    pub fn cluster(&self) -> Cluster<'_> {
        Cluster::through(self.lab, "m1")
    }

    /// Names of all hosts in use.
    pub fn hosts(&self) -> Vec<&str> {
        self.lab.hosts().map(|host| host.name.as_str()).collect()
    }
}
