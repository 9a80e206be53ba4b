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

/// A text with the passwords of every URI in it masked — `scheme://user:password@host`, and query parameters such as
/// `tlsCertificateKeyFilePassword` — and everything else as it is.
#[must_use]
pub fn mask_uri(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        masked.push_str(&mask_parameters(before));
        rest = after;
        // The authority ends at the first / ? # or white space; a password may itself hold an '@'.
        let end = after.find(|c: char| "/?#".contains(c) || c.is_whitespace()).unwrap_or(after.len());
        let Some(credentials_end) = after[..end].rfind('@') else { continue };
        let Some(colon) = after[..credentials_end].find(':') else { continue };
        masked.push_str(&after[..=colon]);
        masked.push_str(MASK);
        rest = &after[credentials_end..];
    }
    masked.push_str(&mask_parameters(rest));
    if masked == text { Cow::Borrowed(text) } else { Cow::Owned(masked) }
}

/// Masks the values of query parameters (`?name=value&…`) whose names say that they are secret.
fn mask_parameters(text: &str) -> String {
    let Some((path, query)) = text.split_once('?') else { return text.to_owned() };
    let mut masked = format!("{path}?");
    for piece in query.split_inclusive(['&', ',', ' ']) {
        let (parameter, separator) = match piece.chars().next_back() {
            Some(last @ ('&' | ',' | ' ')) => (&piece[..piece.len() - 1], String::from(last)),
            _ => (piece, String::new()),
        };
        match parameter.rsplit_once(['=', ':']) {
            Some((name, value)) if !value.is_empty() && is_telltale(name) => {
                masked.push_str(&parameter[..=name.len()]);
                masked.push_str(MASK);
            }
            _ => masked.push_str(parameter),
        }
        masked.push_str(&separator);
    }
    masked
}

fn is_telltale(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "token"].iter().any(|part| name.contains(part))
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
            ("a ? password=b", "a ? password=b"),
            (
                "mongodb://h/?tls=true&tlsCertificateKeyFilePassword=abc&w=1",
                "mongodb://h/?tls=true&tlsCertificateKeyFilePassword=***&w=1",
            ),
            (
                "mongodb://u:p@h/?authMechanismProperties=AWS_SESSION_TOKEN:abc,X:y",
                "mongodb://u:***@h/?authMechanismProperties=AWS_SESSION_TOKEN:***,X:y",
            ),
            ("see http://a:b@c/?x=1 and http://d/?token=e f", "see http://a:***@c/?x=1 and http://d/?token=*** f"),
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
