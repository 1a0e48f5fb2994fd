//! The sandbox over real sockets, driven with the merchants' halves of the protocol crates.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, too")]

mod alipay;
mod alipay_bills;
mod alipay_captured;
mod alipay_legacy;
mod alipay_orders;
mod alipay_refunds;
mod alipay_v3;
mod control;
mod faults;
mod login;
mod magic;
mod notices;
mod pages;
mod production;
mod production_table;
mod restart;
mod server;
mod stand;
mod tls;
mod wechat_v2;
mod wechat_v2_money;
mod wechat_v3;
mod wechat_v3_money;
