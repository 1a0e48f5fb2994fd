//! Money that goes back: one refund from being accepted to its end, without I/O.
//!
//! At WeChat an accepted refund is under way for a while; at Alipay it is done in the same call. A
//! number stands for one refund: the same number again is the same refund, and moves nothing.

use crate::magic::{self, Effect};
use crate::order::Api;
use crate::trade::{State, Trade};
use crate::{numbers, words};
use serde::{Deserialize, Serialize};
use tongbao_types::{Provider, Span, Timestamp};

/// How a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundState {
    /// Accepted, on its way.
    Processing,
    /// The payer has the money.
    Success,
    /// The payer's account does not take it.
    Abnormal,
    /// It came to nothing; the money stays with the merchant.
    Closed,
}

impl RefundState {
    /// The control paths' word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            RefundState::Processing => "processing",
            RefundState::Success => "success",
            RefundState::Abnormal => "abnormal",
            RefundState::Closed => "closed",
        }
    }
}

/// What a merchant asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefundOrder {
    /// The merchant's number of the refund.
    pub(crate) out_refund_no: String,
    /// In fen.
    pub(crate) amount: i64,
    /// The order's amount as the merchant has it, where the request tells it.
    pub(crate) total: Option<i64>,
    pub(crate) reason: Option<String>,
    pub(crate) notify_url: Option<String>,
    /// Its notification leaves through this door.
    pub(crate) api: Api,
}

/// A refund and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) out_refund_no: String,
    /// The provider's number; Alipay gives none.
    pub(crate) refund_id: Option<String>,
    /// In fen.
    pub(crate) amount: i64,
    pub(crate) state: RefundState,
    pub(crate) reason: Option<String>,
    pub(crate) notify_url: Option<String>,
    pub(crate) api: Api,
    #[serde(with = "words::micros")]
    pub(crate) accepted_at: Timestamp,
    /// When it came to its present end.
    #[serde(with = "words::micros_option", default)]
    pub(crate) ended_at: Option<Timestamp>,
    /// When it will end and how, while it is under way.
    #[serde(with = "words::micros_option", default)]
    pub(crate) ends_at: Option<Timestamp>,
    ends_as: RefundState,
}

/// Why a refund is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefundRefusal {
    /// No such trade, or (WeChat's word for it) one that nobody paid.
    NotExist,
    /// Nobody paid it yet.
    Unpaid,
    /// It is over and nobody paid it.
    Closed,
    /// Alipay: the time for refunds is over.
    Finished,
    /// WeChat: the same, a year after the payment.
    Overdue,
    /// The number stands for another amount, or the order's amount is not what the request says.
    Differs,
    /// More than what is left.
    Exceeds,
    /// Nothing is left.
    FullyRefunded,
    /// More refunds of one order than the provider takes.
    TooMany,
}

/// A refund that the provider takes, or had taken before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The trade after it.
    pub(crate) trade: Trade,
    pub(crate) refund: Refund,
    /// It was accepted by an earlier call: nothing moved now.
    pub(crate) again: bool,
}

/// The window for refunds at both providers.
pub(crate) const REFUND_WINDOW: Span = Span::from_seconds(365 * 86_400);
/// WeChat takes so many refunds of one order.
const WECHAT_REFUNDS_MAX: usize = 50;
/// A refund that is retried after it was abnormal takes so long.
const ABNORMAL_RETRY: Span = Span::from_seconds(60);

impl Trade {
    /// In fen: what went back or is on its way. A closed refund gives its part free again.
    pub(crate) fn refunded(&self) -> i64 {
        let counts = |refund: &&Refund| refund.state != RefundState::Closed;
        self.refunds.iter().filter(counts).map(|refund| refund.amount).sum()
    }

