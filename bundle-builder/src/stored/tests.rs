use super::*;
use crate::cache::testing::cache;
use crate::recipe::StoredImage;
use sealift_bundle::digest::digest_of;

const WEB: &str = "registry.sealift.example/orders/web:4.2.0";

/// Files of an OCI layout with one image per name, and each image's digest.
fn layout_files(names: &[&str]) -> (Vec<(String, Vec<u8>)>, Vec<String>) {
    let mut files = vec![("oci-layout".to_owned(), layout::LAYOUT_CONTENT.as_bytes().to_vec())];
    let (mut entries, mut digests) = (Vec::new(), Vec::new());
    for name in names {
        let manifest = format!(r#"{{"schemaVersion":2,"made for":"{name}"}}"#).into_bytes();
        let digest = digest_of(&manifest);
        entries.push(format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{},
                "annotations":{{"org.opencontainers.image.ref.name":"{name}"}}}}"#,
            manifest.len()
        ));
        files.push((layout::blob_name(&digest).unwrap(), manifest));
        digests.push(digest);
    }
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    files.push(("index.json".to_owned(), index.into_bytes()));
    (files, digests)
}

fn tar_of(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, &**content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn source(make: fn(StoredImage) -> ImageSource) -> ImageSource {
    make(StoredImage { root: None, path: "x".into(), reference: None })
}

/// The same layout as a folder and as a tar.
fn both(files: &[(String, Vec<u8>)]) -> (tempfile::TempDir, [(ImageSource, PathBuf); 2]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join("layout").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let tar = folder.path().join("archive.tar");
    std::fs::write(&tar, tar_of(files)).unwrap();
    let places = [
        (source(ImageSource::OciLayout), folder.path().join("layout")),
        (source(ImageSource::OciArchive), tar),
    ];
    (folder, places)
}

#[test]
fn layouts_are_the_same_as_folder_and_as_tar() {
    let (files, digests) = layout_files(&[WEB, "docker.io/library/postgres:15", "nightly", "1.0+one"]);
    let (_folder, places) = both(&files);
    for (source, path) in places {
        let stored = Stored::open(&source, &path).unwrap();
        assert_eq!(stored.find(WEB, None).unwrap(), digests[0]);
        assert_eq!(stored.find(WEB, Some("nightly")).unwrap(), digests[2]);
        assert_eq!(stored.find("docker.io/library/other:1", Some("postgres:15")).unwrap(), digests[1]);
        assert_eq!(stored.find("docker.io/library/other:nightly", None).unwrap(), digests[2]);
        assert_eq!(stored.tagged("15"), Some(&*digests[1]));
        // Neither this nor `1.0+one` is a reference of an image, which does not make them the same.
        let none = stored.find(WEB, Some("4.2.0+other"));
        assert!(matches!(none, Err(StoredError::NoImage { .. })), "{none:?}");
        let error = stored.find(WEB, Some("wbe")).unwrap_err().to_string();
        assert!(
            error.ends_with(
                "no single image named wbe; it holds registry.sealift.example/orders/web:4.2.0, \
                 docker.io/library/postgres:15, nightly, 1.0+one"
            ),
            "{error}"
        );
        let manifest = stored.manifest(&digests[0]).unwrap();
        assert_eq!(digest_of(&manifest), digests[0]);
        let missing = digest_of(b"missing");
        assert!(
            matches!(stored.manifest(&missing), Err(StoredError::NoBlob { digest, .. }) if digest == missing)
        );
    }
}

#[test]
fn the_only_image_needs_no_name() {
    let (files, digests) = layout_files(&["anything"]);
    let (_folder, places) = both(&files);
    for (source, path) in places {
        let stored = Stored::open(&source, &path).unwrap();
        assert_eq!(stored.find(WEB, None).unwrap(), digests[0]);
        assert!(stored.find(WEB, Some("other")).is_err());
    }
}

#[test]
fn blobs_are_hashed_on_their_way() {
    let (mut files, digests) = layout_files(&[WEB]);
    let wanted = Content { digest: digests[0].clone(), size: files[1].1.len() as u64 };
    let (_cache_folder, cache) = cache();
    let counted = std::sync::atomic::AtomicI64::new(0);
    let advanced = |delta| {
        counted.fetch_add(delta, std::sync::atomic::Ordering::Relaxed);
    };
    let (_folder, places) = both(&files);
    for (source, path) in places {
        Stored::open(&source, &path).unwrap().blob(&wanted, &cache, &advanced).unwrap();
        assert_eq!(cache.read(&wanted.digest, wanted.size).unwrap().as_ref(), Some(&files[1].1));
        cache.forget(&wanted.digest).unwrap();
    }
    assert_eq!(counted.into_inner(), 2 * wanted.size.cast_signed());

    files[1].1[20] ^= 1;
    let (_folder, places) = both(&files);
    for (source, path) in places {
        let stored = Stored::open(&source, &path).unwrap();
        let error = stored.blob(&wanted, &cache, &|_| ()).unwrap_err();
        assert!(matches!(error, StoredError::WrongContent { expected, .. } if expected == wanted.digest));
        assert!(stored.manifest(&wanted.digest).is_err());
        assert!(!cache.has(&wanted.digest, wanted.size).unwrap());
    }
}

#[test]
fn what_is_no_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive.tar");
    let refused = |content: &[u8]| {
        std::fs::write(&archive, content).unwrap();
        Stored::open(&source(ImageSource::OciArchive), &archive).unwrap_err().to_string()
    };
    assert!(refused(&tar_of(&[])).ends_with("it has no oci-layout file"));
    assert!(refused(&[0x1f, 0x8b, 8, 0, 0]).contains("it is compressed: unpack it first"));
    let other = ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"2.0.0"}"#.to_vec());
    assert!(refused(&tar_of(&[other])).ends_with("it is of version 2.0.0, not 1.0.0"));
    let (files, _) = layout_files(&[WEB]);
    let whole = tar_of(&files);
    assert!(refused(&whole[..whole.len() - 1300]).contains("index.json ends behind the archive's end"));
    let error = Stored::open(&source(ImageSource::OciLayout), folder.path()).unwrap_err();
    assert!(error.to_string().ends_with("it has no oci-layout file"));
}

