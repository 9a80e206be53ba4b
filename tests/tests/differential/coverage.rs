//! The matrix is whole: every class that Kafka Connect lists occurs in it, and every option has a case that shows whether it
//! is heeded. What there is to cover is asked from the running Kafka Connect, not from a list of ours.

use std::collections::BTreeSet;

use millrace_tests::rest::Rest;
use millrace_tests::server;

use crate::case::Case;
use crate::matrix;

/// Options that no result can show; of one class alone where it is named.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("converter.type", "set by Kafka Connect itself"),
    ("schemas.cache.size", "saves time and changes nothing"),
    ("logical.table.cache.size", "saves time and changes nothing"),
    (
        "io.debezium.connector.mongodb.transforms.ExtractNewDocumentState route.by.field",
        "taken over from the relational form and not looked at: the case `debezium.document-route` shows it",
    ),
];

/// Debezium brings more than Millrace has.
const DEBEZIUM: &[&str] = &[
    "io.debezium.transforms.ExtractNewRecordState",
    "io.debezium.transforms.ByLogicalTableRouter",
    "io.debezium.connector.mongodb.transforms.ExtractNewDocumentState",
];

fn is_known(class: &str) -> bool {
    class.starts_with("org.apache.kafka.") || DEBEZIUM.contains(&class)
}

/// The class that stands at `prefix` with its options, for all of a configuration's transforms, predicates and converters.
fn classes(case: &Case) -> Vec<(String, String)> {
    let typed =
        case.config.iter().filter_map(|(key, class)| Some((key.strip_suffix("type")?.to_owned(), class.clone())));
    let typed = typed.filter(|(prefix, _)| prefix.starts_with("transforms.") || prefix.starts_with("predicates."));
    let converters = ["key", "value", "header"].map(|role| format!("{role}.converter"));
    let converters = converters.into_iter().filter_map(|key| Some((format!("{key}."), case.config.get(&key)?.clone())));
    typed.chain(converters).collect()
}

/// `class option` for everything that some case proves, and `class` for everything that occurs.
fn covered(cases: &[Case]) -> BTreeSet<String> {
    let mut covered = BTreeSet::new();
    for case in cases {
        for (prefix, class) in classes(case) {
            for proof in &case.proofs {
                if let Some(option) = proof.option.strip_prefix(&prefix) {
                    covered.insert(format!("{class} {option}"));
                }
            }
            covered.insert(class);
        }
    }
    covered
}

#[tokio::test(flavor = "multi_thread")]
async fn every_class_and_every_option_of_kafka_connect_is_tried() {
    let mut cases = matrix::sinks();
    cases.extend(matrix::sources::all());
    assert!(cases.len() >= 200, "only {} configurations", cases.len());
    let covered = covered(&cases);
    let connect = Rest::new(server("CONNECT_URL"));
    let plugins = connect.call("GET", "/connector-plugins?connectorsOnly=false", None).await.body;
    let mut missing = Vec::new();
    let mut options = 0;
    for plugin in plugins.as_array().into_iter().flatten() {
        let (kind, class) = (plugin["type"].as_str().unwrap_or_default(), plugin["class"].as_str().unwrap_or_default());
        if kind == "sink" || kind == "source" || !is_known(class) {
            continue;
        }
        if !covered.contains(class) {
            missing.push(class.to_owned());
        }
        let path = format!("/connector-plugins/{}/config", class.replace('$', "%24"));
        for option in connect.call("GET", &path, None).await.body.as_array().into_iter().flatten() {
            let name = option["name"].as_str().unwrap_or_default();
            options += 1;
            let whole = format!("{class} {name}");
            let exempt = WITHOUT_EFFECT.iter().any(|(option, _)| *option == name || *option == whole);
            if !exempt && !covered.contains(&whole) {
                missing.push(whole);
            }
        }
    }
    for option in ["predicate", "negate"] {
        let shown =
            cases.iter().any(|case| case.proofs.iter().any(|proof| proof.option == format!("transforms.t.{option}")));
        if !shown {
            missing.push(option.to_owned());
        }
    }
    println!("{} configurations cover {options} options", cases.len());
    assert!(options > 50, "Kafka Connect lists {plugins}");
    assert!(missing.is_empty(), "no case tries:\n{}", missing.join("\n"));
}
