//! The request for records (Fetch, version 12) and its answer, which is read as it comes in: each partition's records go from
//! the socket into a buffer of their own.

use millrace_sdk::TopicPartition;

use super::codec::{Malformed, Writer};
use super::connection::{Fault, Frame};
use super::{Isolation, code};

/// What is wanted of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The partition
    pub origin: TopicPartition,
    /// Under which of the task's assignments it is read
    pub assignment: u64,
    /// The offset to go on from
    pub offset: i64,
    /// The leader's epoch as far as known, which fences a former leader; -1 when not known
    pub leader_epoch: i32,
    /// The epoch of the record before `offset`: tells the broker when its log is not the one that was read so far; -1 when not
    /// known
    pub fetched_epoch: i32,
    /// Bytes at the most, but for a batch that is larger and comes first
    pub max_bytes: i32,
}

/// Asks one broker for records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// How long the broker may wait for something to come, in milliseconds
    pub wait_ms: i32,
    /// From how many bytes on it does not wait
    pub min_bytes: i32,
    /// Bytes of all partitions together at the most, but for a batch that is larger and comes first
    pub max_bytes: i32,
    /// Which records are seen
    pub isolation: Isolation,
    /// Where the reader is (KIP-392)
    pub rack: String,
    /// The partitions; those of a topic one after the other
    pub wanted: Vec<Wanted>,
}

impl FetchRequest {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.i32(-1); // no replica
        writer.i32(self.wait_ms);
        writer.i32(self.min_bytes);
        writer.i32(self.max_bytes);
        writer.i8(self.isolation.number());
        writer.i32(0); // no session
        writer.i32(-1);
        let topics: Vec<&[Wanted]> = self.wanted.chunk_by(|a, b| a.origin.topic == b.origin.topic).collect();
        writer.compact_count(topics.len());
        for partitions in topics {
            writer.compact_string(&partitions[0].origin.topic);
            writer.compact_count(partitions.len());
            for wanted in partitions {
                writer.i32(wanted.origin.partition);
                writer.i32(wanted.leader_epoch);
                writer.i64(wanted.offset);
                writer.i32(wanted.fetched_epoch);
                writer.i64(-1); // no replica, no log start
                writer.i32(wanted.max_bytes);
                writer.no_tags();
            }
            writer.no_tags();
        }
        writer.compact_count(0); // nothing is forgotten
        writer.compact_string(&self.rack);
        writer.no_tags();
        writer.0
    }
}

/// What a broker says of a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The error code
    pub error: i16,
    /// Where the log ends, for readers of committed records
    pub end: i64,
    /// Transactions that were aborted among the records: producer and first offset
    pub aborted: Vec<(i64, i64)>,
    /// A broker that is nearer and has the records too
    pub preferred: Option<i32>,
    /// Where the log parts from the one that was read so far
    pub diverging: Option<i64>,
    /// Record batches; the last one may be cut off
    pub bytes: Vec<u8>,
}

/// Who takes an answer.
pub trait Receive {
    /// A buffer for so many bytes.
    fn buffer(&mut self, size: usize) -> Vec<u8>;
    /// What is said of the partition that was wanted at this place.
    fn answered(&mut self, wanted: &Wanted, answer: Answer);
}

/// Reads an answer; says for how long no further request is welcome, in milliseconds.
pub(super) async fn read(frame: &mut Frame<'_>, request: &FetchRequest, to: &mut impl Receive) -> Result<u64, Fault> {
    let throttled = u64::try_from(frame.i32().await?).unwrap_or(0);
    let error = frame.i16().await?;
    if error != code::NONE {
        return Err(Fault::Kafka(error));
    }
    let _session = frame.i32().await?;
    // Mostly in the order in which they were asked for
    let mut next = 0;
    for _ in 0..frame.compact_count(4).await? {
        let topic = frame.compact_string().await?;
        for _ in 0..frame.compact_count(37).await? {
            let partition = frame.i32().await?;
            let order = (next..request.wanted.len()).chain(0..next);
            let mut order = order.filter(|index| {
                let origin = &request.wanted[*index].origin;
                origin.partition == partition && *origin.topic == *topic
            });
            let index = order.next().ok_or(Malformed("a partition that was not asked for"))?;
            let answer = read_partition(frame, to).await?;
            to.answered(&request.wanted[index], answer);
            next = (index + 1) % request.wanted.len();
        }
        frame.skip_tags().await?;
    }
    frame.skip_tags().await?;
    Ok(throttled)
}

async fn read_partition(frame: &mut Frame<'_>, to: &mut impl Receive) -> Result<Answer, Fault> {
    let mut answer = Answer { error: frame.i16().await?, ..Answer::default() };
    let _high_watermark = frame.i64().await?;
    answer.end = frame.i64().await?;
    let _log_start = frame.i64().await?;
    for _ in 0..frame.compact_count(17).await? {
        answer.aborted.push((frame.i64().await?, frame.i64().await?));
        frame.skip_tags().await?;
    }
    let preferred = frame.i32().await?;
    answer.preferred = (preferred >= 0).then_some(preferred);
    let size = frame.compact_count(1).await?;
    if size > 0 {
        let mut bytes = to.buffer(size);
        bytes.clear();
        frame.read_into(&mut bytes, size).await?;
        answer.bytes = bytes;
    }
    for _ in 0..frame.uvarint().await? {
        let (tag, size) = (frame.uvarint().await?, frame.uvarint().await?);
        if tag == 0 && size >= 12 {
            let (_epoch, end) = (frame.i32().await?, frame.i64().await?);
            answer.diverging = (end >= 0).then_some(end);
            frame.skip(size as usize - 12).await?;
        } else {
            frame.skip(size as usize).await?;
        }
    }
    Ok(answer)
}
