use std::os::fd::OwnedFd;
use std::sync::Mutex;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};

use super::*;
use crate::output::{nobody_reads, say};

/// How long a broken program is waited for.
const PATIENCE: Timespec = Timespec { tv_sec: 120, tv_nsec: 0 };

/// An install that is this script; what it was asked with is given to these answers in turn.
fn script(text: &str, answers: &[Option<&str>]) -> (Result<String, Failure>, Vec<String>) {
    let asked = Mutex::new(Vec::new());
    let ask = |label: &str| {
        let mut asked = asked.lock().unwrap();
        asked.push(label.to_owned());
        let answer = answers.get(asked.len() - 1).copied().flatten();
        answer.map(SecretString::from).ok_or_else(|| io::Error::other("nobody gave it"))
    };
    let begun = follow(Command::new("sh").args(["-c", text]), &ask).map(|(run, _)| run);
    (begun, asked.into_inner().unwrap())
}

#[test]
fn an_answer_is_one_line_and_no_byte_more() {
    let mut input: &[u8] = b"first word\nsecond\n\nrest";
    let words = [(); 3].map(|()| answer(&mut input).unwrap().expose_secret().to_owned());
    assert_eq!(words, ["first word", "second", ""]);
    assert_eq!(answer(&mut input).unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "cut off");
    assert_eq!(answer(&mut input).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(answer(&mut &b"\xff\n"[..]).unwrap_err().to_string().contains("no text"));
    let long = vec![b'a'; LONGEST + 1];
    assert!(answer(&mut &long[..]).unwrap_err().to_string().contains("too long"));
    let mut whole = vec![b'a'; LONGEST];
    whole.push(b'\n');
    assert_eq!(answer(&mut &whole[..]).unwrap().expose_secret().len(), LONGEST);
}

#[test]
fn an_order_is_a_command_line_of_this_program() {
    let trust = Trust::default();
    let order = Order {
        bundle: "-odd.bundle".into(),
        profile: "site.yaml".into(),
        plan: Some("plan.json".into()),
        runs: "runs".into(),
        trust,
    };
    let words: Vec<String> = order.words().into_iter().map(|word| word.into_string().unwrap()).collect();
    let expected = "install --detached --yes --output=json --bundle=-odd.bundle --profile=site.yaml --runs=runs --plan=plan.json";
    assert_eq!(words.join(" "), expected);
    let line = [&["installer".to_owned()][..], &words].concat();
    <crate::cli::Arguments as clap::Parser>::try_parse_from(line).unwrap();
}

#[test]
fn questions_are_answered_until_the_run_is_named() {
    let (begun, asked) = script(
        r#"echo '{"topic":"bundle","text":"t","data":{}}'
        echo 'no line of ours'
        for label in one two; do
            echo '{"topic":"ask","text":"'$label'","data":{}}'
            read answer
            answers="$answers-$answer"
        done
        echo '{"topic":"run","text":"t","data":{"run":"'$answers'","folder":"f"}}'"#,
        &[Some("a b"), Some("")],
    );
    assert_eq!(begun.unwrap(), "-a b-");
    assert_eq!(asked, ["one", "two"]);
}

#[test]
fn who_gives_no_answer_is_asked_no_more() {
    for answer in [None, Some("of two\nlines")] {
        let (begun, asked) = script(
            r#"for label in one two; do
                echo '{"topic":"ask","text":"'$label'","data":{}}'
                read answer || failed="$failed $label"
            done
            echo '{"topic":"error","text":"t","exitCode":2,"data":{"kind":"usage","message":"not given:'"$failed"'",
                "causes":[],"hints":[],"log":[]}}' | tr -d '\n'
            exit 2"#,
            &[answer],
        );
        let failure = begun.unwrap_err();
        assert_eq!((failure.message.as_str(), failure.exit_code()), ("not given: one two", 2));
        assert_eq!(asked, ["one"]);
    }
}

#[test]
fn a_failure_before_the_run_is_told_as_the_install_told_it() {
    let told =
        Failure::new(Kind::Checks, "2 findings stand in the way").hint("mend them").hint("accept them");
    let told = Failure { causes: vec!["swap".into(), "disk".into()], log: vec!["line".into()], ..told };
    let line =
        serde_json::to_string(&json!({"version": 1, "topic": "error", "text": "t", "data": told})).unwrap();
    let (begun, _) = script(&format!("echo '{line}'; exit 3"), &[]);
    let failure = begun.unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert_eq!(json!(failure), json!(told));
    for (silent, how) in [("exit 7", "exit status: 7"), ("kill -9 $$", "signal: 9")] {
        let failure = script(silent, &[]).0.unwrap_err();
        assert_eq!(failure.exit_code(), 1);
        assert!(failure.causes[0].contains(how) && !failure.hints.is_empty(), "{failure:?}");
    }
    let missing = follow(&mut Command::new("/nonexistent"), &|_| unreachable!()).unwrap_err();
    assert!(missing.causes[0].contains("No such file"), "{missing:?}");
}

#[test]
fn an_install_that_has_ended_leaves_nothing_behind() {
    let named =
        r#"echo '{"topic":"run","text":"t","data":{"run":"'$$'","folder":"f"}}'; head -c 1000000 /dev/zero"#;
    let (process, drain) = follow(Command::new("sh").args(["-c", named]), &|_| unreachable!()).unwrap();
    drain.unwrap().join().unwrap();
    assert!(!Path::new("/proc").join(process).exists(), "a process that has ended is still in the table");
}

/// What this program is to be, where it is not the test, and the pipe by which it says that it went on.
const ROLE: &str = "SEALIFT_TEST_ROLE";
const PIPE: &str = "SEALIFT_TEST_PIPE";

fn this_test(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = "detached::tests::an_install_goes_on_when_its_starter_has_gone";
    command.args(["--exact", name, "--nocapture"]).env(ROLE, role);
    command
}

#[test]
fn an_install_goes_on_when_its_starter_has_gone() {
    match std::env::var(ROLE).as_deref() {
        Ok("starter") => {
            follow(&mut this_test("install"), &|_| unreachable!()).unwrap();
            std::process::exit(0);
        }
        Ok(_) => {
            say_begun("run", Path::new("runs/run"));
            // Until the pipe breaks: first it is drained, then nobody holds its other end.
            while !nobody_reads() {
                say(&"a long line ".repeat(10_000));
            }
            say("and this goes nowhere");
            std::fs::write(std::env::var_os(PIPE).unwrap(), "it went on").unwrap();
            return;
        }
        Err(_) => {}
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let pipe: OwnedFd = rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let starter = this_test("starter").env(PIPE, &path).stdout(Stdio::null()).status().unwrap();
    assert!(starter.success());
    assert_eq!(
        poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&PATIENCE)).unwrap(),
        1,
        "it never went on"
    );
    let mut word = [0; 10];
    File::from(pipe).read_exact(&mut word).unwrap();
    assert_eq!(&word, b"it went on");
}
