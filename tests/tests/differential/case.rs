//! What is tried: a configuration, the records it reads, and which of its options the result proves to be heeded.

use std::collections::BTreeMap;

use crate::sets::SetId;

/// A connector's keys, but for its class and its file.
pub(crate) type Config = BTreeMap<String, String>;

/// Texts by name, as they stand in the matrix.
pub(crate) type Options = &'static [(&'static str, &'static str)];

/// In a list of proofs: the option is left out, rather than given another value.
pub(crate) const OUT: &str = "\0";

/// One configuration.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Such as `cast.narrow/Key/typed`
    pub(crate) name: String,
    pub(crate) set: SetId,
    pub(crate) config: Config,
    pub(crate) proofs: Vec<Proof>,
    /// Whether `make test` runs it
    pub(crate) selected: bool,
}

/// The same configuration with an option switched off, which must make a difference.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    /// The key
    pub(crate) option: String,
    pub(crate) config: Config,
}

/// Switches options off one by one.
pub(crate) fn proofs(config: &Config, prefix: &str, switches: Options) -> Vec<Proof> {
    let switched = |(option, instead): &(&str, &str)| {
        let key = format!("{prefix}{option}");
        let mut config = config.clone();
        assert!(config.remove(&key).is_some(), "{key} is not in {config:?}");
        if *instead != OUT {
            config.insert(key.clone(), (*instead).to_owned());
        }
        Proof { option: key, config }
    };
    switches.iter().map(switched).collect()
}

pub(crate) fn config(pairs: Options) -> Config {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
