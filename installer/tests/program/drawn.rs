//! `installer wizard` as somebody at a terminal gets it: what is drawn, and that the terminal is as before in every way
//! out.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use rustix::process::Signal;

use crate::seat::Seat;
use crate::terminal::{CTRL_C, CTRL_L, CTRL_Z, DOWN, ENTER, ESC, F3, F5, F10, Terminal};

const INSTALLER: &str = env!("CARGO_BIN_EXE_installer");

/// A profile in which every page can be visited.
const OPEN: &str = "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: plant}\n";

pub const WHOLE: &str = "apiVersion: sealift/v1
kind: Site
metadata: {name: harbin-plant}
environment: production
needs: {users: 2000, concurrentPercent: 10, availability: one-machine-may-fail}
hosts:
  - {name: m1, address: 10.20.0.11, role: control-plane}
  - {name: w1, address: 10.20.0.21, role: worker}
access: {user: ops, password: {prompt: access.password}, knownHosts: ~/.ssh/known_hosts}
product:
  settings: {domain: orders.harbin.example}
  secrets: {adminPassword: {env: ADMIN_PASSWORD}}
";

/// The wizard, drawn on a new terminal, where the name of the site is asked for.
fn drawn(seat: &Seat, arguments: &[&str], variables: &[(&str, &str)]) -> Terminal {
    let mut terminal = Terminal::start(INSTALLER, arguments, &seat.path(""), variables);
    terminal.wait_for("What is the site called?");
    assert!(terminal.is_drawn_on());
    assert!(terminal.settings().contains("-icanon"));
    terminal
}

/// Types a name and waits until it is seen.
fn name(terminal: &mut Terminal) {
    terminal.write("dalian");
    terminal.wait_for("dalian");
}

fn go(terminal: &mut Terminal, page: usize) {
    terminal.write(F3);
    terminal.wait_for("To which page?");
    terminal.write(&DOWN.repeat(page - 1));
    terminal.write(ENTER);
    terminal.wait_for(&format!("{page}/13"));
}

#[test]
fn leaving_gives_the_terminal_back_and_says_where_the_answers_are() {
    let seat = Seat::new();
    let mut terminal = drawn(&seat, &["wizard"], &[]);
    name(&mut terminal);
    terminal.write(F10);
    terminal.wait_for("Leave the wizard? The answers are kept in site.yaml.");
    terminal.write(ENTER);
    terminal.wait_for("Go on with: installer wizard");
    assert_eq!(terminal.ended().code(), Some(0));
    assert!(seat.read("site.yaml").contains("name: dalian"));
}

#[test]
fn without_a_verb_the_wizard_opens_and_control_c_asks() {
    let seat = Seat::new();
    let mut terminal = drawn(&seat, &[], &[]);
    terminal.write(CTRL_C);
    terminal.wait_for("Leave the wizard?");
    terminal.write(ESC);
    terminal.wait_for("1/13");
    terminal.wait_for("What is the site called?");
    name(&mut terminal);
    terminal.signal(Signal::INT);
    terminal.wait_for("Leave the wizard?");
    terminal.write(ENTER);
    terminal.wait_for("Go on with: installer wizard");
    assert_eq!(terminal.ended().code(), Some(0));
    assert!(seat.read("site.yaml").contains("name: dalian"));
}

#[test]
fn signals_save_first_and_give_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT] {
        let seat = Seat::new();
        let mut terminal = drawn(&seat, &["wizard"], &[]);
        name(&mut terminal);
        terminal.signal(signal);
        terminal.wait_for("Go on with: installer wizard");
        assert_eq!(terminal.ended().signal(), Some(signal.as_raw()));
        assert!(seat.read("site.yaml").contains("name: dalian"), "{signal:?}");
    }
}

