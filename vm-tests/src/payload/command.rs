//! Runs the outside tools (go, gcc, mmdebstrap): quiet when they work, with the end of their output when they fail.

use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// Lines of a failed tool's output that an error carries.
const TAIL_LINES: usize = 25;

/// Runs `command` to its end and gives its standard output.
pub fn output_of(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {name}"))?;
    check(command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first line that `program argument` prints: the version of a compiler, as an input of a key.
pub fn version_of(program: &str, arguments: &[&str]) -> Result<String> {
    let text = output_of(Command::new(program).args(arguments))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

/// Turns a failed run into an error.
pub fn check(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    bail!(
        "{} {}: {}\n{}",
        command.get_program().to_string_lossy(),
        arguments.join(" "),
        output.status,
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_the_end_of_its_output() {
        let error =
            output_of(Command::new("sh").args(["-c", "seq 100 >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c") && error.contains("exit status: 3"), "{error}");
        assert!(error.ends_with("99\n100") && !error.contains("\n75\n"), "{error}");
    }

    #[test]
    fn versions_are_the_first_line() {
        assert_eq!(version_of("printf", &["a 1.2\nmore\n"]).unwrap(), "a 1.2");
    }
}
