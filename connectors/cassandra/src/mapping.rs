//! The mapping language: `column=key.field, column=value.a.b, column=value, column=header.h, __ttl=…, __timestamp=…,
//! column=now()`. Names may be in double quotes (a doubled quote stands for itself). Unquoted names are taken literally,
//! case and all, as the DataStax connector does. Knows nothing of tables.

use std::fmt;

/// What a mapped field fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A column
    Column(String),
    /// The row's time to live
    Ttl,
    /// The row's write time
    Timestamp,
}

/// Where a value comes from. An empty path is the whole key or value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Field {
    /// A field of the key
    Key(Vec<String>),
    /// A field of the value
    Value(Vec<String>),
    /// The first header of that name
    Header(String),
    /// A new time-based UUID, made by the database
    Now,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dotted = |f: &mut fmt::Formatter<'_>, root: &str, path: &[String]| {
            f.write_str(root)?;
            path.iter().try_for_each(|name| write!(f, ".{name}"))
        };
        match self {
            Self::Key(path) => dotted(f, "key", path),
            Self::Value(path) => dotted(f, "value", path),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Now => f.write_str("now()"),
        }
    }
}

/// One `target=field`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) target: Target,
    pub(crate) field: Field,
}

/// Parses a mapping.
///
/// # Errors
/// What is wrong, with the character (from 1) where it was seen.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut parser = Parser { chars: text.chars().collect(), at: 0 };
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        let start = parser.skip_space();
        let entry = parser.entry()?;
        if entries.iter().any(|earlier| earlier.target == entry.target) {
            return Err(format!("{} is mapped twice (second time at character {})", name_of(&entry.target), start + 1));
        }
        entries.push(entry);
        parser.skip_space();
        match parser.peek() {
            None => return Ok(entries),
            Some(',') => parser.at += 1,
            Some(other) => {
                return Err(format!("expected ',' or the end at character {}, found '{other}'", parser.at + 1));
            }
        }
    }
}

