//! The one place that decides what sort of failure an error is, what to do next, and with which code to exit.

use std::error::Error;

use schemars::JsonSchema;
use sealift_bundle::delta::DeltaError;
use sealift_bundle::output::target::TargetError;
use sealift_bundle::parcel::{ParcelKind, ParcelWriteError};
use sealift_bundle::repair::RepairError;
use sealift_bundle::room::RoomError;
use sealift_bundle::rotation::RotationError;
use sealift_bundle::write::WriteError;
use sealift_bundle::{BundleError, KeyError, NoteError};
use sealift_engine::EngineError;
use sealift_events::FailureReport;
use sealift_events::journal::JournalError;
use sealift_host::protocol::{Failure as HostFailure, FailureKind};
use sealift_plan::PlanError;
use sealift_plan::saved::SavedError;
use sealift_profile::{ProfileError, SealError, SecretError};
use sealift_remote::{CallError, RemoteError};
use sealift_sizing::SizingError;
use serde::{Deserialize, Serialize};

use crate::output::bytes;

/// What to do where a bundle cannot be written.
const FREE_SPACE: &str = "make room on that disk, or choose a place that you may write to, then run it again";

/// Sorts of failure, each with its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// Something that should not happen.
    Internal,
    /// The command line or the profile is wrong.
    Usage,
    /// A host, its access or a check stands in the way; nothing was changed.
    Checks,
    /// The run stopped half-way; the same command resumes.
    Run,
    /// Bundle or blob is not what its signature says.
    Verification,
}

/// A failure as people and machines get it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Failure {
    /// What sort it is.
    pub(crate) kind: Kind,
    /// What failed, naming the object.
    pub(crate) message: String,
    /// Causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do next.
    pub(crate) hints: Vec<String>,
    /// Last lines of a failed command's log.
    pub(crate) log: Vec<String>,
    /// Whether the same try may go well in a moment (a host that boots, a network that is back).
    #[serde(skip)]
    pub(crate) transient: bool,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            log: Vec::new(),
            transient: false,
        }
    }

    pub(crate) fn of(kind: Kind, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(kind, error.to_string());
        let mut next = error.source();
        while let Some(cause) = next {
            failure.causes.push(cause.to_string());
            next = cause.source();
        }
        failure
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    pub(crate) fn hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }

    /// 1 internal, 2 usage or profile, 3 checks failed, 4 run failed and resumable, 5 verification failed.
    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Internal => 1,
            Kind::Usage => 2,
            Kind::Checks => 3,
            Kind::Run => 4,
            Kind::Verification => 5,
        }
    }

    /// Several failures as one: the worst kind leads, the others follow as causes.
    pub(crate) fn together(message: String, failures: Vec<Self>) -> Self {
        let kind = failures.first().map_or(Kind::Internal, |first| first.kind);
        let mut all = Self::new(kind, message);
        for failure in failures {
            let causes = std::iter::once(failure.message).chain(failure.causes);
            all.causes.push(causes.collect::<Vec<_>>().join(": "));
            all.hints.extend(failure.hints);
            all.log.extend(failure.log);
        }
        all.hints.dedup();
        all
    }

    /// A run in which these steps failed.
    pub(crate) fn of_steps<'a>(failed: impl IntoIterator<Item = (&'a str, &'a FailureReport)>) -> Self {
        let mut all = Self::new(Kind::Run, "");
        let mut count = 0;
        for (step, report) in failed {
            count += 1;
            if report.kind == "verification" {
                all.kind = Kind::Verification;
            }
            let said = std::iter::once(&report.message).chain(&report.causes).cloned().collect::<Vec<_>>();
            all.causes.push(format!("{step}: {}", said.join(": ")));
            all.hints.extend(report.hint.clone());
            all.log.extend(report.log.iter().cloned());
        }
        all.hints.dedup();
        all.message = match count {
            1 => "a step failed; what was done before stands".to_owned(),
            _ => format!("{count} steps failed; what was done before stands"),
        };
        all
    }

    /// A run that somebody stopped.
    pub(crate) fn stopped() -> Self {
        Self::new(Kind::Run, "the run was stopped as asked; what was begun has ended well")
            .hint("run the same command again: it goes on where it stopped")
    }

    /// What was reported by [`Failure::report`], as a failure again.
    pub(crate) fn of_report(report: &FailureReport) -> Self {
        let kind = match report.kind.as_str() {
            "usage" => Kind::Usage,
            "checks" => Kind::Checks,
            "run" => Kind::Run,
            "verification" => Kind::Verification,
            _ => Kind::Internal,
        };
        let mut failure = Self::new(kind, &report.message).hints(report.hint.clone());
        failure.causes.clone_from(&report.causes);
        failure.log.clone_from(&report.log);
        failure
    }

    /// For the journal and the event stream.
    pub(crate) fn report(&self) -> FailureReport {
        let kind = match self.kind {
            Kind::Internal => "internal",
            Kind::Usage => "usage",
            Kind::Checks => "checks",
            Kind::Run => "run",
            Kind::Verification => "verification",
        };
        FailureReport {
            kind: kind.to_owned(),
            message: self.message.clone(),
            causes: self.causes.clone(),
            hint: (!self.hints.is_empty()).then(|| self.hints.join("; ")),
            log: self.log.clone(),
        }
    }
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        Self::of(Kind::Usage, &error)
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::of(Kind::Usage, &error)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::of(Kind::Usage, &error)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::of(Kind::Usage, &error).hint("give the vendor's public key with `--trust-key FILE`")
    }
}

