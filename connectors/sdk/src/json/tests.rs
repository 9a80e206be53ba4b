use proptest::prelude::*;

use super::*;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn written(value: &Value) -> String {
    let mut out = Vec::new();
    write(value, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn untouched_subtrees_keep_their_spelling() {
    let source = r#"{"a": 1.50, "b":{"x" : [1,2 ,3], "y":"\u0041"},"c":null}"#;
    let Value::Map(mut fields) = parse_level(&bytes(source)).unwrap() else { panic!("a map") };
    assert_eq!(fields[0].1, Value::Float(1.5));
    assert_eq!(fields[1].1, Value::Json(bytes(r#"{"x" : [1,2 ,3], "y":"\u0041"}"#)));
    fields.remove(0);
    assert_eq!(written(&Value::Map(fields)), r#"{"b":{"x" : [1,2 ,3], "y":"\u0041"},"c":null}"#);
}

#[test]
fn numbers_lose_nothing() {
    for (text, value) in [
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("-0", Value::Int(0)),
        ("18446744073709551616", Value::Json(bytes("18446744073709551616"))),
        ("18446744073709551615", Value::Json(bytes("18446744073709551615"))),
        ("1e3", Value::Float(1000.0)),
        ("0.1", Value::Float(0.1)),
    ] {
        assert_eq!(parse_level(&bytes(text)).unwrap(), value, "{text}");
        assert_eq!(parse_level(&bytes(&format!("[{text}]"))).unwrap(), Value::List(vec![value]), "{text} in a list");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    for text in ["", "{", "{\"a\":}", "[1,]", "nul", "1 2", "{'a':1}", "\"\n\"", "\"unterminated"] {
        assert!(validate(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(validate(b"\"\xff\"").is_err());
    assert!(validate("[".repeat(MAX_DEPTH + 1).as_bytes()).is_err());
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    assert!(validate(deep.as_bytes()).unwrap_err().to_string().contains("128"));
    let wide = format!("[{}[]]", "[],".repeat(1000));
    validate(wide.as_bytes()).unwrap();
    let brackets_in_text = format!("\"{}\"", "[\\\"{".repeat(200));
    validate(brackets_in_text.as_bytes()).unwrap();
}

#[test]
fn fields_are_found_by_name_and_path() {
    let value = Value::Json(bytes(r#"{"a":{"b\u0021":{"c":"é\n"}},"a2":1,"a2":2}"#));
    assert_eq!(value.path("a.b!.c").unwrap(), Some(Value::Str("é\n".into())));
    assert_eq!(value.field("a2").unwrap(), Some(Value::Int(2)));
    assert_eq!(value.path("a.x.c").unwrap(), None);
    assert_eq!(Value::Json(bytes("[1]")).field("a").unwrap(), None);
    assert_eq!(
        parse_deep(&bytes(r#"{"a":[{"b":1}]}"#)).unwrap(),
        Value::Map(vec![("a".into(), Value::List(vec![Value::Map(vec![("b".into(), Value::Int(1))])]))])
    );
}

#[test]
fn text_is_escaped_and_bytes_are_base64() {
    assert_eq!(written(&Value::Str("a\"\n\u{1}é".into())), r#""a\"\n\u0001é""#);
    assert_eq!(written(&Value::Bytes(bytes("hi!"))), r#""aGkh""#);
    assert!(write(&Value::Float(f64::NAN), &mut Vec::new()).is_err());
}

/// Valid JSON, and text that is nearly that.
fn text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("-1.5e+3".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(|number| format!("{number:e}")),
        "\\PC{0,20}".prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\u00e9\n\\\"é""#.to_owned()),
    ];
    let space = prop_oneof![Just(""), Just(" "), Just("\n\t ")];
    let nested = leaf.prop_recursive(5, 60, 6, move |inner| {
        let items = prop::collection::vec((inner.clone(), space.clone()), 0..6);
        let fields = prop::collection::vec(("[a-c\\\\\"]{0,3}", inner, space.clone()), 0..6);
        prop_oneof![
            items.prop_map(|items| {
                let items: Vec<String> = items.iter().map(|(item, space)| format!("{space}{item}{space}")).collect();
                format!("[{}]", items.join(","))
            }),
            fields.prop_map(|fields| {
                let field = |(name, value, space): &(String, String, &str)| {
                    format!("{space}{}{space}:{space}{value}", serde_json::to_string(name).unwrap())
                };
                format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
            }),
        ]
    });
    (nested, prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3)).prop_map(|(text, damage)| {
        let mut text = text;
        for (place, byte) in damage {
            let place = place.index(text.len() + 1);
            if text.is_char_boundary(place) {
                // Bytes that mean something in JSON, mostly.
                text.insert(place, char::from(b"\"\\{}[],:0-e.\x01 u"[usize::from(byte) % 15]));
            }
        }
        text
    })
}

#[test]
fn half_surrogates_are_refused_before_anybody_looks() {
    for (text, is_text) in [
        (r#""\ud83d\ude00""#, true),
        (r#""\uD83D\uDE00x""#, true),
        (r#""\ud800""#, false),
        (r#""\ud800x""#, false),
        (r#""\ud800\u0041""#, false),
        (r#""\ud800\ud800""#, false),
        (r#"{"\udc00":1}"#, false),
        (r#"{"a":["\ud800\n"]}"#, false),
    ] {
        assert_eq!(validate(text.as_bytes()).is_ok(), is_text, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// The scanner takes exactly what serde_json takes for JSON (half surrogates aside, which it would take as long as nobody
    /// looks at them), and finds the same in it.
    #[test]
    fn the_scanner_agrees_with_serde_json(text in text()) {
        let theirs = serde_json::from_str::<IgnoredAny>(&text);
        let ours = validate(text.as_bytes());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}: {:?} {:?}", text, ours, theirs);
        // To serde_json -0 is a float, to Java an integer.
        if theirs.is_ok() && !text.contains("-0") && let Ok(tree) = serde_json::from_str::<serde_json::Value>(&text) {
            let mut out = Vec::new();
            write(&parse_deep(&bytes(&text)).unwrap(), &mut out).unwrap();
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), tree, "{}", text);
        }
    }
}

#[test]
fn the_last_of_equal_names_counts_however_they_are_written() {
    let long = "n".repeat(100);
    let cases = [
        (r#"{"a":1,"b":2,"a":3}"#.to_owned(), vec![("a", 3), ("b", 2)]),
        (r#"{"\u0061":1,"b":2,"a":3}"#.to_owned(), vec![("a", 3), ("b", 2)]),
        (r#"{"a":1,"\u0061":2,"b":3,"b":4}"#.to_owned(), vec![("a", 2), ("b", 4)]),
        (format!(r#"{{"{long}":1,"a":2,"{long}":3}}"#), vec![(long.as_str(), 3), ("a", 2)]),
        (r#"{"b":1,"a":2}"#.to_owned(), vec![("b", 1), ("a", 2)]),
        (r#"{"a":1,"c":2,"b":3}"#.to_owned(), vec![("a", 1), ("c", 2), ("b", 3)]),
    ];
    // Names are learnt as they come.
    for (text, expected) in cases.iter().chain(&cases) {
        let expected = expected.iter().map(|(name, value)| (Text::from(*name), Value::Int(*value))).collect();
        assert_eq!(parse_level(&bytes(text)).unwrap(), Value::Map(expected), "{text}");
    }
}

#[test]
fn more_names_than_are_kept_are_no_trouble() {
    for number in 0..5000 {
        let Value::Map(fields) =
            parse_level(&bytes(&format!(r#"{{"x{number}":1,"y{number}":2,"x{number}":3}}"#))).unwrap()
        else {
            panic!("a map")
        };
        assert_eq!(fields.len(), 2);
        assert_eq!(fields[0], (format!("x{number}").into(), Value::Int(3)));
    }
}

#[test]
fn many_names_that_are_not_kept_are_told_apart() {
    let name = |number: usize| format!("{number}{}", "n".repeat(70));
    let members: Vec<String> = (0..3 * 1000).map(|number| format!("\"{}\":{number}", name(number % 1000))).collect();
    let expected = (0..1000_usize).map(|number| (name(number).into(), Value::Int(2000 + number as i64))).collect();
    assert_eq!(parse_level(&bytes(&format!("{{{}}}", members.join(",")))).unwrap(), Value::Map(expected));
}

proptest! {
    #[test]
    fn text_is_written_as_serde_json_writes_it(text in "[\\x00-\\x20\"\\\\a-cé€]{0,40}", times in 1_usize..80) {
        let long = text.repeat(times);
        prop_assert_eq!(written(&Value::Str(long.as_str().into())), serde_json::to_string(&long).unwrap());
        prop_assert_eq!(written(&Value::Str(text.as_str().into())), serde_json::to_string(&text).unwrap());
    }
}
