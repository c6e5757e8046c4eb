//! The name that was meant: of those that there are, the one most like a wrong one. The only place that says how near is
//! near enough to be offered; it knows nothing of what the names name.

/// The one of `names` that is most like `wrong`, where one is near.
pub(crate) fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_spelling(wrong, names.into_iter().map(|name| (name, name)))
}

/// As [`nearest`] for things that people spell in several ways: each spelling, and what it stands for.
pub(crate) fn nearest_spelling<'a, T: Ord>(
    wrong: &str,
    spellings: impl IntoIterator<Item = (&'a str, T)>,
) -> Option<T> {
    spellings
        .into_iter()
        .map(|(spelling, thing)| (strsim::damerau_levenshtein(wrong, spelling), spelling.len(), thing))
        .min()
        .filter(|(distance, length, _)| *distance <= (*length).max(3) / 2)
        .map(|(.., thing)| thing)
}

/// The one of `images` that is most like the image `wrong`, where one is near. Registries, folders and tags are alike for
/// many images that have nothing in common: what counts is the name behind the last `/`, of which few letters may differ.
pub(crate) fn nearest_image<'a>(wrong: &str, images: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = strsim::damerau_levenshtein;
    let wrong_name = bare_name(wrong);
    images
        .into_iter()
        .map(|image| (distance(wrong_name, bare_name(image)), distance(wrong, image), image))
        .min()
        .filter(|(letters, _, image)| *letters <= bare_name(image).len().max(4) / 4)
        .map(|(.., image)| image)
}

/// An image's name without registry, folders and tag.
fn bare_name(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split(':').next().unwrap_or(last)
}

/// A hint at a name that was found, ready to stand behind a sentence.
pub(crate) fn did_you_mean(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_offered() {
        let names = ["orders", "flannel", "dns"];
        for (wrong, expected) in
            [("oders", Some("orders")), ("flanel", Some("flannel")), ("dsn", Some("dns")), ("payroll", None)]
        {
            assert_eq!(nearest(wrong, names), expected, "{wrong}");
        }
        assert_eq!(nearest("x", []), None);
        // Of two that are as near, the same one each time.
        assert_eq!(nearest("a", ["c", "b"]), nearest("a", ["b", "c"]));
    }

    #[test]
    fn images_are_told_apart_by_their_names() {
        let images = [
            "registry.k8s.io/etcd:3.6.8-0",
            "registry.k8s.io/kube-scheduler:v1.36.3",
            "registry.k8s.io/pause:3.10.2",
            "registry.k8s.io/old/pause:3.10.2",
        ];
        for (wrong, expected) in [
            ("registry.k8s.io/pause:3.10", Some("registry.k8s.io/pause:3.10.2")),
            ("registry.k8s.io/old/pause:3.10", Some("registry.k8s.io/old/pause:3.10.2")),
            ("quay.io/pause:3.10.2", Some("registry.k8s.io/pause:3.10.2")),
            ("registry.k8s.io/puase:4", Some("registry.k8s.io/pause:3.10.2")),
            ("registry.k8s.io/kube-apiserver:v1.36.3", None),
            ("registry.k8s.io/coredns:3.10.2", None),
        ] {
            assert_eq!(nearest_image(wrong, images), expected, "{wrong}");
        }
    }
}