impl From<RotationError> for Failure {
    fn from(error: RotationError) -> Self {
        let (kind, hint) = match &error {
            RotationError::Read { .. } => {
                (Kind::Usage, "give the statement that the vendor sent, with `--rotation FILE`")
            }
            RotationError::SameKey { .. } | RotationError::TooMany { .. } => {
                (Kind::Usage, "give the newest key with `--trust-key FILE`, and only what follows it")
            }
            RotationError::Newer { .. } => (Kind::Verification, "use a newer installer"),
            RotationError::Malformed { .. } | RotationError::Forged { .. } => (
                Kind::Verification,
                "ask the vendor for the statement again; do not trust the key that this one names",
            ),
            RotationError::NotTrusted { .. } => (
                Kind::Verification,
                "give the statements for every key in between, or compare the new key's fingerprint by phone",
            ),
        };
        Self::of(kind, &error).hint(hint)
    }
}

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        let (kind, hint) = match &error {
            BundleError::Open { .. } => (Kind::Usage, "check the path of the bundle"),
            BundleError::Read { .. } => {
                (Kind::Verification, "the disk cannot be read there: copy the bundle again")
            }
            BundleError::WrongKey { .. } => (
                Kind::Verification,
                "ask the vendor for the fingerprint of the signing key; trust it with `--trust-key FILE` only if it is theirs",
            ),
            BundleError::Unsigned { .. } => (Kind::Verification, "ask the vendor for the signed bundle"),
            BundleError::Parcel { kind: ParcelKind::Delta, .. } => (
                Kind::Usage,
                "make the new bundle with it: `installer bundle apply OLD DELTA --out NEW`, and name that",
            ),
            BundleError::Parcel { kind: ParcelKind::Recarry, .. } => {
                (Kind::Usage, "mend the copy with it: `installer bundle repair COPY --from FILE`")
            }
            BundleError::NotAParcel { .. } => {
                (Kind::Verification, "give the delta or the re-carry file that the vendor sent")
            }
            BundleError::MissingPart { .. } => (Kind::Verification, "put the part beside the others"),
            BundleError::SwappedPart { .. } => {
                (Kind::Verification, "give the parts their names back, or copy them again")
            }
            BundleError::ForeignPart { .. } => {
                (Kind::Verification, "take it away, or copy the bundle's own part there")
            }
            _ => (
                Kind::Verification,
                "copy the bundle again from its source and verify it there first, or mend it with `installer bundle repair`; if it fails there too, ask the vendor",
            ),
        };
        Self::of(kind, &error).hint(hint)
    }
}

impl From<DeltaError> for Failure {
    fn from(error: DeltaError) -> Self {
        let (kind, hint) = match error {
            // Its own words and next step, whatever was being made.
            DeltaError::Bundle(error) | DeltaError::Parcel(ParcelWriteError::Bundle(error)) => {
                return error.into();
            }
            DeltaError::Exists { .. } | DeltaError::Parcel(ParcelWriteError::Exists { .. }) => {
                (Kind::Usage, "choose another `--out`, or take what is there away")
            }
            DeltaError::Same { .. } => (Kind::Usage, "give two releases"),
            DeltaError::Kind { .. } => {
                (Kind::Usage, "a re-carry file mends a copy: `installer bundle repair BUNDLE --from FILE`")
            }
            DeltaError::OtherBase { .. } => {
                (Kind::Usage, "give the bundle that it starts from, or ask the vendor for a delta from yours")
            }
            DeltaError::Lacking { .. } | DeltaError::Patch { .. } => (
                Kind::Verification,
                "copy the delta again; if it fails again, ask the vendor for another one",
            ),
            DeltaError::Zstd { .. } => (
                Kind::Verification,
                "use the installer that belongs to the new bundle, or ask the vendor for the whole bundle",
            ),
            DeltaError::Write(WriteError::Write { .. })
            | DeltaError::Parcel(ParcelWriteError::Write(WriteError::Write { .. }))
            | DeltaError::Temporary { .. } => (Kind::Usage, FREE_SPACE),
            // Of packing, which nobody does here.
            DeltaError::Write(_) | DeltaError::Parcel(ParcelWriteError::Write(_)) => {
                return Self::of(Kind::Internal, &error);
            }
        };
        Self::of(kind, &error).hint(hint)
    }
}

