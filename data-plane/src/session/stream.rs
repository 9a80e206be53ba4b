//! One stream, from Register to its end.

use std::time::Duration;

use futures::FutureExt;
use millrace_proto::internal::v1::session_request::Message as Up;
use millrace_proto::internal::v1::session_response::Message as Down;
use millrace_proto::internal::v1::{self as pb};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::assembler::Received;
use super::{Session, SessionError, asks};
use crate::lease::LeaseState;
use crate::wire;

/// How long the control plane may take to say Welcome.
const WELCOME_LIMIT: Duration = Duration::from_secs(10);
/// How long the last report may wait for its acknowledgement.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// News are told at once, but not more often than this.
const NEWS_PAUSE: Duration = Duration::from_millis(100);
/// Messages that may wait for the network.
const OUTGOING: usize = 64;
/// A silence of this many leases ends the stream, and at least this long.
const SILENCE: (u32, Duration) = (2, Duration::from_secs(3));
/// Questions answered at the same time; more wait.
const MAX_ASKS: usize = 32;

struct Stream {
    up: mpsc::Sender<pb::SessionRequest>,
    down: Streaming<pb::SessionResponse>,
    lease: Duration,
    interval: Duration,
    heard: Instant,
    reported: Instant,
    whole_report_due: bool,
    /// The whole assignment has come on this stream
    assigned: bool,
    /// It was asked for again, after the lease was lost while the stream stayed open
    asked_again: bool,
    asks: JoinSet<Option<pb::Answer>>,
}

