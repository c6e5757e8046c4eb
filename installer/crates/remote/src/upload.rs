//! Bringing the agent program to a place on the host where it can run.
//!
//! Whatever is found there is used only if its digest is right and nobody else can change it: the folders are shared with
//! other users of the host, and the program runs as root.

use std::fs::File;
use std::io::Read;

use flate2::Compression;
use flate2::read::GzEncoder;

use crate::command::{self, Broken};
use crate::connection::Connection;
use crate::error::{FolderRefusal, LostCause, RemoteError};
use crate::lenders::Lender;
use crate::quote::quote;
use crate::shell::nonce;
use crate::target::AgentProgram;

/// Two and a half times as fast as the usual 6 for a program that is 3 % larger: over 100 Mbit/s and more the seat's
/// processor is what takes the time.
const COMPRESSION: Compression = Compression::new(3);
const DOING: &str = "while bringing the agent over";
const WRONG_DIGEST: i32 = 91;
/// Longest time for taking the program from a neighbour, seconds: below [`Timeouts::command`], no byte moves here
/// meanwhile.
///
/// [`Timeouts::command`]: crate::Timeouts::command
const NEIGHBOUR_SECONDS: u32 = 20;

/// What the host told about itself and about places for the agent.
pub(crate) struct Survey {
    pub(crate) uid: u32,
    pub(crate) has_sudo: bool,
    /// Whether the program can come compressed.
    pub(crate) has_gzip: bool,
    pub(crate) places: Vec<Place>,
    pub(crate) refusals: Vec<FolderRefusal>,
}

/// A place where the agent is or can be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: String,
    /// Whether the program is there already.
    pub(crate) present: bool,
    /// Whether it goes there for this run only.
    pub(crate) temporary: bool,
}

/// 64 lowercase hex digits of a `sha256:` digest.
fn hex<'a>(connection: &Connection, program: &'a AgentProgram) -> Result<&'a str, RemoteError> {
    let digits = program.digest.strip_prefix("sha256:").unwrap_or_default();
    if digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(digits);
    }
    let text = format!("malformed digest {:?}", program.digest);
    let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, text);
    Err(RemoteError::AgentProgram { peer: connection.peer.clone(), path: program.path.clone(), source })
}

/// Looks at the account and at each place.
pub(crate) fn survey(connection: &Connection, program: &AgentProgram) -> Result<Survey, RemoteError> {
    let hex = hex(connection, program)?;
    let finished = command::run(connection, &survey_script(program, hex), "while looking at the account")?;
    parse_survey(&finished.stdout, hex).ok_or_else(|| {
        let cause = LostCause::Protocol(format!("{} {}", finished.stdout.trim(), finished.stderr));
        connection.lost("while looking at the account", cause)
    })
}

fn survey_script(program: &AgentProgram, hex: &str) -> String {
    let name = agent_name(hex);
    let probe = format!(".sealift-probe-{}", nonce());
    let folders: Vec<String> = program
        .folders
        .iter()
        .map(|folder| if folder == "~" { "\"$HOME\"".to_owned() } else { quote(folder) })
        .collect();
    // `same FILE UID`: a plain file of that owner, changed by nobody else, with the right digest.
    // The probe has no interpreter line: where the kernel may execute it, the shell runs it itself. It is gone before a word is
    // said: with the seat gone, saying something ends the shell.
    [
        "echo uid $(id -u)".to_owned(),
        "for c in sudo gzip; do if command -v $c >/dev/null 2>&1; then echo $c yes; fi; done".to_owned(),
        format!(
            "same() {{ [ -n \"$(find \"$1\" -prune -type f -user \"$2\" -perm -0500 -print 2>/dev/null)\" ] && \
             [ -z \"$(find \"$1\" -prune \\( -perm -0020 -o -perm -0002 \\) -print 2>/dev/null)\" ] && \
             case $(sha256sum < \"$1\" 2>/dev/null) in {hex}*) true ;; *) false ;; esac; }}"
        ),
        format!("f={}; if same \"$f\" 0; then echo installed \"$f\"; fi", quote(&program.installed_at)),
        format!(
            "for d in {}; do f=\"$d/{name}\"; p=\"$d/{probe}\"; \
             if [ -d \"$d\" ]; then true; else echo missing \"$d\"; continue; fi; \
             if ( umask 077; set -C; echo exit 0 > \"$p\" ) 2>/dev/null && chmod 0700 \"$p\"; then true; \
             else rm -f \"$p\"; echo unwritable \"$d\"; continue; fi; \
             \"$p\" >/dev/null 2>&1; runs=$?; rm -f \"$p\"; \
             if [ $runs -ne 0 ]; then echo noexec \"$d\"; \
             elif same \"$f\" \"$(id -u)\"; then echo present \"$f\"; else echo free \"$f\"; fi; done",
            folders.join(" ")
        ),
    ]
    .join("; ")
}

fn parse_survey(text: &str, hex: &str) -> Option<Survey> {
    let (places, refusals) = (Vec::new(), Vec::new());
    let mut survey = Survey { uid: 0, has_sudo: false, has_gzip: false, places, refusals };
    let mut uid = None;
    for line in text.lines() {
        let Some((word, value)) = line.split_once(' ') else { continue };
        let place = |present, temporary| Place { path: value.to_owned(), present, temporary };
        let refusal = |reason: &str| FolderRefusal { folder: value.to_owned(), reason: reason.to_owned() };
        match word {
            "uid" => uid = value.parse().ok(),
            "sudo" => survey.has_sudo = true,
            "gzip" => survey.has_gzip = true,
            "installed" => survey.places.insert(0, place(true, false)),
            "present" if value.ends_with(&agent_name(hex)) => survey.places.push(place(true, true)),
            "free" if value.ends_with(&agent_name(hex)) => survey.places.push(place(false, true)),
            "missing" => survey.refusals.push(refusal("no such folder")),
            "unwritable" => survey.refusals.push(refusal("cannot be written")),
            "noexec" => survey.refusals.push(refusal("does not let programs run")),
            _ => {}
        }
    }
    survey.uid = uid?;
    Some(survey)
}

