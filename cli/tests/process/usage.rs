//! What is said when something is not understood or cannot be reached; exit codes.

use crate::harness::{millrace, run};

#[test]
fn errors_tell_what_where_and_what_to_do() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let misspelt = file("misspelt.toml", "[worker]\ncapcity = 1\n");
    let fine = file("fine.toml", "log-format = 'json'\n[worker]\ncapacity = 5\n");
    let connector = file("a.json", r#"{"name":"a","connector.class":"mongodb-sink","topics":"t"}"#);
    let broken = file("broken.json", "{");
    for (arguments, code, parts) in [
        (&["worker", "--config", &misspelt][..], 2, &["unknown key \"capcity\"", "did you mean \"capacity\"?"][..]),
        (&["config", "check", "--config", &misspelt], 2, &["unknown key \"capcity\""]),
        (&["config", "check"], 2, &["there is no settings file to check"]),
        (
            &["control-plane", "--config", &fine],
            2,
            &["does not start without", "millrace key generate --out secrets.key"],
        ),
        (&["worker"], 2, &["needs the token", "--token-file"]),
        (&["apply", "-f", &broken], 2, &["is not valid JSON, line 1"]),
        (&["apply", "-f", "/nonexistent.json"], 2, &["cannot read /nonexistent.json"]),
        (
            &["apply", "-f", &connector, "--server", "http://127.0.0.1:1"],
            1,
            &["cannot reach the server at http://127.0.0.1:1", "MILLRACE_SERVER"],
        ),
        (&["get", "gadgets"], 2, &["invalid value 'gadgets'"]),
        (&["frobnicate"], 2, &["unrecognized subcommand 'frobnicate'"]),
    ] {
        let output = run(arguments);
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {err}");
        for part in parts {
            assert!(err.contains(part), "{arguments:?}: {err}");
        }
        assert!(!err.contains("Error {") && !err.contains("Os {"), "debug text: {err}");
    }
    let output = run(&["config", "check", "--config", &fine]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("fine.toml: 2 settings, all understood\n"));
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("m.toml");
    std::fs::write(&path, "[client]\nserver = 'http://127.0.0.1:1'\n").expect("written");
    let tried = |environment: Option<&str>, flag: Option<&str>| {
        let mut command = millrace();
        command.args(["get", "connectors", "--config"]).arg(&path);
        if let Some(server) = environment {
            command.env("MILLRACE_SERVER", server);
        }
        if let Some(server) = flag {
            command.args(["--server", server]);
        }
        String::from_utf8_lossy(&command.output().expect("the binary runs").stderr).into_owned()
    };
    assert!(tried(None, None).contains("127.0.0.1:1"));
    assert!(tried(Some("http://127.0.0.1:2"), None).contains("127.0.0.1:2"));
    assert!(tried(Some("http://127.0.0.1:2"), Some("http://127.0.0.1:3")).contains("127.0.0.1:3"));
}

#[test]
fn help_is_worth_reading() {
    let output = run(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0));
    for part in ["millrace standalone --bootstrap-servers", "Exit codes", "control-plane"] {
        assert!(text.contains(part), "{text}");
    }
    let text = run(&["apply", "--help"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("Examples:"));
}
