//! Refunds in the world: which trade a number belongs to, how long they take, who is told.

use super::World;
use crate::notice::NoticeKind;
use crate::order::Key;
use crate::refund::{RefundOrder, RefundRefusal, RefundState, Taken};
use crate::trade::Trade;
use tongbao_types::{Provider, Span, Timestamp};

impl World {
    /// Takes a refund. The same number again with the same amount is the same refund.
    pub(crate) fn refund(
        &mut self,
        key: &Key,
        asked: RefundOrder,
        now: Timestamp,
    ) -> Result<Taken, RefundRefusal> {
        self.settle(now);
        let number = asked.out_refund_no.clone();
        let takes = match key.provider {
            // At WeChat a number stands for one refund of the merchant's, whatever the order.
            Provider::Wechat if self.refunds.get(&number).is_some_and(|other| other != key) => {
                return Err(RefundRefusal::Differs);
            }
            Provider::Wechat => Span::from_seconds(i64::from(self.rules.wechat_refund_seconds)),
            Provider::Alipay => Span::ZERO,
        };
        let trade = self.trades.get_mut(key).ok_or(RefundRefusal::NotExist)?;
        let again = !trade.take_refund(asked, takes, now)?;
        if !again {
            self.keep(key);
            self.settle(now);
        }
        let trade = self.trades.get(key).cloned().ok_or(RefundRefusal::NotExist)?;
        let refund = trade.refund(&number).cloned().ok_or(RefundRefusal::NotExist)?;
        Ok(Taken { trade, refund, again })
    }

    /// WeChat: the trade that a refund belongs to, by the merchant's number of the refund or by
    /// WeChat's.
    pub(crate) fn find_refunded(&mut self, number: &str, now: Timestamp) -> Option<&Trade> {
        self.settle(now);
        self.trades.get(self.refunds.get(number)?)
    }

    /// WeChat: sends an abnormal refund another way. None if there is no abnormal one of this
    /// number.
    pub(crate) fn retry_abnormal(&mut self, refund_id: &str, now: Timestamp) -> Option<Trade> {
        self.settle(now);
        let key = self.refunds.get(refund_id)?.clone();
        let trade = self.trades.get_mut(&key)?;
        if !trade.retry_abnormal(refund_id, now) {
            return None;
        }
        self.keep(&key);
        self.trades.get(&key).cloned()
    }

    /// WeChat tells how a refund ended, to the address in its request; Alipay tells the trade's
    /// state again, to the order's.
    pub(super) fn notify_refund(&mut self, trade: &Trade, number: &str, now: Timestamp) {
        let Some(refund) = trade.refund(number) else { return };
        let key = &trade.order.key;
        let (status, url) = match (key.provider, refund.state) {
            (_, RefundState::Processing) => return,
            (Provider::Wechat, state) => (state.word(), refund.notify_url.clone()),
            (Provider::Alipay, RefundState::Success) => {
                let status = trade.alipay_status().unwrap_or_default();
                let closed = status == "TRADE_CLOSED";
                let wanted = match closed {
                    true => self.rules.alipay_notify_closed,
                    false => self.rules.alipay_notify_refund,
                };
                (status, trade.order.notify_url.clone().filter(|_| wanted))
            }
            (Provider::Alipay, _) => return,
        };
        let Some(url) = url else { return };
        let kind =
            NoticeKind::Refund { out_refund_no: number.to_owned(), status: status.to_owned() };
        self.owe(key, kind, url, (now, now));
    }
}
