//! What must hold for the configuration of every class, without a store.

use millrace_sdk::config::KeyType;
use millrace_sdk::{ConnectorKind, Flat};

use super::{Entry, Verdict};

/// How a rule of the definition is tried.
pub(crate) type Rule = fn(&Entry) -> Verdict;

/// The rules of the definition and their names.
pub(crate) const RULES: &[(&str, Rule)] = &[
    ("is found by all its names", names),
    ("every key is documented", documented),
    ("secrets are passwords", secrets),
    ("defaults are accepted", defaults),
    ("wrong values are named", wrong_values),
    ("unknown keys are told", unknown_keys),
];

/// Parts of names that say that a key is a secret.
const TELLTALE: &[&str] = &["password", "secret", "token", "passphrase", "credential", "private"];

/// The values of keys that must be given, good enough for the framework and for finding out about other keys.
fn required(entry: &Entry) -> Flat {
    let mut flat = Flat::from([
        ("name".to_owned(), "conformance".to_owned()),
        ("connector.class".to_owned(), entry.announced.class.clone()),
        ("tasks.max".to_owned(), "1".to_owned()),
    ]);
    if entry.announced.kind == ConnectorKind::Sink {
        flat.insert("topics".to_owned(), "conformance".to_owned());
    }
    flat
}

fn names(entry: &Entry) -> Verdict {
    let class = &entry.announced.class;
    for name in entry.announced.aliases.iter().chain([class]) {
        let found = match entry.announced.kind {
            ConnectorKind::Sink => entry.catalog.sink(name).map(|plugin| plugin.info().class),
            ConnectorKind::Source => entry.catalog.source(name).map(|plugin| plugin.info().class),
        };
        assert_eq!(found.ok(), Some(class.as_str()), "{name}");
    }
    assert!(entry.announced.description.ends_with('.') && !entry.announced.version.is_empty());
    let suffix = if entry.announced.kind == ConnectorKind::Sink { "-sink" } else { "-source" };
    assert!(class.ends_with(suffix), "the name of a class says what it is: {class}");
    Verdict::Kept
}

fn documented(entry: &Entry) -> Verdict {
    let mut seen = std::collections::BTreeSet::new();
    for key in &entry.announced.config.keys {
        assert!(seen.insert(&key.name), "{} is defined twice", key.name);
        assert!(key.doc.len() > 10 || key.ignored.is_some(), "{} says nothing of itself: {:?}", key.name, key.doc);
        assert!(!key.group.is_empty(), "{} belongs to no group", key.name);
        assert!(key.ignored.as_ref().is_none_or(|reason| reason.len() > 10), "{}: why has it no effect?", key.name);
    }
    for pattern in &entry.announced.config.patterns {
        assert!(pattern.doc.len() > 10, "{} says nothing of itself", pattern.doc);
    }
    Verdict::Kept
}

fn secrets(entry: &Entry) -> Verdict {
    for key in &entry.announced.config.keys {
        let name = key.name.to_ascii_lowercase();
        let says_so = TELLTALE.iter().any(|part| name.contains(part));
        let is_text = matches!(key.kind, KeyType::String | KeyType::List) && key.allowed.is_empty();
        assert!(
            !(says_so && is_text && key.ignored.is_none()),
            "{} is a secret by its name and would be shown",
            key.name
        );
        if key.kind == KeyType::Password {
            assert_eq!(key.default, None, "{} is a secret with a default", key.name);
        }
    }
    Verdict::Kept
}

/// A key set to its default is in order.
fn defaults(entry: &Entry) -> Verdict {
    let class = &entry.announced.class;
    let bare = required(entry);
    let nothing = Flat::new();
    let before = entry.catalog.validate(class, &bare, &nothing);
    for key in &entry.announced.config.keys {
        let Some(default) = &key.default else { continue };
        key.accepts(default).unwrap_or_else(|message| panic!("the default of {}: {message}", key.name));
        if bare.contains_key(&key.name) || key.ignored.is_some() {
            continue;
        }
        let mut flat = bare.clone();
        flat.insert(key.name.clone(), default.clone());
        let after = entry.catalog.validate(class, &flat, &nothing);
        let of_it = after.errors.iter().filter(|problem| problem.key == key.name);
        let new: Vec<_> = of_it.filter(|problem| !before.errors.contains(problem)).collect();
        assert!(new.is_empty(), "{}={default}, which is its default: {new:?}", key.name);
    }
    Verdict::Kept
}

/// Everything that is wrong is told at once, each with its key, and secrets without their values.
fn wrong_values(entry: &Entry) -> Verdict {
    let class = &entry.announced.class;
    let mut flat = required(entry);
    let mut wrong = Vec::new();
    for key in &entry.announced.config.keys {
        let number = matches!(key.kind, KeyType::Boolean | KeyType::Int | KeyType::Long | KeyType::Double);
        if (number || !key.allowed.is_empty()) && key.ignored.is_none() {
            flat.insert(key.name.clone(), "no such value".to_owned());
            wrong.push(key.name.clone());
        }
        if key.required && !flat.contains_key(&key.name) {
            wrong.push(key.name.clone());
        }
    }
    let findings = entry.catalog.validate(class, &flat, &Flat::new());
    for name in wrong {
        let told = findings.errors.iter().find(|problem| problem.key == name);
        let told = told.unwrap_or_else(|| panic!("nothing is said of {name}: {:?}", findings.errors));
        assert!(told.message.contains(&name), "{name} is not named: {}", told.message);
    }
    Verdict::Kept
}

/// Ours are refused, the peers' are told, and both with the nearest key there is.
fn unknown_keys(entry: &Entry) -> Verdict {
    let mut flat = required(entry);
    flat.insert("millrace.no.such.key".to_owned(), "1".to_owned());
    flat.insert("no.such.key".to_owned(), "1".to_owned());
    flat.insert("tasks.maxx".to_owned(), "1".to_owned());
    let findings = entry.catalog.validate(&entry.announced.class, &flat, &Flat::new());
    assert!(findings.errors.iter().any(|problem| problem.key == "millrace.no.such.key"), "{:?}", findings.errors);
    assert!(!findings.errors.iter().any(|problem| problem.key == "no.such.key"), "{:?}", findings.errors);
    assert!(findings.warnings.iter().any(|problem| problem.key == "no.such.key"), "{:?}", findings.warnings);
    let near = findings.warnings.iter().find(|problem| problem.key == "tasks.maxx").unwrap();
    assert!(near.message.contains("\"tasks.max\""), "{}", near.message);
    Verdict::Kept
}
