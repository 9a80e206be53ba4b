//! A Rust file as the rules see it: which part of it is tests, and its code without comments and literals.

/// One Rust file of the workspace.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// `text` with comments and the contents of literals blanked out; the lines stay where they are.
    pub(crate) code: String,
    /// The whole file is test code.
    pub(crate) is_test: bool,
}

impl Source {
    /// `test_files` are the files that others declare as test modules.
    pub(crate) fn new(path: String, text: String, test_files: &[String]) -> Self {
        let is_test = path.starts_with("tests/")
            || path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || test_files.contains(&path);
        let code = blank(&text);
        Self { path, text, code, is_test }
    }

    /// Lines before an inline test module, all when there is none.
    pub(crate) fn code_lines(&self) -> usize {
        inline_tests(&self.code).unwrap_or_else(|| self.text.lines().count())
    }

    /// Lines of an inline test module.
    pub(crate) fn inline_test_lines(&self) -> usize {
        inline_tests(&self.code).map_or(0, |start| self.text.lines().count() - start)
    }

    /// Numbered lines of code that is in the product: none of a test file, those before the inline tests of another.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let count = if self.is_test { 0 } else { self.code_lines() };
        self.code.lines().take(count).enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// The line (from 0) where `#[cfg(test)] mod x {` starts.
fn inline_tests(code: &str) -> Option<usize> {
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    (0..lines.len()).find(|&index| {
        lines[index] == "#[cfg(test)]"
            && lines[index + 1..].iter().find(|line| !line.starts_with("#[")).is_some_and(|line| is_inline_module(line))
    })
}

fn is_inline_module(line: &str) -> bool {
    (line.starts_with("mod ") || line.starts_with("pub") && line.contains(" mod ")) && line.ends_with('{')
}

/// The files that `path` declares as test modules (`#[cfg(test)] mod x;`).
pub(crate) fn test_modules(path: &str, text: &str) -> Vec<String> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.trim_end_matches(".rs");
    let inside = match stem {
        "lib" | "main" | "mod" => folder.to_owned(),
        _ => format!("{folder}/{stem}"),
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| Some(pair[1].strip_suffix(';')?.rsplit_once("mod ")?.1.to_owned()))
        .flat_map(|name| [format!("{inside}/{name}.rs"), format!("{inside}/{name}/mod.rs")])
        .collect()
}

/// Blanks comments and what is inside string and character literals.
fn blank(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(&bytes, at);
        if end == at {
            out.push(bytes[at]);
            at += 1;
        } else {
            out.extend(bytes[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// The end of the comment or literal that starts at `at`, or `at` when none does.
fn literal_end(text: &[char], at: usize) -> usize {
    let next = |offset: usize| text.get(at + offset).copied().unwrap_or('\0');
    let begins_word = at == 0 || !(text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    match (text[at], next(1)) {
        ('/', '/') => position(text, at, |c| c == '\n'),
        ('/', '*') => block_comment_end(text, at),
        ('"', _) => quoted_end(text, at + 1),
        ('r', '"' | '#') if begins_word => raw_end(text, at),
        // a lifetime has no closing quote: 'a, 'static
        ('\'', '\\') => quoted_char_end(text, at + 3),
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn position(text: &[char], from: usize, wanted: impl Fn(char) -> bool) -> usize {
    (from..text.len()).find(|&index| wanted(text[index])).unwrap_or(text.len())
}

fn block_comment_end(text: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut index = at;
    while index + 1 < text.len() {
        match (text[index], text[index + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    text.len()
}

fn quoted_end(text: &[char], from: usize) -> usize {
    let mut index = from;
    while index < text.len() {
        match text[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    text.len()
}

fn quoted_char_end(text: &[char], from: usize) -> usize {
    (position(text, from, |c| c == '\'') + 1).min(text.len())
}

/// `r"…"` and `r#"…"#`; a raw identifier (`r#type`) is no literal.
fn raw_end(text: &[char], at: usize) -> usize {
    let quote = position(text, at + 1, |c| c != '#');
    if text.get(quote) != Some(&'"') {
        return at;
    }
    let hashes = quote - at - 1;
    (quote + 1..text.len())
        .find(|&index| {
            text[index] == '"' && text[index + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
        })
        .map_or(text.len(), |index| index + 1 + hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::new(path.into(), text.into(), &[])
    }

    #[test]
    fn comments_and_literals_are_blanked() {
        for (text, code) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"y", z)"#, "f(      , z)"),
            ("r#\"a\"b\"# c", "         c"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            (r"['\'', '\n', 'x', b'\\']", "[    ,     ,    , b    ]"),
            ("r#type", "r#type"),
            ("\"open", "     "),
        ] {
            assert_eq!(blank(text), code, "{text}");
        }
    }

    #[test]
    fn an_inline_test_module_ends_the_code() {
        let file = source("x/src/a.rs", "a\nb\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n}\n");
        assert_eq!((file.code_lines(), file.inline_test_lines()), (2, 4));
        let sibling = source("x/src/a.rs", "#[cfg(test)]\nmod tests;\n\nfn a() {}\n");
        assert_eq!((sibling.code_lines(), sibling.inline_test_lines()), (4, 0));
    }

    #[test]
    fn declared_test_files_are_tests() {
        let declared = test_modules("x/src/store/engine.rs", "#[cfg(test)]\nmod contract;\nmod other;\n");
        assert_eq!(declared[0], "x/src/store/engine/contract.rs");
        assert!(Source::new(declared[0].clone(), String::new(), &declared).is_test);
        assert!(source("x/src/a/tests.rs", "").is_test);
        assert!(!source("x/src/a/other.rs", "").is_test);
        assert_eq!(test_modules("x/src/lib.rs", "#[cfg(test)]\npub(crate) mod kit;")[0], "x/src/kit.rs");
    }
}
