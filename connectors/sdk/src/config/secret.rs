//! Secrets: values that print as `***` wherever they go.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

/// What is shown instead of a secret; sent back, it means "unchanged".
pub const MASK: &str = "***";

/// A text that neither Debug nor Display reveals.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself; for handing it to a driver and nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "writeOnly": true })
    }
}

/// A text with the password of every `scheme://user:password@host` in it masked; everything else as it is.
#[must_use]
pub fn mask_uri(text: &str) -> Cow<'_, str> {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(before);
        rest = after;
        // The authority ends at the first / ? # or white space; a password may itself hold an '@'.
        let end = after.find(|c: char| "/?#".contains(c) || c.is_whitespace()).unwrap_or(after.len());
        let Some(credentials_end) = after[..end].rfind('@') else { continue };
        let Some(colon) = after[..credentials_end].find(':') else { continue };
        masked.push_str(&after[..=colon]);
        masked.push_str(MASK);
        rest = &after[credentials_end..];
    }
    if masked.is_empty() {
        return Cow::Borrowed(text);
    }
    masked.push_str(rest);
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_of_a_uri_is_masked() {
        for (uri, shown) in [
            ("mongodb://user:pass@host:27017", "mongodb://user:***@host:27017"),
            ("mongodb://u:p@ss@h1,h2/db?x=y@z", "mongodb://u:***@h1,h2/db?x=y@z"),
            ("http://a:b@c,http://d:e@f/", "http://a:***@c,http://d:***@f/"),
            ("http://host:9200", "http://host:9200"),
            ("plain text", "plain text"),
            ("http://user@host:1", "http://user@host:1"),
        ] {
            assert_eq!(mask_uri(uri), shown);
        }
    }

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
