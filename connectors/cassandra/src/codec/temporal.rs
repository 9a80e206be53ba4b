//! Dates and times: ISO 8601 texts, Connect's logical types, and numbers as milliseconds since the epoch (the DataStax
//! connector's default unit).

use millrace_sdk::Value;
use millrace_sdk::java::calendar;

use super::Mismatch;

const DAY_MS: i64 = 86_400_000;

/// Milliseconds since the epoch.
pub(super) fn timestamp(value: &Value) -> Result<i64, Mismatch> {
    match value {
        Value::Timestamp(millis) | Value::Int(millis) => Ok(*millis),
        Value::Date(days) => Ok(i64::from(*days) * DAY_MS),
        Value::Str(text) => {
            let text = text.trim();
            text.parse::<i64>().ok().or_else(|| parse_timestamp(text)).ok_or_else(|| {
                "has type timestamp, and the text is neither ISO 8601 (2026-11-21T10:15:30.250Z) nor milliseconds"
                    .to_owned()
            })
        }
        other => Err(super::mismatch(other, "timestamp")),
    }
}

/// CQL's date: days since the epoch, the epoch being 2^31.
pub(super) fn date(value: &Value) -> Result<u32, Mismatch> {
    let days = match value {
        Value::Date(days) => i64::from(*days),
        Value::Timestamp(millis) | Value::Int(millis) => millis.div_euclid(DAY_MS),
        Value::Str(text) => parse_date(text.trim())
            .or_else(|| parse_timestamp(text.trim()).map(|millis| millis.div_euclid(DAY_MS)))
            .ok_or_else(|| "has type date, and the text is not like 2026-11-21".to_owned())?,
        other => return Err(super::mismatch(other, "date")),
    };
    u32::try_from(days + (1 << 31)).map_err(|_| super::out_of_range(value, "date"))
}

/// Nanoseconds since midnight.
pub(super) fn time(value: &Value) -> Result<i64, Mismatch> {
    let millis = match value {
        Value::Time(millis) => i64::from(*millis),
        Value::Int(millis) => *millis,
        Value::Timestamp(millis) => millis.rem_euclid(DAY_MS),
        Value::Str(text) => {
            return parse_time(text.trim())
                .ok_or_else(|| "has type time, and the text is not like 10:15:30.123456789".to_owned());
        }
        other => return Err(super::mismatch(other, "time")),
    };
    if !(0..DAY_MS).contains(&millis) {
        return Err(super::out_of_range(value, "time"));
    }
    Ok(millis * 1_000_000)
}

/// `2026-11-21`, or with `T10:15[:30[.25]]` and `Z`, `+01`, `+0100` or `+01:00`; UTC without.
fn parse_timestamp(text: &str) -> Option<i64> {
    let Some(at) = text.char_indices().skip(1).find(|(_, c)| matches!(c, 'T' | 't' | ' ')).map(|(at, _)| at) else {
        return parse_date(text)?.checked_mul(DAY_MS);
    };
    let (day, rest) = (&text[..at], &text[at + 1..]);
    let (clock, offset_minutes) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => (&rest[..at], parse_offset(&rest[at..])?),
        None => (rest, 0),
    };
    let nanos = parse_time(clock.trim_end())?;
    parse_date(day)?.checked_mul(DAY_MS)?.checked_add(nanos / 1_000_000 - offset_minutes * 60_000)
}

fn parse_offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text[1..].chars().filter(|c| *c != ':').collect();
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at(2),
        _ => return None,
    };
    let (hours, minutes) = (digits_of(hours)?, digits_of(minutes)?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

fn digits_of(text: &str) -> Option<i64> {
    (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

fn parse_date(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut parts = digits.split('-');
    let year = parts.next().filter(|year| (4..=7).contains(&year.len())).and_then(digits_of)? * sign;
    let month = parts.next().filter(|month| month.len() == 2).and_then(digits_of)?;
    let day = parts.next().filter(|day| day.len() == 2).and_then(digits_of)?;
    let valid =
        parts.next().is_none() && (1..=12).contains(&month) && day >= 1 && day <= calendar::days_in_month(year, month);
    valid.then(|| calendar::days(year, month, day))
}

/// `10:15`, `10:15:30`, `10:15:30.123456789` as nanoseconds.
fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let hours = parts.next().filter(|part| part.len() == 2).and_then(digits_of)?;
    let minutes = parts.next().filter(|part| part.len() == 2).and_then(digits_of)?;
    let (seconds, nanos) = match parts.next() {
        None => (0, 0),
        Some(seconds) => match seconds.split_once('.') {
            None => (digits_of(seconds)?, 0),
            Some((seconds, fraction)) if (1..=9).contains(&fraction.len()) => {
                (digits_of(seconds)?, digits_of(&format!("{fraction:0<9}"))?)
            }
            Some(_) => return None,
        },
    };
    let valid = parts.next().is_none() && hours < 24 && minutes < 60 && seconds < 60;
    valid.then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000_000_000 + nanos)
}

/// `2026-11-21T10:15:30.250Z`
pub(super) fn timestamp_text(millis: i64) -> String {
    let clock = time_of(millis.rem_euclid(DAY_MS));
    format!("{}T{clock}Z", date_of(millis.div_euclid(DAY_MS)))
}

/// `2026-11-21`
pub(super) fn date_text(days: i32) -> String {
    date_of(i64::from(days))
}

/// `10:15:30.250`
pub(super) fn time_text(millis: i32) -> String {
    time_of(i64::from(millis))
}

fn date_of(days: i64) -> String {
    let (year, month, day) = calendar::civil(days);
    format!("{year:04}-{month:02}-{day:02}")
}

fn time_of(millis: i64) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
