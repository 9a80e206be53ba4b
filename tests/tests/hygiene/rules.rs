//! The rules: each takes text and gives what is wrong with it.

use std::fmt;

use crate::source::Source;

/// Longest code part of a file, and longest inline test module.
const MOST_LINES: usize = 600;
const MOST_TEST_LINES: usize = 200;

const CONNECTORS: [&str; 5] = [
    "millrace-connector-cassandra",
    "millrace-connector-elasticsearch",
    "millrace-connector-file",
    "millrace-connector-generator",
    "millrace-connector-mongodb",
];

/// Something that breaks a rule, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) place: String,
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.what)
    }
}

fn finding(place: impl Into<String>, what: impl Into<String>) -> Finding {
    Finding { place: place.into(), what: what.into() }
}

/// The crates of the workspace that `name` may use; `None` for a crate this table does not know.
fn allowed(name: &str, section: &str) -> Option<Vec<&'static str>> {
    Some(match name {
        // The conformance suite walks the catalogue and drives connectors as the data plane does.
        "millrace-tests" if section == "dev-dependencies" => vec!["millrace-data-plane", "millrace-sdk"],
        // The harness shares no code with what is tested by it.
        "millrace-proto" | "millrace-sdk" | "millrace-tests" => vec![],
        // Of the SDK the control plane takes configuration definitions alone.
        "millrace-control-plane" => vec!["millrace-proto", "millrace-sdk"],
        "millrace-data-plane" => [&["millrace-proto", "millrace-sdk"][..], &CONNECTORS].concat(),
        "millrace" => vec!["millrace-control-plane", "millrace-data-plane", "millrace-proto", "millrace-sdk"],
        "millrace-fuzz" => vec!["millrace-data-plane"],
        name if CONNECTORS.contains(&name) => vec!["millrace-sdk"],
        _ => return None,
    })
}

/// `proto <- control-plane`; `sdk <- connectors <- data-plane -> proto`; `cli -> control-plane, data-plane`.
pub(crate) fn dependencies(path: &str, manifest: &toml::Table) -> Vec<Finding> {
    let name = manifest["package"]["name"].as_str().unwrap_or_default();
    let mut found = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(allowed) = allowed(name, section) else {
            return vec![finding(path, format!("say in tests/tests/hygiene/rules.rs which crates '{name}' may use"))];
        };
        let used = manifest.get(section).and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
        let wrong = used.filter(|used| used.starts_with("millrace") && !allowed.contains(&used.as_str()));
        found.extend(wrong.map(|used| finding(path, format!("'{name}' must not depend on '{used}' ({section})"))));
    }
    found
}

pub(crate) fn workspace_lints(path: &str, manifest: &toml::Table) -> Option<Finding> {
    let taken = manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool);
    (taken != Some(true)).then(|| finding(path, "has no `[lints] workspace = true`"))
}

pub(crate) fn sizes(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let (code, tests) = (source.code_lines(), source.inline_test_lines());
    if code > MOST_LINES {
        found.push(finding(&source.path, format!("{code} lines of code, the most is {MOST_LINES}: split it")));
    }
    if tests > MOST_TEST_LINES {
        let what =
            format!("{tests} lines of inline tests, the most is {MOST_TEST_LINES}: move them to a file of their own");
        found.push(finding(&source.path, what));
    }
    found
}

fn lines_with<'a>(
    source: &'a Source,
    lines: impl Iterator<Item = (usize, &'a str)> + 'a,
    words: &'a [&str],
) -> impl Iterator<Item = Finding> + 'a {
    lines.flat_map(move |(number, line)| {
        words
            .iter()
            .filter(move |word| line.contains(**word))
            .map(move |word| finding(format!("{}:{number}", source.path), format!("`{word}`")))
    })
}

/// Unfinished work, in tests too.
pub(crate) fn words(source: &Source) -> Vec<Finding> {
    let numbered = source.code.lines().enumerate().map(|(index, line)| (index + 1, line));
    lines_with(source, numbered, &["todo!(", "unimplemented!(", "dbg!("]).collect()
}

