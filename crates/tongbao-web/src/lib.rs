//! HTTP plumbing that the faces share: serving connections, keys, request ids, limits, headers,
//! server-sent events, drawing codes.
//!
//! Nothing here knows a route or a public object; errors are the engine's, and each face turns
//! them into replies of its own.

pub mod auth;
pub mod client_address;
mod connection;
pub mod gate;
pub mod limits;
pub mod qr;
mod rates;
pub mod raw;
pub mod request_id;
mod room;
pub mod security_headers;
pub mod serve;
pub mod sse;

pub use client_address::{ClientAddress, PeerAddress};
pub use gate::{Gate, Limits};
pub use ipnet::IpNet;
pub use serve::{Serving, Stop, serve};
