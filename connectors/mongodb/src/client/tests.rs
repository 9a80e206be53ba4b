use std::time::Duration;

use millrace_sdk::ErrorKind;

use super::*;

fn connection(uri: &str) -> Connection {
    serde_json::from_value(serde_json::json!({ "connection.uri": uri })).unwrap()
}

#[test]
fn connection_strings_are_looked_at_without_a_network() {
    for (uri, says) in [
        ("mongodb://user:s3cret@a:1,b:2/db?replicaSet=rs0", None),
        ("mongodb+srv://user:s3cret@cluster.example.com/db?retryWrites=true", None),
        ("mongodb+srv://user:s3cret@cluster.example.com/?srvServiceName=own&srvMaxHosts=3", None),
        ("mongodb+srv://user:s3cret@cluster.example.com:27017/", Some("port")),
        ("mongodb+srv://user:s3cret@a.example.com,b.example.com/", Some("exactly one host")),
        ("mongodb+srv://user:s3cret@cluster.example.com/?directConnection=true", Some("directConnection")),
        ("mongodb://user:s3cret@a:1/?srvServiceName=own", Some("srvServiceName")),
        ("mongodb://user:s3cret@a:1/?replicaset", Some("replicaset")),
        ("postgres://user:s3cret@a:1/", Some("scheme")),
    ] {
        let problems = connection(uri).check(&Flat::new());
        match says {
            None => assert!(problems.is_empty(), "{uri}: {problems:?}"),
            Some(says) => {
                let message = &problems.first().unwrap_or_else(|| panic!("{uri} is accepted")).message;
                assert!(message.contains(says) && !message.contains("s3cret"), "{uri}: {message}");
            }
        }
    }
}

/// No resolver knows a name below `.invalid`, whether it has a network or not.
#[tokio::test]
async fn a_cluster_that_cannot_be_resolved_now_is_asked_for_again() {
    let connection = connection("mongodb+srv://user:s3cret@cluster.millrace.invalid/");
    let error = connection.client(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TRANSIENT, "{error}");
    let text = error.to_string();
    assert!(text.starts_with("cannot use connection.uri: ") && text.contains("millrace.invalid"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}
