//! Questions that every later room asks of a site.

use crate::secret::SecretRef;
use crate::site::{Bastion, Host, HostRole, Site};

/// How one host is reached: its own answers over those of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAccess<'a> {
    /// Login name.
    pub user: &'a str,
    /// SSH port.
    pub port: u16,
    /// Private key.
    pub private_key: Option<&'a SecretRef>,
    /// Passphrase of the private key.
    pub private_key_passphrase: Option<&'a SecretRef>,
    /// Login password.
    pub password: Option<&'a SecretRef>,
    /// Password for sudo: the host's, the site's, else the login password.
    pub sudo_password: Option<&'a SecretRef>,
    /// `SHA256:…` fingerprint of its host key.
    pub host_key: Option<&'a str>,
    /// A `known_hosts` file whose keys are trusted too.
    pub known_hosts: Option<&'a str>,
    /// A host to go through.
    pub bastion: Option<&'a Bastion>,
}

impl Site {
    /// The masters, in the profile's order.
    pub fn masters(&self) -> impl Iterator<Item = &Host> {
        self.with_role(HostRole::ControlPlane)
    }

    /// The workers, in the profile's order.
    pub fn workers(&self) -> impl Iterator<Item = &Host> {
        self.with_role(HostRole::Worker)
    }

    fn with_role(&self, role: HostRole) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(move |host| host.role == role)
    }

    /// The host of this name.
    #[must_use]
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// How a host of this site is reached.
    ///
    /// A sudo password of the host comes first, then one of the site, then the login password that holds for it.
    #[must_use]
    pub fn access_for<'a>(&'a self, host: &'a Host) -> HostAccess<'a> {
        let access = &self.access;
        let password = host.password.as_ref().or(access.password.as_ref());
        HostAccess {
            user: host.user.as_deref().unwrap_or(&access.user),
            port: host.port.unwrap_or(access.port),
            private_key: access.private_key.as_ref(),
            private_key_passphrase: access.private_key_passphrase.as_ref(),
            password,
            sudo_password: host.sudo_password.as_ref().or(access.sudo_password.as_ref()).or(password),
            host_key: host.host_key.as_deref(),
            known_hosts: access.known_hosts.as_deref(),
            bastion: access.bastion.as_ref(),
        }
    }

    /// Every reference to a secret, as often as it stands there.
    pub fn secret_references(&self) -> impl Iterator<Item = &SecretRef> {
        self.secret_references_with_paths().map(|(_, reference)| reference)
    }

    /// Every reference to a secret with its path in the profile.
    pub(crate) fn secret_references_with_paths(&self) -> impl Iterator<Item = (String, &SecretRef)> {
        let access = &self.access;
        let own = [
            ("access.privateKey", &access.private_key),
            ("access.privateKeyPassphrase", &access.private_key_passphrase),
            ("access.password", &access.password),
            ("access.sudoPassword", &access.sudo_password),
        ];
        let bastion = access.bastion.iter().flat_map(|bastion| {
            [
                ("access.bastion.privateKey", &bastion.private_key),
                ("access.bastion.password", &bastion.password),
            ]
        });
        let fixed = own.into_iter().chain(bastion).map(|(path, secret)| (path.to_owned(), secret));
        let hosts = self.hosts.iter().enumerate().flat_map(|(i, host)| {
            [("password", &host.password), ("sudoPassword", &host.sudo_password)]
                .map(|(key, secret)| (format!("hosts[{i}].{key}"), secret))
        });
        let product =
            self.product.secrets.iter().map(|(name, secret)| (format!("product.secrets.{name}"), secret));
        fixed
            .chain(hosts)
            .filter_map(|(path, secret)| secret.as_ref().map(|secret| (path, secret)))
            .chain(self.services.secrets())
            .chain(product)
    }
}
