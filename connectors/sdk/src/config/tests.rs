use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Debug, Serialize, Deserialize, JsonSchema, PartialEq, Default)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Insert,
    Upsert,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Example {
    /// Where the store is
    #[serde(rename = "connection.url")]
    #[schemars(extend("x-group" = "Connection"))]
    url: Vec<String>,
    #[serde(rename = "connection.password", default)]
    password: Option<Secret>,
    /// Records
    /// per request
    #[serde(rename = "batch.size", default = "two_thousand")]
    #[schemars(range(min = 1, max = 10_000))]
    batch_size: i32,
    #[serde(rename = "write.method", default)]
    mode: Mode,
    #[serde(default)]
    linger: Option<i64>,
    #[serde(default)]
    verbose: bool,
    #[serde(flatten)]
    #[schemars(skip)]
    extra: Flat,
}

fn two_thousand() -> i32 {
    2000
}

impl Config for Example {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[("topic.", ".mapping", "the mapping")];
    const IGNORED: &'static [(&'static str, &'static str)] = &[("type.name", "types are gone since Elasticsearch 7")];
}

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn a_struct_describes_its_keys() {
    let def = definition::<Example>();
    let url = def.key("connection.url").unwrap();
    assert_eq!((url.kind, url.required, url.group.as_str()), (KeyType::List, true, "Connection"));
    assert_eq!(url.doc, "Where the store is");
    assert_eq!(def.key("connection.password").unwrap().kind, KeyType::Password);
    let size = def.key("batch.size").unwrap();
    assert_eq!(
        (size.kind, size.default.as_deref(), size.doc.as_str()),
        (KeyType::Int, Some("2000"), "Records per request")
    );
    assert_eq!((size.minimum, size.maximum), (Some(1.0), Some(10_000.0)));
    assert_eq!(def.key("write.method").unwrap().allowed, ["insert", "upsert"]);
    assert_eq!(def.key("write.method").unwrap().default.as_deref(), Some("insert"));
    assert_eq!(def.key("linger").unwrap().kind, KeyType::Long);
    assert!(def.key("extra").is_none());
    let again: ConfigDef = serde_json::from_str(&serde_json::to_string(&def).unwrap()).unwrap();
    assert_eq!(again, def);
}

#[test]
fn flat_text_becomes_the_struct() {
    let def = definition::<Example>();
    let config: Example = parse(
        &def,
        &flat(&[
            ("connection.url", "http://a:1, http://b:2"),
            ("connection.password", "hunter2"),
            ("write.method", "UPSERT"),
            ("verbose", "True"),
            ("topic.t.k.s.mapping", "a=b"),
            ("tasks.max", "3"),
        ]),
    )
    .unwrap();
    assert_eq!(config.url, ["http://a:1", "http://b:2"]);
    assert_eq!(config.mode, Mode::Upsert);
    assert_eq!(config.batch_size, 2000);
    assert!(config.verbose);
    assert_eq!(config.linger, None);
    assert_eq!(config.password.as_ref().map(Secret::reveal), Some("hunter2"));
    assert_eq!(config.extra, flat(&[("topic.t.k.s.mapping", "a=b")]));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn all_problems_are_found_at_once() {
    let def = definition::<Example>();
    let findings =
        parse::<Example>(&def, &flat(&[("batch.size", "0"), ("write.method", "append"), ("verbose", "maybe")]))
            .unwrap_err();
    let keys: Vec<_> = findings.errors.iter().map(|p| p.key.as_str()).collect();
    assert_eq!(keys.len(), 4, "{findings:?}");
    for key in ["connection.url", "batch.size", "write.method", "verbose"] {
        assert!(keys.contains(&key), "{key}");
    }
    let findings = def.validate(&flat(&[("connection.url", "x"), ("type.name", "_doc")]));
    assert_eq!(findings.errors, []);
    assert_eq!(findings.warnings[0].key, "type.name");
}

#[test]
fn unknown_keys_name_their_neighbour() {
    let def = definition::<Example>();
    let findings =
        def.unknown_keys(&flat(&[("millrace.lane", "1"), ("conection.url", "x"), ("utterly.different", "y")]));
    assert_eq!(findings.errors[0].key, "millrace.lane");
    assert!(findings.warnings[0].message.contains("did you mean \"connection.url\"?"), "{findings:?}");
    assert!(!findings.warnings[1].message.contains("did you mean"));
}
