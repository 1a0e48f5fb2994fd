//! The sandbox over real sockets, driven with the merchants' halves of the protocol crates.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod alipay;
mod control;
mod faults;
mod notices;
mod pages;
mod restart;
mod server;
mod stand;
mod wechat_v2;
mod wechat_v3;