    /// The refund of this number.
    pub(crate) fn refund(&self, out_refund_no: &str) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.out_refund_no == out_refund_no)
    }

    /// Takes a refund, which by default ends well after `takes`; says whether it is a new one.
    pub(crate) fn take_refund(
        &mut self,
        asked: RefundOrder,
        takes: Span,
        now: Timestamp,
    ) -> Result<bool, RefundRefusal> {
        if asked.total.is_some_and(|total| total != self.order.amount) {
            return Err(RefundRefusal::Differs);
        }
        if let Some(known) = self.refund(&asked.out_refund_no) {
            let same = known.amount == asked.amount;
            return if same { Ok(false) } else { Err(RefundRefusal::Differs) };
        }
        self.check_refundable(asked.amount, now)?;
        let wechat = self.order.key.provider == Provider::Wechat;
        let effect = magic::of_refund(asked.amount);
        let (takes, ends_as) = match effect {
            Some(Effect::RefundHour) => (Span::from_seconds(3600), RefundState::Success),
            Some(Effect::RefundAbnormal) => (takes, RefundState::Abnormal),
            Some(Effect::RefundClosed) => (takes, RefundState::Closed),
            _ => (takes, RefundState::Success),
        };
        self.refunds.push(Refund {
            out_refund_no: asked.out_refund_no,
            refund_id: wechat.then(|| numbers::refund_id(now)),
            amount: asked.amount,
            state: RefundState::Processing,
            reason: asked.reason,
            notify_url: asked.notify_url,
            api: asked.api,
            accepted_at: now,
            ended_at: None,
            ends_at: Some(now + takes),
            ends_as,
        });
        Ok(true)
    }

    /// WeChat's 异常退款处理: an abnormal refund goes another way, and arrives. False if there is no
    /// abnormal refund of that number.
    pub(crate) fn retry_abnormal(&mut self, refund_id: &str, now: Timestamp) -> bool {
        let abnormal = |refund: &&mut Refund| {
            refund.refund_id.as_deref() == Some(refund_id) && refund.state == RefundState::Abnormal
        };
        let Some(refund) = self.refunds.iter_mut().find(abnormal) else { return false };
        refund.state = RefundState::Processing;
        refund.ended_at = None;
        refund.ends_at = Some(now + ABNORMAL_RETRY);
        refund.ends_as = RefundState::Success;
        true
    }

    /// Gives everything that is left back at once, without a refund of the merchant's: Alipay's
    /// cancel of a paid trade and WeChat's reverse. It is kept as a refund of the order's number.
    pub(crate) fn give_back(&mut self, now: Timestamp) {
        let wechat = self.order.key.provider == Provider::Wechat;
        let left = self.order.amount - self.refunded();
        if self.paid_at.is_some() && left > 0 {
            self.refunds.push(Refund {
                out_refund_no: self.order.key.out_trade_no.clone(),
                refund_id: wechat.then(|| numbers::refund_id(now)),
                amount: left,
                state: RefundState::Success,
                reason: None,
                notify_url: None,
                api: self.order.api.clone(),
                accepted_at: now,
                ended_at: Some(now),
                ends_at: None,
                ends_as: RefundState::Success,
            });
        }
        self.state = if wechat { State::Reversed } else { State::Closed };
        self.closed_at = Some(now);
    }

    /// The refund that ends first.
    pub(super) fn next_refund(&self) -> Option<(Timestamp, usize)> {
        let under_way = self.refunds.iter().enumerate();
        under_way.filter_map(|(idx, refund)| Some((refund.ends_at?, idx))).min()
    }

    /// Ends a refund; at Alipay a trade without money left is closed by it.
    pub(super) fn end_refund(&mut self, idx: usize) -> Option<String> {
        let refund = self.refunds.get_mut(idx)?;
        let at = refund.ends_at.take()?;
        refund.state = refund.ends_as;
        refund.ended_at = Some(at);
        let number = refund.out_refund_no.clone();
        let back = self.refunds.iter().filter(|refund| refund.state == RefundState::Success);
        let all = back.map(|refund| refund.amount).sum::<i64>() >= self.order.amount;
        if all && self.order.key.provider == Provider::Alipay {
            self.state = State::Closed;
            self.closed_at = Some(at);
        }
        Some(number)
    }

    fn check_refundable(&self, amount: i64, now: Timestamp) -> Result<(), RefundRefusal> {
        let Some(paid_at) = self.paid_at else {
            let over = self.state == State::Closed;
            return Err(if over { RefundRefusal::Closed } else { RefundRefusal::Unpaid });
        };
        match self.state {
            State::Finished => return Err(RefundRefusal::Finished),
            State::Reversed => return Err(RefundRefusal::FullyRefunded),
            _ => {}
        }
        let wechat = self.order.key.provider == Provider::Wechat;
        if wechat && now.since(paid_at) > REFUND_WINDOW {
            return Err(RefundRefusal::Overdue);
        }
        let left = self.order.amount - self.refunded();
        if left <= 0 {
            return Err(RefundRefusal::FullyRefunded);
        }
        if amount <= 0 || amount > left {
            return Err(RefundRefusal::Exceeds);
        }
        if wechat && self.refunds.len() >= WECHAT_REFUNDS_MAX {
            return Err(RefundRefusal::TooMany);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trade::tests::{at, order};

    const TAKES: Span = Span::from_seconds(2);

    fn paid(provider: Provider) -> Trade {
        let mut trade = Trade::placed(order(provider), at(0));
        trade.pay("o1", at(1)).unwrap();
        trade
    }

    fn asked(number: &str, amount: i64) -> RefundOrder {
        RefundOrder {
            out_refund_no: number.to_owned(),
            amount,
            total: None,
            reason: None,
            notify_url: None,
            api: Api::WechatV3,
        }
    }

    #[test]
    fn a_number_stands_for_one_refund() {
        let mut trade = paid(Provider::Wechat);
        assert_eq!(trade.take_refund(asked("R1", 40), TAKES, at(2)), Ok(true));
        assert_eq!(trade.take_refund(asked("R1", 40), TAKES, at(3)), Ok(false));
        let other = trade.take_refund(asked("R1", 41), TAKES, at(3));
        assert_eq!(other, Err(RefundRefusal::Differs));
        assert_eq!((trade.refunds.len(), trade.refunded()), (1, 40));
        let wrong = RefundOrder { total: Some(99), ..asked("R2", 1) };
        assert_eq!(trade.take_refund(wrong, TAKES, at(3)), Err(RefundRefusal::Differs));
    }

    #[test]
    fn the_sum_stays_within_the_order() {
        let mut trade = paid(Provider::Wechat);
        assert_eq!(trade.take_refund(asked("R1", 60), TAKES, at(2)), Ok(true));
        assert_eq!(trade.take_refund(asked("R2", 41), TAKES, at(2)), Err(RefundRefusal::Exceeds));
        assert_eq!(trade.take_refund(asked("R2", 0), TAKES, at(2)), Err(RefundRefusal::Exceeds));
        assert_eq!(trade.take_refund(asked("R2", 40), TAKES, at(2)), Ok(true));
        let over = trade.take_refund(asked("R3", 1), TAKES, at(2));
        assert_eq!(over, Err(RefundRefusal::FullyRefunded));
    }

    #[test]
    fn only_what_was_paid_goes_back_and_not_for_ever() {
        let mut unpaid = Trade::placed(order(Provider::Wechat), at(0));
        let refused = unpaid.take_refund(asked("R1", 1), TAKES, at(1));
        assert_eq!(refused, Err(RefundRefusal::Unpaid));
        unpaid.close(at(2));
        let refused = unpaid.take_refund(asked("R1", 1), TAKES, at(3));
        assert_eq!(refused, Err(RefundRefusal::Closed));
        let mut old = paid(Provider::Wechat);
        let late = old.take_refund(asked("R1", 1), TAKES, at(1 + 365 * 86_400 + 1));
        assert_eq!(late, Err(RefundRefusal::Overdue));
        assert_eq!(old.take_refund(asked("R1", 1), TAKES, at(1 + 365 * 86_400)), Ok(true));
    }

    #[test]
    fn a_refund_ends_in_its_time_and_is_told_once() {
        let mut trade = paid(Provider::Wechat);
        trade.take_refund(asked("R1", 100), TAKES, at(2)).unwrap();
        assert_eq!(trade.wechat_state(), "REFUND", "accepted is enough");
        assert!(trade.step(at(3)).is_none());
        assert_eq!(trade.refunds[0].state, RefundState::Processing);
        assert!(trade.step(at(9)).is_some() && trade.step(at(9)).is_none());
        let refund = &trade.refunds[0];
        assert_eq!((refund.state, refund.ended_at), (RefundState::Success, Some(at(4))));
        assert!(refund.refund_id.as_ref().is_some_and(|id| id.starts_with("50")));
    }

    #[test]
    fn alipay_closes_a_trade_whose_money_is_all_back() {
        let mut trade = paid(Provider::Alipay);
        trade.take_refund(asked("R1", 60), Span::ZERO, at(2)).unwrap();
        trade.step(at(2)).unwrap();
        assert_eq!(trade.alipay_status(), Some("TRADE_SUCCESS"));
        trade.take_refund(asked("R2", 40), Span::ZERO, at(3)).unwrap();
        trade.step(at(3)).unwrap();
        assert_eq!((trade.alipay_status(), trade.closed_at), (Some("TRADE_CLOSED"), Some(at(3))));
        assert_eq!(trade.take_refund(asked("R2", 40), Span::ZERO, at(4)), Ok(false));
    }

    #[test]
    fn an_abnormal_refund_can_be_sent_another_way() {
        let mut wanted = order(Provider::Wechat);
        wanted.amount = 100_000;
        let mut trade = Trade::placed(wanted, at(0));
        trade.pay("o1", at(1)).unwrap();
        let amount = magic::amount_of(Effect::RefundAbnormal);
        trade.take_refund(asked("R1", amount), TAKES, at(2)).unwrap();
        trade.step(at(4)).unwrap();
        assert_eq!(trade.refunds[0].state, RefundState::Abnormal);
        let id = trade.refunds[0].refund_id.clone().unwrap();
        assert!(!trade.retry_abnormal("50", at(5)) && trade.retry_abnormal(&id, at(5)));
        assert!(!trade.retry_abnormal(&id, at(6)));
        trade.step(at(65)).unwrap();
        assert_eq!(trade.refunds[0].state, RefundState::Success);
    }
}
