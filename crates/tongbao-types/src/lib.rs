//! The vocabulary that every other crate speaks: money, ids, numbers, channels, time, secrets and
//! plain HTTP values.
//!
//! Nothing here does I/O, asks a clock or draws randomness; whatever varies comes in as an
//! argument. The rules that use these words live in `tongbao-core`.

mod bug;
mod channel;
mod code;
mod http;
mod ids;
mod money;
mod numbers;
mod profile;
mod secret;
mod time;

#[cfg(feature = "planted")]
pub use bug::plant;
pub use bug::{BUGS_ARE_COMPILED, Bug, is_planted};
pub use channel::{Channel, Mode, Provider, UnknownWord};
pub use code::Code;
pub use http::{HttpRequest, HttpResponse, Method, header};
pub use ids::{
    ApiKeyId, AttemptId, BillId, ChargeId, DeliveryId, EndpointId, EventId, IdError, JobId, Mint,
    RefundId,
};
pub use money::{Amount, Fen, MoneyError};
pub use numbers::{
    AccountName, AppName, NumberError, OrderNo, OutRefundNo, OutTradeNo, RefundNo, TradeNo,
};
pub use profile::Profile;
pub use secret::{Sealed, Secret};
pub use time::{Span, TimeError, Timestamp};
