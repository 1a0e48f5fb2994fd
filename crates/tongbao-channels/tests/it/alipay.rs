//! Orders and refunds through Alipay's channels, in OpenAPI 2.0 and in v3.

use crate::alipay_provider::{
    APP_ID, Alipay, BUYER_ID, NOTIFY_URL, Protocol, Say, all, both, paid_by_code, payer, queried,
    refund_found, refunded,
};
use crate::world::{
    PART, call, now, number, order, order_ref, paid_at, ready, refund_order, seen, stamp, trade_no,
};
use tongbao_alipay::open::cancel::{Cancel, CancelAction, CancelReply};
use tongbao_alipay::open::close::{Close, CloseReply};
use tongbao_alipay::open::create::{Buyer, Create, CreateReply};
use tongbao_alipay::open::pay::{Pay, PayProgress};
use tongbao_alipay::open::precreate::{Precreate, PrecreateReply};
use tongbao_alipay::open::refund::Refund;
use tongbao_alipay::open::refund_query::{RefundQuery, RefundQueryReply, RefundStatus};
use tongbao_alipay::open::{self, Expiry, TradeRef, app, cancel, close, create, page, pay};
use tongbao_alipay::open::{precreate, refund, refund_query, wap};
use tongbao_alipay::{Refusal as Word, TradeStatus};
use tongbao_channels::{Doubt, Exchange, Order, Refusal, Reply};
use tongbao_core::{Action, Fact, Payer, RefundFact};
use tongbao_types::{Channel, HttpRequest, Method};

const QR_CODE: &str = "https://qr.alipay.com/bax03431ljhokirwl38f00a7";

fn finish<T>(alipay: &Alipay, exchange: &Exchange<T>, say: &Say<'_>) -> Reply<T> {
    exchange.finish(&alipay.answer(&exchange.request, say), now())
}

fn placed(alipay: &Alipay, order: &Order<'_>, say: &Say<'_>) -> Reply {
    finish(alipay, &call(&*alipay.adapter, order), say)
}

fn asked(alipay: &Alipay, say: &Say<'_>) -> Reply {
    finish(alipay, &alipay.adapter.query(order_ref(Channel::AlipayPage), &stamp()), say)
}

fn refused(word: &Word) -> Reply {
    let prefix = ["isv.", "isp.", "aop."].iter().find(|prefix| word.sub_code.starts_with(**prefix));
    assert_eq!(prefix, None, "the protocols spell these differently");
    let (code, message) = (word.sub_code.to_owned(), word.sub_msg.to_string());
    Reply::Refused(Refusal { code, message })
}

fn ask_now<T>(word: &Word) -> Reply<T> {
    let (code, message) = (word.sub_code.to_owned(), word.sub_msg.to_string());
    Reply::AskNow(Refusal { code, message })
}

fn is_unknown<T>(reply: &Reply<T>) -> bool {
    matches!(reply, Reply::Unknown(Doubt { keys_may_help: false, .. }))
}

/// An order as every operation must have been told.
fn is_as_ordered(sent: &open::Order, product_code: &str) {
    assert_eq!(sent.out_trade_no, number());
    assert_eq!(sent.total_amount.fen(), crate::world::TOTAL);
    assert_eq!((sent.subject.as_str(), sent.product_code.as_str()), ("测试 a／b", product_code));
    assert_eq!(
        (sent.body.as_deref(), sent.passback_params.as_deref()),
        (Some("一杯茶"), Some("x-1"))
    );
    assert_eq!(sent.expiry, Some(Expiry::At("2026-11-21T07:00:00Z".parse().unwrap())));
}

#[test]
fn an_order_as_a_code_is_shown() {
    for alipay in all() {
        let exchange = call(&*alipay.adapter, &order(Channel::AlipayQr, None));
        let sent = alipay.read(&exchange.request);
        assert_eq!(sent.method, precreate::METHOD);
        assert_eq!(sent.notify_url.as_deref(), Some(NOTIFY_URL));
        is_as_ordered(&Precreate::read(&sent.content).unwrap().order, "QR_CODE_OFFLINE");
        let reply = PrecreateReply { out_trade_no: number(), qr_code: QR_CODE.to_owned() };
        let action = Action::QrCode { code_url: QR_CODE.to_owned() };
        let wanted = Reply::Done(Fact::Awaiting(Some(action)));
        assert_eq!(finish(&alipay, &exchange, &Say::Precreated(&reply)), wanted);
    }
}

