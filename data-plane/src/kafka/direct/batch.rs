//! A batch from its first record to the broker's answer, and why records do not get in.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rdkafka::message::{Header, OwnedHeaders};

use crate::kafka::deliveries::Answers;
use crate::kafka::wire::{Aborted, Apart, ClosedBatch, Codec, Isolation, OpenBatch, Outline, code, take_apart};
use crate::kafka::{Envelope, Span};

/// Why a record is not in its topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A broker says so
    #[error("Kafka answers {} ({code}){}", code::name(*code), message.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Kafka {
        /// The error code
        code: i16,
        /// What the broker has to say of it
        message: Option<String>,
    },
    /// No broker answers as it should
    #[error("{0}")]
    Fault(String),
    /// It has been on its way for `delivery.timeout.ms`
    #[error("it could not be sent within delivery.timeout.ms")]
    Late,
    /// The cluster does not have the topic, or the partition, for some time
    #[error("the cluster does not have the topic, or not this partition of it")]
    Missing,
    /// No broker leads the partition now
    #[error("the partition has no leader: all brokers that have it are down")]
    Leaderless,
    /// It is larger than `max.request.size`
    #[error("the record has {0} bytes, more than max.request.size")]
    TooLarge(usize),
    /// The topic has fewer partitions
    #[error("there is no partition {0}; the topic has {1}")]
    NoPartition(i32, usize),
}

/// A record that is not in its topic.
#[derive(Debug)]
pub struct Refused {
    /// The topic
    pub topic: Arc<str>,
    /// Milliseconds since 1970
    pub timestamp_ms: Option<i64>,
    /// The key
    pub key: Option<Bytes>,
    /// The value
    pub value: Option<Bytes>,
    /// None without headers
    pub headers: Option<OwnedHeaders>,
    /// Why
    pub why: Refusal,
}

#[derive(Debug)]
enum Body {
    Open(OpenBatch),
    Closed(ClosedBatch),
}

/// A batch that is not answered for.
#[derive(Debug)]
pub(super) struct Pending {
    body: Body,
    /// When its first record came
    pub(super) since: Instant,
    /// Who is to hear of how many records, in their order
    owners: Vec<(Arc<Answers<Refused>>, u32)>,
    /// How often it was sent
    pub(super) attempts: u32,
    /// Why it was not written the last time
    pub(super) cause: Option<Refusal>,
}

impl Pending {
    pub(super) fn new(room: Vec<u8>, since: Instant) -> Self {
        let body = Body::Open(OpenBatch::new(room));
        Self { body, since, owners: Vec::new(), attempts: 0, cause: None }
    }

    /// Adds a record; only to a batch that was never sent.
    pub(super) fn add(&mut self, record: &Outline<'_>, owner: &Arc<Answers<Refused>>) {
        let Body::Open(open) = &mut self.body else { return debug_assert!(false, "the batch is closed") };
        open.add(record);
        match self.owners.last_mut() {
            Some((last, count)) if Arc::ptr_eq(last, owner) => *count += 1,
            _ => self.owners.push((Arc::clone(owner), 1)),
        }
    }

    pub(super) fn size(&self) -> usize {
        match &self.body {
            Body::Open(open) => open.size(),
            Body::Closed(closed) => closed.bytes().len(),
        }
    }

    /// Its bytes once it is closed.
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Open(_) => &[],
            Body::Closed(closed) => closed.bytes(),
        }
    }

    pub(super) fn records(&self) -> u32 {
        match &self.body {
            Body::Open(open) => open.records(),
            Body::Closed(closed) => closed.records(),
        }
    }

    /// The batch as it goes out; `spare` and `back` are where room comes from and goes to.
    pub(super) fn closed(
        &mut self,
        codec: Codec,
        spare: impl FnOnce() -> Vec<u8>,
        back: impl FnOnce(Vec<u8>),
    ) -> &mut ClosedBatch {
        if let Body::Open(open) = &mut self.body {
            let open = std::mem::replace(open, OpenBatch::new(Vec::new()));
            let (closed, room) = open.close(codec, spare);
            if let Some(room) = room {
                back(room);
            }
            self.body = Body::Closed(closed);
        }
        match &mut self.body {
            Body::Closed(closed) => closed,
            Body::Open(_) => unreachable!("it was closed just now"),
        }
    }

    /// Kafka has it; the room that it took.
    pub(super) fn written(self) -> Option<Vec<u8>> {
        for (owner, count) in &self.owners {
            owner.count(*count as usize);
        }
        match self.body {
            Body::Closed(closed) => Some(closed.into_room()),
            Body::Open(_) => None,
        }
    }

    /// Kafka does not take any of it.
    pub(super) fn refuse(self, topic: &Arc<str>, why: &Refusal) {
        self.parts(topic, why, |_| None);
    }

    /// Takes it apart: each record goes, by its number, to one of as many batches as are named, or is refused.
    pub(super) fn parts(
        mut self,
        topic: &Arc<str>,
        why: &Refusal,
        batch_of: impl Fn(usize) -> Option<usize>,
    ) -> Vec<Self> {
        let mut bytes = self.closed(Codec::None, Vec::new, drop).bytes().to_vec();
        let mut records = Vec::new();
        let how = Apart { from: 0, check: false, isolation: Isolation::Uncommitted };
        let found = take_apart(&mut bytes, Vec::new, how, &mut Aborted::default(), &mut records);
        debug_assert_eq!((found.fault, records.len()), (None, self.records() as usize));
        let owners = self.owners.iter().flat_map(|(owner, count)| std::iter::repeat_n(owner, *count as usize));
        let mut parts: Vec<Self> = Vec::new();
        for ((number, record), owner) in records.iter().enumerate().zip(owners) {
            let Some(part) = batch_of(number) else {
                owner.refuse(refused(topic, record, &bytes, why.clone()));
                continue;
            };
            while parts.len() <= part {
                parts.push(Self { attempts: self.attempts, ..Self::new(Vec::new(), self.since) });
            }
            let payload = |span: Span| span.range().map(|range| &bytes[range]);
            let headers: Vec<_> =
                record.headers().iter().map(|(name, value)| (name.as_ref(), payload(*value))).collect();
            let outline = Outline {
                timestamp_ms: record.timestamp_ms.unwrap_or(-1),
                key: payload(record.key),
                value: payload(record.value),
                headers: &headers,
            };
            parts[part].add(&outline, owner);
        }
        parts
    }
}

fn refused(topic: &Arc<str>, record: &Envelope, bytes: &[u8], why: Refusal) -> Refused {
    let payload = |span: Span| span.range().map(|range| &bytes[range]);
    let copy = |span: Span| payload(span).map(Bytes::copy_from_slice);
    let headers = record.headers.as_ref().map(|headers| {
        headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (name, value)| all.insert(Header { key: name, value: payload(*value) }))
    });
    Refused {
        topic: Arc::clone(topic),
        timestamp_ms: record.timestamp_ms,
        key: copy(record.key),
        value: copy(record.value),
        headers,
        why,
    }
}
