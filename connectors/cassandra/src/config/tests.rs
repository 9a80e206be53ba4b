use millrace_sdk::config::{definition, parse};
use millrace_sdk::{ConfigDef, Flat};

use super::*;

fn parsed(pairs: &[(&str, &str)]) -> Result<SinkConfig, String> {
    let mut flat: Flat = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    flat.insert("topics".to_owned(), "t".to_owned());
    flat.insert("topic.t.ks.tb.mapping".to_owned(), "id=key".to_owned());
    let def: ConfigDef = definition::<SinkConfig>();
    parse(&def, &flat).map_err(|findings| millrace_sdk::config::join(&findings.errors))
}

#[test]
fn a_port_in_a_contact_point_wins() {
    let config = parsed(&[
        ("contactPoints", "a, b:9142, 10.0.0.1, ::1, [fe80::1], [fe80::2]:9"),
        ("port", "9999"),
        ("loadBalancing.localDc", "dc1"),
    ])
    .unwrap();
    assert_eq!(
        config.addresses(),
        ["a:9999", "b:9142", "10.0.0.1:9999", "[::1]:9999", "[fe80::1]:9999", "[fe80::2]:9"]
    );
}

#[test]
fn defaults_are_the_peers() {
    let config = parsed(&[]).unwrap();
    assert_eq!(config.addresses(), ["127.0.0.1:9042"]);
    assert_eq!(
        (config.max_concurrent_requests, config.max_batch, config.query_timeout_seconds, config.pool_size),
        (500, 32, 30, 4)
    );
    assert_eq!(config.compression, Compression::None);
}

#[test]
fn rules_across_keys() {
    let dc = ("loadBalancing.localDc", "dc1");
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("contactPoints", "a")], "loadBalancing.localDc must also be given"),
        (&[("contactPoints", "a:b"), dc], "is not a host or host:port"),
        (&[("contactPoints", "http://a"), dc], "is not a host or host:port"),
        (&[("auth.provider", "PLAIN")], "needs auth.username and auth.password"),
        (&[("auth.username", "u")], "go together"),
        (&[("auth.provider", "GSSAPI"), ("auth.username", "u"), ("auth.password", "p")], "not available yet"),
        (&[("ssl.provider", "JDK")], "ssl.provider is not available yet"),
        (&[("cloud.secureConnectBundle", "x.zip")], "not available yet"),
        (&[("compression", "zip")], "must be one of: NONE, LZ4, SNAPPY"),
    ];
    for (pairs, message) in cases {
        let error = parsed(pairs).unwrap_err();
        assert!(error.contains(message), "{pairs:?}: {error}");
    }
    assert!(parsed(&[("compression", "lz4"), ("auth.username", "u"), ("auth.password", "p")]).is_ok());
}

#[test]
fn a_password_is_a_secret() {
    let config = parsed(&[("auth.username", "u"), ("auth.password", "hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}
