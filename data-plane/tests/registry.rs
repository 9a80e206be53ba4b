//! The converters with a schema registry against a real one: registering, finding, failing over, logging in, and what they say
//! when something is wrong.

// A helper that cannot go on fails its test.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use millrace_data_plane::convert::{Converter, Role, converter};
use millrace_sdk::{Datum, ErrorKind, Field, Flat, Result, Schema, Text, Type, Value};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The registry for tests, or None with a word about it.
fn registry() -> Option<String> {
    millrace_sdk::testing::server("SCHEMA_REGISTRY_URL")
}

/// A name that no other test or run has.
fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}

fn make(class: &str, url: &str, settings: &[(&str, &str)]) -> Result<Box<dyn Converter>> {
    let mut config: Flat =
        settings.iter().map(|(name, value)| (format!("value.converter.{name}"), (*value).to_owned())).collect();
    config.insert("value.converter".to_owned(), class.to_owned());
    config.insert("value.converter.schema.registry.url".to_owned(), url.to_owned());
    converter(Role::Value, &config, &Flat::new())
}

async fn encode(converter: &dyn Converter, topic: &str, data: &[&Datum]) -> Result<Vec<Result<Option<Bytes>>>> {
    while let Some(preparation) = converter.prepare_encode(topic, data) {
        preparation.await?;
    }
    Ok(converter.encode(topic, data))
}

async fn decode(converter: &dyn Converter, topic: &str, payloads: &[Option<Bytes>]) -> Result<Vec<Result<Datum>>> {
    while let Some(preparation) = converter.prepare_decode(topic, &mut payloads.iter().flatten().map(AsRef::as_ref)) {
        preparation.await?;
    }
    Ok(converter.decode(topic, payloads))
}

async fn post(url: &str, path: &str, body: Json) -> Json {
    let answer = reqwest::Client::new().post(format!("{url}{path}")).json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

async fn register(url: &str, subject: &str, schema: &str, kind: &str, references: Json) -> u32 {
    let body = json!({"schema": schema, "schemaType": kind, "references": references});
    let answer = post(url, &format!("/subjects/{subject}/versions"), body).await;
    u32::try_from(answer["id"].as_u64().unwrap()).unwrap()
}

/// An order with as many fields as asked for.
fn order(name: &str, fields: &[(&str, Type, Value)]) -> Datum {
    let mut schema = Schema::of(Type::Struct);
    schema.name = Some(Text::from(name));
    let mut values = Vec::new();
    for (field, kind, value) in fields {
        let name = Text::from(*field);
        let of_field = Schema { optional: true, ..Schema::of(*kind) };
        schema.fields.push(Field { name: name.clone(), schema: Arc::new(of_field) });
        values.push((name, value.clone()));
    }
    Datum::Decoded { schema: Some(Arc::new(schema)), value: Value::Map(values) }
}

fn text(text: &str) -> Value {
    Value::Str(Text::from(text))
}

fn schema_of(datum: &Datum) -> &Schema {
    match datum {
        Datum::Decoded { schema: Some(schema), .. } => schema,
        other => panic!("no schema: {other:?}"),
    }
}

#[tokio::test]
async fn what_one_converter_writes_another_reads_with_old_and_new_schema_in_one_batch() {
    let Some(url) = registry() else { return };
    for class in ["avro", "protobuf", "json-schema"] {
        let topic = unique("evolution");
        let old = order("shop.Order", &[("id", Type::Int64, Value::Int(1))]);
        let new = order("shop.Order", &[("id", Type::Int64, Value::Int(2)), ("note", Type::String, text("x"))]);
        let writer = make(class, &url, &[]).unwrap();
        let data = [&old, &new, &Datum::Null, &old];
        let payloads: Vec<Option<Bytes>> =
            encode(&*writer, &topic, &data).await.unwrap().into_iter().map(Result::unwrap).collect();
        assert_eq!(payloads[0], payloads[3], "{class}");
        assert_eq!(payloads[2], None, "{class}");
        let reader = make(class, &url, &[]).unwrap();
        let read = decode(&*reader, &topic, &payloads).await.unwrap();
        let read: Vec<Datum> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(read[0].value(), old.value(), "{class}");
        assert_eq!(read[1].value(), new.value(), "{class}");
        assert_eq!(read[2], Datum::Null, "{class}");
        // The version is that under the topic's subject.
        let versions: Vec<_> = [0, 1, 3].iter().map(|i| schema_of(&read[*i]).version).collect();
        assert_eq!(versions, [Some(1), Some(2), Some(1)], "{class}");
        // Everything is known now.
        assert!(reader.prepare_decode(&topic, &mut payloads.iter().flatten().map(AsRef::as_ref)).is_none(), "{class}");
        assert!(writer.prepare_encode(&topic, &data).is_none(), "{class}");
    }
}

#[tokio::test]
async fn a_second_address_answers_for_the_first() {
    let Some(url) = registry() else { return };
    let topic = unique("failover");
    // Nobody listens on a port that was just free.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let datum = order("R", &[("a", Type::Int32, Value::Int(1))]);
    let both = make("avro", &format!("{dead}, {url}"), &[]).unwrap();
    assert!(encode(&*both, &topic, &[&datum]).await.unwrap()[0].is_ok());
    let neither = make("avro", &dead, &[]).unwrap();
    let error = encode(&*neither, &topic, &[&datum]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transient { .. }), "{}", error.chain());
    assert!(error.to_string().contains("does not answer"), "{error}");
    let payload = Some(Bytes::from_static(&[0, 0, 0, 0, 1, 0]));
    let error = decode(&*neither, &topic, &[payload]).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transient { .. }), "{}", error.chain());
}

