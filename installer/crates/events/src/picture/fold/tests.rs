use super::*;
use crate::VERSION;

/// A run that began at the epoch, told with its times in milliseconds.
#[derive(Default)]
struct Told {
    fold: PictureFold,
    sequence: u64,
}

impl Told {
    fn new() -> Self {
        let planned = BTreeMap::from([
            ("m1".to_owned(), PlannedHost { role: "control-plane".to_owned(), steps: 4 }),
            ("w1".to_owned(), PlannedHost { role: "worker".to_owned(), steps: 2 }),
        ]);
        let mut told = Self { fold: PictureFold::new(planned, Some(20_000)), sequence: 0 };
        let hosts = ["w1", "m1", "m2"].map(str::to_owned).to_vec();
        let (verb, plan) = ("install".to_owned(), String::new());
        let (run, site, product) = ("run".to_owned(), "harbin".to_owned(), "Orders 4".to_owned());
        told.at(0, StepEvent::RunStarted { run, verb, site, product, plan, hosts, steps: 6 });
        told
    }

    fn at(&mut self, millis: u64, event: StepEvent) {
        self.sequence += 1;
        let record = Record {
            version: VERSION,
            sequence: self.sequence,
            at: time(millis),
            elapsed_millis: millis,
            event,
        };
        self.fold.step(&record);
        self.fold.step(&record);
    }

    fn begins(&mut self, millis: u64, step: &str) {
        let title = format!("title of {step}");
        self.at(millis, StepEvent::StepStarted { step: step.into(), host: host(step), title, attempt: 1 });
    }

    fn ends(&mut self, millis: u64, step: &str) {
        let (summary, changed) = ("12 blobs".to_owned(), true);
        let (step, host) = (step.to_owned(), host(step));
        self.at(millis, StepEvent::StepFinished { step, host, changed, summary, bytes: 1, millis: 1 });
    }

    fn says(&mut self, elapsed_millis: u64, step: &str, done: u64, total: u64) -> bool {
        let (host, message) = (host(step), "receive".to_owned());
        let step = step.to_owned();
        self.fold.progress_made(&ProgressEvent { step, host, message, done, total, elapsed_millis })
    }

    fn picture(&self, millis: u64) -> RunPicture {
        self.fold.picture("run", &moment(millis))
    }

    /// The only running step of a host.
    fn step(&self, millis: u64, name: &str) -> StepPicture {
        let picture = self.picture(millis);
        let host = picture.hosts.iter().find(|host| host.name == name).unwrap();
        assert_eq!(host.running.len(), 1);
        host.running[0].clone()
    }
}

fn host(step: &str) -> String {
    step.split('.').next().unwrap().to_owned()
}

fn time(millis: u64) -> Timestamp {
    Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap()
}

fn moment(millis: u64) -> Moment {
    Moment { now: time(millis), lives: true, stopping: false, last_words: LastWords::NotYet }
}

fn over(result: RunResult) -> StepEvent {
    StepEvent::RunFinished { result, changed: 1, unchanged: 0, millis: 1 }
}

fn failure(message: &str) -> FailureReport {
    FailureReport { message: message.into(), ..FailureReport::default() }
}

#[test]
fn before_the_first_event_there_is_nothing_but_the_name() {
    let expected = RunPicture { run: "run".into(), goes_on: true, ..RunPicture::default() };
    assert_eq!(PictureFold::default().picture("run", &moment(9)), expected);
}

#[test]
fn hosts_stand_in_the_profiles_order_with_what_the_plan_says() {
    let mut told = Told::new();
    told.begins(10, "w1.store");
    told.ends(20, "w1.store");
    told.begins(30, "other.store");
    let picture = told.picture(100);
    let hosts: Vec<_> = picture
        .hosts
        .iter()
        .map(|host| (host.name.as_str(), host.role.as_str(), host.steps, host.done))
        .collect();
    let expected =
        [("w1", "worker", 2, 1), ("m1", "control-plane", 4, 0), ("m2", "", 0, 0), ("other", "", 0, 0)];
    assert_eq!(hosts, expected);
    assert_eq!((picture.done, picture.steps, picture.elapsed_millis), (1, 6, 100));
    let silent: Vec<_> = picture.hosts.iter().map(|host| host.silent_millis).collect();
    assert_eq!(silent, [Some(80), None, None, Some(70)], "nothing was asked of m1 and m2");
}

