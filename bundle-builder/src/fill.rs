//! Texts with places in them.

/// `template` with each `{name}` of `values` replaced by its value, in one pass: what a value holds is never taken for a
/// place. Other braces stay.
#[must_use]
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        text.push_str(&rest[..start]);
        let inside = &rest[start + 1..];
        let found = values
            .iter()
            .find_map(|(name, value)| Some((*value, inside.strip_prefix(name)?.strip_prefix('}')?)));
        if let Some((value, after)) = found {
            text.push_str(value);
            rest = after;
        } else {
            text.push('{');
            rest = inside;
        }
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_places() {
        let values = [("name", "{title}"), ("title", "Orders")];
        assert_eq!(fill("{name}: {title} {x} {name", &values), "{title}: Orders {x} {name");
        assert_eq!(fill("{root: payload} {nam}", &values), "{root: payload} {nam}");
    }
}
