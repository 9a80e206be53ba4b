//! The text of a header as tokens: the delimiters `: , { } [ ] "` unless a backslash stands before them, and what lies between.

/// A reader of tokens which can go back.
pub(super) struct Tokens<'a> {
    text: &'a str,
    at: usize,
    /// Looked at, not taken
    next: Option<&'a str>,
}

fn is_blank(text: &str) -> bool {
    trim(text).is_empty()
}

/// Java's `trim`
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, next: None }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Where the next token begins, for [`Tokens::back_to`].
    pub(super) fn mark(&self) -> usize {
        self.at - self.next.map_or(0, str::len)
    }

    pub(super) fn back_to(&mut self, mark: usize) {
        self.at = mark;
        self.next = None;
    }

    pub(super) fn has_next(&self) -> bool {
        self.next.is_some() || self.at < self.text.len()
    }

    pub(super) fn take(&mut self) -> &'a str {
        match self.next.take() {
            Some(token) => token,
            None => self.cut(),
        }
    }

    /// The text of the next `count` tokens; none is taken when there are fewer.
    pub(super) fn take_many(&mut self, count: usize) -> Option<&'a str> {
        let start = self.mark();
        for _ in 0..count {
            if !self.has_next() {
                self.back_to(start);
                return None;
            }
            self.take();
        }
        Some(&self.text[start..self.at])
    }

    /// Takes the next token if it is this one, white space around it aside; blank tokens on the way are dropped.
    pub(super) fn take_if(&mut self, expected: &str) -> bool {
        let mut token = match self.next {
            Some(token) => token,
            None if self.at < self.text.len() => self.cut(),
            None => return false,
        };
        while is_blank(token) && self.at < self.text.len() {
            token = self.cut();
        }
        let found = trim(token) == expected;
        self.next = (!found).then_some(token);
        found
    }

    fn cut(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let mut length = rest.len();
        for (index, byte) in rest.bytes().enumerate() {
            match byte {
                b'\\' => escaped = !escaped,
                b':' | b',' | b'{' | b'}' | b'[' | b']' | b'"' if !escaped => {
                    length = index.max(1);
                    break;
                }
                _ => escaped = false,
            }
        }
        self.at += length;
        &rest[..length]
    }
}
