//! Services that the site runs already, and that the product uses in place of those it would bring.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::SecretRef;
use crate::site::Site;

/// Services of the site. What is absent, the product brings itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Services {
    /// A PostgreSQL server that keeps the product's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
    /// Where the product's logs go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Endpoint>,
    /// Where the product's measurements go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Endpoint>,
}

/// A database on a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Database {
    /// Address or name of the server, as hosts and pods reach it.
    pub host: String,
    /// Port of the server.
    #[serde(default = "postgresql_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Name of the database on it, which must be there.
    pub database: String,
    /// User who owns that database.
    pub user: String,
    /// Password of that user.
    pub password: SecretRef,
    /// How the way to the server is protected.
    #[serde(default, skip_serializing_if = "DatabaseTls::is_default")]
    pub tls: DatabaseTls,
    /// Oldest major version of PostgreSQL that will do; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 99))]
    pub minimum_version: Option<u32>,
}

fn postgresql_port() -> u16 {
    5432
}

/// Protection of the way to the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DatabaseTls {
    /// What is asked of the server.
    pub mode: TlsMode,
    /// Certificate (PEM) of the authority that vouches for the server; only for `verify-full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

impl DatabaseTls {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Modes of TLS, by the names that PostgreSQL's own programs give them (libpq, `sslmode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// Encrypted, and the server shows a certificate for its own name.
    #[default]
    VerifyFull,
    /// Encrypted; whoever answers is taken for the server.
    Require,
    /// Not encrypted.
    Disable,
}

impl TlsMode {
    /// The name that `sslmode` has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::VerifyFull => "verify-full",
            Self::Require => "require",
            Self::Disable => "disable",
        }
    }
}

/// A service that is reached by HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoint {
    /// Its address, e.g. `https://logs.plant.example:9200/`.
    pub url: String,
    /// Certificate (PEM) of the authority that vouches for it; needed for `https`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// User, where it wants a login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password of that user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
}

/// The parts of an [`Endpoint`]'s URL that a connection needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrlParts<'a> {
    /// Whether it is `https`.
    pub encrypted: bool,
    /// Address or name, an IPv6 address without its brackets.
    pub host: &'a str,
    /// Port; 443 or 80 where the URL names none.
    pub port: u16,
}

impl Endpoint {
    /// The parts of its URL; `None` where it is none that can be used: of another scheme, without a host, with a port that
    /// is none, with a login, a query or a fragment.
    #[must_use]
    pub fn parts(&self) -> Option<UrlParts<'_>> {
        let url = self.url.as_str();
        let (encrypted, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let strange =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '?' | '#' | '"' | '\\');
        if url.contains(strange) {
            return None;
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = match authority.strip_prefix('[') {
            Some(six) => {
                let (host, after) = six.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port > 0)?,
            None if encrypted => 443,
            None => 80,
        };
        (!host.is_empty()).then_some(UrlParts { encrypted, host, port })
    }
}

/// Prefix of the names that secrets of services have among those of the product.
const SERVICES: &str = "services.";

impl Site {
    /// The secret that a product knows by this name: `services.database.password` and its siblings are those of the
    /// site's services, every other one stands under `product.secrets`.
    #[must_use]
    pub fn product_secret(&self, name: &str) -> Option<&SecretRef> {
        let Some(name) = name.strip_prefix(SERVICES) else { return self.product.secrets.get(name) };
        match name {
            "database.password" => self.services.database.as_ref().map(|database| &database.password),
            "logs.password" => self.services.logs.as_ref()?.password.as_ref(),
            "metrics.password" => self.services.metrics.as_ref()?.password.as_ref(),
            _ => None,
        }
    }
}

impl Services {
    /// Whether the site has none of its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those that are reached by HTTP, with their names.
    pub fn endpoints(&self) -> impl Iterator<Item = (&'static str, &Endpoint)> {
        let all = [("logs", &self.logs), ("metrics", &self.metrics)];
        all.into_iter().filter_map(|(name, endpoint)| endpoint.as_ref().map(|endpoint| (name, endpoint)))
    }

    /// Host and port of each, with its name.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, &str, u16)> {
        let database = self.database.iter().map(|one| ("database", one.host.as_str(), one.port));
        let endpoints = self.endpoints().filter_map(|(name, endpoint)| {
            let parts = endpoint.parts()?;
            Some((name, parts.host, parts.port))
        });
        database.chain(endpoints)
    }

    /// References to their passwords, each with its path in the profile.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (String, &SecretRef)> {
        let database =
            self.database.iter().map(|one| ("services.database.password".to_owned(), &one.password));
        let endpoints = self.endpoints().filter_map(|(name, endpoint)| {
            endpoint.password.as_ref().map(|secret| (format!("services.{name}.password"), secret))
        });
        database.chain(endpoints)
    }
}

/// Whether a text can be the host of a service: an address or a DNS name.
pub(crate) fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || crate::names::is_dns_name(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str) -> Option<(bool, String, u16)> {
        let endpoint = Endpoint { url: url.to_owned(), ca: None, user: None, password: None };
        endpoint.parts().map(|parts| (parts.encrypted, parts.host.to_owned(), parts.port))
    }

    #[test]
    fn a_url_has_a_host_and_a_port() {
        let some = |encrypted, host: &str, port| Some((encrypted, host.to_owned(), port));
        assert_eq!(parts("https://logs.plant.example:9200/"), some(true, "logs.plant.example", 9200));
        assert_eq!(parts("https://logs.plant.example/a/b"), some(true, "logs.plant.example", 443));
        assert_eq!(parts("http://10.20.0.9"), some(false, "10.20.0.9", 80));
        assert_eq!(parts("http://[fd00::9]:3100/loki"), some(false, "fd00::9", 3100));
        assert_eq!(parts("http://[fd00::9]"), some(false, "fd00::9", 80));
        for bad in [
            "",
            "logs.plant.example",
            "ftp://logs",
            "https://",
            "https://:9200",
            "https://logs:port",
            "https://logs:0",
            "https://ops:secret@logs",
            "https://logs/?a=b",
            "https://logs /",
            "http://[fd00::9",
            "http://[x]:1",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