#[test]
fn a_terminal_that_goes_away_leaves_the_answers() {
    let seat = Seat::new();
    let mut terminal = drawn(&seat, &["wizard"], &[]);
    name(&mut terminal);
    assert!(!terminal.hang_up().success());
    assert!(seat.read("site.yaml").contains("name: dalian"));
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_told() {
    let seat = Seat::new();
    let mut terminal = drawn(&seat, &["wizard"], &[("SEALIFT_PANIC", "yes")]);
    terminal.write(CTRL_L);
    terminal.wait_for("SEALIFT_PANIC is set");
    assert_eq!(terminal.ended().code(), Some(101));
}

/// Waits until the shell reads: what is typed before may go to the program that it has started.
fn ready(shell: &mut Terminal) {
    shell.wait_until("the prompt", |screen| {
        let (row, column) = screen.cursor_position();
        let line = screen.rows(0, 80).nth(usize::from(row)).unwrap();
        column == 7 && line.trim_end() == "ready>"
    });
}

#[test]
fn a_stopped_wizard_gives_the_terminal_to_the_shell_and_comes_back() {
    let seat = Seat::new();
    let folder = Path::new(INSTALLER).parent().unwrap().display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let variables = [("PATH", path.as_str()), ("PS1", "ready> "), ("ENV", "")];
    let mut shell = Terminal::start("sh", &["-im"], &seat.path(""), &variables);
    let settings = |shell: &mut Terminal, when: &str| {
        ready(shell);
        // What is typed shows neither: the shell joins the marks.
        shell.write(&format!("printf '%s=%s=%s\\n' {when} $(stty -g) end\n"));
        let start = format!("{when}=");
        let found = |screen: &vt100::Screen| {
            let text = screen.contents().replace('\n', "");
            let (_, rest) = text.split_once(&start)?;
            Some(rest.split_once("=end")?.0.to_owned())
        };
        shell.wait_until(when, |screen| found(screen).is_some());
        found(shell.shown()).unwrap()
    };
    let before = settings(&mut shell, "before");
    ready(&mut shell);
    shell.write("installer wizard\n");
    shell.wait_for("What is the site called?");
    name(&mut shell);
    shell.write(CTRL_Z);
    shell.wait_for("Stopped");
    assert!(!shell.is_drawn_on());
    assert_eq!(settings(&mut shell, "stopped"), before);
    ready(&mut shell);
    shell.write("fg\n");
    shell
        .wait_until("the wizard", |screen| screen.alternate_screen() && screen.contents().contains("dalian"));
    assert!(shell.settings().contains("-icanon"));
    shell.write(F10);
    shell.wait_for("Leave the wizard?");
    shell.write(ENTER);
    shell.wait_for("Go on with: installer wizard");
    assert_eq!(settings(&mut shell, "after"), before);
    ready(&mut shell);
    shell.write("exit 7\n");
    assert_eq!(shell.ended().code(), Some(7));
}

#[test]
fn a_window_that_becomes_too_small_asks_for_more_and_recovers() {
    let seat = Seat::new();
    let mut terminal = drawn(&seat, &["wizard"], &[]);
    name(&mut terminal);
    terminal.resize(60, 15);
    terminal.wait_for("80x24 is needed, this is 60x15");
    terminal.resize(120, 36);
    terminal.wait_until("the panes", |screen| {
        let text = screen.contents();
        text.contains("dalian") && text.contains("Whom to ask") && text.contains("not seen")
    });
    terminal.resize(80, 24);
    terminal.wait_until("the page", |screen| {
        screen.contents().contains("dalian") && !screen.contents().contains("not seen")
    });
    terminal.write(CTRL_C);
    terminal.wait_for("Leave the wizard?");
    terminal.write(ENTER);
    terminal.wait_for("Go on with: installer wizard");
    assert_eq!(terminal.ended().code(), Some(0));
}

#[test]
fn fifty_hosts_are_pasted_at_once() {
    let seat = Seat::new();
    seat.write("site.yaml", OPEN);
    let mut terminal = Terminal::start(INSTALLER, &["wizard"], &seat.path(""), &[]);
    terminal.wait_for("1/13");
    go(&mut terminal, 4);
    let lines = (10..60).map(|n| format!("w{n}, 10.20.0.{n}, work\r")).collect::<Vec<_>>().concat();
    terminal.write(&format!("\x1b[200~{lines}\x1b[201~"));
    terminal.wait_for("50 hosts were added");
    terminal.signal(Signal::TERM);
    terminal.wait_for("Go on with: installer wizard");
    terminal.ended();
    assert_eq!(seat.read("site.yaml").matches("10.20.0.").count(), 50);
}

#[test]
fn terminals_that_cannot_draw_are_asked_in_lines() {
    let seat = Seat::new();
    for variables in [[("TERM", "dumb")], [("TERM", "")]] {
        let mut terminal = Terminal::start(INSTALLER, &["wizard"], &seat.path(""), &variables);
        terminal.wait_for("Each question has a number.");
        terminal.wait_for("answer> ");
        assert!(!terminal.is_drawn_on() && !terminal.written.contains(&0x1b));
        terminal.write("quit\n");
        terminal.wait_for("yes or no> ");
        terminal.write("yes\n");
        terminal.wait_for("Left.");
        assert_eq!(terminal.ended().code(), Some(0));
    }
}

#[test]
fn old_terminals_get_plain_letters_without_colours_and_english() {
    let seat = Seat::new();
    let mut terminal = drawn(&seat, &["wizard", "--language", "zh"], &[("TERM", "vt100")]);
    terminal.wait_for("cannot show Chinese letters");
    assert!(terminal.written.is_ascii());
    let written = String::from_utf8(terminal.written.clone()).unwrap();
    let colours = (30..48).chain(90..108).filter(|code| *code != 39);
    for code in colours {
        assert!(!written.contains(&format!("\x1b[{code}m")) || code == 49, "{code} in {written:?}");
    }
    assert!(!written.contains("38;5;"), "{written:?}");
    terminal.signal(Signal::TERM);
    terminal.wait_for("Left.");
    terminal.ended();
    let mut terminal = drawn(&seat, &["wizard"], &[("LC_ALL", "POSIX")]);
    assert!(terminal.written.is_ascii());
    terminal.signal(Signal::TERM);
    terminal.wait_for("Left.");
    terminal.ended();
}

#[test]
fn a_password_is_asked_for_on_the_screen_and_seen_by_nobody() {
    let seat = Seat::new();
    seat.write("site.yaml", WHOLE);
    let arguments = ["wizard", "--bundle", seat.bundle(), "--trust-key", "vendor.pub"];
    let mut terminal = Terminal::start(INSTALLER, &arguments, &seat.path(""), &[("ADMIN_PASSWORD", "x")]);
    terminal.wait_for("Orders 4.2.0, site harbin-plant");
    go(&mut terminal, 9);
    terminal.write(F5);
    terminal.wait_for("A secret is needed");
    terminal.write("canary");
    terminal.wait_for("●●●●●●");
    terminal.write(ESC);
    terminal.wait_for("secrets cannot be had");
    assert!(!String::from_utf8_lossy(&terminal.written).contains("canary"));
    terminal.signal(Signal::TERM);
    terminal.wait_for("Go on with: installer wizard");
    terminal.ended();
}
