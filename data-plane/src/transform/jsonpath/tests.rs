use millrace_sdk::{Bytes, Value, json};

use super::Path;

const BOOK: &str = r#"{"id":7,"price":8.5,"name":"Kafka","tags":["a","b"],"big":123456789012345678901,"none":null,
    "author":{"name":"Franz","born":1883},"books":[{"t":"Amerika","y":1927},{"t":"Das Urteil","y":1913,"x":true}]}"#;

fn book() -> Value {
    Value::Json(Bytes::from_static(BOOK.as_bytes()))
}

/// What a path finds, and whether something was missing.
fn find(path: &str) -> (String, bool) {
    let found = Path::parse(path).unwrap_or_else(|error| panic!("{path}: {error}")).find(&book()).unwrap();
    let mut out = Vec::new();
    json::write(&Value::List(found.values), &mut out).unwrap();
    (String::from_utf8(out).unwrap(), found.missing)
}

#[test]
fn paths_lead_to_values() {
    for (path, expected) in [
        ("$.id", "[7]"),
        ("$['author'][\"name\"]", r#"["Franz"]"#),
        ("$.author['name','born']", r#"["Franz",1883]"#),
        ("$.tags[0]", r#"["a"]"#),
        ("$.tags[-1]", r#"["b"]"#),
        ("$.tags[0,1]", r#"["a","b"]"#),
        ("$.tags[1:]", r#"["b"]"#),
        ("$.tags[:-1]", r#"["a"]"#),
        ("$.tags[5]", "[]"),
        ("$.books[*].y", "[1927,1913]"),
        ("$.author.*", r#"["Franz",1883]"#),
        ("$..t", r#"["Amerika","Das Urteil"]"#),
        ("$..[0].y", "[1927]"),
        ("$.books[?(@.y < 1920)].t", r#"["Das Urteil"]"#),
        ("$.books[?(@.x)].y", "[1913]"),
        ("$.books[?(!@.x)].y", "[1927]"),
        ("$.books[?(@.y > $.author.born)].y", "[1927,1913]"),
        ("$.author[?(@.name == 'Franz')].born", "[1883]"),
    ] {
        assert_eq!(find(path).0, expected, "{path}");
    }
}

#[test]
fn conditions_hold_or_not() {
    for (condition, holds) in [
        ("@.id == 7", true),
        ("@.id == 7.0", true),
        ("@.id == '7'", true),
        ("@.id != 8", true),
        ("@.price >= 8.5 && @.price <= 8.5", true),
        ("@.price > 8.5 || @.price < 8.5", false),
        ("@.name == \"Kafka\"", true),
        ("@.name < 'Kb'", true),
        ("@.name =~ /ka.*/i", true),
        ("@.name =~ /ka.*/", false),
        ("@.name =~ /af/", false),
        ("@.id in [6, 7]", true),
        ("@.id nin [6, 7]", false),
        ("@.name in ['x', 'Kafka']", true),
        ("@.tags contains 'a'", true),
        ("@.name contains 'fk'", true),
        ("@.tags subsetof ['a', 'b', 'c']", true),
        ("@.tags anyof ['b']", true),
        ("@.tags noneof ['b']", false),
        ("@.tags size 2", true),
        ("@.tags empty false", true),
        ("@.tags == ['a', 'b']", true),
        ("@.tags == ['b', 'a']", false),
        ("@.big > 9223372036854775807", true),
        ("@.none == null", true),
        ("@.id == null", false),
        ("@.author.born == 1883 && (@.id == 1 || @.id == 7)", true),
        ("!(@.id == 7)", false),
        ("@.books[0].y == 1927", true),
        ("@.author == @.author", true),
        ("@.nothing", false),
        ("@.name == true", false),
    ] {
        assert_eq!(find(&format!("$[?({condition})].id")).0 == "[7]", holds, "{condition}");
    }
}

#[test]
fn what_is_missing_is_told() {
    for (path, missing) in [
        ("$[?(@.id == 7)]", false),
        ("$[?(@.id == 8)]", false),
        ("$[?(@.nothing == 8)]", true),
        ("$[?(@.none == 8)]", true),
        ("$[?(@.none == null)]", false),
        ("$[?(@.nothing)]", false),
        ("$.nothing[?(@.id == 8)]", true),
        ("$.author[?(@.age == 8)]", true),
        ("$.nothing", true),
        ("$.none", true),
        ("$.tags[9]", false),
        ("$..nothing", false),
    ] {
        assert_eq!(find(path).1, missing, "{path}");
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (path, part) in [
        ("", "\"$\" or \"@\" expected at the end"),
        ("id", "\"$\" or \"@\" expected at \"id\" (character 1)"),
        ("$.", "a name expected at the end (character 3)"),
        ("$.a b", "something that does not belong"),
        ("$.a.length()", "functions are not available"),
        ("$[?(@.a = 1)]", "at \"= 1)]\""),
        ("$[?(1)]", "an operator"),
        ("$[?(@.a == )]", "a path, a number"),
        ("$[?(@.a =~ 'x')]", "belong together"),
        ("$[?(@.a =~ /(/)]", "arsing error"),
        ("$[?(@.a =~ /x", "does not end"),
        ("$['a", "a text that does not end"),
        ("$[", "an index"),
        ("$[99999999999999999999]", "too large"),
        ("$[?(@.a == 1]", "\")\" expected"),
        (&format!("$[?({}@.a)]", "!".repeat(100)), "nested deeper"),
        (&format!("$[?(@.a in {})]", "[".repeat(100)), "nested deeper"),
    ] {
        let error = Path::parse(path).unwrap_err();
        assert!(error.contains(part), "{path}: {error}");
    }
}
