//! `schema.name.adjustment.mode` and `field.name.adjustment.mode`: names that Avro accepts.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How names are adjusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Adjustment {
    /// They stay
    #[default]
    None,
    /// What Avro does not accept becomes `_`
    Avro,
    /// What Avro does not accept becomes `_uxxxx`, and `_` becomes `_u005f`
    AvroUnicode,
}

impl Adjustment {
    /// A schema's full name, whose parts are joined by dots.
    pub(super) fn schema(self, name: &str) -> String {
        self.adjust(name, true)
    }

    /// The parts of a schema's full name, each by itself: a part may not begin with a digit either.
    pub(super) fn schema_parts(self, name: &str) -> String {
        name.split('.').map(|part| self.adjust(part, true)).collect::<Vec<_>>().join(".")
    }

    /// A field's name.
    pub(super) fn field(self, name: &str) -> String {
        self.adjust(name, false)
    }

    fn adjust(self, name: &str, dots: bool) -> String {
        let mut out = String::with_capacity(name.len());
        for (index, letter) in name.chars().enumerate() {
            let ascii_rest = letter.is_ascii_digit() || (dots && letter == '.');
            let accepted = match self {
                Self::None => true,
                Self::Avro => letter.is_ascii_alphabetic() || letter == '_' || (index > 0 && ascii_rest),
                Self::AvroUnicode => letter.is_ascii_alphabetic() || (index > 0 && ascii_rest),
            };
            match self {
                _ if accepted => out.push(letter),
                Self::AvroUnicode => {
                    let mut units = [0; 2];
                    for unit in letter.encode_utf16(&mut units) {
                        // Writing into a String cannot fail.
                        let _ = write!(out, "_u{unit:04x}");
                    }
                }
                _ => {
                    out.extend(std::iter::repeat_n('_', letter.len_utf16()));
                    if index == 0 && letter.is_ascii_digit() {
                        out.push(letter);
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_adjusted() {
        for (mode, name, schema, field) in [
            (Adjustment::None, "a-b.c", "a-b.c", "a-b.c"),
            (Adjustment::Avro, "a-b.c_d", "a_b.c_d", "a_b_c_d"),
            (Adjustment::Avro, "1a.ü", "_1a._", "_1a__"),
            (Adjustment::AvroUnicode, "a-b.c_d", "a_u002db.c_u005fd", "a_u002db_u002ec_u005fd"),
            (Adjustment::AvroUnicode, "1a", "_u0031a", "_u0031a"),
        ] {
            assert_eq!((mode.schema(name).as_str(), mode.field(name).as_str()), (schema, field), "{mode:?} {name}");
        }
    }
}
