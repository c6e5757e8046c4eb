//! A PostgreSQL at the seat, as a site has it that runs its own: with TLS, an authority of its own, one user.
//!
//! Debian's own programs (postgresql-15), started in the seat's namespace. It belongs to the lab: whoever takes the lab
//! down ends it, too, and a lab that was kept has it still.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::cache;
use crate::lab::{Lab, SEAT, run, run_with_input};
use crate::wait::until;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;
/// Far longer than it takes to start.
const WITHIN: Duration = Duration::from_mins(1);

/// The site's database. Its password lies at the seat, in `.sealift/database-password`.
pub struct SiteDatabase<'a> {
    lab: &'a Lab,
    folder: PathBuf,
}

impl<'a> SiteDatabase<'a> {
    /// Makes it where it is not there yet, and starts it where it does not run.
    pub fn start(lab: &'a Lab) -> Result<Self> {
        let database = Self { lab, folder: lab.folder().join("database") };
        if !database.data().exists() {
            database.make().context("cannot make the site's database")?;
        }
        database.start_again()?;
        Ok(database)
    }

    /// The part of a profile that names it.
    pub fn profile(&self) -> Result<String> {
        let ca = fs::read_to_string(self.folder.join("ca.pem"))?;
        let ca = format!("        {}\n", ca.trim_end().replace('\n', "\n        "));
        Ok(format!(
            "services:\n  database:\n    host: {SEAT}\n    database: orders\n    user: orders\n    \
             password: {{file: ~/.sealift/database-password}}\n    tls:\n      mode: verify-full\n      ca: |\n{ca}    \
             minimumVersion: 13\n"
        ))
    }

    /// Answers of one statement, a row a line, columns parted by `|`; asked at the seat itself.
    pub fn query(&self, statement: &str) -> Result<String> {
        self.psql("orders", statement)
    }

    /// Changes a setting of the running server; who connects next meets it.
    pub fn set(&self, setting: &str, value: &str) -> Result<()> {
        self.psql("postgres", &format!("ALTER SYSTEM SET {setting} = {value}"))?;
        self.psql("postgres", "SELECT pg_reload_conf()")?;
        until(&format!("{setting} is {value}"), WITHIN, || {
            Ok((self.psql("postgres", &format!("SHOW {setting}"))?.trim() == value).then_some(()))
        })
    }

    /// Stops it, with whoever is connected.
    pub fn stop(&self) -> Result<()> {
        run(self.control("stop").args(["-m", "fast", "-w"])).map(drop)
    }

    /// Starts it where it does not run; gives when it answers.
    pub fn start_again(&self) -> Result<()> {
        if run(&mut self.control("status")).is_ok() {
            return Ok(());
        }
        // Nobody of ours holds its output: it outlives us.
        let log = self.folder.join("log");
        run(self.control("start").args(["-w", "-s", "-l"]).arg(log))
            .context("the site's database does not start")?;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn control(&self, verb: &str) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg(verb).arg("-D").arg(self.data());
        command
    }

    /// A program of PostgreSQL in the seat's namespace, as nobody.
    fn program(&self, name: &str) -> Command {
        let own = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let path = format!("{PROGRAMS}/{name}");
        let mut command = self.lab.seat_command(&[&own[..], &[path.as_str()]].concat());
        // The seat's home is closed to others.
        command.current_dir("/").env("HOME", "/nonexistent");
        command
    }

    fn psql(&self, database: &str, statements: &str) -> Result<String> {
        let mut command = self.program("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            database,
            "-h",
        ]);
        // Statements come on its input: one of them holds a password.
        run_with_input(command.arg(&self.folder), statements.as_bytes())
    }

    fn make(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        // Its user must get there; what else lies in the lab's folder stays closed.
        fs::set_permissions(self.lab.folder(), fs::Permissions::from_mode(0o711))?;
        self.certificates()?;
        let password = self.password()?;
        for name in ["", "server.pem", "server.key"] {
            chown(self.folder.join(name), Some(NOBODY), Some(NOBODY))?;
        }
        let making = self.folder.join("making");
        if making.exists() {
            fs::remove_dir_all(&making)?;
        }
        let words =
            ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
        run(self.program("initdb").args(words).args(["--no-instructions", "-D"]).arg(&making))?;
        let at = |name: &str| self.folder.join(name).display().to_string();
        let settings = format!(
            "listen_addresses = '{SEAT}'\nunix_socket_directories = '{}'\nssl = on\nssl_cert_file = '{}'\n\
             ssl_key_file = '{}'\nfsync = off\nshared_buffers = '16MB'\n",
            self.folder.display(),
            at("server.pem"),
            at("server.key")
        );
        let mut file = fs::OpenOptions::new().append(true).open(making.join("postgresql.conf"))?;
        std::io::Write::write_all(&mut file, settings.as_bytes())?;
        // Over the network with TLS and a password alone; who has the socket may all.
        fs::write(making.join("pg_hba.conf"), "local all all trust\nhostssl all all all scram-sha-256\n")?;
        fs::rename(&making, self.data())?;
        self.start_again()?;
        self.psql("postgres", &format!("CREATE ROLE orders LOGIN PASSWORD '{password}'"))?;
        self.psql("postgres", "CREATE DATABASE orders OWNER orders").map(drop)
    }

    /// A random one, which only the seat's profile refers to.
    fn password(&self) -> Result<String> {
        let mut bytes = [0u8; 16];
        std::io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut bytes)?;
        let password = format!("database-{}", cache::hex(&bytes));
        let path = self.lab.seat_home().join(".sealift/database-password");
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        std::io::Write::write_all(&mut file, format!("{password}\n").as_bytes())?;
        Ok(password)
    }

    /// An authority, and a certificate of it for the seat's address.
    fn certificates(&self) -> Result<()> {
        let openssl = |words: &[&str]| run(Command::new("openssl").args(words).current_dir(&self.folder));
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let authority = [
            "-x509",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "30",
            "-subj",
            "/CN=the site's authority",
        ];
        openssl(&[&["req"], &key[..], &authority].concat())?;
        let name = format!("/CN={SEAT}");
        openssl(
            &[&["req"], &key[..], &["-keyout", "server.key", "-out", "server.csr", "-subj", &name]].concat(),
        )?;
        fs::write(self.folder.join("server.ext"), format!("subjectAltName=IP:{SEAT}\n"))?;
        openssl(&[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            "server.ext",
            "-out",
            "server.pem",
        ])?;
        ensure!(is_private(&self.folder.join("server.key"))?, "openssl left the key open to others");
        Ok(())
    }
}

/// PostgreSQL takes no key that others may read.
fn is_private(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o777 == 0o600)
}
