//! Topics that a source writes to, created before the first record of each.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_sdk::{Error, Result, config::join};

use crate::framework::{NewTopicSettings, SourceSettings, TopicCreation};
use crate::kafka::{ClientKind, ClientSettings, TopicOutcome, ensure_topic, max_batch_bytes, partitions};
use crate::model::TaskSpec;

/// How long a broker may take to create a topic by itself.
const AUTOMATIC_LIMIT: Duration = Duration::from_secs(5);

/// The topics of a task.
pub(super) struct Topics {
    admin: ClientSettings,
    /// Those that exist, with the most bytes that a batch for them may have
    known: BTreeMap<String, Option<usize>>,
    creation: Option<TopicCreation>,
    /// The tenant's `topic.creation.enable`
    enabled: bool,
    task: String,
}

impl Topics {
    pub(super) fn new(spec: &TaskSpec, settings: &SourceSettings) -> Result<Self> {
        let creation = TopicCreation::parse(&settings.topic_groups, &spec.config)
            .map_err(|problems| Error::bad_config(format!("invalid configuration: {}", join(&problems))))?;
        let switch = spec.tenant_settings.get("topic.creation.enable");
        Ok(Self {
            admin: ClientSettings::build(ClientKind::Admin, &spec.tenant_settings, &spec.config)?,
            known: BTreeMap::new(),
            creation,
            enabled: switch.is_none_or(|text| !text.trim().eq_ignore_ascii_case("false")),
            task: spec.id.to_string(),
        })
    }

    /// The topic exists when this returns.
    pub(super) async fn see(&mut self, topic: &str) -> Result<()> {
        if self.known.contains_key(topic) {
            return Ok(());
        }
        if partitions(&self.admin, topic).await?.is_none() {
            self.create(topic).await?;
        }
        let limit = max_batch_bytes(&self.admin, topic).await?;
        self.known.insert(topic.to_owned(), limit);
        Ok(())
    }

    /// The most bytes that a batch for a topic may have, as far as that is known.
    pub(super) fn limit(&self, topic: &str) -> Option<usize> {
        self.known.get(topic).copied().flatten()
    }

    /// The most bytes that a batch may have for any of the topics that were seen, as far as that is known.
    pub(super) fn least_limit(&self) -> Option<usize> {
        self.known.values().copied().flatten().min()
    }

    /// The topic is looked at again when it is seen next: somebody may have changed it.
    pub(super) fn forget(&mut self, topic: &str) {
        self.known.remove(topic);
    }

    async fn create(&self, topic: &str) -> Result<()> {
        if !self.enabled {
            return self.wait(topic).await;
        }
        let of_broker =
            NewTopicSettings { prefix: "topic.creation.default.".to_owned(), ..NewTopicSettings::of_broker() };
        let new = self.creation.as_ref().and_then(|creation| creation.of(topic)).unwrap_or(&of_broker);
        if ensure_topic(&self.admin, topic, new).await? == TopicOutcome::Created {
            tracing::info!(
                task = self.task,
                topic,
                partitions = new.partitions,
                replication = new.replication,
                "topic created"
            );
        }
        Ok(())
    }

    /// The operator does not want topics to be created from here; the broker may do it, once it is asked as a producer asks.
    async fn wait(&self, topic: &str) -> Result<()> {
        let asking = self.admin.clone().with("allow.auto.create.topics", "true");
        let began = Instant::now();
        while began.elapsed() < AUTOMATIC_LIMIT {
            if partitions(&asking, topic).await?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err(Error::bad_config(format!(
            "the topic {topic} does not exist, and the tenant's topic.creation.enable=false forbids to create it: create it, or \
             ask the operator to enable topic.creation.enable"
        )))
    }
}
