//! The schema registry that both sides ask, and its converters. Confluent's are in no public repository. Kafka Connect has
//! Apicurio's for Avro, a descendant of Confluent's that can speak its wire format, and for the other formats one of the test
//! plugin's, which reads and writes by Google's Protobuf library and by Jackson.

use millrace_tests::kafka::RawRecord;
use millrace_tests::{server, unique};
use serde_json::{Value, json};

use crate::case::Config;
use crate::sets::SetId;
use crate::sets::registry;

pub(crate) const AVRO: &str = "io.confluent.connect.avro.AvroConverter";
pub(crate) const PROTOBUF: &str = "io.confluent.connect.protobuf.ProtobufConverter";
pub(crate) const JSON_SCHEMA: &str = "io.confluent.connect.json.JsonSchemaConverter";
/// In a configuration: the address of the registry.
pub(crate) const URL: &str = "the registry";

const APICURIO: &str = "io.apicurio.registry.utils.converter.AvroConverter";
const PLUGIN: &str = "millrace.test.RegistryConverter";

/// What Apicurio's converter is told so that it speaks Confluent's wire format.
const AS_CONFLUENT: &[(&str, &str)] = &[
    ("apicurio.registry.as-confluent", "true"),
    ("apicurio.registry.headers.enabled", "false"),
    ("apicurio.registry.use-id", "contentId"),
    ("apicurio.registry.auto-register", "true"),
    ("apicurio.registry.auto-register.if-exists", "RETURN_OR_UPDATE"),
    ("apicurio.registry.artifact-resolver-strategy", "io.apicurio.registry.serde.strategy.TopicIdStrategy"),
    ("apicurio.registry.retry-count", "1"),
    ("apicurio.registry.retry-backoff-ms", "10"),
];

/// Whether a class is one of Kafka Connect's that stand for Confluent's.
pub(crate) fn stands_for_another(class: &str) -> bool {
    [APICURIO, PLUGIN, AVRO, PROTOBUF, JSON_SCHEMA].contains(&class)
}

/// A configuration as one side understands it.
pub(crate) fn for_side(config: &Config, is_connect: bool) -> Config {
    let mut out = config.clone();
    for role in ["key.converter", "value.converter"] {
        let url = format!("{role}.schema.registry.url");
        if !config.contains_key(&url) {
            continue;
        }
        let address = server("SCHEMA_REGISTRY_URL");
        let mut put = |name: &str, value: &str| out.insert(format!("{role}{name}"), value.to_owned());
        put(".schema.registry.url", &address);
        match config.get(role).map(String::as_str) {
            Some(AVRO) if is_connect => {
                put("", APICURIO);
                put(".apicurio.registry.url", &address.replace("/apis/ccompat/v7", "/apis/registry/v2"));
                for (name, value) in AS_CONFLUENT {
                    put(&format!(".{name}"), value);
                }
            }
            Some(PROTOBUF) if is_connect => {
                put("", PLUGIN);
                put(".format", "PROTOBUF");
            }
            Some(JSON_SCHEMA) if is_connect => {
                put("", PLUGIN);
                put(".format", "JSON");
            }
            _ => {}
        }
    }
    out
}

/// Registers the schemas of a set, whose records get their ids.
pub(crate) async fn register(set: SetId, records: &mut [RawRecord]) {
    let (kind, schemas) = match set {
        SetId::Avro => ("AVRO", registry::AVRO),
        SetId::Protobuf => ("PROTOBUF", registry::PROTOBUF),
        SetId::JsonSchema => ("JSON", registry::JSON),
        _ => return,
    };
    // Not under the topic's subject, since only one side tells a schema's version there.
    let subject = unique("compared");
    let mut ids = Vec::new();
    for (number, schema) in schemas.iter().enumerate() {
        let url = format!("{}/subjects/{subject}-{number}/versions", server("SCHEMA_REGISTRY_URL"));
        let answer = reqwest::Client::new()
            .post(url)
            .json(&json!({ "schema": schema, "schemaType": kind }))
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{schema}: {answer}"));
        ids.push(u32::try_from(id).unwrap());
    }
    for record in records {
        for bytes in [&mut record.key, &mut record.value].into_iter().flatten() {
            if let [0, place @ ..] = &mut bytes[..]
                && let Some(place) = place.first_chunk_mut::<4>()
                && let Some(id) = ids.get(usize::try_from(u32::from_be_bytes(*place)).unwrap())
            {
                *place = id.to_be_bytes();
            }
        }
    }
}

/// What a payload means: the schema as it is registered, for Avro, where both sides are to register the same, and the value.
pub(crate) async fn shown(class: &str, payload: &[u8]) -> String {
    let [0, a, b, c, d, data @ ..] = payload else { return payload.escape_ascii().to_string() };
    let id = u32::from_be_bytes([*a, *b, *c, *d]);
    let url = format!("{}/schemas/ids/{id}", server("SCHEMA_REGISTRY_URL"));
    let answer: Value = serde_json::from_str(&reqwest::get(url).await.unwrap().text().await.unwrap()).unwrap();
    let schema = answer["schema"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let format = match class {
        AVRO => "avro",
        PROTOBUF => "protobuf",
        _ => "json-schema",
    };
    let datum = millrace_data_plane::convert::decode_with(format, schema, &data.to_vec().into()).unwrap();
    let json: Option<Value> = serde_json::from_str(schema).ok().filter(|_| class == AVRO);
    format!("{:?} of {}", datum.value(), json.unwrap_or_default())
}
