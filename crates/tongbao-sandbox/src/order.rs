//! What a merchant asked for, and through which door. An order never changes once it is placed.

use crate::words;
use serde::{Deserialize, Serialize};
use tongbao_types::{Provider, Timestamp};

/// What names a trade: the provider and the merchant's number there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Key {
    #[serde(with = "words::provider")]
    pub(crate) provider: Provider,
    pub(crate) out_trade_no: String,
}

impl Key {
    pub(crate) fn new(provider: Provider, out_trade_no: impl Into<String>) -> Key {
        Key { provider, out_trade_no: out_trade_no.into() }
    }
}

/// Through which door an order came; its notifications leave through the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Api {
    /// XML; `hmac` if the order was signed with HMAC-SHA256.
    WechatV2 {
        hmac: bool,
        /// Signed with the key for rehearsals (仿真测试系统).
        #[serde(default)]
        rehearsal: bool,
    },
    /// JSON with RSA signatures.
    WechatV3,
    /// OpenAPI 2.0 or v3; notifications are in the charset of the order.
    AlipayOpen {
        charset: String,
        /// In certificate mode.
        #[serde(default)]
        by_certificate: bool,
    },
    /// Alipay's old gateway (mapi).
    AlipayLegacy { charset: String },
}

/// How the payer comes to the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Product {
    WechatNative,
    WechatJsapi,
    WechatApp,
    WechatH5,
    /// A code on the payer's phone (付款码支付).
    WechatMicropay,
    AlipayPage,
    AlipayQr,
    AlipayWap,
    AlipayApp,
    /// A mini program or a page inside Alipay (`alipay.trade.create`).
    AlipayCreate,
    /// A code on the buyer's phone (`alipay.trade.pay`).
    AlipayBarcode,
    /// The old gateway's page (`create_direct_pay_by_user`).
    AlipayLegacyPage,
}

impl Product {
    /// WeChat's `trade_type`.
    pub(crate) fn trade_type(self) -> &'static str {
        match self {
            Product::WechatJsapi => "JSAPI",
            Product::WechatApp => "APP",
            Product::WechatH5 => "MWEB",
            Product::WechatMicropay => "MICROPAY",
            _ => "NATIVE",
        }
    }

    /// Whether the merchant scans the payer, and not the other way round.
    pub(crate) fn is_scanned(self) -> bool {
        matches!(self, Product::WechatMicropay | Product::AlipayBarcode)
    }
}

/// Alipay's relative time limits (`timeout_express`), counted from the buyer's arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PayWithin {
    /// So many minutes.
    Minutes(i64),
    /// `1c`: until the coming midnight in China.
    Midnight,
}

/// For whom a service provider (服务商) orders. Empty for an ordinary merchant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Party {
    pub(crate) sub_app_id: Option<String>,
    pub(crate) sub_mch_id: Option<String>,
}

/// What the merchant asked for. Never changes after the first placing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) key: Key,
    pub(crate) api: Api,
    pub(crate) product: Product,
    pub(crate) app_id: String,
    #[serde(default)]
    pub(crate) party: Party,
    /// Who is to pay it, where the order says.
    #[serde(default)]
    pub(crate) payer: Option<String>,
    /// In fen.
    pub(crate) amount: i64,
    pub(crate) subject: String,
    pub(crate) body: Option<String>,
    /// WeChat's `attach`, Alipay's `passback_params`.
    pub(crate) attach: Option<String>,
    /// Whatever must be alike when the order is placed again.
    pub(crate) content: String,
    pub(crate) notify_url: Option<String>,
    pub(crate) return_url: Option<String>,
    /// The last moment to pay.
    #[serde(with = "words::micros_option", default)]
    pub(crate) pay_until: Option<Timestamp>,
    pub(crate) pay_within: Option<PayWithin>,
}
