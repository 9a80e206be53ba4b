//! Definitions of configuration keys as data: what a worker announces, a control plane validates by, and documentation is
//! written from.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Flat;

/// Connect's types of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeyType {
    /// true or false
    Boolean,
    /// Text
    String,
    /// 32-bit
    Int,
    /// 64-bit
    Long,
    /// Floating point
    Double,
    /// Comma-separated
    List,
    /// A class name
    Class,
    /// A secret
    Password,
}

impl KeyType {
    /// As Connect spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

/// How much a key matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Importance {
    /// Nearly everybody sets it
    High,
    /// Often set
    Medium,
    /// Rarely set
    Low,
}

impl Importance {
    /// As Connect spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// One key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigKey {
    /// The flat key
    pub name: String,
    /// Its type
    #[serde(rename = "type")]
    pub kind: KeyType,
    /// Whether it must be given
    #[serde(default)]
    pub required: bool,
    /// As text, None without a default
    #[serde(default)]
    pub default: Option<String>,
    /// How much it matters
    pub importance: Importance,
    /// What it does
    pub doc: String,
    /// Its group in forms and docs
    pub group: String,
    /// Nothing else is accepted, when not empty
    #[serde(default)]
    pub allowed: Vec<String>,
    /// Bounds of numbers
    #[serde(default)]
    pub minimum: Option<f64>,
    /// Bounds of numbers
    #[serde(default)]
    pub maximum: Option<f64>,
    /// Accepted without effect, and why
    #[serde(default)]
    pub ignored: Option<String>,
}

/// Keys with a variable part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyPattern {
    /// What comes before the variable part
    pub prefix: String,
    /// What comes after it
    pub suffix: String,
    /// What such a key does
    pub doc: String,
}

impl KeyPattern {
    /// Whether `key` is such a key.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        key.len() > self.prefix.len() + self.suffix.len()
            && key.starts_with(&self.prefix)
            && key.ends_with(&self.suffix)
    }
}

/// All keys of a connector class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigDef {
    /// In the order of forms and docs
    pub keys: Vec<ConfigKey>,
    /// Keys with a variable part
    #[serde(default)]
    pub patterns: Vec<KeyPattern>,
}

/// Something wrong (or worth saying) about a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The key; empty when it is not about one key
    pub key: String,
    /// What is wrong and what to do
    pub message: String,
}

impl Problem {
    /// A problem of a key.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

/// Problems in one text, for a log line or Connect's `message`.
#[must_use]
pub fn join(problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        if !text.is_empty() {
            text.push_str("; ");
        }
        if problem.key.is_empty() || problem.message.contains(&problem.key) {
            text.push_str(&problem.message);
        } else {
            let _ = write!(text, "{}: {}", problem.key, problem.message);
        }
    }
    text
}

/// The outcome of a validation or check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Refuse the configuration
    pub errors: Vec<Problem>,
    /// Accept it, and say so
    pub warnings: Vec<Problem>,
}

impl Findings {
    /// Adds another outcome's problems, each once.
    pub fn merge(&mut self, other: Findings) {
        for problem in other.errors {
            if !self.errors.contains(&problem) {
                self.errors.push(problem);
            }
        }
        for problem in other.warnings {
            if !self.warnings.contains(&problem) {
                self.warnings.push(problem);
            }
        }
    }
}

impl ConfigDef {
    /// The definition of a key.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&ConfigKey> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether a key is one of these.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.key(name).is_some() || self.patterns.iter().any(|pattern| pattern.matches(name))
    }

    /// This definition with another's keys after its own; the first definition of a name stands.
    #[must_use]
    pub fn with(mut self, other: &ConfigDef) -> Self {
        let known: BTreeSet<String> = self.keys.iter().map(|key| key.name.clone()).collect();
        self.keys.extend(other.keys.iter().filter(|key| !known.contains(&key.name)).cloned());
        self.patterns.extend(other.patterns.iter().cloned());
        self
    }

    /// Checks types, bounds, allowed values and presence of the keys of this definition. Says nothing of other keys.
    #[must_use]
    pub fn validate(&self, flat: &Flat) -> Findings {
        let mut findings = Findings::default();
        for key in &self.keys {
            match flat.get(&key.name) {
                None if key.required => findings.errors.push(Problem::new(
                    &key.name,
                    format!("Missing required configuration \"{}\" which has no default value.", key.name),
                )),
                None => {}
                Some(value) => {
                    if let Err(message) = key.accepts(value) {
                        findings.errors.push(Problem::new(&key.name, message));
                    } else if let Some(reason) = &key.ignored {
                        findings.warnings.push(Problem::new(&key.name, format!("accepted without effect: {reason}")));
                    }
                }
            }
        }
        findings
    }

    /// What there is to say of keys that this definition (the merged one) does not know: one of ours (`millrace.…`) is an
    /// error, any other a warning, as Connect ignores it; both name the nearest known key.
    #[must_use]
    pub fn unknown_keys(&self, flat: &Flat) -> Findings {
        let mut findings = Findings::default();
        for name in flat.keys().filter(|name| !self.knows(name)) {
            let hint = nearest(name, self.keys.iter().map(|key| key.name.as_str()))
                .map(|near| format!("; did you mean \"{near}\"?"))
                .unwrap_or_default();
            if name.starts_with("millrace.") {
                findings.errors.push(Problem::new(name, format!("unknown configuration key \"{name}\"{hint}")));
            } else {
                findings
                    .warnings
                    .push(Problem::new(name, format!("unknown configuration key \"{name}\" is ignored{hint}")));
            }
        }
        findings
    }
}

impl ConfigKey {
    /// Whether a text is a value of this key; the message is Connect's wherever Connect has one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn accepts(&self, value: &str) -> Result<(), String> {
        let shown = if self.kind == KeyType::Password { super::MASK } else { value };
        let invalid = |why: &str| format!("Invalid value {shown} for configuration {}: {why}", self.name);
        let trimmed = value.trim();
        let number = match self.kind {
            KeyType::Boolean => {
                if !trimmed.eq_ignore_ascii_case("true") && !trimmed.eq_ignore_ascii_case("false") {
                    return Err(invalid("Expected value to be either true or false"));
                }
                None
            }
            KeyType::Int => Some(f64::from(trimmed.parse::<i32>().map_err(|_| invalid("Not a number of type INT"))?)),
            #[allow(clippy::cast_precision_loss)] // only compared with bounds
            KeyType::Long => Some(trimmed.parse::<i64>().map_err(|_| invalid("Not a number of type LONG"))? as f64),
            KeyType::Double => Some(trimmed.parse::<f64>().map_err(|_| invalid("Not a number of type DOUBLE"))?),
            KeyType::String | KeyType::List | KeyType::Class | KeyType::Password => None,
        };
        if let Some(number) = number {
            if let Some(minimum) = self.minimum.filter(|minimum| number < *minimum) {
                return Err(invalid(&format!("Value must be at least {minimum}")));
            }
            if let Some(maximum) = self.maximum.filter(|maximum| number > *maximum) {
                return Err(invalid(&format!("Value must be no more than {maximum}")));
            }
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(trimmed)) {
            return Err(invalid(&format!("String must be one of: {}", self.allowed.join(", "))));
        }
        Ok(())
    }
}

/// The candidate nearest to `name`, when it is near enough to be a typing error.
#[must_use]
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.len() / 4).clamp(1, 5);
    candidates
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance in bytes; keys are ASCII.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = if x == y { diagonal } else { 1 + diagonal.min(row[j]).min(row[j + 1]) };
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}
