//! Debezium's transforms with every option, those included that it does not list.

use super::{JSON, OUT, Whole, whole};
use crate::case::Options;
use crate::sets::SetId::{Changes, Documents};

const KEY: (&str, &str) = ("key.converter", JSON);
const VALUE: (&str, &str) = ("value.converter", JSON);
/// Else the converter leaves no null for the transform.
const KEEP_NULL: (&str, &str) = ("value.converter.replace.null.with.default", "false");
const T: (&str, &str) = ("transforms", "t");
const ROW: (&str, &str) = ("transforms.t.type", "io.debezium.transforms.ExtractNewRecordState");
const DOCUMENT: (&str, &str) =
    ("transforms.t.type", "io.debezium.connector.mongodb.transforms.ExtractNewDocumentState");
const ROUTER: (&str, &str) = ("transforms.t.type", "io.debezium.transforms.ByLogicalTableRouter");
const MODE: &str = "transforms.t.delete.tombstone.handling.mode";
const FIELDS: &str = "transforms.t.add.fields";
const HEADERS: &str = "transforms.t.add.headers";
const NAMES: &str = "transforms.t.field.name.adjustment.mode";
const SCHEMA_NAMES: &str = "transforms.t.schema.name.adjustment.mode";
const REGEX: &str = "transforms.t.topic.regex";
const REPLACEMENT: &str = "transforms.t.topic.replacement";
const ALL: (&str, &str) = (REGEX, "chan(.*)es_.*");
const LOGICAL: (&str, &str) = (REPLACEMENT, "all-$1.logical");

const FIELD_LIST: &str = "op,ts_ms,lsn,source.ts_ms,table:tab,id:tx,transaction.total_order,name,nothing";
const DOCUMENT_LIST: &str = "op,source.ts_ms,collection:coll,updateDescription.removedFields:removed";
const OFF: Options = &[("transforms", "")];

pub(super) fn all() -> impl Iterator<Item = &'static Whole> {
    ROWS.iter().chain(DOCUMENTS).chain(ROUTES)
}

#[rustfmt::skip] // a row is a line
const ROWS: &[Whole] = &[
    whole("debezium.row", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW], OFF),
    whole("debezium.row-drop", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (MODE, "drop")], &[(MODE, OUT)]),
    whole("debezium.row-tombstone", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (MODE, "tombstone")], &[(MODE, "rewrite")]),
    whole("debezium.row-rewrite", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (MODE, "rewrite")], &[(MODE, OUT)]),
    whole("debezium.row-rewrite-nulls", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (MODE, "rewrite"), ("transforms.t.replace.null.with.default", "false")], &[("transforms.t.replace.null.with.default", OUT)]),
    whole("debezium.row-rewrite-with-tombstone", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (MODE, "rewrite-with-tombstone")], &[(MODE, "rewrite")]),
    whole("debezium.row-to-tombstone", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (MODE, "delete-to-tombstone")], &[(MODE, OUT)]),
    whole("debezium.row-fields", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (FIELDS, FIELD_LIST), (MODE, "rewrite")], &[(FIELDS, OUT)]),
    whole("debezium.row-fields-prefix", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (FIELDS, "op,table"), ("transforms.t.add.fields.prefix", "m_")], &[("transforms.t.add.fields.prefix", OUT)]),
    whole("debezium.row-headers", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (HEADERS, FIELD_LIST)], &[(HEADERS, OUT)]),
    whole("debezium.row-headers-prefix", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, (HEADERS, "op,table"), ("transforms.t.add.headers.prefix", ""), (MODE, "rewrite-with-tombstone")], &[("transforms.t.add.headers.prefix", OUT)]),
    whole("debezium.row-route", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, ("transforms.t.route.by.field", "topic"), (MODE, "rewrite")], &[("transforms.t.route.by.field", OUT)]),
    whole("debezium.row-route-number", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, ("transforms.t.route.by.field", "id")], &[("transforms.t.route.by.field", OUT)]),
    whole("debezium.row-dropped-fields", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, ("transforms.t.drop.fields.header.name", "drop"), (MODE, "rewrite")], &[("transforms.t.drop.fields.header.name", OUT)]),
    whole("debezium.row-dropped-key", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, ("transforms.t.drop.fields.header.name", "drop"), ("transforms.t.drop.fields.from.key", "true")], &[("transforms.t.drop.fields.from.key", OUT)]),
    whole("debezium.row-dropped-required", Changes, &[KEY, VALUE, KEEP_NULL, T, ROW, ("transforms.t.drop.fields.header.name", "drop"), ("transforms.t.drop.fields.keep.schema.compatible", "false")], &[("transforms.t.drop.fields.keep.schema.compatible", OUT)]),
    whole("debezium.row-documents", Documents, &[KEY, VALUE, T, ROW], &[]),
];

