//! From flat keys to the tables that topics are written to: `topic.<topic>.<keyspace>.<table>.<setting>` as the DataStax
//! connector has them, and the short form `keyspace` + `table` (or `table.name.format`) + `mapping` for all topics.

use std::collections::BTreeMap;

use millrace_sdk::{Flat, Problem};
use scylla::statement::Consistency;

use crate::config::SinkConfig;
use crate::mapping::{self, Entry};

/// Java's time units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
    Days,
}

const UNITS: &[(&str, Unit)] = &[
    ("NANOSECONDS", Unit::Nanoseconds),
    ("MICROSECONDS", Unit::Microseconds),
    ("MILLISECONDS", Unit::Milliseconds),
    ("SECONDS", Unit::Seconds),
    ("MINUTES", Unit::Minutes),
    ("HOURS", Unit::Hours),
    ("DAYS", Unit::Days),
];

const CONSISTENCIES: &[(&str, Consistency)] = &[
    ("ANY", Consistency::Any),
    ("ONE", Consistency::One),
    ("TWO", Consistency::Two),
    ("THREE", Consistency::Three),
    ("QUORUM", Consistency::Quorum),
    ("ALL", Consistency::All),
    ("LOCAL_ONE", Consistency::LocalOne),
    ("LOCAL_QUORUM", Consistency::LocalQuorum),
    ("EACH_QUORUM", Consistency::EachQuorum),
];

impl Unit {
    /// An amount of this unit in microseconds, rounded down.
    pub(crate) fn to_micros(self, amount: i64) -> i64 {
        match self {
            Self::Nanoseconds => amount.div_euclid(1000),
            Self::Microseconds => amount,
            Self::Milliseconds => amount.saturating_mul(1000),
            Self::Seconds => amount.saturating_mul(1_000_000),
            Self::Minutes => amount.saturating_mul(60_000_000),
            Self::Hours => amount.saturating_mul(3_600_000_000),
            Self::Days => amount.saturating_mul(86_400_000_000),
        }
    }

    /// An amount of this unit in whole seconds.
    pub(crate) fn to_seconds(self, amount: i64) -> i64 {
        match self {
            Self::Nanoseconds => amount.div_euclid(1_000_000_000),
            Self::Microseconds => amount.div_euclid(1_000_000),
            Self::Milliseconds => amount.div_euclid(1000),
            Self::Seconds => amount,
            Self::Minutes => amount.saturating_mul(60),
            Self::Hours => amount.saturating_mul(3600),
            Self::Days => amount.saturating_mul(86_400),
        }
    }
}

/// One table that a topic is written to.
#[derive(Debug, Clone)]
pub(crate) struct TableSettings {
    /// The configuration key of the mapping, for errors
    pub(crate) key: String,
    /// None: every topic that has no table of its own
    pub(crate) topic: Option<String>,
    pub(crate) keyspace: String,
    pub(crate) table: String,
    pub(crate) mapping: Vec<Entry>,
    pub(crate) consistency: Consistency,
    /// Seconds
    pub(crate) ttl: Option<i64>,
    pub(crate) ttl_unit: Unit,
    pub(crate) timestamp_unit: Unit,
    pub(crate) null_to_unset: bool,
    pub(crate) deletes_enabled: bool,
}

/// The topics named by `topics`.
pub(crate) fn topics(flat: &Flat) -> Vec<String> {
    let listed = flat.get("topics").map(String::as_str).unwrap_or_default();
    listed.split(',').map(str::trim).filter(|topic| !topic.is_empty()).map(str::to_owned).collect()
}

type Address = (String, String, String);

/// All tables, or everything that is wrong with their keys. `topics` is empty with `topics.regex`.
pub(crate) fn resolve(config: &SinkConfig, topics: &[String]) -> Result<Vec<TableSettings>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut settings: BTreeMap<Address, Flat> = BTreeMap::new();
    for (key, value) in config.extra.iter().filter(|(key, _)| key.starts_with("topic.")) {
        match split(key) {
            Ok((address, setting)) => {
                settings.entry(address).or_default().insert(setting, value.clone());
            }
            Err(problem) => problems.push(problem),
        }
    }
    short_form(config, topics, &mut settings, &mut problems);
    let mut tables = Vec::new();
    for (address, values) in settings {
        if let Some(table) = table(address, &values, &mut problems) {
            tables.push(table);
        }
    }
    for topic in topics {
        if problems.is_empty() && !tables.iter().any(|table| table.topic.as_ref().is_none_or(|t| t == topic)) {
            problems.push(Problem::new(
                format!("topic.{topic}.<keyspace>.<table>.mapping"),
                format!(
                    "no mapping for topic {topic}: add topic.{topic}.<keyspace>.<table>.mapping=\"column=key.field, \
                     column=value.field\", or keyspace, table and mapping for all topics"
                ),
            ));
        }
    }
    if tables.is_empty() && problems.is_empty() {
        problems.push(Problem::new("mapping", "no table: give topic.<topic>.<keyspace>.<table>.mapping"));
    }
    if problems.is_empty() { Ok(tables) } else { Err(problems) }
}

