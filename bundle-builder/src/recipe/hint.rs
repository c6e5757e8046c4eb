//! Image hints: what no pod spec tells. Operators read image names from custom resources, or know them by themselves.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where else images are named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawHint", into = "RawHint")]
pub enum ImageHint {
    /// Objects of this kind name images in these fields.
    Fields {
        /// `kind` of the objects.
        kind: String,
        /// Their `apiVersion`, or its part before the `/`; any where absent.
        api_version: Option<String>,
        /// Where in them.
        fields: Vec<FieldPath>,
    },
    /// This component starts these images by itself.
    Images {
        /// The component.
        component: String,
        /// Full references.
        images: Vec<String>,
    },
}

/// Images that no pod spec names: `kind` with `fields`, or `component` with `images`.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(
    rename = "ImageHint",
    extend("oneOf" = [{"required": ["kind", "fields"]}, {"required": ["component", "images"]}])
)]
struct RawHint {
    /// Kind of custom resource whose fields name images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// Its `apiVersion`, or the group before the `/`; any where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_version: Option<String>,
    /// Paths of the fields, e.g. `spec.imageName` or `spec.sidecars[*].image`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<String>,
    /// Component that starts images by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    /// Full references of those images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    images: Vec<String>,
}

impl TryFrom<RawHint> for ImageHint {
    type Error = String;

    fn try_from(raw: RawHint) -> Result<Self, Self::Error> {
        match raw {
            RawHint { kind: Some(kind), api_version, fields, component: None, images }
                if !fields.is_empty() && images.is_empty() =>
            {
                let fields = fields.iter().map(|field| FieldPath::parse(field)).collect::<Result<_, _>>()?;
                Ok(Self::Fields { kind, api_version, fields })
            }
            RawHint { kind: None, api_version: None, fields, component: Some(component), images }
                if fields.is_empty() && !images.is_empty() =>
            {
                Ok(Self::Images { component, images })
            }
            _ => Err("a hint is either `kind` with `fields`, or `component` with `images`".to_owned()),
        }
    }
}

impl From<ImageHint> for RawHint {
    fn from(hint: ImageHint) -> Self {
        match hint {
            ImageHint::Fields { kind, api_version, fields } => Self {
                kind: Some(kind),
                api_version,
                fields: fields.into_iter().map(|field| field.text).collect(),
                component: None,
                images: Vec::new(),
            },
            ImageHint::Images { component, images } => {
                Self { kind: None, api_version: None, fields: Vec::new(), component: Some(component), images }
            }
        }
    }
}

impl ImageHint {
    /// Whether it is about objects of this `apiVersion` and `kind`; the fields to look at then.
    #[must_use]
    pub fn fields_of(&self, api_version: &str, kind: &str) -> &[FieldPath] {
        match self {
            Self::Fields { kind: wanted, api_version: version, fields } if wanted == kind => {
                let group = api_version.split('/').next();
                let fits = |wanted: &String| wanted == api_version || Some(wanted.as_str()) == group;
                if version.as_ref().is_none_or(fits) { fields } else { &[] }
            }
            _ => &[],
        }
    }
}

/// A path into an object, as `JSONPath` writes the simple ones: `spec.images[*].name`, `spec.tools.*`, `spec["a.b"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    /// Every item of a list, every value of a map.
    All,
}

impl fmt::Display for FieldPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FieldPath {
    /// Reads a path; a leading `$` or `.` may stand there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no field path: write it like `spec.images[*].name`");
        let mut rest = text.strip_prefix('$').unwrap_or(text);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (step, after) = inside.split_once(']').ok_or_else(wrong)?;
                steps.push(bracketed(step).ok_or_else(wrong)?);
                rest = after;
            } else {
                let plain = match rest.strip_prefix('.') {
                    Some(plain) => plain,
                    None if steps.is_empty() => rest,
                    None => return Err(wrong()),
                };
                let end = plain.find(['.', '[']).unwrap_or(plain.len());
                let (name, after) = plain.split_at(end);
                match name {
                    "" => return Err(wrong()),
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Key(name.to_owned())),
                }
                rest = after;
            }
        }
        if steps.is_empty() { Err(wrong()) } else { Ok(Self { text: text.to_owned(), steps }) }
    }

    /// Every value at this path of `object`.
    #[must_use]
    pub fn values<'a>(&self, object: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![object];
        for step in &self.steps {
            found = found
                .into_iter()
                .flat_map(|value| match (step, value) {
                    (Step::Key(key), _) => value.get(key).into_iter().collect::<Vec<_>>(),
                    (Step::Index(index), _) => value.get(index).into_iter().collect(),
                    (Step::All, Value::Array(items)) => items.iter().collect(),
                    (Step::All, Value::Object(entries)) => entries.values().collect(),
                    (Step::All, _) => Vec::new(),
                })
                .collect();
        }
        found
    }
}

/// What may stand between brackets: `*`, a number, a quoted key.
fn bracketed(text: &str) -> Option<Step> {
    if text == "*" {
        return Some(Step::All);
    }
    if let Ok(index) = text.parse() {
        return Some(Step::Index(index));
    }
    ['"', '\'']
        .into_iter()
        .find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
        .map(|key| Step::Key(key.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_into_lists_and_maps() {
        let object = json!({"spec": {
            "imageName": "a:1", "sidecars": [{"image": "b:1"}, {"image": "c:1"}, {}],
            "tools": {"x": "d:1", "y": "e:1"}, "a.b": "f:1"
        }});
        for (path, expected) in [
            ("spec.imageName", vec!["a:1"]),
            (".spec.imageName", vec!["a:1"]),
            ("$.spec.sidecars[*].image", vec!["b:1", "c:1"]),
            ("spec.sidecars[1].image", vec!["c:1"]),
            ("spec.tools.*", vec!["d:1", "e:1"]),
            ("spec['a.b']", vec!["f:1"]),
            ("spec.nothing[*].x", vec![]),
            ("spec.imageName[*]", vec![]),
        ] {
            let path = FieldPath::parse(path).unwrap();
            let found: Vec<&str> = path.values(&object).into_iter().filter_map(Value::as_str).collect();
            assert_eq!(found, expected, "{path}");
        }
        for wrong in ["", "$", "spec..image", "spec[image]", "spec[*", "spec[*]x", "."] {
            let error = FieldPath::parse(wrong).unwrap_err();
            assert!(error.contains("is no field path"), "{wrong}: {error}");
        }
    }

    #[test]
    fn hints_are_of_one_kind_or_the_other() {
        let read = |text: &str| serde_yaml::from_str::<ImageHint>(text).map_err(|error| error.to_string());
        let hint = read("{kind: Cluster, apiVersion: db.example, fields: [spec.imageName]}").unwrap();
        assert_eq!(hint.fields_of("db.example/v1", "Cluster").len(), 1);
        assert_eq!(hint.fields_of("other.example/v1", "Cluster").len(), 0);
        assert_eq!(hint.fields_of("db.example/v1", "Pool").len(), 0);
        assert_eq!(read(&serde_yaml::to_string(&hint).unwrap()).unwrap(), hint);
        assert!(read("{component: db, images: [ghcr.io/a/b:1]}").is_ok());
        for wrong in
            ["{}", "{kind: Cluster}", "{component: db, fields: [spec.x]}", "{kind: C, fields: [x..y]}"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
