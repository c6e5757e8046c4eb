//! `cargo xtask bench wizard`: how quick the wizard is on a terminal, and how little a viewer costs that has nothing to
//! do.
//!
//! The real program, as it is shipped, sits at a terminal of 132x50 with a site of 24 hosts. What is timed is what a
//! person at that terminal sees: from the key that goes in to the screen on which it shows. Beside each figure stands what
//! the machine needs at the least: a start that only says its version, and the echo of a terminal with `cat` at it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::figure::{Figure, median, percentile};
use super::site_run::{HOSTS, SiteRun, host};
use super::surroundings;
use crate::terminal::{Terminal, at_home, bare_start, is_whole, marked, title};
use crate::{programs, system};

/// Columns and rows.
const SIZE: (u16, u16) = (132, 50);
/// Events of a run that goes on while it is watched.
const EVENTS_A_SECOND: u32 = 100;
/// More lines than any page has to go through.
const ENOUGH: usize = 60;
const DOWN: &str = "\x1b[B";
const UP: &str = "\x1b[A";
const ENTER: &str = "\r";
const F3: &str = "\x1bOR";

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How often the wizard is started; the median counts
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    starts: u32,
    /// How many keys are timed; of a hundred, one may be slower than the figure
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    keys: u32,
    /// For how many seconds processor time is counted
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(5..=600))]
    idle_seconds: u16,
}

/// Measures and gives the figures.
pub fn run(options: &Options) -> Result<Vec<Figure>> {
    system::ensure(&[system::BUILD])?;
    for line in surroundings::lines() {
        println!("{line}");
    }
    let installer = programs::build()?.installer;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let seat = Seat { installer, home: folder.path().to_owned() };
    fs::write(seat.home.join("site.yaml"), site())?;
    println!("terminal     {}x{}, a site of {HOSTS} hosts", SIZE.0, SIZE.1);
    let idle = Duration::from_secs(options.idle_seconds.into());
    let first = seat.first_frame(options.starts)?;
    let hosts = seat.keys_on_hosts(options.keys)?;
    let busy = seat.keys_on_run(options.keys)?;
    let wizard = seat.idle_on_hosts(idle)?;
    let viewer = seat.idle_on_run(idle)?;
    let attached = seat.idle_attached(idle)?;
    let figure = |name, value, unit, target| Figure { name, value, unit, target };
    Ok(vec![
        figure("wizard-first-frame", first * 1e3, "ms", 100.0),
        figure("wizard-key-on-hosts", hosts * 1e3, "ms", 16.0),
        figure("wizard-key-on-a-run", busy * 1e3, "ms", 16.0),
        figure("wizard-idle-processor", wizard, "percent", 1.0),
        figure("viewer-idle-processor", viewer, "percent", 1.0),
        figure("attach-idle-processor", attached, "percent", 1.0),
    ])
}

/// A field engineer's place.
struct Seat {
    installer: PathBuf,
    home: PathBuf,
}

impl Seat {
    fn wizard(&self) -> Result<Terminal> {
        Terminal::start(&at_home(&self.installer, &["wizard"], &self.home), SIZE)
    }