/// Adds `keyspace`, `table` and `mapping` to the settings of each topic that has no mapping of its own.
fn short_form(
    config: &SinkConfig,
    topics: &[String],
    settings: &mut BTreeMap<Address, Flat>,
    problems: &mut Vec<Problem>,
) {
    let Some(mapping) = &config.mapping else { return };
    let format = config.table.as_deref().or(config.table_name_format.as_deref());
    let (Some(keyspace), Some(format)) = (config.keyspace.as_deref(), format) else {
        problems.push(Problem::new("mapping", "mapping needs keyspace and table (or table.name.format) beside it"));
        return;
    };
    if topics.is_empty() && format.contains("${topic}") {
        problems.push(Problem::new(
            "table.name.format",
            "a table name with ${topic} needs the topics listed in topics (topics.regex does not name them)",
        ));
        return;
    }
    let everywhere = [String::new()];
    for topic in if topics.is_empty() { &everywhere } else { topics } {
        let owned = settings.iter().any(|((t, _, _), values)| t == topic && values.contains_key("mapping"));
        if !owned {
            let table = unquote(&format.replace("${topic}", topic));
            settings
                .entry((topic.clone(), unquote(keyspace), table))
                .or_default()
                .insert("mapping".to_owned(), mapping.clone());
        }
    }
}

/// `topic.<topic>.<keyspace>.<table>.<setting>`; the topic may hold dots, quoted keyspaces and tables too.
fn split(key: &str) -> Result<(Address, String), Problem> {
    let wrong = || Problem::new(key, format!("{key} is not of the form topic.<topic>.<keyspace>.<table>.<setting>"));
    let rest = key.strip_prefix("topic.").ok_or_else(wrong)?;
    let (rest, setting) = rest.rsplit_once('.').ok_or_else(wrong)?;
    if rest.ends_with(".codec") {
        return Err(Problem::new(
            key,
            format!("{key} is not available yet; dates and times are read in their ISO forms, numbers as milliseconds"),
        ));
    }
    let (rest, table) = last_identifier(rest).ok_or_else(wrong)?;
    let (topic, keyspace) = last_identifier(rest).ok_or_else(wrong)?;
    if topic.is_empty() {
        return Err(wrong());
    }
    Ok(((topic.to_owned(), keyspace, table), setting.to_owned()))
}

fn last_identifier(text: &str) -> Option<(&str, String)> {
    let (rest, name) = if text.ends_with('"') {
        let at = text.rfind(".\"")?;
        (&text[..at], &text[at + 1..])
    } else {
        text.rsplit_once('.')?
    };
    let name = unquote(name);
    (!name.is_empty() && !rest.is_empty()).then_some((rest, name))
}

fn unquote(name: &str) -> String {
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_owned(),
    }
}

/// One table from its settings; what is wrong goes to `problems`.
fn table(address: Address, values: &Flat, problems: &mut Vec<Problem>) -> Option<TableSettings> {
    let (topic, keyspace, table) = address;
    let short = values.get("mapping").is_some() && topic.is_empty();
    let path = |setting: &str| {
        if short { setting.to_owned() } else { format!("topic.{topic}.{keyspace}.{table}.{setting}") }
    };
    let before = problems.len();
    let mapping = match values.get("mapping") {
        Some(text) => match mapping::parse(text) {
            Ok(mapping) => mapping,
            Err(message) => {
                problems.push(Problem::new(path("mapping"), format!("{}: {message} in \"{text}\"", path("mapping"))));
                Vec::new()
            }
        },
        None => {
            problems.push(Problem::new(path("mapping"), format!("{} is missing", path("mapping"))));
            Vec::new()
        }
    };
    if values.contains_key("query") {
        problems.push(Problem::new(path("query"), format!("{} is not available yet; use a mapping", path("query"))));
    }
    let consistency = one_of(values, "consistencyLevel", CONSISTENCIES, Consistency::LocalOne, &path, problems);
    let ttl_unit = one_of(values, "ttlTimeUnit", UNITS, Unit::Seconds, &path, problems);
    let timestamp_unit = one_of(values, "timestampTimeUnit", UNITS, Unit::Microseconds, &path, problems);
    let null_to_unset = one_of(values, "nullToUnset", BOOLEANS, true, &path, problems);
    let deletes_enabled = one_of(values, "deletesEnabled", BOOLEANS, true, &path, problems);
    let ttl = match values.get("ttl").map(|text| (text, text.trim().parse::<i64>())) {
        None | Some((_, Ok(-1))) => None,
        Some((_, Ok(ttl))) if ttl >= 0 => Some(ttl_unit.to_seconds(ttl)),
        Some((text, _)) => {
            let key = path("ttl");
            problems.push(Problem::new(&key, format!("Invalid value {text} for configuration {key}: not -1 or more")));
            None
        }
    };
    (problems.len() == before).then(|| TableSettings {
        key: path("mapping"),
        topic: (!topic.is_empty()).then_some(topic.clone()),
        keyspace: keyspace.clone(),
        table: table.clone(),
        mapping,
        consistency,
        ttl,
        ttl_unit,
        timestamp_unit,
        null_to_unset,
        deletes_enabled,
    })
}

const BOOLEANS: &[(&str, bool)] = &[("true", true), ("false", false)];

fn one_of<T: Copy>(
    values: &Flat,
    setting: &str,
    allowed: &[(&str, T)],
    default: T,
    path: &dyn Fn(&str) -> String,
    problems: &mut Vec<Problem>,
) -> T {
    let Some(text) = values.get(setting) else { return default };
    match allowed.iter().find(|(name, _)| name.eq_ignore_ascii_case(text.trim())) {
        Some((_, value)) => *value,
        None => {
            let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
            let key = path(setting);
            let message =
                format!("Invalid value {text} for configuration {key}: valid values are {}", names.join(", "));
            problems.push(Problem::new(key, message));
            default
        }
    }
}

#[cfg(test)]
mod tests;
