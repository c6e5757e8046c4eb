//! The embedded templates, parsed once.

use std::sync::OnceLock;

use serde::Serialize;
use tera::{Context, Tera};

use crate::RenderError;

const TEMPLATES: [(&str, &str); 10] = [
    ("containerd.toml", include_str!("../../../../assets/templates/containerd.toml")),
    ("containerd.service", include_str!("../../../../assets/templates/containerd.service")),
    ("haproxy.cfg", include_str!("../../../../assets/templates/haproxy.cfg")),
    ("hosts.toml", include_str!("../../../../assets/templates/hosts.toml")),
    ("kubelet.service", include_str!("../../../../assets/templates/kubelet.service")),
    ("modules.conf", include_str!("../../../../assets/templates/modules.conf")),
    (
        "sealift-events-backup.service",
        include_str!("../../../../assets/templates/sealift-events-backup.service"),
    ),
    ("sealift-events-backup.timer", include_str!("../../../../assets/templates/sealift-events-backup.timer")),
    ("sealift-registry.service", include_str!("../../../../assets/templates/sealift-registry.service")),
    ("sysctl.conf", include_str!("../../../../assets/templates/sysctl.conf")),
];

/// Renders an embedded template; an undefined variable is an error.
pub(crate) fn render(name: &'static str, values: &impl Serialize) -> Result<String, RenderError> {
    static PARSED: OnceLock<Result<Tera, String>> = OnceLock::new();
    let failed = |reason: String| RenderError::Template { name, reason };
    let tera = PARSED
        .get_or_init(|| {
            let mut tera = Tera::default();
            tera.add_raw_templates(TEMPLATES).map_err(|error| error.to_string())?;
            Ok(tera)
        })
        .as_ref()
        .map_err(|reason| failed(reason.clone()))?;
    let context = Context::from_serialize(values).map_err(|error| failed(error.to_string()))?;
    tera.render(name, &context).map_err(|error| failed(error.to_string()))
}
