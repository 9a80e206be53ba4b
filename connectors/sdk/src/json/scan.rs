//! Walks over JSON text without building anything: one pass that checks all of the syntax, and tells where a value, a name or
//! a text begins and ends. UTF-8 is the caller's concern. A map or list is either passed over as one value ([`Scanner::token`])
//! or entered and walked member by member.

use std::ops::Range;

use super::MAX_DEPTH;
use super::marks::Marks;

/// Why a walk ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON from this byte on
    Syntax(usize),
    /// Nested deeper than [`MAX_DEPTH`]
    Depth,
}

/// A text's content, without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    pub content: Range<usize>,
    /// Whether there is a backslash in it
    pub escaped: bool,
}

/// A value, by what it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Text(Quoted),
    Number(Range<usize>),
    /// `true`, `false` or `null`, with its first letter
    Word(u8, Range<usize>),
    /// A map or list
    Nested(Range<usize>),
}

impl Token {
    /// Where it stands, quotes included.
    pub fn range(self) -> Range<usize> {
        match self {
            Self::Text(text) => text.content.start - 1..text.content.end + 1,
            Self::Number(range) | Self::Word(_, range) | Self::Nested(range) => range,
        }
    }
}

/// A place in JSON text.
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Levels around what is walked over as one value
    outer: usize,
    marks: Marks,
}

type Scanned<T> = Result<T, Fault>;

