//! What a notification is about: payment, refund and close come as the same message and differ by
//! its members alone. Alipay, 触发通知类型.

use super::notify::Notification;
use crate::TradeStatus;

/// What happened, as far as one message tells. The order's own state decides what to do about it;
/// messages come late, twice and in any order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeKind {
    /// The trade waits for its buyer.
    Created,
    /// The buyer paid; or, with `TRADE_FINISHED`, the time for refunds is over.
    Paid,
    /// A part was given back: `refund_fee` is the sum of all refunds so far.
    RefundedInPart,
    /// All was given back.
    RefundedInFull,
    /// Closed without a payment.
    Closed,
    /// `trade_status` is a word that this version does not know.
    Unknown,
}

impl Notification {
    /// Whether it tells of a refund. A partial one comes with `TRADE_SUCCESS` again, which is no
    /// second payment.
    pub fn is_about_refund(&self) -> bool {
        self.refund_fee.is_some() || self.gmt_refund.is_some()
    }

    /// What happened. A closed trade that was paid once was refunded in full, even if the message
    /// does not say so.
    pub fn kind(&self) -> NoticeKind {
        match &self.trade_status {
            TradeStatus::WaitBuyerPay => NoticeKind::Created,
            TradeStatus::TradeClosed if self.is_about_refund() || self.gmt_payment.is_some() => {
                NoticeKind::RefundedInFull
            }
            TradeStatus::TradeClosed => NoticeKind::Closed,
            TradeStatus::TradeSuccess | TradeStatus::TradeFinished if self.is_about_refund() => {
                NoticeKind::RefundedInPart
            }
            TradeStatus::TradeSuccess | TradeStatus::TradeFinished => NoticeKind::Paid,
            TradeStatus::Unknown(_) => NoticeKind::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Charset;
    use crate::open::notify::verify;
    use crate::open::testing::{APP_ID, Both, SELLER_ID};
    use tongbao_types::{Fen, OutTradeNo, TradeNo};

    fn notice() -> Notification {
        Notification {
            notify_id: "2026112100222143012000000000000001".into(),
            notify_time: None,
            app_id: APP_ID.into(),
            seller_id: Some(SELLER_ID.into()),
            out_trade_no: OutTradeNo::new("TB20261121000001").unwrap(),
            trade_no: TradeNo::new("2026112122001400000500000001").unwrap(),
            trade_status: TradeStatus::TradeSuccess,
            total_amount: Fen(8888),
            receipt_amount: None,
            buyer_pay_amount: None,
            invoice_amount: None,
            point_amount: None,
            buyer_id: None,
            buyer_open_id: None,
            buyer_logon_id: None,
            subject: None,
            body: None,
            passback_params: None,
            fund_bill_list: None,
            gmt_create: None,
            gmt_payment: Some("2026-11-21T06:30:11Z".parse().unwrap()),
            gmt_refund: None,
            gmt_close: None,
            refund_fee: None,
            out_biz_no: None,
        }
    }

    #[test]
    fn payment_refund_and_close_are_told_apart() {
        let both = Both::plain_shared();
        let notice = notice();
        let [paid, unpaid] = [true, false];
        let kind = |status: &str, was_paid: bool, fee: Option<i64>, is_dated: bool| {
            let gmt_refund = is_dated.then(|| "2026-11-22T06:30:11.123Z".parse().unwrap());
            let sent = Notification {
                trade_status: TradeStatus::from_word(status),
                gmt_payment: notice.gmt_payment.filter(|_| was_paid),
                refund_fee: fee.map(Fen),
                gmt_refund,
                ..notice.clone()
            };
            let request = sent.encode("/", Charset::Utf8, &both.alipay_key);
            let read = verify(&both.merchant, &request).unwrap().into_inner();
            assert_eq!(read, sent);
            read.kind()
        };
        assert_eq!(kind("WAIT_BUYER_PAY", unpaid, None, false), NoticeKind::Created);
        assert_eq!(kind("TRADE_SUCCESS", paid, None, false), NoticeKind::Paid);
        assert_eq!(kind("TRADE_FINISHED", paid, None, false), NoticeKind::Paid);
        assert_eq!(kind("TRADE_SUCCESS", paid, Some(100), true), NoticeKind::RefundedInPart);
        assert_eq!(kind("TRADE_SUCCESS", paid, Some(100), false), NoticeKind::RefundedInPart);
        assert_eq!(kind("TRADE_SUCCESS", paid, None, true), NoticeKind::RefundedInPart);
        assert_eq!(kind("TRADE_FINISHED", paid, Some(100), true), NoticeKind::RefundedInPart);
        assert_eq!(kind("TRADE_CLOSED", paid, Some(8888), true), NoticeKind::RefundedInFull);
        assert_eq!(kind("TRADE_CLOSED", unpaid, Some(8888), false), NoticeKind::RefundedInFull);
        assert_eq!(kind("TRADE_CLOSED", paid, None, false), NoticeKind::RefundedInFull);
        assert_eq!(kind("TRADE_CLOSED", unpaid, None, false), NoticeKind::Closed);
        assert_eq!(kind("TRADE_PENDING", unpaid, None, false), NoticeKind::Unknown);
    }
}
