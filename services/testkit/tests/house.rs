//! Holds the house to its rules (design.md section 6): who may use whom, how large files may be, and a few
//! habits that lints cannot see. Method: read the manifests and sources of the repository as text.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Production lines of a file, without its in-file tests.
const LINES_MAX: usize = 600;
/// Lines of a whole file.
const WHOLE_LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Arrows: what each crate may use of ours in its `[dependencies]`.
fn arrows() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("domain", &[][..]),
        ("whatsapp", &[]),
        ("chassis", &[]),
        ("bus", &["chassis"]),
        ("api", &["domain"]),
        ("runtime", &["bus", "chassis"]),
        ("router", &["api", "domain", "whatsapp", "runtime", "chassis"]),
        ("gateway", &["whatsapp", "domain", "bus", "chassis"]),
        ("archive", &["domain", "bus", "chassis"]),
        ("desk", &["api", "domain", "bus", "archive", "chassis"]),
        (
            "tandem",
            &[
                "api", "archive", "bus", "chassis", "desk", "domain", "gateway", "router",
                "runtime", "whatsapp",
            ],
        ),
        ("testkit", &[]),
        ("loadtest", &["api"]),
    ])
}

fn manifests() -> Vec<(String, toml::Table)> {
    let root = root();
    let mut folders: Vec<PathBuf> = fs::read_dir(root.join("services"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .collect();
    folders.push(root.join("loadtest"));
    folders.sort();
    folders
        .into_iter()
        .map(|folder| {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            (name, text.parse().unwrap())
        })
        .collect()
}

fn names(table: Option<&toml::Value>) -> BTreeSet<String> {
    table.and_then(|t| t.as_table()).map(|t| t.keys().cloned().collect()).unwrap_or_default()
}

/// What breaks the arrows, as (crate, crate it must not use).
fn broken_arrows(manifests: &[(String, toml::Table)]) -> Vec<(String, String)> {
    let arrows = arrows();
    let ours: BTreeSet<&str> = arrows.keys().copied().collect();
    let mut broken = Vec::new();
    for (name, manifest) in manifests {
        let allowed = arrows.get(name.as_str()).copied().unwrap_or_default();
        for dependency in names(manifest.get("dependencies")) {
            if ours.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                broken.push((name.clone(), dependency));
            }
        }
    }
    broken
}

#[test]
fn arrows_hold() {
    let manifests = manifests();
    let known = arrows();
    for (name, _) in &manifests {
        assert!(
            known.contains_key(name.as_str()),
            "crate {name} has no arrows in design.md section 6"
        );
    }
    assert_eq!(broken_arrows(&manifests), Vec::new());
}

#[test]
fn a_wrong_arrow_is_found() {
    let wrong: toml::Table = "[dependencies]\nruntime.workspace = true".parse().unwrap();
    let broken = broken_arrows(&[("domain".to_owned(), wrong)]);
    assert_eq!(broken, vec![("domain".to_owned(), "runtime".to_owned())]);
}

#[test]
fn every_crate_inherits_lints_and_the_dependency_table() {
    let manifests = manifests();
    let ours: BTreeSet<String> = manifests.iter().map(|(name, _)| name.clone()).collect();
    for (name, manifest) in manifests {
        let inherits = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            .and_then(toml::Value::as_bool);
        assert_eq!(inherits, Some(true), "{name}: [lints] workspace = true is missing");
        assert_eq!(
            manifest["package"]["name"].as_str(),
            Some(name.as_str()),
            "a folder is named as its crate"
        );
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(toml::Value::as_table) else {
                continue;
            };
            for (dependency, value) in table {
                let shared = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(
                    shared,
                    "{name}: {dependency} in [{section}] bypasses the workspace's table"
                );
                // Where tests had others than programs, whatever stands on the crate would be built twice.
                assert!(
                    value.get("features").is_none() || ours.contains(dependency),
                    "{name}: features of {dependency} in [{section}] belong into the workspace's table"
                );
            }
        }
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("services"), root().join("loadtest"), root().join("fuzz")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(found.len() > 50, "the search for sources is broken");
    found
}

#[test]
fn files_stay_small() {
    let mut large = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let whole = text.lines().count();
        let production =
            text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().lines().count();
        if production > LINES_MAX || whole > WHOLE_LINES_MAX {
            large.push((path, production, whole));
        }
    }
    assert!(large.is_empty(), "split these files: {large:#?}");
}

#[test]
fn habits_hold() {
    // Written in pieces, so that this file does not find itself.
    let banned = [
        ["#[", "ignore"].concat(),
        ["TO", "DO"].concat(),
        ["FIX", "ME"].concat(),
        ["unimpl", "emented!("].concat(),
    ];
    let mut found = Vec::new();
    for path in sources() {
        assert!(
            path.file_name().is_some_and(|name| name != "mod.rs"),
            "{}: use foo.rs + foo/",
            path.display()
        );
        let text = fs::read_to_string(&path).unwrap();
        for word in &banned {
            if text.contains(word.as_str()) {
                found.push((path.clone(), word.clone()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_crate_says_what_it_is() {
    for (name, _) in manifests() {
        let folder = if name == "loadtest" {
            root().join("loadtest")
        } else {
            root().join("services").join(&name)
        };
        let entry = ["src/lib.rs", "src/main.rs"]
            .iter()
            .map(|f| folder.join(f))
            .find(|f| f.exists())
            .unwrap();
        let text = fs::read_to_string(&entry).unwrap();
        assert!(text.starts_with("//!"), "{}: begins with what it is", entry.display());
    }
}