fn name_of(target: &Target) -> String {
    match target {
        Target::Column(name) => format!("column {name}"),
        Target::Ttl => "__ttl".to_owned(),
        Target::Timestamp => "__timestamp".to_owned(),
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

struct Name {
    text: String,
    quoted: bool,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_space(&mut self) -> usize {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.at
    }

    fn entry(&mut self) -> Result<Entry, String> {
        let column = self.name("a column name")?;
        self.skip_space();
        if self.peek() != Some('=') {
            let found = self.peek().map_or("the end".to_owned(), |c| format!("'{c}'"));
            return Err(format!(
                "expected '=' after column {} at character {}, found {found}",
                column.text,
                self.at + 1
            ));
        }
        self.at += 1;
        self.skip_space();
        let target = match column.text.as_str() {
            "__ttl" if !column.quoted => Target::Ttl,
            "__timestamp" if !column.quoted => Target::Timestamp,
            _ => Target::Column(column.text),
        };
        Ok(Entry { target, field: self.field()? })
    }

    fn field(&mut self) -> Result<Field, String> {
        let start = self.at;
        let first = self.name("a field")?;
        if self.peek() == Some('(') {
            return self.function(&first.text, start);
        }
        let mut path: Vec<String> = if first.quoted {
            // The peer quotes the field as a whole: "value.some field".
            first.text.split('.').map(str::to_owned).collect()
        } else {
            vec![first.text]
        };
        while self.peek() == Some('.') {
            self.at += 1;
            path.push(self.name("a field name after '.'")?.text);
        }
        let rest = path.split_off(1);
        match path[0].as_str() {
            "key" => Ok(Field::Key(rest)),
            "value" => Ok(Field::Value(rest)),
            "header" if !rest.is_empty() => Ok(Field::Header(rest.join("."))),
            "header" => Err(format!("header needs a name, as in header.trace_id, at character {}", start + 1)),
            other => Err(format!(
                "invalid field '{other}' at character {}: a field is key, value, key.…, value.…, header.… or now()",
                start + 1
            )),
        }
    }

    fn function(&mut self, name: &str, start: usize) -> Result<Field, String> {
        self.at += 1;
        self.skip_space();
        if self.peek() != Some(')') {
            return Err(format!("expected ')' at character {}", self.at + 1));
        }
        self.at += 1;
        if name.eq_ignore_ascii_case("now") {
            return Ok(Field::Now);
        }
        Err(format!("unknown function {name}() at character {}; now() is the only one", start + 1))
    }

    fn name(&mut self, expected: &str) -> Result<Name, String> {
        let start = self.at;
        if self.peek() == Some('"') {
            return self.quoted_name(start);
        }
        while self.peek().is_some_and(|c| !c.is_whitespace() && !",=.\"()".contains(c)) {
            self.at += 1;
        }
        if self.at == start {
            let found = self.peek().map_or("the end".to_owned(), |c| format!("'{c}'"));
            return Err(format!("expected {expected} at character {}, found {found}", start + 1));
        }
        Ok(Name { text: self.chars[start..self.at].iter().collect(), quoted: false })
    }

    fn quoted_name(&mut self, start: usize) -> Result<Name, String> {
        let mut text = String::new();
        self.at += 1;
        loop {
            match self.peek() {
                Some('"') if self.chars.get(self.at + 1) == Some(&'"') => {
                    text.push('"');
                    self.at += 2;
                }
                Some('"') => {
                    self.at += 1;
                    break;
                }
                Some(c) => {
                    text.push(c);
                    self.at += 1;
                }
                None => return Err(format!("the quote opened at character {} is not closed", start + 1)),
            }
        }
        if text.is_empty() {
            return Err(format!("empty quoted name at character {}", start + 1));
        }
        Ok(Name { text, quoted: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, field: Field) -> Entry {
        Entry { target: Target::Column(name.to_owned()), field }
    }

    fn path(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn mappings_are_read() {
        let cases: &[(&str, Vec<Entry>)] = &[
            ("kafka_key=key", vec![column("kafka_key", Field::Key(vec![]))]),
            (
                "order_id=value.order_id, amount=value.a.b",
                vec![
                    column("order_id", Field::Value(path(&["order_id"]))),
                    column("amount", Field::Value(path(&["a", "b"]))),
                ],
            ),
            (
                " a = key.f ,\n b=header.trace.id",
                vec![column("a", Field::Key(path(&["f"]))), column("b", Field::Header("trace.id".to_owned()))],
            ),
            (r#""My ""Col"=value."x.y".z"#, vec![column("My \"Col", Field::Value(path(&["x.y", "z"])))]),
            (r#"c="value.some field""#, vec![column("c", Field::Value(path(&["some field"])))]),
            ("id=now()", vec![column("id", Field::Now)]),
            (
                "a=key,__ttl=value.t,__timestamp=value.ts,\"__ttl\"=value.x",
                vec![
                    column("a", Field::Key(vec![])),
                    Entry { target: Target::Ttl, field: Field::Value(path(&["t"])) },
                    Entry { target: Target::Timestamp, field: Field::Value(path(&["ts"])) },
                    column("__ttl", Field::Value(path(&["x"]))),
                ],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).as_ref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_are_placed() {
        let cases = [
            ("", "expected a column name at character 1, found the end"),
            ("a", "expected '=' after column a at character 2, found the end"),
            ("a=key,", "expected a column name at character 7, found the end"),
            ("a=key b=value", "expected ',' or the end at character 7, found 'b'"),
            ("a=valeu.x", "invalid field 'valeu' at character 3"),
            ("a=value.", "expected a field name after '.' at character 9, found the end"),
            ("a=key, a=value", "column a is mapped twice (second time at character 8)"),
            ("a=uuid()", "unknown function uuid() at character 3"),
            ("a=\"value.x", "the quote opened at character 3 is not closed"),
            ("a=header", "header needs a name"),
        ];
        for (text, message) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
