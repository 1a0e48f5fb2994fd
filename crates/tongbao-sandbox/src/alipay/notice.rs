//! The notification that Alipay posts about a trade (Alipay, 异步通知说明); that of an order by the
//! old gateway is in `legacy`.

use super::{BUYER_LOGON_ID, legacy, named, out_no, signer, trade_no};
use crate::notice::{Notice, NoticeKind};
use crate::order::Api;
use crate::pretend::Pretend;
use crate::refund::Refund;
use crate::trade::Trade;
use crate::wechat::{Changes, Message};
use tongbao_alipay::open::notify::Notification;
use tongbao_alipay::{Charset, TradeStatus};
use tongbao_types::Fen;

/// What a notification tells: the trade's status and, if it is about a refund, which one.
pub(super) struct Told<'a> {
    pub(super) id: &'a str,
    pub(super) status: &'a str,
    pub(super) refund: Option<&'a Refund>,
}

/// The message, in the charset of the order, with the time of this sending.
pub(crate) fn message(
    pretend: &Pretend,
    notice: &Notice,
    trade: &Trade,
    changes: &Changes,
) -> Option<Message> {
    let (status, refund) = match &notice.kind {
        NoticeKind::TradeStatus(status) => (status, None),
        NoticeKind::Refund { status, out_refund_no } => (status, trade.refund(out_refund_no)),
        NoticeKind::Payment => return None,
    };
    // A paid trade that is closed was given back, by refunds or by a cancel.
    let refund = match status.as_str() {
        "TRADE_CLOSED" => refund.or(trade.refunds.last()),
        _ => refund,
    };
    let told = Told { id: &notice.id, status, refund };
    let charset = |name: &String| Charset::from_name(name).unwrap_or(Charset::Utf8);
    let request = match &trade.order.api {
        Api::AlipayOpen { charset: name, by_certificate } => {
            let key = signer(pretend, *by_certificate).0;
            notification(pretend, &told, trade, changes)?.encode("/", charset(name), key)
        }
        Api::AlipayLegacy { charset: name } => {
            let key = legacy::key(pretend);
            legacy::notification(pretend, &told, trade, changes)?.encode("/", charset(name), &key)
        }
        Api::WechatV2 { .. } | Api::WechatV3 => return None,
    };
    Some(Message { headers: request.headers, body: request.body.to_vec() })
}

fn notification(
    pretend: &Pretend,
    told: &Told<'_>,
    trade: &Trade,
    changes: &Changes,
) -> Option<Notification> {
    let order = &trade.order;
    let total = Fen(changes.amount.unwrap_or(order.amount));
    let paid = trade.paid_at.map(|_| total);
    let yuan = total.to_yuan();
    let bill = format!(r#"[{{"amount":"{yuan}","fundChannel":"ALIPAYACCOUNT"}}]"#);
    let (buyer_id, buyer_open_id) = named(trade.payer.as_deref());
    Some(Notification {
        notify_id: told.id.to_owned(),
        notify_time: Some(pretend.now()),
        app_id: changes.app_id.clone().unwrap_or_else(|| order.app_id.clone()),
        seller_id: Some(pretend.credentials.alipay.seller_id.clone()),
        out_trade_no: out_no(trade)?,
        trade_no: trade_no(trade)?,
        trade_status: TradeStatus::from_word(told.status),
        total_amount: total,
        receipt_amount: paid,
        buyer_pay_amount: paid,
        invoice_amount: paid,
        point_amount: paid.map(|_| Fen(0)),
        buyer_id,
        buyer_open_id,
        buyer_logon_id: Some(BUYER_LOGON_ID.to_owned()),
        subject: Some(order.subject.clone()),
        body: order.body.clone(),
        passback_params: order.attach.clone(),
        fund_bill_list: paid.map(|_| bill),
        gmt_create: trade.created_at,
        gmt_payment: trade.paid_at,
        gmt_refund: told.refund.and_then(|refund| refund.ended_at),
        gmt_close: trade.closed_at.filter(|_| told.status == "TRADE_CLOSED"),
        refund_fee: told.refund.map(|_| Fen(trade.refunded())),
        out_biz_no: told.refund.map(|refund| refund.out_refund_no.clone()),
    })
}
