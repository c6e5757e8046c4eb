//! The real Helm, run to see what a chart becomes.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use sealift_bundle::digest::Hasher;
use sealift_bundle::document::{Component, Setting, SiteValue};
use sealift_bundle::services::ServiceValue;
use sealift_bundle::unfinished::Unfinished;
use serde_json::{Value, json};

use crate::cache::TEMPORARY;
use crate::chart::Chart;

/// A Helm program and a folder for it to work in.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    folder: tempfile::TempDir,
    limits: Limits,
    _unfinished: Unfinished,
}

/// What Helm may take for one chart; a chart is untrusted input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time for one run.
    pub time: Duration,
    /// Bytes of manifests.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_mins(2), output: 64 << 20 }
    }
}

/// How much of what Helm says about a failure is shown, bytes.
const WORDS: u64 = 16 << 10;

/// Why a chart was not rendered.
#[derive(Debug, thiserror::Error)]
pub enum HelmError {
    /// No Helm.
    #[error("cannot run Helm as `{}`", program.display())]
    Run {
        /// What was run.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file for Helm cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Helm says no.
    #[error("{words}")]
    Refused {
        /// What Helm printed.
        words: String,
    },
    /// Helm was stopped.
    #[error("Helm had not finished after {} s", limit.as_secs())]
    TooSlow {
        /// What it may take.
        limit: Duration,
    },
    /// Helm was stopped.
    #[error("it becomes more than {limit} bytes")]
    TooMuch {
        /// What it may be.
        limit: u64,
    },
}

/// A site that charts are rendered for, so that parts which only one kind of site gets are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleSite {
    /// One machine, nothing optional, no service of its own.
    Small,
    /// Three masters, many workers, everything optional, every service its own.
    Large,
}

impl SampleSite {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Small, Self::Large];

    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Small => "a small sample site",
            Self::Large => "a large sample site",
        }
    }

    /// Something that such a site might say; `None` where it says nothing.
    fn value(self, wanted: &SiteValue, settings: &BTreeMap<String, Setting>) -> Option<Value> {
        let small = self == Self::Small;
        Some(match wanted {
            SiteValue::PodCidr => json!("10.244.0.0/16"),
            SiteValue::ServiceCidr => json!("10.96.0.0/12"),
            SiteValue::ClusterDns => json!("10.96.0.10"),
            SiteValue::EndpointHost => json!("api.cluster.internal"),
            SiteValue::EndpointPort => json!(6443),
            SiteValue::ControlPlaneCount | SiteValue::ServiceReplicas => json!(if small { 1 } else { 3 }),
            SiteValue::DnsReplicas => json!(if small { 1 } else { 5 }),
            SiteValue::PodBandwidth => json!(!small),
            SiteValue::WorkerCount => json!(if small { 0 } else { 5 }),
            SiteValue::WorkerNames if small => json!(["m1"]),
            SiteValue::WorkerNames => json!(["w1", "w2", "w3", "w4", "w5"]),
            SiteValue::Nameservers => json!(if small { vec![] } else { vec!["192.0.2.53"] }),
            SiteValue::Setting(name) => {
                match settings.get(name).and_then(|setting| setting.default.clone()) {
                    // What a site may switch on is what it may leave out.
                    Some(Value::Bool(_)) => json!(!small),
                    Some(default) => default,
                    None => json!("sample"),
                }
            }
            SiteValue::Service(_) if small => return None,
            SiteValue::Service(value) => service_value(*value),
        })
    }
}

/// What a site says that runs every service itself.
fn service_value(wanted: ServiceValue) -> Value {
    match wanted {
        ServiceValue::DatabaseHost => json!("192.0.2.9"),
        ServiceValue::DatabasePort => json!(5432),
        ServiceValue::DatabaseTls => json!("verify-full"),
        ServiceValue::DatabaseName
        | ServiceValue::DatabaseUser
        | ServiceValue::LogsUser
        | ServiceValue::MetricsUser => json!("sample"),
        ServiceValue::DatabaseCa | ServiceValue::LogsCa | ServiceValue::MetricsCa => {
            json!("-----BEGIN CERTIFICATE-----\nc2FtcGxl\n-----END CERTIFICATE-----\n")
        }
        ServiceValue::LogsUrl => json!("https://192.0.2.10:9200/"),
        ServiceValue::MetricsUrl => json!("https://192.0.2.11:9090/api/v1/write"),
    }
}

