//! `installer wizard --plain` as somebody at a pipe gets it: the real program on a small real bundle.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::seat::{Ended, Seat, program};

impl Seat {
    /// Runs the wizard in the seat's folder with these lines as its input.
    pub fn wizard(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_installer"));
        Ended::of_given(command.arg("wizard").args(arguments).current_dir(self.path("")), input)
    }

    /// The same with the bundle and the vendor's key.
    fn wizard_with_bundle(&self, input: &str) -> Ended {
        self.wizard(&["--plain", "--bundle", self.bundle(), "--trust-key", "vendor.pub"], input)
    }

    fn validate(&self, file: &str) -> Ended {
        program(&["profile", "validate", "--profile", &self.path(file)])
    }
}

/// A line for each prompt, page by page; `#` starts the name of a page.
const WHOLE: &str = "#start\n\n\n\nharbin-plant\nproduction\n\n\
    #needs\n2,000\n10\n\n\n\n\n\n\n\n\nyes\n\n\
    #sizing\n\n\n\n\n\
    #hosts\npaste\nm1, 10.20.0.11, steer\nw1, 10.20.0.21, work\nw2, 10.20.0.22, work\n\n\n\
    #access\nops\n\nfile ~/.ssh/id_ed25519\n\n\nask\n~/.ssh/known_hosts\n\n\n\n\
    #network\n\n\n\n\n10.20.0.53\n\n\
    #storage\n\n\n\n\n\n\n\
    #product\n\norders.harbin.example\nenv ADMIN_PASSWORD\n\n\
    #checks\n\n#review\n\n#confirm\n\n";

fn lines(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.starts_with('#'));
    kept.fold(String::new(), |all, line| all + line + "\n")
}

/// The answers with something typed before those of a page.
fn before(page: &str, typed: &str) -> String {
    lines(&WHOLE.replace(&format!("#{page}\n"), &format!("{typed}\n")))
}

#[test]
fn the_whole_way_through_a_pipe_gives_a_valid_profile() {
    let seat = Seat::new();
    let ended = seat.wizard_with_bundle(&lines(WHOLE));
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    let valid = seat.validate("site.yaml");
    assert_eq!(valid.code, Some(0), "{}{}", valid.errors, seat.read("site.yaml"));
    assert!(
        valid.output.contains("harbin-plant: nothing is wrong; 1 control plane, 2 workers"),
        "{}",
        valid.output
    );
    let bits = std::fs::metadata(seat.path("site.yaml")).unwrap().permissions().mode() & 0o777;
    assert_eq!(bits, 0o600);
    let flat = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Page 11 of 13: Confirm",
        "Sizing: recommended; Steer: 3 x (",
        "The profile is kept in site.yaml.",
        "installer check --bundle ",
        "--profile site.yaml --trust-key vendor.pub",
    ] {
        assert!(flat.contains(part), "`{part}` is not in {}", ended.output);
    }
    let profile = seat.read("site.yaml");
    assert!(profile.contains("domain: orders.harbin.example") && profile.contains("env: ADMIN_PASSWORD"));
    assert!(!profile.contains("serviceCidr"), "defaults are not written out: {profile}");
}

#[test]
fn a_wrong_answer_on_each_page_is_told_with_its_remedy_and_changes_nothing() {
    let seat = Seat::new();
    seat.wizard_with_bundle(&lines(WHOLE));
    let good = seat.read("site.yaml");
    // A page is opened by its number, and its question by its own.
    for (page, question, wrong, why) in [
        ("start", 4, "Harbin", "`Harbin` is no name for a site"),
        ("needs", 1, "0", "`needs.users` is `0`"),
        ("needs", 11, "maybe", "neither yes nor no"),
        ("sizing", 3, "2", "2 masters cannot agree safely"),
        ("access", 2, "70000", "`access.port` is `70000`"),
        ("access", 3, "canary-secret", "where the secret is"),
        ("network", 1, "10.20.0.1", "it must be a name"),
        ("network", 3, "10.20.0.0/16", "contains the address 10.20.0.11"),
        ("storage", 1, "10250", "taken by the kubelet"),
        ("product", 3, "canary-secret", "where the secret is"),
    ] {
        let ended = seat.wizard(
            &["--plain", "--bundle", seat.bundle(), "--trust-key", "vendor.pub"],
            &format!("go {page}\n{question}\n{wrong}\n\nquit\nyes\n"),
        );
        assert_eq!(ended.code, Some(0), "{page}: {}{}", ended.output, ended.errors);
        let flat = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(why) && flat.contains("next: "), "{page} {question}: {}", ended.output);
        assert!(!ended.output.contains("canary"), "{}", ended.output);
        assert_eq!(seat.read("site.yaml"), good, "{page} {question}");
    }
    let ended = seat
        .wizard_with_bundle("go hosts\n1\n2\n10.20.0.300\n\n\npaste\nw9, 10.20.0.21, work\n\nquit\nyes\n");
    let flat = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("`hosts[0].address` is `10.20.0.300`"), "{}", ended.output);
    assert!(flat.contains("line 1: `w9` and `w1` have the same address"), "{}", ended.output);
    assert_eq!(seat.read("site.yaml"), good);
}

