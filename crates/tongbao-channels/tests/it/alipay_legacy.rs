//! Alipay's old gateway: orders that a browser carries, questions, notifications signed with MD5.

use crate::alipay_provider::{BUYER_ID, SELLER_ID, payer};
use crate::world::{
    NUMBER, TOTAL, made, now, number, order, order_ref, paid_at, ready, refund_order, seen, stamp,
    trade_no,
};
use std::sync::Arc;
use tongbao_alipay::legacy::single_trade_query::{self, SingleTradeQuery, Trade};
use tongbao_alipay::legacy::{
    DirectPay, LegacyRequest, Notification, NotifyVerify, Refusal as Word, Verdict, direct_pay,
    notify_verify,
};
use tongbao_alipay::open::TradeRef;
use tongbao_alipay::{Charset, TradeStatus};
use tongbao_channels::{
    Acknowledgement, Adapter, AlipayLegacyKeys, Keys, Notice, NoticeRefusal, Order, Refusal, Reply,
};
use tongbao_core::{Action, Fact};
use tongbao_types::{Channel, Code, HttpRequest, HttpResponse, Method, Secret};

const MD5_KEY: &str = "notarealkeyofthelegacygateway123";

fn keys(seller_email: Option<&str>) -> AlipayLegacyKeys {
    AlipayLegacyKeys {
        partner: SELLER_ID.to_owned(),
        md5_key: Secret::new(MD5_KEY.to_owned()),
        seller_email: seller_email.map(str::to_owned),
    }
}

fn adapter() -> Arc<dyn Adapter> {
    made(Keys::AlipayLegacy(keys(None)))
}

fn md5_key() -> Secret<String> {
    Secret::new(MD5_KEY.to_owned())
}

/// What the gateway reads of an address that a browser was sent to.
fn browsed(action: Action) -> LegacyRequest {
    let Action::Redirect { url } = action else { panic!("{action:?}") };
    let target = url.strip_prefix("https://mapi.alipay.com").unwrap().to_owned();
    let (headers, body) = (Vec::new(), Vec::new().into());
    let request = HttpRequest { method: Method::Get, target, headers, body };
    let received = LegacyRequest::read(&request).unwrap();
    assert_eq!(received.check(&md5_key()), Ok(()));
    assert_eq!(received.service().as_deref(), Some(direct_pay::SERVICE));
    received
}

#[test]
fn the_old_gateway_has_no_bills() {
    let date = tongbao_channels::BillDate::read_dashed("2026-11-20").unwrap();
    for kind in tongbao_channels::BillKind::ALL {
        let wanted = tongbao_channels::BillWanted { date, kind: *kind };
        let hindrance = adapter().bill(wanted, &crate::world::stamp()).unwrap_err();
        assert!(hindrance.0.contains("has no bills"), "{hindrance}");
    }
}

#[test]
fn the_payer_s_browser_carries_the_order() {
    for (email, seller) in [
        (None, ("seller_id", SELLER_ID)),
        (Some("s@example.com"), ("seller_email", "s@example.com")),
    ] {
        let adapter = made(Keys::AlipayLegacy(keys(email)));
        assert_eq!(adapter.channels(), [Channel::AlipayLegacyPage]);
        let received = browsed(ready(&*adapter, &order(Channel::AlipayLegacyPage, None)));
        let text = |name: &str| received.params.text(name).map(|text| text.into_owned());
        assert_eq!(text(seller.0).as_deref(), Some(seller.1));
        assert_eq!(received.partner().as_deref(), Ok(SELLER_ID));
        let wanted = DirectPay {
            out_trade_no: number(),
            total_fee: tongbao_types::Amount::new(TOTAL).unwrap(),
            subject: "测试 a/b".to_owned(),
            body: Some("一杯茶".to_owned()),
            notify_url: Some("https://pay.example.com/notify/alipay/shop".to_owned()),
            return_url: Some("https://pay.example.com/return/alipay/shop".to_owned()),
            show_url: None,
            paymethod: Some("directPay".to_owned()),
            defaultbank: None,
            extra_common_param: Some("x-1".to_owned()),
            it_b_pay: None,
        };
        assert_eq!(DirectPay::read(&received.params), Ok(wanted));
    }
}

