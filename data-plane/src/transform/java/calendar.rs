//! `GregorianCalendar` in UTC, lenient: the Julian calendar before 15 October 1582, the Gregorian one from then on.

pub(in crate::transform) const DAY_MS: i64 = 86_400_000;
/// Days from 1970-01-01 to 1582-10-15.
const CUTOVER: i64 = -141_427;

/// Year, month (1 to 12) and day of a day counted from 1970-01-01.
pub(in crate::transform) fn civil(days: i64) -> (i64, i64, i64) {
    let (era_days, shift) = if days >= CUTOVER { (146_097, 719_468) } else { (1461, 719_470) };
    // Years that begin in March, so that a leap day is the last day of its year.
    let shifted = days + shift;
    let (era, of_era) = (shifted.div_euclid(era_days), shifted.rem_euclid(era_days));
    let (year_of_era, years) = if days >= CUTOVER {
        ((of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365, 400)
    } else {
        ((of_era - of_era / 1460) / 365, 4)
    };
    let before = if years == 400 { 365 * year_of_era + year_of_era / 4 - year_of_era / 100 } else { 365 * year_of_era };
    let of_year = of_era - before;
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * years + i64::from(month <= 2), month, day)
}

/// Days from 1970-01-01 to a date whose month and day may lie beyond their bounds.
pub(in crate::transform) fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
    let gregorian = first_of_month(year, month, true) + day - 1;
    if gregorian >= CUTOVER { gregorian } else { first_of_month(year, month, false) + day - 1 }
}

fn first_of_month(year: i64, month: i64, gregorian: bool) -> i64 {
    let year = year - i64::from(month <= 2);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    if gregorian {
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    } else {
        let (era, of_era) = (year.div_euclid(4), year.rem_euclid(4));
        era * 1461 + of_era * 365 + of_year - 719_470
    }
}

/// 1 (Monday) to 7 (Sunday).
pub(in crate::transform) fn day_of_week(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}
