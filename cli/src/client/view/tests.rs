use super::*;

fn a_connector() -> v1::Connector {
    v1::Connector {
        name: "tenants/default/connectors/orders".to_owned(),
        config: [
            ("connector.class", "com.mongodb.kafka.connect.MongoSinkConnector"),
            ("connection.uri", "mongodb://u:***@h"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into(),
        target_state: v1::TargetState::Running.into(),
        kind: v1::ConnectorKind::Sink.into(),
        etag: "7".to_owned(),
        create_time: Some(prost_types::Timestamp { seconds: 1000, nanos: 0 }),
        update_time: None,
    }
}

fn a_status(states: &[v1::TaskState]) -> v1::ConnectorStatus {
    let task = |(index, state): (usize, &v1::TaskState)| v1::TaskStatus {
        index: i32::try_from(index).expect("few tasks"),
        state: (*state).into(),
        worker: "w:1".to_owned(),
        trace: if *state == v1::TaskState::Failed {
            "\ncannot write orders-0@7\n  caused by: x".to_owned()
        } else {
            String::new()
        },
        generation: 3,
    };
    v1::ConnectorStatus {
        name: "tenants/default/connectors/orders".to_owned(),
        state: v1::TaskState::Running.into(),
        tasks: states.iter().enumerate().map(task).collect(),
        ..v1::ConnectorStatus::default()
    }
}

#[test]
fn a_failed_task_is_seen_in_the_list() {
    let status = a_status(&[v1::TaskState::Running, v1::TaskState::Failed]);
    let text = connectors(&[(a_connector(), Some(status)), (a_connector(), None)], 1045).render();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..6], ["orders", "sink", "MongoSinkConnector", "FAILED", "1/2", "45s"]);
    assert!(text.contains("cannot write orders-0@7"), "{text}");
    assert_eq!(lines[2][..4], ["orders", "sink", "MongoSinkConnector", "?"]);
}

#[test]
fn the_json_form_can_be_applied_again() {
    let value = connector(&a_connector(), Some(&a_status(&[v1::TaskState::Running])));
    assert_eq!(value["status"]["tasks"][0]["state"], "RUNNING");
    let content = crate::input::understand("standard input", &value.to_string()).expect("readable");
    let crate::input::Content::Connectors(read) = content else { panic!("not a connector") };
    assert_eq!(read[0].name, "orders");
    assert_eq!(read[0].config["connection.uri"], "mongodb://u:***@h");
}

#[test]
fn a_description_holds_everything() {
    let mut status = a_status(&[v1::TaskState::Failed]);
    status.warnings = vec!["batch.size has no effect".to_owned()];
    let text = described(&a_connector(), &status, 1060);
    for part in [
        "Name:         orders",
        "State:        FAILED",
        "Created:      60s ago",
        "  connection.uri = mongodb://u:***@h",
        "Reason of task 0:",
        "    caused by: x",
        "  batch.size has no effect",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_long_reason_is_cut() {
    let mut status = a_status(&[]);
    status.trace = "x".repeat(200);
    let reason = reason(&status).expect("a reason");
    assert_eq!(reason.chars().count(), 80);
    assert!(reason.ends_with('…'));
}
