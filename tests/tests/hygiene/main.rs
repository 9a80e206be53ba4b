//! What the workspace promises about its own shape: dependency direction, file sizes, banned words, headers, and that
//! nothing in it points at one machine. The rules are functions over text in `rules`, tried there on bad samples.

mod rules;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use rules::{
    Finding, dependencies, detached_spawns, foreign_places, headers, sizes, unsafe_code, unwraps, words,
    workspace_lints,
};
use source::{Source, test_modules};

/// Over this a file is named as one to split.
const LONG: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// All files below `folder`, as paths relative to the workspace, without what is built or downloaded.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a folder entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if ["target", ".git", "__pycache__", "node_modules"].contains(&name) {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path.strip_prefix(root()).expect("below the workspace").to_owned());
        }
    }
}

fn texts() -> Vec<(String, String)> {
    let mut paths = Vec::new();
    files(&root(), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| {
            let text = fs::read_to_string(root().join(&path)).ok()?;
            Some((path.to_str()?.to_owned(), text))
        })
        .collect()
}

fn sources() -> Vec<Source> {
    let rust: Vec<_> = texts()
        .into_iter()
        .filter(|(path, _)| Path::new(path).extension().is_some_and(|extension| extension == "rs"))
        .collect();
    assert!(rust.len() > 50, "only {} Rust files found: the walk is broken", rust.len());
    let tests: Vec<String> = rust.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    rust.into_iter().map(|(path, text)| Source::new(path, text, &tests)).collect()
}

fn manifests() -> Vec<(String, toml::Table)> {
    let found: Vec<_> = texts()
        .into_iter()
        .filter(|(path, _)| path.ends_with("/Cargo.toml"))
        .map(|(path, text)| (path, text.parse().expect("a valid manifest")))
        .collect();
    assert!(found.len() >= 10, "only {} manifests found: the walk is broken", found.len());
    found
}

fn none(findings: impl IntoIterator<Item = Finding>) {
    let findings: Vec<String> = findings.into_iter().map(|finding| finding.to_string()).collect();
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn dependencies_point_one_way() {
    none(manifests().iter().flat_map(|(path, manifest)| dependencies(path, manifest)));
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    none(manifests().iter().filter_map(|(path, manifest)| workspace_lints(path, manifest)));
}

#[test]
fn files_are_short() {
    let sources = sources();
    for long in sources.iter().filter(|source| source.code_lines() > LONG) {
        println!("{}: {} lines, better under {LONG}", long.path, long.code_lines());
    }
    none(sources.iter().flat_map(sizes));
}

#[test]
fn nothing_is_left_unfinished() {
    none(sources().iter().flat_map(words));
}

#[test]
fn product_code_does_not_unwrap() {
    none(sources().iter().flat_map(unwraps));
}

#[test]
fn one_file_alone_has_unsafe_code() {
    none(sources().iter().flat_map(unsafe_code));
}

#[test]
fn spawned_tasks_are_kept() {
    none(sources().iter().flat_map(detached_spawns));
}

#[test]
fn every_file_says_what_it_is() {
    none(sources().iter().filter_map(headers));
}

#[test]
fn nothing_points_at_one_machine_or_registry() {
    // Cargo's own file names the registry; `cargo deny` checks that it is the public one.
    none(texts().iter().filter(|(path, _)| path != "Cargo.lock").flat_map(|(path, text)| foreign_places(path, text)));
}
