//! The v3 protocol: paths, JSON bodies and HTTP statuses instead of `gateway.do`, for the same
//! operations with the same members. Alipay, V3 协议.
//!
//! An operation's request and reply are the types of [`crate::open`]; here they get a second way
//! onto the wire, `encode_v3` and `decode_v3`, one file per family. What a browser or an app
//! carries has no v3 form and stays with [`crate::open::page`], [`crate::open::wap`] and
//! [`crate::open::app`]; notifications of orders placed here are those of
//! [`crate::open::notify`].

pub mod bill;
pub mod close;
pub mod envelope;
pub mod gateway;
pub mod order;
pub mod query;
pub mod refund;
pub mod sign;

pub use envelope::CallContext;
pub use gateway::{GatewayRequest, Sealing};
