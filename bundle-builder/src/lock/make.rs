//! Making a lock: of everything, or of some entries anew.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sealift_bundle::document::API_VERSION;

use super::{
    KIND, Lock, LockError, LockedChart, LockedFile, LockedImage, LockedSignature, Sources, chart_title,
    file_title, image_title, parts,
};
use crate::chart::Chart;
use crate::cosign::PublicKey;
use crate::manifest::{self, Manifest, Names};
use crate::nearest::nearest;
use crate::parallel;
use crate::progress::count;
use crate::recipe::{ChartEntry, FileContent, ImageEntry, Recipe};
use crate::referrer;
use crate::source::Reach;
use crate::source::chart::{self, ChartOrigin};
use crate::source::file::{self, FoundFile};
use crate::source::image::ImageOrigin;

/// Images that are asked for at a time.
const AT_A_TIME: usize = 8;

/// Pins everything that `recipe` names, as it is `now`.
pub fn make(
    recipe: &Recipe,
    sources: &Sources,
    reach: &Reach<'_>,
    now: Timestamp,
) -> Result<Lock, LockError> {
    reach.progress.note(&format!("lock      {}", count(recipe.images.len(), "image")));
    let images = parallel::map(AT_A_TIME, recipe.images.iter().collect(), |entry| {
        pin_image(entry, recipe.platforms_of(entry), reach)
    })?;
    let charts = recipe.charts.iter().zip(sources.charts.iter().zip(&sources.origins));
    let charts = charts.map(|(entry, (chart, origin))| pin_chart(entry, chart, origin.clone())).collect();
    let contents = recipe.file_contents();
    let files =
        contents.iter().zip(&sources.files).map(|(content, found)| pin_file(content, found)).collect();
    Ok(whole(recipe, now, images, charts, files))
}

/// `earlier` with those entries of `recipe` pinned anew that `names` names (an image, a chart or a file), and everything
/// else as it is. Entries that are not named must be what they were.
pub fn update(
    recipe: &Recipe,
    earlier: &Lock,
    names: &[String],
    reach: &Reach<'_>,
    now: Timestamp,
) -> Result<Lock, LockError> {
    let renewed = named(recipe, earlier, names)?;
    // What is gone needs no pin; but an entry that changed must be named.
    let mut stays = parts(recipe);
    stays.retain(|title, _| pins(title) && !renewed.contains(title));
    let mut changed = earlier.differing(&stays);
    changed.retain(|title| pins(title) && !title.ends_with(" (gone)"));
    if !changed.is_empty() {
        return Err(LockError::OtherRecipe { entries: changed });
    }
    // Each pin that stays is there, since its digest is; a lock edited by hand is not taken for one.
    let lost = |title: String| LockError::OtherRecipe { entries: vec![format!("{title} (new)")] };
    let images = parallel::map(AT_A_TIME, recipe.images.iter().collect(), |entry| {
        let title = image_title(&entry.name);
        if renewed.contains(&title) {
            return pin_image(entry, recipe.platforms_of(entry), reach);
        }
        let kept = earlier.images.iter().find(|image| image.name == entry.name);
        kept.cloned().ok_or_else(|| lost(title))
    })?;
    let charts = parallel::map(1, recipe.charts.iter().collect(), |entry| {
        let from = entry.source.to_string();
        if renewed.contains(&chart_title(&from)) {
            let (chart, origin) = chart::find(entry, None, reach)?;
            return Ok(pin_chart(entry, &chart, origin));
        }
        let kept = earlier.charts.iter().find(|chart| chart.from == from);
        kept.cloned().ok_or_else(|| lost(chart_title(&from)))
    })?;
    let files = parallel::map(1, recipe.file_contents(), |content| {
        let title = file_title(&content.entry.name);
        if renewed.contains(&title) {
            return Ok(pin_file(&content, &file::find(content.source, None, reach)?));
        }
        let kept = earlier.files.iter().find(|file| file.is_of(&content));
        kept.cloned().ok_or_else(|| lost(title))
    })?;
    Ok(whole(recipe, now, images, charts, files))
}

fn whole(
    recipe: &Recipe,
    now: Timestamp,
    images: Vec<LockedImage>,
    charts: Vec<LockedChart>,
    files: Vec<LockedFile>,
) -> Lock {
    Lock {
        api_version: API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        created: Timestamp::from_second(now.as_second()).unwrap_or(now),
        recipe: parts(recipe),
        images,
        charts,
        files,
    }
}

/// Whether pins come from this part of a recipe: from entries, and from the platforms for all of them; the other sections
/// (whose names are one word) pin nothing.
fn pins(title: &str) -> bool {
    title == "platforms" || title.contains(' ')
}