fn agent_name(hex: &str) -> String {
    format!(".sealift-agent-{}", &hex[..16])
}

/// How the program comes to a host.
pub(crate) enum Way<'a> {
    /// From a neighbour.
    Neighbour(&'a Lender),
    /// From the seat, over this connection.
    Seat {
        /// Whether the host can unpack gzip.
        compressed: bool,
    },
}

/// Brings the program to `place`. `Ok(Some(…))` where the place does not take it, or the neighbour does not give it.
pub(crate) fn provide(
    connection: &Connection,
    program: &AgentProgram,
    place: &Place,
    way: &Way<'_>,
) -> Result<Option<FolderRefusal>, RemoteError> {
    let hex = hex(connection, program)?;
    let unreadable = |source| RemoteError::AgentProgram {
        peer: connection.peer.clone(),
        path: program.path.clone(),
        source,
    };
    let mut input: Box<dyn Read> = match way {
        Way::Neighbour(_) => Box::new(std::io::empty()),
        Way::Seat { compressed } => {
            let file = File::open(&program.path).map_err(unreadable)?;
            if *compressed { Box::new(GzEncoder::new(file, COMPRESSION)) } else { Box::new(file) }
        }
    };
    tracing::debug!(host = connection.peer.name(), path = place.path, "bringing the agent over");
    // A name of its own: sessions to one host may do this at once. It is made anew, never followed or overwritten.
    let script = format!(
        "f={final_path}; t=\"$f.{nonce}\"; umask 077; set -C; \
         {reader} > \"$t\" || {{ s=$?; rm -f \"$t\"; exit $s; }}; \
         case $(sha256sum < \"$t\") in {hex}*) true ;; *) rm -f \"$t\"; exit {WRONG_DIGEST} ;; esac; \
         chmod 0700 \"$t\" && mv -f \"$t\" \"$f\" || {{ s=$?; rm -f \"$t\"; exit $s; }}",
        final_path = quote(&place.path),
        nonce = nonce(),
        reader = reader(way),
    );
    let finished = match command::feed(connection, &script, &mut *input, DOING) {
        Ok(finished) => finished,
        Err(Broken::Remote(error)) => return Err(error),
        Err(Broken::Input(source)) => return Err(unreadable(source)),
    };
    let reason = match finished.status {
        0 => return Ok(None),
        WRONG_DIGEST => {
            format!("what arrived does not have the digest {} {}", program.digest, finished.stderr)
        }
        status if finished.stderr.is_empty() => format!("status {status}"),
        _ => finished.stderr,
    };
    let folder = place.path.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
    Ok(Some(FolderRefusal { folder, reason: reason.trim().replace('\n', "; ") }))
}

/// The command that writes the program to its output.
fn reader(way: &Way<'_>) -> String {
    match way {
        // bash alone of the shells can open a connection; where it is missing, the seat brings the program.
        Way::Neighbour(Lender { address, port }) => format!(
            "timeout {NEIGHBOUR_SECONDS} bash -c {} {} {port}",
            quote("exec 3<>\"/dev/tcp/$0/$1\" && cat <&3"),
            quote(address)
        ),
        Way::Seat { compressed: true } => "gzip -dc".to_owned(),
        Way::Seat { compressed: false } => "cat".to_owned(),
    }
}

/// Removes an uploaded program.
pub(crate) fn remove(connection: &Connection, path: &str) -> Result<(), RemoteError> {
    command::run(connection, &format!("rm -f {}", quote(path)), "while removing the agent").map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_that_goes_while_it_is_answered_leaves_no_probe_behind() {
        let folder = tempfile::tempdir().unwrap();
        let folders = vec![folder.path().to_str().unwrap().to_owned()];
        let program = AgentProgram { folders, ..AgentProgram::new("agent", "") };
        // What the shell is told when it speaks to nobody.
        let gone = "echo() { case $1 in free|noexec) kill -KILL $$ ;; *) command echo \"$@\" ;; esac; }";
        let script = format!("{gone}; {}", survey_script(&program, &"0".repeat(64)));
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.code().is_none(), "{output:?}");
        assert!(output.stdout.starts_with(b"uid "), "{output:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_survey_tells_places_in_order_and_why_others_are_none() {
        let hex = "0123456789abcdef".repeat(4);
        let text = "banner of a noisy profile\nuid 1000\nsudo yes\ngzip yes\nnoexec /tmp\nfree /home/a b/.sealift-agent-0123456789abcdef\n\
                    free /elsewhere\ninstalled /var/lib/sealift/bin/installer\nmissing /nowhere\n";
        let survey = parse_survey(text, &hex).expect("a whole survey");
        assert_eq!((survey.uid, survey.has_sudo, survey.has_gzip), (1000, true, true));
        let paths: Vec<_> =
            survey.places.iter().map(|place| (place.path.as_str(), place.present, place.temporary)).collect();
        let expected = [
            ("/var/lib/sealift/bin/installer", true, false),
            ("/home/a b/.sealift-agent-0123456789abcdef", false, true),
        ];
        assert_eq!(paths, expected);
        let refusals: Vec<_> = survey.refusals.iter().map(ToString::to_string).collect();
        assert_eq!(refusals, ["/tmp (does not let programs run)", "/nowhere (no such folder)"]);
        assert!(parse_survey("sudo yes\n", &hex).is_none());
    }
}
