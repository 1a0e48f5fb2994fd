//! One order at a provider, from placing to its end: the state machine of both, without I/O.
//!
//! The documented states are WeChat Pay's 交易状态 and Alipay's trade_status; this file is the one
//! place where they change. Whoever owns a [`Trade`] keeps it and tells others (see `world`).

use crate::magic::{self, Effect};
use crate::numbers;
use crate::order::{Order, PayWithin, Product};
use crate::refund::{REFUND_WINDOW, Refund};
use crate::words;
use serde::{Deserialize, Serialize};
use tongbao_types::{Provider, Span, Timestamp};

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
    /// WeChat, scanned channels: the payer could not pay.
    Failed,
    /// WeChat, scanned channels: reversed (撤销), the money back if there was any.
    Reversed,
    /// Alipay: paid long ago, no refunds any more.
    Finished,
}

/// What a payer does later, by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    #[serde(with = "words::micros")]
    pub(crate) at: Timestamp,
    pub(crate) act: PlannedAct,
    pub(crate) payer: String,
}

/// What it will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlannedAct {
    Pay,
    /// A payment under way when the order was closed, which arrives all the same.
    PayLate,
    GiveUp,
}

/// What time changed about a trade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The state; this was the one before.
    State(State),
    /// The refund of this number came to its end.
    Refund(String),
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
    /// Oldest first.
    #[serde(default)]
    pub(crate) refunds: Vec<Refund>,
    #[serde(default)]
    pub(crate) plan: Option<Plan>,
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
    /// WeChat's: what was scanned can only be reversed.
    OnlyReverse,
}

/// How an attempt to reverse went (WeChat, scanned channels).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reversing {
    /// Unpaid, and closed.
    Closed,
    /// Paid, and the money is back.
    Returned,
    /// It had been reversed before.
    AlreadyReversed,
    /// The payer is at the password right now.
    Paying,
    /// Too long ago.
    Expired,
    /// The payer scanned the merchant, not the other way round.
    NotScanned,
}

