//! How topics that do not exist yet are created for a source: `topic.creation.*` with Kafka Connect's meaning. Pure.

use std::collections::BTreeMap;

use fancy_regex::Regex;
use millrace_sdk::{Flat, Problem};

use super::sink::full_match;

const PREFIX: &str = "topic.creation.";
const DEFAULT: &str = "default";

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopicSettings {
    /// The keys that decided begin with this, for errors
    pub prefix: String,
    /// -1 is the broker's default
    pub partitions: i32,
    /// -1 is the broker's default
    pub replication: i32,
    /// Settings of the topic
    pub settings: BTreeMap<String, String>,
}

impl NewTopicSettings {
    /// The broker's defaults.
    #[must_use]
    pub fn of_broker() -> Self {
        Self { prefix: String::new(), partitions: -1, replication: -1, settings: BTreeMap::new() }
    }
}

struct Group {
    include: Regex,
    exclude: Option<Regex>,
    topic: NewTopicSettings,
}

/// The groups of a connector, the default one last.
pub struct TopicCreation {
    groups: Vec<Group>,
}

impl TopicCreation {
    /// The groups named by `topic.creation.groups` and the default one; None without any key of them.
    ///
    /// # Errors
    /// Every problem found.
    pub fn parse(names: &[String], flat: &Flat) -> Result<Option<Self>, Vec<Problem>> {
        if !flat.keys().any(|key| key.starts_with(PREFIX)) {
            return Ok(None);
        }
        let mut problems = Vec::new();
        let default = group(DEFAULT, None, flat, &mut problems);
        let mut groups = Vec::new();
        for name in names.iter().filter(|name| *name != DEFAULT) {
            groups.extend(group(name, default.as_ref().map(|group| &group.topic), flat, &mut problems));
        }
        for key in flat.keys() {
            let Some(rest) = key.strip_prefix(PREFIX).filter(|rest| *rest != "groups") else { continue };
            let known = |name: &str| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            if !known(DEFAULT) && !names.iter().any(|name| known(name)) {
                let text = format!("{key} belongs to no group: add its group to topic.creation.groups");
                problems.push(Problem::new(key, text));
            }
        }
        groups.extend(default);
        if problems.is_empty() { Ok(Some(Self { groups })) } else { Err(problems) }
    }

    /// How a topic is to be created.
    #[must_use]
    pub fn of(&self, topic: &str) -> Option<&NewTopicSettings> {
        let matches = |regex: &Regex| regex.is_match(topic).unwrap_or(false);
        let group =
            self.groups.iter().find(|group| matches(&group.include) && !group.exclude.as_ref().is_some_and(matches));
        group.map(|group| &group.topic)
    }
}

