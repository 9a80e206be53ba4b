//! What is out: every batch carries a receipt, and dropping the last trace of the batch hands it in. So the budget is right
//! however a batch ends: written, cancelled, or dropped with a panic.

use std::sync::{Arc, Mutex, PoisonError};

use millrace_sdk::TopicPartition;

/// A batch that has come back.
#[derive(Debug)]
pub(in crate::task) struct Returned {
    pub(super) origin: TopicPartition,
    pub(super) assignment: u64,
    pub(super) bytes: usize,
}

/// Where receipts are handed in.
pub(in crate::task) struct Ledger {
    returned: Mutex<Vec<Returned>>,
    /// Called when a batch has come back
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Ledger {
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { returned: Mutex::default(), wake: Box::new(wake) })
    }

    pub(super) fn take(&self) -> Vec<Returned> {
        std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The receipt of a batch.
    pub(super) fn receipt(self: &Arc<Self>, origin: TopicPartition, assignment: u64, bytes: usize) -> Receipt {
        Receipt { ledger: Arc::clone(self), entry: Some(Returned { origin, assignment, bytes }) }
    }
}

/// Hands itself in when dropped.
pub(in crate::task) struct Receipt {
    ledger: Arc<Ledger>,
    entry: Option<Returned>,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.ledger.returned.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
            (self.ledger.wake)();
        }
    }
}
