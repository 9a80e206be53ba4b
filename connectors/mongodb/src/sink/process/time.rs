//! Texts and numbers as dates, by a pattern of Java's `DateTimeFormatter`: the letters `y u M d H h K k m s S n a E V X x Z`,
//! quotes and optional sections in brackets. Zones are offsets and `UTC`; names of regions are not known here.

use millrace_sdk::java::calendar::{self, Token};
use mongodb::bson::{Bson, DateTime, Document};

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Text(String),
    Field(char, usize),
    Optional(Vec<Item>),
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimeFormat {
    items: Vec<Item>,
}

/// What was read so far.
#[derive(Debug, Clone, Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    hour: Option<i64>,
    half: Option<i64>,
    afternoon: Option<bool>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: i64,
    offset_seconds: Option<i64>,
}

impl TimeFormat {
    /// Reads a pattern; an error is a key and what is wrong with it.
    pub(crate) fn parse(pattern: &str, language: &str) -> Result<Self, (&'static str, String)> {
        let language = language.trim();
        let english = language.is_empty() || language.split(['-', '_']).next() == Some("en");
        if !english {
            let message = format!("names of months and days are only known in English, not in \"{language}\"");
            return Err(("timeseries.timefield.auto.convert.locale.language.tag", message));
        }
        let tokens = calendar::tokens(pattern).ok_or_else(|| "a quote is not closed".to_owned());
        tokens
            .and_then(|tokens| items(&mut tokens.into_iter(), 0))
            .map(|items| Self { items })
            .map_err(|message| ("timeseries.timefield.auto.convert.date.format", message))
    }

    /// Turns a number or a text into a date where it can; anything else stays as it is, as in the peer.
    pub(crate) fn convert(&self, document: &mut Document, field: &str) {
        let millis = match document.get(field) {
            Some(Bson::Int32(number)) => Some(i64::from(*number)),
            Some(Bson::Int64(number)) => Some(*number),
            #[allow(clippy::cast_possible_truncation)] // fractions are dropped, as documented
            Some(Bson::Double(number)) => Some(*number as i64),
            Some(Bson::String(text)) => self.millis(text),
            _ => None,
        };
        if let Some(millis) = millis {
            document.insert(field, DateTime::from_millis(millis));
        }
    }

    /// Milliseconds since the epoch of a text; without a zone it is UTC, without a time the start of the day.
    pub(crate) fn millis(&self, text: &str) -> Option<i64> {
        let mut parts = Parts::default();
        let rest = read(&self.items, text, &mut parts)?;
        rest.is_empty().then(|| parts.millis()).flatten()
    }
}

fn items(tokens: &mut std::vec::IntoIter<Token>, depth: usize) -> Result<Vec<Item>, String> {
    let mut found: Vec<Item> = Vec::new();
    while let Some(token) = tokens.next() {
        found.push(match token {
            Token::Text(text) => Item::Text(text),
            Token::Sign('[') if depth < 8 => Item::Optional(items(tokens, depth + 1)?),
            Token::Sign('[') => return Err("sections in brackets are nested deeper than 8 levels".to_owned()),
            Token::Sign(']') if depth > 0 => return Ok(found),
            Token::Sign(']') => return Err("a bracket is closed that was not opened".to_owned()),
            Token::Sign(sign @ ('{' | '}' | '#')) => {
                return Err(format!("the character {sign} is reserved; write it in quotes"));
            }
            Token::Sign(other) => Item::Text(other.to_string()),
            Token::Letters(letter, count) if "yuMLdHhKkmsSnaEVXxZ".contains(letter) => Item::Field(letter, count),
            Token::Letters(letter, _) => {
                return Err(format!(
                    "the letter {letter} is not supported; available are y u M d H h K k m s S n a E V X x Z"
                ));
            }
        });
    }
    if depth > 0 { Err("a bracket is not closed".to_owned()) } else { Ok(found) }
}

fn read<'t>(items: &[Item], mut text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    for item in items {
        text = match item {
            Item::Text(expected) => text.strip_prefix(expected.as_str())?,
            Item::Optional(inner) => {
                let mut tried = parts.clone();
                match read(inner, text, &mut tried) {
                    Some(rest) => {
                        *parts = tried;
                        rest
                    }
                    None => text,
                }
            }
            Item::Field(letter, count) => field(*letter, *count, text, parts)?,
        };
    }
    Some(text)
}

/// Up to `most` digits, at least `least`.
fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if count < least {
        return None;
    }
    let (number, rest) = text.split_at(count);
    number.parse().ok().map(|number| (number, rest))
}