#[test]
fn a_page_inside_alipay_gets_the_trade_s_number() {
    let open_id = "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5".to_owned();
    let newer = Payer { buyer_id: Some(open_id.clone()), ..Payer::default() };
    for alipay in all() {
        for (payer, buyer) in [
            (payer(), Buyer::UserId(BUYER_ID.to_owned())),
            (newer.clone(), Buyer::OpenId(open_id.clone())),
        ] {
            let exchange = call(&*alipay.adapter, &order(Channel::AlipayJsapi, Some(&payer)));
            let sent = alipay.read(&exchange.request);
            assert_eq!(sent.method, create::METHOD);
            assert_eq!(sent.notify_url.as_deref(), Some(NOTIFY_URL));
            let create = Create::read(&sent.content).unwrap();
            is_as_ordered(&create.order, "JSAPI_PAY");
            assert_eq!((create.buyer, create.op_app_id.as_deref()), (buyer, Some(APP_ID)));
            let reply = CreateReply { out_trade_no: number(), trade_no: trade_no() };
            let params = vec![("tradeNO".to_owned(), trade_no().to_string())];
            let wanted = Reply::Done(Fact::Awaiting(Some(Action::Jsapi { params })));
            assert_eq!(finish(&alipay, &exchange, &Say::Created(&reply)), wanted);
        }
    }
}

/// The request that a browser makes of an address at Alipay's gateway.
fn browsed(url: &str) -> open::GatewayRequest {
    let target = url.strip_prefix("https://openapi.alipay.com").unwrap().to_owned();
    let (headers, body) = (Vec::new(), Vec::new().into());
    let request = HttpRequest { method: Method::Get, target, headers, body };
    open::GatewayRequest::read(&request).unwrap()
}

#[test]
fn pages_and_apps_carry_an_order_of_2_0_in_both_protocols() {
    for alipay in both() {
        let key = alipay.app_key.public();
        let check = |received: &open::GatewayRequest, method: &str, product_code: &str| {
            assert!(received.is_signed_by(&key));
            assert_eq!(received.method().as_deref(), Some(method));
            assert_eq!(received.params.text("notify_url").as_deref(), Some(NOTIFY_URL));
            let content = received.biz_content(None).unwrap();
            is_as_ordered(&Precreate::read(&content).unwrap().order, product_code);
        };
        let return_url = "https://pay.example.com/return/alipay/shop";
        for (channel, method, product_code) in [
            (Channel::AlipayPage, page::METHOD, page::PRODUCT_CODE),
            (Channel::AlipayWap, wap::METHOD, wap::PRODUCT_CODE),
        ] {
            let action = ready(&*alipay.adapter, &order(channel, None));
            let Action::Redirect { url } = action else { panic!("{action:?}") };
            let received = browsed(&url);
            check(&received, method, product_code);
            assert_eq!(received.params.text("return_url").as_deref(), Some(return_url));
        }
        let action = ready(&*alipay.adapter, &order(Channel::AlipayApp, None));
        let Action::App { params } = action else { panic!("{action:?}") };
        let [(name, text)] = &params[..] else { panic!("{params:?}") };
        assert_eq!(name, "orderString");
        let received = open::GatewayRequest::from_order_string(text).unwrap();
        check(&received, app::METHOD, app::PRODUCT_CODE);
    }
}

#[test]
fn what_a_channel_needs_and_does_not_get_is_named() {
    for alipay in both() {
        let param = |channel, payer| match alipay.adapter.place(&order(channel, payer), &stamp()) {
            Err(error) => error.param,
            Ok(_) => panic!("{channel}"),
        };
        assert_eq!(param(Channel::AlipayJsapi, None), "payer.buyer_id");
        assert_eq!(param(Channel::AlipayBarcode, None), "payer.auth_code");
        let of_wechat =
            Payer { auth_code: Some("134567890123456789".to_owned()), ..Payer::default() };
        assert_eq!(param(Channel::AlipayBarcode, Some(&of_wechat)), "payer.auth_code");
    }
}

