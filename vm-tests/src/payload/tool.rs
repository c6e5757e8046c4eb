//! The programs of the payload, each built from its own Go module in `payload/go`.
//!
//! `go.mod` pins versions and names the commands (its `tool` block), `go.sum` makes Go verify every source.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    command,
    key::{with_list, with_tree},
    results::Results,
};
use crate::cache::Key;

/// Static programs that use C (cgo) need the whole of it linked in: hosts and empty images have no library.
const STATIC_TAGS: &str = "netgo osusergo";
const STATIC_LINK: &str = "-linkmode external -extldflags -static";

/// One Go module and how to build it.
#[derive(Debug, Clone)]
pub struct Tool {
    /// Name of the stage.
    pub name: String,
    /// Folder of the module.
    pub folder: PathBuf,
    /// What `go build` is asked for: `tool` (everything in the `tool` block) or `.`.
    packages: &'static str,
    /// Variables that get the version at link time, with their values.
    variables: Vec<(String, String)>,
    /// Build tags for tools that need C; none for tools that do not.
    cgo: Option<String>,
    /// Programs whose name differs from that of their package: (built as, wanted).
    renamed: &'static [(&'static str, &'static str)],
    /// A file that someone may have built in place, which is no source.
    ignored: &'static str,
    /// Processor as Go names it, where it is not this machine's.
    architecture: Option<&'static str>,
}

/// A built tool.
#[derive(Debug, Clone)]
pub struct Built {
    /// The folder of its programs.
    pub folder: PathBuf,
    /// The digest of what it was made from.
    pub key: String,
}

/// Where modules and sources lie.
#[derive(Debug, Clone)]
pub struct Sources {
    /// `vm-tests/payload`.
    pub payload: PathBuf,
    /// The sample product's web application.
    pub web: PathBuf,
}

impl Sources {
    /// The sources of this checkout.
    pub fn of_this_checkout() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        Self { payload: root.join("payload"), web: root.join("../assets/orders/web") }
    }

    /// The version of `module` that the tool in folder `name` pins, with its `v`.
    pub fn version(&self, name: &str, module: &str) -> Result<String> {
        let path = self.payload.join("go").join(name).join("go.mod");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        required_version(&text, module)
            .with_context(|| format!("{} does not require {module}", path.display()))
    }

    /// The folder of the Kubernetes release `version` (`1.36.3`); an error that lists what there is, when it is not.
    fn kubernetes(&self, version: &str) -> Result<String> {
        let mut known = Vec::new();
        for entry in fs::read_dir(self.payload.join("go"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("kubernetes-") {
                let pinned = self.version(&name, "k8s.io/kubernetes")?;
                if pinned.trim_start_matches('v') == version {
                    return Ok(name);
                }
                known.push(pinned.trim_start_matches('v').to_owned());
            }
        }
        known.sort();
        bail!("Kubernetes {version} is not pinned here; there is {}", known.join(", "))
    }
}

/// Finds `MODULE vX` in a `require` directive.
fn required_version(go_mod: &str, module: &str) -> Option<String> {
    go_mod.lines().filter(|line| !line.contains("=>")).find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next().map(str::to_owned)).flatten()
    })
}

