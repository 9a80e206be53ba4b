//! Where things are: the leaders of partitions, and the ends of their logs.

use std::collections::HashMap;

use millrace_sdk::TopicPartition;

use super::codec::{Malformed, Reader, Writer};
use super::{Isolation, code};

/// A request's number in the protocol, and the version that is spoken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Api {
    pub(super) key: i16,
    pub(super) version: i16,
    /// Whether the version is "flexible" (KIP-482)
    pub(super) flexible: bool,
    pub(super) name: &'static str,
}

pub(super) const API_VERSIONS: Api = Api { key: 18, version: 0, flexible: false, name: "ApiVersions" };
pub(super) const SASL_HANDSHAKE: Api = Api { key: 17, version: 1, flexible: false, name: "SaslHandshake" };
pub(super) const SASL_AUTHENTICATE: Api = Api { key: 36, version: 1, flexible: false, name: "SaslAuthenticate" };
pub(super) const METADATA: Api = Api { key: 3, version: 7, flexible: false, name: "Metadata" };
pub(super) const LIST_OFFSETS: Api = Api { key: 2, version: 5, flexible: false, name: "ListOffsets" };
pub(super) const PRODUCE: Api = Api { key: 0, version: 8, flexible: false, name: "Produce" };
pub(super) const INIT_PRODUCER_ID: Api = Api { key: 22, version: 1, flexible: false, name: "InitProducerId" };
pub(super) const FETCH: Api = Api { key: 1, version: 12, flexible: true, name: "Fetch" };

/// What of `apis` a broker that answered so does not speak.
pub(super) fn not_spoken(answer: &[u8], apis: &[Api]) -> Result<Option<Api>, Malformed> {
    let mut reader = Reader::new(answer);
    let error = reader.i16()?;
    if error != code::NONE {
        return Ok(Some(API_VERSIONS));
    }
    let mut spoken = HashMap::new();
    for _ in 0..reader.count(6)? {
        spoken.insert(reader.i16()?, reader.i16()?..=reader.i16()?);
    }
    Ok(apis.iter().copied().find(|api| !spoken.get(&api.key).is_some_and(|range| range.contains(&api.version))))
}

/// Where a partition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The broker that leads it; None while there is none
    pub leader: Option<i32>,
    /// Since how many elections (KIP-320); -1 when not known
    pub epoch: i32,
}

/// What a broker knows of the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Host and port of each broker
    pub brokers: HashMap<i32, (String, u16)>,
    /// Places by topic and partition
    pub places: HashMap<String, HashMap<i32, Place>>,
    /// Topics with an error instead of partitions
    pub errors: HashMap<String, i16>,
}

/// Asks for the partitions of topics.
pub struct Metadata;

impl Metadata {
    pub(super) fn request<'a>(topics: impl ExactSizeIterator<Item = &'a str>) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.count(topics.len());
        topics.for_each(|topic| writer.string(topic));
        writer.i8(0); // no topic is created by looking
        writer.0
    }

    pub(super) fn answer(bytes: &[u8]) -> Result<Cluster, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut cluster = Cluster::default();
        let _throttled = reader.i32()?;
        for _ in 0..reader.count(12)? {
            let id = reader.i32()?;
            let host = reader.string()?.ok_or(Malformed("a broker has no host"))?.to_owned();
            let port = u16::try_from(reader.i32()?).map_err(|_| Malformed("a broker's port is none"))?;
            let _rack = reader.string()?;
            cluster.brokers.insert(id, (host, port));
        }
        let _cluster_id = reader.string()?;
        let _controller = reader.i32()?;
        for _ in 0..reader.count(9)? {
            let error = reader.i16()?;
            let name = reader.string()?.ok_or(Malformed("a topic has no name"))?.to_owned();
            let _internal = reader.i8()?;
            let mut places = HashMap::new();
            for _ in 0..reader.count(26)? {
                let (_error, index) = (reader.i16()?, reader.i32()?);
                let (leader, epoch) = (reader.i32()?, reader.i32()?);
                for _list in ["replicas", "in sync", "offline"] {
                    let count = reader.count(4)?;
                    reader.take(count * 4)?;
                }
                places.insert(index, Place { leader: (leader >= 0).then_some(leader), epoch });
            }
            if error != code::NONE {
                cluster.errors.insert(name.clone(), error);
            }
            cluster.places.insert(name, places);
        }
        Ok(cluster)
    }
}

/// An end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest offset that is there
    Earliest,
    /// The offset that the next record will get, as far as the isolation allows to see it
    Latest,
}

