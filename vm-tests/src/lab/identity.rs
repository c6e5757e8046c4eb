//! What makes one host different from another and one lab different from the next: names, keys, passwords.

use std::fs;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::command::{run, run_with_input};
use super::spec::{Backend, GATEWAY, HostSpec};
use crate::cache::hex;

/// Keys and passwords that all hosts of a lab share.
pub struct Credentials {
    /// Public key of the person at the seat.
    seat_key: String,
    /// Public key of the lab itself, for root.
    control_key: String,
    /// Password hashes in the form of the shadow file, by user.
    hashes: Vec<(&'static str, String)>,
}

/// Makes the seat's home and the lab's own keys: `seat/.ssh`, `seat/.sealift`, `control/`.
pub fn create_credentials(lab: &Path) -> Result<Credentials> {
    let seat = lab.join("seat");
    for folder in [seat.join(".ssh"), seat.join(".sealift"), lab.join("control")] {
        private_folder(&folder)?;
    }
    let mut hashes = Vec::new();
    for user in ["ops", "plain"] {
        let password = random_hex(12)?;
        write_private(&seat.join(format!(".sealift/{user}-password")), password.as_bytes())?;
        let hash =
            run_with_input(Command::new("openssl").args(["passwd", "-6", "-stdin"]), password.as_bytes())?;
        hashes.push((user, hash.trim().to_owned()));
    }
    // No password, but not locked either: the key alone counts.
    hashes.push(("admin", "*".to_owned()));
    Ok(Credentials {
        seat_key: generate_key(&seat.join(".ssh/id_ed25519"), "seat")?,
        control_key: generate_key(&lab.join("control/id_ed25519"), "lab")?,
        hashes,
    })
}

/// One host's own identity.
pub struct Identity {
    /// Public half of the host's SSH key: type and key.
    pub host_key: String,
}

/// Makes the host's keys and the tar of files that gives it its identity: `seed.tar` in its folder.
pub fn create_host(
    folder: &Path,
    host: &HostSpec,
    credentials: &Credentials,
    shadow: &str,
) -> Result<Identity> {
    private_folder(folder)?;
    let key_file = folder.join("host_key");
    let host_key = generate_key(&key_file, &host.name)?;
    let private = fs::read(&key_file).with_context(|| format!("cannot read {}", key_file.display()))?;
    let machine_id = random_hex(16)?;
    let files = seed_files(host, credentials, shadow, &machine_id, &host_key, &private);
    write_private(&folder.join("seed.tar"), &seed_tar(&files)?)?;
    write_private(&folder.join("machine-id"), machine_id.as_bytes())?;
    Ok(Identity { host_key })
}

struct SeedFile {
    path: String,
    mode: u32,
    owner: u64,
    folder: bool,
    content: Vec<u8>,
}

fn seed_files(
    host: &HostSpec,
    credentials: &Credentials,
    shadow: &str,
    machine_id: &str,
    host_key: &str,
    private: &[u8],
) -> Vec<SeedFile> {
    let file = |path: &str, mode, owner, content: &str| SeedFile {
        path: path.to_owned(),
        mode,
        owner,
        folder: false,
        content: content.as_bytes().to_vec(),
    };
    let folder = |path: &str, owner| SeedFile {
        path: path.to_owned(),
        mode: 0o700,
        owner,
        folder: true,
        content: Vec::new(),
    };
    let shadow = credentials
        .hashes
        .iter()
        .fold(shadow.to_owned(), |text, (user, hash)| with_password(&text, user, hash));
    let name = &host.name;
    let mut files = vec![
        file("etc/hostname", 0o644, 0, &format!("{name}\n")),
        file(
            "etc/hosts",
            0o644,
            0,
            &format!("127.0.0.1 localhost\n::1 localhost\n{} {name}\n", host.address),
        ),
        file("etc/machine-id", 0o444, 0, &format!("{machine_id}\n")),
        file("etc/shadow", 0o640, 0, &shadow),
        file("etc/ssh/ssh_host_ed25519_key.pub", 0o644, 0, &format!("{host_key} {name}\n")),
        SeedFile {
            path: "etc/ssh/ssh_host_ed25519_key".to_owned(),
            mode: 0o600,
            owner: 0,
            folder: false,
            content: private.to_vec(),
        },
    ];
    for (home, owner, key) in [
        ("root", 0, &credentials.control_key),
        ("home/ops", 1001, &credentials.seat_key),
        ("home/admin", 1002, &credentials.seat_key),
        ("home/plain", 1003, &credentials.seat_key),
    ] {
        files.push(folder(&format!("{home}/.ssh"), owner));
        files.push(file(&format!("{home}/.ssh/authorized_keys"), 0o600, owner, &format!("{key}\n")));
    }
    if host.backend == Backend::Qemu {
        files.push(file("etc/systemd/network/10-lab.network", 0o644, 0, &network_unit(host.address)));
    }
    files
}

/// What a container's namespace has from outside, a machine must set up by itself.
fn network_unit(address: Ipv4Addr) -> String {
    format!(
        "[Match]\nName=eth0\n\n[Network]\nAddress={address}/24\nGateway={GATEWAY}\nLinkLocalAddressing=no\n\
         IPv6AcceptRA=no\nDHCP=no\n"
    )
}

fn seed_tar(files: &[SeedFile]) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(file.mode);
        header.set_uid(file.owner);
        // The shadow file belongs to the group of that name, whose number Debian fixes.
        header.set_gid(if file.path == "etc/shadow" { 42 } else { file.owner });
        header.set_size(file.content.len() as u64);
        header.set_entry_type(if file.folder { tar::EntryType::Directory } else { tar::EntryType::Regular });
        archive
            .append_data(&mut header, &file.path, file.content.as_slice())
            .context("cannot make a host's seed")?;
    }
    let mut bytes = archive.into_inner().context("cannot finish a host's seed")?;
    // It also serves as a disk: whole sectors only.
    bytes.resize(bytes.len().next_multiple_of(64 * 1024), 0);
    Ok(bytes)
}