/// All tools of a payload with Kubernetes `kubernetes` (`1.36.3`) and the product `product_version`.
pub fn all(sources: &Sources, kubernetes: &str, product_version: &str) -> Result<Vec<Tool>> {
    let plain = |name: &str, module: &str, variable: &str| -> Result<Tool> {
        let variables = match variable {
            "" => Vec::new(),
            variable => vec![(variable.to_owned(), sources.version(name, module)?)],
        };
        Ok(Tool {
            name: name.to_owned(),
            folder: sources.payload.join("go").join(name),
            packages: "tool",
            variables,
            cgo: None,
            renamed: &[],
            ignored: "",
            architecture: None,
        })
    };
    let cni_version = "github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion";
    let cni = "github.com/containernetworking/plugins";
    let orders = Tool {
        folder: sources.web.clone(),
        packages: ".",
        variables: vec![("main.version".to_owned(), product_version.to_owned())],
        renamed: &[("web", "orders")],
        ignored: "orders",
        ..plain("orders", "", "")?
    };
    Ok(vec![
        Tool {
            variables: kubernetes_variables(kubernetes)?,
            ..plain(&sources.kubernetes(kubernetes)?, "", "")?
        },
        Tool { renamed: &[("server", "etcd")], ..plain("etcd", "", "")? },
        plain(
            "containerd",
            "github.com/containerd/containerd/v2",
            "github.com/containerd/containerd/v2/version.Version",
        )?,
        Tool { cgo: Some(format!("seccomp {STATIC_TAGS}")), ..plain("runc", "", "")? },
        plain("coredns", "", "")?,
        plain("cni-plugins", cni, cni_version)?,
        Tool { renamed: &[("flannel", "cni-flannel")], ..plain("cni-flannel", cni, cni_version)? },
        Tool {
            cgo: Some(STATIC_TAGS.to_owned()),
            renamed: &[("flannel", "flanneld")],
            ..plain(
                "flannel",
                "github.com/flannel-io/flannel",
                "github.com/flannel-io/flannel/pkg/version.Version",
            )?
        },
        plain("helm", "helm.sh/helm/v4", "helm.sh/helm/v4/internal/version.version")?,
        plain(
            "distribution",
            "github.com/distribution/distribution/v3",
            "github.com/distribution/distribution/v3/version.version",
        )?,
        Tool { packages: ".", ..plain("cri-list", "", "")? },
        Tool { packages: ".", ..plain("oci-list", "", "")? },
        orders.clone(),
        Tool {
            name: "orders-arm64".to_owned(),
            renamed: &[("web", "orders-arm64")],
            architecture: Some("arm64"),
            ..orders
        },
    ])
}

/// Kubernetes reports its version from these; kubeadm refuses to work without.
fn kubernetes_variables(version: &str) -> Result<Vec<(String, String)>> {
    let mut parts = version.split('.');
    let (Some(major), Some(minor), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
        bail!("\"{version}\" is not a Kubernetes version: expected three numbers, such as 1.36.3");
    };
    let mut variables = Vec::new();
    for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
        for (name, value) in [
            ("gitVersion", format!("v{version}")),
            ("gitMajor", major.to_owned()),
            ("gitMinor", minor.to_owned()),
            ("gitTreeState", "clean".to_owned()),
        ] {
            variables.push((format!("{package}.{name}"), value));
        }
    }
    Ok(variables)
}

impl Tool {
    /// Builds the tool, unless its result is there.
    pub fn build(&self, results: Results, go_version: &str) -> Result<Built> {
        let key = self.key(go_version)?;
        let folder = results.get(&self.name, &key, |folder| self.compile(folder))?;
        Ok(Built { folder, key })
    }

    fn key(&self, go_version: &str) -> Result<String> {
        let mut key = Key::new("go tool 1").text(go_version).text(self.packages).text(&self.link_flags());
        key = with_list(key, self.renamed.iter().flat_map(|(from, to)| [*from, *to]));
        key = with_tree(key, &self.folder, &|path| path == Path::new(self.ignored))?;
        if let Some(tags) = &self.cgo {
            key = key
                .text(tags)
                .text(&command::version_of("gcc", &["--version"])?)
                .text(&command::version_of("pkg-config", &["--modversion", "libseccomp"])?);
        }
        if let Some(architecture) = self.architecture {
            key = key.text(architecture);
        }
        Ok(key.finish())
    }

    fn link_flags(&self) -> String {
        let mut flags = vec!["-s -w".to_owned()];
        flags.extend(self.variables.iter().map(|(name, value)| format!("-X {name}={value}")));
        if self.cgo.is_some() {
            flags.push(STATIC_LINK.to_owned());
        }
        flags.join(" ")
    }

