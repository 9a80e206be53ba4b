//! The topic of an event, as the peer's DefaultTopicMapper finds it: by namespace map, prefix, suffix and separator.

use std::collections::HashMap;

use fancy_regex::Regex;
use mongodb::bson::Bson;

use super::shell_json;

/// Finds topics; each namespace is looked up once.
#[derive(Debug, Clone)]
pub(super) struct Topics {
    separator: String,
    prefix: String,
    suffix: String,
    simple: HashMap<String, String>,
    patterns: Vec<(Regex, Template)>,
    wildcard: Option<String>,
    known: HashMap<(String, String), String>,
    /// Namespace and topic of the last event: most are followed by one of the same
    last: (String, String, String),
}

impl Topics {
    /// # Errors
    /// What is wrong with the namespace map.
    pub(super) fn new(separator: &str, prefix: &str, suffix: &str, map: &str) -> Result<Self, String> {
        let with = |text: &str, decorated: String| if text.is_empty() { String::new() } else { decorated };
        let mut topics = Self {
            separator: separator.to_owned(),
            prefix: with(prefix, format!("{prefix}{separator}")),
            suffix: with(suffix, format!("{separator}{suffix}")),
            simple: HashMap::new(),
            patterns: Vec::new(),
            wildcard: None,
            known: HashMap::new(),
            last: Default::default(),
        };
        if map.is_empty() {
            return Ok(topics);
        }
        let pairs = shell_json::object(map).map_err(|error| format!("Not a valid JSON document: {error}"))?;
        for (pattern, template) in pairs {
            let Bson::String(template) = template else { return Err("All values must be strings".to_owned()) };
            if pattern == "*" {
                topics.wildcard = Some(template).filter(|template| !template.is_empty());
            } else if let Some(regex) = pattern.strip_prefix('/') {
                let regex = Regex::new(&format!(r"\A(?:{regex})\z")).map_err(|error| error.to_string())?;
                let template = Template::compile(&template)?;
                if !template.0.is_empty() {
                    topics.patterns.push((regex, template));
                }
            } else if pattern.contains('/') {
                return Err("'/' is not allowed in a simple namespace pattern".to_owned());
            } else if !template.is_empty() {
                topics.simple.insert(pattern, template);
            }
        }
        Ok(topics)
    }

    /// The topic of a namespace; empty without a database.
    pub(super) fn of(&mut self, database: &str, collection: &str) -> &str {
        if database.is_empty() {
            return "";
        }
        if self.last.0 != database || self.last.1 != collection {
            let key = (database.to_owned(), collection.to_owned());
            let topic = match self.known.get(&key) {
                Some(topic) => topic.clone(),
                None => {
                    let topic = format!("{}{}{}", self.prefix, self.undecorated(database, collection), self.suffix);
                    self.known.insert(key.clone(), topic.clone());
                    topic
                }
            };
            self.last = (key.0, key.1, topic);
        }
        &self.last.2
    }

    fn undecorated(&self, database: &str, collection: &str) -> String {
        let joined = |first: &str, separator: &str| match collection {
            "" => first.to_owned(),
            collection => format!("{first}{separator}{collection}"),
        };
        let namespace = joined(database, ".");
        if let Some(topic) = self.simple.get(&namespace) {
            return topic.clone();
        }
        if let Some(topic) = self.simple.get(database) {
            return joined(topic, &self.separator);
        }
        let matching = self.patterns.iter().find(|(regex, _)| regex.is_match(&namespace).unwrap_or(false));
        if let Some((_, template)) = matching {
            return template.expand(database, collection, &self.separator);
        }
        match &self.wildcard {
            Some(topic) => topic.clone(),
            None => joined(database, &self.separator),
        }
    }
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Database,
    Separator,
    /// With the separator before, after
    Collection(bool, bool),
}

#[derive(Debug, Clone, PartialEq)]
struct Template(Vec<Part>);