/// A group; `parent` is the default one, whose numbers it inherits.
fn group(name: &str, parent: Option<&NewTopicSettings>, flat: &Flat, problems: &mut Vec<Problem>) -> Option<Group> {
    let prefix = format!("{PREFIX}{name}.");
    let before = problems.len();
    let is_default = name == DEFAULT;
    let mut number = |what: &str, inherited: Option<i32>| {
        let key = format!("{prefix}{what}");
        match flat.get(&key).map(|text| (text, text.trim().parse::<i32>())) {
            Some((_, Ok(number))) if number == -1 || number > 0 => number,
            Some((text, _)) => {
                let text = format!(
                    "Invalid value {text} for configuration {key}: must be at least 1, or -1 for the broker's default"
                );
                problems.push(Problem::new(key, text));
                -1
            }
            None if is_default => {
                let text = format!("Missing required configuration \"{key}\" which has no default value.");
                problems.push(Problem::new(key, text));
                -1
            }
            None => inherited.unwrap_or(-1),
        }
    };
    let replication = number("replication.factor", parent.map(|parent| parent.replication));
    let partitions = number("partitions", parent.map(|parent| parent.partitions));
    let mut regex = |what: &str| {
        let key = format!("{prefix}{what}");
        let text = flat.get(&key).map(|text| text.trim()).filter(|text| !text.is_empty())?;
        let any = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect::<Vec<_>>().join("|");
        let regex = full_match(&any);
        if regex.is_none() {
            problems.push(Problem::new(
                &key,
                format!("Invalid value {text} for configuration {key}: no regular expression"),
            ));
        }
        regex
    };
    let (include, exclude) = (regex("include"), regex("exclude"));
    let include = if is_default { full_match(".*") } else { include };
    if include.is_none() && problems.len() == before {
        let key = format!("{prefix}include");
        let text = format!("Missing required configuration \"{key}\" which has no default value.");
        problems.push(Problem::new(key, text));
    }
    let settings = flat.iter().filter_map(|(key, value)| {
        let setting = key.strip_prefix(&prefix)?;
        let own = matches!(setting, "include" | "exclude" | "replication.factor" | "partitions");
        (!own).then(|| (setting.to_owned(), value.trim().to_owned()))
    });
    let topic = NewTopicSettings { prefix: prefix.clone(), partitions, replication, settings: settings.collect() };
    let exclude = exclude.filter(|_| !is_default);
    (problems.len() == before).then_some(())?;
    Some(Group { include: include?, exclude, topic })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(groups: &str, pairs: &[(&str, &str)]) -> Result<Option<TopicCreation>, Vec<Problem>> {
        let names: Vec<String> = groups.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let flat: Flat = pairs.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned())).collect();
        TopicCreation::parse(&names, &flat)
    }

    const DEFAULTS: [(&str, &str); 2] = [("default.replication.factor", "3"), ("default.partitions", "5")];

    #[test]
    fn the_first_group_that_matches_decides_and_inherits_numbers_alone() {
        let mut pairs = DEFAULTS.to_vec();
        pairs.extend([
            ("default.retention.ms", "9"),
            ("a.include", "orders.*, lines"),
            ("a.exclude", ".*-private"),
            ("a.partitions", "1"),
            ("a.cleanup.policy", "compact"),
            ("b.include", "orders.*"),
            ("b.replication.factor", "-1"),
        ]);
        let creation = parse("a,b", &pairs).unwrap().unwrap();
        let of = |topic| {
            let topic = creation.of(topic).unwrap();
            let settings: Vec<_> = topic.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
            (topic.prefix.as_str(), topic.replication, topic.partitions, settings.join(","))
        };
        assert_eq!(of("orders"), ("topic.creation.a.", 3, 1, "cleanup.policy=compact".to_owned()));
        assert_eq!(of("lines"), ("topic.creation.a.", 3, 1, "cleanup.policy=compact".to_owned()));
        assert_eq!(of("orders-private"), ("topic.creation.b.", -1, 5, String::new()));
        assert_eq!(of("my-lines"), ("topic.creation.default.", 3, 5, "retention.ms=9".to_owned()));
        assert!(parse("", &[]).unwrap().is_none());
    }

    #[test]
    fn each_mistake_is_named() {
        for (groups, pairs, key) in [
            ("", vec![("default.partitions", "1")], "default.replication.factor"),
            ("", vec![("default.partitions", "0"), ("default.replication.factor", "1")], "default.partitions"),
            ("a", vec![], "default.partitions"),
            ("a", DEFAULTS.to_vec(), "a.include"),
            ("a", [&DEFAULTS[..], &[("a.include", "(")]].concat(), "a.include"),
            ("a", [&DEFAULTS[..], &[("a.include", "x"), ("a.partitions", "many")]].concat(), "a.partitions"),
            ("", [&DEFAULTS[..], &[("b.partitions", "1")]].concat(), "b.partitions"),
        ] {
            let mut pairs = pairs;
            pairs.push(("groups", groups));
            let problems = parse(groups, &pairs).err().unwrap_or_default();
            assert!(problems.iter().any(|problem| problem.key == format!("{PREFIX}{key}")), "{key}: {problems:?}");
        }
    }
}