/// The one file that may call C.
const UNSAFE: &str = "data-plane/src/native.rs";

pub(crate) fn unsafe_code(source: &Source) -> Vec<Finding> {
    if source.path == UNSAFE {
        Vec::new()
    } else {
        lines_with(source, source.product_lines(), &["unsafe_code"]).collect()
    }
}

pub(crate) fn unwraps(source: &Source) -> Vec<Finding> {
    lines_with(source, source.product_lines(), &[".unwrap()"]).collect()
}

/// A task whose handle is thrown away: nobody sees it panic, nobody waits for it at the end.
pub(crate) fn detached_spawns(source: &Source) -> Vec<Finding> {
    let code: Vec<&str> = source.product_lines().map(|(_, line)| line).collect();
    let code = code.join("\n");
    code.match_indices("tokio::spawn(")
        .filter(|(at, call)| {
            let before = code[..*at].trim_end().chars().next_back().unwrap_or('{');
            let after = code[closing(&code, at + call.len())..].trim_start();
            "{};".contains(before) && after.starts_with(';')
        })
        .map(|(at, _)| {
            let number = code[..at].matches('\n').count() + 1;
            finding(format!("{}:{number}", source.path), "a spawned task whose handle is dropped")
        })
        .collect()
}

/// The place after the parenthesis that closes the one opened before `from`.
fn closing(code: &str, from: usize) -> usize {
    let mut depth = 1;
    for (offset, letter) in code[from..].char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return from + offset + 1;
        }
    }
    code.len()
}

/// A file of unit tests is told by the module it tests.
pub(crate) fn headers(source: &Source) -> Option<Finding> {
    let unit_tests = source.is_test && !source.path.starts_with("tests/");
    let missing = !unit_tests && !source.text.starts_with("//! ");
    missing.then(|| finding(&source.path, "does not start with a `//!` line that says what it is"))
}

/// Hosts that text may lead to; made-up names (`host`, `es.example`) are always fine.
const KNOWN_HOSTS: [&str; 2] = ["github.com", "json-schema.org"];