    fn compile(&self, target: &Path) -> Result<()> {
        let mut go = Command::new("go");
        go.current_dir(&self.folder).args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"]);
        if let Some(tags) = &self.cgo {
            go.args(["-tags", tags]);
        }
        go.args(["-ldflags", &self.link_flags(), "-o"]).arg(target.join("")).arg(self.packages);
        // Settings of the person at this machine must not leak into the result.
        go.env("CGO_ENABLED", if self.cgo.is_some() { "1" } else { "0" })
            .env("GOFLAGS", "")
            .env("GOWORK", "off")
            .env_remove("GOOS")
            .env_remove("GOARCH")
            .envs(self.architecture.map(|name| ("GOARCH", name)));
        command::output_of(&mut go)?;
        for (built, wanted) in self.renamed {
            fs::rename(target.join(built), target.join(wanted))
                .with_context(|| format!("{} did not build {built}", self.name))?;
        }
        Ok(())
    }
}

/// Every program of `tools` by name, with the key of the tool that it came from.
pub fn programs(tools: &[Built]) -> Result<BTreeMap<String, (PathBuf, String)>> {
    let mut programs = BTreeMap::new();
    for tool in tools {
        for entry in fs::read_dir(&tool.folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some((other, _)) = programs.insert(name.clone(), (entry.path(), tool.key.clone())) {
                bail!("two tools build {name}: {} and {}", other.display(), entry.path().display());
            }
        }
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources() -> Sources {
        Sources::of_this_checkout()
    }

    #[test]
    fn versions_come_from_the_pins() {
        let text = "module m\n\nrequire k8s.io/kubernetes v1.36.3\n\nrequire (\n\tk8s.io/api v0.0.0 // indirect\n\
                    \tk8s.io/apiserver v0.36.3 // indirect\n)\n\nreplace k8s.io/api => k8s.io/api v0.36.3\n";
        assert_eq!(required_version(text, "k8s.io/kubernetes").as_deref(), Some("v1.36.3"));
        assert_eq!(required_version(text, "k8s.io/apiserver").as_deref(), Some("v0.36.3"));
        assert_eq!(required_version(text, "k8s.io/api").as_deref(), Some("v0.0.0"));
        assert_eq!(required_version(text, "k8s.io"), None);
    }

    #[test]
    fn both_kubernetes_minors_are_pinned_and_others_refused() {
        for version in ["1.36.3", "1.35.4"] {
            let tools = all(&sources(), version, "4.2.0").unwrap();
            assert!(
                tools[0].link_flags().contains(&format!("component-base/version.gitVersion=v{version} "))
            );
        }
        let error = all(&sources(), "1.34.0", "4.2.0").unwrap_err().to_string();
        assert_eq!(error, "Kubernetes 1.34.0 is not pinned here; there is 1.35.4, 1.36.3");
        assert!(kubernetes_variables("1.36").is_err());
    }

    #[test]
    fn every_tool_is_verified_by_checksums_and_has_its_own_name() {
        let tools = all(&sources(), "1.36.3", "4.2.0").unwrap();
        let mut names: Vec<_> = tools.iter().map(|tool| tool.name.as_str()).collect();
        for tool in &tools {
            assert!(tool.folder.join("go.sum").is_file(), "{}", tool.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), tools.len());
    }

    #[test]
    fn the_key_follows_compiler_flags_and_sources() {
        let tools = all(&sources(), "1.36.3", "4.2.0").unwrap();
        let helm = tools.iter().find(|tool| tool.name == "helm").unwrap();
        let base = helm.key("go1.26.8").unwrap();
        assert_eq!(base, helm.key("go1.26.8").unwrap());
        assert_ne!(base, helm.key("go1.26.9").unwrap());
        let mut other = helm.clone();
        other.variables[0].1 = "v4.3.2".to_owned();
        assert_ne!(base, other.key("go1.26.8").unwrap());
        other = helm.clone();
        other.folder = sources().payload.join("go/coredns");
        assert_ne!(base, other.key("go1.26.8").unwrap());
    }
}