#[test]
fn a_rate_is_that_of_the_last_seconds() {
    let mut told = Told::new();
    told.begins(0, "m1.store");
    assert_eq!(told.step(0, "m1").bytes_per_second, None);
    // Slow at first, then ten times as fast.
    for second in 0..=10 {
        assert!(told.says(second * 1000, "m1.store", second * 1_000_000, 200_000_000));
    }
    assert_eq!(told.step(10_000, "m1").bytes_per_second, Some(1_000_000));
    for second in 1..=10 {
        told.says(10_000 + second * 1000, "m1.store", (10 + 10 * second) * 1_000_000, 200_000_000);
    }
    let step = told.step(20_000, "m1");
    assert_eq!(step.bytes_per_second, Some(10_000_000));
    assert_eq!(step.left_millis, Some(9_000));
    assert_eq!((step.message.as_str(), step.done, step.total), ("receive", 110_000_000, 200_000_000));
    // What stands still has no end in sight.
    for second in 21..=30 {
        told.says(second * 1000, "m1.store", 110_000_000, 200_000_000);
    }
    let step = told.step(30_000, "m1");
    assert_eq!((step.bytes_per_second, step.left_millis), (Some(0), None));
    // Something else is counted now.
    told.says(30_500, "m1.store", 0, 5_000_000);
    assert_eq!(told.step(30_500, "m1").bytes_per_second, None);
}

#[test]
fn things_have_no_rate_and_a_chatty_step_takes_little_room() {
    let mut told = Told::new();
    told.begins(0, "m1.pods");
    told.says(0, "m1.pods", 0, 9);
    told.says(5_000, "m1.pods", 5, 9);
    let step = told.step(5_000, "m1");
    assert_eq!((step.done, step.bytes_per_second, step.left_millis), (5, None, None));
    for millis in 5_000..9_000 {
        told.says(millis, "m1.pods", millis, 8_000_000);
    }
    let points = told.fold.running.values().map(|running| running.points.len()).max();
    assert_eq!(points, Some(MOST_POINTS));
}

#[test]
fn silence_counts_from_the_last_word_of_this_try() {
    let mut told = Told::new();
    told.begins(1_000, "m1.join");
    // Before its first word there is no limit of silence: the host is being connected to.
    let step = told.step(16_000, "m1");
    assert_eq!((step.silent_millis, step.limit_millis, step.is_stuck()), (15_000, None, false));
    assert!(told.says(16_000, "m1.join", 0, 0));
    let step = told.step(25_999, "m1");
    assert_eq!((step.silent_millis, step.limit_millis, step.is_stuck()), (9_999, Some(20_000), false));
    assert!(told.step(26_000, "m1").is_stuck());
    assert_eq!(told.picture(26_000).hosts[1].silent_millis, Some(10_000));
    let (step, host, reason) = ("m1.join".into(), "m1".into(), "lost".into());
    told.at(36_000, StepEvent::StepRetried { step, host, reason });
    assert_eq!(told.step(50_000, "m1").limit_millis, None);
    told.begins(46_000, "m1.join");
    assert!(!told.says(30_000, "m1.join", 1, 2), "a word of the former try");
    assert_eq!(told.step(50_000, "m1").silent_millis, 4_000);
    told.ends(51_000, "m1.join");
    assert!(!told.says(51_500, "m1.join", 1, 2), "the step has ended");
}