/// A Docker archive: each layer's name and content; `ids` is what the config says of them.
fn docker(layers: &[(&str, &[u8])], ids: &[String], tags: &str) -> Vec<u8> {
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"diff_ids":{}}}}}"#,
        serde_json::json!(ids)
    );
    let names: Vec<&str> = layers.iter().map(|(name, _)| *name).collect();
    let list =
        format!(r#"[{{"Config":"config.json","RepoTags":{tags},"Layers":{}}}]"#, serde_json::json!(names));
    let mut files = vec![("manifest.json".to_owned(), list.into_bytes())];
    files.push(("config.json".to_owned(), config.into_bytes()));
    files.extend(layers.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())));
    tar_of(&files)
}

fn open_docker(folder: &Path, content: &[u8]) -> Result<Stored, StoredError> {
    let path = folder.join("saved.tar");
    std::fs::write(&path, content).unwrap();
    Stored::open(&source(ImageSource::DockerArchive), &path)
}

#[test]
fn docker_archives_become_the_same_manifest_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, b"second layer").unwrap();
    let packed = encoder.finish().unwrap();
    let ids = [digest_of(b"first layer"), digest_of(b"second layer")];
    let archive =
        docker(&[("a/layer.tar", b"first layer"), ("b/layer.tar", &packed)], &ids, &format!(r#"["{WEB}"]"#));
    let stored = open_docker(folder.path(), &archive).unwrap();
    let digest = stored.find(WEB, None).unwrap().to_owned();
    let manifest: serde_json::Value = serde_json::from_slice(&stored.manifest(&digest).unwrap()).unwrap();
    assert_eq!(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(manifest["layers"][0]["digest"], ids[0]);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar");
    assert_eq!(manifest["layers"][1]["digest"], digest_of(&packed));
    assert_eq!(manifest["layers"][1]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let again = open_docker(folder.path(), &archive).unwrap();
    assert_eq!(again.find(WEB, None).unwrap(), digest);

    let (_cache_folder, cache) = cache();
    for blob in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
        let digest = blob["digest"].as_str().unwrap().to_owned();
        let wanted = Content { digest, size: blob["size"].as_u64().unwrap() };
        stored.blob(&wanted, &cache, &|_| ()).unwrap();
    }
    assert_eq!(cache.read(&ids[0], 100).unwrap().as_deref(), Some(&b"first layer"[..]));
}

#[test]
fn docker_archives_that_contradict_themselves_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |content: &[u8]| open_docker(folder.path(), content).unwrap_err().to_string();
    assert!(refused(&tar_of(&[])).ends_with("it has no manifest.json"));
    let ids = [digest_of(b"layer")];
    assert!(
        refused(&docker(&[], &ids, "null")).contains("speaks of 1 layers, the list of 0"),
        "{}",
        refused(&docker(&[], &ids, "null"))
    );
    let trick = ["sha256:../x".to_owned()];
    assert!(refused(&docker(&[("l", b"layer")], &trick, "null")).contains("no sha256 digest of a layer"));

    // A layer that is not what the config says shows when it is copied.
    let stored = open_docker(folder.path(), &docker(&[("l", b"other")], &ids, "null")).unwrap();
    let (_cache_folder, cache) = cache();
    let wanted = Content { digest: ids[0].clone(), size: 5 };
    assert!(matches!(stored.blob(&wanted, &cache, &|_| ()), Err(StoredError::WrongContent { .. })));
}

#[test]
fn what_stands_beside_an_image_is_found_by_subject_tag_and_list() {
    let (mut files, digests) = layout_files(&[WEB]);
    let subject = &digests[0];
    let tag = subject.replace(':', "-");
    let by_subject = format!(
        r#"{{"mediaType":"m","artifactType":"application/spdx+json","subject":{{"digest":"{subject}","size":1}}}}"#
    );
    let listed = digest_of(b"listed");
    let list = format!(r#"{{"manifests":[{{"mediaType":"m","digest":"{listed}","size":6}}]}}"#);
    let (signature, unrelated) =
        (r#"{"layers":[]}"#.to_owned(), r#"{"subject":{"digest":"x","size":1}}"#.to_owned());
    let mut entries = vec![format!(r#"{{"mediaType":"m","digest":"{subject}","size":1}}"#)];
    for (name, content) in [
        ("", &by_subject),
        (&*format!("{tag}.sig"), &signature),
        (&*format!("registry.sealift.example/orders/web:{tag}"), &list),
        ("", &unrelated),
    ] {
        let digest = digest_of(content.as_bytes());
        entries.push(format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{},
                "annotations":{{"org.opencontainers.image.ref.name":"{name}"}}}}"#,
            content.len()
        ));
        files.push((layout::blob_name(&digest).unwrap(), content.clone().into_bytes()));
    }
    // Named, and left out of the layout.
    entries.push(format!(r#"{{"mediaType":"m","digest":"{listed}","size":6}}"#));
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
    files.retain(|(name, _)| name != "index.json");
    files.push(("index.json".to_owned(), index.into_bytes()));
    let (_folder, places) = both(&files);
    for (source, path) in places {
        let found = Stored::open(&source, &path).unwrap().referrers(subject).unwrap();
        let named = |digest: &str| found.iter().find(|one| one.digest == digest).unwrap();
        assert_eq!(found.len(), 3, "{found:?}");
        let sbom = named(&digest_of(by_subject.as_bytes()));
        assert_eq!((sbom.artifact_type.as_deref(), &sbom.tag), (Some("application/spdx+json"), &None));
        assert_eq!(named(&digest_of(signature.as_bytes())).tag, Some(format!("{tag}.sig")));
        assert_eq!(named(&listed).size, 6);
    }
}
