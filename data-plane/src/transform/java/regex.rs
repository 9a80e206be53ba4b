//! `java.util.regex`, as far as a regular expression of ours goes, and its replacement texts.

use std::sync::Arc;

use fancy_regex::{Captures, Regex};

/// The expression with the meaning of `Matcher.matches()`: the whole text.
pub(in crate::transform) fn full_match(pattern: &str) -> Result<Regex, String> {
    plain(pattern)?;
    Regex::new(&format!(r"\A(?:{pattern})\z")).map_err(|error| error.to_string())
}

fn plain(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| error.to_string())
}

/// A part of a replacement.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Group(usize),
    Named(String),
}

/// `matches()`, then `replaceFirst(…)`.
pub(in crate::transform) struct Replacer {
    full: Regex,
    first: Regex,
    parts: Vec<Part>,
}

impl Replacer {
    /// A mistake in the expression is the first kind of error, one in the replacement the second.
    pub(in crate::transform) fn new(pattern: &str, replacement: &str) -> Result<Self, (String, String)> {
        let wrong = |error| (error, String::new());
        let (full, first) = (full_match(pattern).map_err(wrong)?, plain(pattern).map_err(wrong)?);
        let names: Vec<&str> = first.capture_names().flatten().collect();
        let parts = parts(replacement, first.captures_len() - 1, &names).map_err(|error| (String::new(), error))?;
        Ok(Self { full, first, parts })
    }

    /// The text with its first match replaced; None when the whole does not match.
    pub(in crate::transform) fn replace(&self, text: &str) -> Option<Arc<str>> {
        if !self.full.is_match(text).unwrap_or(false) {
            return None;
        }
        let captures = self.first.captures(text).ok().flatten()?;
        let whole = captures.get(0)?;
        let mut out = text[..whole.start()].to_owned();
        self.parts.iter().for_each(|part| append(part, &captures, &mut out));
        out.push_str(&text[whole.end()..]);
        Some(Arc::from(out))
    }
}

fn append(part: &Part, captures: &Captures<'_, str>, out: &mut String) {
    let group = match part {
        Part::Text(text) => return out.push_str(text),
        Part::Group(number) => captures.get(*number),
        Part::Named(name) => captures.name(name),
    };
    out.push_str(group.map_or("", |group| group.as_str()));
}

/// `$1`, `${name}` and escapes. Of several digits after `$` as many count as name a group.
fn parts(replacement: &str, groups: usize, names: &[&str]) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' {
            text.push(chars.next().ok_or("character to be escaped is missing")?);
            continue;
        }
        if c != '$' {
            text.push(c);
            continue;
        }
        let part = if chars.next_if_eq(&'{').is_some() {
            let mut name = String::new();
            loop {
                match chars.next() {
                    Some('}') => break,
                    Some(c) => name.push(c),
                    None => return Err("named capturing group is missing trailing '}'".to_owned()),
                }
            }
            if !names.contains(&name.as_str()) {
                return Err(format!("No group with name {{{name}}}"));
            }
            Part::Named(name)
        } else {
            let first = chars.next().and_then(|c| c.to_digit(10)).ok_or("Illegal group reference")?;
            let mut number = first as usize;
            while let Some(next) = chars.peek().and_then(|c| c.to_digit(10)) {
                let longer = number * 10 + next as usize;
                if longer > groups {
                    break;
                }
                number = longer;
                chars.next();
            }
            if number > groups {
                return Err(format!("No group {number}"));
            }
            Part::Group(number)
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(part);
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}
