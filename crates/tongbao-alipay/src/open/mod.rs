//! OpenAPI 2.0, the gateway at `/gateway.do`: one file per operation, with both directions and both
//! ends, over [`sign`] (what is signed), [`envelope`] (the merchant's side of a call) and
//! [`gateway`] (the other side).

pub mod cancel;
pub mod cert_download;
pub mod close;
pub mod envelope;
pub mod gateway;
mod members;
pub mod notify;
pub mod order;
pub mod page;
pub mod precreate;
pub mod query;
pub mod return_url;
pub mod sign;
#[cfg(test)]
pub(crate) mod testing;

pub use envelope::CallContext;
pub use gateway::{AppAtGateway, GatewayRequest, Sealing};
pub use members::TradeRef;
pub use notify::{NoticeError, Notification};
pub use order::{Expiry, Order};
