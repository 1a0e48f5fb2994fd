//! What Alipay tells by itself, which is the same in OpenAPI 2.0 and v3, and the way back of a
//! browser.

use crate::alipay_provider::{APP_ID, Alipay, BUYER_ID, SELLER_ID, both, payer};
use crate::world::{NUMBER, PART, TOTAL, now, number, paid_at, refund_number, seen, trade_no};
use tongbao_alipay::open::Notification;
use tongbao_alipay::{Charset, TradeStatus};
use tongbao_channels::{Acknowledgement, Notice, NoticeRefusal};
use tongbao_core::Fact;
use tongbao_crypt::RsaPrivateKey;
use tongbao_types::{Code, HttpRequest, Method, OutTradeNo};

fn notification(status: TradeStatus) -> Notification {
    Notification {
        notify_id: "2026112100222143012000000000000001".to_owned(),
        notify_time: Some(now()),
        app_id: APP_ID.to_owned(),
        seller_id: Some(SELLER_ID.to_owned()),
        out_trade_no: number(),
        trade_no: trade_no(),
        trade_status: status,
        total_amount: TOTAL,
        receipt_amount: None,
        buyer_pay_amount: None,
        invoice_amount: None,
        point_amount: None,
        buyer_id: Some(BUYER_ID.to_owned()),
        buyer_open_id: None,
        buyer_logon_id: None,
        subject: None,
        body: None,
        passback_params: None,
        fund_bill_list: None,
        gmt_create: None,
        gmt_payment: Some(paid_at()),
        gmt_refund: None,
        gmt_close: None,
        refund_fee: None,
        out_biz_no: None,
    }
}

fn posted(notification: &Notification, key: &RsaPrivateKey) -> HttpRequest {
    notification.encode("/notify/alipay/shop", Charset::Utf8, key)
}

fn read(alipay: &Alipay, notification: &Notification) -> Result<Notice, NoticeRefusal> {
    alipay.adapter.read_notice(&posted(notification, &alipay.alipay_key), now())
}

fn order(fact: Fact) -> Result<Notice, NoticeRefusal> {
    Ok(Notice::Order { number: number(), fact })
}

#[test]
fn payment_and_close_are_told() {
    for alipay in both() {
        let paid = order(Fact::Paid(seen(payer(), false)));
        assert_eq!(read(&alipay, &notification(TradeStatus::TradeSuccess)), paid);
        assert_eq!(read(&alipay, &notification(TradeStatus::TradeFinished)), paid);
        let unpaid = |status| Notification { gmt_payment: None, ..notification(status) };
        let closed = read(&alipay, &unpaid(TradeStatus::TradeClosed));
        assert_eq!(closed, order(Fact::Closed));
        let waiting = read(&alipay, &unpaid(TradeStatus::WaitBuyerPay));
        assert_eq!(waiting, Ok(Notice::Other));
        let strange = TradeStatus::Unknown("TRADE_PENDING".to_owned());
        assert_eq!(read(&alipay, &unpaid(strange)), Ok(Notice::Other));
    }
}

#[test]
fn a_refund_is_hinted_by_its_number() {
    let refund = Some(refund_number().to_string());
    for alipay in both() {
        for status in [TradeStatus::TradeSuccess, TradeStatus::TradeClosed] {
            let told = Notification {
                refund_fee: Some(PART),
                gmt_refund: Some(now()),
                out_biz_no: refund.clone(),
                ..notification(status)
            };
            let (number, out_refund_no) = (number(), refund_number());
            let wanted = Notice::Refund { number, out_refund_no, fact: None };
            assert_eq!(read(&alipay, &told), Ok(wanted));
        }
    }
}

#[test]
fn a_refund_without_a_number_says_how_the_trade_stands() {
    for alipay in both() {
        let told = |status| {
            let refund_fee = Some(PART);
            read(&alipay, &Notification { refund_fee, ..notification(status) })
        };
        let paid = order(Fact::Paid(seen(payer(), false)));
        assert_eq!(told(TradeStatus::TradeSuccess), paid);
        let returned = order(Fact::Paid(seen(payer(), true)));
        assert_eq!(told(TradeStatus::TradeClosed), returned);
        // A closed trade that was paid once was refunded, even if nothing says so.
        let silent = read(&alipay, &notification(TradeStatus::TradeClosed));
        assert_eq!(silent, returned);
    }
}

#[test]
fn what_is_forged_or_another_s_is_refused() {
    for alipay in both() {
        let paid = notification(TradeStatus::TradeSuccess);
        let forged = posted(&paid, &alipay.app_key);
        let refusal = alipay.adapter.read_notice(&forged, now()).unwrap_err();
        assert_eq!((refusal.code, refusal.claims), (Code::SignatureMismatch, Some(number())));
        let other = Notification { seller_id: Some("2088000000000009".to_owned()), ..paid };
        let refusal = read(&alipay, &other).unwrap_err();
        assert_eq!(refusal.code, Code::AccountMismatch);
        assert!(!refusal.keys_may_help);
    }
}

#[test]
fn exactly_seven_bytes_end_the_repeats() {
    for alipay in both() {
        let answer = |outcome| {
            let response = alipay.adapter.acknowledge(outcome);
            (response.status, response.body)
        };
        assert_eq!(answer(Acknowledgement::Accepted), (200, "success".into()));
        let refused = Acknowledgement::Refused(Code::SignatureMismatch, "no");
        assert_eq!(answer(refused), (200, "fail".into()));
        assert_eq!(answer(Acknowledgement::Unavailable), (503, "fail".into()));
    }
}

#[test]
fn a_way_back_is_believed_only_if_alipay_signed_it() {
    for alipay in both() {
        let back = |query: &str| {
            let target = format!("/return/alipay/shop?{query}");
            let (headers, body) = (Vec::new(), Vec::new().into());
            let request = HttpRequest { method: Method::Get, target, headers, body };
            alipay.adapter.returned(&request)
        };
        // A return is signed as a notification is, over fewer members.
        let signed = posted(&notification(TradeStatus::TradeSuccess), &alipay.alipay_key);
        let query = String::from_utf8(signed.body.to_vec()).unwrap();
        assert_eq!(back(&query), Some(number()));
        assert_eq!(back(&query.replace(NUMBER, "OTHER")), None);
        assert_eq!(back(&format!("out_trade_no={NUMBER}")), None::<OutTradeNo>);
    }
}
