//! One question to one broker, and what becomes of the answer.

use std::ops::Range;
use std::time::{Duration, Instant};

use millrace_sdk::TopicPartition;

use super::super::super::batch::Room;
use super::Shared;
use super::asking::Ask;
use crate::kafka::wire::{
    Answer, Cluster, Connection, Fault, FetchRequest, ListOffsets, LogEnd, Receive, Start, Wanted,
};

/// A question that was answered, or not.
pub(super) struct Exchanged {
    pub(super) ask: Ask,
    /// To be used again
    pub(super) connection: Option<Connection>,
    pub(super) outcome: Result<Brought, Fault>,
}

/// What an answer has brought.
pub(super) enum Brought {
    /// So many bytes, which are on their way; no question is welcome for some time
    Records(usize, Duration),
    /// The ends of logs, as far as they have any
    Ends(Vec<(Wanted, Result<Range<i64>, i16>)>),
    Places(Cluster),
}

/// Carries out a question.
pub(super) async fn exchange(shared: &Shared, ask: Ask, connection: Option<Connection>) -> Exchanged {
    let connection = match connection {
        Some(connection) => Ok(connection),
        None => connect(shared, ask.broker()).await,
    };
    let mut connection = match connection {
        Ok(connection) => connection,
        Err(fault) => return Exchanged { ask, connection: None, outcome: Err(fault) },
    };
    let outcome = match &ask {
        Ask::Records(_, request) => records(shared, &mut connection, request).await,
        Ask::Ends(_, wanted) => ends(shared, &mut connection, wanted).await.map(Brought::Ends),
        Ask::Places(topics) => connection.metadata(topics.iter().map(String::as_str)).await.map(Brought::Places),
    };
    let connection = outcome.is_ok().then_some(connection);
    Exchanged { ask, connection, outcome }
}

/// To this broker, or to any.
async fn connect(shared: &Shared, broker: Option<i32>) -> Result<Connection, Fault> {
    Connection::open(shared.settings.reach.endpoint(shared.address(broker))).await
}

async fn records(shared: &Shared, connection: &mut Connection, request: &FetchRequest) -> Result<Brought, Fault> {
    let mut taking = Taking { shared, room: Room::default(), brought: 0 };
    let throttled = connection.fetch(request, &mut taking).await?;
    Ok(Brought::Records(taking.brought, throttled))
}

/// Takes records as they come in.
struct Taking<'a> {
    shared: &'a Shared,
    /// What the next records go to, besides their buffer
    room: Room,
    brought: usize,
}

impl Receive for Taking<'_> {
    fn buffer(&mut self, size: usize) -> Vec<u8> {
        self.room = self.shared.room(size);
        std::mem::take(&mut self.room.buffer)
    }

    fn answered(&mut self, wanted: &Wanted, mut answer: Answer) {
        self.brought += answer.bytes.len();
        let mut room = std::mem::take(&mut self.room);
        room.buffer = std::mem::take(&mut answer.bytes);
        self.shared.arrived(wanted, answer, room, Instant::now());
    }
}

/// Both ends of each log: what is lost lies between where it was read and where it begins.
async fn ends(
    shared: &Shared,
    connection: &mut Connection,
    wanted: &[(Wanted, i32)],
) -> Result<Vec<(Wanted, Result<Range<i64>, i16>)>, Fault> {
    let origins: Vec<(TopicPartition, i32)> =
        wanted.iter().map(|(wanted, epoch)| (wanted.origin.clone(), *epoch)).collect();
    let isolation = shared.settings.sizes.isolation;
    let list = |start| ListOffsets { wanted: &origins, start, isolation };
    let starts = connection.list_offsets(&list(Start::Earliest)).await?;
    let ends = connection.list_offsets(&list(Start::Latest)).await?;
    let of = |ends: &[LogEnd], origin: &TopicPartition| {
        let end = ends.iter().find(|end| end.partition == origin.partition && end.topic == *origin.topic);
        match end {
            Some(end) if end.error == 0 => Ok(end.offset),
            Some(end) => Err(end.error),
            None => Err(-1),
        }
    };
    let both = wanted.iter().map(|(wanted, _)| {
        let log = of(&starts, &wanted.origin).and_then(|start| Ok(start..of(&ends, &wanted.origin)?));
        (wanted.clone(), log)
    });
    Ok(both.collect())
}
