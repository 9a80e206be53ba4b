//! A record as it came: where its payloads lie in its batch's buffer, and what Kafka says of it.

use std::ops::Range;

use millrace_sdk::{Text, TimestampKind};

/// A place in a batch's buffer, which is shorter than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// No payload
    pub const NONE: Self = Self { start: 1, end: 0 };

    /// From `start` on, `length` bytes.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // a batch is full at less than 1 GiB, and a record is shorter than 2 GiB
    pub fn new(start: usize, length: usize) -> Self {
        debug_assert!(u32::try_from(start + length).is_ok());
        Self { start: start as u32, end: (start + length) as u32 }
    }

    /// Where the payload is; None when there is none.
    #[must_use]
    pub fn range(self) -> Option<Range<usize>> {
        (self.start <= self.end).then_some(self.start as usize..self.end as usize)
    }

    /// How long the payload is; none is 0.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // an empty payload and none are not the same
    pub fn len(self) -> usize {
        self.range().map_or(0, |range| range.len())
    }
}

/// The header of a record as it came.
pub type RawHeader = (Text, Span);

/// A record as it came; its payloads are in the batch's buffer.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Its offset
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970
    pub timestamp_ms: Option<i64>,
    /// Who has set the timestamp
    pub timestamp_kind: TimestampKind,
    /// Its key
    pub key: Span,
    /// Its value
    pub value: Span,
    /// Its headers in order; none is no allocation
    pub headers: Option<Box<[RawHeader]>>,
}

impl Envelope {
    /// Its headers in order.
    #[must_use]
    pub fn headers(&self) -> &[RawHeader] {
        self.headers.as_deref().unwrap_or_default()
    }
}

// One thread writes it and another reads it: the less the better.
const _: () = assert!(size_of::<Envelope>() <= 64);
