//! `transforms=a,b`, `transforms.a.type`, `transforms.a.<option>`, `predicates=…`: from flat keys to a chain, with every
//! problem at once, in Connect's words.

use std::collections::BTreeMap;

use millrace_sdk::config::{ConfigDef, join, nearest};
use millrace_sdk::{Error, Findings, Flat, Problem, Result};

use super::chain::{Chain, Condition, Stage};
use super::data::Side;
use super::predicate::{self, PREDICATES, Predicate};
use super::{Entry, TRANSFORMS};

/// What each transform takes besides its own options.
const COMMON: &[&str] = &["type", "predicate", "negate"];
/// Classes by others that users ask for, and what to do.
const NOT_AVAILABLE: &[&str] =
    &["io.debezium.transforms.", "io.debezium.connector.", "io.confluent.connect.transforms.", "io.confluent.kafka."];

/// The chain that a configuration asks for; None when there is none.
///
/// # Errors
/// `BadConfig` with every problem.
pub(crate) fn chain(flat: &Flat) -> Result<Option<Chain>> {
    let (stages, findings) = stages(flat);
    if !findings.errors.is_empty() {
        return Err(Error::bad_config(join(&findings.errors)));
    }
    Ok(if stages.is_empty() { None } else { Some(Chain::new(stages)) })
}

/// Everything there is to say of `transforms` and `predicates`.
pub(crate) fn findings(flat: &Flat) -> Findings {
    stages(flat).1
}

fn stages(flat: &Flat) -> (Vec<Stage>, Findings) {
    let mut findings = Findings::default();
    let transforms = aliases(flat, "transforms", &mut findings);
    let predicates = aliases(flat, "predicates", &mut findings);
    // Made for the sake of their problems, used or not.
    for alias in &predicates {
        let _ = make_predicate(flat, alias, &mut findings);
    }
    let mut stages = Vec::new();
    for alias in &transforms {
        let prefix = format!("transforms.{alias}.");
        let transform = make_transform(flat, &prefix, &mut findings);
        let condition = condition(flat, &prefix, &predicates, &mut findings);
        if let (Some(transform), Ok(condition)) = (transform, condition) {
            stages.push(Stage { transform, condition });
        }
    }
    stray_keys(flat, "transforms", &transforms, &mut findings);
    stray_keys(flat, "predicates", &predicates, &mut findings);
    (stages, findings)
}

fn aliases(flat: &Flat, key: &str, findings: &mut Findings) -> Vec<String> {
    let text = flat.get(key).map_or("", String::as_str);
    let mut aliases: Vec<String> = Vec::new();
    for alias in text.split(',').map(str::trim).filter(|alias| !alias.is_empty()) {
        if aliases.iter().any(|known| known == alias) {
            findings.errors.push(invalid(key, &format!("[{text}]"), "Duplicate alias provided."));
        } else {
            aliases.push(alias.to_owned());
        }
    }
    aliases
}

/// The options of an alias, without prefix.
fn options(flat: &Flat, prefix: &str, without: &[&str]) -> Flat {
    flat.iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)))
        .filter(|(key, _)| !without.contains(key))
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect()
}

/// A problem's key and text with the alias in front of the option's name.
fn prefixed(prefix: &str, problem: Problem) -> Problem {
    let key = if problem.key.is_empty() { "type" } else { &problem.key };
    let long = format!("{prefix}{key}");
    let mut message = problem.message;
    for (before, after) in [("configuration ", ": "), ("configuration \"", "\"")] {
        message = message.replace(&format!("{before}{key}{after}"), &format!("{before}{long}{after}"));
    }
    Problem::new(long, message)
}

fn class_of<'a>(flat: &'a Flat, prefix: &str, findings: &mut Findings) -> Option<&'a str> {
    let key = format!("{prefix}type");
    match flat.get(&key).map(|class| class.trim()).filter(|class| !class.is_empty()) {
        Some(class) => Some(class),
        None => {
            let message = format!("Missing required configuration \"{key}\" which has no default value.");
            findings.errors.push(Problem::new(key, message));
            None
        }
    }
}

