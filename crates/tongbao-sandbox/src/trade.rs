//! One order at a provider, from placing to its end: the state machine of both, without I/O.
//!
//! The documented states are WeChat Pay's 交易状态 and Alipay's trade_status; this file is the one
//! place where they change. Whoever owns a [`Trade`] keeps it and tells others (see `world`).

use crate::numbers;
use crate::words;
use serde::{Deserialize, Serialize};
use tongbao_types::{Provider, Span, Timestamp};

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
    WechatV2 { hmac: bool },
    /// JSON with RSA signatures.
    WechatV3,
    /// OpenAPI 2.0; notifications are in the charset of the order.
    AlipayOpen { charset: String },
}

/// How the payer comes to the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Product {
    WechatNative,
    WechatJsapi,
    WechatApp,
    WechatH5,
    AlipayPage,
    AlipayQr,
}

impl Product {
    /// WeChat's `trade_type`.
    pub(crate) fn trade_type(self) -> &'static str {
        match self {
            Product::WechatJsapi => "JSAPI",
            Product::WechatApp => "APP",
            Product::WechatH5 => "MWEB",
            _ => "NATIVE",
        }
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

/// What the merchant asked for. Never changes after the first placing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) key: Key,
    pub(crate) api: Api,
    pub(crate) product: Product,
    pub(crate) app_id: String,
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

/// Where a trade stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Ordered, but for Alipay nothing exists until the buyer comes.
    Fresh,
    /// Waits for its payer.
    Open,
    /// The payer is typing a password.
    Paying,
    /// The money moved.
    Paid,
    /// Over: closed unpaid, or (Alipay) paid and given back in full.
    Closed,
}

/// An order and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trade {
    pub(crate) order: Order,
    pub(crate) state: State,
    /// The provider's number, once it has given one.
    pub(crate) trade_no: Option<String>,
    /// The openid or the buyer's 2088… number.
    pub(crate) payer: Option<String>,
    /// In fen, the sum of what went back.
    pub(crate) refunded: i64,
    #[serde(with = "words::micros")]
    pub(crate) placed_at: Timestamp,
    #[serde(with = "words::micros_option", default)]
    pub(crate) created_at: Option<Timestamp>,
    #[serde(with = "words::micros_option", default)]
    pub(crate) paid_at: Option<Timestamp>,
    #[serde(with = "words::micros_option", default)]
    pub(crate) closed_at: Option<Timestamp>,
}

/// Why a payer may not pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PayRefusal {
    AlreadyPaid,
    Closed,
    Expired,
}

/// How an attempt to close went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    Done,
    AlreadyClosed,
    Paid,
    /// Alipay's: nothing to close yet.
    NotExist,
}

/// WeChat closes an order without `time_expire` by itself after seven days.
const WECHAT_LIFE: Span = Span::from_seconds(7 * 86_400);
/// WeChat raises an earlier `time_expire` to this after ordering, in silence.
const WECHAT_SHORTEST: Span = Span::from_seconds(60);

impl Trade {
    /// A trade as the order call leaves it.
    pub(crate) fn placed(mut order: Order, now: Timestamp) -> Trade {
        let wechat = order.key.provider == Provider::Wechat;
        if wechat {
            order.pay_until = order.pay_until.map(|until| until.max(now + WECHAT_SHORTEST));
        }
        let state = if wechat { State::Open } else { State::Fresh };
        Trade {
            order,
            state,
            trade_no: None,
            payer: None,
            refunded: 0,
            placed_at: now,
            created_at: wechat.then_some(now),
            paid_at: None,
            closed_at: None,
        }
    }

