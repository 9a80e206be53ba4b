use super::*;

fn connectors(origin: &str, text: &str) -> Vec<ConnectorFile> {
    match understand(origin, text) {
        Ok(Content::Connectors(connectors)) => connectors,
        other => panic!("{origin}: {other:?}"),
    }
}

fn flat_of(entries: &[(&str, &str)]) -> Flat {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_form_of_a_connector_is_the_same_connector() {
    let expected = flat_of(&[("name", "a"), ("connector.class", "x"), ("tasks.max", "2"), ("flag", "true")]);
    for (origin, text) in [
        ("a.json", r#"{"name":"a","connector.class":"x","tasks.max":2,"flag":true,"gone":null}"#),
        ("a.json", r#"{"name":"a","config":{"connector.class":"x","tasks.max":"2","flag":true}}"#),
        (
            "standard input",
            r#" {"config":{"name":"a","connector.class":"x","tasks.max":"2","flag":"true"},"tasks":[]}"#,
        ),
        ("a.json", r#"[{"name":"a","config":{"connector.class":"x","tasks.max":"2","flag":"true"}}]"#),
        ("a.yaml", "name: a\nconfig:\n  connector.class: x\n  tasks.max: 2\n  flag: true\n"),
        ("standard input", "name: a\nconnector.class: x\ntasks.max: 2\nflag: true\n"),
        ("a.properties", "name=a\nconnector.class=x\ntasks.max=2\nflag=true\n"),
        ("standard input", "# a connector\nname=a\nconnector.class=x\ntasks.max=2\nflag=true\n"),
    ] {
        let found = connectors(origin, text);
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!((found[0].name.as_str(), &found[0].config), ("a", &expected), "{text}");
    }
}

#[test]
fn a_file_may_hold_several() {
    let text = "name: a\nconnector.class: x\n---\n- name: b\n  connector.class: y\n- name: c\n  connector.class: z\n";
    let names: Vec<String> = connectors("all.yml", text).into_iter().map(|found| found.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn the_initial_state_is_read() {
    let found = connectors("a.json", r#"{"name":"a","config":{"connector.class":"x"},"initial_state":"PAUSED"}"#);
    assert_eq!(found[0].initial_state.as_deref(), Some("PAUSED"));
}

#[test]
fn worker_properties_are_told_apart() {
    let content = understand("worker.properties", "bootstrap.servers=a:1,b:2\nkey.converter=x\n").expect("valid");
    assert_eq!(content, Content::Worker(flat_of(&[("bootstrap.servers", "a:1,b:2"), ("key.converter", "x")])));
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    for (origin, text, part) in [
        ("a.json", "{", "a.json is not valid JSON, line 1, column 1"),
        ("a.json", "7", "a connector must be an object, this is a number"),
        ("a.json", r#"{"name":"a","connector.class":"x","y":{"z":1}}"#, "the value of \"y\" is an object"),
        ("a.json", r#"{"connector.class":"x"}"#, "the connector has no name"),
        (
            "a.json",
            r#"{"name":"a","config":{"name":"b","connector.class":"x"}}"#,
            "two names, \"a\" and in its config \"b\"",
        ),
        ("a.json", r#"{"name":"a"}"#, "neither connector.class nor bootstrap.servers"),
        ("a.properties", "a=\\u1", "a.properties, line 1: \\u must be followed"),
        ("a.yaml", "a: [", "a.yaml is not valid YAML"),
        ("a.yaml", " \n", "a.yaml is empty"),
    ] {
        let failure = understand(origin, text).expect_err(text).to_string();
        assert!(failure.contains(part), "{text}: {failure}");
    }
}