#[test]
fn a_refused_order_is_final_unless_it_speaks_of_the_order() {
    for alipay in both() {
        let say = |word: Word| placed(&alipay, &order(Channel::AlipayQr, None), &Say::No(word));
        assert_eq!(say(Word::ACCESS_FORBIDDEN), refused(&Word::ACCESS_FORBIDDEN));
        assert_eq!(say(Word::TRADE_HAS_SUCCESS), ask_now(&Word::TRADE_HAS_SUCCESS));
        for word in [Word::SYSTEM_ERROR, Word::UNAVAILABLE, Word::APP_CALL_LIMITED] {
            assert!(is_unknown(&say(word)));
        }
        let reply = say(Word::INSUFFICIENT_ISV_PERMISSIONS);
        assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    }
}

#[test]
fn a_scanned_code_is_confirmed_pending_unknown_or_refused() {
    let payer = Payer { auth_code: Some("28763443825664394".to_owned()), ..Payer::default() };
    for alipay in all() {
        let exchange = call(&*alipay.adapter, &order(Channel::AlipayBarcode, Some(&payer)));
        let sent = alipay.read(&exchange.request);
        assert_eq!(
            (sent.method.as_str(), sent.notify_url.as_deref()),
            (pay::METHOD, Some(NOTIFY_URL))
        );
        let pay = Pay::read(&sent.content).unwrap();
        is_as_ordered(&pay.order, "FACE_TO_FACE_PAYMENT");
        assert_eq!(pay.auth_code.as_str(), "28763443825664394");
        let paid = paid_by_code(PayProgress::Deducted);
        assert_eq!(finish(&alipay, &exchange, &Say::Paid(&paid)), Reply::Confirm);
        let waiting = paid_by_code(PayProgress::WaitingForPayer);
        let reply = finish(&alipay, &exchange, &Say::Paid(&waiting));
        assert_eq!(reply, Reply::Done(Fact::Awaiting(None)));
        let no = |word: Word| finish(&alipay, &exchange, &Say::No(word));
        for word in [Word::TRADE_HAS_SUCCESS, Word::TRADE_HAS_CLOSE, Word::CONTEXT_INCONSISTENT] {
            assert_eq!(no(word.clone()), ask_now(&word));
        }
        for word in [Word::SYSTEM_ERROR, Word::UNAVAILABLE, Word::TRADE_BUYER_NOT_MATCH] {
            assert!(is_unknown(&no(word)));
        }
        for word in [
            Word::PAYMENT_AUTH_CODE_INVALID,
            Word::BUYER_BALANCE_NOT_ENOUGH,
            Word::PAYMENT_REQUEST_HAS_RISK,
            Word::TOTAL_FEE_EXCEED,
        ] {
            assert_eq!(no(word.clone()), refused(&word));
        }
    }
}

#[test]
fn a_query_tells_how_the_trade_stands() {
    for alipay in all() {
        let stands = |status, was_paid| {
            let reply = queried(status, was_paid);
            asked(&alipay, &Say::Queried(&reply))
        };
        let paid = Reply::Done(Fact::Paid(seen(payer(), false)));
        assert_eq!(stands(TradeStatus::TradeSuccess, true), paid);
        assert_eq!(stands(TradeStatus::TradeFinished, true), paid);
        let waiting = Reply::Done(Fact::Awaiting(None));
        assert_eq!(stands(TradeStatus::WaitBuyerPay, false), waiting);
        assert_eq!(stands(TradeStatus::TradeClosed, false), Reply::Done(Fact::Closed));
        let returned = Reply::Done(Fact::Paid(seen(payer(), true)));
        assert_eq!(stands(TradeStatus::TradeClosed, true), returned, "refunded in full");
        assert!(is_unknown(&stands(TradeStatus::Unknown("TRADE_PENDING".to_owned()), false)));
        let no = |word: Word| asked(&alipay, &Say::No(word));
        assert_eq!(no(Word::TRADE_NOT_EXIST), Reply::Done(Fact::Absent));
        assert_eq!(no(Word::ACQ_INVALID_PARAMETER), refused(&Word::ACQ_INVALID_PARAMETER));
        assert!(is_unknown(&no(Word::SYSTEM_ERROR)));
    }
}

