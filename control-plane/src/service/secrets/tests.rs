use millrace_sdk::config::{ConfigKey, Importance};

use super::*;

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn def() -> ConfigDef {
    let key = |name: &str, kind| ConfigKey {
        name: name.to_owned(),
        kind,
        required: false,
        default: None,
        importance: Importance::Medium,
        doc: String::new(),
        group: String::new(),
        allowed: Vec::new(),
        minimum: None,
        maximum: None,
        ignored: None,
    };
    ConfigDef {
        keys: vec![key("connection.uri", KeyType::Password), key("token.count", KeyType::Int)],
        patterns: Vec::new(),
    }
}

#[test]
fn secrets_are_known_by_definition_or_by_name() {
    for (key, secret) in [
        ("connection.uri", true),
        ("token.count", false),
        ("consumer.override.sasl.jaas.config", true),
        ("auth.password", true),
        ("elastic.security.api.key", true),
        ("ssl.keystore.key", true),
        ("ssl.keystore.location", false),
        ("sasl.oauthbearer.token.endpoint.url", false),
        ("key.converter", false),
        ("topics", false),
    ] {
        assert_eq!(is_secret_key(Some(&def()), key), secret, "{key}");
    }
    assert!(is_secret_key(None, "whatever.Password"));
}

#[test]
fn what_is_shown_holds_no_secret() {
    let shown = masked(
        Some(&def()),
        &flat(&[
            ("connection.uri", "mongodb://u:p@h/db"),
            ("connection.url", "http://a:b@c"),
            ("auth.password", "hunter2"),
            ("other.password", "${file:/run/x:pw}"),
            ("half.password", "a${file:/run/x:pw}"),
            ("topics", "a,b"),
        ]),
    );
    assert_eq!(
        shown,
        flat(&[
            ("connection.uri", "mongodb://u:***@h/db"),
            ("connection.url", "http://a:***@c"),
            ("auth.password", "***"),
            ("other.password", "${file:/run/x:pw}"),
            ("half.password", "***"),
            ("topics", "a,b"),
        ])
    );
}

#[test]
fn references_are_not_sealed() {
    for (value, reference) in [
        ("${file:/run/x:pw}", true),
        ("${env:A}${env:B}", true),
        ("${topic}", false),
        ("${:x}", false),
        ("x${env:A}", false),
        ("${env:A", false),
        ("", false),
    ] {
        assert_eq!(is_reference(value), reference, "{value}");
    }
    assert!(needs_sealing(None, "a.password", "x"));
    assert!(!needs_sealing(None, "a.password", "${env:X}"));
    assert!(needs_sealing(None, "a.url", "http://u:p@h"));
    assert!(!needs_sealing(None, "a.url", "http://u@h"));
    assert!(has_reference("a ${env:X} b") && !has_reference("a ${topic} b"));
}

#[test]
fn stars_that_come_back_mean_unchanged() {
    let old = flat(&[
        ("auth.password", "hunter2"),
        ("connection.uri", "mongodb://u:p@h/db"),
        ("urls", "http://a:1@x,http://b:2@y"),
    ]);
    let new = flat(&[
        ("auth.password", "***"),
        ("connection.uri", "mongodb://u:***@other/db?w=1"),
        ("urls", "http://b:***@y2,http://a:***@x,http://c:3@z"),
        ("title", "***"),
    ]);
    let unmasked = unmask(Some(&def()), &new, Some(&old)).unwrap();
    assert_eq!(
        unmasked,
        flat(&[
            ("auth.password", "hunter2"),
            ("connection.uri", "mongodb://u:p@other/db?w=1"),
            ("urls", "http://b:2@y2,http://a:1@x,http://c:3@z"),
            ("title", "***"),
        ])
    );
    let shown = masked(Some(&def()), &old);
    assert_eq!(unmask(Some(&def()), &shown, Some(&old)).unwrap(), old);
}

#[test]
fn stars_that_stand_for_nothing_are_refused() {
    let new = flat(&[("auth.password", "***"), ("urls", "http://new:***@y")]);
    let old = flat(&[("urls", "http://a:1@x")]);
    let problems = unmask(None, &new, Some(&old)).unwrap_err();
    assert_eq!(problems.iter().map(|p| p.key.as_str()).collect::<Vec<_>>(), ["auth.password", "urls"]);
    assert_eq!(unmask(None, &new, None).unwrap_err().len(), 2);
}

#[test]
fn a_masked_query_parameter_is_never_taken_literally() {
    let old = "mongodb://u:p@h/?tlsCertificateKeyFilePassword=abc";
    let seen = shown(None, "connection.uri", old);
    assert_eq!(seen, "mongodb://u:***@h/?tlsCertificateKeyFilePassword=***");
    assert_eq!(unmask_value(true, &seen, Some(old)).as_deref(), Some(old));
    assert_eq!(unmask_value(true, &seen.replace("@h/", "@other/"), Some(old)), None);
    let bare = "mongodb://h1,h2/?replicaSet=rs0";
    assert_eq!(shown(None, "connection.password", bare), bare, "nothing in it is secret");
}
