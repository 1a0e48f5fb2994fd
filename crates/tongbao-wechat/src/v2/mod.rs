//! API v2: flat XML, signed with a shared key (微信支付 API v2).
//!
//! One file per operation. Each request type has `encode` and `decode_reply` for the merchant,
//! `decode` and `encode_reply` for the provider. What they share is in `envelope.rs` and `sign.rs`.

mod close;
mod envelope;
mod notify;
mod order;
mod query;
mod refund_notice;
mod sign;

pub use close::{CLOSE_PATH, CloseOrder};
pub use envelope::{Opened, Refusal, Replier, Verdict, communication_failure, open};
pub use notify::{
    Notice, accept, claimed_out_trade_no, encode_notice, is_accepted, receive, refuse,
};
pub use order::{ORDER_PATH, UnifiedOrder};
pub use query::{OrderQuery, QUERY_PATH};
pub use refund_notice::{RefundNews, RefundNoticeError, decrypt_refund_notice};
pub use sign::{sign, string_to_sign, verify};