#[test]
fn long_subjects_are_cut_to_what_the_gateway_takes_and_long_attachments_refused() {
    let adapter = adapter();
    let subject = "茶".repeat(200);
    let long = Order { subject: &subject, ..order(Channel::AlipayLegacyPage, None) };
    let received = browsed(ready(&*adapter, &long));
    assert_eq!(DirectPay::read(&received.params).unwrap().subject, "茶".repeat(128));
    let attach = "x".repeat(101);
    let long = Order { attach: Some(&attach), ..order(Channel::AlipayLegacyPage, None) };
    match adapter.place(&long, &stamp()) {
        Err(error) => assert_eq!(error.param, "attach"),
        Ok(_) => panic!("the gateway would refuse it"),
    }
}

fn trade(status: TradeStatus, was_paid: bool) -> Trade {
    Trade {
        out_trade_no: number(),
        trade_no: trade_no(),
        trade_status: status,
        total_fee: TOTAL,
        buyer_id: Some(BUYER_ID.to_owned()),
        buyer_email: None,
        gmt_create: None,
        gmt_payment: was_paid.then(paid_at),
    }
}

#[test]
fn query_and_close_tell_how_the_trade_stands() {
    let adapter = adapter();
    for exchange in [
        adapter.query(order_ref(Channel::AlipayLegacyPage), &stamp()),
        adapter.close(order_ref(Channel::AlipayLegacyPage), &stamp()),
    ] {
        let received = LegacyRequest::read(&exchange.request).unwrap();
        assert_eq!(received.service().as_deref(), Some(single_trade_query::SERVICE));
        assert_eq!(received.check(&md5_key()), Ok(()));
        let query = SingleTradeQuery { trade: TradeRef::Out(number()) };
        assert_eq!(SingleTradeQuery::read(&received.params), Ok(query));
        let stands =
            |status, was_paid| exchange.finish(&trade(status, was_paid).encode(&md5_key()), now());
        let paid = Reply::Done(Fact::Paid(seen(payer(), false)));
        assert_eq!(stands(TradeStatus::TradeSuccess, true), paid);
        assert_eq!(stands(TradeStatus::TradeFinished, true), paid);
        let waiting = Reply::Done(Fact::Awaiting(None));
        assert_eq!(stands(TradeStatus::WaitBuyerPay, false), waiting);
        assert_eq!(stands(TradeStatus::TradeClosed, false), Reply::Done(Fact::Closed));
        let returned = Reply::Done(Fact::Paid(seen(payer(), true)));
        assert_eq!(stands(TradeStatus::TradeClosed, true), returned);
        let pending = stands(TradeStatus::Unknown("TRADE_PENDING".to_owned()), true);
        assert!(matches!(pending, Reply::Unknown(_)), "{pending:?}");
        let no = |word: Word| exchange.finish(&single_trade_query::refuse(&word), now());
        assert_eq!(no(Word::TRADE_NOT_EXIST), Reply::Done(Fact::Absent));
        assert!(matches!(no(Word::SYSTEM_ERROR), Reply::Unknown(_)));
        let code = "HAS_NO_PRIVILEGE".to_owned();
        let message = "没有权限访问该服务".to_owned();
        assert_eq!(no(Word::HAS_NO_PRIVILEGE), Reply::Refused(Refusal { code, message }));
        let other = Secret::new("another-key".to_owned());
        let forged = trade(TradeStatus::TradeSuccess, true).encode(&other);
        assert!(matches!(exchange.finish(&forged, now()), Reply::Unknown(_)));
    }
}

fn notification(status: TradeStatus, was_paid: bool) -> Notification {
    Notification {
        notify_id: "70fec0c2730b27528665af4517c27b95".to_owned(),
        notify_time: Some(now()),
        out_trade_no: number(),
        trade_no: trade_no(),
        trade_status: status,
        total_fee: TOTAL,
        seller_id: SELLER_ID.to_owned(),
        seller_email: None,
        buyer_id: Some(BUYER_ID.to_owned()),
        buyer_email: None,
        subject: None,
        body: None,
        extra_common_param: None,
        gmt_create: None,
        gmt_payment: was_paid.then(paid_at),
        gmt_close: None,
        refund_status: None,
        gmt_refund: None,
    }
}

fn posted(notification: &Notification) -> HttpRequest {
    notification.encode("/notify/alipay/shop", Charset::Utf8, &md5_key())
}

fn read(notification: &Notification) -> Result<Notice, NoticeRefusal> {
    adapter().read_notice(&posted(notification), now())
}