/// Asks for an end of partitions' logs; must be asked of their leader.
pub struct ListOffsets<'a> {
    /// The partitions, each with its leader's epoch as far as known; those of a topic one after the other
    pub wanted: &'a [(TopicPartition, i32)],
    /// Which end
    pub start: Start,
    /// Which records are seen
    pub isolation: Isolation,
}

/// The end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// The topic
    pub topic: String,
    /// The partition
    pub partition: i32,
    /// The error code
    pub error: i16,
    /// The offset, if there is no error
    pub offset: i64,
}

impl ListOffsets<'_> {
    pub(super) fn request(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.i32(-1); // no replica
        writer.i8(self.isolation.number());
        let topics: Vec<_> = self.wanted.chunk_by(|a, b| a.0.topic == b.0.topic).collect();
        writer.count(topics.len());
        for partitions in topics {
            writer.string(&partitions[0].0.topic);
            writer.count(partitions.len());
            for (origin, epoch) in partitions {
                writer.i32(origin.partition);
                writer.i32(*epoch);
                writer.i64(match self.start {
                    Start::Latest => -1,
                    Start::Earliest => -2,
                });
            }
        }
        writer.0
    }

    pub(super) fn answer(bytes: &[u8]) -> Result<Vec<LogEnd>, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut ends = Vec::new();
        let _throttled = reader.i32()?;
        for _ in 0..reader.count(6)? {
            let topic = reader.string()?.ok_or(Malformed("a topic has no name"))?;
            for _ in 0..reader.count(26)? {
                let (partition, error) = (reader.i32()?, reader.i16()?);
                let (_timestamp, offset, _epoch) = (reader.i64()?, reader.i64()?, reader.i32()?);
                if error == code::NONE && offset < 0 {
                    return Err(Malformed("a log has no end"));
                }
                ends.push(LogEnd { topic: topic.to_owned(), partition, error, offset });
            }
        }
        Ok(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_must_speak_what_is_needed() {
        let mut writer = Writer::default();
        writer.i16(0);
        writer.count(2);
        for (key, from, to) in [(1, 4, 11), (3, 0, 12)] {
            writer.i16(key);
            writer.i16(from);
            writer.i16(to);
        }
        let missing = |apis: &[Api]| not_spoken(&writer.0, apis).unwrap().map(|api| api.name);
        assert_eq!(missing(&[METADATA]), None);
        assert_eq!(missing(&[METADATA, FETCH]), Some("Fetch"));
        assert_eq!(missing(&[LIST_OFFSETS]), Some("ListOffsets"));
        assert!(not_spoken(&[0, 0, 0, 0, 0, 9], &[]).is_err());
        assert_eq!(not_spoken(&[0, 35], &[]).unwrap().map(|api| api.name), Some("ApiVersions"));
    }

    #[test]
    fn places_are_read_from_metadata() {
        let mut writer = Writer::default();
        writer.i32(0);
        writer.count(1);
        writer.i32(7);
        writer.string("host");
        writer.i32(9092);
        writer.i16(-1);
        writer.string("cluster");
        writer.i32(7);
        writer.count(2);
        for (error, name, leaders) in [(0_i16, "t", &[7, -1][..]), (3, "u", &[])] {
            writer.i16(error);
            writer.string(name);
            writer.i8(0);
            writer.count(leaders.len());
            for (index, leader) in (0..).zip(leaders) {
                writer.i16(0);
                writer.i32(index);
                writer.i32(*leader);
                writer.i32(5);
                writer.count(1);
                writer.i32(7);
                writer.count(0);
                writer.count(0);
            }
        }
        let cluster = Metadata::answer(&writer.0).unwrap();
        assert_eq!(cluster.brokers[&7], ("host".to_owned(), 9092));
        assert_eq!(cluster.places["t"][&0], Place { leader: Some(7), epoch: 5 });
        assert_eq!(cluster.places["t"][&1].leader, None);
        assert_eq!(cluster.errors["u"], 3);
        for cut in 0..writer.0.len() {
            assert!(Metadata::answer(&writer.0[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_end_of_a_log_is_read() {
        let mut writer = Writer::default();
        writer.i32(0);
        writer.count(1);
        writer.string("t");
        writer.count(1);
        writer.i32(0);
        writer.i16(0);
        writer.i64(-1);
        writer.i64(42);
        writer.i32(3);
        let end = LogEnd { topic: "t".to_owned(), partition: 0, error: 0, offset: 42 };
        assert_eq!(ListOffsets::answer(&writer.0), Ok(vec![end]));
        assert!(ListOffsets::answer(&writer.0[..20]).is_err());
    }
}