/// Titles of the entries that `names` names.
fn named(recipe: &Recipe, earlier: &Lock, names: &[String]) -> Result<BTreeSet<String>, LockError> {
    let mut known: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |name: &str, title: String| known.entry(name.to_owned()).or_default().push(title);
    for image in &recipe.images {
        add(&image.name, image_title(&image.name));
    }
    for chart in &recipe.charts {
        let from = chart.source.to_string();
        add(&from, chart_title(&from));
        // A local chart says its name in its own files, and so in the lock.
        let locked = earlier.charts.iter().find(|locked| locked.from == from);
        let name = chart.source.name().or(locked.map(|locked| locked.name.as_str()));
        if let Some(name) = name.filter(|name| *name != from) {
            add(name, chart_title(&from));
        }
    }
    for file in &recipe.files {
        add(&file.name, file_title(&file.name));
    }
    let mut titles = BTreeSet::new();
    for name in names {
        let Some(found) = known.get(name) else {
            let nearest = nearest(name, known.keys().map(String::as_str)).map(ToOwned::to_owned);
            return Err(LockError::Unknown { name: name.clone(), nearest });
        };
        titles.extend(found.iter().cloned());
    }
    Ok(titles)
}

fn pin_chart(entry: &ChartEntry, chart: &Chart, origin: ChartOrigin) -> LockedChart {
    LockedChart {
        name: chart.name.clone(),
        version: chart.version.clone(),
        content: chart.content.clone(),
        from: entry.source.to_string(),
        url: origin.url,
        manifest: origin.manifest,
    }
}

fn pin_file(content: &FileContent<'_>, found: &FoundFile) -> LockedFile {
    LockedFile {
        name: content.entry.name.clone(),
        platform: content.platform.map(ToOwned::to_owned),
        digest: found.content.digest.clone(),
        size: found.content.size,
        from: content.source.to_string(),
        archive: found.archive.clone(),
    }
}

fn pin_image(entry: &ImageEntry, wanted: &[String], reach: &Reach<'_>) -> Result<LockedImage, LockError> {
    let origin = ImageOrigin::of(entry)?;
    let (content, digest) = origin.current(reach)?;
    reach.cache.put(&content)?;
    let parsed = Manifest::parse(&content)
        .map_err(|source| LockError::Manifest { image: entry.name.clone(), source })?;
    let signature = match &entry.public_key {
        Some(key) => {
            let signed = PublicKey::load(&reach.roots.resolve(key)?)?.check(&origin, &digest, reach)?;
            Some(LockedSignature { manifest: signed.manifest, key: signed.key })
        }
        None => None,
    };
    let offered = match parsed.names {
        Names::Platforms(platforms) => {
            platforms.into_iter().map(|(platform, manifest)| (platform, manifest.digest)).collect()
        }
        Names::Blobs { config, .. } => {
            origin.blob(&config, reach, &|_| ())?;
            let config = reach.cache.read(&config.digest, manifest::MOST_BYTES)?;
            let platform = config.and_then(|config| manifest::config_platform(&config));
            // An image without platform (an artifact) serves everywhere.
            let all = || wanted.iter().map(|platform| (platform.clone(), digest.clone())).collect();
            platform.map_or_else(all, |platform| vec![(platform, digest.clone())])
        }
    };
    let platforms = choose(&entry.name, wanted, &offered)?;
    let manifests: Vec<&str> = platforms.values().map(String::as_str).collect();
    let inside = referrer::inside(&content, &manifests);
    let subjects = std::iter::once(&digest).chain(platforms.values()).cloned().collect();
    let referrers = origin.referrers(subjects, inside, reach)?;
    Ok(LockedImage {
        name: entry.name.clone(),
        digest,
        media_type: parsed.media_type,
        size: content.len() as u64,
        platforms,
        from: origin.shown(reach),
        converted: origin.is_converted(),
        signature,
        referrers,
    })
}

/// Those of the `offered` platforms that serve the `wanted` ones; each must be served.
fn choose(
    image: &str,
    wanted: &[String],
    offered: &[(String, String)],
) -> Result<BTreeMap<String, String>, LockError> {
    let mut chosen = BTreeMap::new();
    for platform in wanted {
        let serving: Vec<_> = offered.iter().filter(|(name, _)| manifest::serves(name, platform)).collect();
        if serving.is_empty() {
            return Err(LockError::Platform {
                image: image.to_owned(),
                wanted: platform.clone(),
                found: offered.iter().map(|(name, _)| name.clone()).collect(),
            });
        }
        for (name, digest) in serving {
            // Of two for one platform the first counts (OCI image specification 1.1, "Image Index").
            chosen.entry(name.clone()).or_insert_with(|| digest.clone());
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_platform_must_be_served() {
        let offered: Vec<(String, String)> =
            [("linux/amd64", "a"), ("linux/arm64/v8", "b"), ("linux/amd64", "d"), ("unknown/unknown", "c")]
                .map(|(name, digest)| (name.to_owned(), digest.to_owned()))
                .into();
        let wanted = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let chosen = choose("i", &wanted(&["linux/amd64", "linux/arm64"]), &offered).unwrap();
        assert_eq!(chosen.into_iter().collect::<Vec<_>>(), offered[..2]);
        let error = choose("i", &wanted(&["linux/s390x"]), &offered).unwrap_err();
        assert!(error.to_string().starts_with("image i is not made for linux/s390x, only for linux/amd64, "));
        let error = choose("i", &wanted(&["linux/amd64"]), &[]).unwrap_err();
        assert_eq!(error.to_string(), "image i is not made for linux/amd64: it names no platform");
    }
}
