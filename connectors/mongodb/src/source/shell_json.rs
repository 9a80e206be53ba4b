//! JSON as people write it for MongoDB: unquoted names, single quotes, `ObjectId("…")`, `ISODate("…")`, `/regex/i` and the like
//! become extended JSON, and that becomes BSON. As in the peer, a text that does not parse is tried again with its backslashes
//! doubled.

use std::iter::Peekable;
use std::str::Chars;

use mongodb::bson::{Bson, Document};

/// More than any pipeline needs.
const MAX_DEPTH: usize = 100;

/// An object.
///
/// # Errors
/// What is wrong with it.
pub(super) fn object(text: &str) -> Result<Document, String> {
    match parse(text)? {
        Bson::Document(document) => Ok(document),
        _ => Err("not a JSON object".to_owned()),
    }
}

/// An array of objects; empty for an empty text.
///
/// # Errors
/// What is wrong with it.
pub(super) fn objects(text: &str) -> Result<Vec<Document>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let Bson::Array(items) = parse(text)? else { return Err("not a JSON array".to_owned()) };
    let object = |item| match item {
        Bson::Document(document) => Ok(document),
        other => Err(format!("{other} is not a JSON object")),
    };
    items.into_iter().map(object).collect()
}

fn parse(text: &str) -> Result<Bson, String> {
    let once = |text: &str| {
        let json = strict(text)?;
        serde_json::from_str::<Bson>(&json).map_err(|error| error.to_string())
    };
    once(text).or_else(|error| once(&text.replace('\\', "\\\\")).map_err(|_| error))
}

/// The same as strict extended JSON.
fn strict(text: &str) -> Result<String, String> {
    let mut reader = Reader { chars: text.chars().peekable(), out: String::with_capacity(text.len() + 16) };
    reader.value(0)?;
    match reader.after_space() {
        None => Ok(reader.out),
        Some(more) => Err(format!("unexpected '{more}' after the end")),
    }
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
    out: String,
}

