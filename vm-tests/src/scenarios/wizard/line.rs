//! An SSH line to the seat, as an engineer has one who does not sit there: a real server, and a client whose line drops.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::lab::{Lab, run};
use crate::terminal::Program;
use crate::wait::until_true;

/// Where the server listens, at the seat's own loopback address.
const PORT: &str = "2222";
/// The seat's own key: its engineer may log in with it, and the server shows it, too.
const KEY: &str = ".ssh/id_ed25519";

/// An SSH server at the seat. Ends when this is dropped; lines that stand end with their clients.
pub struct SshServer<'a> {
    lab: &'a Lab,
    folder: PathBuf,
    server: Program,
}

impl<'a> SshServer<'a> {
    /// Starts it and waits until somebody can log in.
    pub fn start(lab: &'a Lab) -> Result<Self> {
        let folder = lab.folder().join("seat-ssh");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // Where Debian's server wants to be when it asks for passwords.
        fs::create_dir_all("/run/sshd").context("cannot make /run/sshd")?;
        let key = lab.seat_home().join(KEY);
        let public = fs::read_to_string(key.with_extension("pub")).context("the seat has no public key")?;
        write(&folder, "known_hosts", &format!("[127.0.0.1]:{PORT} {public}"))?;
        write(&folder, "authorized_keys", &public)?;
        let keys = folder.join("authorized_keys");
        let config = format!(
            "Port {PORT}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nPrintMotd no\nPrintLastLog no\n",
            key.display(),
            keys.display()
        );
        let config = write(&folder, "sshd_config", &config)?;
        let log = fs::File::create(folder.join("log")).context("cannot make the server's log")?;
        let mut command = lab.seat_command(&["/usr/sbin/sshd", "-D", "-e", "-f"]);
        command.arg(config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let server = Program(command.spawn().context("cannot start the SSH server")?);
        let mut server = Self { lab, folder, server };
        until_true("the seat's SSH server", Duration::from_secs(30), || {
            let ended = server.server.0.try_wait().context("cannot ask for the SSH server")?;
            ensure!(ended.is_none(), "it ended: {}", server.log());
            run(&mut server.command(&[], "true")).map(|_| true)
        })?;
        Ok(server)
    }

    /// `ssh` to the seat with a terminal there, for a program in the seat's home.
    pub fn line(&self, program: &str) -> Command {
        let home = self.lab.seat_home();
        let home = home.display();
        self.command(&["-tt"], &format!("cd {home} && exec env HOME={home} LANG=C.UTF-8 {program}"))
    }

    fn command(&self, options: &[&str], words: &str) -> Command {
        let known = format!("UserKnownHostsFile={}", self.folder.join("known_hosts").display());
        let mut ssh = self.lab.seat_command(&["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", &known]);
        ssh.args(["-i", KEY, "-p", PORT]).args(options).args(["root@127.0.0.1", words]);
        ssh
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
