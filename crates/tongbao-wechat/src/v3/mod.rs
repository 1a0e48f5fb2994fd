//! API v3: JSON over HTTP, signed with RSA on both sides (微信支付 API v3).
//!
//! One file per operation. Each request type has `encode` and `decode_reply` for the merchant,
//! `decode` and `encode_reply` for the provider. What they share is in `sign.rs` (strings and
//! signatures), `envelope.rs` (requests, replies, refusals) and `resource.rs` (AES-256-GCM).

mod certificates;
mod close;
mod envelope;
mod notify;
mod order;
mod query;
mod resource;
mod sign;

pub use certificates::{CERTIFICATES_PATH, CertificatesQuery, SealedCertificate};
pub use close::CloseOrder;
pub use envelope::{Opened, Received, Refusal, Replier, Stamp, open};
pub use notify::{Notice, accept, encode_notice, is_accepted, receive, refuse};
pub use order::{Order, SceneInfo};
pub use query::OrderQuery;
pub use resource::Resource;
#[cfg(test)]
pub(crate) use sign::tests as sign_tests;
pub use sign::{
    Authorization, AuthorizationError, Verdict, VerdictProblem, request_string, response_string,
    signature_headers, verify_message,
};
