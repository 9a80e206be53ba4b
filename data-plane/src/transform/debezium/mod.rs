//! Debezium's transforms, with the options and meanings of Debezium 3: unwrapping of change events, and one topic for the
//! tables of one logical table.

mod added;
mod document;
mod envelope;
mod extended_json;
pub(super) mod logical_table_router;
mod names;
pub(super) mod new_document_state;
pub(super) mod new_record_state;
