//! An agent for the tests: a real program on the real protocol that does what the lock's owner says.

use std::io::{self, Read, Write};
use std::time::Duration;

use sealift_host::protocol::{
    BlobNeed, Failure, FailureKind, Frame, MAGIC, Outcome, Progress, Reply, Request, Response, SecretFile,
    SecretFiles, read_frame, write_json,
};
use sha2::{Digest, Sha256};

fn main() -> io::Result<()> {
    if std::env::args().skip(1).ne(["agent".to_owned()]) {
        return Err(io::Error::other("wants the one argument `agent`"));
    }
    let mut input = io::stdin().lock();
    let mut output = io::stdout().lock();
    output.write_all(MAGIC)?;
    output.flush()?;
    loop {
        let body = match read_frame(&mut input) {
            Ok(Frame::Json(body)) => body,
            Ok(Frame::Data(_)) => continue,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let reply = match serde_json::from_slice(&body)? {
            Request::Lock { owner, .. } => obey(&owner, &mut input, &mut output)?,
            Request::Lend => match sealift_host::lend::lend() {
                Ok(port) => Reply::Done(Box::new(Response::Lent { port })),
                Err(failure) => Reply::Failed(failure),
            },
            Request::Bye => return write_json(&mut output, &Reply::Done(Box::new(Response::Ok))),
            _ => failed("not for tests"),
        };
        write_json(&mut output, &reply)?;
    }
}

fn obey(order: &str, input: &mut impl Read, output: &mut impl Write) -> io::Result<Reply> {
    let mut words = order.split(' ');
    let (verb, mut words) = (words.next().unwrap_or_default(), words.map(str::to_owned));
    let mut word = || words.next().unwrap_or_default();
    let number = |text: String| text.parse::<u64>().map_err(io::Error::other);
    match verb {
        "uid" => Ok(done(format!(
            "uid {} from {}",
            rustix::process::getuid().as_raw(),
            std::env::current_exe()?.display()
        ))),
        "fail" => Ok(failed("as ordered")),
        "secret" => {
            let file = SecretFile { name: "ca.key".to_owned(), content: "x".repeat(100_000) };
            Ok(Reply::Done(Box::new(Response::Secrets { files: SecretFiles(vec![file]) })))
        }
        // How many processes show this text in arguments or environment.
        "seen" => Ok(done(seen(&word()).to_string())),
        "stderr" => {
            let mut left = number(word())?;
            while left > 0 {
                let chunk = left.min(1 << 16);
                io::stderr().write_all(&vec![b'e'; usize::try_from(chunk).unwrap_or_default()])?;
                left -= chunk;
            }
            Ok(done("flooded".to_owned()))
        }
        "progress" => {
            talk(output, number(word())?)?;
            Ok(done("talked".to_owned()))
        }
        "need" => receive(&[(word(), number(word())?, number(word())?)], None, input, output),
        "need-two" => {
            let both = [(word(), number(word())?, 0), (word(), number(word())?, 0)];
            receive(&both, None, input, output)
        }
        // Asks for a blob and talks for long before reading any of it.
        "need-later" => {
            let need = [(word(), number(word())?, 0)];
            ask(&need, output)?;
            talk(output, 20_000)?;
            take(&need, None, input, output)
        }
        "need-fail" => {
            let (digest, size, after) = (word(), number(word())?, number(word())?);
            receive(&[(digest, size, 0)], Some(after), input, output)
        }
        "exit" => {
            writeln!(io::stderr(), "the last words")?;
            std::process::exit(i32::try_from(number(word())?).unwrap_or(1))
        }
        "signal" => {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
            hang()
        }
        "garbage" => {
            output.write_all(b"this is no frame")?;
            output.flush()?;
            hang()
        }
        // The first half of a reply, then the end.
        "half" => {
            output.write_all(b"J\0\0\0\x10{\"reply\":")?;
            output.flush()?;
            std::process::exit(0)
        }
        "hang" => hang(),
        _ => Ok(failed("unknown order")),
    }
}

fn hang() -> ! {
    loop {
        std::thread::sleep(Duration::from_hours(1));
    }
}

fn talk(output: &mut impl Write, count: u64) -> io::Result<()> {
    for done in 1..=count {
        let progress = Progress { message: "talking ".repeat(50), done, total: count };
        write_json(output, &Reply::Progress(progress))?;
    }
    Ok(())
}

type Need = (String, u64, u64);

fn receive(
    needs: &[Need],
    fail_after: Option<u64>,
    input: &mut impl Read,
    output: &mut impl Write,
) -> io::Result<Reply> {
    ask(needs, output)?;
    take(needs, fail_after, input, output)
}

fn ask(needs: &[Need], output: &mut impl Write) -> io::Result<()> {
    let need = |(digest, size, offset): &Need| {
        // The plan's blob type is not this room's business: by its JSON.
        serde_json::from_value::<BlobNeed>(
            serde_json::json!({ "blob": { "digest": digest, "size": size }, "offset": offset }),
        )
    };
    let needs = needs.iter().map(need).collect::<Result<_, _>>()?;
    write_json(output, &Reply::NeedBlobs { needs })
}

fn take(
    needs: &[Need],
    fail_after: Option<u64>,
    input: &mut impl Read,
    output: &mut impl Write,
) -> io::Result<Reply> {
    let mut hasher = Sha256::new();
    let all: u64 = needs.iter().map(|(_, size, offset)| size - offset).sum();
    let mut got = 0;
    while got < all {
        let Frame::Data(bytes) = read_frame(input)? else { return Ok(failed("a request amid blobs")) };
        got += bytes.len() as u64;
        hasher.update(&bytes);
        if fail_after.is_some_and(|limit| got >= limit) {
            return Ok(failed("the disk is full, as ordered"));
        }
        write_json(
            output,
            &Reply::Progress(Progress { message: "receiving".to_owned(), done: got, total: all }),
        )?;
    }
    let digest = hasher.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Ok(done(digest))
}

fn seen(text: &str) -> usize {
    let shows = |pid: &std::path::Path| {
        ["cmdline", "environ"].iter().any(|file| {
            let content = std::fs::read(pid.join(file)).unwrap_or_default();
            content.windows(text.len()).any(|window| window == text.as_bytes())
        })
    };
    std::fs::read_dir("/proc")
        .map_or(0, |entries| entries.flatten().filter(|entry| shows(&entry.path())).count())
}

fn done(summary: String) -> Reply {
    Reply::Done(Box::new(Response::Outcome(Outcome { summary, ..Outcome::default() })))
}

fn failed(message: &str) -> Reply {
    let failure = Failure {
        kind: FailureKind::Other,
        message: message.to_owned(),
        causes: Vec::new(),
        hint: None,
        log: Vec::new(),
    };
    Reply::Failed(failure)
}