#[test]
fn notifications_tell_how_the_trade_stands() {
    let order = |fact| Ok(Notice::Order { number: number(), fact });
    let paid = order(Fact::Paid(seen(payer(), false)));
    assert_eq!(read(&notification(TradeStatus::TradeSuccess, true)), paid);
    assert_eq!(read(&notification(TradeStatus::TradeFinished, true)), paid);
    let closed = read(&notification(TradeStatus::TradeClosed, false));
    assert_eq!(closed, order(Fact::Closed));
    let returned = order(Fact::Paid(seen(payer(), true)));
    assert_eq!(read(&notification(TradeStatus::TradeClosed, true)), returned);
    let refunded = Notification {
        refund_status: Some("REFUND_SUCCESS".to_owned()),
        ..notification(TradeStatus::TradeClosed, false)
    };
    match read(&refunded) {
        Ok(Notice::Order { fact: Fact::Paid(seen), .. }) => assert!(seen.returned),
        other => panic!("{other:?}"),
    }
    let waiting = read(&notification(TradeStatus::WaitBuyerPay, false));
    assert_eq!(waiting, Ok(Notice::Other));
    let pending = TradeStatus::Unknown("TRADE_PENDING".to_owned());
    assert_eq!(read(&notification(pending, true)), Ok(Notice::Other));
}

#[test]
fn what_is_forged_or_another_s_is_refused() {
    let adapter = adapter();
    let paid = notification(TradeStatus::TradeSuccess, true);
    let mut request = posted(&paid);
    let text = String::from_utf8(request.body.to_vec()).unwrap();
    request.body = text.replace("total_fee=88.88", "total_fee=0.01").into();
    let refusal = adapter.read_notice(&request, now()).unwrap_err();
    assert_eq!((refusal.code, refusal.claims), (Code::SignatureMismatch, Some(number())));
    assert!(adapter.notice_check(&request).is_none(), "Alipay is not asked about a forgery");
    let other = Notification { seller_id: "2088000000000009".to_owned(), ..paid };
    assert_eq!(read(&other).unwrap_err().code, Code::AccountMismatch);
}

#[test]
fn alipay_is_asked_whether_it_sent_a_notification() {
    let request = posted(&notification(TradeStatus::TradeSuccess, true));
    let check = adapter().notice_check(&request).unwrap();
    let received = LegacyRequest::read(&check.request).unwrap();
    assert_eq!(received.service().as_deref(), Some(notify_verify::SERVICE));
    let notify_id = "70fec0c2730b27528665af4517c27b95".to_owned();
    assert_eq!(NotifyVerify::read(&received.params), Some(NotifyVerify { notify_id }));
    let say = |verdict| check.finish(&NotifyVerify::answer(verdict), now());
    assert_eq!(say(Verdict::True), Reply::Done(true));
    assert_eq!(say(Verdict::False), Reply::Done(false));
    assert_eq!(say(Verdict::Invalid), Reply::Done(false));
    let page = HttpResponse::new(502, "text/html", "<html></html>");
    assert!(matches!(check.finish(&page, now()), Reply::Unknown(_)));
}

#[test]
fn a_way_back_is_believed_only_if_the_key_signed_it() {
    let adapter = adapter();
    let url = "https://pay.example.com/return/alipay/shop";
    let paid = notification(TradeStatus::TradeSuccess, true);
    let back = |url: String| {
        let target = url.strip_prefix("https://pay.example.com").unwrap().to_owned();
        let (headers, body) = (Vec::new(), Vec::new().into());
        adapter.returned(&HttpRequest { method: Method::Get, target, headers, body })
    };
    let signed = paid.to_return(url, Charset::Utf8, &md5_key());
    assert_eq!(back(signed.clone()), Some(number()));
    assert_eq!(back(signed.replace(NUMBER, "OTHER")), None);
}

#[test]
fn it_cannot_refund_and_says_what_to_do() {
    let adapter = adapter();
    let hindrance = adapter.refund_hindrance().unwrap();
    assert!(hindrance.contains("merchant site") && hindrance.contains("OpenAPI"));
    let order = refund_order(Channel::AlipayLegacyPage);
    for exchange in [adapter.refund(&order, &stamp()), adapter.query_refund(&order, &stamp())] {
        let received = LegacyRequest::read(&exchange.request).unwrap();
        assert_eq!(received.service().as_deref(), Some(single_trade_query::SERVICE));
        let answer = trade(TradeStatus::TradeSuccess, true).encode(&md5_key());
        assert!(matches!(exchange.finish(&answer, now()), Reply::Unknown(_)));
    }
    let accepted = adapter.acknowledge(Acknowledgement::Accepted);
    assert_eq!(accepted.body, "success");
}
