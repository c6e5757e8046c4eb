//! Agent sessions to the site's hosts: opened on demand, kept, handed out to one user at a time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sealift_bundle::Bundle;
use sealift_checks::facts::{Clock, Facts};
use sealift_host::protocol::{ProbeOptions, Progress, Request, Response};
use sealift_plan::changes::found::FoundFile;
use sealift_remote::{AgentProgram, AgentSession, BlobSource, CallError, Target, Timeouts};

use crate::failure::{Failure, Kind};

/// Hosts that are worked on at once: enough that waiting for one is no waiting for all, and few enough that a seat with two
/// cores answers each of them in time. A hundred logins at once took it longer than the hosts waited.
const ABREAST: usize = 32;

/// All sessions of a run.
pub(crate) struct Sessions {
    targets: BTreeMap<String, Target>,
    program: AgentProgram,
    idle: Mutex<BTreeMap<String, Vec<AgentSession>>>,
    /// Owner and run, asked for on every new session once set.
    lock: Mutex<Option<(String, String)>>,
}

/// The agent is this very program.
pub(crate) fn own_program() -> Result<AgentProgram, Failure> {
    let read = || -> std::io::Result<(PathBuf, String)> {
        let path = std::env::current_exe()?;
        let mut file = std::fs::File::open(&path)?;
        let mut hasher = sealift_bundle::digest::Hasher::new();
        let mut buffer = vec![0u8; 1 << 20];
        loop {
            match std::io::Read::read(&mut file, &mut buffer)? {
                0 => return Ok((path, hasher.finish())),
                count => hasher.update(&buffer[..count]),
            }
        }
    };
    let (path, digest) = read().map_err(|error| {
        let failure =
            Failure::new(Kind::Internal, "this program cannot read itself to bring it to the hosts");
        Failure { causes: vec![error.to_string()], ..failure }
    })?;
    Ok(AgentProgram::new(path, digest))
}

impl Sessions {
    pub(crate) fn new(targets: BTreeMap<String, Target>, program: AgentProgram) -> Self {
        Self { targets, program, idle: Mutex::default(), lock: Mutex::default() }
    }

    pub(crate) fn agent_digest(&self) -> &str {
        &self.program.digest
    }

    /// Connects to every host at once and probes it. All that goes wrong is told together.
    pub(crate) fn probe(&self, options: &ProbeOptions) -> Result<BTreeMap<String, Facts>, Failure> {
        let (facts, answered) = self.probe_each(options);
        answered.map(|()| facts)
    }