#[test]
fn an_answer_is_shown_in_alipay_s_own_words() {
    for alipay in both() {
        let query = alipay.adapter.query(order_ref(Channel::AlipayPage), &stamp());
        let reply = queried(TradeStatus::TradeSuccess, true);
        let answer = alipay.answer(&query.request, &Say::Queried(&reply));
        let words = alipay.adapter.words(&answer).unwrap();
        assert_eq!(words.contains(r#""code":"10000""#), alipay.protocol == Protocol::Open);
        let members = words.starts_with('{') && words.contains(r#""trade_status":"TRADE_SUCCESS""#);
        assert!(members && !words.contains("_response"), "{words}");
    }
}

#[test]
fn an_answer_that_is_not_alipay_s_is_not_believed() {
    for alipay in both() {
        let query = alipay.adapter.query(order_ref(Channel::AlipayPage), &stamp());
        let reply = queried(TradeStatus::TradeSuccess, true);
        let mut response = alipay.answer(&query.request, &Say::Queried(&reply));
        let text = String::from_utf8(response.body.to_vec()).unwrap();
        response.body = text.replace("88.88", "0.01").into();
        assert!(is_unknown(&query.finish(&response, now())));
        let by_app = &alipay.app_key;
        let response = alipay.answer_by(&query.request, &Say::Queried(&reply), by_app, None);
        assert!(is_unknown(&query.finish(&response, now())));
    }
}

#[test]
fn an_old_answer_of_v3_is_not_believed() {
    let alipay = Alipay::plain(Protocol::V3);
    let query = alipay.adapter.query(order_ref(Channel::AlipayPage), &stamp());
    let reply = queried(TradeStatus::WaitBuyerPay, false);
    let response = alipay.answer(&query.request, &Say::Queried(&reply));
    let later = "2026-11-21T06:40:00Z".parse().unwrap();
    assert!(is_unknown(&query.finish(&response, later)));
    assert_eq!(query.finish(&response, now()), Reply::Done(Fact::Awaiting(None)));
}

#[test]
fn closing_is_done_or_a_reason_to_ask() {
    for alipay in all() {
        let exchange = alipay.adapter.close(order_ref(Channel::AlipayQr), &stamp());
        let sent = alipay.read(&exchange.request);
        assert_eq!(sent.method, close::METHOD);
        assert_eq!(Close::read(&sent.content), Ok(Close { trade: TradeRef::Out(number()) }));
        let reply = CloseReply { out_trade_no: number(), trade_no: Some(trade_no()) };
        let closed = finish(&alipay, &exchange, &Say::Closed(&reply));
        assert_eq!(closed, Reply::Done(Fact::Closed));
        let no = |word: Word| finish(&alipay, &exchange, &Say::No(word));
        assert_eq!(no(Word::TRADE_NOT_EXIST), Reply::Done(Fact::Absent));
        assert_eq!(no(Word::TRADE_STATUS_ERROR), ask_now(&Word::TRADE_STATUS_ERROR));
        assert!(is_unknown(&no(Word::SYSTEM_ERROR)));
    }
}

#[test]
fn a_scanned_code_is_cancelled_and_not_closed() {
    for alipay in all() {
        let exchange = alipay.adapter.close(order_ref(Channel::AlipayBarcode), &stamp());
        let sent = alipay.read(&exchange.request);
        assert_eq!(sent.method, cancel::METHOD);
        assert_eq!(Cancel::read(&sent.content), Ok(Cancel { trade: TradeRef::Out(number()) }));
        let say = |must_retry, action| {
            let (out_trade_no, trade_no) = (number(), Some(trade_no()));
            let reply = CancelReply { out_trade_no, trade_no, must_retry, action };
            finish(&alipay, &exchange, &Say::Cancelled(&reply))
        };
        assert_eq!(say(false, Some(CancelAction::Close)), Reply::Done(Fact::Closed));
        assert_eq!(say(false, Some(CancelAction::Refund)), Reply::Done(Fact::Closed));
        assert_eq!(say(false, None), Reply::Done(Fact::Absent));
        assert!(is_unknown(&say(true, None)));
        let no = |word: Word| finish(&alipay, &exchange, &Say::No(word));
        assert!(is_unknown(&no(Word::SYSTEM_ERROR)));
        assert_eq!(no(Word::TRADE_CANCEL_TIME_OUT), refused(&Word::TRADE_CANCEL_TIME_OUT));
    }
}

#[test]
fn a_refund_is_done_once_money_moves() {
    for alipay in all() {
        assert_eq!(alipay.adapter.refund_hindrance(), None);
        let exchange = alipay.adapter.refund(&refund_order(Channel::AlipayPage), &stamp());
        let sent = alipay.read(&exchange.request);
        assert_eq!(sent.method, refund::METHOD);
        let refund = Refund::read(&sent.content).unwrap();
        assert_eq!((refund.trade, refund.refund_amount.fen()), (TradeRef::Out(number()), PART));
        assert_eq!(refund.out_request_no.as_deref(), Some(crate::world::REFUND_NUMBER));
        assert_eq!(refund.refund_reason.as_deref(), Some("茶凉了"));
        let moved = finish(&alipay, &exchange, &Say::Refunded(&refunded(true)));
        let (provider_no, at) = (None, Some(paid_at()));
        let wanted = RefundFact::Succeeded { provider_no, amount: None, at };
        assert_eq!(moved, Reply::Done(wanted));
        let unmoved = finish(&alipay, &exchange, &Say::Refunded(&refunded(false)));
        assert_eq!(unmoved, Reply::Confirm);
    }
}

#[test]
fn a_refused_refund_is_final_or_for_later_or_contradicts() {
    for alipay in both() {
        let exchange = alipay.adapter.refund(&refund_order(Channel::AlipayPage), &stamp());
        let no = |word: Word| finish(&alipay, &exchange, &Say::No(word));
        for word in [Word::TRADE_HAS_FINISHED, Word::TRADE_NOT_ALLOW_REFUND] {
            let (code, message) = (word.sub_code.to_owned(), word.sub_msg.to_string());
            assert_eq!(no(word), Reply::Done(RefundFact::Refused { code, message }));
        }
        for word in [Word::SELLER_BALANCE_NOT_ENOUGH, Word::ACQ_INVALID_PARAMETER] {
            let (code, message) = (word.sub_code.to_owned(), word.sub_msg.to_string());
            assert_eq!(no(word), Reply::Done(RefundFact::NotNow { code, message }));
        }
        for word in [
            Word::TRADE_HAS_CLOSE,
            Word::TRADE_STATUS_ERROR,
            Word::TRADE_NOT_EXIST,
            Word::DISCORDANT_REPEAT_REQUEST,
            Word::REFUND_AMT_NOT_EQUAL_TOTAL,
            Word::REASON_TRADE_REFUND_FEE_ERR,
        ] {
            assert_eq!(no(word.clone()), ask_now(&word));
        }
        for word in [Word::SYSTEM_ERROR, Word::UNAVAILABLE, Word::CONTEXT_INCONSISTENT] {
            assert!(is_unknown(&no(word)));
        }
    }
}

#[test]
fn every_state_of_a_refund_is_told() {
    for alipay in all() {
        let exchange = alipay.adapter.query_refund(&refund_order(Channel::AlipayPage), &stamp());
        let sent = alipay.read(&exchange.request);
        assert_eq!(sent.method, refund_query::METHOD);
        let query = RefundQuery::read(&sent.content).unwrap();
        assert_eq!(query.trade, TradeRef::Out(number()));
        assert_eq!(query.out_request_no, crate::world::REFUND_NUMBER);
        assert!(query.with_detail);
        let say = |reply: &RefundQueryReply| finish(&alipay, &exchange, &Say::RefundQueried(reply));
        let (provider_no, amount, at) = (None, Some(PART), Some(paid_at()));
        let done = Reply::Done(RefundFact::Succeeded { provider_no, amount, at });
        assert_eq!(say(&refund_found(Some(RefundStatus::Success), amount)), done);
        assert_eq!(say(&refund_found(None, amount)), done, "as before 2020");
        let processing = Reply::Done(RefundFact::Processing { provider_no: None });
        assert_eq!(say(&refund_found(Some(RefundStatus::Processing), amount)), processing);
        // Not over, since nothing says that no money will move; but the merchant must be told.
        let stuck = Reply::Done(RefundFact::Abnormal { provider_no: None });
        assert_eq!(say(&refund_found(Some(RefundStatus::Fail), amount)), stuck);
        let strange = RefundStatus::Unknown("SOON".to_owned());
        assert!(is_unknown(&say(&refund_found(Some(strange), amount))));
        let nothing = say(&RefundQueryReply::NothingKnown);
        assert_eq!(nothing, Reply::Done(RefundFact::Absent));
        let no = |word: Word| finish(&alipay, &exchange, &Say::No(word));
        assert_eq!(no(Word::TRADE_NOT_EXIST), Reply::Done(RefundFact::Absent));
        assert!(is_unknown(&no(Word::SYSTEM_ERROR)));
    }
}
