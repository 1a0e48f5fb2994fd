//! What callers were told, to be compared with how things stand in the end.

use crate::providers::Merchant;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

/// A reply that somebody got.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// To which deed.
    pub(crate) nth: usize,
    pub(crate) merchant: Merchant,
    pub(crate) about: About,
    /// The number of the Idempotency-Key.
    pub(crate) key: Option<u32>,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About {
    /// A charge, of this amount if the request named one.
    Charge { fen: Option<i64> },
    /// A refund, of this amount if the request named one.
    Refund { fen: Option<i64> },
}

/// All replies so far.
#[derive(Default)]
pub(crate) struct Replies(Mutex<Vec<Told>>);

impl Replies {
    pub(crate) fn add(&self, told: Told) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }

    pub(crate) fn all(&self) -> Vec<Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
