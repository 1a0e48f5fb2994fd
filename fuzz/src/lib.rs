//! Fuzz targets for every parser of bytes from outside: one function each, which must come back
//! from whatever it is given. `fuzz_targets/` runs them under libFuzzer, `tests/corpora.rs` over
//! the kept corpora.

mod accounts;
mod bills;
#[path = "../../crates/tongbao/src/config/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub)]
mod config;
mod faces;
mod keys;
mod notices;
mod provider_side;
mod replies;
mod settings;
mod texts;

pub use bills::{bill_text, bill_zip};
pub use faces::{compat_requests, v1_requests};
pub use keys::{certificates, pkcs12};
pub use notices::{alipay_notice, wechat_v2_notice, wechat_v2_xml, wechat_v3_notice};
pub use provider_side::{alipay_requests, wechat_requests};
pub use replies::{alipay_replies, alipay_v3_replies, wechat_v2_replies, wechat_v3_replies};
pub use settings::config_toml;
pub use texts::{addresses, public_ids};

/// Every target by the name of its corpus and of its program.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("addresses", addresses),
    ("alipay_notice", alipay_notice),
    ("alipay_replies", alipay_replies),
    ("alipay_requests", alipay_requests),
    ("alipay_v3_replies", alipay_v3_replies),
    ("bill_text", bill_text),
    ("bill_zip", bill_zip),
    ("certificates", certificates),
    ("compat_requests", compat_requests),
    ("config_toml", config_toml),
    ("pkcs12", pkcs12),
    ("public_ids", public_ids),
    ("v1_requests", v1_requests),
    ("wechat_requests", wechat_requests),
    ("wechat_v2_notice", wechat_v2_notice),
    ("wechat_v2_replies", wechat_v2_replies),
    ("wechat_v2_xml", wechat_v2_xml),
    ("wechat_v3_notice", wechat_v3_notice),
    ("wechat_v3_replies", wechat_v3_replies),
];
