use super::*;

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn consumer(tenant: &[(&str, &str)], config: &[(&str, &str)]) -> Result<ClientSettings> {
    let mut all = flat(&[("bootstrap.servers", "k:9092")]);
    all.extend(flat(tenant));
    ClientSettings::build(ClientKind::Consumer, &all, &flat(config))
}

#[test]
fn layers_lie_over_one_another() {
    let settings = consumer(&[], &[]).unwrap();
    assert_eq!(settings.property("auto.offset.reset"), Some("earliest"));
    assert_eq!(settings.property("isolation.level"), Some("read_uncommitted"));
    assert_eq!(settings.property("enable.auto.commit"), Some("false"));
    let settings = consumer(&[("consumer.auto.offset.reset", "latest"), ("producer.acks", "1")], &[]).unwrap();
    assert_eq!(settings.property("auto.offset.reset"), Some("latest"));
    assert_eq!(settings.property("acks"), None);
    let overridden = consumer(
        &[("consumer.auto.offset.reset", "latest")],
        &[("consumer.override.auto.offset.reset", "none"), ("consumer.override.bootstrap.servers", "other:1")],
    )
    .unwrap();
    assert_eq!(overridden.property("auto.offset.reset"), Some("error"));
    assert_eq!(overridden.property("bootstrap.servers"), Some("other:1"));
}

#[test]
fn java_properties_find_their_twins() {
    for (kind, name, value, expected) in [
        (ClientKind::Consumer, "fetch.max.wait.ms", "100", Some(("fetch.wait.max.ms", "100"))),
        (ClientKind::Consumer, "max.partition.fetch.bytes", "4096", Some(("fetch.message.max.bytes", "4096"))),
        (ClientKind::Consumer, "receive.buffer.bytes", "-1", Some(("socket.receive.buffer.bytes", "0"))),
        (ClientKind::Consumer, "request.timeout.ms", "5000", Some(("socket.timeout.ms", "5000"))),
        (ClientKind::Consumer, "metadata.max.age.ms", "9000", Some(("topic.metadata.refresh.interval.ms", "9000"))),
        (ClientKind::Producer, "request.timeout.ms", "5000", Some(("request.timeout.ms", "5000"))),
        (ClientKind::Producer, "buffer.memory", "33554432", Some(("queue.buffering.max.kbytes", "32768"))),
        (ClientKind::Producer, "max.request.size", "2000000", Some(("message.max.bytes", "2000000"))),
        (ClientKind::Producer, "delivery.timeout.ms", "60000", Some(("message.timeout.ms", "60000"))),
        (ClientKind::Producer, "compression.type", "zstd", Some(("compression.codec", "zstd"))),
        (ClientKind::Admin, "ssl.truststore.certificates", "PEM", Some(("ssl.ca.pem", "PEM"))),
        (
            ClientKind::Admin,
            "ssl.endpoint.identification.algorithm",
            "",
            Some(("ssl.endpoint.identification.algorithm", "none")),
        ),
        (ClientKind::Consumer, "max.poll.records", "10", None),
        (ClientKind::Consumer, "no.such.setting", "10", None),
    ] {
        let tenant = flat(&[("bootstrap.servers", "k:9092")]);
        let key = format!("{}{name}", kind.override_prefix());
        let plain = ClientSettings::build(kind, &tenant, &Flat::new()).unwrap();
        let settings = ClientSettings::build(kind, &tenant, &flat(&[(key.as_str(), value)])).unwrap();
        match expected {
            Some((twin, value)) => assert_eq!(settings.property(twin), Some(value), "{name}"),
            None => assert_eq!(settings, plain, "{name}"),
        }
    }
}

#[test]
fn every_translated_default_is_known_to_librdkafka() {
    for kind in [ClientKind::Consumer, ClientKind::Producer, ClientKind::Admin] {
        let tenant = flat(&[("bootstrap.servers", "k:9092")]);
        let settings = ClientSettings::build(kind, &tenant, &Flat::new()).unwrap();
        settings.config().create_native_config().unwrap();
    }
}

#[test]
fn user_and_password_come_from_jaas() {
    let jaas = r#"org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="hunter2";"#;
    let settings = consumer(
        &[("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", jaas)],
        &[],
    )
    .unwrap();
    assert_eq!(settings.property("sasl.username"), Some("u"));
    assert_eq!(settings.property("sasl.password"), Some("hunter2"));
    assert_eq!(settings.property("sasl.mechanisms"), Some("SCRAM-SHA-512"));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn what_loads_code_runs_commands_or_reads_files_is_refused() {
    for name in [
        "plugin.library.paths",
        "interceptor.classes",
        "sasl.kerberos.kinit.cmd",
        "ssl.truststore.location",
        "ssl.keystore.location",
        "ssl.ca.location",
        "ssl.key.location",
        "ssl.certificate.location",
        "sasl.login.callback.handler.class",
        "sasl.client.callback.handler.class",
        "ssl.engine.factory.class",
        "metric.reporters",
        "enable.auto.commit",
        "group.instance.id",
    ] {
        let key = format!("consumer.override.{name}");
        let config = flat(&[(key.as_str(), "x")]);
        let problems = override_problems(ClientKind::Consumer, &config);
        assert_eq!(problems.len(), 1, "{name}");
        assert_eq!(problems[0].key, key);
        assert!(problems[0].message.contains("not allowed"), "{}", problems[0].message);
        assert!(consumer(&[], &[(key.as_str(), "x")]).is_err(), "{name}");
    }
    let tenant = consumer(&[("ssl.truststore.location", "/etc/passwd")], &[]);
    assert!(tenant.unwrap_err().to_string().contains("PEM"));
}

#[test]
fn unknown_and_idle_overrides_give_warnings_and_policies_forbid() {
    let config = flat(&[("consumer.override.max.poll.records", "10"), ("consumer.override.fetch.min.byte", "1")]);
    let findings = override_findings(&config, &Flat::new());
    assert_eq!(findings.errors, []);
    assert_eq!(findings.warnings.len(), 2);
    assert!(findings.warnings.iter().any(|w| w.message.contains("consumer.override.fetch.min.bytes")), "{findings:?}");
    let config = flat(&[("consumer.override.fetch.min.bytes", "1"), ("consumer.override.sasl.mechanism", "PLAIN")]);
    for (policy, forbidden) in [("All", 0), ("Principal", 1), ("None", 2)] {
        let tenant = flat(&[("connector.client.config.override.policy", policy)]);
        assert_eq!(override_findings(&config, &tenant).errors.len(), forbidden, "{policy}");
    }
}

#[test]
fn a_tenant_without_a_cluster_is_told_so() {
    let error = ClientSettings::build(ClientKind::Consumer, &Flat::new(), &Flat::new()).unwrap_err();
    assert!(error.to_string().contains("bootstrap.servers"));
}
