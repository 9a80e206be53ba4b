//! From text to path.

use fancy_regex::Regex;
use millrace_sdk::{Text, Value};

use super::{Condition, Operand, Operator, Path, Step};

/// Deeper nesting of conditions and lists is refused.
const MAX_DEPTH: usize = 32;

type Parsed<T> = Result<T, String>;

pub(super) fn path(text: &str) -> Parsed<Path> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    parser.space();
    let path = parser.path()?;
    parser.space();
    if parser.rest().is_empty() { Ok(path) } else { Err(parser.wrong("something that does not belong to the path")) }
}

impl Path {
    /// Whether it finds one value at most.
    pub(super) fn is_definite(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Fields(names) => names.len() == 1,
            Step::Elements(indexes) => indexes.len() == 1,
            _ => false,
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn wrong(&self, what: &str) -> String {
        let rest: String = self.rest().chars().take(20).collect();
        let place = if rest.is_empty() { "at the end".to_owned() } else { format!("at \"{rest}\"") };
        format!("{what} {place} (character {})", self.text[..self.at].chars().count() + 1)
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Parsed<()> {
        self.space();
        if self.eat(token) { Ok(()) } else { Err(self.wrong(&format!("\"{token}\" expected"))) }
    }

    /// A word such as `in`, not the beginning of a longer one.
    fn word(&mut self, word: &str) -> bool {
        let follows = |rest: &str| rest.chars().next().is_none_or(|next| !next.is_alphanumeric() && next != '_');
        let found = self.rest().get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && follows(&self.rest()[word.len()..]);
        if found {
            self.at += word.len();
        }
        found
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(&format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let parsed = parse(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    fn path(&mut self) -> Parsed<Path> {
        let from_root = match () {
            () if self.eat("$") => true,
            () if self.eat("@") => false,
            () => return Err(self.wrong("\"$\" or \"@\" expected")),
        };
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                steps.push(Step::Descend);
                if !self.rest().starts_with('[') {
                    steps.push(self.name()?);
                }
            } else if self.eat(".") {
                steps.push(self.name()?);
            } else if self.eat("[") {
                steps.push(self.deeper(Self::brackets)?);
            } else {
                return Ok(Path { from_root, steps });
            }
        }
    }

    fn name(&mut self) -> Parsed<Step> {
        if self.eat("*") {
            return Ok(Step::All);
        }
        let part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '$') || !letter.is_ascii();
        let length = self.rest().find(|letter| !part(letter)).unwrap_or(self.rest().len());
        if length == 0 {
            return Err(self.wrong("a name expected"));
        }
        let name = &self.rest()[..length];
        if self.rest()[length..].starts_with('(') {
            return Err(self.wrong("functions are not available"));
        }
        self.at += length;
        Ok(Step::Fields(vec![name.to_owned()]))
    }

    /// What stands between brackets.
    fn brackets(&mut self) -> Parsed<Step> {
        self.space();
        let step = if self.eat("?") {
            self.expect("(")?;
            let condition = self.or()?;
            self.expect(")")?;
            Step::Filter(condition)
        } else if self.eat("*") {
            Step::All
        } else if self.rest().starts_with(['\'', '"']) {
            let mut names = vec![self.text()?];
            self.space();
            while self.eat(",") {
                self.space();
                names.push(self.text()?);
                self.space();
            }
            Step::Fields(names)
        } else {
            self.elements()?
        };
        self.expect("]")?;
        Ok(step)
    }

    fn elements(&mut self) -> Parsed<Step> {
        let first = self.index()?;
        self.space();
        if self.eat(":") {
            self.space();
            return Ok(Step::Slice(first, self.index()?));
        }
        let mut indexes = vec![first.ok_or_else(|| self.wrong("an index, a name in quotes or ?(…) expected"))?];
        while self.eat(",") {
            self.space();
            indexes.push(self.index()?.ok_or_else(|| self.wrong("an index expected"))?);
            self.space();
        }
        Ok(Step::Elements(indexes))
    }

    fn index(&mut self) -> Parsed<Option<i64>> {
        let sign = usize::from(self.rest().starts_with('-'));
        let digits = self.rest()[sign..].bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return Ok(None);
        }
        let number = self.rest()[..sign + digits].parse().map_err(|_| self.wrong("too large an index"))?;
        self.at += sign + digits;
        Ok(Some(number))
    }

    /// A text in single or double quotes.
    fn text(&mut self) -> Parsed<String> {
        let Some(quote) = self.rest().chars().next().filter(|quote| matches!(quote, '\'' | '"')) else {
            return Err(self.wrong("a text in quotes expected"));
        };
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        let mut letters = self.rest().char_indices();
        while let Some((index, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    Some((_, 'u')) => {
                        let digits: String = letters.by_ref().take(4).map(|(_, digit)| digit).collect();
                        let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                        out.push(code.ok_or_else(|| self.wrong("four hexadecimal digits expected after \\u"))?);
                    }
                    Some((_, other)) => out.push(other),
                    None => break,
                },
                letter if letter == quote => {
                    self.at += index + 1;
                    return Ok(out);
                }
                letter => out.push(letter),
            }
        }
        self.at = start;
        Err(self.wrong("a text that does not end"))
    }

