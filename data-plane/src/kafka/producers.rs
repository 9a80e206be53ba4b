//! Producers, made on first use and shared by all tasks with equal settings: a hundred idle tasks must not mean a hundred
//! clients with their threads.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use millrace_sdk::Result;

use super::client::{ClientSettings, creation_error};
use super::{Counting, Producer};

/// A producer that lives as long as somebody holds it.
pub type SharedProducer = Arc<Producer>;

/// Producers by their settings.
#[derive(Default)]
pub struct Producers {
    by_settings: Mutex<BTreeMap<ClientSettings, Weak<Producer>>>,
}

impl Producers {
    /// The producer with these settings, made when there is none. Creating one connects to nothing yet.
    ///
    /// # Errors
    /// `BadConfig` when librdkafka does not accept the settings.
    pub fn producer(&self, settings: &ClientSettings) -> Result<SharedProducer> {
        let mut producers = self.by_settings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = producers.get(settings).and_then(Weak::upgrade) {
            return Ok(producer);
        }
        producers.retain(|_, producer| producer.strong_count() > 0);
        let producer: Producer = settings
            .config()
            .create_with_context(Counting)
            .map_err(|error| creation_error("a Kafka producer", error))?;
        let producer = Arc::new(producer);
        producers.insert(settings.clone(), Arc::downgrade(&producer));
        Ok(producer)
    }
}
