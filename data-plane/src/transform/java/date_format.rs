//! `SimpleDateFormat` in UTC and English: the letters `y M d D H k K h m s S E u a z Z X`, quotes and literal text.
//! Parsing is lenient, as in Java: values beyond their bounds carry over, and what follows the last field is not looked at.

use std::fmt::Write as _;

use millrace_sdk::java::calendar::{MONTHS, Token, WEEKDAYS, tokens};

use super::calendar::{DAY_MS, civil, day_of_week, days};

const LETTERS: &str = "yMdDHkKhmsSEuazZX";

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Text(String),
    Field(char, usize),
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(in crate::transform) struct DateFormat {
    pattern: String,
    items: Vec<Item>,
    /// Two-digit years lie in the hundred years from this one on
    century_start: i64,
    /// How long a text is: mostly they all are
    length: usize,
}

/// Parsed fields.
#[derive(Default)]
struct Parts {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    hour: Option<i64>,
    half_day_hour: Option<i64>,
    afternoon: bool,
    minute: i64,
    second: i64,
    milli: i64,
    /// East of Greenwich, in minutes
    zone: i64,
}

impl DateFormat {
    /// Compiles a pattern; `now_ms` places two-digit years.
    pub(in crate::transform) fn new(pattern: &str, now_ms: i64) -> Result<Self, String> {
        let mut items: Vec<Item> = Vec::new();
        let literal = |items: &mut Vec<Item>, more: &str| match items.last_mut() {
            Some(Item::Text(text)) => text.push_str(more),
            _ => items.push(Item::Text(more.to_owned())),
        };
        for token in tokens(pattern).ok_or("Unterminated quote")? {
            match token {
                Token::Text(text) => literal(&mut items, &text),
                Token::Sign(sign) => literal(&mut items, sign.encode_utf8(&mut [0; 4])),
                Token::Letters(letter, count) => {
                    check_letter(letter, count)?;
                    items.push(Item::Field(letter, count));
                }
            }
        }
        let century_start = civil(now_ms.div_euclid(DAY_MS)).0 - 80;
        let mut made = Self { pattern: pattern.to_owned(), items, century_start, length: 0 };
        made.length = made.text(now_ms).len();
        Ok(made)
    }

    /// The text of a time in milliseconds since the epoch.
    pub(in crate::transform) fn text(&self, millis: i64) -> String {
        let mut text = String::with_capacity(self.length);
        self.format(millis, &mut text);
        text
    }

    /// The pattern as it was given.
    pub(in crate::transform) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Appends the text of a time in milliseconds since the epoch.
    pub(in crate::transform) fn format(&self, millis: i64, out: &mut String) {
        let (day_number, of_day) = (millis.div_euclid(DAY_MS), millis.rem_euclid(DAY_MS));
        let (year, month, day) = civil(day_number);
        let hour = of_day / 3_600_000;
        for item in &self.items {
            let (letter, count) = match item {
                Item::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Item::Field(letter, count) => (*letter, *count),
            };
            let number = match letter {
                // Years before the first are counted backwards within their era.
                'y' => {
                    let of_era = if year > 0 { year } else { 1 - year };
                    if count == 2 { of_era % 100 } else { of_era }
                }
                'M' if count >= 3 => {
                    let name = MONTHS[usize::try_from(month - 1).unwrap_or(0) % 12];
                    out.push_str(if count == 3 { &name[..3] } else { name });
                    continue;
                }
                'E' => {
                    let name = WEEKDAYS[usize::try_from(day_of_week(day_number) - 1).unwrap_or(0) % 7];
                    out.push_str(if count <= 3 { &name[..3] } else { name });
                    continue;
                }
                'a' => {
                    out.push_str(if hour < 12 { "AM" } else { "PM" });
                    continue;
                }
                'z' => {
                    out.push_str(if count <= 3 { "UTC" } else { "Coordinated Universal Time" });
                    continue;
                }
                'Z' => {
                    out.push_str("+0000");
                    continue;
                }
                'X' => {
                    out.push('Z');
                    continue;
                }
                'M' => month,
                'd' => day,
                'D' => day_number - days(year, 1, 1) + 1,
                'H' => hour,
                'k' => (hour + 23) % 24 + 1,
                'K' => hour % 12,
                'h' => (hour + 11) % 12 + 1,
                'm' => of_day / 60_000 % 60,
                's' => of_day / 1000 % 60,
                'S' => of_day % 1000,
                _ => day_of_week(day_number), // 'u', the last of the letters that `new` lets through
            };
            padded(number, count, out);
        }
    }