    /// WeChat's `trade_state`.
    pub(crate) fn wechat_state(&self) -> &'static str {
        match self.state {
            State::Fresh | State::Open => "NOTPAY",
            State::Paying => "USERPAYING",
            State::Paid if self.refunded > 0 => "REFUND",
            State::Paid => "SUCCESS",
            State::Closed => "CLOSED",
        }
    }

    /// Alipay's `trade_status`; none while the trade does not exist there.
    pub(crate) fn alipay_status(&self) -> Option<&'static str> {
        match self.state {
            State::Fresh => None,
            State::Open | State::Paying => Some("WAIT_BUYER_PAY"),
            State::Paid => Some("TRADE_SUCCESS"),
            State::Closed => Some("TRADE_CLOSED"),
        }
    }

    /// The state in the provider's own word, for people and control paths.
    pub(crate) fn state_word(&self) -> &'static str {
        match self.order.key.provider {
            Provider::Wechat => self.wechat_state(),
            Provider::Alipay => self.alipay_status().unwrap_or("NOT_CREATED"),
        }
    }

    /// Whether the payer may still act.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Fresh | State::Open | State::Paying)
    }

    /// When the provider closes the trade by itself.
    pub(crate) fn closes_at(&self) -> Option<Timestamp> {
        if !matches!(self.state, State::Open | State::Paying) {
            return None;
        }
        match self.order.key.provider {
            Provider::Wechat if self.order.pay_until.is_some() => None,
            Provider::Wechat => Some(self.placed_at + WECHAT_LIFE),
            Provider::Alipay => self.alipay_deadline(),
        }
    }

    /// Closes the trade if its time is over; says whether that happened now.
    pub(crate) fn settle(&mut self, now: Timestamp) -> bool {
        let Some(deadline) = self.closes_at().filter(|deadline| *deadline <= now) else {
            return false;
        };
        self.state = State::Closed;
        self.closed_at = Some(deadline);
        true
    }

    /// The buyer reached the order: at Alipay the trade begins to exist.
    pub(crate) fn arrive(&mut self, payer: &str, now: Timestamp) -> Result<bool, PayRefusal> {
        self.check_payable(now)?;
        if self.state != State::Fresh {
            return Ok(false);
        }
        self.state = State::Open;
        self.created_at = Some(now);
        self.trade_no = Some(numbers::trade_no(now));
        self.payer = Some(payer.to_owned());
        Ok(true)
    }

    /// The payer confirmed and the money moved.
    pub(crate) fn pay(&mut self, payer: &str, now: Timestamp) -> Result<(), PayRefusal> {
        self.arrive(payer, now)?;
        self.state = State::Paid;
        self.paid_at = Some(now);
        self.payer = Some(payer.to_owned());
        if self.trade_no.is_none() {
            self.trade_no = Some(numbers::transaction_id(now));
        }
        Ok(())
    }

    /// The payer is at the password.
    pub(crate) fn start_paying(&mut self, payer: &str, now: Timestamp) -> Result<(), PayRefusal> {
        self.arrive(payer, now)?;
        self.state = State::Paying;
        Ok(())
    }

    /// The payer's attempt came to nothing: the order waits as before.
    pub(crate) fn give_up(&mut self, payer: &str, now: Timestamp) -> Result<(), PayRefusal> {
        self.arrive(payer, now)?;
        self.state = State::Open;
        Ok(())
    }

    /// The merchant closes it.
    pub(crate) fn close(&mut self, now: Timestamp) -> Closing {
        self.settle(now);
        match self.state {
            State::Fresh => Closing::NotExist,
            State::Paid => Closing::Paid,
            State::Closed if self.refunded > 0 => Closing::Paid,
            State::Closed => Closing::AlreadyClosed,
            State::Open | State::Paying => {
                self.state = State::Closed;
                self.closed_at = Some(now);
                Closing::Done
            }
        }
    }

    /// Alipay's cancel of a paid trade: all money goes back and the trade is over.
    pub(crate) fn give_back(&mut self, now: Timestamp) {
        self.refunded = self.order.amount;
        self.state = State::Closed;
        self.closed_at = Some(now);
    }

    fn check_payable(&mut self, now: Timestamp) -> Result<(), PayRefusal> {
        if self.settle(now) {
            return Err(PayRefusal::Expired);
        }
        match self.state {
            State::Paid => Err(PayRefusal::AlreadyPaid),
            State::Closed if self.refunded > 0 => Err(PayRefusal::AlreadyPaid),
            State::Closed => Err(PayRefusal::Closed),
            _ if self.order.pay_until.is_some_and(|until| now > until) => Err(PayRefusal::Expired),
            _ => Ok(()),
        }
    }

    /// `time_expire` wins; else `timeout_express` or the product's own limit after the arrival.
    fn alipay_deadline(&self) -> Option<Timestamp> {
        if self.order.pay_until.is_some() {
            return self.order.pay_until;
        }
        let created = self.created_at?;
        let default = match self.order.product {
            Product::AlipayQr => PayWithin::Minutes(3 * 60),
            _ => PayWithin::Minutes(15 * 24 * 60),
        };
        match self.order.pay_within.unwrap_or(default) {
            PayWithin::Minutes(count) => {
                Some(created + Span::from_seconds(count.saturating_mul(60)))
            }
            PayWithin::Midnight => Some(coming_midnight(created)),
        }
    }
}