fn simple(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

fn unknown(key: String, class: &str, kind: &str, known: &[&str]) -> Problem {
    let near = nearest(class, known.iter().copied())
        .or_else(|| nearest(simple(class), known.iter().map(|one| simple(one))))
        .map(|near| format!(" Did you mean {near}?"))
        .unwrap_or_default();
    let later = if NOT_AVAILABLE.iter().any(|package| class.starts_with(package)) {
        " Others of this package are not available."
    } else {
        ""
    };
    let mut short: Vec<&str> = Vec::new();
    for one in known.iter().map(|one| simple(one)) {
        if !short.contains(&one) {
            short.push(one);
        }
    }
    let message = format!(
        "Invalid value {class} for configuration {key}: Class {class} could not be found.{later}{near} Available {kind} are \
         {}, also by their full Java names",
        short.join(", ")
    );
    Problem::new(key, message)
}

fn make_transform(flat: &Flat, prefix: &str, findings: &mut Findings) -> Option<Box<dyn super::Transform>> {
    let class = class_of(flat, prefix, findings)?;
    let Some((entry, index)) = find(class) else {
        let key = format!("{prefix}type");
        if let Some(entry) = TRANSFORMS.iter().find(|entry| {
            entry.classes.iter().any(|one| [*one, simple(one)].iter().any(|n| n.strip_suffix("$Value") == Some(class)))
        }) {
            let both = entry.classes.join(" or ");
            findings.errors.push(invalid(&key, class, &format!("the class is abstract, choose one of {both}")));
        } else {
            let known: Vec<&str> = TRANSFORMS.iter().flat_map(|entry| entry.classes).copied().collect();
            findings.errors.push(unknown(key, class, "transforms", &known));
        }
        return None;
    };
    let side = if entry.classes[index].ends_with("$Key") { Side::Key } else { Side::Value };
    let own = options(flat, prefix, COMMON);
    unknown_options(&(entry.definition)(), &own, prefix, COMMON, findings);
    match (entry.make)(&own, prefix, side, entry.classes[index]) {
        Ok(transform) => Some(transform),
        Err(problems) => {
            findings.errors.extend(problems.into_iter().map(|problem| prefixed(prefix, problem)));
            None
        }
    }
}

fn find(class: &str) -> Option<(&'static Entry, usize)> {
    TRANSFORMS.iter().find_map(|entry| {
        entry.classes.iter().position(|one| *one == class || simple(one) == class).map(|index| (entry, index))
    })
}

fn make_predicate(flat: &Flat, alias: &str, findings: &mut Findings) -> Option<Box<dyn Predicate>> {
    let prefix = format!("predicates.{alias}.");
    let class = class_of(flat, &prefix, findings)?;
    let entry: Option<&predicate::Entry> =
        PREDICATES.iter().find(|entry| entry.class == class || simple(entry.class) == class);
    let Some(entry) = entry else {
        let known: Vec<&str> = PREDICATES.iter().map(|entry| entry.class).collect();
        findings.errors.push(unknown(format!("{prefix}type"), class, "predicates", &known));
        return None;
    };
    let own = options(flat, &prefix, &["type"]);
    unknown_options(&(entry.definition)(), &own, &prefix, &["type"], findings);
    match (entry.make)(&own) {
        Ok(predicate) => Some(predicate),
        Err(problems) => {
            findings.errors.extend(problems.into_iter().map(|problem| prefixed(&prefix, problem)));
            None
        }
    }
}

/// The condition of a transform. `Err` when there is one and it is wrong, which `findings` says.
fn condition(
    flat: &Flat,
    prefix: &str,
    predicates: &[String],
    findings: &mut Findings,
) -> Result<Option<Condition>, ()> {
    let (key, negate_key) = (format!("{prefix}predicate"), format!("{prefix}negate"));
    let negate = match flat.get(&negate_key).map(|text| text.trim()) {
        None => false,
        Some(text) if text.eq_ignore_ascii_case("true") => true,
        Some(text) if text.eq_ignore_ascii_case("false") => false,
        Some(text) => {
            findings.errors.push(invalid(&negate_key, text, "Expected value to be either true or false"));
            return Err(());
        }
    };
    let Some(alias) = flat.get(&key).map(|alias| alias.trim()) else {
        if flat.contains_key(&negate_key) {
            let message = format!(
                "Config '{negate_key}' was provided but there is no config '{key}' defining a predicate to be negated."
            );
            findings.errors.push(Problem::new(negate_key, message));
            return Err(());
        }
        return Ok(None);
    };
    if !predicates.iter().any(|known| known == alias) {
        let why = format!("there is no such predicate; \"predicates\" names {}", list(predicates));
        findings.errors.push(invalid(&key, alias, &why));
        return Err(());
    }
    // Its problems are named already.
    let predicate = make_predicate(flat, alias, &mut Findings::default()).ok_or(())?;
    Ok(Some(Condition { predicate, negate }))
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Connect ignores what it does not know; so do we, and say it.
fn unknown_options(def: &ConfigDef, own: &Flat, prefix: &str, common: &[&str], findings: &mut Findings) {
    let known: Vec<&str> = def.keys.iter().map(|key| key.name.as_str()).chain(common.iter().copied()).collect();
    for name in own.keys().filter(|name| !def.knows(name)) {
        let hint = nearest(name, known.iter().copied()).map_or_else(
            || format!("; there are {}", known.join(", ")),
            |near| format!("; did you mean \"{prefix}{near}\"?"),
        );
        let key = format!("{prefix}{name}");
        let message = format!("unknown option \"{key}\" is ignored{hint}");
        findings.warnings.push(Problem::new(key, message));
    }
}

/// Keys of aliases that the list does not name.
fn stray_keys(flat: &Flat, list_key: &str, aliases: &[String], findings: &mut Findings) {
    let prefix = format!("{list_key}.");
    let mut stray: BTreeMap<&str, &str> = BTreeMap::new();
    for key in flat.keys() {
        let Some(rest) = key.strip_prefix(&prefix) else { continue };
        if !aliases.iter().any(|alias| rest.strip_prefix(alias.as_str()).is_some_and(|rest| rest.starts_with('.'))) {
            stray.entry(rest.split('.').next().unwrap_or(rest)).or_insert(key);
        }
    }
    for (alias, key) in stray {
        let message = format!("\"{key}\" has no effect: \"{list_key}\" names {}, not {alias}", list(aliases));
        findings.warnings.push(Problem::new(key, message));
    }
}

/// Connect's message for a wrong value.
pub(super) fn invalid(key: &str, value: &str, why: &str) -> Problem {
    Problem::new(key, format!("Invalid value {value} for configuration {key}: {why}"))
}

/// Connect's message for an empty text.
pub(super) fn non_empty(key: &str) -> Problem {
    invalid(key, "", "String must be non-empty")
}

/// Connect's message for an empty list.
pub(super) fn empty_list(key: &str) -> Problem {
    invalid(key, "[]", "Empty list")
}