    /// Seconds from the start of the program to its first whole frame, the median of so many.
    fn first_frame(&self, starts: u32) -> Result<f64> {
        let (mut frames, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..starts {
            bare.push(bare_start(&self.installer)?);
            let begun = Instant::now();
            let mut terminal = self.wizard()?;
            let drawn = terminal.wait_until("the first frame", is_whole)?;
            frames.push((drawn - begun).as_secs_f64());
        }
        println!(
            "start        {:.1} ms to the first frame, {:.1} ms to say the version (medians of {starts})",
            median(&frames) * 1e3,
            median(&bare) * 1e3
        );
        Ok(median(&frames))
    }

    /// Seconds from a key to the frame that shows it, on the page of hosts: of a hundred keys, one may take longer.
    fn keys_on_hosts(&self, keys: u32) -> Result<f64> {
        let echo = percentile(&self.echo(keys)?, 99);
        println!(
            "echo         {:.2} ms from a key to what the terminal itself shows (p99 of {keys})",
            echo * 1e3
        );
        let mut terminal = self.wizard()?;
        open_page(&mut terminal, "Hosts")?;
        walk("on hosts", &mut terminal, keys)
    }

    /// The same while a run is watched in which much happens.
    fn keys_on_run(&self, keys: u32) -> Result<f64> {
        let run = self.begin("busy", EVENTS_A_SECOND)?;
        let mut terminal = self.wizard()?;
        open_run(&mut terminal, "busy")?;
        let (begun, before) = (Instant::now(), run.written());
        let time = walk("on a run", &mut terminal, keys)?;
        let a_second = (run.written() - before) as f64 / begun.elapsed().as_secs_f64();
        println!("run          {a_second:.0} events a second meanwhile");
        self.end(run, "busy")?;
        ensure!(a_second > f64::from(EVENTS_A_SECOND) * 0.9, "the disk is too slow for so many events");
        Ok(time)
    }

    /// Seconds from a key to its echo where nothing but the terminal itself is in the way.
    fn echo(&self, keys: u32) -> Result<Vec<f64>> {
        let mut terminal = Terminal::start(&at_home(Path::new("/bin/cat"), &[], &self.home), SIZE)?;
        let mut times = Vec::new();
        for _ in 0..keys {
            let begun = Instant::now();
            terminal.write("x")?;
            let seen = terminal.wait_until("an echo", |screen| screen.cursor_position().1 == 1)?;
            times.push((seen - begun).as_secs_f64());
            terminal.write("\x7f")?;
            terminal.wait_until("the letter's end", |screen| screen.cursor_position().1 == 0)?;
        }
        Ok(times)
    }

    /// Percent of one processor that a wizard uses at which nobody types.
    fn idle_on_hosts(&self, time: Duration) -> Result<f64> {
        let mut terminal = self.wizard()?;
        open_page(&mut terminal, "Hosts")?;
        used("on hosts", &mut terminal, time)
    }

    /// The same where it watches a run in which nothing happens.
    fn idle_on_run(&self, time: Duration) -> Result<f64> {
        let run = self.begin("silent", 0)?;
        let mut terminal = self.wizard()?;
        open_run(&mut terminal, "silent")?;
        let percent = used("on a run", &mut terminal, time)?;
        self.end(run, "silent")?;
        Ok(percent)
    }

    /// The same of `attach`; what it uses where much happens is shown beside.
    fn idle_attached(&self, time: Duration) -> Result<f64> {
        let arguments = ["attach", "--output", "plain"];
        let mut percent = 0.0;
        for (name, a_second) in [("busy", EVENTS_A_SECOND), ("silent", 0)] {
            let run = self.begin(name, a_second)?;
            let mut terminal = Terminal::start(&at_home(&self.installer, &arguments, &self.home), SIZE)?;
            terminal.wait_until("the state of the run", |screen| screen.contents().contains("bench"))?;
            percent = used(&format!("attached, {name}"), &mut terminal, time)?;
            self.end(run, name)?;
        }
        Ok(percent)
    }

    /// Begins a run where this seat keeps them.
    fn begin(&self, name: &str, a_second: u32) -> Result<SiteRun> {
        SiteRun::begin(&self.home.join("runs"), name, a_second)
    }

    /// Ends it and takes it away: the next one is then the only one.
    fn end(&self, run: SiteRun, name: &str) -> Result<()> {
        run.end()?;
        fs::remove_dir_all(self.home.join("runs").join(name)).context("cannot take the run away")
    }
}

/// Presses keys that go from host to host, and times each until that host is marked.
fn walk(place: &str, terminal: &mut Terminal, keys: u32) -> Result<f64> {
    // From wherever it is, to the first host.
    to_mark(terminal, UP, &host(1))?;
    let mut times = Vec::new();
    let (mut at, mut down) = (1, true);
    for _ in 0..keys {
        // Down to the last line and up again: at the ends a key would do something else.
        down = at == 1 || (down && at < HOSTS);
        at = if down { at + 1 } else { at - 1 };
        let name = host(at);
        let begun = Instant::now();
        terminal.write(if down { DOWN } else { UP })?;
        let drawn = terminal.wait_until(&name, |screen| is_marked(screen, &name))?;
        times.push((drawn - begun).as_secs_f64());
    }
    let [usual, worst] = [99, 100].map(|percent| percentile(&times, percent));
    println!(
        "key          {:.2} ms to its frame {place} (p99 of {keys}), {:.2} ms at worst",
        usual * 1e3,
        worst * 1e3
    );
    Ok(usual)
}

/// Opens a page by its name.
fn open_page(terminal: &mut Terminal, page: &str) -> Result<()> {
    terminal.wait_until("the first frame", is_whole)?;
    terminal.write(F3)?;
    terminal.wait_until("the list of pages", |screen| screen.contents().contains("To which page?"))?;
    to_mark(terminal, DOWN, page)?;
    terminal.write(ENTER)?;
    terminal.wait_until(page, |screen| title(screen).ends_with(page))?;
    Ok(())
}

/// Opens the page that watches a run, from the list of runs on the first page.
fn open_run(terminal: &mut Terminal, run: &str) -> Result<()> {
    terminal.wait_until("the list of runs", |screen| is_whole(screen) && screen.contents().contains(run))?;
    to_mark(terminal, UP, run)?;
    terminal.write(ENTER)?;
    terminal.wait_until("the page of the run", |screen| {
        title(screen).ends_with("Install") && screen.contents().contains(&host(HOSTS))
    })?;
    Ok(())
}

/// Presses a key until what is looked at has this name.
fn to_mark(terminal: &mut Terminal, key: &str, name: &str) -> Result<()> {
    for _ in 0..ENOUGH {
        if is_marked(terminal.shown(), name) {
            return Ok(());
        }
        let before = marked(terminal.shown());
        terminal.write(key)?;
        terminal.wait_until("another line", |screen| marked(screen) != before)?;
    }
    bail!("{name} cannot be reached:\n{}", terminal.shown().contents())
}

fn is_marked(screen: &vt100::Screen, name: &str) -> bool {
    marked(screen).iter().any(|text| text.split_whitespace().any(|word| word == name))
}

/// Percent of one processor that the program uses while nobody types.
fn used(place: &str, terminal: &mut Terminal, time: Duration) -> Result<f64> {
    // What the last key has begun is over.
    terminal.watch(Duration::from_secs(1))?;
    let (before, begun) = (processor_time(terminal.pid())?, Instant::now());
    terminal.watch(time)?;
    let (after, passed) = (processor_time(terminal.pid())?, begun.elapsed());
    let percent = (after - before) / passed.as_secs_f64() * 100.0;
    println!("idle         {percent:.2} % of a processor over {} s {place}", time.as_secs());
    Ok(percent)
}

/// Seconds of processor time of a process.
fn processor_time(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} is not as it should be: {stat}"))?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// User and system time; the name in parentheses may have blanks.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    let (user, system) = (words.next()?.parse::<u64>().ok()?, words.next()?.parse::<u64>().ok()?);
    Some(user + system)
}