impl Reader<'_> {
    /// The next character that is no white space, not taken yet.
    fn after_space(&mut self) -> Option<char> {
        while self.chars.next_if(|c| c.is_whitespace()).is_some() {}
        self.chars.peek().copied()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.after_space() {
            Some(found) if found == wanted => {
                self.chars.next();
                Ok(())
            }
            Some(found) => Err(format!("expected '{wanted}', found '{found}'")),
            None => Err(format!("expected '{wanted}', found the end")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("nested too deeply".to_owned());
        }
        match self.after_space() {
            Some('{') => self.members('}', depth),
            Some('[') => self.members(']', depth),
            Some(quote @ ('"' | '\'')) => {
                let text = self.quoted(quote)?;
                self.string(&text);
                Ok(())
            }
            Some('/') => self.regex(),
            Some(c) if c.is_ascii_digit() || c == '-' || c == '+' || c == '.' => {
                self.number();
                Ok(())
            }
            Some(c) if is_name(c) => self.word(depth),
            Some(c) => Err(format!("unexpected '{c}'")),
            None => Err("unexpected end".to_owned()),
        }
    }

    fn members(&mut self, end: char, depth: usize) -> Result<(), String> {
        let open = self.chars.next().unwrap_or('{');
        self.out.push(open);
        let mut first = true;
        loop {
            match self.after_space() {
                Some(c) if c == end => break,
                // One comma too many is no mistake.
                Some(',') if !first => {
                    self.chars.next();
                    if self.after_space() == Some(end) {
                        break;
                    }
                    self.out.push(',');
                }
                Some(_) if first => {}
                Some(c) => return Err(format!("expected ',' or '{end}', found '{c}'")),
                None => return Err(format!("'{open}' is not closed")),
            }
            first = false;
            if open == '{' {
                let name = match self.after_space() {
                    Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
                    Some(c) if is_name(c) || c.is_ascii_digit() => self.name(),
                    Some(c) => return Err(format!("expected a name, found '{c}'")),
                    None => return Err("expected a name, found the end".to_owned()),
                };
                self.string(&name);
                self.expect(':')?;
                self.out.push(':');
            }
            self.value(depth + 1)?;
        }
        self.chars.next();
        self.out.push(end);
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.out.push_str(&serde_json::Value::from(text).to_string());
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.chars.next_if(|c| is_name(*c) || c.is_ascii_digit()) {
            name.push(c);
        }
        name
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        self.chars.next();
        let mut text = String::new();
        let mut units: Vec<u16> = Vec::new();
        loop {
            let c = self.chars.next().ok_or("a string is not closed")?;
            let escaped = if c == '\\' { Some(self.chars.next().ok_or("a string is not closed")?) } else { None };
            if escaped == Some('u') {
                let digits: String = self.chars.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&digits, 16).map_err(|_| format!("\\u{digits} is no character"))?);
                continue;
            }
            text.push_str(&String::from_utf16_lossy(&std::mem::take(&mut units)));
            match escaped {
                None if c == quote => return Ok(text),
                None => text.push(c),
                Some('b') => text.push('\u{8}'),
                Some('f') => text.push('\u{c}'),
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some(c @ ('"' | '\'' | '\\' | '/')) => text.push(c),
                Some(c) => return Err(format!("\\{c} is no escape")),
            }
        }
    }

    fn number(&mut self) {
        let mut text = String::new();
        while let Some(c) = self.chars.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')) {
            text.push(c);
        }
        // Wrong ones are found by the strict reader.
        match text.as_str() {
            "-Infinity" => self.out.push_str(r#"{"$numberDouble":"-Infinity"}"#),
            text => self.out.push_str(text.trim_start_matches('+')),
        }
    }

    /// `/pattern/options`
    fn regex(&mut self) -> Result<(), String> {
        self.chars.next();
        let mut pattern = String::new();
        loop {
            match self.chars.next().ok_or("a regular expression is not closed")? {
                '/' => break,
                '\\' if self.chars.next_if_eq(&'/').is_some() => pattern.push('/'),
                c => pattern.push(c),
            }
        }
        let options = self.name();
        self.regular_expression(&pattern, &options);
        Ok(())
    }

    fn regular_expression(&mut self, pattern: &str, options: &str) {
        self.out.push_str(r#"{"$regularExpression":{"pattern":"#);
        self.string(pattern);
        self.out.push_str(r#","options":"#);
        self.string(options);
        self.out.push_str("}}");
    }

    fn word(&mut self, depth: usize) -> Result<(), String> {
        let mut word = self.name();
        if word == "new" {
            self.after_space();
            word = self.name();
        }
        match word.as_str() {
            "true" | "false" | "null" => self.out.push_str(&word),
            "undefined" => self.out.push_str(r#"{"$undefined":true}"#),
            "NaN" | "Infinity" => self.out.push_str(&format!(r#"{{"$numberDouble":"{word}"}}"#)),
            "MinKey" | "MaxKey" => {
                if self.after_space() == Some('(') {
                    self.arguments(depth)?;
                }
                self.out.push_str(&format!(r#"{{"${}{}":1}}"#, word[..1].to_ascii_lowercase(), &word[1..]));
            }
            _ => self.call(&word, depth)?,
        }
        Ok(())
    }

    /// The arguments of a call, as JSON.
    fn arguments(&mut self, depth: usize) -> Result<Vec<String>, String> {
        self.expect('(')?;
        let mut arguments = Vec::new();
        let before = std::mem::take(&mut self.out);
        while self.after_space() != Some(')') {
            if !arguments.is_empty() {
                self.expect(',')?;
            }
            self.value(depth + 1)?;
            arguments.push(std::mem::take(&mut self.out));
        }
        self.chars.next();
        self.out = before;
        Ok(arguments)
    }

    fn call(&mut self, name: &str, depth: usize) -> Result<(), String> {
        if self.after_space() != Some('(') {
            return Err(format!("unexpected word {name}"));
        }
        let arguments = self.arguments(depth)?;
        let plain = |text: &String| text.trim_matches('"').to_owned();
        let first = arguments.first().map(plain).unwrap_or_default();
        let json = match (name, arguments.len()) {
            ("ObjectId", 1) => format!(r#"{{"$oid":"{first}"}}"#),
            ("ISODate" | "Date", 1) if arguments[0].starts_with('"') => format!(r#"{{"$date":"{first}"}}"#),
            ("ISODate" | "Date", 1) => format!(r#"{{"$date":{{"$numberLong":"{first}"}}}}"#),
            ("NumberInt" | "Int32", 1) => format!(r#"{{"$numberInt":"{first}"}}"#),
            ("NumberLong" | "Long", 1) => format!(r#"{{"$numberLong":"{first}"}}"#),
            ("NumberDecimal" | "Decimal128", 1) => format!(r#"{{"$numberDecimal":"{first}"}}"#),
            ("UUID", 1) => format!(r#"{{"$uuid":"{first}"}}"#),
            ("Timestamp", 2) => format!(r#"{{"$timestamp":{{"t":{first},"i":{}}}}}"#, plain(&arguments[1])),
            _ => return Err(format!("{name}(…) with {} arguments is not known", arguments.len())),
        };
        self.out.push_str(&json);
        Ok(())
    }
}

fn is_name(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, strict_text) in [
            (r#"[{"$match": {"a": 1}}]"#, r#"[{"$match": {"a": 1}}]"#),
            (
                "[{$match: {'operationType': \"insert\", x: {$in: [1, -2.5,]}}},]",
                r#"[{"$match": {"operationType": "insert", "x": {"$in": [1, -2.5]}}}]"#,
            ),
            ("{a: ObjectId('507f1f77bcf86cd799439011')}", r#"{"a": {"$oid": "507f1f77bcf86cd799439011"}}"#),
            (
                "{a: ISODate(\"2020-01-01T00:00:00Z\"), b: new Date(5)}",
                r#"{"a": {"$date": "2020-01-01T00:00:00Z"}, "b": {"$date": {"$numberLong": "5"}}}"#,
            ),
            (
                "{a: NumberLong(7), b: NumberDecimal('1.5'), c: Timestamp(1, 2)}",
                r#"{"a": {"$numberLong": "7"}, "b": {"$numberDecimal": "1.5"}, "c": {"$timestamp": {"t": 1, "i": 2}}}"#,
            ),
            (r"{a: /^x\/y\d/i}", r#"{"a": {"$regularExpression": {"pattern": "^x/y\\d", "options": "i"}}}"#),
            (
                "{a: null, b: true, c: undefined, d: MinKey}",
                r#"{"a": null, "b": true, "c": {"$undefined": true}, "d": {"$minKey": 1}}"#,
            ),
            (r#"{"a": "\u00e4\ud83d\ude00\n"}"#, "{\"a\": \"ä😀\\n\"}"),
        ] {
            let expected: Bson =
                serde_json::from_str(strict_text).unwrap_or_else(|error| panic!("{strict_text}: {error}"));
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn backslashes_are_doubled_when_nothing_else_helps() {
        let map = object(r#"{"/db\.x": "t"}"#).unwrap_or_default();
        assert_eq!(map.keys().collect::<Vec<_>>(), [r"/db\.x"]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, message) in [
            ("[1]", "1 is not a JSON object"),
            ("{}", "not a JSON array"),
            ("[{]", "expected a name, found ']'"),
            ("[{a: 1}", "'[' is not closed"),
            ("[{a: foo}]", "unexpected word foo"),
            ("[{a: 'x}]", "a string is not closed"),
            ("[] x", "unexpected 'x' after the end"),
        ] {
            assert_eq!(objects(text), Err(message.to_owned()), "{text}");
        }
        assert!(objects(&"[".repeat(100_000)).is_err());
    }
}
