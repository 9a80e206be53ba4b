//! Other names for fields, by a list of paths or by regular expressions. As in the peer, a field whose new name is taken goes.

use std::collections::HashSet;

use fancy_regex::Regex;
use mongodb::bson::{Bson, Document};
use serde::Deserialize;

/// How fields get other names. Paths begin with `key.` or `value.`.
#[derive(Debug, Clone)]
pub(crate) enum Renamer {
    /// By path
    Mapping(Vec<(String, String)>),
    /// Where the path matches the first, what matches the second becomes the third
    Patterns(Vec<(Regex, Regex, String)>),
}

impl PartialEq for Renamer {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mapping(a), Self::Mapping(b)) => a == b,
            (Self::Patterns(a), Self::Patterns(b)) => {
                let text = |all: &[(Regex, Regex, String)]| -> Vec<String> {
                    all.iter().map(|(path, name, new)| format!("{path}\0{name}\0{new}")).collect()
                };
                text(a) == text(b)
            }
            _ => false,
        }
    }
}

#[derive(Deserialize)]
struct Mapping {
    #[serde(rename = "oldName")]
    old: String,
    #[serde(rename = "newName")]
    new: String,
}

#[derive(Deserialize)]
struct Pattern {
    regexp: String,
    pattern: String,
    replace: String,
}

impl Renamer {
    /// From `[{"oldName":"value.a","newName":"b"}]`.
    pub(crate) fn by_mapping(text: &str) -> Result<Self, String> {
        let mappings: Vec<Mapping> = list(text)?;
        Ok(Self::Mapping(mappings.into_iter().map(|one| (one.old, one.new)).collect()))
    }

    /// From `[{"regexp":"^value\\..*","pattern":"-","replace":"_"}]`.
    pub(crate) fn by_regexp(text: &str) -> Result<Self, String> {
        let patterns: Vec<Pattern> = list(text)?;
        let compiled = patterns.into_iter().map(|one| {
            let path = Regex::new(&format!(r"\A(?:{})\z", one.regexp)).map_err(|error| error.to_string())?;
            let name = Regex::new(&one.pattern).map_err(|error| error.to_string())?;
            Ok((path, name, replacement(&one.replace)?))
        });
        Ok(Self::Patterns(compiled.collect::<Result<_, String>>()?))
    }

    /// Whether there is anything to do.
    pub(crate) fn is_active(&self) -> bool {
        match self {
            Self::Mapping(names) => !names.is_empty(),
            Self::Patterns(patterns) => !patterns.is_empty(),
        }
    }

    /// Renames the fields of a document that stands at `path`, and those of the documents in it, but not within arrays.
    pub(crate) fn apply(&self, path: &str, document: &mut Document) {
        let fields = std::mem::take(document);
        let mut taken: HashSet<String> = fields.keys().cloned().collect();
        let mut renamed = Document::new();
        for (name, mut value) in fields {
            let new = self.renamed(path, &name);
            if let Bson::Document(inner) = &mut value {
                self.apply(&format!("{path}.{new}"), inner);
            }
            if new == name {
                document.insert(name, value);
            } else {
                if !taken.contains(&new) && !renamed.contains_key(&new) {
                    renamed.insert(new, value);
                }
                taken.remove(&name);
            }
        }
        document.extend(renamed);
    }

    fn renamed(&self, path: &str, name: &str) -> String {
        let full = format!("{path}.{name}");
        match self {
            Self::Mapping(names) => {
                let found = names.iter().rev().find(|(old, _)| *old == full);
                found.map_or_else(|| name.to_owned(), |(_, new)| new.clone())
            }
            Self::Patterns(patterns) => {
                let mut new = name.to_owned();
                for (path, part, replacement) in patterns {
                    if path.is_match(&full).unwrap_or(false) {
                        new = part.replace_all(&new, replacement.as_str()).into_owned();
                    }
                }
                new
            }
        }
    }
}

fn list<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<T>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|error| format!("not a JSON list of the form that is documented: {error}"))
}

/// Java's replacement text in the form of ours: `$1` and `${name}` are groups, a backslash takes the next character as it is.
fn replacement(java: &str) -> Result<String, String> {
    let mut ours = String::new();
    let mut rest = java.chars().peekable();
    let literal = |ours: &mut String, c: char| if c == '$' { ours.push_str("$$") } else { ours.push(c) };
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('\\', Some(next)) => {
                literal(&mut ours, next);
                rest.next();
            }
            ('$', Some('{')) => ours.push('$'),
            ('$', Some(digit)) if digit.is_ascii_digit() => {
                ours.push_str(&format!("${{{digit}}}"));
                rest.next();
            }
            ('$' | '\\', _) => return Err(format!("\"{java}\" is no replacement text: write \\$ for a dollar sign")),
            (other, _) => literal(&mut ours, other),
        }
    }
    Ok(ours)
}