    /// The time of a text, in milliseconds since the epoch; None when it does not fit the pattern.
    pub(in crate::transform) fn parse(&self, text: &str) -> Option<i64> {
        self.parse_prefix(text).map(|(millis, _)| millis)
    }

    fn parse_prefix(&self, text: &str) -> Option<(i64, usize)> {
        let mut parts = Parts::default();
        let mut rest = text;
        for (index, item) in self.items.iter().enumerate() {
            match item {
                Item::Text(literal) => rest = rest.strip_prefix(literal.as_str())?,
                Item::Field(letter, count) => {
                    // Digits without anything between them are told apart by their number only.
                    let adjacent = matches!(self.items.get(index + 1), Some(Item::Field(..)));
                    rest = self.field(*letter, *count, adjacent, rest, &mut parts)?;
                }
            }
        }
        Some((parts.millis(), text.len() - rest.len()))
    }

    fn field<'t>(
        &self,
        letter: char,
        count: usize,
        adjacent: bool,
        text: &'t str,
        parts: &mut Parts,
    ) -> Option<&'t str> {
        let text = text.trim_start_matches([' ', '\t']);
        match letter {
            'M' if count >= 3 => {
                let (index, rest) = name(text, &MONTHS)?;
                parts.month = Some(index + 1);
                return Some(rest);
            }
            'E' => return name(text, &WEEKDAYS).map(|(_, rest)| rest),
            'a' => {
                let rest = text.get(2..)?;
                parts.afternoon = match text.get(..2)?.to_ascii_uppercase().as_str() {
                    "AM" => false,
                    "PM" => true,
                    _ => return None,
                };
                return Some(rest);
            }
            'z' | 'Z' => {
                let (minutes, rest) = zone(text)?;
                parts.zone = minutes;
                return Some(rest);
            }
            'X' => {
                let (minutes, rest) = iso_zone(text, count)?;
                parts.zone = minutes;
                return Some(rest);
            }
            _ => {}
        }
        let (number, rest) = number(text, adjacent.then_some(count))?;
        let digits = text.len() - rest.len();
        match letter {
            'y' if count <= 2 && digits == 2 && number >= 0 => {
                let year = self.century_start / 100 * 100 + number;
                parts.year = Some(if year < self.century_start { year + 100 } else { year });
            }
            'y' => parts.year = Some(number),
            'M' => parts.month = Some(number),
            'd' => parts.day = Some(number),
            'D' => parts.day_of_year = Some(number),
            'H' => parts.hour = Some(number),
            'k' => parts.hour = Some(if number == 24 { 0 } else { number }),
            'K' => parts.half_day_hour = Some(number),
            'h' => parts.half_day_hour = Some(if number == 12 { 0 } else { number }),
            'm' => parts.minute = number,
            's' => parts.second = number,
            'S' => parts.milli = number,
            _ => {} // the day of the week says nothing that the date does not
        }
        Some(rest)
    }
}

impl Parts {
    fn millis(&self) -> i64 {
        let year = self.year.unwrap_or(1970);
        let day = match (self.month, self.day, self.day_of_year) {
            (None, None, Some(day)) => days(year, 1, 1) + day - 1,
            (month, day, _) => days(year, month.unwrap_or(1), day.unwrap_or(1)),
        };
        let half = self.half_day_hour.unwrap_or(0) + if self.afternoon { 12 } else { 0 };
        let hour = self.hour.unwrap_or(half);
        let minutes = hour * 60 + self.minute - self.zone;
        // Absurd numbers wrap around as Java's do.
        let millis = minutes.wrapping_mul(60_000).wrapping_add(self.second.wrapping_mul(1000)).wrapping_add(self.milli);
        day.wrapping_mul(DAY_MS).wrapping_add(millis)
    }
}