impl Session {
    /// Opens a stream and serves it to its end; `Ok` only after `finish`.
    pub(super) async fn one_stream(&mut self, attempt: usize, finish: &CancellationToken) -> Result<(), SessionError> {
        // Cancel-safe: nothing is kept of a half-open stream.
        let opened = tokio::select! {
            () = finish.cancelled() => return Ok(()),
            opened = self.open(attempt) => opened,
        };
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(error) => {
                let refused = matches!(error, SessionError::Status(_));
                self.metrics.session_connect(if refused { "refused" } else { "unreachable" });
                self.publish_lease();
                return Err(error);
            }
        };
        self.metrics.session_connect("welcome");
        self.links.connected.send_replace(true);
        tracing::info!(worker = %self.identity.worker_id, "session with the control plane is open");
        self.serve(&mut stream, finish).await
    }

    async fn open(&mut self, attempt: usize) -> Result<Stream, SessionError> {
        let mut client = self.transport.connect(attempt).await?;
        let (up, requests) = mpsc::channel(OUTGOING);
        // The register waits in the channel: a server may answer the call only after it has seen it.
        let register = pb::SessionRequest { message: Some(Up::Register(self.register()?)) };
        up.send(register).await.map_err(|_| SessionError::Closed)?;
        let opening = async {
            let mut down = client.session(ReceiverStream::new(requests)).await.map_err(Box::new)?.into_inner();
            loop {
                match down.message().await.map_err(Box::new)? {
                    None => return Err(SessionError::Closed),
                    Some(pb::SessionResponse { message: Some(Down::Welcome(welcome)) }) => return Ok((down, welcome)),
                    Some(_) => {} // nothing but a welcome has a meaning before it
                }
            }
        };
        let (down, welcome) =
            tokio::time::timeout(WELCOME_LIMIT, opening).await.map_err(|_| SessionError::Silent(WELCOME_LIMIT))??;
        let lease = positive_ms(welcome.lease_ms).unwrap_or(super::DEFAULT_LEASE);
        let interval = positive_ms(welcome.report_interval_ms).unwrap_or(lease / 4).min(lease / 2);
        self.clock.set_length(lease);
        self.clock.reconnected();
        self.assembler.reconnected();
        let now = Instant::now();
        Ok(Stream {
            up,
            down,
            lease,
            interval,
            heard: now,
            reported: now,
            whole_report_due: true,
            assigned: false,
            asked_again: false,
            asks: JoinSet::new(),
        })
    }

    async fn serve(&mut self, stream: &mut Stream, finish: &CancellationToken) -> Result<(), SessionError> {
        let mut tick = tokio::time::interval(stream.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let silence = (stream.lease * SILENCE.0).max(SILENCE.1);
        let board = std::sync::Arc::clone(&self.links.board);
        let mut applied = self.links.applied.clone();
        loop {
            self.publish_lease();
            let news_at = stream.reported + NEWS_PAUSE;
            let asks_open = !stream.asks.is_empty();
            // Cancel-safe: `message`, `changed`, `news` and `join_next` lose nothing when dropped, the rest are timers.
            tokio::select! {
                () = finish.cancelled() => return self.farewell(stream).await,
                _ = tick.tick() => self.report(stream).await?,
                () = async { tokio::time::sleep_until(news_at).await; board.news().await } => self.report(stream).await?,
                message = stream.down.message() => {
                    let message = message.map_err(Box::new)?.ok_or(SessionError::Closed)?;
                    self.receive(stream, message).await?;
                }
                // A worker that has ended applies nothing any more: `finish` comes next.
                Ok(()) = applied.changed() => {
                    let revision = *applied.borrow_and_update();
                    stream.send(Up::Applied(pb::Applied { revision, refusal: String::new() })).await?;
                }
                answer = stream.asks.join_next(), if asks_open => {
                    if let Some(Ok(Some(answer))) = answer {
                        stream.send(Up::Answer(answer)).await?;
                    }
                }
                () = tokio::time::sleep_until(stream.heard + silence) => return Err(SessionError::Silent(silence)),
                () = tokio::time::sleep_until(self.lease_end()) => {}
            }
        }
    }

    async fn report(&mut self, stream: &mut Stream) -> Result<(), SessionError> {
        let now = Instant::now();
        let full = std::mem::take(&mut stream.whole_report_due);
        let statuses = if full { self.links.board.all(now) } else { self.links.board.changes() };
        self.sequence += 1;
        self.clock.sending(self.sequence, now);
        stream.reported = now;
        let report = pb::Report {
            sequence: self.sequence,
            applied_revision: *self.links.applied.borrow(),
            full,
            statuses: statuses.iter().map(wire::status).collect(),
            tasks: i32::try_from(self.links.assignment.borrow().tasks.len()).unwrap_or(i32::MAX),
        };
        stream.send(Up::Report(report)).await
    }

    async fn receive(&mut self, stream: &mut Stream, message: pb::SessionResponse) -> Result<(), SessionError> {
        stream.heard = Instant::now();
        match message.message {
            Some(Down::ReportAck(ack)) => self.acknowledged(stream, ack.sequence).await?,
            Some(Down::Assignment(assignment)) => self.assigned(stream, assignment).await?,
            Some(Down::Ask(ask)) if stream.asks.len() < MAX_ASKS => {
                let catalog = std::sync::Arc::clone(&self.catalog);
                stream.asks.spawn(asks::answer(catalog, ask).boxed());
            }
            Some(Down::Ask(ask)) => tracing::warn!(ask = ask.id, "too many questions at once, one is not answered"),
            Some(Down::Welcome(_)) | None => {}
        }
        Ok(())
    }

    async fn acknowledged(&mut self, stream: &mut Stream, sequence: u64) -> Result<(), SessionError> {
        self.clock.acknowledged(sequence);
        let live = self.clock.state(Instant::now()) != LeaseState::Headless;
        if live && self.stale && stream.assigned && !stream.asked_again {
            stream.asked_again = true;
            let revision = self.links.assignment.borrow().revision;
            let refusal = "the lease was lost for a while: send everything again".to_owned();
            stream.send(Up::Applied(pb::Applied { revision, refusal })).await?;
        }
        Ok(())
    }

    async fn assigned(&mut self, stream: &mut Stream, assignment: pb::Assignment) -> Result<(), SessionError> {
        let revision = assignment.revision;
        let epoch = assignment.epoch;
        let full = assignment.full;
        let received = match wire::part(assignment) {
            Ok(part) => self.assembler.receive(part),
            Err(error) => Received::Refused { revision, reason: error.to_string() },
        };
        match received {
            Received::Partial => {}
            Received::Outdated => tracing::warn!(epoch, revision, "ignoring an assignment of an older leader"),
            Received::Refused { revision, reason } => {
                tracing::warn!(epoch, revision, reason, "refusing an assignment");
                stream.send(Up::Applied(pb::Applied { revision, refusal: reason })).await?;
            }
            Received::Complete(assignment) => {
                if full {
                    self.stale = false;
                    stream.assigned = true;
                    stream.asked_again = false;
                }
                self.links.board.assigned(&assignment);
                self.links.assignment.send_replace(assignment);
                self.publish_lease();
            }
        }
        Ok(())
    }

    /// Tells what is left to tell, waits a moment for the acknowledgement, and closes.
    async fn farewell(&mut self, stream: &mut Stream) -> Result<(), SessionError> {
        self.report(stream).await?;
        let last = self.sequence;
        let acknowledged = async {
            loop {
                match stream.down.message().await {
                    Ok(Some(pb::SessionResponse { message: Some(Down::ReportAck(ack)) })) if ack.sequence >= last => {
                        return;
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return,
                }
            }
        };
        if tokio::time::timeout(FAREWELL_LIMIT, acknowledged).await.is_err() {
            tracing::warn!("leaving without an acknowledgement of the last report");
        }
        Ok(())
    }
}

impl Stream {
    async fn send(&self, message: Up) -> Result<(), SessionError> {
        let message = pb::SessionRequest { message: Some(message) };
        match tokio::time::timeout(self.lease, self.up.send(message)).await {
            Ok(sent) => sent.map_err(|_| SessionError::Closed),
            Err(_) => Err(SessionError::Silent(self.lease)),
        }
    }
}

fn positive_ms(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}