fn name<'t>(names: &[&str], whole: bool, text: &'t str) -> Option<(i64, &'t str)> {
    (1..).zip(names).find_map(|(number, name)| {
        let name = if whole { name } else { &name[..3] };
        text.strip_prefix(name).map(|rest| (number, rest))
    })
}

fn field<'t>(letter: char, count: usize, text: &'t str, parts: &mut Parts) -> Option<&'t str> {
    let most = if count == 1 { 2 } else { count };
    let bounded =
        |from: i64, to: i64| digits(text, count.min(most), most).filter(|found| (from..=to).contains(&found.0));
    let keep = |part: &mut Option<i64>, found: Option<(i64, &'t str)>| {
        let (number, rest) = found?;
        *part = Some(number);
        Some(rest)
    };
    match letter {
        'y' | 'u' if count == 2 => keep(&mut parts.year, digits(text, 2, 2).map(|(year, rest)| (2000 + year, rest))),
        'y' | 'u' => keep(&mut parts.year, digits(text, count, if count == 4 { 4 } else { 9 })),
        'M' | 'L' if count >= 3 => keep(&mut parts.month, name(&calendar::MONTHS, count > 3, text)),
        'M' | 'L' => keep(&mut parts.month, bounded(1, 12)),
        'd' => keep(&mut parts.day, bounded(1, 31)),
        'H' => keep(&mut parts.hour, bounded(0, 23)),
        'k' => keep(&mut parts.hour, bounded(1, 24).map(|(hour, rest)| (hour % 24, rest))),
        'K' => keep(&mut parts.half, bounded(0, 11)),
        'h' => keep(&mut parts.half, bounded(1, 12).map(|(hour, rest)| (hour % 12, rest))),
        'm' => keep(&mut parts.minute, bounded(0, 59)),
        's' => keep(&mut parts.second, bounded(0, 59)),
        'S' => {
            let (fraction, rest) = digits(text, count, count)?;
            parts.nanos = fraction.checked_mul(10_i64.pow(9_u32.checked_sub(u32::try_from(count).ok()?)?))?;
            Some(rest)
        }
        'n' => {
            let (nanos, rest) = digits(text, count, 9)?;
            parts.nanos = nanos;
            Some(rest)
        }
        'a' => {
            let half = text.get(..2)?;
            parts.afternoon = Some(match half.to_ascii_uppercase().as_str() {
                "AM" => false,
                "PM" => true,
                _ => return None,
            });
            text.get(2..)
        }
        'E' => name(&calendar::WEEKDAYS, count > 3, text).map(|found| found.1),
        _ => {
            let (offset, rest) = offset(letter, count, text)?;
            parts.offset_seconds = Some(offset);
            Some(rest)
        }
    }
}

/// A zone as the letters `V`, `X`, `x` and `Z` read it.
fn offset(letter: char, count: usize, text: &str) -> Option<(i64, &str)> {
    if letter == 'V' {
        for name in ["UTC", "GMT", "UT"] {
            if let Some(rest) = text.strip_prefix(name) {
                return if rest.starts_with(['+', '-']) { offset('x', 3, rest) } else { Some((0, rest)) };
            }
        }
    }
    if let Some(rest) = text.strip_prefix('Z').filter(|_| letter == 'V' || letter == 'X') {
        return Some((0, rest));
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, rest) = digits(&text[1..], 2, 2)?;
    let colon = letter == 'V' || ((letter == 'X' || letter == 'x') && count == 3) || count == 5;
    let minutes = if colon { rest.strip_prefix(':').and_then(|rest| digits(rest, 2, 2)) } else { digits(rest, 2, 2) };
    let optional = letter == 'V' || ((letter == 'X' || letter == 'x') && count == 1);
    let (minutes, rest) = match minutes {
        Some(found) => found,
        None if optional => (0, rest),
        None => return None,
    };
    (hours <= 18 && minutes < 60).then_some((sign * (hours * 3600 + minutes * 60), rest))
}

impl Parts {
    fn millis(&self) -> Option<i64> {
        let (year, month, day) = (self.year?, self.month?, self.day?);
        if day > calendar::days_in_month(year, month) {
            return None;
        }
        let hour = self.hour.or_else(|| Some(self.half? + if self.afternoon? { 12 } else { 0 }));
        let seconds = match (hour, self.minute, self.second) {
            (Some(hour), minute, second) => hour * 3600 + minute.unwrap_or(0) * 60 + second.unwrap_or(0),
            _ => 0,
        };
        let days = calendar::days(year, month, day);
        let seconds = days.checked_mul(86_400)?.checked_add(seconds)? - self.offset_seconds.unwrap_or(0);
        seconds.checked_mul(1000)?.checked_add(self.nanos / 1_000_000)
    }
}
