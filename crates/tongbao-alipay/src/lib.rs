//! The Alipay protocols, both ends, without I/O: what the merchant's side sends and reads, and what
//! the gateway's side (our sandbox) reads and answers.
//!
//! [`open`] is OpenAPI 2.0 (`gateway.do`), [`v3`] the newer protocol, [`legacy`] the old gateway
//! (mapi), [`bill`] the files of bills. A call is a value: `encode` gives the request, `decode`
//! reads the reply. Nothing here opens a socket, asks a clock or decides about an order.

mod account;
mod beijing;
pub mod bill;
mod charset;
mod content_cipher;
mod error;
pub mod legacy;
mod multipart;
mod notice;
pub mod open;
mod params;
mod sub_code;
mod trade_status;
pub mod v3;
mod verified;

pub use account::{CertificateFiles, CertificateTrust, Credentials, CredentialsError, Trust};
pub use beijing::{parse as parse_beijing_time, print as print_beijing_time};
pub use charset::Charset;
pub use content_cipher::{ContentKey, ContentKeyError};
pub use error::{Answer, GatewayError, Refusal, ReplyError};
pub use params::{Params, ParamsError};
pub use sub_code::{PayRefusal, RefundRefusal};
pub use trade_status::TradeStatus;
pub use verified::Verified;
