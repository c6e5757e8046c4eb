//! `installer check` of hosts that cannot be asked: what is wrong with each of them, and what is known all the same.

use std::process::Command;

use crate::seat::Seat;

const PROFILE: &str = "apiVersion: sealift/v1
kind: Site
metadata: {name: harbin-plant}
environment: production
access: {user: ops, password: {file: PASSWORD}, knownHosts: /dev/null}
hosts:
  - {name: m1, address: 10.20.0.11, role: control-plane}
  - {name: w1, address: 10.20.0.21, role: worker}
product: {secrets: {adminPassword: {file: PASSWORD}}}
";

#[test]
fn hosts_that_do_not_answer_are_told_together_and_hide_nothing_else() {
    let seat = Seat::new();
    let profile =
        seat.write("site.yaml", &PROFILE.replace("PASSWORD", &seat.write("password", "of nobody\n")));
    // A network without any way out: every host is unreachable at once.
    let output = Command::new("unshare")
        .args(["--net", env!("CARGO_BIN_EXE_installer"), "check", "--bundle", seat.bundle()])
        .args(["--trust-key", &seat.path("vendor.pub"), "--profile", &profile])
        .output()
        .unwrap();
    let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(3), "{said}{errors}");
    for host in ["m1 (10.20.0.11)", "w1 (10.20.0.21)"] {
        assert!(errors.contains(host), "{host}: {errors}");
    }
    assert!(errors.contains("2 of 2 hosts cannot be worked on; besides, "), "{errors}");
    // What the profile itself says stands in the way, too, with what to do; checks that could not be made are no reasons.
    assert!(errors.contains("site.masters: ") && errors.contains("what to do"), "{errors}");
    assert!(errors.contains("check that m1 is switched on") && errors.contains("acceptedRisks"), "{errors}");
    assert!(!errors.contains("was not measured"), "{errors}");
    assert!(said.contains("          m1 w1\n") || said.contains("         m1 w1\n"), "{said}");
    assert!(said.contains("   B  B") && said.contains(" blocked"), "{said}");
}
