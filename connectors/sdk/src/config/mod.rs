//! Configuration: flat keys with text values, as Kafka Connect has them, described by a plain struct.
//!
//! A connector's configuration is `#[derive(Deserialize, JsonSchema)] struct …` with the flat keys as serde names. From it
//! come, without another word: the key's documentation (doc comments), defaults, bounds, allowed values, secrets, the
//! answer of `/config/validate`, validation of everything at once, and the reference documentation.
//!
//! * `#[schemars(extend("x-group" = "Connection", "x-importance" = "high"))]` on a field sorts it in forms and docs.
//! * A [`Secret`] field is a PASSWORD key. A `Vec<String>` is a LIST key (comma-separated text).
//! * An enumeration derives `Serialize` too (its default becomes documentation) and has fieldless variants.
//! * `#[serde(flatten)] #[schemars(skip)] pub extra: Flat` receives the keys that match [`Config::PATTERNS`].

mod def;
mod from_schema;
mod parse;
mod secret;

use std::collections::BTreeMap;

pub use def::{ConfigDef, ConfigKey, Findings, Importance, KeyPattern, KeyType, Problem, join, nearest};
pub use from_schema::definition;
pub use parse::parse;
pub use secret::{MASK, Secret, mask_uri};
use serde::de::DeserializeOwned;

/// Keys and values as the user wrote them; JSON scalars arrive as their text.
pub type Flat = BTreeMap<String, String>;

/// A connector's own keys.
pub trait Config: DeserializeOwned + schemars::JsonSchema + Send + Sync + 'static {
    /// Keys with a variable part, such as `topic.<topic>.<keyspace>.<table>.mapping`: prefix, suffix, documentation.
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[];
    /// Keys of the peer that are accepted without effect, and why.
    const IGNORED: &'static [(&'static str, &'static str)] = &[];

    /// Rules across keys, and whatever types cannot say. Every problem at once; `flat` also holds the framework's keys.
    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let _ = flat;
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