/// Links to hosts that are not known (package registries above all: their clients find them), and folders of one machine,
/// whose names are put together here so that this file passes.
pub(crate) fn foreign_places(path: &str, text: &str) -> Vec<Finding> {
    let folders = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let place = format!("{path}:{}", number + 1);
        for folder in folders.iter().filter(|folder| line.contains(**folder)) {
            findings.push(finding(&place, format!("mentions {folder}")));
        }
        for link in line.split("https://").skip(1) {
            let host =
                link.split(|c: char| !(c.is_ascii_alphanumeric() || ".-".contains(c))).next().unwrap_or_default();
            let made_up = !host.contains('.') || host.ends_with(".example");
            if !made_up && !KNOWN_HOSTS.contains(&host) {
                findings.push(finding(&place, format!("leads to {host}")));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path.into(), text.into(), &[])
    }

    fn manifest(text: &str) -> toml::Table {
        text.parse().expect("valid")
    }

    #[test]
    fn a_dependency_against_the_direction_is_found() {
        for (crate_name, used, wrong) in [
            ("millrace-control-plane", "millrace-data-plane", true),
            ("millrace-sdk", "millrace-proto", true),
            ("millrace-connector-file", "millrace-data-plane", true),
            ("millrace-connector-file", "millrace-connector-mongodb", true),
            ("millrace-tests", "millrace-control-plane", true),
            ("millrace-new", "serde", true),
            ("millrace-control-plane", "millrace-proto", false),
            ("millrace-data-plane", "millrace-connector-file", false),
            ("millrace", "millrace-data-plane", false),
        ] {
            for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
                let text = format!("[package]\nname = \"{crate_name}\"\n[{section}]\n{used}.workspace = true\n");
                let found = dependencies("x/Cargo.toml", &manifest(&text));
                assert_eq!(!found.is_empty(), wrong, "{crate_name} -> {used} in {section}");
            }
        }
        for (section, wrong) in [("dependencies", true), ("dev-dependencies", false)] {
            let text = format!("[package]\nname = \"millrace-tests\"\n[{section}]\nmillrace-sdk.workspace = true\n");
            assert_eq!(!dependencies("x/Cargo.toml", &manifest(&text)).is_empty(), wrong, "{section}");
        }
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        assert!(workspace_lints("x", &manifest("[package]\nname = \"x\"")).is_some());
        assert!(workspace_lints("x", &manifest("[lints]\nworkspace = true")).is_none());
    }

    #[test]
    fn long_files_are_found() {
        let code = "x\n".repeat(600);
        assert_eq!(sizes(&source("a.rs", &code)), []);
        assert_eq!(sizes(&source("a.rs", &format!("{code}y\n"))).len(), 1);
        let inline = |lines: usize| format!("x\n#[cfg(test)]\nmod tests {{\n{}}}\n", "x\n".repeat(lines));
        assert_eq!(sizes(&source("a.rs", &inline(197))), []);
        assert_eq!(sizes(&source("a.rs", &inline(198))).len(), 1);
    }

    #[test]
    fn banned_words_are_found_in_code_alone() {
        let bad = source("x/src/a.rs", "fn a() {\n    todo!(\"later\")\n}\n");
        assert_eq!(words(&bad), [finding("x/src/a.rs:2", "`todo!(`")]);
        assert_eq!(words(&source("x/src/tests.rs", "dbg!(1); unimplemented!()")).len(), 2);
        assert_eq!(words(&source("x/src/a.rs", "// todo!()\nlet a = \"dbg!(1)\";\n")), []);
    }

    #[test]
    fn unsafe_code_is_found_wherever_it_is_not_reviewed() {
        let lifted = "#![allow(unsafe_code)]\n";
        assert_eq!(unsafe_code(&source("x/src/a.rs", lifted)).len(), 1);
        assert_eq!(unsafe_code(&source(UNSAFE, lifted)), []);
    }

    #[test]
    fn unwraps_are_found_outside_tests() {
        assert_eq!(unwraps(&source("x/src/a.rs", "a.unwrap();\n#[cfg(test)]\nmod tests {\nb.unwrap();\n}\n")).len(), 1);
        assert_eq!(unwraps(&source("x/src/a/tests.rs", "a.unwrap();")), []);
        assert_eq!(unwraps(&source("x/src/a.rs", "a.unwrap_or(1); // .unwrap()")), []);
    }

    #[test]
    fn a_dropped_handle_is_found() {
        for (text, wrong) in [
            ("fn a() {\n    tokio::spawn(async { f(); });\n}", true),
            ("f();\ntokio::spawn(f());\n", true),
            ("let a = tokio::spawn(f());", false),
            ("fn a() -> JoinHandle<()> {\n    tokio::spawn(f())\n}", false),
            ("set.push(tokio::spawn(f()));", false),
        ] {
            assert_eq!(detached_spawns(&source("x/src/a.rs", text)).len(), usize::from(wrong), "{text}");
        }
    }

    #[test]
    fn a_missing_header_is_found() {
        assert!(headers(&source("a.rs", "use std::fmt;\n")).is_some());
        assert!(headers(&source("tests/src/a.rs", "use std::fmt;\n")).is_some());
        assert!(headers(&source("a.rs", "//! What it is.\n")).is_none());
        assert!(headers(&source("x/src/a/tests.rs", "use super::*;\n")).is_none());
    }

    #[test]
    fn places_of_one_machine_are_found() {
        let line = ["cd ", "/wo", "rk/main"].concat();
        assert_eq!(foreign_places("a.sh", &format!("ok\n{line}\n"))[0].place, "a.sh:2");
        assert_eq!(foreign_places("a.md", &["see https:", "//packages.somewhere.net/x"].concat()).len(), 1);
        assert_eq!(foreign_places("a.md", "https://github.com/x, /var/lib/millrace, https://es.example:9200"), []);
    }
}
