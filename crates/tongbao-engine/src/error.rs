//! What the engine says when it cannot do what was asked, for callers of the API.
//!
//! HTTP statuses are chosen in `tongbao-api`, the only place that knows both. An unknown outcome at
//! a provider is no error: the charge stays pending.

use crate::{CommitError, StoreError};
use tongbao_channels::catalogue;
use tongbao_types::{ChargeId, Code, Provider, RefundId, Span};

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
    /// The refund that this is about, if it exists.
    pub refund: Option<RefundId>,
    /// Whether money may have moved all the same.
    pub money_moved: MoneyMoved,
    /// Whether it helps to send the request again.
    pub retry: Retry,
}

/// Whether money has moved by what was asked, although there is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyMoved {
    /// Certainly not.
    No,
    /// It has.
    Yes,
    /// Nobody knows yet; reading the object will tell.
    Unknown,
}

/// Whether it helps to send a request again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The very same, with the same `Idempotency-Key`: what was begun is not begun once more.
    SameRequest,
    /// Never as it is: something in it, or what it is about, must be another.
    Never,
    /// The same, but not before [`Error::retry_after`] is over.
    After,
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
    /// What the code means and what to do, if it is one that the catalogue knows.
    pub advice: Option<Advice>,
}

/// What a provider's code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advice {
    /// Why the provider says so.
    pub cause: &'static str,
    /// The same in Chinese.
    pub cause_zh: &'static str,
    /// What to do about it.
    pub fix: &'static str,
    /// The same in Chinese.
    pub fix_zh: &'static str,
}

impl Error {
    /// A code and a sentence: the caller's mistake, so nothing has moved and it will not do better
    /// the next time.
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error {
            code,
            message: message.into(),
            param: None,
            provider: None,
            retry_after: None,
            charge: None,
            refund: None,
            money_moved: MoneyMoved::No,
            retry: Retry::Never,
        }
    }

    /// Names the parameter that is wrong.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Error {
        self.param = Some(param.into());
        self
    }

    /// The error came when the provider may have acted already.
    #[must_use]
    pub(crate) fn after_a_call(self, charge: ChargeId) -> Error {
        Error { charge: Some(charge), money_moved: MoneyMoved::Unknown, ..self }
    }

    /// It only says «not now».
    fn not_now(code: Code, message: &str, retry: Retry) -> Error {
        let retry_after = Some(Span::from_seconds(1));
        Error { retry_after, retry, ..Error::new(code, message) }
    }

    /// A provider's no to one request.
    pub(crate) fn refused(
        provider: Provider,
        code: String,
        message: String,
        text: String,
    ) -> Error {
        let advice = catalogue::find(provider, &code).map(|entry| Advice {
            cause: entry.cause.en,
            cause_zh: entry.cause.zh,
            fix: entry.fix.en,
            fix_zh: entry.fix.zh,
        });
        let said = Box::new(ProviderError { name: provider, code, message, advice });
        Error { provider: Some(said), ..Error::new(Code::ProviderRefused, text) }
    }

    pub(crate) fn not_found(what: &str) -> Error {
        Error::new(Code::NotFound, format!("There is no such {what}, or this key may not see it."))
    }

    pub(crate) fn unavailable() -> Error {
        let message = "The database cannot answer now. Try again; under an Idempotency-Key nothing \
                       is done twice.";
        Error::not_now(Code::Unavailable, message, Retry::SameRequest)
    }

    fn disk_full() -> Error {
        let message = "The disk of the database is full, so nothing can be stored. Whoever runs \
                       this service must make room; then it goes on by itself. Try again; under \
                       an Idempotency-Key nothing is done twice.";
        Error::not_now(Code::Unavailable, message, Retry::SameRequest)
    }
}

impl MoneyMoved {
    /// Its word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            MoneyMoved::No => "no",
            MoneyMoved::Yes => "yes",
            MoneyMoved::Unknown => "unknown",
        }
    }
}

impl Retry {
    /// Its word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Retry::SameRequest => "same_request",
            Retry::Never => "never",
            Retry::After => "after",
        }
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
            CommitError::RefundNoTaken => {
                let message = "Another refund of this app has this refund_no. Read it with \
                               GET /v1/refunds?refund_no=…, or choose another number.";
                Error::new(Code::RefundNoInUse, message).param("refund_no")
            }
            CommitError::OutRefundNoTaken => {
                let message = "The channel account has a refund under this number already. Choose \
                               another refund_no.";
                Error::new(Code::RefundNoInUse, message).param("refund_no")
            }
            CommitError::IdempotencyKeyTaken => busy(),
            CommitError::Stale | CommitError::LeaseLost => {
                let message = "Others changed the same object at the same time. Try again.";
                Error::not_now(Code::Conflict, message, Retry::SameRequest)
            }
            CommitError::Full(cause) => {
                tracing::error!(error = %cause, "the database has no room left");
                Error::disk_full()
            }
            CommitError::Store(cause) => cause.into(),
        }
    }
}

/// The first request with this key has no reply yet.
pub(crate) fn busy() -> Error {
    let message = "The first request with this Idempotency-Key is still running. Ask again soon.";
    let error = Error::not_now(Code::IdempotencyKeyBusy, message, Retry::After);
    Error { money_moved: MoneyMoved::Unknown, ..error }
}
