use millrace_sdk::java;

use super::calendar::{DAY_MS, civil, day_of_week, days};
use super::date_format::DateFormat;
use super::number::*;
use super::regex::Replacer;

/// 2024-02-29T13:05:09.007Z, a Thursday
const LEAP: i64 = 1_709_211_909_007;

#[test]
fn dates_are_written_as_java_writes_them() {
    for (pattern, millis, expected) in [
        ("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", LEAP, "2024-02-29T13:05:09.007Z"),
        ("yy/M/d h:mm a", LEAP, "24/2/29 1:05 PM"),
        ("EEE, dd MMM yyyy HH:mm:ss z", LEAP, "Thu, 29 Feb 2024 13:05:09 UTC"),
        ("EEEE MMMM zzzz", LEAP, "Thursday February Coordinated Universal Time"),
        ("Z XXX X", LEAP, "+0000 Z Z"),
        ("SSSSSS S", LEAP, "000007 7"),
        ("D DDD u k K", LEAP, "60 060 4 13 1"),
        ("h K k H", 0, "12 0 24 0"),
        ("''yyyy''", 0, "'1970'"),
        ("'o''clock'", 0, "o'clock"),
        ("y", 0, "1970"),
        ("yyyy-MM-dd HH:mm:ss.SSS", -1, "1969-12-31 23:59:59.999"),
        ("yyyy-MM-dd", -62_135_769_600_000, "0001-01-01"),
        ("yyyy-MM-dd", -12_219_292_800_000, "1582-10-15"),
        ("yyyy-MM-dd", -12_219_292_800_001, "1582-10-04"),
    ] {
        let mut text = String::new();
        DateFormat::new(pattern, LEAP).unwrap().format(millis, &mut text);
        assert_eq!(text, expected, "{pattern}");
    }
}

#[test]
fn dates_are_read_as_java_reads_them() {
    for (pattern, text, expected) in [
        ("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'", "2024-02-29T13:05:09.007Z", Some(LEAP)),
        ("yyyy-MM-dd HH:mm:ss.SSSX", "2024-02-29 15:05:09.007+02", Some(LEAP)),
        ("yyyy-MM-dd HH:mm:ss.SSSXXX", "2024-02-29 11:35:09.007-01:30", Some(LEAP)),
        ("yyyy-MM-dd HH:mm:ss.SSS Z", "2024-02-29 14:05:09.007 +0100", Some(LEAP)),
        ("yyyy-MM-dd HH:mm:ss.SSS z", "2024-02-29 14:05:09.007 GMT+1:00", Some(LEAP)),
        ("EEE, dd MMM yyyy HH:mm:ss z", "thu, 29 FEB 2024 13:05:09 gmt", Some(LEAP - 7)),
        ("dd MMMM yyyy", "1 May 1970", Some(120 * DAY_MS)),
        ("yyyyMMdd", "19700102", Some(DAY_MS)),
        ("yyyyMMddHHmmss", "19700101000001", Some(1000)),
        ("yyyy-MM-dd", "1970-01-02 and more", Some(DAY_MS)),
        ("yyyy-MM-dd", "1970-1-2", Some(DAY_MS)),
        ("yyyy-MM-dd", "1970-13-32", Some((365 + 31) * DAY_MS)),
        ("HH:mm:ss.SSS", "00:00:00.123456", Some(123_456)),
        ("h:mm a", "12:30 am", Some(30 * 60_000)),
        ("h:mm a", "12:30 PM", Some(750 * 60_000)),
        ("yy", "70", Some(0)),
        ("yy", "24", Some(days(2024, 1, 1) * DAY_MS)),
        ("yyyy DDD", "1970 002", Some(DAY_MS)),
        ("yyyy-MM-dd", "0001-01-01", Some(-62_135_769_600_000)),
        ("yyyy-MM-dd", "yesterday", None),
        ("yyyy-MM-dd", "1970/01/02", None),
        ("yyyy-MM-dd", "", None),
        ("MMM", "Foo", None),
        ("yyyyMMdd", "197", None),
        ("HH:mm X", "00:00 ü", None),
        ("MMMM", "Möp", None),
    ] {
        assert_eq!(DateFormat::new(pattern, LEAP).unwrap().parse(text), expected, "{pattern} {text}");
    }
}

