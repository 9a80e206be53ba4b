//! The request that writes records (Produce, version 8) and its answer, and the one for a producer's name (InitProducerId,
//! version 1), by which brokers know a batch that is sent twice.

use std::borrow::Cow;
use std::time::Duration;

use super::codec::{Malformed, Reader, Writer};

/// The name of a producer, as a broker gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewProducer {
    /// Its id
    pub id: i64,
    /// Its epoch
    pub epoch: i16,
}

impl NewProducer {
    /// None: batches are not told apart
    pub const NONE: Self = Self { id: -1, epoch: -1 };

    pub(super) fn request() -> Vec<u8> {
        let mut writer = Writer::default();
        writer.null_string(); // no transactions
        writer.i32(i32::MAX);
        writer.0
    }

    /// An error code, if the broker gives none.
    pub(super) fn answer(bytes: &[u8]) -> Result<Result<Self, i16>, Malformed> {
        let mut reader = Reader::new(bytes);
        let _throttled = reader.i32()?;
        let error = reader.i16()?;
        let this = Self { id: reader.i64()?, epoch: reader.i16()? };
        Ok(if error == super::code::NONE { Ok(this) } else { Err(error) })
    }
}

/// Asks one broker to write batches, at most one for each partition.
#[derive(Debug)]
pub struct ProduceRequest<'a> {
    /// -1 for all replicas that are in sync, 1 for the leader alone
    pub acks: i16,
    /// How long the broker may wait for the other replicas
    pub timeout: Duration,
    /// Topic, partition and batch; those of a topic one after the other
    pub batches: Vec<(&'a str, i32, &'a [u8])>,
}

impl<'a> ProduceRequest<'a> {
    /// In pieces, so that no batch is copied.
    pub(super) fn encode(&self) -> Vec<Cow<'a, [u8]>> {
        let mut pieces = Vec::with_capacity(2 * self.batches.len());
        let mut writer = Writer::default();
        writer.null_string(); // no transaction
        writer.i16(self.acks);
        writer.i32(i32::try_from(self.timeout.as_millis()).unwrap_or(i32::MAX));
        let topics: Vec<_> = self.batches.chunk_by(|a, b| a.0 == b.0).collect();
        writer.count(topics.len());
        for batches in topics {
            writer.string(batches[0].0);
            writer.count(batches.len());
            for (_, partition, batch) in batches {
                writer.i32(*partition);
                writer.count(batch.len());
                pieces.push(Cow::Owned(std::mem::take(&mut writer.0)));
                pieces.push(Cow::Borrowed(*batch));
            }
        }
        pieces
    }
}

/// What a broker says of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Produced {
    /// The topic
    pub topic: String,
    /// The partition
    pub partition: i32,
    /// The error code
    pub error: i16,
    /// The records for which the batch was refused, counted from 0; none when it was refused for other reasons (KIP-467)
    pub records: Vec<i32>,
    /// What the broker has to say of it
    pub message: Option<String>,
}

pub(super) fn answer(bytes: &[u8]) -> Result<(Vec<Produced>, Duration), Malformed> {
    let mut reader = Reader::new(bytes);
    let mut produced = Vec::new();
    for _ in 0..reader.count(6)? {
        let topic = reader.string()?.ok_or(Malformed("a topic has no name"))?.to_owned();
        for _ in 0..reader.count(36)? {
            let (partition, error) = (reader.i32()?, reader.i16()?);
            let (_offset, _time, _log_start) = (reader.i64()?, reader.i64()?, reader.i64()?);
            let mut records = Vec::new();
            let mut of_record = None;
            for _ in 0..reader.count(6)? {
                records.push(reader.i32()?);
                of_record = of_record.or(reader.string()?);
            }
            let message = reader.string()?.or(of_record).map(str::to_owned);
            produced.push(Produced { topic: topic.clone(), partition, error, records, message });
        }
    }
    let throttled = u64::try_from(reader.i32()?).unwrap_or(0);
    Ok((produced, Duration::from_millis(throttled)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_names_a_topic_once() {
        let batches = vec![("t", 0, &b"one"[..]), ("t", 2, b"two"), ("u", 1, b"three")];
        let request = ProduceRequest { acks: -1, timeout: Duration::from_secs(30), batches };
        let bytes = request.encode().concat();
        let mut expected = Writer::default();
        expected.i16(-1);
        expected.i16(-1);
        expected.i32(30_000);
        expected.count(2);
        expected.string("t");
        expected.count(2);
        for (partition, batch) in [(0, &b"one"[..]), (2, b"two")] {
            expected.i32(partition);
            expected.count(3);
            expected.0.extend(batch);
        }
        expected.string("u");
        expected.count(1);
        expected.i32(1);
        expected.count(5);
        expected.0.extend(b"three");
        assert_eq!(bytes, expected.0);
    }

    #[test]
    fn answers_are_read() {
        let mut writer = Writer::default();
        writer.count(1);
        writer.string("t");
        writer.count(2);
        for (partition, error, records) in [(0, 0, &[][..]), (1, 87, &[(2, Some("no key")), (4, None)])] {
            writer.i32(partition);
            writer.i16(error);
            (0..3).for_each(|_| writer.i64(7));
            writer.count(records.len());
            for (index, message) in records {
                writer.i32(*index);
                match message {
                    Some(text) => writer.string(text),
                    None => writer.null_string(),
                }
            }
            writer.null_string();
        }
        writer.i32(12);
        let (produced, throttled) = answer(&writer.0).unwrap();
        assert_eq!(throttled, Duration::from_millis(12));
        assert_eq!((produced[0].error, produced[0].partition), (0, 0));
        assert_eq!(produced[1].records, [2, 4]);
        assert_eq!(produced[1].message.as_deref(), Some("no key"));
        for cut in 0..writer.0.len() {
            assert!(answer(&writer.0[..cut]).is_err(), "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_does_harm(bytes in prop::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..200)) {
            let _ = answer(&bytes);
            let _ = NewProducer::answer(&bytes);
        }
    }

    #[test]
    fn a_name_is_read_or_the_reason_why_there_is_none() {
        let mut writer = Writer::default();
        writer.i32(0);
        writer.i16(0);
        writer.i64(1234);
        writer.i16(5);
        assert_eq!(NewProducer::answer(&writer.0), Ok(Ok(NewProducer { id: 1234, epoch: 5 })));
        writer.0[5] = 31;
        assert_eq!(NewProducer::answer(&writer.0), Ok(Err(31)));
        assert!(NewProducer::answer(&writer.0[..7]).is_err());
    }
}