/// Lets requests with that header through to the registry, and answers 401 to others; counts them.
async fn guard(registry: &str, header: String) -> (String, Arc<AtomicUsize>) {
    let upstream = registry.trim_start_matches("http://").to_owned();
    let (host, path) = upstream.split_once('/').map(|(host, path)| (host.to_owned(), path.to_owned())).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (host, header, count) = (host.clone(), header.clone(), Arc::clone(&count));
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    if client.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                if !String::from_utf8_lossy(&head).contains(&header) {
                    let answer = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    let _ = client.write_all(answer).await;
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let mut server = TcpStream::connect(&host).await.unwrap();
                server.write_all(&head).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (format!("http://{address}/{path}"), passed)
}

#[tokio::test]
async fn a_login_is_sent_and_a_refused_one_is_told_without_its_secret() {
    let Some(url) = registry() else { return };
    let topic = unique("login");
    let datum = order("R", &[("a", Type::Int32, Value::Int(1))]);
    // user:hunter2
    let (guarded, passed) = guard(&url, "authorization: Basic dXNlcjpodW50ZXIy".to_owned()).await;
    let in_url = guarded.replacen("http://", "http://user:hunter2@", 1);
    let by_info = [("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "user:hunter2")];
    let long_name =
        [("basic.auth.credentials.source", "USER_INFO"), ("schema.registry.basic.auth.user.info", "user:hunter2")];
    for (url, settings) in [(&guarded, &by_info[..]), (&guarded, &long_name[..]), (&in_url, &[][..])] {
        let converter = make("avro", url, settings).unwrap();
        assert!(encode(&*converter, &topic, &[&datum]).await.unwrap()[0].is_ok());
    }
    assert!(passed.load(Ordering::Relaxed) >= 2);
    let wrong = [("basic.auth.credentials.source", "USER_INFO"), ("basic.auth.user.info", "user:wrong-secret")];
    let error = encode(&*make("avro", &guarded, &wrong).unwrap(), &topic, &[&datum]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig);
    assert!(error.to_string().contains("401") && !error.chain().contains("wrong-secret"), "{}", error.chain());
    let (guarded, _) = guard(&url, "authorization: Bearer abc".to_owned()).await;
    let bearer = [("bearer.auth.credentials.source", "STATIC_TOKEN"), ("bearer.auth.token", "abc")];
    let converter = make("avro", &guarded, &bearer).unwrap();
    assert!(encode(&*converter, &topic, &[&datum]).await.unwrap()[0].is_ok());
}

#[tokio::test]
async fn a_hundred_tasks_ask_for_a_schema_once() {
    let Some(url) = registry() else { return };
    let topic = unique("shared");
    let (guarded, asked) = guard(&url, "HTTP/1.1".to_owned()).await;
    let datum = order("R", &[("a", Type::Int32, Value::Int(1))]);
    let payload = encode(&*make("avro", &url, &[]).unwrap(), &topic, &[&datum]).await.unwrap().remove(0).unwrap();
    let tasks: Vec<_> = (0..100).map(|_| make("avro", &guarded, &[]).unwrap()).collect();
    let payloads = [payload];
    let all = tasks.iter().map(|task| decode(&**task, &topic, &payloads));
    for read in futures::future::join_all(all).await {
        assert_eq!(read.unwrap().remove(0).unwrap().value(), datum.value());
    }
    // The schema, and its version under the subject
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_is_wrong_with_a_schema_is_said_of_its_records_alone() {
    let Some(url) = registry() else { return };
    let topic = unique("wrong");
    let json_id = register(
        &url,
        &unique("wrong"),
        r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#,
        "JSON",
        json!([]),
    )
    .await;
    let good = order("R", &[("a", Type::Int32, Value::Int(1))]);
    let avro = make("avro", &url, &[]).unwrap();
    let good_payload = encode(&*avro, &topic, &[&good]).await.unwrap().remove(0).unwrap();
    let of_id = |id: u32| Some(Bytes::from([&[0][..], &id.to_be_bytes(), &[0]].concat()));
    let payloads = [of_id(987_654_321), good_payload, of_id(json_id), Some(Bytes::from_static(b"{}")), None];
    let read = decode(&*avro, &topic, &payloads).await.unwrap();
    for (index, part) in
        [(0, "knows no schema with the id 987654321"), (2, "use the converter json-schema"), (3, "Unknown magic byte")]
    {
        let error = read[index].as_ref().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRecord);
        assert!(error.chain().contains(part), "{}", error.chain());
    }
    assert_eq!(read[1].as_ref().unwrap().value(), good.value());
    // At an address without a registry
    let nowhere = url.replace("/apis/ccompat/v7", "/nowhere");
    let error = decode(&*make("avro", &nowhere, &[]).unwrap(), &topic, &[of_id(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig);
    assert!(error.to_string().contains("no schema registry"), "{error}");
}

#[tokio::test]
async fn references_are_resolved() {
    let Some(url) = registry() else { return };
    let (inner, topic) = (unique("inner"), unique("references"));
    let reference = |name: &str| json!([{"name": name, "subject": inner, "version": 1}]);
    register(
        &url,
        &inner,
        r#"{"type":"record","name":"Inner","namespace":"ns","fields":[{"name":"x","type":"int"}]}"#,
        "AVRO",
        json!([]),
    )
    .await;
    let outer = r#"{"type":"record","name":"Outer","fields":[{"name":"inner","type":"ns.Inner"}]}"#;
    let id = register(&url, &topic, outer, "AVRO", reference("ns.Inner")).await;
    let payload = Some(Bytes::from([&[0][..], &id.to_be_bytes(), &[6]].concat()));
    let read = decode(&*make("avro", &url, &[]).unwrap(), &topic, &[payload]).await.unwrap().remove(0).unwrap();
    assert_eq!(read.value().path("inner.x").unwrap(), Some(Value::Int(3)));

    let (inner, topic) = (unique("inner"), unique("references"));
    let reference = |name: &str| json!([{"name": name, "subject": inner, "version": 1}]);
    register(&url, &inner, "syntax = \"proto3\"; package ns; message Inner { int32 x = 1; }", "PROTOBUF", json!([]))
        .await;
    let outer = "syntax = \"proto3\"; import \"inner.proto\"; message Outer { ns.Inner inner = 1; }";
    let id = register(&url, &topic, outer, "PROTOBUF", reference("inner.proto")).await;
    let payload = Some(Bytes::from([&[0][..], &id.to_be_bytes(), &[0, 0x0a, 2, 8, 3]].concat()));
    let read = decode(&*make("protobuf", &url, &[]).unwrap(), &topic, &[payload]).await.unwrap().remove(0).unwrap();
    assert_eq!(read.value().path("inner.x").unwrap(), Some(Value::Int(3)));
}

#[tokio::test]
async fn schemas_are_chosen_as_the_settings_say() {
    let Some(url) = registry() else { return };
    let topic = unique("policy");
    let subject = format!("{topic}-value");
    let datum = order("R", &[("a", Type::Int32, Value::Int(1))]);
    let first = |encoded: Vec<Result<Option<Bytes>>>| encoded.into_iter().next().unwrap();
    // Not registered, and not to be
    let looking = make("avro", &url, &[("auto.register.schemas", "false")]).unwrap();
    let error = first(encode(&*looking, &topic, &[&datum]).await.unwrap()).unwrap_err();
    assert!(error.chain().contains("is not registered under the subject"), "{}", error.chain());
    // The newest, whose fields are found by name
    let newest = r#"{"type":"record","name":"R","fields":[{"name":"b","type":"string","default":"d"},{"name":"a","type":["null","int"],"default":null}]}"#;
    let id = register(&url, &subject, newest, "AVRO", json!([])).await;
    let latest = make(
        "avro",
        &url,
        &[("auto.register.schemas", "false"), ("use.latest.version", "true"), ("latest.compatibility.strict", "false")],
    )
    .unwrap();
    let payload = first(encode(&*latest, &topic, &[&datum]).await.unwrap()).unwrap().unwrap();
    assert_eq!(payload, [&[0][..], &id.to_be_bytes(), &[2, b'd', 2, 2]].concat());
    let fixed = make("avro", &url, &[("auto.register.schemas", "false"), ("use.schema.id", &id.to_string())]).unwrap();
    assert_eq!(first(encode(&*fixed, &topic, &[&datum]).await.unwrap()).unwrap().unwrap(), payload);
    // Read as the newest has it
    let old = register(
        &url,
        &unique("old"),
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#,
        "AVRO",
        json!([]),
    )
    .await;
    let written = Some(Bytes::from([&[0][..], &old.to_be_bytes(), &[14]].concat()));
    let reading = make("avro", &url, &[("use.latest.version", "true")]).unwrap();
    let read = decode(&*reading, &topic, &[written.clone(), Some(payload.clone())]).await.unwrap();
    let read: Vec<Value> = read.into_iter().map(|datum| datum.unwrap().value()).collect();
    let as_newest = |a: i64| Value::Map(vec![("b".into(), text("d")), ("a".into(), Value::Int(a))]);
    assert_eq!(read, [as_newest(7), as_newest(1)]);
    let plain = decode(&*make("avro", &url, &[]).unwrap(), &topic, &[written]).await.unwrap().remove(0).unwrap();
    assert_eq!(plain.value(), Value::Map(vec![("a".into(), Value::Int(7))]));
    // By the record's name, whatever the topic
    let name = format!("ns.R{}", uuid::Uuid::new_v4().simple());
    let named = order(&name, &[("a", Type::Int32, Value::Int(1))]);
    for (strategy, subject) in [
        ("io.confluent.kafka.serializers.subject.RecordNameStrategy", name.clone()),
        ("TopicRecordNameStrategy", format!("{topic}-{name}")),
    ] {
        let converter = make("avro", &url, &[("value.subject.name.strategy", strategy)]).unwrap();
        first(encode(&*converter, &topic, &[&named]).await.unwrap()).unwrap();
        let answer = reqwest::get(format!("{url}/subjects/{subject}/versions/1")).await.unwrap();
        assert!(answer.status().is_success(), "{subject}");
    }
    let scalar = Datum::Decoded { schema: Some(Arc::new(Schema::of(Type::Int32))), value: Value::Int(1) };
    let by_record = make("avro", &url, &[("value.subject.name.strategy", "RecordNameStrategy")]).unwrap();
    let error = first(encode(&*by_record, &topic, &[&scalar]).await.unwrap()).unwrap_err();
    assert!(error.chain().contains("asks for the name of a record"), "{}", error.chain());
    // What the registry refuses is said of the record.
    let body = json!({"compatibility": "BACKWARD"});
    let answer = reqwest::Client::new().put(format!("{url}/config/{subject}")).json(&body).send().await.unwrap();
    assert!(answer.status().is_success());
    let other = order("R", &[("a", Type::String, text("x"))]);
    let registering = make("avro", &url, &[]).unwrap();
    let encoded = encode(&*registering, &topic, &[&other]).await.unwrap();
    let error = first(encoded).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRecord);
    assert!(error.chain().contains("refuses the schema under the subject"), "{}", error.chain());
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for (settings, part) in [
        (&[("schema.registry.url", "")][..], "Missing required configuration \"schema.registry.url\""),
        (&[("schema.registry.url", "ftp://x")], "must be a list of http or https URLs"),
        (&[("schema.registry.ssl.truststore.location", "/etc/ca.jks")], "reads a file of the worker"),
        (&[("schema.registry.ssl.truststore.type", "JKS")], "keytool -list -rfc"),
        (&[("schema.registry.ssl.keystore.type", "PKCS12")], "openssl pkcs12 -nodes"),
        (&[("value.subject.name.strategy", "io.confluent.AssociatedNameStrategy")], "use TopicNameStrategy"),
        (&[("value.schema.id.serializer", "x.HeaderSchemaIdSerializer")], "use PrefixSchemaIdSerializer"),
        (&[("value.schema.id.deserializer", "x.HeaderSchemaIdDeserializer")], "use PrefixSchemaIdDeserializer"),
        (&[("schema.registry.ssl.truststore.certificates", "x")], "holds no PEM certificate"),
        (&[("basic.auth.credentials.source", "USER_INFO")], "user:password"),
        (&[("basic.auth.credentials.source", "SASL_INHERIT")], "must be URL or USER_INFO"),
        (&[("bearer.auth.credentials.source", "OAUTHBEARER")], "only STATIC_TOKEN"),
        (&[("value.subject.name.strategy", "com.example.Mine")], "must be one of TopicNameStrategy"),
        (&[("auto.register.schemas", "maybe")], "true or false"),
        (&[("proxy.host", "p")], "proxy.port"),
    ] {
        let mut all = vec![("unused", "")];
        all.extend_from_slice(settings);
        let given = settings.iter().find(|(name, _)| *name == "schema.registry.url").map(|(_, value)| *value);
        let rest: Vec<_> = all.into_iter().filter(|(name, _)| *name != "schema.registry.url").collect();
        let Err(error) = make("avro", given.unwrap_or("http://localhost:1"), &rest) else {
            panic!("{settings:?} is taken")
        };
        assert_eq!(error.kind(), ErrorKind::BadConfig);
        assert!(error.chain().contains(part), "{settings:?}: {}", error.chain());
    }
    for value in ["true", "false"] {
        let made = make("json-schema", "http://localhost:1", &[("json.fail.invalid.schema", value)]);
        assert_eq!(made.err().is_some_and(|error| error.chain().contains("is not available")), value == "true");
    }
}
