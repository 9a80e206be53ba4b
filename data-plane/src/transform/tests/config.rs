use super::*;

// One table.
#[allow(clippy::too_many_lines)]
#[test]
fn each_mistake_is_named_with_its_key() {
    for (pairs, key, parts) in [
        (
            &[("transforms", "t")][..],
            "transforms.t.type",
            &["Missing required configuration \"transforms.t.type\""][..],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "org.apache.kafka.connect.transforms.InsertFeld$Value")],
            "transforms.t.type",
            &[
                "could not be found",
                "Did you mean org.apache.kafka.connect.transforms.InsertField$Value",
                "Available",
                "RegexRouter",
            ],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "io.debezium.transforms.outbox.EventRouter")],
            "transforms.t.type",
            &["not available", "Available transforms are"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "org.apache.kafka.connect.transforms.Cast")],
            "transforms.t.type",
            &["Cast$Key or org.apache.kafka.connect.transforms.Cast$Value"],
        ),
        (&[("transforms", "t,t"), ("transforms.t.type", "Filter")], "transforms", &["Duplicate alias provided."]),
        (
            &[("transforms", "t"), ("transforms.t.type", "Cast$Value")],
            "transforms.t.spec",
            &["Missing required configuration \"transforms.t.spec\" which has no default value."],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "Cast$Value"), ("transforms.t.spec", "a:int7")],
            "transforms.t.spec",
            &[
                "Invalid value [a:int7] for configuration transforms.t.spec:",
                "Invalid type found in casting spec: int7",
            ],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "Cast$Value"), ("transforms.t.spec", "int8,string")],
            "transforms.t.spec",
            &["may only specify a single cast"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "Cast$Value"), ("transforms.t.spec", "a:bytes")],
            "transforms.t.spec",
            &["does not support casting to BYTES"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "Filter"), ("transforms.t.negate", "true")],
            "transforms.t.negate",
            &["defining a predicate to be negated"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "Filter"), ("transforms.t.predicate", "p")],
            "transforms.t.predicate",
            &["Invalid value p", "names none"],
        ),
        (
            &[("predicates", "p"), ("predicates.p.type", "TopicNameMatch")],
            "predicates.p.type",
            &["Did you mean TopicNameMatches?", "HasHeaderKey"],
        ),
        (
            &[("predicates", "p"), ("predicates.p.type", "TopicNameMatches"), ("predicates.p.pattern", "(")],
            "predicates.p.pattern",
            &["Invalid value ( for configuration predicates.p.pattern: Invalid regex"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "InsertField$Value")],
            "transforms.t.type",
            &["No field insertion configured"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "InsertField$Value"), ("transforms.t.static.field", "f")],
            "transforms.t.static.value",
            &["No value specified for static field: f"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "MaskField$Key"), ("transforms.t.fields", "")],
            "transforms.t.fields",
            &["Empty list"],
        ),
        (
            &[
                ("transforms", "t"),
                ("transforms.t.type", "TimestampConverter$Value"),
                ("transforms.t.target.type", "string"),
            ],
            "transforms.t.format",
            &["requires format option"],
        ),
        (
            &[
                ("transforms", "t"),
                ("transforms.t.type", "TimestampConverter$Value"),
                ("transforms.t.target.type", "number"),
            ],
            "transforms.t.target.type",
            &[
                "Invalid value number for configuration transforms.t.target.type: String must be one of: string, unix, Date",
            ],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "TimestampRouter"), ("transforms.t.timestamp.format", "YYYY")],
            "transforms.t.timestamp.format",
            &["'Y' is not available"],
        ),
        (
            &[
                ("transforms", "t"),
                ("transforms.t.type", "RegexRouter"),
                ("transforms.t.regex", "a"),
                ("transforms.t.replacement", "$1"),
            ],
            "transforms.t.replacement",
            &["No group 1"],
        ),
        (
            &[
                ("transforms", "t"),
                ("transforms.t.type", "HeaderFrom$Value"),
                ("transforms.t.fields", "a,b"),
                ("transforms.t.headers", "a"),
                ("transforms.t.operation", "copy"),
            ],
            "transforms.t.fields",
            &["same number of elements"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "SetSchemaMetadata$Value")],
            "transforms.t.type",
            &["Neither schema name nor version configured"],
        ),
        (
            &[("transforms", "t"), ("transforms.t.type", "ReplaceField$Value"), ("transforms.t.renames", "a")],
            "transforms.t.renames",
            &["Invalid rename mapping: a"],
        ),
        (
            &[
                ("transforms", "t"),
                ("transforms.t.type", "ExtractField$Value"),
                ("transforms.t.field", "`a"),
                ("transforms.t.field.syntax.version", "V2"),
            ],
            "transforms.t.field",
            &["Incomplete backtick pair"],
        ),
    ] {
        let findings = findings(&flat(pairs));
        let found = findings.errors.iter().find(|problem| problem.key == key);
        let found = found.unwrap_or_else(|| panic!("{pairs:?}: {:?}", findings.errors));
        for part in parts {
            assert!(found.message.contains(part), "{part}\n{}", found.message);
        }
        assert_eq!(findings.errors.len(), 1, "{pairs:?}: {:?}", findings.errors);
        if pairs[0].0 == "transforms" {
            assert!(chain(&flat(pairs)).is_err());
        }
    }
}

#[test]
fn what_is_ignored_is_said() {
    let pairs = [
        ("transforms", "t"),
        ("transforms.t.type", "MaskField$Value"),
        ("transforms.t.fields", "a"),
        ("transforms.t.replacment", "x"),
        ("transforms.u.type", "Filter"),
        ("predicates.p.type", "RecordIsTombstone"),
    ];
    let findings = findings(&flat(&pairs));
    assert_eq!(findings.errors, []);
    let messages: Vec<&str> = findings.warnings.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "unknown option \"transforms.t.replacment\" is ignored; did you mean \"transforms.t.replacement\"?",
            "\"transforms.u.type\" has no effect: \"transforms\" names t, not u",
            "\"predicates.p.type\" has no effect: \"predicates\" names none, not p",
        ]
    );
}

#[test]
fn nothing_asked_for_is_no_chain() {
    assert!(chain(&flat(&[("topics", "a"), ("transforms", " , ")])).unwrap().is_none());
}

#[test]
fn every_class_has_its_java_name_and_a_short_one() {
    for entry in TRANSFORMS {
        for class in entry.classes {
            let short = class.rsplit('.').next().unwrap();
            for name in [class, short] {
                let findings = findings(&flat(&[("transforms", "t"), ("transforms.t.type", name)]));
                assert!(
                    findings.errors.iter().all(|p| !p.message.contains("could not be found")),
                    "{:?}",
                    findings.errors
                );
            }
        }
        for key in &(entry.definition)().keys {
            assert!(!key.doc.is_empty(), "{} of {:?} says nothing", key.name, entry.classes);
        }
    }
    let own = TRANSFORMS.iter().filter(|entry| entry.classes[0].starts_with(PACKAGE));
    assert_eq!(own.count(), 16);
}