/// A profile of many hosts in which nothing is missing.
fn site() -> String {
    let mut text = String::from(
        "apiVersion: sealift/v1\nkind: Site\nmetadata: {name: bench}\nenvironment: production\n\
         access: {user: ops, privateKey: {file: ~/.ssh/id_ed25519}, knownHosts: ~/.ssh/known_hosts}\nhosts:\n",
    );
    for number in 1..=HOSTS {
        let role = if number <= 3 { "control-plane" } else { "worker" };
        // Writing to a String cannot fail.
        let _ =
            writeln!(text, "  - {{name: {}, address: 10.20.0.{}, role: {role}}}", host(number), number + 10);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_whatever_the_program_is_called() {
        let stat = "17 (a) b) c) S 1 17 17 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 1000 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("17 (a"), None);
        let before = processor_time(std::process::id()).unwrap();
        assert!(before >= 0.0);
    }

    #[test]
    fn a_frame_is_whole_when_its_buttons_are_there() {
        let mut parser = vt100::Parser::new(SIZE.1, SIZE.0, 0);
        parser.process("\x1b[?1049h\x1b[1;1H No product   4/11  Hosts".as_bytes());
        assert!(!is_whole(parser.screen()) && title(parser.screen()).ends_with("Hosts"));
        parser.process("\x1b[9;1H ▸ 1  host-01\x1b[50;1H [ Next ]".as_bytes());
        assert!(is_whole(parser.screen()));
        assert!(is_marked(parser.screen(), "host-01") && !is_marked(parser.screen(), "host-0"));
    }

    #[test]
    fn the_site_has_its_hosts() {
        assert_eq!(site().matches("role: control-plane").count(), 3);
        assert_eq!(site().matches("  - {name: host-").count(), HOSTS as usize);
    }
}
