//! API v2: flat XML, signed with a shared key (微信支付 API v2).
//!
//! One file per operation. Each request type has `encode` and `decode_reply` for the merchant,
//! `decode` and `encode_reply` for the provider. What they share is in `envelope.rs` and `sign.rs`.

mod bill;
mod close;
mod envelope;
mod micropay;
mod notify;
mod order;
mod query;
mod refund;
mod refund_notice;
mod refund_query;
mod reverse;
mod sandbox_key;
mod sign;

pub use bill::{DownloadBill, DownloadFundFlow, FUND_FLOW_PATH, TRADE_BILL_PATH};
pub use close::{CLOSE_PATH, CloseOrder};
pub use envelope::{
    Opened, Refusal, Replier, Verdict, communication_failure, needs_certificate, open,
};
pub use micropay::{MICROPAY_PATH, Micropay};
pub use notify::{
    Notice, accept, claimed_out_trade_no, encode_notice, is_accepted, receive, refuse,
};
pub use order::{ORDER_PATH, UnifiedOrder};
pub use query::{OrderQuery, QUERY_PATH};
pub use refund::{REFUND_PATH, RefundOrder};
pub use refund_notice::{
    RefundNews, RefundNotice, RefundNoticeError, decrypt_refund_notice, encode_refund_notice,
    encrypt_refund_notice, is_refund_notice, read_refund_notice,
};
pub use refund_query::{REFUND_QUERY_PATH, RefundPage, RefundQuery};
pub use reverse::{REVERSE_PATH, Recall, ReverseOrder};
pub use sandbox_key::{
    SANDBOX_KEY_PATH, SANDBOX_PREFIX, SandboxKey, from_sandbox_path, sandbox_path,
};
pub use sign::{ambiguous_field, sign, string_to_sign, verify};
