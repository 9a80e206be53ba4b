//! Java's properties format: comments, continuation lines, `=`, `:` or white space between key and value, escapes.

use std::collections::BTreeMap;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub(crate) struct PropertiesError {
    /// From 1
    pub(crate) line: usize,
    what: &'static str,
}

/// Keys and values; of a key that comes twice the last value, as in Java.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, PropertiesError> {
    let mut entries = BTreeMap::new();
    for (line, logical) in logical_lines(text) {
        let (key, value) = split(&logical);
        let wrong = |what| PropertiesError { line, what };
        let key = unescape(key).map_err(wrong)?;
        if key.is_empty() {
            return Err(wrong("there is no key in front of the separator"));
        }
        entries.insert(key, unescape(value).map_err(wrong)?);
    }
    Ok(entries)
}

/// Lines with their continuations joined, with the number of the first; blank lines and comments left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches([' ', '\t', '\u{c}']);
        let (first, mut joined) = match open.take() {
            Some(open) => open,
            None if line.is_empty() || line.starts_with(['#', '!']) => continue,
            None => (index + 1, String::new()),
        };
        // An odd number of backslashes at the end: the last one escapes the line's end.
        let backslashes = line.len() - line.trim_end_matches('\\').len();
        if backslashes % 2 == 1 {
            joined.push_str(&line[..line.len() - 1]);
            open = Some((first, joined));
        } else {
            joined.push_str(line);
            lines.push((first, joined));
        }
    }
    lines.extend(open);
    lines
}

/// Key and value, both still escaped.
fn split(line: &str) -> (&str, &str) {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\u{c}');
    let mut escaped = false;
    let mut key_end = line.len();
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if blank(c) || c == '=' || c == ':' {
            key_end = at;
            break;
        }
    }
    let (key, rest) = line.split_at(key_end);
    let rest = rest.trim_start_matches(blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(blank))
}

fn unescape(text: &str) -> Result<String, &'static str> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut buffer = [0; 2];
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        let plain = match c {
            '\\' => match characters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some('u') => {
                    let digits: String = characters.by_ref().take(4).collect();
                    let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4);
                    units.push(unit.ok_or("\\u must be followed by four hexadecimal digits")?);
                    continue;
                }
                Some(other) => other,
                None => continue,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut buffer));
    }
    // \u writes UTF-16 units, so that a character beyond the first plane is two of them.
    String::from_utf16(&units).map_err(|_| "\\u escapes form no character")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_java_does() {
        let text = "# comment\n! comment\n\n  a=1\nb : two words \nc three\nd\n\
                    long = one, \\\n    two\\\\\n\
                    key\\ with\\:sign = x=y:z\n\
                    uni = \\u00e9\\uD83D\\uDE00\\t|\\q\nwindows=yes\r\na = 2\nopen=x\\";
        let entries = parse(text).expect("valid");
        for (key, value) in [
            ("a", "2"),
            ("b", "two words "),
            ("c", "three"),
            ("d", ""),
            ("long", "one, two\\"),
            ("key with:sign", "x=y:z"),
            ("uni", "é😀\t|q"),
            ("windows", "yes"),
            ("open", "x"),
        ] {
            assert_eq!(entries.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert_eq!(entries.len(), 9);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, error) in [
            ("a=1\nb=\\u12", "line 2: \\u must be followed by four hexadecimal digits"),
            ("\n = x", "line 2: there is no key in front of the separator"),
            ("a=\\uD800", "line 1: \\u escapes form no character"),
        ] {
            assert_eq!(parse(text).expect_err("invalid").to_string(), error);
        }
    }
}