#[rustfmt::skip] // a row is a line
const DOCUMENTS: &[Whole] = &[
    whole("debezium.document", Documents, &[KEY, VALUE, T, DOCUMENT], OFF),
    whole("debezium.document-drop", Documents, &[KEY, VALUE, T, DOCUMENT, (MODE, "drop")], &[(MODE, OUT)]),
    whole("debezium.document-rewrite", Documents, &[KEY, VALUE, T, DOCUMENT, (MODE, "rewrite")], &[(MODE, OUT)]),
    whole("debezium.document-rewrite-id", Documents, &[KEY, VALUE, T, DOCUMENT, (MODE, "rewrite"), ("transforms.t.delete.tombstone.handling.mode.rewrite-with-id", "true")], &[("transforms.t.delete.tombstone.handling.mode.rewrite-with-id", OUT)]),
    whole("debezium.document-rewrite-with-tombstone", Documents, &[KEY, VALUE, T, DOCUMENT, (MODE, "rewrite-with-tombstone")], &[(MODE, "rewrite")]),
    whole("debezium.document-to-tombstone", Documents, &[KEY, VALUE, T, DOCUMENT, (MODE, "delete-to-tombstone")], &[(MODE, "drop")]),
    whole("debezium.document-fields", Documents, &[KEY, VALUE, T, DOCUMENT, (FIELDS, DOCUMENT_LIST)], &[(FIELDS, OUT)]),
    whole("debezium.document-fields-prefix", Documents, &[KEY, VALUE, T, DOCUMENT, (FIELDS, "op"), ("transforms.t.add.fields.prefix", "m_")], &[("transforms.t.add.fields.prefix", OUT)]),
    whole("debezium.document-headers", Documents, &[KEY, VALUE, T, DOCUMENT, (HEADERS, "op,collection"), (MODE, "rewrite-with-tombstone")], &[(HEADERS, OUT)]),
    whole("debezium.document-headers-prefix", Documents, &[KEY, VALUE, T, DOCUMENT, (HEADERS, "op"), ("transforms.t.add.headers.prefix", "m_")], &[("transforms.t.add.headers.prefix", OUT)]),
    whole("debezium.document-lists", Documents, &[KEY, VALUE, T, DOCUMENT, ("transforms.t.array.encoding", "document")], &[("transforms.t.array.encoding", OUT)]),
    whole("debezium.document-flat", Documents, &[KEY, VALUE, T, DOCUMENT, ("transforms.t.flatten.struct", "true")], &[("transforms.t.flatten.struct", OUT)]),
    whole("debezium.document-flat-delimiter", Documents, &[KEY, VALUE, T, DOCUMENT, ("transforms.t.flatten.struct", "true"), ("transforms.t.flatten.struct.delimiter", "-")], &[("transforms.t.flatten.struct.delimiter", OUT)]),
    whole("debezium.document-names", Documents, &[KEY, VALUE, T, DOCUMENT, (NAMES, "avro")], &[(NAMES, OUT)]),
    whole("debezium.document-names-unicode", Documents, &[KEY, VALUE, T, DOCUMENT, (NAMES, "avro_unicode")], &[(NAMES, OUT)]),
    whole("debezium.document-route", Documents, &[KEY, VALUE, T, DOCUMENT, ("transforms.t.route.by.field", "name")], &[]),
    whole("debezium.document-rows", Changes, &[KEY, VALUE, T, DOCUMENT], &[]),
];