/// The values that the site adds to those of `component`.
#[must_use]
pub fn site_values(component: &Component, settings: &BTreeMap<String, Setting>, site: SampleSite) -> Value {
    let mut values = json!({});
    for (path, wanted) in &component.values_from {
        if let Some(value) = site.value(wanted, settings) {
            put(&mut values, path, value);
        }
    }
    values
}

/// Puts `value` at the dotted `path`; what stands in the way and is no map gives way.
fn put(values: &mut Value, path: &str, value: Value) {
    let mut place = values;
    for key in path.split('.') {
        if !place.is_object() {
            *place = json!({});
        }
        place = &mut place[key];
    }
    *place = value;
}

/// What to render.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The release.
    pub component: &'a Component,
    /// Its chart.
    pub chart: &'a Chart,
    /// What a sample of a site says; stands above the component's own values.
    pub site: &'a Value,
    /// Content of a file with further values of the vendor, who knows what a site may say: stands above the sample.
    pub profile: Option<&'a [u8]>,
    /// Version of the cluster, e.g. `v1.36.3`.
    pub kubernetes: &'a str,
}

fn temporary(place: &Path) -> Result<(tempfile::TempDir, Unfinished), HelmError> {
    let make = || tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(place);
    Unfinished::begin(make, tempfile::TempDir::path)
        .map_err(|source| HelmError::Write { path: place.to_owned(), source })
}

/// All that goes into one run of Helm, which sees nothing else of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    arguments: Vec<String>,
    /// Names of its own, relative: they stand in Helm's messages.
    files: Vec<(String, Vec<u8>)>,
}

impl Input {
    /// What `request` becomes.
    #[must_use]
    pub fn of(request: &Request<'_>) -> Self {
        let Request { component, chart, profile, site, kubernetes } = *request;
        let archive = format!("{}-{}.tgz", chart.name, chart.version).replace('/', "-");
        // JSON is YAML; Helm reads it as values. Later files count more.
        let own = match &component.values {
            Value::Null => json!({}),
            values => values.clone(),
        };
        let mut files = vec![("values.json".to_owned(), own.to_string().into_bytes())];
        files.push(("site.json".to_owned(), site.to_string().into_bytes()));
        files.extend(profile.map(|profile| ("profile.yaml".to_owned(), profile.to_owned())));
        let mut arguments = vec!["template", &component.name, &archive];
        arguments.extend(["--namespace", &component.namespace]);
        arguments.extend(["--kube-version", kubernetes, "--include-crds"]);
        arguments.extend(files.iter().flat_map(|(name, _)| ["--values", name.as_str()]));
        let arguments = arguments.into_iter().map(ToOwned::to_owned).collect();
        files.push((archive, chart.archive.clone()));
        Self { arguments, files }
    }

    /// A digest of all of it.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Hasher::new();
        let files = self.files.iter().flat_map(|(name, content)| [name.as_bytes(), content.as_slice()]);
        for part in self.arguments.iter().map(String::as_bytes).chain(files) {
            // With its length before it, no part can be taken for two.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finish()
    }
}

impl Helm {
    /// Uses the Helm at `program` (a path, or a name in PATH), with a folder of its own in `place`.
    pub fn new(program: PathBuf, place: &Path) -> Result<Self, HelmError> {
        Self::untried(program, place)?.tried()
    }

    fn in_folder(program: PathBuf, (folder, unfinished): (tempfile::TempDir, Unfinished)) -> Self {
        Self { program, folder, limits: Limits::default(), _unfinished: unfinished }
    }

    /// Itself, where it runs: what it can do is seen when it renders.
    fn tried(self) -> Result<Self, HelmError> {
        match self.run(self.folder.path(), &["version", "--short"]) {
            Err(error @ HelmError::Run { .. }) => Err(error),
            _ => Ok(self),
        }
    }