impl From<RoomError> for Failure {
    fn from(error: RoomError) -> Self {
        let failure = match &error {
            RoomError::Short { folder, needed, free } => Self::new(
                Kind::Usage,
                format!(
                    "not enough room in {}: {} needed, {} free",
                    folder.display(),
                    bytes(*needed),
                    bytes(*free)
                ),
            ),
            RoomError::Unknown { .. } => Self::of(Kind::Usage, &error),
        };
        failure.hint(FREE_SPACE)
    }
}

impl From<RepairError> for Failure {
    fn from(error: RepairError) -> Self {
        let (kind, hint) = match error {
            RepairError::Bundle(error) => return error.into(),
            RepairError::Delta { .. } => (
                Kind::Usage,
                "make the new bundle with `installer bundle apply`, or give a copy or re-carry file",
            ),
            RepairError::OtherBundle { .. } => {
                (Kind::Usage, "give another copy of the same bundle with `--from`")
            }
            RepairError::Recarry { .. } => (
                Kind::Usage,
                "name the two the other way round: `installer bundle repair BUNDLE --from FILE`",
            ),
            RepairError::NotACopy { .. } => (
                Kind::Usage,
                "nothing was written: name the damaged copy; one of which nothing is left is copied again, not mended",
            ),
            RepairError::NotInSpare { .. } => {
                (Kind::Verification, "what could be mended is; run it again with one more copy for the rest")
            }
            RepairError::Write { .. } => (Kind::Usage, FREE_SPACE),
        };
        Self::of(kind, &error).hint(hint)
    }
}

impl From<NoteError> for Failure {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Target(error) => error.into(),
            error => Self::of(Kind::Usage, &error).hint("name a file in a folder that you may write to"),
        }
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        let hint = match &error {
            TargetError::Special { kind: "a folder", .. } => "name a file, e.g. one in it",
            TargetError::Special { .. } => "name a regular file, or a new one",
            TargetError::Input { .. } => "choose another name",
            TargetError::Foreign { .. } | TargetError::Unread { .. } => {
                "choose another name, or remove what is there if nobody needs it"
            }
        };
        Self::of(Kind::Usage, &error).hint(hint)
    }
}

impl From<SavedError> for Failure {
    fn from(error: SavedError) -> Self {
        let hint = match &error {
            SavedError::NotAPlan(_) => "name a file that `installer plan --write FILE` has made",
            SavedError::Older => "make it again with `installer plan --write FILE`, and have it agreed to",
            SavedError::Newer(_) => {
                "use the installer that made it, or make a plan with this one: `installer plan --write FILE`"
            }
            SavedError::Damaged => {
                "take the file as it was written; to change the plan, change the profile and make it again"
            }
        };
        Self::of(Kind::Usage, &error).hint(hint)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let kind = match &error {
            PlanError::NoFacts(_) | PlanError::Render { .. } => Kind::Internal,
            PlanError::NotInBundle { .. } => Kind::Verification,
            _ => Kind::Usage,
        };
        Self::of(kind, &error)
    }
}

