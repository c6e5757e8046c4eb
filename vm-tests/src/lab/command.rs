//! Running other programs: captured output, and errors that say what was run and what it answered.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Runs the command and returns what it wrote to its standard output; any other end than success is an error.
pub fn run(command: &mut Command) -> Result<String> {
    let output = output(command, None)?;
    if !output.status.success() {
        bail!("{}", failure(command, &output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// As [`run`], with bytes for the command's standard input.
pub fn run_with_input(command: &mut Command, input: &[u8]) -> Result<String> {
    let output = output(command, Some(input))?;
    if !output.status.success() {
        bail!("{}", failure(command, &output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs the command to its end, whatever that is.
pub fn output(command: &mut Command, input: Option<&[u8]>) -> Result<Output> {
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", line(command)))?;
    let writer = input.zip(child.stdin.take()).map(|(bytes, mut pipe)| {
        let bytes = bytes.to_vec();
        // A program that ends without reading all of it answers for that by its own status.
        std::thread::spawn(move || drop(pipe.write_all(&bytes)))
    });
    let output = child.wait_with_output().with_context(|| format!("cannot wait for {}", line(command)))?;
    if let Some(writer) = writer {
        drop(writer.join());
    }
    Ok(output)
}

/// One sentence about a command that failed: the command, its status, the end of what it said.
pub fn failure(command: &Command, output: &Output) -> String {
    let said =
        String::from_utf8_lossy(if output.stderr.is_empty() { &output.stdout } else { &output.stderr });
    let lines: Vec<_> = said.trim().lines().collect();
    let tail = lines[lines.len().saturating_sub(12)..].join("\n");
    format!("{} ended with {}: {tail}", line(command), output.status)
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(text, " {}", shell_word(&argument.to_string_lossy()));
    }
    text
}

/// Quotes one word for a POSIX shell, only where it needs it.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        let words = ["plain", "", "two words", "it's", "$HOME", "a\nb", "*"];
        let script = format!("printf '%s|' {}", words.map(shell_word).join(" "));
        let seen = run(Command::new("sh").args(["-c", &script])).unwrap();
        assert_eq!(seen, words.map(|word| format!("{word}|")).concat());
    }

    #[test]
    fn a_failure_names_command_status_and_reason() {
        let error = run(Command::new("sh").args(["-c", "echo reason >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c"), "{error}");
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("reason"), "{error}");
        assert!(
            run(&mut Command::new("/no/such/program")).unwrap_err().to_string().contains("/no/such/program")
        );
    }

    #[test]
    fn input_larger_than_a_pipe_arrives() {
        let bytes = vec![b'x'; 1 << 20];
        let seen = run_with_input(Command::new("wc").arg("-c"), &bytes).unwrap();
        assert_eq!(seen.trim(), "1048576");
    }
}