    /// Uses the Helm that the bundle will hold. What was fetched, or came out of an archive, lies in the cache without
    /// permission to run: then a copy runs.
    fn packed(program: &Path, place: &Path) -> Result<Self, HelmError> {
        let failed = |source| HelmError::Write { path: program.to_owned(), source };
        // A name without a folder would be looked up in PATH.
        let program = std::path::absolute(program).map_err(failed)?;
        match Self::new(program.clone(), place) {
            Err(HelmError::Run { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {}
            other => return other,
        }
        let folder = temporary(place)?;
        let copy = folder.0.path().join("helm");
        std::fs::copy(&program, &copy)
            .and_then(|_| std::fs::set_permissions(&copy, Permissions::from_mode(0o700)))
            .map_err(|source| HelmError::Write { path: copy.clone(), source })?;
        Self::in_folder(copy, folder).tried()
    }

    /// Uses the Helm at `program` without a look at whether it runs: that shows when it renders.
    pub fn untried(program: PathBuf, place: &Path) -> Result<Self, HelmError> {
        Ok(Self::in_folder(program, temporary(place)?))
    }

    /// A path, or a name in PATH.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The Helm `asked` for; else the one that the site will get, where this machine can run it; else the one in PATH.
    pub fn find(asked: Option<&Path>, packed: Option<&Path>, place: &Path) -> Result<Self, HelmError> {
        if let Some(asked) = asked {
            return Self::new(asked.to_owned(), place);
        }
        match packed.map(|packed| Self::packed(packed, place)) {
            Some(Ok(helm)) => Ok(helm),
            _ => Self::new("helm".into(), place),
        }
    }

    /// Everything that a component installs: manifests, hooks, tests and CRDs. May be called from several threads.
    pub fn render(&self, request: &Request<'_>) -> Result<String, HelmError> {
        self.run_with(&Input::of(request))
    }

    /// As [`Helm::render`], of what a request has become.
    pub fn run_with(&self, input: &Input) -> Result<String, HelmError> {
        let failed = |path: &Path, source| HelmError::Write { path: path.to_owned(), source };
        let folder =
            tempfile::tempdir_in(self.folder.path()).map_err(|source| failed(self.folder.path(), source))?;
        for (name, content) in &input.files {
            let path = folder.path().join(name);
            std::fs::write(&path, content).map_err(|source| failed(&path, source))?;
        }
        let arguments: Vec<&str> = input.arguments.iter().map(String::as_str).collect();
        let output = self.run(folder.path(), &arguments)?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Runs Helm in `folder`, away from the caller's own Helm settings, plugins and clusters; what it prints.
    fn run(&self, folder: &Path, arguments: &[&str]) -> Result<Vec<u8>, HelmError> {
        let failed = |source| HelmError::Run { program: self.program.clone(), source };
        let own = |name: &str| self.folder.path().join(name);
        // A relative path leads from the caller's folder, a plain name into PATH.
        let plain = self.program.components().count() == 1 && !self.program.is_absolute();
        let program =
            if plain { self.program.clone() } else { std::path::absolute(&self.program).map_err(failed)? };
        let deadline = Instant::now() + self.limits.time;
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .env("HELM_CACHE_HOME", own("cache"))
            .env("HELM_CONFIG_HOME", own("config"))
            .env("HELM_DATA_HOME", own("data"))
            .env_remove("HELM_PLUGINS")
            .env_remove("HELM_NAMESPACE")
            .env_remove("HELM_DEBUG")
            .env("KUBECONFIG", own("no-cluster"))
            // One run is over before its memory is worth tidying so often: a quarter less of the processor.
            .env("GOGC", "400")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map(Running)
            .map_err(failed)?;
        let output = child.0.stdout.take().map(|pipe| listen(pipe, self.limits.output + 1));
        let words = child.0.stderr.take().map(|pipe| listen(pipe, WORDS));
        let output = self.heard(output, deadline)?;
        if output.len() as u64 > self.limits.output {
            return Err(HelmError::TooMuch { limit: self.limits.output });
        }
        let words = self.heard(words, deadline)?;
        let status = child.0.wait().map_err(failed)?;
        if status.success() {
            return Ok(output);
        }
        let words = shown(&words);
        let silent = || format!("Helm said nothing ({status})");
        Err(HelmError::Refused { words: if words.is_empty() { silent() } else { words } })
    }

    /// What came out of a pipe by `deadline`.
    fn heard(
        &self,
        pipe: Option<Receiver<io::Result<Vec<u8>>>>,
        deadline: Instant,
    ) -> Result<Vec<u8>, HelmError> {
        let Some(pipe) = pipe else { return Ok(Vec::new()) };
        match pipe.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(read) => read.map_err(|source| HelmError::Run { program: self.program.clone(), source }),
            Err(_) => Err(HelmError::TooSlow { limit: self.limits.time }),
        }
    }
}

/// A program that ends with its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to one that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first `limit` bytes of a pipe, when there are as many or it ends; what follows is read and dropped, so that the
/// writer does not wait for ever.
fn listen(mut pipe: impl Read + Send + 'static, limit: u64) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut content = Vec::new();
        let read = pipe.by_ref().take(limit).read_to_end(&mut content);
        // Nobody listens any more where the program was stopped.
        let _ = sender.send(read.map(|_| content));
        let _ = io::copy(&mut pipe, &mut io::sink());
    });
    receiver
}

