//! JSONPath as Jayway's library for Java has it, whose conditions Confluent's transforms are written in: a filter on a map
//! asks about the map itself (RFC 9535 asks about its members), and `in`, `=~` and the like exist. A path walks the value
//! where it lies: nothing is parsed that no step leads to.

mod condition;
mod parse;

use std::cmp::Ordering;

use fancy_regex::Regex;
use millrace_sdk::{Result, Text, Value};

/// A path from the root of a value or, within a filter, from where it stands.
#[derive(Debug)]
pub(super) struct Path {
    from_root: bool,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    /// Fields of a map
    Fields(Vec<String>),
    /// Elements of a list; negative ones count from its end
    Elements(Vec<i64>),
    /// Elements from here to before there
    Slice(Option<i64>, Option<i64>),
    /// All members
    All,
    /// This and everything below
    Descend,
    Filter(Condition),
}

#[derive(Debug)]
enum Condition {
    Or(Vec<Condition>),
    And(Vec<Condition>),
    Not(Box<Condition>),
    Exists(Path),
    Compare(Operand, Operator, Operand),
}

#[derive(Debug)]
enum Operand {
    Path(Path),
    Literal(Value),
    Regex(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    Size,
    Empty,
    Contains,
}

/// What a path found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) values: Vec<Value>,
    /// Whether a field that the path or its conditions name was absent or null
    pub(super) missing: bool,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        parse::path(text)
    }

    /// Follows the path.
    ///
    /// # Errors
    /// `BadRecord` when the value claims to be JSON and is not.
    pub(super) fn find(&self, root: &Value) -> Result<Found> {
        let mut found = Found::default();
        let start = vec![root.open()?];
        found.values = self.walk(root, start, &mut found.missing)?;
        Ok(found)
    }

    fn walk(&self, root: &Value, mut here: Vec<Value>, missing: &mut bool) -> Result<Vec<Value>> {
        let mut definite = true;
        for step in &self.steps {
            let mut next = Vec::new();
            for value in &here {
                step.take(root, value, &mut next, missing)?;
            }
            match step {
                Step::Fields(names) if names.len() == 1 => *missing |= definite && absent(&next),
                Step::Elements(_) | Step::Slice(..) => {}
                _ => definite = false,
            }
            here = next;
        }
        Ok(here)
    }
}

fn absent(values: &[Value]) -> bool {
    values.is_empty() || values.iter().all(|value| *value == Value::Null)
}

impl Step {
    fn take(&self, root: &Value, value: &Value, out: &mut Vec<Value>, missing: &mut bool) -> Result<()> {
        match (self, value) {
            (Self::Fields(names), Value::Map(_)) => {
                for name in names {
                    out.extend(value.field(name)?);
                }
            }
            (Self::Elements(indexes), Value::List(items)) => {
                for index in indexes {
                    if let Some(item) = position(*index, items.len()).and_then(|index| items.get(index)) {
                        out.push(item.open()?);
                    }
                }
            }
            (Self::Slice(from, to), Value::List(items)) => {
                let bound =
                    |index: Option<i64>, otherwise| index.map_or(otherwise, |index| clamped(index, items.len()));
                let (from, to) = (bound(*from, 0), bound(*to, items.len()));
                for item in items.iter().take(to).skip(from) {
                    out.push(item.open()?);
                }
            }
            (Self::All, _) => members(value, out)?,
            (Self::Descend, _) => descend(value, out)?,
            (Self::Filter(condition), Value::Map(_)) if condition.holds(root, value, missing)? => {
                out.push(value.clone());
            }
            (Self::Filter(condition), Value::List(items)) => {
                for item in items {
                    let item = item.open()?;
                    if condition.holds(root, &item, missing)? {
                        out.push(item);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn members(value: &Value, out: &mut Vec<Value>) -> Result<()> {
    match value {
        Value::Map(fields) => {
            for (_, member) in fields {
                out.push(member.open()?);
            }
        }
        Value::List(items) => {
            for item in items {
                out.push(item.open()?);
            }
        }
        _ => {}
    }
    Ok(())
}

fn descend(value: &Value, out: &mut Vec<Value>) -> Result<()> {
    out.push(value.clone());
    let mut below = Vec::new();
    members(value, &mut below)?;
    below.iter().try_for_each(|member| descend(member, out))
}

/// The position of an index, which may count from the end.
fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    usize::try_from(if index < 0 { length.checked_add(index)? } else { index }).ok()
}

fn clamped(index: i64, length: usize) -> usize {
    position(index, length).unwrap_or(0).min(length)
}

/// A number that can be compared with others, whatever carries it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Int(number) | Value::Timestamp(number) => Self::Int(*number),
            Value::Date(number) | Value::Time(number) => Self::Int(i64::from(*number)),
            Value::Float(number) => Self::Float(*number),
            Value::Decimal(decimal) => Self::Float(decimal.text().ok()?.parse().ok()?),
            Value::Json(raw) => Self::Float(std::str::from_utf8(raw).ok()?.trim().parse().ok()?),
            _ => return None,
        })
    }

    fn of_text(text: &Text) -> Option<Self> {
        let text: &str = text;
        text.parse().map(Self::Int).or_else(|_| text.parse().map(Self::Float)).ok()
    }

    #[allow(clippy::cast_precision_loss)] // as Java compares a long with a double
    fn compare(self, other: Self) -> Option<Ordering> {
        let float = |number| match number {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        };
        match (self, other) {
            (Self::Int(one), Self::Int(two)) => Some(one.cmp(&two)),
            _ => float(self).partial_cmp(&float(other)),
        }
    }
}

#[cfg(test)]
mod tests;