#[test]
fn other_letters_are_refused_by_name() {
    for (pattern, part) in [("YYYY", "'Y' is not available"), ("yyyy'T", "Unterminated"), ("XXXX", "length=4")] {
        let error = DateFormat::new(pattern, 0).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn days_and_dates_are_inverse() {
    for day in (-800_000..800_000).step_by(37) {
        let (year, month, of_month) = civil(day);
        assert_eq!(days(year, month, of_month), day);
    }
    assert_eq!(day_of_week(0), 4);
    assert_eq!(civil(0), (1970, 1, 1));
    assert_eq!(days(1970, 14, 0), days(1971, 1, 31));
}

#[test]
fn numbers_have_javas_texts() {
    for (number, expected) in [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (1.0, "1.0"),
        (100.5, "100.5"),
        (1e7, "1.0E7"),
        (9_999_999.0, "9999999.0"),
        (0.001, "0.001"),
        (1.25e-4, "1.25E-4"),
        (-1.5e300, "-1.5E300"),
        (f64::NAN, "NaN"),
        (f64::NEG_INFINITY, "-Infinity"),
    ] {
        assert_eq!(java::double(number), expected);
    }
    let mut text = String::new();
    java::float_text(0.1, &mut text);
    assert_eq!(text, "0.1");
    assert_eq!(to_float(0.1, false), 0.1);
    assert_eq!(to_float(16_777_217.0, true), 16_777_216.0);
    for (text, expected) in [
        ("1.5", Some(1.5)),
        (" 1f ", Some(1.0)),
        ("+.5", Some(0.5)),
        ("1e3d", Some(1000.0)),
        ("-Infinity", Some(f64::NEG_INFINITY)),
        ("inf", None),
        ("", None),
        ("f", None),
        ("1_0", None),
    ] {
        assert_eq!(parse_double(text), expected, "{text}");
    }
    assert_eq!(parse_integer("127", 8), Some(127));
    assert_eq!(parse_integer("128", 8), None);
    assert_eq!(parse_integer(" 1", 8), None);
    assert_eq!(narrow(300, 8), 44);
    assert_eq!(narrow_double(-1e20, 32), i64::from(i32::MIN));
    assert_eq!(narrow_double(3e9, 8), -1);
    assert_eq!(low_bits("18446744073709551617"), Some(1));
}

#[test]
fn decimals_have_any_size() {
    for (text, printed) in [
        ("0", "0"),
        ("12.50", "12.50"),
        ("-0.05", "-0.05"),
        ("1e3", "1E+3"),
        ("0.0000001", "1E-7"),
        ("-123456789012345678901234567890123456789012345678.5", "-123456789012345678901234567890123456789012345678.5"),
        ("-128", "-128"),
        ("255", "255"),
    ] {
        let (negative, digits, scale) = parse_decimal(text).unwrap();
        assert_eq!(decimal_text(&decimal(negative, &digits, scale)), printed);
    }
    assert_eq!(decimal(true, "128", 0).unscaled.as_ref(), [0x80]);
    assert_eq!(decimal(false, "255", 0).unscaled.as_ref(), [0, 0xff]);
    assert_eq!(decimal_long(&decimal(true, "1999", 3)), -1);
    assert_eq!(decimal_long(&decimal(false, "5", -2)), 500);
    assert_eq!(decimal_double(&decimal(true, "125", 2)), -1.25);
    assert_eq!(parse_decimal("1.2.3"), None);
}

#[test]
fn replacements_follow_java() {
    for (pattern, replacement, topic, expected) in [
        ("(.*)", "x-$1", "orders", Some("x-orders")),
        ("orders", "lines", "my-orders", None),
        ("(a)(b)?.*", "$1$2!", "ac", Some("a!")),
        ("a|ab", "x", "ab", Some("xb")),
        ("(.*)", "\\$1$10", "t", Some("$1t0")),
        ("(?<name>.*)-v\\d+", "${name}", "t-v2", Some("t")),
    ] {
        let replacer = Replacer::new(pattern, replacement).unwrap();
        assert_eq!(replacer.replace(topic).as_deref(), expected, "{pattern} {replacement}");
    }
    for (pattern, replacement) in [("(", "x"), ("a", "$1"), ("a", "$x"), ("a", "${b}"), ("a", "\\")] {
        assert!(Replacer::new(pattern, replacement).is_err(), "{pattern} {replacement}");
    }
}