impl From<SizingError> for Failure {
    fn from(error: SizingError) -> Self {
        let hint = match &error {
            SizingError::NoModel { .. } => {
                "ask the vendor for a bundle with a sizing model, or for the numbers"
            }
            SizingError::NothingFits { .. } => {
                "name larger machines with `--shape`, such as `--shape 64c/512GiB`"
            }
            SizingError::TooMany { .. } => "check the number of people and of data; else talk to the vendor",
            SizingError::NoHosts => "name machines with `--host`, such as `--host 8c/32GiB/500GiB`",
        };
        Self::of(Kind::Usage, &error).hint(hint)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::of(Kind::Internal, &error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let (kind, hint) = match &error {
            JournalError::File { .. } => {
                (Kind::Internal, "the run folder must be writable and its disk not full")
            }
            JournalError::Lock { .. } => (Kind::Usage, "name a folder on a local disk with `--runs DIR`"),
            JournalError::Line { .. } => (
                Kind::Usage,
                "take the journal as it was written; an install goes on without it, by the same command as before",
            ),
            JournalError::Newer { .. } => {
                (Kind::Usage, "use the installer that made the run, or a newer one")
            }
        };
        Self::of(kind, &error).hint(hint)
    }
}

impl From<HostFailure> for Failure {
    fn from(failure: HostFailure) -> Self {
        let kind = match failure.kind {
            FailureKind::Verification => Kind::Verification,
            FailureKind::Locked => Kind::Checks,
            _ => Kind::Run,
        };
        let hint = match failure.kind {
            FailureKind::Verification => {
                "the bytes on the host are not the bundle's: run again, they are fetched anew; if it happens twice, have the host's disk and memory tested"
            }
            FailureKind::DiskFull => {
                "free space on the named disk and run the same command again: it goes on where it stopped"
            }
            FailureKind::Locked => "wait until the other run has ended, or ask its owner",
            FailureKind::Network => {
                "check cables and firewalls between the named hosts, then run the same command again: it goes on where it stopped"
            }
            FailureKind::Command | FailureKind::Timeout => {
                "read the lines above; when the cause is mended, run the same command again: it goes on where it stopped"
            }
            FailureKind::Conflict => "move away what stands in the way, then run the same command again",
            FailureKind::NeedsSecrets | FailureKind::Other => {
                "run the same command again; if it fails the same way, send the run folder to your vendor"
            }
        };
        let hints = failure.hint.into_iter().chain([hint.to_owned()]).collect();
        Self {
            kind,
            message: failure.message,
            causes: failure.causes,
            hints,
            log: failure.log,
            transient: false,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Failed(failure) => failure.into(),
            CallError::Lost(error) => error.into(),
            other @ CallError::Blob { .. } => Self::of(Kind::Verification, &other)
                .hint("copy the bundle again from its source and run the same command"),
        }
    }
}

impl From<RemoteError> for Failure {
    fn from(error: RemoteError) -> Self {
        let kind = match &error {
            RemoteError::AgentProgram { .. } => Kind::Internal,
            RemoteError::Lost { .. } => Kind::Run,
            _ => Kind::Checks,
        };
        let transient = matches!(
            &error,
            RemoteError::Refused { .. }
                | RemoteError::Unreachable { .. }
                | RemoteError::TimedOut { .. }
                | RemoteError::BehindBastion { .. }
                | RemoteError::Lost { .. }
        );
        let hints = remote_hints(&error);
        Self { transient, ..Self::of(kind, &error).hints(hints) }
    }
}

fn remote_hints(error: &RemoteError) -> Vec<String> {
    let name = error.peer().name();
    let hint = match error {
        RemoteError::Resolve { .. } => format!("write the IP address of {name} into the profile"),
        RemoteError::Refused { .. } => {
            format!("is {name} up, and does its SSH server run on this port? look at the host's own console")
        }
        RemoteError::Unreachable { .. }
        | RemoteError::TimedOut { .. }
        | RemoteError::BehindBastion { .. } => {
            format!(
                "check that {name} is switched on, that the address is right, and that no firewall stands between"
            )
        }
        RemoteError::Handshake { .. } => format!("is the port of {name} that of an SSH server?"),
        RemoteError::HostKeyUnknown { got, .. } => format!(
            "compare {} with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the console of {name}; if they are equal, \
             write it as `hostKey` of {name} into the profile",
            got.fingerprint
        ),
        RemoteError::HostKeyChanged { .. } | RemoteError::HostKeyRevoked { .. } => format!(
            "someone may be between you and {name}, or it was installed anew: compare with \
             `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its own console before you trust the new key"
        ),
        RemoteError::PassphraseNeeded { .. } | RemoteError::PassphraseWrong { .. } => {
            "give the right passphrase with `access.privateKeyPassphrase`".to_owned()
        }
        RemoteError::KeyUnreadable { .. } => "the private key must be in PEM or OpenSSH format".to_owned(),
        RemoteError::KeyRejected { user, .. } => {
            format!(
                "put the public key into ~{user}/.ssh/authorized_keys on {name}, or name the right key in the profile"
            )
        }
        RemoteError::PasswordRejected { user, .. } => format!(
            "check the password of {user}, and ask the owner of {name} whether password login is allowed"
        ),
        RemoteError::PasswordExpired { user, .. } => format!("log in to {name} as {user} once and change it"),
        RemoteError::NoLoginMethod { .. } => "give a key or a password that the host accepts".to_owned(),
        RemoteError::NoShell { user, .. } => format!("give {user} an ordinary shell on {name}"),
        RemoteError::NoSudo { user, .. } => {
            format!("let {user} use sudo on {name}, or name another user for it in the profile")
        }
        RemoteError::SudoPasswordNeeded { .. } | RemoteError::SudoPasswordWrong { .. } => {
            format!("give the right password as `sudoPassword` for {name}")
        }
        RemoteError::NoExecFolder { .. } => {
            format!(
                "one of these folders on {name} must allow programs to run (mounted without noexec) and have 30 MB free"
            )
        }
        RemoteError::AgentStart { .. } => format!("{name} must be a 64-bit Intel or AMD Linux host"),
        RemoteError::Lost { .. } => "run the same command again: it goes on where it stopped".to_owned(),
        RemoteError::AgentProgram { .. } => return Vec::new(),
    };
    vec![hint]
}
