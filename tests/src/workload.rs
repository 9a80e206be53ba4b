//! The inventory use case as test data: events over a set of keys, and the state that must come of them, computed from the
//! log alone. Shares no code with the product.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::kafka::Produced;

/// `(sku, warehouse)` → the last value.
pub type State = BTreeMap<(String, String), Value>;

/// A reproducible stream of inventory events.
pub struct Workload {
    seed: u64,
    keys: u64,
    now_ms: i64,
    sequence: u64,
    /// What a store must hold once it has everything made so far
    pub expected: State,
}

impl Workload {
    /// Events over `keys` keys.
    #[must_use]
    pub fn new(seed: u64, keys: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        // Some time ago, so that the events of a whole scenario lie in the past.
        let now_ms = i64::try_from(now).unwrap_or(0) - 3_600_000;
        Self { seed, keys, now_ms, sequence: 0, expected: State::new() }
    }

    /// xorshift: good enough to mix keys, and the same on every machine.
    fn random(&mut self, below: u64) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % below
    }

    /// The next `count` events. Runs of up to four events of a key share a millisecond; one in 25 is a removal.
    pub fn take(&mut self, count: usize) -> Vec<Produced> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let n = self.random(self.keys);
            let (sku, warehouse) =
                (format!("SKU-{:05}", n / 3), ["AMS", "BER", "LIS"][usize::try_from(n % 3).unwrap_or(0)]);
            for _ in 0..=self.random(4) {
                events.push(self.event(&sku, warehouse));
            }
            self.now_ms += i64::try_from(self.random(3)).unwrap_or(0);
        }
        events
    }

    fn event(&mut self, sku: &str, warehouse: &str) -> Produced {
        self.sequence += 1;
        let value = json!({
            "sku": sku, "warehouse": warehouse, "name": format!("Lamp \"{sku}\" é"),
            "quantity": i64::try_from(self.random(5000)).unwrap_or(0) - 10, "reserved": self.random(50),
            "price": self.random(100_000) as f64 / 64.0, "updated_at": self.now_ms, "sequence": self.sequence,
        });
        let identity = (sku.to_owned(), warehouse.to_owned());
        let removed = self.random(25) == 0;
        if removed {
            self.expected.remove(&identity);
        } else {
            self.expected.insert(identity, value.clone());
        }
        Produced {
            key: Some(json!({"sku": sku, "warehouse": warehouse}).to_string()),
            value: (!removed).then(|| value.to_string()),
            timestamp_ms: self.now_ms,
        }
    }
}

/// The differences between what a store holds and what it must hold, in words; empty when there are none. `fields` are
/// those compared.
#[must_use]
pub fn differences(expected: &State, found: &State, fields: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for (key, want) in expected {
        match found.get(key) {
            None => all.push(format!("{key:?} is missing")),
            Some(row) => {
                for field in fields {
                    if row[*field] != want[*field] {
                        all.push(format!("{key:?}.{field} is {}, expected {}", row[*field], want[*field]));
                    }
                }
            }
        }
    }
    all.extend(
        found.keys().filter(|key| !expected.contains_key(*key)).map(|key| format!("{key:?} was removed, and is there")),
    );
    all
}

/// The fields that every store of the use case holds.
pub const FIELDS: &[&str] = &["quantity", "reserved", "price", "name", "updated_at"];
