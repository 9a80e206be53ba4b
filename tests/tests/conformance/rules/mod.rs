//! What every connector must keep to. A rule is a function; it panics when it is broken.

pub(crate) mod config;
pub(crate) mod faults;
pub(crate) mod hostile;
pub(crate) mod records;
pub(crate) mod schema;
pub(crate) mod source;

use std::pin::Pin;
use std::sync::Arc;

use millrace_data_plane::catalog::{Announced, Catalog};
use millrace_sdk::{Findings, Flat, Result, SinkPlugin, SinkTask, SourcePlugin, TaskContext};
use millrace_tests::proxy::Proxy;

use crate::stand::{Place, SinkStand, SourceStand, TOPIC};

/// What became of a rule.
pub(crate) enum Verdict {
    Kept,
    /// It cannot be tried here, for this reason
    Untried(String),
}

/// An entry of the catalogue.
pub(crate) struct Entry {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) announced: Announced,
}

impl Entry {
    /// What the catalogue says of a configuration, the framework's own keys added.
    pub(crate) fn validate(&self, config: &Flat) -> Findings {
        let class = &self.announced.class;
        let mut config = config.clone();
        config.insert("name".to_owned(), "conformance".to_owned());
        config.insert("connector.class".to_owned(), class.clone());
        self.catalog.validate(class, &config, &Flat::new())
    }
}

/// A sink and its stand.
pub(crate) struct Sink {
    pub(crate) entry: Arc<Entry>,
    pub(crate) plugin: Arc<dyn SinkPlugin>,
    pub(crate) stand: &'static dyn SinkStand,
}

/// A source and its stand.
pub(crate) struct Source {
    pub(crate) entry: Arc<Entry>,
    pub(crate) plugin: Arc<dyn SourcePlugin>,
    pub(crate) stand: &'static dyn SourceStand,
}

pub(crate) type Running = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// A rule of sinks: its name, and how to try it.
pub(crate) type SinkRule = (&'static str, fn(Arc<Sink>) -> Running);
/// A rule of sources.
pub(crate) type SourceRule = (&'static str, fn(Arc<Source>) -> Running);

pub(crate) const SINK: &[SinkRule] = &[
    ("opens and closes", |sink| Box::pin(records::opens_and_closes(sink))),
    ("updates and deletes", |sink| Box::pin(records::updates_and_deletes(sink))),
    ("keeps order per key", |sink| Box::pin(records::keeps_order(sink))),
    ("resends change nothing", |sink| Box::pin(records::resends(sink))),
    ("order keys are the stores identity", |sink| Box::pin(records::order_keys(sink))),
    ("poison costs itself alone", |sink| Box::pin(records::poison(sink))),
    ("large records", |sink| Box::pin(records::large(sink))),
    ("too large a record", |sink| Box::pin(records::too_large(sink))),
    ("hostile values", |sink| Box::pin(hostile::values(sink))),
    ("hostile keys", |sink| Box::pin(hostile::keys(sink))),
    ("hostile records together", |sink| Box::pin(hostile::together(sink))),
    ("cut in the middle of a write", |sink| Box::pin(faults::cut(sink))),
    ("store away when opened", |sink| Box::pin(faults::away(sink))),
    ("store does not answer", |sink| Box::pin(faults::stalled(sink))),
    ("check of a store that does not answer", |sink| Box::pin(faults::stalled_check(sink))),
    ("refused for a while", |sink| Box::pin(faults::throttled(sink))),
    ("cancelled writes", |sink| Box::pin(faults::cancelled(sink))),
    ("wrong credentials", |sink| Box::pin(config::sink_credentials(sink))),
    ("check finds what cannot work", |sink| Box::pin(config::sink_check(sink))),
    ("secrets stay secret", |sink| Box::pin(config::sink_secrets(sink))),
];

pub(crate) const SOURCE: &[SourceRule] = &[
    ("plans no more tasks than allowed", |source| Box::pin(source::plans(source))),
    ("resumes at every position", |source| Box::pin(source::resumes(source))),
    ("cancelled polls lose nothing", |source| Box::pin(source::cancelled(source))),
    ("goes on with what comes later", |source| Box::pin(source::follows(source))),
    ("positions are flat", |source| Box::pin(source::flat_positions(source))),
    ("nonsense as position is named", |source| Box::pin(source::nonsense(source))),
    ("store away when opened", |source| Box::pin(source::away(source))),
    ("wrong credentials", |source| Box::pin(config::source_credentials(source))),
    ("check finds what cannot work", |source| Box::pin(config::source_check(source))),
    ("secrets stay secret", |source| Box::pin(config::source_secrets(source))),
];

pub(crate) fn context(place: &Place, config: &Flat) -> TaskContext {
    TaskContext {
        tenant: "default".to_owned(),
        connector: place.name.clone(),
        task: 0,
        tasks_total: 1,
        generation: 1,
        topics: vec![TOPIC.to_owned()],
        config: Arc::new(config.clone()),
        ..TaskContext::default()
    }
}

impl Sink {
    /// A place without a proxy.
    pub(crate) async fn place(&self) -> Place {
        self.stand.place(&self.stand.server().unwrap_or_default()).await
    }

    /// A place behind a proxy.
    pub(crate) async fn proxied(&self) -> Option<(Proxy, Place)> {
        let server = self.stand.server()?;
        let proxy = Proxy::start(&server).await.unwrap();
        let place = self.stand.place(&proxy.address()).await;
        Some((proxy, place))
    }

    pub(crate) async fn open(&self, place: &Place) -> Result<Box<dyn SinkTask>> {
        self.plugin.open(&place.config, context(place, &place.config)).await
    }

    /// As [`Sink::open`], when it must work.
    pub(crate) async fn opened(&self, place: &Place) -> Box<dyn SinkTask> {
        self.open(place).await.unwrap_or_else(|error| panic!("cannot be opened: {}", error.chain()))
    }
}

pub(crate) const NO_NETWORK: &str = "there is no network between it and a store";

pub(crate) fn untried(reason: &str) -> Verdict {
    Verdict::Untried(reason.to_owned())
}
