use super::*;
use crate::args::{Command as Verb, LogFormat, Output};

fn parse(toml: &str, line: &str) -> Cli {
    let file = SettingsFile::parse("test.toml", toml).expect("valid TOML");
    let command = file.apply(Cli::command()).expect("known keys");
    let matches = command.try_get_matches_from(line.split(' ')).expect("valid command line");
    Cli::from_arg_matches(&matches).expect("complete")
}

fn refusal(toml: &str) -> String {
    match SettingsFile::parse("test.toml", toml) {
        Err(failure) => failure.to_string(),
        Ok(file) => match file.apply(Cli::command()) {
            Err(failure) => failure.to_string(),
            Ok(_) => file.tenants().expect_err("must be refused").to_string(),
        },
    }
}

#[test]
fn the_file_is_below_flags_and_above_defaults() {
    let toml = "log-format = 'json'\n[worker]\ncapacity = 7\nlabel = ['zone=a', 'disk=ssd']\nfile_connectors = true\n";
    let cli = parse(toml, "millrace worker --capacity 9");
    assert_eq!(cli.common.log_format, LogFormat::Json);
    let Verb::Worker(worker) = cli.command else { panic!("another command") };
    assert_eq!(worker.capacity, 9, "the flag wins");
    assert_eq!(worker.labels, [("zone".to_owned(), "a".to_owned()), ("disk".to_owned(), "ssd".to_owned())]);
    assert!(worker.file_connectors);
    assert_eq!(worker.metrics_listen.port(), 9464, "the default");

    let Verb::Worker(worker) = parse(toml, "millrace worker").command else { panic!("another command") };
    assert_eq!(worker.capacity, 7);
}

#[test]
fn a_client_section_serves_all_client_commands() {
    let toml = "[client]\nserver = 'http://elsewhere:7070'\noutput = 'json'\n";
    let Verb::Get(get) = parse(toml, "millrace get c").command else { panic!("another command") };
    assert_eq!((get.client.server.as_str(), get.output.output), ("http://elsewhere:7070", Output::Json));
    let Verb::Pause(names) = parse(toml, "millrace pause x").command else { panic!("another command") };
    assert_eq!(names.client.server, "http://elsewhere:7070");
}

#[test]
fn the_environment_is_between_flags_and_file() {
    // The variable is set on the flag by clap's `env`; a default of the file must not hide it.
    let file = SettingsFile::parse("test.toml", "[worker]\nid = 'from-file'\n").expect("valid TOML");
    let command = file.apply(Cli::command()).expect("known keys");
    let worker = command.find_subcommand("worker").expect("a command");
    let id = worker.get_arguments().find(|argument| argument.get_id() == "id").expect("a flag");
    assert_eq!(id.get_env(), Some(OsStr::new("MILLRACE_WORKER_ID")));
    assert_eq!(id.get_default_values(), ["from-file"]);
}

#[test]
fn what_is_not_known_is_named_with_the_nearest() {
    for (toml, parts) in [
        ("[worker]\ncapcity = 1", &["test.toml, [worker]: unknown key \"capcity\"", "did you mean \"capacity\"?"][..]),
        ("[workers]\ncapacity = 1", &["unknown section [workers]", "did you mean [worker]?"]),
        ("log-fromat = 'json'", &["the top of the file: unknown key \"log-fromat\"", "did you mean \"log-format\"?"]),
        ("config = 'other.toml'", &["unknown key \"config\""]),
        ("[worker]\ncapacity = 'many'", &["test.toml, [worker]: invalid value 'many' for '--capacity <TASKS>'"]),
        ("[worker]\ncapacity = 0", &["test.toml, [worker]: invalid value '0'"]),
        ("[worker]\nfile-connectors = 'maybe'", &["\"file-connectors\" must be true or false"]),
        ("[worker]\ncapacity = { a = 1 }", &["\"capacity\" must be a text"]),
        ("x = ", &["test.toml is not valid TOML, line 1"]),
        ("[tenants.Big]\na = 1", &["[tenants.Big] is not a tenant's name"]),
        ("[tenants.a]\nb = [1]", &["[tenants.a]: \"b\" must be a text"]),
    ] {
        let text = refusal(toml);
        for part in parts {
            assert!(text.contains(part), "{toml}: {text}");
        }
    }
}

#[test]
fn a_tenant_has_flat_keys() {
    let toml = "[tenants.default]\n'bootstrap.servers' = 'a:1'\nconsumer.max.poll.records = 5\n'ssl' = true\n";
    let tenants = SettingsFile::parse("test.toml", toml).expect("valid TOML").tenants().expect("valid tenants");
    let expected = [("bootstrap.servers", "a:1"), ("consumer.max.poll.records", "5"), ("ssl", "true")];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    assert_eq!(tenants["default"], expected);
}

#[test]
fn the_file_is_found_wherever_it_is_named() {
    let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    let path = |line: &str| config_path(&words(line), None);
    assert_eq!(path("millrace worker --config a.toml"), Some("a.toml".into()));
    assert_eq!(path("millrace --config=a.toml worker"), Some("a.toml".into()));
    assert_eq!(path("millrace worker -- --config a.toml"), None);
    assert_eq!(config_path(&words("millrace worker"), Some("b.toml".into())), Some("b.toml".into()));
    assert_eq!(config_path(&words("millrace --config a.toml"), Some("b.toml".into())), Some("a.toml".into()));
}

#[test]
fn flags_of_the_client_may_stand_before_the_command() {
    for (given, sorted) in [
        ("millrace --server X get connectors", "millrace get --server X connectors"),
        (
            "millrace -o json --tenant=a --log debug get c -o yaml",
            "millrace --log debug get -o json --tenant=a c -o yaml",
        ),
        ("millrace get --server X c", "millrace get --server X c"),
        ("millrace --help", "millrace --help"),
        ("millrace --server", "millrace --server"),
        ("millrace", "millrace"),
    ] {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(command_first(words(given)), words(sorted), "{given}");
    }
}