/// The next midnight in China after a moment.
fn coming_midnight(moment: Timestamp) -> Timestamp {
    const DAY: i64 = 86_400;
    const CHINA: i64 = 8 * 3_600;
    let local = moment.as_seconds() + CHINA;
    Timestamp::from_seconds((local.div_euclid(DAY) + 1) * DAY - CHINA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(provider: Provider) -> Order {
        let (api, product) = match provider {
            Provider::Wechat => (Api::WechatV3, Product::WechatNative),
            Provider::Alipay => {
                (Api::AlipayOpen { charset: "utf-8".to_owned() }, Product::AlipayPage)
            }
        };
        Order {
            key: Key::new(provider, "T20261121000001"),
            api,
            product,
            app_id: "a".to_owned(),
            amount: 100,
            subject: "s".to_owned(),
            body: None,
            attach: None,
            content: String::new(),
            notify_url: None,
            return_url: None,
            pay_until: None,
            pay_within: None,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_242_600 + seconds)
    }

    #[test]
    fn wechat_pays_once_and_cannot_be_closed_afterwards() {
        let mut trade = Trade::placed(order(Provider::Wechat), at(0));
        assert_eq!(trade.wechat_state(), "NOTPAY");
        assert_eq!(trade.pay("o1", at(1)), Ok(()));
        assert_eq!(trade.wechat_state(), "SUCCESS");
        assert!(trade.trade_no.as_deref().is_some_and(|n| n.starts_with("42000")));
        assert_eq!(trade.pay("o1", at(2)), Err(PayRefusal::AlreadyPaid));
        assert_eq!(trade.close(at(3)), Closing::Paid);
    }

    #[test]
    fn wechat_time_expire_is_a_last_moment_to_pay_and_no_close() {
        let mut wanted = order(Provider::Wechat);
        wanted.pay_until = Some(at(5));
        let mut trade = Trade::placed(wanted, at(0));
        assert_eq!(trade.order.pay_until, Some(at(60)), "raised to one minute after ordering");
        assert_eq!(trade.pay("o1", at(61)), Err(PayRefusal::Expired));
        assert!(!trade.settle(at(30 * 86_400)));
        assert_eq!(trade.wechat_state(), "NOTPAY");
        assert_eq!(trade.close(at(62)), Closing::Done);
        assert_eq!(trade.close(at(63)), Closing::AlreadyClosed);
        assert_eq!(trade.pay("o1", at(64)), Err(PayRefusal::Closed));
    }

    #[test]
    fn wechat_closes_an_order_without_time_expire_after_seven_days() {
        let mut trade = Trade::placed(order(Provider::Wechat), at(0));
        assert!(!trade.settle(at(7 * 86_400 - 1)));
        assert!(trade.settle(at(7 * 86_400)));
        assert_eq!(trade.wechat_state(), "CLOSED");
    }

    #[test]
    fn alipay_has_no_trade_until_the_buyer_comes() {
        let mut trade = Trade::placed(order(Provider::Alipay), at(0));
        assert_eq!(trade.alipay_status(), None);
        assert_eq!(trade.close(at(1)), Closing::NotExist);
        assert_eq!(trade.arrive("2088", at(2)), Ok(true));
        assert_eq!(trade.alipay_status(), Some("WAIT_BUYER_PAY"));
        let number = trade.trade_no.clone();
        assert_eq!(trade.pay("2088", at(3)), Ok(()));
        assert_eq!(trade.alipay_status(), Some("TRADE_SUCCESS"));
        assert_eq!(trade.trade_no, number);
        trade.give_back(at(4));
        assert_eq!(trade.alipay_status(), Some("TRADE_CLOSED"));
        assert_eq!(trade.close(at(5)), Closing::Paid);
    }

    #[test]
    fn alipay_times_out_counted_from_the_arrival() {
        let mut wanted = order(Provider::Alipay);
        wanted.pay_within = Some(PayWithin::Minutes(1));
        let mut trade = Trade::placed(wanted, at(0));
        assert_eq!(trade.arrive("2088", at(600)), Ok(true));
        assert!(!trade.settle(at(659)));
        assert_eq!(trade.pay("2088", at(660)), Err(PayRefusal::Expired));
        assert_eq!(trade.alipay_status(), Some("TRADE_CLOSED"));
    }

    #[test]
    fn midnight_is_chinas() {
        // 2026-11-21 14:30 in China; its midnight is 16:00 UTC.
        assert_eq!(coming_midnight(at(0)).to_string(), "2026-11-21T16:00:00Z");
        assert_eq!(coming_midnight(at(9 * 3600 + 1800)).to_string(), "2026-11-22T16:00:00Z");
    }

    #[test]
    fn a_failed_attempt_leaves_the_order_waiting() {
        let mut trade = Trade::placed(order(Provider::Wechat), at(0));
        assert_eq!(trade.start_paying("o1", at(1)), Ok(()));
        assert_eq!(trade.wechat_state(), "USERPAYING");
        assert_eq!(trade.give_up("o1", at(2)), Ok(()));
        assert_eq!(trade.wechat_state(), "NOTPAY");
        assert_eq!(trade.pay("o1", at(3)), Ok(()));
    }
}