/// What Helm says, safe for a terminal: charts can put anything into it.
fn shown(words: &[u8]) -> String {
    let text = String::from_utf8_lossy(words);
    let plain: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    let plain = plain.trim();
    if words.len() as u64 == WORDS { format!("{plain} …") } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::{self, testing::RECIPE};

    #[test]
    fn site_values_go_where_the_recipe_says() {
        let recipe = recipe::parse(RECIPE, Path::new("recipe.yaml")).unwrap();
        let values =
            |component: usize, site| site_values(&recipe.components[component], &recipe.settings, site);
        assert_eq!(values(1, SampleSite::Small), json!({"web": {"replicas": 1, "title": "Orders"}}));
        assert_eq!(values(1, SampleSite::Large)["web"]["replicas"], 3);
        assert_eq!(values(0, SampleSite::Small), json!({"podCidr": "10.244.0.0/16"}));
    }

    #[test]
    fn what_a_site_may_switch_on_is_off_on_a_small_one_and_on_on_a_large_one() {
        for default in [true, false] {
            let text = format!("{{metrics: {{description: Whether, default: {default}}}}}");
            let settings: BTreeMap<String, Setting> = serde_yaml::from_str(&text).unwrap();
            let said = |site: SampleSite| site.value(&SiteValue::Setting("metrics".to_owned()), &settings);
            assert_eq!(
                (said(SampleSite::Small), said(SampleSite::Large)),
                (Some(json!(false)), Some(json!(true)))
            );
        }
    }

    #[test]
    fn what_is_no_map_gives_way() {
        let mut values = json!({"web": 1});
        put(&mut values, "web.title", json!("x"));
        assert_eq!(values, json!({"web": {"title": "x"}}));
    }

    #[test]
    fn a_missing_helm_is_named() {
        let error = Helm::new("/nonexistent/helm".into(), &std::env::temp_dir()).unwrap_err();
        assert_eq!(error.to_string(), "cannot run Helm as `/nonexistent/helm`");
    }

    #[test]
    fn the_asked_one_comes_first_and_has_no_stand_in() {
        let packed = Path::new("/bin/true");
        let folder = tempfile::tempdir().unwrap();
        let find = |asked| Helm::find(asked, Some(packed), folder.path());
        assert!(find(Some(Path::new("/nonexistent/helm"))).is_err());
        assert_eq!(find(None).unwrap().program, packed);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing behind");
    }

    /// A Helm that is this shell script.
    fn script(text: &str) -> (tempfile::TempDir, Helm) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("helm");
        sealift_bundle::testing::program(&path, &format!("#!/bin/sh\n{text}\n"));
        let limits = Limits { time: Duration::from_mins(1), output: 1000 };
        let helm = Helm { limits, ..Helm::in_folder(path, temporary(&std::env::temp_dir()).unwrap()) };
        (folder, helm)
    }

    #[test]
    fn what_a_failed_helm_says_is_bounded_and_plain() {
        let said = |text: &str| {
            let (_folder, helm) = script(text);
            helm.run(helm.folder.path(), &[]).unwrap_err().to_string()
        };
        assert_eq!(said(r"printf 'Error: \033[31mno\n\tmore\n' >&2; exit 3"), "Error: [31mno\n\tmore");
        assert_eq!(said("exit 3"), "Helm said nothing (exit status: 3)");
        let long = said("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
        assert!(long.len() < 17_000 && long.ends_with("x …"), "{} bytes", long.len());
        assert_eq!(said("head -c 1000000 /dev/zero"), "it becomes more than 1000 bytes");
    }

    #[test]
    fn a_helm_that_hangs_is_stopped() {
        let (_folder, helm) = script("exec sleep 1000");
        let helm = helm.with_limits(Limits { time: Duration::from_millis(100), output: 1000 });
        let error = helm.run(helm.folder.path(), &[]).unwrap_err();
        assert!(matches!(error, HelmError::TooSlow { .. }), "{error}");
    }
}