impl Template {
    fn compile(text: &str) -> Result<Self, String> {
        let unexpected = |c| format!("Variable expansion syntax is violated, unexpected '{c}'");
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let Some(open) = rest.find(['{', '}']) else {
                parts.push(Part::Text(rest.to_owned()));
                break;
            };
            if rest[open..].starts_with('}') {
                return Err(unexpected('}'));
            }
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let inner = &rest[open + 1..];
            let close = inner.find(['{', '}']).filter(|at| inner[*at..].starts_with('}'));
            let close = close.ok_or_else(|| unexpected('{'))?;
            parts.push(match &inner[..close] {
                "db" => Part::Database,
                "sep" => Part::Separator,
                "coll" => Part::Collection(false, false),
                "sep_coll" => Part::Collection(true, false),
                "coll_sep" => Part::Collection(false, true),
                "sep_coll_sep" => Part::Collection(true, true),
                other => return Err(format!("{other} is not a supported variable name")),
            });
            rest = &inner[close + 1..];
        }
        Ok(Self(parts))
    }

    fn expand(&self, database: &str, collection: &str, separator: &str) -> String {
        let mut topic = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => topic.push_str(text),
                Part::Database => topic.push_str(database),
                Part::Separator => topic.push_str(separator),
                Part::Collection(..) if collection.is_empty() => {}
                Part::Collection(before, after) => {
                    topic.push_str(if *before { separator } else { "" });
                    topic.push_str(collection);
                    topic.push_str(if *after { separator } else { "" });
                }
            }
        }
        topic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(map: &str, database: &str, collection: &str) -> String {
        Topics::new("-", "", "", map).unwrap_or_else(|error| panic!("{error}")).of(database, collection).to_owned()
    }

    #[test]
    fn names_without_a_map() {
        for (prefix, suffix, database, collection, expected) in [
            ("", "", "db", "coll", "db.coll"),
            ("p", "s", "db", "coll", "p.db.coll.s"),
            ("", "s", "db", "", "db.s"),
            ("p", "", "db", "a.b", "p.db.a.b"),
            ("p", "s", "", "", ""),
        ] {
            let mut topics = Topics::new(".", prefix, suffix, "").unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(topics.of(database, collection), expected);
            assert_eq!(topics.of(database, collection), expected, "the second time");
        }
    }

    #[test]
    fn the_map_is_tried_in_the_peers_order() {
        let all = r#"{"/.*": "regex{sep}{db}", "myDb": "two", "*": "three", "myDb.myColl": "one"}"#;
        let regex = r#"{"/myDb(?:\\..*)?": "two{sep_coll}", "*": "three", "myDb.myColl": "one"}"#;
        for (map, database, collection, expected) in [
            (r#"{"myDb": "two", "myDb.myColl": "one"}"#, "myDb", "myColl", "one"),
            (r#"{"myDb": "two", "myDb.myColl": "one"}"#, "myDb", "x", "two-x"),
            (r#"{"myDb": "two", "myDb.myColl": "one"}"#, "myDb", "", "two"),
            (r#"{"myDb": "two", "myDb.myColl": "one"}"#, "other", "x", "other-x"),
            (all, "myDb", "myColl", "one"),
            (all, "myDb", "x", "two-x"),
            (all, "other", "x", "regex-other"),
            (regex, "myDb", "x", "two-x"),
            (regex, "myDb", "", "two"),
            (regex, "myDbx", "x", "three"),
            (r#"{"/a\..*": "t"}"#, "a", "b", "t"),
            (r#"{"a.b": "", "*": "w"}"#, "a", "b", "w"),
            (r#"{"*": ""}"#, "a", "b", "a-b"),
            (r#"{"a.b": "x", "a.b": "y"}"#, "a", "b", "y"),
            (r#"{"/.*": "{coll_sep}{db}{sep_coll_sep}{coll}"}"#, "a", "b", "b-a-b-b"),
            (r#"{"/.*": "{coll_sep}{db}{sep_coll_sep}{coll}"}"#, "a", "", "a"),
        ] {
            assert_eq!(topic(map, database, collection), expected, "{map} for {database}.{collection}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (map, message) in [
            (r#"{"a": 1}"#, "All values must be strings"),
            (r#"{"a/b": "x"}"#, "'/' is not allowed in a simple namespace pattern"),
            (r#"{"/a": "{db"}"#, "Variable expansion syntax is violated, unexpected '{'"),
            (r#"{"/a": "db}"}"#, "Variable expansion syntax is violated, unexpected '}'"),
            (r#"{"/a": "{{db}}"}"#, "Variable expansion syntax is violated, unexpected '{'"),
            (r#"{"/a": "{DB}"}"#, "DB is not a supported variable name"),
        ] {
            assert_eq!(Topics::new(".", "", "", map).map(drop), Err(message.to_owned()), "{map}");
        }
    }
}
