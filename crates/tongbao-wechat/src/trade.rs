//! A trade as WeChat tells of it: one type for both APIs, replies and notifications alike.
//!
//! Words keep the provider's spelling. What a state means for a charge is decided above.

use tongbao_types::{Fen, Timestamp};

/// Which trade is meant. Unpaid orders can be found by the merchant's number only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeKey {
    /// The merchant's number.
    OutTradeNo(String),
    /// WeChat's number.
    TransactionId(String),
}

/// The way of paying that an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TradeType {
    /// A QR code.
    #[default]
    Native,
    /// A page inside WeChat, or a mini program.
    Jsapi,
    /// The merchant's own app.
    App,
    /// A browser on a phone; API v3 calls it h5.
    Mweb,
}

impl TradeType {
    /// Its name in `trade_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            TradeType::Native => "NATIVE",
            TradeType::Jsapi => "JSAPI",
            TradeType::App => "APP",
            TradeType::Mweb => "MWEB",
        }
    }

    /// Reads `trade_type` of an order.
    pub fn read(word: &str) -> Option<TradeType> {
        let all = [TradeType::Native, TradeType::Jsapi, TradeType::App, TradeType::Mweb];
        all.into_iter().find(|t| t.as_str() == word)
    }
}

/// `trade_state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TradeState {
    /// Paid.
    Success,
    /// Paid, and something of it was refunded.
    Refund,
    /// Not paid yet.
    NotPay,
    /// Closed; it can no longer be paid.
    Closed,
    /// Reversed (code payments).
    Revoked,
    /// The payer is typing the password (code payments).
    UserPaying,
    /// The payment failed.
    PayError,
    /// Accepted, the deduction is pending.
    Accept,
    /// A word that the documentation does not have.
    Unknown(String),
}

impl TradeState {
    /// The provider's word.
    pub fn as_str(&self) -> &str {
        match self {
            TradeState::Success => "SUCCESS",
            TradeState::Refund => "REFUND",
            TradeState::NotPay => "NOTPAY",
            TradeState::Closed => "CLOSED",
            TradeState::Revoked => "REVOKED",
            TradeState::UserPaying => "USERPAYING",
            TradeState::PayError => "PAYERROR",
            TradeState::Accept => "ACCEPT",
            TradeState::Unknown(word) => word,
        }
    }

    /// Reads any word.
    pub fn read(word: &str) -> TradeState {
        let known = [
            TradeState::Success,
            TradeState::Refund,
            TradeState::NotPay,
            TradeState::Closed,
            TradeState::Revoked,
            TradeState::UserPaying,
            TradeState::PayError,
            TradeState::Accept,
        ];
        let found = known.into_iter().find(|state| state.as_str() == word);
        found.unwrap_or_else(|| TradeState::Unknown(word.chars().take(32).collect()))
    }

    /// `trade_state_desc` as production words it.
    pub const fn description(&self) -> &'static str {
        match self {
            TradeState::Success => "支付成功",
            TradeState::Refund => "订单发生过退款，退款详情请查询退款单",
            TradeState::NotPay => "订单未支付",
            TradeState::Closed => "订单已关闭",
            TradeState::Revoked => "订单已撤销",
            TradeState::UserPaying => "用户支付中",
            TradeState::PayError => "支付失败",
            TradeState::Accept => "已接收，等待扣款",
            TradeState::Unknown(_) => "",
        }
    }

    /// Whether money has moved.
    pub const fn is_paid(&self) -> bool {
        matches!(self, TradeState::Success | TradeState::Refund)
    }
}

/// What a trade brought, once it is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    /// WeChat's number of the trade.
    pub transaction_id: String,
    /// The order's amount (`total_fee`, `amount.total`): compare this one.
    pub total: Fen,
    /// What the payer paid after coupons (`cash_fee`, `amount.payer_total`).
    pub payer_total: Option<Fen>,
    /// The order's currency, `CNY` where the message leaves it out.
    pub currency: String,
    /// The payer under the app id. Proves nothing by itself.
    pub openid: Option<String>,
    /// NATIVE, JSAPI, APP, MWEB, MICROPAY, FACEPAY.
    pub trade_type: Option<String>,
    /// The bank, in WeChat's abbreviations.
    pub bank_type: Option<String>,
    /// When it was paid.
    pub success_time: Option<Timestamp>,
}

/// A trade. A state of SUCCESS or REFUND comes with [`Paid`], always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trade {
    /// The merchant's number.
    pub out_trade_no: String,
    /// How it stands.
    pub state: TradeState,
    /// The provider's sentence about that.
    pub state_desc: String,
    /// The merchant's text from the order, empty if none.
    pub attach: String,
    /// What was paid; `None` in all other states.
    pub paid: Option<Paid>,
}

/// What an order is paid with (the reply of both APIs' order calls).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepaid {
    /// NATIVE: the text of the QR code, good for two hours.
    CodeUrl {
        /// `weixin://wxpay/…`, opaque.
        code_url: String,
        /// API v2 gives it too.
        prepay_id: Option<String>,
    },
    /// JSAPI and APP: an id good for two hours, to be signed for the client.
    PrepayId(String),
    /// H5: a page to send the payer's browser to, within five minutes.
    H5Url {
        /// `https://wx.tenpay.com/…`.
        h5_url: String,
        /// API v2 gives it too.
        prepay_id: Option<String>,
    },
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn trade(out_trade_no: &str, state: TradeState) -> Trade {
        let paid = Paid {
            transaction_id: "4200000263201902167700136502".to_owned(),
            total: Fen(101),
            payer_total: Some(Fen(100)),
            currency: "CNY".to_owned(),
            openid: Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned()),
            trade_type: Some("NATIVE".to_owned()),
            bank_type: Some("OTHERS".to_owned()),
            success_time: "2026-11-21T00:00:00+08:00".parse().ok(),
        };
        Trade {
            out_trade_no: out_trade_no.to_owned(),
            state_desc: state.description().to_owned(),
            attach: String::new(),
            paid: state.is_paid().then_some(paid),
            state,
        }
    }

    #[test]
    fn every_state_reads_back_and_a_new_word_is_kept() {
        for word in
            ["SUCCESS", "REFUND", "NOTPAY", "CLOSED", "REVOKED", "USERPAYING", "PAYERROR", "ACCEPT"]
        {
            let state = TradeState::read(word);
            assert_eq!(state.as_str(), word);
            assert!(!matches!(state, TradeState::Unknown(_)) && !state.description().is_empty());
        }
        assert_eq!(TradeState::read("DREAMING"), TradeState::Unknown("DREAMING".to_owned()));
        assert!(!TradeState::read("success").is_paid(), "words are compared as they are");
    }

    #[test]
    fn order_types_read_back() {
        for word in ["NATIVE", "JSAPI", "APP", "MWEB"] {
            assert_eq!(TradeType::read(word).map(TradeType::as_str), Some(word));
        }
        assert_eq!(TradeType::read("MICROPAY"), None);
    }
}
