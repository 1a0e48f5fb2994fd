//! The WeChat Pay protocols v2 (XML) and v3 (JSON), both ends, without I/O.
//!
//! Each operation has one file that holds what the merchant encodes and decodes and what the
//! provider decodes and encodes. Time, nonces and sockets are the caller's; so is everything about
//! what to do with an answer. Read `v3/order.rs` first, it is the pattern for the rest.

mod account;
mod auth_code;
mod bill;
mod china;
mod error;
mod notice;
mod pay_params;
mod refund;
mod refusal;
mod rules;
mod trade;
pub mod v2;
pub mod v3;
mod xml;

pub use account::{
    AccountError, Merchant, PlatformKey, PlatformKeys, SignType, V2Credentials, V3Credentials,
};
pub use auth_code::is_auth_code;
pub use bill::{
    BILL_LINE_BYTES_MAX, BillDate, BillError, BillFee, BillFile, BillLines, BillPacking,
    BillProblem, BillReader, BillRow, BillSummary, BillType, FundAccount, FundColumns,
    FundDirection, FundLine, RefundLine, TradeColumns, TradeKind, TradeLine, write_fund_bill,
    write_trade_bill,
};
pub use china::{compact_time, read_compact_time, read_spaced_time, rfc3339_time, spaced_time};
pub use error::{
    Answer, FieldError, Level, Mismatch, NoticeError, ReplyError, SignatureError, WechatError,
};
pub use notice::{Notification, Verified};
pub use pay_params::{AppParams, JsapiParams, h5_redirect, v2_app, v2_jsapi, v3_app, v3_jsapi};
pub use refund::{Refund, RefundKey, RefundState};
pub use refusal::{CodePaymentRefusal, RefundRefusal};
pub use trade::{Paid, Prepaid, Trade, TradeKey, TradeState, TradeType};
pub use xml::{BODY_BYTES_MAX, Fields, XmlError};
