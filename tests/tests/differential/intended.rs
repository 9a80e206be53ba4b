//! What is meant to differ from Kafka Connect. `docs/differences.md` has the reason of each by its name; the suite holds the
//! two lists together, and says when one of them no longer occurs.

use crate::compare::Mismatch;

/// A difference on purpose.
pub(crate) struct Intended {
    /// As in `docs/differences.md`
    pub(crate) name: &'static str,
    /// Cases, by the beginning of their names
    pub(crate) cases: &'static [&'static str],
    /// Records; none means all
    pub(crate) samples: &'static [&'static str],
    /// What of them
    pub(crate) aspects: &'static [&'static str],
}

/// The list in `docs/differences.md` and the one below are the same.
#[test]
fn every_difference_is_documented_and_no_other() {
    let text = include_str!("../../../docs/differences.md");
    let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
    let documented: std::collections::BTreeSet<String> = text.lines().filter_map(name).collect();
    let known = INTENDED.iter().map(|intended| intended.name.to_owned()).collect();
    assert_eq!(documented, known);
}

impl Intended {
    pub(crate) fn covers(&self, mismatch: &Mismatch) -> bool {
        self.cases.iter().any(|case| mismatch.case.starts_with(case))
            && (self.samples.is_empty() || self.samples.contains(&mismatch.sample))
            && self.aspects.contains(&&*mismatch.aspect)
    }
}

const CLASS: &[&str] = &["letter.exception.class.name"];
const OUTCOME: &[&str] = &["outcome"];
const FATE: &[&str] = &["fate"];
const SIDES: &[&str] = &["key.value", "value.value"];
const PLAIN_JSON: &[&str] = &["convert.json", "headers.json"];

const fn intended(
    name: &'static str,
    cases: &'static [&'static str],
    samples: &'static [&'static str],
    aspects: &'static [&'static str],
) -> Intended {
    Intended { name, cases, samples, aspects }
}

#[rustfmt::skip] // one after the other
pub(crate) const INTENDED: &[Intended] = &[
    // --- outcomes
    intended("refused-early", &["insert.no-value", "refused."], &[""], OUTCOME),
    intended("before-the-failure", &["errors.none-poison", "errors.default-poison"], &["good"], FATE),
    intended("exception-class", &["extract.missing", "header-from.missing", "insert.over", "mask.misfit", "time.", "convert.", "value-to-key", "cast.", "replace.", "chain.", "flatten", "hoist", "debezium.", "registry."], &[], CLASS),
    // --- JSON
    intended("json-wide-integers", PLAIN_JSON, &["beyond-int64", "uint64-max", "thirty-digits", "member-beyond-int64", "long-number"], &["value.value", "headers"]),
    intended("json-wide-floats", PLAIN_JSON, &["beyond-double", "member-beyond-double"], &["value.value", "headers"]),
    intended("json-long-numbers", PLAIN_JSON, &["very-long-number"], FATE),
    intended("json-minus-zero", PLAIN_JSON, &["minus-zero", "member-minus-zero"], &["value.value"]),
    intended("json-half-surrogates", PLAIN_JSON, &["lone-surrogate"], FATE),
    intended("json-utf8", PLAIN_JSON, &["overlong-utf8"], FATE),
    intended("json-leading-zeros", PLAIN_JSON, &["leading-zeros", "leading-zero"], FATE),
    intended("json-blank", PLAIN_JSON, &["blank", "line-end", "nine"], FATE),
    intended("json-second-value", PLAIN_JSON, &["two-values", "trailing-text", "null-more", "true-more"], FATE),
    intended("json-depth", PLAIN_JSON, &["levels-129", "levels-999"], FATE),
    // --- JSON with schemas
    intended("schema-range", &["convert."], &["int8-beyond", "int16-beyond", "int32-beyond", "int64-beyond", "float-beyond", "double-beyond", "beyond-int64", "uint64-max", "thirty-digits", "beyond-double", "long-number"], FATE),
    intended("schema-fraction", &["convert."], &["int32-fraction", "double-max", "double-min", "below-double", "long-fraction", "timestamp-fraction", "floats"], FATE),
    intended("schema-kind", &["convert."], &["int32-text", "int32-boolean", "double-text", "boolean-number", "boolean-text", "text-number", "text-map", "bytes-number", "list-map", "default-wrong"], FATE),
    intended("schema-kind", &["convert.json-content"], &["wrong", "numeric-text", "member-beyond-int64", "member-minus-zero", "member-beyond-double", "escapes", "zero-character", "delete-character", "non-characters", "byte-order-mark", "utf16", "utf16-no-mark", "around", "repeated-names", "repeated-escaped-names", "empty-name", "levels-100", "levels-128", "long-text"], FATE),
    intended("schema-nan", &["convert.fits", "convert.json-numeric"], &["double-nan"], &["value.value"]),
    intended("schema-minus-zero", &["convert.fits", "convert.json-numeric"], &["double-minus-zero"], &["value.value"]),
    intended("schema-struct-default", &["convert.fits", "convert.json-numeric"], &["struct-default"], FATE),
    // --- transforms
    intended("metadata-of-all", &["metadata."], &[], FATE),
    intended("float-without-schema", &["cast.float/Value/plain", "cast.float/Key/plain", "cast.whole-float/Value/plain", "cast.whole-float/Key/plain"], &[], SIDES),
    intended("width-without-schema", &["chain.widths"], &[], FATE),
    intended("float-digits", &["chain.cast-float"], &["utf16-lone-low"], &["value.value"]),
    intended("mask-decimal", &["mask.amount/"], &[], SIDES),
    intended("routed-without-schema", &["debezium.router"], &["schemaless"], FATE),
    intended("added-to-others", &["debezium.document-headers"], &["other"], FATE),
    // --- converters with a schema registry
    intended("registry-bare-values", &["registry.avro"], &["top-bytes"], &["key.schema", "key.value", "value.schema", "value.value"]),
    intended("registry-schemas", &["registry.protobuf", "registry.json-schema"], &[], &["key.schema", "value.schema"]),
    intended("year-overflow", &["chain.four-plain"], &["numeric-text"], FATE),
];