#[test]
fn a_profile_is_opened_one_answer_changed_and_the_others_stay() {
    let seat = Seat::new();
    for profile in ["standard.yaml", "hardened.yaml", "external-services.yaml", "large.yaml"] {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../profiles");
        let text = std::fs::read_to_string(format!("{shipped}/{profile}")).unwrap();
        seat.write("p.yaml", &text);
        let shown = |name: &str| {
            let ended = program(&["profile", "render", "--output", "json", "--profile", &seat.path(name)]);
            assert_eq!(ended.code, Some(0), "{}", ended.errors);
            serde_json::from_str::<serde_json::Value>(&ended.output).unwrap()["data"]["site"].clone()
        };
        let mut before = shown("p.yaml");
        let ended = seat.wizard(
            &["--plain", "--profile", "p.yaml"],
            "go needs\n1\n4321\ngo network\n2\n7443\ngo confirm\nquit\nyes\n",
        );
        assert_eq!(ended.code, Some(0), "{profile}: {}{}", ended.output, ended.errors);
        before["needs"]["users"] = 4321.into();
        before["cluster"]["endpointPort"] = 7443.into();
        assert_eq!(shown("p.yaml"), before, "{profile}");
        assert_eq!(seat.read("p.yaml.before-wizard"), text, "remarks are kept in a copy");
        std::fs::remove_file(seat.path("p.yaml.before-wizard")).unwrap();
    }
}

#[test]
fn the_end_of_the_input_and_quit_keep_what_was_answered() {
    let seat = Seat::new();
    let ended = seat.wizard(&["--plain"], "\n\n\nharbin\n");
    assert_eq!(ended.code, Some(2), "{}", ended.output);
    assert!(
        ended.errors.contains("The input has ended. The answers are kept in site.yaml."),
        "{}",
        ended.errors
    );
    assert!(ended.errors.contains("next: installer wizard --plain --profile site.yaml"), "{}", ended.errors);
    let valid = seat.validate("site.yaml");
    assert_eq!(valid.code, Some(0), "{}", valid.errors);
    assert!(valid.output.contains("harbin: nothing is wrong; 2 sections are left open"), "{}", valid.output);

    let ended = seat.wizard(&["--plain"], "go needs\n1\n50\nquit\nno\nquit\nyes\n");
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    assert!(ended.output.contains("Left. The answers are kept in site.yaml."), "{}", ended.output);
    assert!(seat.read("site.yaml").contains("users: 50"));

    let ended = seat.wizard(&["--plain", "--profile", "none.yaml"], "");
    assert_eq!(ended.code, Some(2));
    assert!(!std::path::Path::new(&seat.path("none.yaml")).exists(), "nothing was answered");
}

#[test]
fn without_a_terminal_there_is_nothing_to_draw_on() {
    let seat = Seat::new();
    let ended = seat.wizard(&[], "");
    assert_eq!((ended.code, ended.output.as_str()), (Some(2), ""));
    assert!(
        ended.errors.contains("there is no terminal") && ended.errors.contains("`--plain`"),
        "{}",
        ended.errors
    );
    let ended = seat.wizard(&["--plain", "--output", "json"], "");
    assert_eq!(ended.code, Some(2), "{}", ended.output);
}

#[test]
fn what_cannot_be_used_is_told_and_left_alone() {
    let seat = Seat::new();
    let wrong = "apiVersion: sealift/v1\nkind: Site\nhots: []\n";
    seat.write("site.yaml", wrong);
    let ended = seat.wizard(&["--plain"], "next\nquit\nyes\n");
    let flat = ended.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("site.yaml is there and cannot be used"), "{}", ended.output);
    assert!(
        flat.contains("site.yaml:3:1: `hots` is not known at the top of the profile"),
        "{}",
        ended.output
    );
    assert_eq!(seat.read("site.yaml"), wrong);
    seat.write("no.bundle", "this is no bundle");
    let input = before("start", "\nother.yaml\n\nharbin\n\n3\n-\nquit\nyes");
    let ended = seat.wizard(&["--plain", "--bundle", "no.bundle", "--trust-key", "vendor.pub"], &input);
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    assert!(ended.output.contains("error: "), "{}", ended.output);
    assert!(seat.read("other.yaml").contains("name: harbin"), "{}", ended.output);
}

#[test]
fn the_wizard_speaks_chinese() {
    let seat = Seat::new();
    let ended = seat.wizard(&["--plain", "--language", "zh"], "\n\n\nharbin\n\n跳过\n跳过\n退出\n是\n");
    assert_eq!(ended.code, Some(0), "{}{}", ended.output, ended.errors);
    for part in ["第 1 页，共 13 页：开始", "站点叫什么名字", "已保存到 site.yaml", "已退出。"]
    {
        assert!(ended.output.contains(part), "`{part}` is not in {}", ended.output);
    }
}