#[test]
fn a_run_that_does_not_go_on_ages_no_more_and_is_never_stuck() {
    let mut told = Told::new();
    told.begins(1_000, "m1.join");
    told.says(1_500, "m1.join", 0, 0);
    told.ends(2_000, "w1.store");
    let cut = told.fold.picture("run", &Moment { lives: false, ..moment(90_000) });
    assert_eq!((cut.goes_on, cut.result, cut.elapsed_millis), (false, None, 2_000));
    assert_eq!((cut.hosts[1].silent_millis, cut.hosts[1].running[0].limit_millis), (None, None));
    told.at(3_000, over(RunResult::Cancelled));
    let stopped = told.fold.picture("run", &Moment { stopping: true, ..moment(90_000) });
    assert_eq!((stopped.goes_on, stopped.stopping, stopped.elapsed_millis), (false, true, 3_000));
    assert_eq!(stopped.result, Some(RunResult::Cancelled));
}

#[test]
fn what_happened_is_told_line_by_line() {
    let mut told = Told::new();
    told.begins(10, "m1.a");
    told.ends(20, "m1.a");
    told.ends(25, "m1.unknown");
    told.begins(30, "m1.b");
    let (step, host, reason) = ("m1.b".to_owned(), "m1".to_owned(), "lost".to_owned());
    told.at(40, StepEvent::StepRetried { step: step.clone(), host: host.clone(), reason });
    told.at(50, StepEvent::Note { message: "a word".into() });
    let no = failure("no");
    told.at(60, StepEvent::StepFailed { step: step.clone(), host: host.clone(), failure: no.clone() });
    let picture = told.picture(70);
    let log: Vec<_> =
        picture.log.iter().map(|line| (line.at_millis, line.host.as_deref(), line.text.as_str())).collect();
    let expected = [
        (20, Some("m1"), "title of m1.a: 12 blobs"),
        (25, Some("m1"), "m1.unknown: 12 blobs"),
        (40, Some("m1"), "title of m1.b: tried again: lost"),
        (50, None, "a word"),
        (60, Some("m1"), "title of m1.b: failed: no"),
    ];
    assert_eq!(log, expected);
    let troubles: Vec<_> =
        picture.log.iter().filter(|line| line.trouble).map(|line| line.at_millis).collect();
    assert_eq!(troubles, [40, 60]);
    let title = "title of m1.b".to_owned();
    assert_eq!(picture.failures, [FailedStep { step, host, title, failure: no }]);
    assert_eq!(picture.hosts[1].running, []);
}

#[test]
fn the_log_keeps_the_newest_lines() {
    let mut told = Told::new();
    for number in 0..600 {
        told.at(number, StepEvent::Note { message: number.to_string() });
    }
    let log = told.picture(600).log;
    assert_eq!((log.len(), log[0].text.as_str()), (MOST_LINES, "100"));
    assert_eq!(log.last().map(|line| line.text.as_str()), Some("599"));
}

#[test]
fn a_run_is_done_when_it_has_said_what_stands() {
    let mut told = Told::new();
    told.at(1_000, over(RunResult::Done));
    let asking = told.picture(5_000);
    assert_eq!((asking.goes_on, asking.result, asking.elapsed_millis), (true, None, 5_000));
    let at = |lives, last_words| told.fold.picture("run", &Moment { lives, last_words, ..moment(5_000) });
    let outcome = RunOutcome { nodes: 3, ready: 3, ..RunOutcome::default() };
    for lives in [true, false] {
        let done = at(lives, LastWords::Stands(outcome.clone()));
        assert_eq!((done.goes_on, done.result), (false, Some(RunResult::Done)));
        assert_eq!((done.outcome, done.failures), (Some(outcome.clone()), Vec::new()));
        let failed = at(lives, LastWords::Failed(failure("m1 is gone")));
        assert_eq!((failed.goes_on, failed.result), (false, Some(RunResult::Failed)));
        assert_eq!((failed.outcome, failed.failures[0].failure.message.as_str()), (None, "m1 is gone"));
    }
    let gone = at(false, LastWords::NotYet);
    assert_eq!((gone.goes_on, gone.result), (false, Some(RunResult::Failed)));
    assert!(gone.failures[0].failure.message.contains("before it had asked what stands"));
    assert!(gone.failures[0].host.is_empty() && gone.failures[0].failure.hint.is_some());
}