    fn or(&mut self) -> Parsed<Condition> {
        let mut parts = vec![self.and()?];
        while self.next_is("||") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Or(parts) })
    }

    fn and(&mut self) -> Parsed<Condition> {
        let mut parts = vec![self.single()?];
        while self.next_is("&&") {
            parts.push(self.single()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::And(parts) })
    }

    fn next_is(&mut self, token: &str) -> bool {
        self.space();
        self.eat(token)
    }

    fn single(&mut self) -> Parsed<Condition> {
        self.space();
        if self.rest().starts_with('!') {
            self.at += 1;
            return self.deeper(|parser| Ok(Condition::Not(Box::new(parser.single()?))));
        }
        if self.eat("(") {
            let condition = self.deeper(Self::or)?;
            self.expect(")")?;
            return Ok(condition);
        }
        let left = self.operand()?;
        self.space();
        let Some(operator) = self.operator() else {
            return match left {
                Operand::Path(path) => Ok(Condition::Exists(path)),
                _ => Err(self.wrong("an operator such as == expected")),
            };
        };
        self.space();
        let right = self.operand()?;
        if (operator == Operator::Matches) != matches!(right, Operand::Regex(_)) {
            return Err(self.wrong("=~ and /regular expressions/ belong together"));
        }
        Ok(Condition::Compare(left, operator, right))
    }

    fn operator(&mut self) -> Option<Operator> {
        const SIGNS: &[(&str, Operator)] = &[
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("=~", Operator::Matches),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        const WORDS: &[(&str, Operator)] = &[
            ("in", Operator::In),
            ("nin", Operator::NotIn),
            ("subsetof", Operator::SubsetOf),
            ("anyof", Operator::AnyOf),
            ("noneof", Operator::NoneOf),
            ("size", Operator::Size),
            ("empty", Operator::Empty),
            ("contains", Operator::Contains),
        ];
        let sign = SIGNS.iter().find(|(sign, _)| self.eat(sign));
        sign.or_else(|| WORDS.iter().find(|(word, _)| self.word(word))).map(|(_, operator)| *operator)
    }

    fn operand(&mut self) -> Parsed<Operand> {
        match self.rest().chars().next() {
            Some('$' | '@') => self.path().map(Operand::Path),
            Some('/') => self.regex(),
            _ => self.deeper(Self::literal).map(Operand::Literal),
        }
    }

    fn literal(&mut self) -> Parsed<Value> {
        self.space();
        if self.rest().starts_with(['\'', '"']) {
            return self.text().map(|text| Value::Str(Text::from(text)));
        }
        if self.eat("[") {
            let mut items = Vec::new();
            loop {
                self.space();
                if self.eat("]") {
                    return Ok(Value::List(items));
                }
                if !items.is_empty() {
                    self.expect(",")?;
                }
                items.push(self.deeper(Self::literal)?);
            }
        }
        for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
            if self.word(word) {
                return Ok(value);
            }
        }
        let part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.rest().bytes().take_while(|byte| part(byte)).count();
        let text = &self.rest()[..length];
        let number = text.parse().map(Value::Int).or_else(|_| text.parse().map(Value::Float));
        match number {
            Ok(number) if text.starts_with(|first: char| first.is_ascii_digit() || first == '-') => {
                self.at += length;
                Ok(number)
            }
            _ => Err(self.wrong("a path, a number, a text in quotes, a list, true, false or null expected")),
        }
    }

    /// `/expression/flags`
    fn regex(&mut self) -> Parsed<Operand> {
        let body = &self.rest()[1..];
        let mut escaped = false;
        let end = body.find(|letter| {
            let ends = letter == '/' && !escaped;
            escaped = letter == '\\' && !escaped;
            ends
        });
        let Some(end) = end else { return Err(self.wrong("a regular expression that does not end")) };
        let flags: String = body[end + 1..].chars().take_while(char::is_ascii_alphabetic).collect();
        if !flags.chars().all(|flag| matches!(flag, 'i' | 'm' | 's' | 'x' | 'u' | 'd')) {
            return Err(self.wrong("unknown flags of a regular expression"));
        }
        let ours: String = flags.chars().filter(|flag| !matches!(flag, 'u' | 'd')).collect();
        let prefix = if ours.is_empty() { String::new() } else { format!("(?{ours})") };
        // The whole text must match, as in Jayway's.
        let expression = format!(r"{prefix}\A(?:{})\z", body[..end].replace("\\/", "/"));
        let regex = Regex::new(&expression).map_err(|error| self.wrong(&format!("{error}")))?;
        self.at += 1 + end + 1 + flags.len();
        Ok(Operand::Regex(regex))
    }
}
