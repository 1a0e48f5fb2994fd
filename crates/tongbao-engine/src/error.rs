//! What the engine says when it cannot do what was asked, for callers of the API.
//!
//! HTTP statuses are chosen in `tongbao-api`, the only place that knows both. An unknown outcome at
//! a provider is no error: the charge stays pending.

use crate::{CommitError, StoreError};
use tongbao_types::{ChargeId, Code, Provider, Span};

/// Why not, and what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// For programs.
    pub code: Code,
    /// For people; no secrets, no SQL.
    pub message: String,
    /// Which parameter is wrong.
    pub param: Option<String>,
    /// What the provider said.
    pub provider: Option<Box<ProviderError>>,
    /// When to try again.
    pub retry_after: Option<Span>,
    /// The charge that this is about, if it exists.
    pub charge: Option<ChargeId>,
}

/// A provider's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    /// Who.
    pub name: Provider,
    /// Its own code.
    pub code: String,
    /// Its own words.
    pub message: String,
}

impl Error {
    /// A code and a sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error {
            code,
            message: message.into(),
            param: None,
            provider: None,
            retry_after: None,
            charge: None,
        }
    }

    /// Names the parameter that is wrong.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Error {
        self.param = Some(param.into());
        self
    }

    pub(crate) fn not_found(what: &str) -> Error {
        Error::new(Code::NotFound, format!("There is no such {what}, or this key may not see it."))
    }

    pub(crate) fn unavailable() -> Error {
        let message = "The database cannot answer now. Try again; under an Idempotency-Key nothing \
                       is done twice.";
        let retry_after = Some(Span::from_seconds(1));
        Error { retry_after, ..Error::new(Code::Unavailable, message) }
    }
}

impl From<StoreError> for Error {
    fn from(cause: StoreError) -> Error {
        tracing::error!(error = %cause, "the database cannot answer");
        Error::unavailable()
    }
}

impl From<CommitError> for Error {
    fn from(cause: CommitError) -> Error {
        match cause {
            CommitError::OrderNoTaken => {
                let message = "Another charge of this app has this order_no. Read it with \
                               GET /v1/charges?order_no=…, or choose another number.";
                Error::new(Code::OrderNoInUse, message).param("order_no")
            }
            CommitError::OutTradeNoTaken => {
                let message = "The channel account has an order under this number already. Choose \
                               another order_no.";
                Error::new(Code::OrderNoInUse, message).param("order_no")
            }
            CommitError::IdempotencyKeyTaken => busy(),
            CommitError::Stale | CommitError::LeaseLost => {
                let message = "Others changed the same object at the same time. Try again.";
                let retry_after = Some(Span::from_seconds(1));
                Error { retry_after, ..Error::new(Code::Conflict, message) }
            }
            CommitError::Store(cause) => cause.into(),
        }
    }
}

/// The first request with this key has no reply yet.
pub(crate) fn busy() -> Error {
    let message = "The first request with this Idempotency-Key is still running. Ask again soon.";
    let retry_after = Some(Span::from_seconds(1));
    Error { retry_after, ..Error::new(Code::IdempotencyKeyBusy, message) }
}