/// The shadow file with this user's password hash replaced.
fn with_password(shadow: &str, user: &str, hash: &str) -> String {
    let mut text = String::with_capacity(shadow.len() + hash.len());
    for line in shadow.lines() {
        let mut fields: Vec<&str> = line.split(':').collect();
        if fields.len() > 1 && fields[0] == user {
            fields[1] = hash;
        }
        text.push_str(&fields.join(":"));
        text.push('\n');
    }
    text
}

/// Writes `known_hosts` and `config` so that `ssh -F FOLDER/config HOST` works by name and by address.
pub fn write_ssh_folder(folder: &Path, user: &str, hosts: &[(&HostSpec, &Identity)]) -> Result<()> {
    let known = folder.join("known_hosts");
    let key = folder.join("id_ed25519");
    let mut known_text = String::new();
    let mut config = format!(
        "Host *\n    User {user}\n    IdentityFile {}\n    IdentitiesOnly yes\n    UserKnownHostsFile {}\n    \
         GlobalKnownHostsFile none\n    StrictHostKeyChecking yes\n    ConnectTimeout 5\n    \
         ServerAliveInterval 10\n    LogLevel ERROR\n",
        key.display(),
        known.display()
    );
    for (host, identity) in hosts {
        use std::fmt::Write as _;
        let _ = writeln!(known_text, "{},{} {}", host.name, host.address, identity.host_key);
        let _ = writeln!(
            config,
            "Host {}\n    HostName {}\n    HostKeyAlias {}",
            host.name, host.address, host.name
        );
    }
    write_private(&known, known_text.as_bytes())?;
    write_private(&folder.join("config"), config.as_bytes())
}

/// Makes an SSH key pair without a passphrase and returns its public half (type and key).
fn generate_key(path: &Path, comment: &str) -> Result<String> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"]).arg(path);
    run(&mut command)?;
    let public = PathBuf::from(format!("{}.pub", path.display()));
    let text = fs::read_to_string(&public).with_context(|| format!("cannot read {}", public.display()))?;
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn random_hex(bytes: usize) -> Result<String> {
    let mut buffer = vec![0; bytes];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut buffer))
        .context("cannot read random bytes")?;
    Ok(hex(&buffer))
}

fn private_folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make {}", path.display()))
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    use std::io::Write as _;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::LabSpec;

    #[test]
    fn only_the_named_users_password_changes() {
        let shadow = "root:*:1:0:99999:7:::\nops:!:1:0:99999:7:::\nopsx:!:1::::::\n";
        let changed = with_password(shadow, "ops", "$6$salt$hash");
        assert_eq!(changed, "root:*:1:0:99999:7:::\nops:$6$salt$hash:1:0:99999:7:::\nopsx:!:1::::::\n");
    }

    #[test]
    fn a_seed_holds_identity_and_keys_with_their_owners() {
        let credentials = Credentials {
            seat_key: "ssh-ed25519 SEAT".into(),
            control_key: "ssh-ed25519 LAB".into(),
            hashes: vec![("ops", "HASH".into())],
        };
        let spec = LabSpec::standard(1);
        let files = seed_files(
            &spec.hosts[4],
            &credentials,
            "ops:!:1::::::\n",
            "0123",
            "ssh-ed25519 HOST",
            b"private",
        );
        let bytes = seed_tar(&files).unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = std::collections::BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let (mode, owner) = (entry.header().mode().unwrap(), entry.header().uid().unwrap());
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            seen.insert(path, (mode, owner, content));
        }
        assert_eq!(seen["etc/hostname"].2, "w2\n");
        assert_eq!(seen["etc/shadow"].2, "ops:HASH:1::::::\n");
        assert_eq!(seen["etc/ssh/ssh_host_ed25519_key"], (0o600, 0, "private".into()));
        assert_eq!(seen["home/ops/.ssh/authorized_keys"], (0o600, 1001, "ssh-ed25519 SEAT\n".into()));
        assert_eq!(seen["root/.ssh/authorized_keys"].2, "ssh-ed25519 LAB\n");
        assert!(seen["etc/systemd/network/10-lab.network"].2.contains("Address=10.77.0.22/24"));
    }

    #[test]
    fn known_hosts_has_name_and_address() {
        let folder = tempfile::tempdir().unwrap();
        let spec = LabSpec::standard(0);
        let identity = Identity { host_key: "ssh-ed25519 AAAA".into() };
        write_ssh_folder(folder.path(), "ops", &[(&spec.hosts[0], &identity)]).unwrap();
        let known = fs::read_to_string(folder.path().join("known_hosts")).unwrap();
        assert_eq!(known, "m1,10.77.0.11 ssh-ed25519 AAAA\n");
    }
}