    /// As [`Sessions::probe`], with the facts of those that answer whatever the others do.
    pub(crate) fn probe_each(
        &self,
        options: &ProbeOptions,
    ) -> (BTreeMap<String, Facts>, Result<(), Failure>) {
        let results = self.everywhere(|name| self.probe_one(name, options));
        let mut facts = BTreeMap::new();
        let mut failures = Vec::new();
        for (name, result) in results {
            match result {
                Ok(one) => {
                    facts.insert(name, one);
                }
                Err(failure) => failures.push(failure),
            }
        }
        let answered = match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            count => {
                let message = format!("{count} of {} hosts cannot be worked on", self.targets.len());
                Err(Failure::together(message, failures))
            }
        };
        (facts, answered)
    }

    /// Asks hosts what stands in these places. A host that does not answer any more is told with its reason.
    pub(crate) fn read_files(
        &self,
        paths: &BTreeMap<String, Vec<String>>,
    ) -> Result<BTreeMap<String, Vec<FoundFile>>, Failure> {
        let results = self.everywhere(|name| {
            let request = Request::ReadFiles { paths: paths.get(name).cloned().unwrap_or_default() };
            match ask(self, name, &request, &mut |_| {}, &mut NoBlobs) {
                Ok(Response::Files { files }) => Ok(files),
                Ok(_) => Err(Failure::new(Kind::Internal, format!("the agent on {name} gave no files"))),
                Err(CallOrConnect::Connect(failure)) => Err(failure),
                Err(CallOrConnect::Call(error)) => Err(before_any_change(error.into())),
            }
        });
        results.into_iter().map(|(name, files)| Ok((name, files?))).collect()
    }

    fn probe_one(&self, name: &str, options: &ProbeOptions) -> Result<Facts, Failure> {
        let mut session = self.take(name)?;
        let response = session.call(&Request::Probe(options.clone()), &mut |_| {}, &mut NoBlobs);
        let Response::Facts(mut facts) = response.map_err(|error| before_any_change(error.into()))? else {
            return Err(Failure::new(
                Kind::Internal,
                format!("the agent on {name} did not answer the probe with facts"),
            ));
        };
        read_clock(&mut session, &mut facts.clock)?;
        self.give_back(name, session);
        Ok(*facts)
    }

    /// Asks each of these hosts something of its own, all at once, and takes from the answer what was asked for.
    pub(crate) fn ask_each<T: Send>(
        &self,
        requests: BTreeMap<String, Request>,
        progress: &(dyn Fn(&str, Progress) + Sync),
        wanted: impl Fn(Response) -> Option<T> + Sync,
    ) -> BTreeMap<String, Result<T, Failure>> {
        let one = |name: &str, request: &Request| {
            let mut told = |told: Progress| progress(name, told);
            match ask(self, name, request, &mut told, &mut NoBlobs) {
                Ok(response) => wanted(response).ok_or_else(|| {
                    Failure::new(Kind::Internal, format!("the agent on {name} answered something else"))
                }),
                Err(CallOrConnect::Connect(failure)) => Err(failure),
                Err(CallOrConnect::Call(error)) => Err(before_any_change(error.into())),
            }
        };
        let one = &one;
        std::thread::scope(|scope| {
            let start = |(name, request): (String, Request)| {
                let host = name.clone();
                (name, scope.spawn(move || one(&host, &request)))
            };
            let workers: Vec<_> = requests.into_iter().map(start).collect();
            let joined = workers.into_iter().map(|(name, worker)| {
                let crashed = || Failure::new(Kind::Internal, format!("the measurement on {name} crashed"));
                let result = worker.join().unwrap_or_else(|_| Err(crashed()));
                (name, result)
            });
            joined.collect()
        })
    }

    /// Takes all hosts for a run; sessions opened later ask for the same.
    pub(crate) fn lock(&self, owner: &str, run: &str) -> Result<(), Failure> {
        *guard(&self.lock) = Some((owner.to_owned(), run.to_owned()));
        let results = self.everywhere(|name| {
            let mut session = self.take(name)?;
            self.ask_for_lock(&mut session)?;
            self.give_back(name, session);
            Ok(())
        });
        results.into_values().collect::<Result<(), Failure>>()
    }

    /// A session to the host, a kept one or a new one.
    pub(crate) fn take(&self, name: &str) -> Result<AgentSession, Failure> {
        let kept = guard(&self.idle).get_mut(name).and_then(Vec::pop);
        if let Some(session) = kept {
            return Ok(session);
        }
        let target = self.targets.get(name).ok_or_else(|| {
            Failure::new(Kind::Internal, format!("the plan names a host {name} that is not in the profile"))
        })?;
        let mut session =
            AgentSession::connect(target, &self.program, Timeouts::default()).map_err(Failure::from)?;
        self.ask_for_lock(&mut session)?;
        Ok(session)
    }

    fn ask_for_lock(&self, session: &mut AgentSession) -> Result<(), Failure> {
        let Some((owner, run)) = guard(&self.lock).clone() else { return Ok(()) };
        match session.call(&Request::Lock { owner, run }, &mut |_| {}, &mut NoBlobs) {
            Ok(_) => Ok(()),
            Err(error) => Err(before_any_change(error.into())),
        }
    }

    /// Keeps a session that is still good.
    pub(crate) fn give_back(&self, name: &str, session: AgentSession) {
        guard(&self.idle).entry(name.to_owned()).or_default().push(session);
    }

    /// Ends all sessions and takes away the uploaded agents.
    pub(crate) fn close(&self) {
        let idle = std::mem::take(&mut *guard(&self.idle));
        std::thread::scope(|scope| {
            for session in idle.into_values().flatten() {
                // A host that is gone by now keeps a small file in /var/tmp; nothing else can be done.
                scope.spawn(move || drop(session.cleanup()));
            }
        });
    }

    /// Does the work on every host, on [`ABREAST`] at a time.
    fn everywhere<T: Send>(
        &self,
        work: impl Fn(&str) -> Result<T, Failure> + Sync,
    ) -> BTreeMap<String, Result<T, Failure>> {
        let queue = Mutex::new(self.targets.keys());
        let results = Mutex::new(BTreeMap::new());
        let lane = || {
            loop {
                let next = guard(&queue).next();
                let Some(name) = next else { return };
                let result = catch_unwind(AssertUnwindSafe(|| work(name))).unwrap_or_else(|_| {
                    Err(Failure::new(Kind::Internal, format!("the work on {name} crashed")))
                });
                guard(&results).insert(name.clone(), result);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.targets.len().min(ABREAST) {
                scope.spawn(lane);
            }
        });
        results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Asks the host for its time, more than once: the shortest way there and back tells most.
fn read_clock(session: &mut AgentSession, clock: &mut Clock) -> Result<(), Failure> {
    const TIMES: usize = 3;
    let mut best: Option<(i64, i64)> = None;
    for _ in 0..TIMES {
        let before = unix_millis();
        let response = session.call(&Request::Clock, &mut |_| {}, &mut NoBlobs);
        let after = unix_millis();
        let Response::Clock { unix_millis } = response.map_err(|error| before_any_change(error.into()))?
        else {
            return Err(Failure::new(Kind::Internal, "an agent did not answer with its time"));
        };
        let way = after.saturating_sub(before);
        // The host answered somewhere between the two: half the round trip is the best guess.
        let skew = unix_millis.saturating_sub(i64::midpoint(before, after));
        if best.is_none_or(|(shortest, _)| way < shortest) {
            best = Some((way, skew));
        }
    }
    let (way, skew) = best.unwrap_or_default();
    clock.round_trip_millis = u64::try_from(way).unwrap_or(0);
    clock.skew_millis = skew;
    Ok(())
}

/// Before the run nothing was changed: a lost connection is then a failed check, not a run to resume.
fn before_any_change(failure: Failure) -> Failure {
    match failure.kind {
        Kind::Run => Failure { kind: Kind::Checks, ..failure },
        _ => failure,
    }
}

/// For requests that need none.
pub(crate) struct NoBlobs;

impl BlobSource for NoBlobs {
    fn open(&mut self, digest: &str, _offset: u64) -> std::io::Result<Box<dyn std::io::Read + '_>> {
        Err(std::io::Error::other(format!("the agent asked for {digest}, which nobody offered")))
    }
}

/// Blobs of the bundle.
pub(crate) struct BundleBlobs<'a>(pub(crate) &'a Bundle);

impl BlobSource for BundleBlobs<'_> {
    fn open(&mut self, digest: &str, offset: u64) -> std::io::Result<Box<dyn std::io::Read + '_>> {
        let reader = self.0.blob_reader(digest, offset).map_err(std::io::Error::other)?;
        Ok(Box::new(reader))
    }
}

/// A request without blobs on a session; the session is kept where it is still good.
pub(crate) fn ask(
    sessions: &Sessions,
    host: &str,
    request: &Request,
    progress: &mut dyn FnMut(Progress),
    blobs: &mut dyn BlobSource,
) -> Result<Response, CallOrConnect> {
    let mut session = sessions.take(host).map_err(CallOrConnect::Connect)?;
    let result = session.call(request, progress, blobs);
    if !matches!(result, Err(CallError::Lost(_) | CallError::Blob { .. })) {
        sessions.give_back(host, session);
    }
    result.map_err(CallOrConnect::Call)
}

/// Why a request gave nothing.
pub(crate) enum CallOrConnect {
    /// No session.
    Connect(Failure),
    /// The request failed.
    Call(CallError),
}

fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn guard<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
