use super::*;

#[test]
fn addresses_are_made_complete() {
    for (text, whole) in [
        ("es:9200", "http://es:9200/"),
        (" https://es.example/prefix ", "https://es.example/prefix/"),
        ("http://10.0.0.1:9200/", "http://10.0.0.1:9200/"),
    ] {
        assert_eq!(address(text).unwrap().as_str(), whole);
    }
    let error = address("ftp://me:hunter2@es").unwrap_err();
    assert!(error.contains("***") && !error.contains("hunter2"), "{error}");
}

#[test]
fn what_a_path_cannot_hold_is_escaped() {
    assert_eq!(encoded("a/b?c"), "a%2Fb%3Fc");
    assert_eq!(decoded("p%40ss"), "p@ss");
}
