//! The notification that Alipay posts about a trade (Alipay, 异步通知说明).

use super::operations::BUYER_LOGON_ID;
use crate::notice::{Notice, NoticeKind};
use crate::pretend::Pretend;
use crate::trade::{Api, Trade};
use crate::wechat::{Changes, Message};
use tongbao_alipay::open::notify::Notification;
use tongbao_alipay::{Charset, TradeStatus};
use tongbao_types::{Fen, OutTradeNo, TradeNo};

/// The message, in the charset of the order, with the time of this sending.
pub(crate) fn message(
    pretend: &Pretend,
    notice: &Notice,
    trade: &Trade,
    changes: &Changes,
) -> Option<Message> {
    let NoticeKind::TradeStatus(status) = &notice.kind else { return None };
    let Api::AlipayOpen { charset } = &trade.order.api else { return None };
    let charset = Charset::from_name(charset).unwrap_or(Charset::Utf8);
    let notification = told(pretend, &notice.id, status, trade, changes)?;
    let request = notification.encode("/", charset, &pretend.keys.alipay);
    Some(Message { headers: request.headers, body: request.body.to_vec() })
}

fn told(
    pretend: &Pretend,
    id: &str,
    status: &str,
    trade: &Trade,
    changes: &Changes,
) -> Option<Notification> {
    let order = &trade.order;
    let total = Fen(changes.amount.unwrap_or(order.amount));
    let paid = trade.paid_at.map(|_| total);
    let refunded = trade.refunded > 0 && status == "TRADE_CLOSED";
    let yuan = total.to_yuan();
    let bill = format!(r#"[{{"amount":"{yuan}","fundChannel":"ALIPAYACCOUNT"}}]"#);
    Some(Notification {
        notify_id: id.to_owned(),
        notify_time: Some(pretend.now()),
        app_id: changes.app_id.clone().unwrap_or_else(|| order.app_id.clone()),
        seller_id: Some(pretend.credentials.alipay.seller_id.clone()),
        out_trade_no: OutTradeNo::new(order.key.out_trade_no.as_str()).ok()?,
        trade_no: TradeNo::new(trade.trade_no.clone()?).ok()?,
        trade_status: TradeStatus::from_word(status),
        total_amount: total,
        receipt_amount: paid,
        buyer_pay_amount: paid,
        invoice_amount: paid,
        point_amount: paid.map(|_| Fen(0)),
        buyer_id: trade.payer.clone(),
        buyer_open_id: None,
        buyer_logon_id: Some(BUYER_LOGON_ID.to_owned()),
        subject: Some(order.subject.clone()),
        body: order.body.clone(),
        passback_params: order.attach.clone(),
        fund_bill_list: paid.map(|_| bill),
        gmt_create: trade.created_at,
        gmt_payment: trade.paid_at,
        gmt_refund: trade.closed_at.filter(|_| refunded),
        gmt_close: trade.closed_at.filter(|_| status == "TRADE_CLOSED"),
        refund_fee: refunded.then_some(Fen(trade.refunded)),
        out_biz_no: refunded.then(|| order.key.out_trade_no.clone()),
    })
}
