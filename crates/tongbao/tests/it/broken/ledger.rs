//! What the clients of a load were told, and how often they were not.

use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// A reply of 2xx to a request with an `Idempotency-Key`.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) key: String,
    pub(crate) status: u16,
    pub(crate) reply: Value,
}

/// Filled by all clients of a load.
#[derive(Default)]
pub(crate) struct Ledger {
    acknowledged: Mutex<Vec<Acknowledged>>,
    /// Charges as somebody read them.
    seen: Mutex<Vec<Value>>,
    tally: Mutex<BTreeMap<String, u64>>,
    failures: Mutex<Vec<String>>,
    numbers: AtomicU32,
}

/// How many failures are kept in words.
const FAILURES_KEPT: usize = 100;

impl Ledger {
    /// A number that no other request has.
    pub(crate) fn number(&self) -> u32 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn acknowledge(&self, reply: Acknowledged) {
        self.acknowledged.lock().unwrap().push(reply);
    }

    pub(crate) fn see(&self, charge: Value) {
        self.seen.lock().unwrap().push(charge);
    }

    /// Counts something under a name.
    pub(crate) fn count(&self, name: &str) {
        *self.tally.lock().unwrap().entry(name.to_owned()).or_default() += 1;
    }

    /// A request that got no answer, or one of 5xx.
    pub(crate) fn fail(&self, what: String) {
        self.count("failed requests");
        let mut failures = self.failures.lock().unwrap();
        if failures.len() < FAILURES_KEPT {
            failures.push(what);
        }
    }

    pub(crate) fn acknowledged(&self) -> Vec<Acknowledged> {
        self.acknowledged.lock().unwrap().clone()
    }

    pub(crate) fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }

    /// Everything that was counted, by name.
    pub(crate) fn tally(&self) -> BTreeMap<String, u64> {
        self.tally.lock().unwrap().clone()
    }

    /// How often something was counted.
    pub(crate) fn counted(&self, name: &str) -> u64 {
        self.tally.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    /// The first failures in words.
    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }
}