/// A number with at least so many digits. Most have two or four, which is worth a way of their own.
fn padded(number: i64, count: usize, out: &mut String) {
    let digit = |number: i64| char::from(b'0' + u8::try_from(number % 10).unwrap_or(0));
    match (count, number) {
        (2, 0..100) => out.extend([digit(number / 10), digit(number)]),
        (4, 0..10_000) => out.extend([digit(number / 1000), digit(number / 100), digit(number / 10), digit(number)]),
        _ => {
            // Writing into a String cannot fail.
            let _ = write!(out, "{number:0count$}");
        }
    }
}

fn check_letter(letter: char, count: usize) -> Result<(), String> {
    if !LETTERS.contains(letter) {
        let list: Vec<String> = LETTERS.chars().map(String::from).collect();
        return Err(format!("the letter '{letter}' is not available here; these are: {}", list.join(" ")));
    }
    if letter == 'X' && count > 3 {
        return Err("invalid ISO 8601 format: length=4".replace('4', &count.to_string()));
    }
    Ok(())
}

/// Digits, at most `width` characters of them, with an optional minus sign.
fn number(text: &str, width: Option<usize>) -> Option<(i64, &str)> {
    let limit = match width {
        Some(width) if text.len() < width => return None,
        Some(width) => width,
        None => text.len(),
    };
    let sign = usize::from(text.starts_with('-'));
    let end = text.bytes().take(limit).skip(sign).take_while(u8::is_ascii_digit).count() + sign;
    // Years and milliseconds beyond nine digits are no dates.
    if end - sign > 9 {
        return None;
    }
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A name or its first three letters, in any case; the longer one first.
fn name<'t>(text: &'t str, names: &[&str]) -> Option<(i64, &'t str)> {
    let starts = |name: &str| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let numbered = || names.iter().zip(0_i64..);
    numbered()
        .find(|(name, _)| starts(name))
        .map(|(name, index)| (index, &text[name.len()..]))
        .or_else(|| numbered().find(|(name, _)| starts(&name[..3])).map(|(_, index)| (index, &text[3..])))
}

/// `UTC`, `GMT`, `GMT+1:30`, `+0130`.
fn zone(text: &str) -> Option<(i64, &str)> {
    for (start, colon) in [("GMT", true), ("UTC", false), ("", false)] {
        let Some(rest) = text.get(start.len()..).filter(|_| text[..start.len()].eq_ignore_ascii_case(start)) else {
            continue;
        };
        if rest.starts_with(['+', '-']) && start != "UTC" {
            return offset(rest, colon);
        }
        if !start.is_empty() {
            return Some((0, rest));
        }
    }
    None
}

fn offset(text: &str, colon: bool) -> Option<(i64, &str)> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let text = &text[1..];
    let digits = text.bytes().take_while(u8::is_ascii_digit).count().min(if colon { 2 } else { 4 });
    let (hours, minutes, rest) = if colon {
        let hours: i64 = text.get(..digits)?.parse().ok()?;
        match text[digits..].strip_prefix(':') {
            Some(rest) => (hours, rest.get(..2)?.parse::<i64>().ok()?, &rest[2..]),
            None => (hours, 0, &text[digits..]),
        }
    } else {
        (text.get(..2)?.parse().ok()?, text.get(2..4)?.parse::<i64>().ok()?, &text[4..])
    };
    (hours < 24 && (0..60).contains(&minutes)).then_some((sign * (hours * 60 + minutes), rest))
}

/// `Z`, `+01`, `+0130`, `+01:30` by the number of letters.
fn iso_zone(text: &str, count: usize) -> Option<(i64, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((0, rest));
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours: i64 = text.get(1..3)?.parse().ok()?;
    let rest = &text[3..];
    let (minutes, rest) = match count {
        1 => (0, rest),
        2 => (rest.get(..2)?.parse().ok()?, &rest[2..]),
        _ => (rest.get(1..3).filter(|_| rest.starts_with(':'))?.parse().ok()?, &rest[3..]),
    };
    (hours < 24 && (0..60).contains(&minutes)).then_some((sign * (hours * 60 + minutes), rest))
}
