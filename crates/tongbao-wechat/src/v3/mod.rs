//! API v3: JSON over HTTP, signed with RSA on both sides (微信支付 API v3).
//!
//! One file per operation. Each request type has `encode` and `decode_reply` for the merchant,
//! `decode` and `encode_reply` for the provider. What they share is in `sign.rs` (strings and
//! signatures), `envelope.rs` (requests, replies, refusals), `party.rs` (ordinary merchants and
//! service providers), `target.rs` (paths and queries) and `resource.rs` (AES-256-GCM).

mod amount;
mod bill;
mod certificates;
mod close;
mod code_payment;
mod envelope;
mod notify;
mod order;
mod party;
mod query;
mod refund;
mod refund_notice;
mod refund_query;
mod resource;
mod reverse;
mod sign;
mod target;

pub use bill::{
    BILL_FILE_PATH, BillDownload, BillLink, FUND_FLOW_PATH, FundFlowBill, TRADE_BILL_PATH,
    TradeBill, bill_creating, no_bill,
};
pub use certificates::{CERTIFICATES_PATH, CertificatesQuery, SealedCertificate};
pub use close::CloseOrder;
pub use code_payment::{CodePayment, CodeScene, CodeStore};
pub use envelope::{Opened, Received, Refusal, Replier, Stamp, open};
pub use notify::{News, Notice, accept, encode_notice, is_accepted, receive, refuse};
pub use order::{Order, SceneInfo};
pub use query::OrderQuery;
pub use refund::{REFUND_PATH, RefundOrder};
pub use refund_notice::{RefundNews, RefundNotice, encode_refund_notice};
pub use refund_query::RefundQuery;
pub use resource::Resource;
pub use reverse::ReverseOrder;
#[cfg(test)]
pub(crate) use sign::tests as sign_tests;
pub use sign::{
    Authorization, AuthorizationError, Verdict, VerdictProblem, request_string, response_string,
    signature_headers, verify_message,
};