/// WeChat closes an order without `time_expire` by itself after seven days.
const WECHAT_LIFE: Span = Span::from_seconds(7 * 86_400);
/// WeChat raises an earlier `time_expire` to this after ordering, in silence.
const WECHAT_SHORTEST: Span = Span::from_seconds(60);
/// WeChat reverses no payment that is older.
const REVERSE_WINDOW: Span = Span::from_seconds(7 * 86_400);
/// While a payer types the password, WeChat reverses nothing so soon after the payment call.
const REVERSE_WAIT: Span = Span::from_seconds(15);
/// How long after the close a payment under way arrives.
const LATE: Span = Span::from_seconds(5);
/// A state of no document.
const UNDOCUMENTED: &str = "CHECKING";

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
            refunds: Vec::new(),
            plan: None,
            placed_at: now,
            created_at: wechat.then_some(now),
            paid_at: None,
            closed_at: None,
        }
    }

    /// WeChat's `trade_state`.
    pub(crate) fn wechat_state(&self) -> &'static str {
        match self.state {
            _ if self.is_undocumented() => UNDOCUMENTED,
            State::Fresh | State::Open => "NOTPAY",
            State::Paying => "USERPAYING",
            State::Paid | State::Finished if !self.refunds.is_empty() => "REFUND",
            State::Paid | State::Finished => "SUCCESS",
            State::Closed => "CLOSED",
            State::Failed => "PAYERROR",
            State::Reversed => "REVOKED",
        }
    }

    /// Alipay's `trade_status`; none while the trade does not exist there.
    pub(crate) fn alipay_status(&self) -> Option<&'static str> {
        match self.state {
            State::Fresh => None,
            _ if self.is_undocumented() => Some(UNDOCUMENTED),
            State::Open | State::Paying | State::Failed => Some("WAIT_BUYER_PAY"),
            State::Paid => Some("TRADE_SUCCESS"),
            State::Closed | State::Reversed => Some("TRADE_CLOSED"),
            State::Finished => Some("TRADE_FINISHED"),
        }
    }

    fn is_undocumented(&self) -> bool {
        self.is_waiting() && self.effect() == Some(Effect::QueryUnknownState)
    }

    /// What the order's amount makes happen.
    pub(crate) fn effect(&self) -> Option<Effect> {
        magic::of_order(self.order.amount)
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

    /// When Alipay's time for refunds is over.
    fn finishes_at(&self) -> Option<Timestamp> {
        let alipay = self.order.key.provider == Provider::Alipay && self.state == State::Paid;
        self.paid_at.filter(|_| alipay).map(|paid_at| paid_at + REFUND_WINDOW)
    }

    /// When time changes something next.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let plan = self.plan.as_ref().map(|plan| plan.at);
        let refund = self.next_refund().map(|(at, _)| at);
        [plan, refund, self.closes_at(), self.finishes_at()].into_iter().flatten().min()
    }

    /// Lets the one thing happen that is due first; none if nothing is.
    pub(crate) fn step(&mut self, now: Timestamp) -> Option<Change> {
        let at = self.next_at().filter(|at| *at <= now)?;
        let before = self.state;
        if self.plan.as_ref().is_some_and(|plan| plan.at == at) {
            self.follow_plan();
        } else if let Some((_, idx)) = self.next_refund().filter(|(ends, _)| *ends == at) {
            return self.end_refund(idx).map(Change::Refund);
        } else if self.closes_at() == Some(at) {
            self.state = State::Closed;
            self.closed_at = Some(at);
        } else {
            self.state = State::Finished;
        }
        Some(Change::State(before))
    }

    /// Lets everything happen that is due.
    fn settle(&mut self, now: Timestamp) {
        while self.step(now).is_some() {}
    }

    /// The planned payer acts; an order that is over by then stays as it is.
    fn follow_plan(&mut self) {
        let Some(Plan { at, act, payer }) = self.plan.take() else { return };
        match act {
            PlannedAct::PayLate if self.state == State::Closed && self.paid_at.is_none() => {
                self.charge(&payer, at);
            }
            PlannedAct::Pay | PlannedAct::PayLate if self.is_waiting() => {
                self.begin(&payer, at);
                self.charge(&payer, at);
            }
            PlannedAct::GiveUp if self.is_waiting() => self.give_up_at(at, &payer),
            _ => {}
        }
    }

    /// The buyer reached the order: at Alipay the trade begins to exist.
    pub(crate) fn arrive(&mut self, payer: &str, now: Timestamp) -> Result<bool, PayRefusal> {
        self.check_payable(now)?;
        Ok(self.begin(payer, now))
    }

    /// The payer confirmed and the money moved.
    pub(crate) fn pay(&mut self, payer: &str, now: Timestamp) -> Result<(), PayRefusal> {
        self.arrive(payer, now)?;
        self.charge(payer, now);
        Ok(())
    }

    /// The payer is at the password.
    pub(crate) fn start_paying(&mut self, payer: &str, now: Timestamp) -> Result<(), PayRefusal> {
        self.arrive(payer, now)?;
        self.state = State::Paying;
        Ok(())
    }

    /// The payer's attempt came to nothing: the order waits as before, unless it was scanned.
    pub(crate) fn give_up(&mut self, payer: &str, now: Timestamp) -> Result<(), PayRefusal> {
        self.check_payable(now)?;
        self.give_up_at(now, payer);
        Ok(())
    }

    fn begin(&mut self, payer: &str, now: Timestamp) -> bool {
        if self.state != State::Fresh {
            return false;
        }
        self.state = State::Open;
        self.created_at = Some(now);
        self.trade_no = Some(numbers::trade_no(now));
        self.payer = Some(payer.to_owned());
        true
    }

    fn charge(&mut self, payer: &str, now: Timestamp) {
        self.state = State::Paid;
        self.plan = None;
        self.closed_at = None;
        self.paid_at = Some(now);
        self.payer = Some(payer.to_owned());
        if self.trade_no.is_none() {
            self.trade_no = Some(numbers::transaction_id(now));
        }
    }

    fn give_up_at(&mut self, now: Timestamp, payer: &str) {
        self.begin(payer, now);
        let failed = self.order.product == Product::WechatMicropay;
        self.state = if failed { State::Failed } else { State::Open };
        self.plan = None;
    }

    /// The merchant closes it.
    pub(crate) fn close(&mut self, now: Timestamp) -> Closing {
        self.settle(now);
        match self.state {
            _ if self.order.product == Product::WechatMicropay => Closing::OnlyReverse,
            State::Fresh => Closing::NotExist,
            _ if self.paid_at.is_some() => Closing::Paid,
            State::Open | State::Paying => {
                self.state = State::Closed;
                self.closed_at = Some(now);
                self.plan = None;
                Closing::Done
            }
            _ => Closing::AlreadyClosed,
        }
    }

    /// Somebody who had confirmed before the close: the money arrives after it.
    pub(crate) fn plan_late_payment(&mut self, payer: &str, now: Timestamp) {
        let (act, payer) = (PlannedAct::PayLate, payer.to_owned());
        self.plan = Some(Plan { at: now + LATE, act, payer });
    }

    /// The merchant takes a scanned payment back (撤销订单).
    pub(crate) fn reverse(&mut self, now: Timestamp) -> Reversing {
        self.settle(now);
        let too_soon = now.since(self.placed_at) < REVERSE_WAIT;
        let too_late = now.since(self.placed_at) > REVERSE_WINDOW;
        let before = self.state;
        match before {
            _ if !self.order.product.is_scanned() => return Reversing::NotScanned,
            State::Reversed => return Reversing::AlreadyReversed,
            State::Paying if too_soon => return Reversing::Paying,
            _ if too_late => return Reversing::Expired,
            _ => {}
        }
        self.plan = None;
        self.give_back(now);
        if before == State::Paid { Reversing::Returned } else { Reversing::Closed }
    }

    fn check_payable(&mut self, now: Timestamp) -> Result<(), PayRefusal> {
        let waited = self.is_waiting();
        self.settle(now);
        match self.state {
            _ if self.paid_at.is_some() => Err(PayRefusal::AlreadyPaid),
            State::Closed if waited => Err(PayRefusal::Expired),
            _ if !self.is_waiting() => Err(PayRefusal::Closed),
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
            Product::AlipayQr | Product::AlipayBarcode => PayWithin::Minutes(3 * 60),
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
pub(crate) mod tests {
    use super::*;
    use crate::order::{Api, Key, Party};

    pub(crate) fn order(provider: Provider) -> Order {
        let (api, product) = match provider {
            Provider::Wechat => (Api::WechatV3, Product::WechatNative),
            Provider::Alipay => {
                let (charset, by_certificate) = ("utf-8".to_owned(), false);
                (Api::AlipayOpen { charset, by_certificate }, Product::AlipayPage)
            }
        };
        Order {
            key: Key::new(provider, "T20261121000001"),
            api,
            product,
            app_id: "a".to_owned(),
            party: Party::default(),
            payer: None,
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

    pub(crate) fn at(seconds: i64) -> Timestamp {
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
        assert_eq!(trade.step(at(30 * 86_400)), None);
        assert_eq!(trade.wechat_state(), "NOTPAY");
        assert_eq!(trade.close(at(62)), Closing::Done);
        assert_eq!(trade.close(at(63)), Closing::AlreadyClosed);
        assert_eq!(trade.pay("o1", at(64)), Err(PayRefusal::Closed));
    }

    #[test]
    fn wechat_closes_an_order_without_time_expire_after_seven_days() {
        let mut trade = Trade::placed(order(Provider::Wechat), at(0));
        assert_eq!(trade.step(at(7 * 86_400 - 1)), None);
        assert_eq!(trade.step(at(7 * 86_400)), Some(Change::State(State::Open)));
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
        assert_eq!(trade.step(at(659)), None);
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

    fn scanned() -> Trade {
        let mut wanted = order(Provider::Wechat);
        wanted.product = Product::WechatMicropay;
        Trade::placed(wanted, at(0))
    }

    #[test]
    fn what_was_scanned_is_reversed_and_not_closed() {
        let mut paid = scanned();
        paid.pay("o1", at(0)).unwrap();
        assert_eq!(paid.close(at(1)), Closing::OnlyReverse);
        assert_eq!(paid.reverse(at(1)), Reversing::Returned);
        assert_eq!(paid.wechat_state(), "REVOKED");
        assert_eq!(paid.reverse(at(2)), Reversing::AlreadyReversed);

        let mut typing = scanned();
        typing.start_paying("o1", at(0)).unwrap();
        assert_eq!(typing.reverse(at(14)), Reversing::Paying);
        assert_eq!(typing.reverse(at(15)), Reversing::Closed);
        assert_eq!(typing.pay("o1", at(16)), Err(PayRefusal::Closed));

        let mut old = scanned();
        old.pay("o1", at(0)).unwrap();
        assert_eq!(old.reverse(at(7 * 86_400 + 1)), Reversing::Expired);
        let mut native = Trade::placed(order(Provider::Wechat), at(0));
        assert_eq!(native.reverse(at(1)), Reversing::NotScanned);
    }

    #[test]
    fn a_scanned_payer_who_gives_up_has_failed() {
        let mut trade = scanned();
        trade.start_paying("o1", at(0)).unwrap();
        trade.give_up("o1", at(5)).unwrap();
        assert_eq!(trade.wechat_state(), "PAYERROR");
        assert_eq!(trade.pay("o1", at(6)), Err(PayRefusal::Closed));
        assert_eq!(trade.reverse(at(7)), Reversing::Closed);
    }

    #[test]
    fn a_planned_payment_happens_in_its_time_and_only_while_the_order_waits() {
        let plan = |act| Some(Plan { at: at(10), act, payer: "o1".to_owned() });
        let mut trade = Trade::placed(order(Provider::Alipay), at(0));
        trade.plan = plan(PlannedAct::Pay);
        assert_eq!((trade.next_at(), trade.step(at(9))), (Some(at(10)), None));
        assert_eq!(trade.step(at(60)), Some(Change::State(State::Fresh)));
        assert_eq!((trade.state, trade.paid_at), (State::Paid, Some(at(10))));
        assert!(trade.trade_no.is_some());

        let mut closed = Trade::placed(order(Provider::Wechat), at(0));
        closed.plan = plan(PlannedAct::Pay);
        assert_eq!(closed.close(at(5)), Closing::Done);
        assert_eq!(closed.step(at(60)), None);
    }

    #[test]
    fn a_payment_that_was_under_way_at_the_close_arrives_late() {
        let mut trade = Trade::placed(order(Provider::Wechat), at(0));
        assert_eq!(trade.close(at(5)), Closing::Done);
        trade.plan_late_payment("o1", at(5));
        assert_eq!(trade.wechat_state(), "CLOSED");
        assert_eq!(trade.step(at(10)), Some(Change::State(State::Closed)));
        assert_eq!((trade.wechat_state(), trade.closed_at), ("SUCCESS", None));
    }

    #[test]
    fn alipay_finishes_a_trade_after_the_time_for_refunds() {
        let mut trade = Trade::placed(order(Provider::Alipay), at(0));
        trade.pay("2088", at(0)).unwrap();
        assert_eq!(trade.step(at(365 * 86_400 - 1)), None);
        assert_eq!(trade.step(at(365 * 86_400)), Some(Change::State(State::Paid)));
        assert_eq!(trade.alipay_status(), Some("TRADE_FINISHED"));
    }
}
