//! What Java's library does and Connect's users rely on: texts of numbers, narrowing, regular expressions and
//! date formats.

pub(super) mod calendar;
pub(super) mod date_format;
pub(super) mod number;
pub(super) mod regex;

#[cfg(test)]
mod tests;
