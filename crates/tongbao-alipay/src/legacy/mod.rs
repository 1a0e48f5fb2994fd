//! The old gateway (mapi, 即时到账): signed with MD5 over a shared key. Alipay, 即时到账交易接口.
//!
//! A buyer's browser carries the order ([`direct_pay`]); Alipay tells of it ([`notify`]) and can be
//! asked whether the telling was its own ([`notify_verify`]) and where a trade stands
//! ([`single_trade_query`]). MD5 proves only that who signed knows the key, so that a notification
//! is believed after both the signature and the question.

mod account;
pub mod direct_pay;
mod error;
pub mod gateway;
pub mod notify;
pub mod notify_verify;
pub mod sign;
pub mod single_trade_query;

pub use account::{Credentials, CredentialsError};
pub use direct_pay::{DirectPay, Timeout};
pub use error::{Refusal, error_page};
pub use gateway::LegacyRequest;
pub use notify::Notification;
pub use notify_verify::{NotifyVerify, Verdict};

/// The gateway's path; the host is `mapi.alipay.com`.
pub const PATH: &str = "/gateway.do";
