use millrace_sdk::{Batch, Config, SinkConnector, SinkTask, WriteReport, erase_sink};
use schemars::JsonSchema;
use serde::Deserialize;

use super::*;

struct Example;
struct ExampleTask;

/// A configuration.
#[derive(Deserialize, JsonSchema)]
struct ExampleConfig {
    /// Where to
    #[serde(rename = "connection.url")]
    #[allow(dead_code)]
    url: String,
}

impl Config for ExampleConfig {}

#[millrace_sdk::async_trait]
impl SinkTask for ExampleTask {
    async fn write(&self, _: &Batch) -> Result<WriteReport> {
        Ok(WriteReport::all_durable())
    }
}

#[millrace_sdk::async_trait]
impl SinkConnector for Example {
    const NAME: &'static str = "example-sink";
    const ALIASES: &'static [&'static str] = &["org.example.ExampleSinkConnector"];
    const DESCRIPTION: &'static str = "An example.";
    type Config = ExampleConfig;
    type Task = ExampleTask;

    async fn check(&self, _: &ExampleConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: ExampleConfig, _: TaskContext) -> Result<ExampleTask> {
        Ok(ExampleTask)
    }
}

fn catalog() -> Catalog {
    Catalog::default().sink_plugin(erase_sink(Example, "1.2.3"))
}

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a_class_is_found_by_all_names_that_connect_accepts() {
    let catalog = catalog();
    for name in ["example-sink", "org.example.ExampleSinkConnector", "ExampleSinkConnector", "ExampleSink"] {
        assert_eq!(catalog.sink(name).unwrap().info().class, "example-sink", "{name}");
    }
    let announced = &catalog.announce()[0];
    assert_eq!(announced.aliases, ["org.example.ExampleSinkConnector", "ExampleSinkConnector", "ExampleSink"]);
    assert_eq!((announced.version.as_str(), announced.kind), ("1.2.3", ConnectorKind::Sink));
    assert!(announced.config.key("connection.url").unwrap().required);
}

#[test]
fn an_unknown_class_is_answered_with_what_there_is() {
    let catalog = catalog();
    let message = catalog.sink("org.example.ExampelSinkConnector").err().unwrap().to_string();
    assert!(message.contains("Did you mean org.example.ExampleSinkConnector?"), "{message}");
    assert!(message.contains("offers: example-sink"), "{message}");
    let findings = catalog.validate("io.debezium.Nothing", &Flat::new(), &Flat::new());
    assert_eq!(findings.errors[0].key, "connector.class");
    assert!(catalog.source("ExampleSink").err().unwrap().to_string().contains("is a sink"));
}

#[test]
fn validation_names_missing_and_unknown_keys_at_once() {
    let given = flat(&[("conection.url", "x"), ("millrace.nothing", "1")]);
    let findings = catalog().validate("ExampleSink", &given, &Flat::new());
    let errors: Vec<&str> = findings.errors.iter().map(|problem| problem.key.as_str()).collect();
    assert!(errors.contains(&"connection.url") && errors.contains(&"millrace.nothing"), "{errors:?}");
    let warning = findings.warnings.iter().find(|problem| problem.key == "conection.url").unwrap();
    assert!(warning.message.contains("did you mean \"connection.url\""), "{}", warning.message);
}

#[tokio::test]
async fn a_sink_plans_as_many_tasks_as_asked() {
    assert_eq!(catalog().plan("ExampleSink", &Flat::new(), 3).await.unwrap().len(), 3);
}

#[test]
fn files_stay_below_the_roots() {
    let root = std::env::temp_dir().join(format!("millrace-roots-{}", uuid::Uuid::new_v4()));
    let inside = root.join("inside");
    std::fs::create_dir_all(&inside).unwrap();
    std::os::unix::fs::symlink("/etc", inside.join("link")).unwrap();
    let access = FileAccess::Below(vec![inside.clone()]);
    let path = |name: &str| flat(&[("file", &format!("{}/{name}", inside.display()))]);
    assert!(access.allows(&path("new.txt")).is_ok());
    for refused in ["../outside.txt", "link/passwd", "nowhere/new.txt"] {
        assert!(access.allows(&path(refused)).is_err(), "{refused}");
    }
    for refused in ["/etc/passwd", "relative.txt", ""] {
        assert!(access.allows(&flat(&[("file", refused)])).is_err(), "{refused}");
    }
    assert!(access.allows(&Flat::new()).unwrap_err().contains("must be named"));
    assert!(FileAccess::Anywhere.allows(&flat(&[("file", "/etc/passwd")])).is_ok());
    assert!(FileAccess::Refused.allows(&path("new.txt")).unwrap_err().contains("--file-connectors"));
    std::fs::remove_dir_all(root).unwrap();
}
