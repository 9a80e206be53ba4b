//! The gRPC API.

use std::collections::HashMap;

use millrace_proto::v1::connector_service_client::ConnectorServiceClient;
use millrace_proto::v1::plugin_service_client::PluginServiceClient;
use millrace_proto::v1::worker_service_client::WorkerServiceClient;
use millrace_proto::v1::*;
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::StatusExt;

use crate::support::{FakeWorker, Plane};

fn config(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

fn create(id: &str, pairs: &[(&str, &str)]) -> CreateConnectorRequest {
    CreateConnectorRequest {
        parent: "tenants/default".into(),
        connector_id: id.into(),
        config: config(pairs),
        ..Default::default()
    }
}

async fn channel(plane: &Plane) -> Channel {
    let address = plane.control.grpc_address().unwrap();
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_connector_is_made_changed_watched_and_deleted() {
    let plane = Plane::start().await;
    let _worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    let mut client = ConnectorServiceClient::new(channel(&plane).await);
    let sink = [("connector.class", "file-sink"), ("topics", "a"), ("connection.password", "hunter2")];
    let made = client.create_connector(create("c", &sink)).await.unwrap().into_inner().connector.unwrap();
    assert_eq!(
        (made.name.as_str(), made.config["connection.password"].as_str()),
        ("tenants/default/connectors/c", "***")
    );
    assert_eq!(made.kind(), ConnectorKind::Sink);
    assert_eq!(client.create_connector(create("c", &sink)).await.unwrap_err().code(), Code::AlreadyExists);

    let mut watch =
        client.watch_connectors(WatchConnectorsRequest { name: "tenants/default".into() }).await.unwrap().into_inner();
    loop {
        let seen = watch.message().await.unwrap().unwrap();
        if seen.status.unwrap().tasks.first().is_some_and(|task| task.state() == TaskState::Running) {
            break;
        }
    }

    // A mask changes one key; a stale etag is refused.
    let connector = Connector {
        name: made.name.clone(),
        config: config(&[("topics", "b")]),
        etag: made.etag.clone(),
        ..Default::default()
    };
    let update_mask = Some(prost_types::FieldMask { paths: vec!["config.topics".into()] });
    let update = UpdateConnectorRequest { connector: Some(connector), update_mask, allow_missing: false };
    let changed = client.update_connector(update.clone()).await.unwrap().into_inner().connector.unwrap();
    assert_eq!(changed.config["topics"], "b");
    assert_ne!(changed.etag, made.etag);
    let stale = client.update_connector(update).await.unwrap_err();
    assert_eq!((stale.code(), stale.get_details_error_info().unwrap().reason.as_str()), (Code::Aborted, "ETAG_STALE"));
    let delete = DeleteConnectorRequest { name: made.name.clone(), etag: made.etag };
    assert_eq!(client.delete_connector(delete).await.unwrap_err().code(), Code::Aborted);
    client.delete_connector(DeleteConnectorRequest { name: made.name.clone(), etag: String::new() }).await.unwrap();
    while !watch.message().await.unwrap().unwrap().deleted {}
    let gone = client.get_connector(GetConnectorRequest { name: made.name }).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    plane.end().await;
}

#[tokio::test]
async fn refusals_name_each_key() {
    let plane = Plane::start().await;
    let _worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    let mut client = ConnectorServiceClient::new(channel(&plane).await);
    let bad = [("connector.class", "file-sink"), ("tasks.max", "many")];
    let refused = client.create_connector(create("c", &bad)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let fields: Vec<String> =
        refused.get_details_bad_request().unwrap().field_violations.into_iter().map(|v| v.field).collect();
    assert_eq!(fields, ["config.tasks.max", "config.topics"]);
    let request = ValidateConnectorRequest {
        parent: "tenants/default".into(),
        connector_id: "c".into(),
        config: config(&[("connector.class", "file-sink"), ("topics", "a"), ("topic", "b")]),
    };
    let answer = client.validate_connector(request).await.unwrap().into_inner();
    assert!(answer.errors.is_empty());
    assert!(answer.warnings[0].message.contains("did you mean \"topics\"?"));
    let dry = CreateConnectorRequest {
        validate_only: true,
        ..create("dry", &[("connector.class", "file-sink"), ("topics", "a")])
    };
    client.create_connector(dry).await.unwrap();
    let nameless = client.get_connector(GetConnectorRequest { name: "c".into() }).await.unwrap_err();
    assert_eq!(nameless.code(), Code::InvalidArgument);
    assert_eq!(plane.get("/connectors").await, serde_json::json!([]));
    plane.end().await;
}

#[tokio::test]
async fn lists_come_in_pages_and_what_there_is_is_listed() {
    let plane = Plane::start().await;
    let _worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    let channel = channel(&plane).await;
    let mut client = ConnectorServiceClient::new(channel.clone());
    for name in ["a", "b", "c"] {
        client.create_connector(create(name, &[("connector.class", "file-sink"), ("topics", "a")])).await.unwrap();
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListConnectorsRequest { parent: "tenants/default".into(), page_size: 2, page_token };
        let page = client.list_connectors(request).await.unwrap().into_inner();
        names.extend(page.connectors.into_iter().map(|connector| connector.config["name"].clone()));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["a", "b", "c"]);
    let plugins = PluginServiceClient::new(channel.clone()).list_plugins(ListPluginsRequest {}).await.unwrap();
    assert_eq!(plugins.into_inner().plugins.len(), 2);
    plane.until("/connectors/c/status", |s| crate::support::task_state(s, 0) == "RUNNING").await;
    let workers =
        WorkerServiceClient::new(channel).list_workers(ListWorkersRequest {}).await.unwrap().into_inner().workers;
    assert_eq!((workers.len(), workers[0].tasks, workers[0].live), (1, 3, true));
    plane.end().await;
}
