//! A watch on etcd that outlives its connections: it goes on after the last event it gave, and says [`Event::Reset`] when
//! etcd no longer has what came between. Driven by whoever reads it; there is no task behind it.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_client::{Client, EventType, GetOptions, ResponseHeader, WatchOptions, WatchResponse, WatchStream};
use futures::stream::BoxStream;
use tokio::time::{sleep, timeout};

use super::etcd::{entry, store_error};
use super::{Event, StoreError};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Watcher {
    client: Client,
    prefix: String,
    /// First revision not yet given; 0 before the first connection of a watch from now on
    next: i64,
    timeout: Duration,
    stream: Option<WatchStream>,
    ready: VecDeque<Event>,
    pause: Duration,
}

impl Watcher {
    pub(super) async fn open(client: Client, prefix: &str, from: i64, timeout: Duration) -> Result<Self, StoreError> {
        let mut watcher = Self {
            client,
            prefix: prefix.to_owned(),
            next: from.max(0),
            timeout,
            stream: None,
            ready: VecDeque::new(),
            pause: FIRST_PAUSE,
        };
        watcher.connect().await?;
        Ok(watcher)
    }

    pub(super) fn into_stream(self) -> BoxStream<'static, Event> {
        Box::pin(futures::stream::unfold(self, |mut watcher| async move {
            let event = watcher.event().await;
            Some((event, watcher))
        }))
    }

    async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            let Some(stream) = &mut self.stream else {
                self.reconnect().await;
                continue;
            };
            match stream.message().await {
                Ok(Some(response)) => {
                    self.pause = FIRST_PAUSE;
                    self.absorb(&response);
                }
                Ok(None) => self.stream = None,
                Err(error) => {
                    tracing::debug!(%error, prefix = self.prefix, "a watch on etcd was cut; connecting again");
                    self.stream = None;
                }
            }
        }
    }

    async fn reconnect(&mut self) {
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if let Err(error) = self.connect().await {
            tracing::debug!(%error, prefix = self.prefix, "a watch on etcd cannot connect yet");
        }
    }

    async fn connect(&mut self) -> Result<(), StoreError> {
        let limit = self.timeout;
        match timeout(limit, self.create()).await {
            Ok(created) => created,
            Err(_) => Err(StoreError::Unavailable(format!("no answer to a watch within {} ms", limit.as_millis()))),
        }
    }

    async fn create(&mut self) -> Result<(), StoreError> {
        let options = WatchOptions::new().with_prefix().with_progress_notify().with_start_revision(self.next);
        let mut client = self.client.watch_client().max_decoding_message_size(usize::MAX);
        let mut stream = client.watch(self.prefix.as_str(), Some(options)).await.map_err(store_error)?;
        let created = stream.message().await.map_err(store_error)?;
        let Some(created) = created else {
            return Err(StoreError::Unavailable("the watch ended at once".to_owned()));
        };
        self.stream = Some(stream);
        let revision = created.header().map_or(0, ResponseHeader::revision);
        if self.next == 0 {
            self.next = revision + 1;
        } else if revision + 1 < self.next {
            self.check_backwards().await?;
        }
        self.absorb(&created);
        Ok(())
    }

    /// The member behind the stream may only lag; but if the whole store is behind us, it was restored or replaced, and
    /// waiting for our next revision would be waiting for nothing.
    async fn check_backwards(&mut self) -> Result<(), StoreError> {
        let options = GetOptions::new().with_prefix().with_count_only();
        let answer = self.client.kv_client().get(self.prefix.as_str(), Some(options)).await.map_err(store_error)?;
        let revision = answer.header().map_or(0, ResponseHeader::revision);
        if revision + 1 < self.next {
            self.next = revision + 1;
            self.stream = None;
            self.ready.push_back(Event::Reset);
        }
        Ok(())
    }

    fn absorb(&mut self, response: &WatchResponse) {
        let revision = response.header().map_or(0, ResponseHeader::revision);
        if response.canceled() {
            self.stream = None;
            if response.compact_revision() > 0 {
                self.next = response.compact_revision().max(revision + 1);
                self.ready.push_back(Event::Reset);
            }
            return;
        }
        for event in response.events() {
            let Some(kv) = event.kv() else { continue };
            self.next = self.next.max(kv.mod_revision() + 1);
            match (event.event_type(), entry(kv)) {
                (EventType::Put, Ok(entry)) => self.ready.push_back(Event::Put(entry)),
                (EventType::Delete, Ok(entry)) => {
                    self.ready.push_back(Event::Delete { key: entry.key, revision: entry.revision });
                }
                (_, Err(error)) => tracing::warn!(%error, prefix = self.prefix, "an event on etcd is not ours"),
            }
        }
        // An answer without events says that there was nothing up to its revision.
        if response.events().is_empty() && !response.created() && self.stream.is_some() {
            self.next = self.next.max(revision + 1);
        }
    }
}