impl<'a> Scanner<'a> {
    /// At the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::at(bytes, 0)
    }

    /// At a byte of `bytes` where a value begins.
    #[must_use]
    pub fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, outer: 0, marks: Marks::none() }
    }

    /// The place of the byte that comes next.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Passes over all that is left, unseen.
    pub fn leave(&mut self) {
        (self.at, self.outer) = (self.bytes.len(), 0);
    }

    /// Takes the bracket of a map or list that is walked over member by member until [`Self::more`] says no; it is a level
    /// that counts. False when another byte comes next.
    ///
    /// # Errors
    /// When there are too many levels.
    pub fn enter(&mut self, open: u8) -> Scanned<bool> {
        if !self.take(open) {
            return Ok(false);
        }
        if self.outer == MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.outer += 1;
        Ok(true)
    }

    /// The next byte that is no white space; it is not taken.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes a byte after white space, if it is the next one.
    #[inline]
    pub fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// As [`Self::take`], and it must be there.
    #[inline]
    pub fn expect(&mut self, wanted: u8) -> Scanned<()> {
        if self.take(wanted) { Ok(()) } else { self.wrong() }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Scanned<()> {
        if self.peek().is_none() { Ok(()) } else { self.wrong() }
    }

    fn wrong<T>(&self) -> Scanned<T> {
        Err(Fault::Syntax(self.at))
    }

    /// A text.
    #[inline]
    pub fn text(&mut self) -> Scanned<Quoted> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = self.marks.next(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Quoted { content: start..self.at - 1, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.wrong(),
            }
        }
    }

    fn escape(&mut self) -> Scanned<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                // Half a character beyond 16 bits is no text that UTF-8 could hold.
                let Some(unit) = self.unit(self.at) else { return self.wrong() };
                self.at += match unit {
                    0xd800..0xdc00 => match self.unit(self.at + 6) {
                        Some(0xdc00..0xe000) => 12,
                        _ => return self.wrong(),
                    },
                    0xdc00..0xe000 => return self.wrong(),
                    _ => 6,
                };
            }
            _ => return self.wrong(),
        }
        Ok(())
    }

    /// The code unit of an escape such as `\u00e9`, if one begins there.
    fn unit(&self, at: usize) -> Option<u32> {
        let escape = self.bytes.get(at..at + 6).filter(|escape| escape.starts_with(b"\\u"))?;
        escape[2..].iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    }

    /// A name and the colon after it.
    #[inline]
    pub fn name(&mut self) -> Scanned<Quoted> {
        let name = self.text()?;
        self.expect(b':')?;
        Ok(name)
    }

    /// Takes a name, and the colon after it, if it is written like this one in its quotes.
    ///
    /// # Errors
    /// When it is, and no colon follows.
    #[inline]
    pub fn name_is(&mut self, quoted: &[u8]) -> Scanned<bool> {
        self.peek();
        if !begins_with(&self.bytes[self.at..], quoted) {
            return Ok(false);
        }
        self.at += quoted.len();
        self.expect(b':')?;
        Ok(true)
    }

    /// Whether one more member follows in a map or list that ends with `close`; `index` counts those before it. The end is
    /// taken, and so are commas.
    #[inline]
    pub fn more(&mut self, index: usize, close: u8) -> Scanned<bool> {
        let ended = if index == 0 {
            self.take(close)
        } else if self.take(b',') {
            false
        } else {
            self.expect(close)?;
            true
        };
        self.outer -= usize::from(ended);
        Ok(!ended)
    }

    /// A whole value and what it is.
    #[inline]
    pub fn token(&mut self) -> Scanned<Token> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => return self.text().map(Token::Text),
            Some(b'{' | b'[') => self.nested()?,
            _ => self.scalar(first)?,
        }
        let range = start..self.at;
        Ok(match first {
            Some(b'{' | b'[') => Token::Nested(range),
            Some(word @ b'a'..=b'z') => Token::Word(word, range),
            _ => Token::Number(range),
        })
    }

    /// A whole value, whatever is in it; white space around it is not part of the answer.
    pub fn value(&mut self) -> Scanned<Range<usize>> {
        self.peek();
        let start = self.at;
        self.pass()?;
        Ok(start..self.at)
    }

    /// Walks over a whole value.
    #[inline]
    pub fn pass(&mut self) -> Scanned<()> {
        match self.peek() {
            Some(b'{' | b'[') => self.nested(),
            first => self.scalar(first),
        }
    }

    fn scalar(&mut self, first: Option<u8>) -> Scanned<()> {
        match first {
            Some(b'"') => self.text().map(|_| ()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.wrong(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Scanned<()> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.wrong()
    }

    fn digits(&mut self) -> Scanned<()> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { self.wrong() }
    }

    fn number(&mut self) -> Scanned<()> {
        self.at += usize::from(self.bytes.get(self.at) == Some(&b'-'));
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(())
    }

    /// A map or list. No recursion: one bit per level says which of the two it is.
    fn nested(&mut self) -> Scanned<()> {
        const _: () = assert!(MAX_DEPTH <= u128::BITS as usize);
        let (mut maps, mut depth) = (0_u128, self.outer);
        loop {
            // A value begins.
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    if depth == MAX_DEPTH {
                        return Err(Fault::Depth);
                    }
                    depth += 1;
                    maps = maps << 1 | u128::from(open == b'{');
                    // An empty one ends at once; any other begins with a member.
                    let is_map = open == b'{';
                    if self.peek() != Some(if is_map { b'}' } else { b']' }) {
                        if is_map {
                            self.name()?;
                        }
                        continue;
                    }
                }
                other => self.scalar(other)?,
            }
            // A value has ended: so do all levels that end here.
            loop {
                let is_map = maps & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if is_map {
                            self.name()?;
                        }
                        break;
                    }
                    Some(b'}') if is_map => self.at += 1,
                    Some(b']') if !is_map => self.at += 1,
                    _ => return self.wrong(),
                }
                depth -= 1;
                maps >>= 1;
                if depth == self.outer {
                    return Ok(());
                }
            }
        }
    }
}

/// Short texts are compared as numbers, which takes less time than the call of a function.
#[inline]
fn begins_with(bytes: &[u8], wanted: &[u8]) -> bool {
    let Some(bytes) = bytes.get(..wanted.len()) else { return false };
    match wanted.len() {
        8..=16 => bytes.first_chunk::<8>() == wanted.first_chunk() && bytes.last_chunk::<8>() == wanted.last_chunk(),
        4..=7 => bytes.first_chunk::<4>() == wanted.first_chunk() && bytes.last_chunk::<4>() == wanted.last_chunk(),
        _ => bytes == wanted,
    }
}