#[rustfmt::skip] // a row is a line
const ROUTES: &[Whole] = &[
    whole("debezium.router", Changes, &[KEY, VALUE, KEEP_NULL, T, ROUTER, ALL, LOGICAL], &[(REGEX, "other(.*)"), (REPLACEMENT, "other-$1")]),
    whole("debezium.router-documents", Documents, &[KEY, VALUE, T, ROUTER, (REGEX, "(docu)ments_.*"), LOGICAL], OFF),
    whole("debezium.router-shared-keys", Changes, &[KEY, VALUE, KEEP_NULL, T, ROUTER, ALL, LOGICAL, ("transforms.t.key.enforce.uniqueness", "false")], &[("transforms.t.key.enforce.uniqueness", OUT)]),
    whole("debezium.router-key-name", Changes, &[KEY, VALUE, KEEP_NULL, T, ROUTER, ALL, LOGICAL, ("transforms.t.key.field.name", "tbl")], &[("transforms.t.key.field.name", OUT)]),
    whole("debezium.router-key-value", Changes, &[KEY, VALUE, KEEP_NULL, T, ROUTER, ALL, LOGICAL, ("transforms.t.key.field.regex", "(.*)es_.*"), ("transforms.t.key.field.replacement", "$1")], &[("transforms.t.key.field.regex", "other"), ("transforms.t.key.field.replacement", "x$1")]),
    whole("debezium.router-names", Changes, &[KEY, VALUE, KEEP_NULL, T, ROUTER, ALL, LOGICAL, (SCHEMA_NAMES, "avro")], &[(SCHEMA_NAMES, OUT)]),
    whole("debezium.router-names-unicode", Changes, &[KEY, VALUE, KEEP_NULL, T, ROUTER, ALL, LOGICAL, (SCHEMA_NAMES, "avro_unicode")], &[(SCHEMA_NAMES, OUT)]),
    whole("debezium.router-cache", Changes, &[KEY, VALUE, KEEP_NULL, T, ROUTER, ALL, LOGICAL, ("transforms.t.logical.table.cache.size", "1")], &[]),
    whole("debezium.router-unwrap", Changes, &[KEY, VALUE, KEEP_NULL, ("transforms", "t,u"), ROUTER, ALL, LOGICAL, ("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState"), ("transforms.u.add.fields", "table")], &[("transforms", "u"), ("transforms", "t")]),
    // The older options are gone from Debezium 3; unknown keys are its users' business.
    whole("refused.debezium-mode", Changes, &[KEY, VALUE, T, ROW, (MODE, "none")], &[]),
    whole("refused.debezium-field", Changes, &[KEY, VALUE, T, ROW, (FIELDS, "a:b:c")], &[]),
    whole("refused.debezium-no-regex", Changes, &[KEY, VALUE, T, ROUTER, LOGICAL], &[]),
    whole("refused.debezium-regex", Changes, &[KEY, VALUE, T, ROUTER, (REGEX, "("), LOGICAL], &[]),
    whole("refused.debezium-replacement", Changes, &[KEY, VALUE, T, ROUTER, (REGEX, "a"), (REPLACEMENT, "")], &[]),
    whole("refused.debezium-key", Changes, &[KEY, VALUE, T, ROUTER, ALL, LOGICAL, ("transforms.t.key.field.regex", "a")], &[]),
    whole("refused.debezium-lists", Documents, &[KEY, VALUE, T, DOCUMENT, ("transforms.t.array.encoding", "list")], &[]),
];
