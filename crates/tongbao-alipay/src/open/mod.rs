//! OpenAPI 2.0, the gateway at `/gateway.do`: one file per operation, with both directions and both
//! ends, over [`sign`] (what is signed), [`envelope`] (the merchant's side of a call) and
//! [`gateway`] (the other side).

pub mod app;
pub mod bill_download_url;
pub mod cancel;
pub mod cert_download;
pub mod close;
pub mod create;
pub mod envelope;
mod fund_bill;
pub mod gateway;
pub(crate) mod members;
mod notice_kind;
pub mod notify;
pub mod order;
pub mod page;
pub mod pay;
pub mod precreate;
pub mod query;
pub mod refund;
pub mod refund_query;
pub mod return_url;
pub mod sign;
#[cfg(test)]
pub(crate) mod testing;
pub mod wap;

pub use envelope::CallContext;
pub use fund_bill::FundBill;
pub use gateway::{AppAtGateway, GatewayRequest, Sealing};
pub use members::TradeRef;
pub use notice_kind::NoticeKind;
pub use notify::{NoticeError, Notification};
pub use order::{Expiry, Order};
