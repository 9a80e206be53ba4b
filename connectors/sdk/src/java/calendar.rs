//! The proleptic Gregorian calendar, and the English names in it.

/// January to December.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Monday to Sunday.
pub const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Year, month (from 1) and day of a number of days since 1970-01-01.
#[must_use]
pub fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that leap days come last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12 + 1;
    (year_of_era + era * 400 + i64::from(month < 3), month, day)
}

/// Days since 1970-01-01 of a date.
#[must_use]
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// How many days a month has.
#[must_use]
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// What a pattern of dates consists of; `SimpleDateFormat` and `DateTimeFormatter` have these in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// What stands in quotes
    Text(String),
    /// A letter and how often it is repeated
    Letters(char, usize),
    /// Any other character
    Sign(char),
}

/// Takes a pattern apart; None when a quote is not closed.
#[must_use]
pub fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut found = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        found.push(if c == '\'' {
            if chars.next_if_eq(&'\'').is_some() {
                found.push(Token::Sign('\''));
                continue;
            }
            let mut text = String::new();
            loop {
                match chars.next()? {
                    '\'' if chars.next_if_eq(&'\'').is_none() => break,
                    c => text.push(c),
                }
            }
            Token::Text(text)
        } else if c.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&c).is_some() {
                count += 1;
            }
            Token::Letters(c, count)
        } else {
            Token::Sign(c)
        });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        for (day, date) in [(0, (1970, 1, 1)), (-1, (1969, 12, 31)), (19_782, (2024, 2, 29)), (-719_468, (0, 3, 1))] {
            assert_eq!((civil(day), days(date.0, date.1, date.2)), (date, day));
        }
        for day in (-1_000_000..1_000_000).step_by(997) {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
            assert!((1..=days_in_month(year, month)).contains(&of_month));
        }
    }

    #[test]
    fn patterns_are_taken_apart() {
        let text = |text: &str| Token::Text(text.to_owned());
        for (pattern, expected) in [
            ("yyyy-M", Some(vec![Token::Letters('y', 4), Token::Sign('-'), Token::Letters('M', 1)])),
            ("'T''s'HH", Some(vec![text("T's"), Token::Letters('H', 2)])),
            ("''[ü", Some(vec![Token::Sign('\''), Token::Sign('['), Token::Sign('ü')])),
            ("'open", None),
            ("'open''", None),
            ("", Some(vec![])),
        ] {
            assert_eq!(tokens(pattern), expected, "{pattern}");
        }
    }
}
