//! Each adapter against the provider's side of its protocol: an order or a refund goes out, is read
//! and answered as the provider does, and what the adapter makes of it is compared as a whole.

#![expect(clippy::unwrap_used, reason = "a test falls and tells")]

mod accounts;
mod alipay;
mod alipay_bills;
mod alipay_certificates;
mod alipay_legacy;
mod alipay_notices;
mod alipay_provider;
mod bill_bombs;
mod bombs;
mod forged;
mod wechat;
mod wechat_notices;
mod wechat_provider;
mod wechat_refunds;
mod world;
