//! Orders through WeChat's channels: placed, asked about, closed, taken back.

use crate::wechat_provider::{
    Api, OPENID, SERIAL, Say, V2_KEY, V3_KEY, Wechat, all, both, ordinary, payer, trade,
};
use crate::world::{CHARGE, NUMBER, TOTAL, call, now, order, order_ref, seen, stamp};
use tongbao_channels::{Doubt, Order, Refusal, Reply};
use tongbao_core::{Action, Fact, Payer};
use tongbao_types::{Channel, Secret, Span};
use tongbao_wechat::v2::{self, Recall};
use tongbao_wechat::{Prepaid, SignType, TradeState, TradeType, V2Credentials, V3Credentials, v3};

const CODE_URL: &str = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz";
const H5_URL: &str = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1&package=2";

fn code_url() -> Prepaid {
    Prepaid::CodeUrl { code_url: CODE_URL.to_owned(), prepay_id: Some("wx1".to_owned()) }
}

/// Sends the order and reads WeChat's word.
fn placed(wechat: &Wechat, order: &Order<'_>, say: &Say<'_>) -> Reply {
    let exchange = call(&*wechat.adapter, order);
    exchange.finish(&wechat.answer(&exchange.request, say), now())
}

fn queried(wechat: &Wechat, channel: Channel, say: &Say<'_>) -> Reply {
    let exchange = wechat.adapter.query(order_ref(channel), &stamp());
    exchange.finish(&wechat.answer(&exchange.request, say), now())
}

fn closed(wechat: &Wechat, channel: Channel, say: &Say<'_>) -> Reply {
    let exchange = wechat.adapter.close(order_ref(channel), &stamp());
    exchange.finish(&wechat.answer(&exchange.request, say), now())
}

fn refusal(code: &str, message: &str) -> Refusal {
    Refusal { code: code.to_owned(), message: message.to_owned() }
}

fn is_unknown<T: std::fmt::Debug>(reply: &Reply<T>) -> bool {
    matches!(reply, Reply::Unknown(Doubt { keys_may_help: false, .. }))
}

#[test]
fn native_shows_a_code_and_asks_for_what_was_ordered() {
    for wechat in all() {
        let order = order(Channel::WechatNative, None);
        let exchange = call(&*wechat.adapter, &order);
        let response = wechat.answer(&exchange.request, &Say::Ordered(&code_url()));
        let action = Action::QrCode { code_url: CODE_URL.to_owned() };
        let wanted = Reply::Done(Fact::Awaiting(Some(action)));
        assert_eq!(exchange.finish(&response, now()), wanted);
        let notify_url = "https://pay.example.com/notify/wechat/shop";
        match wechat.api {
            Api::V2 => {
                let opened = v2::open(&exchange.request).unwrap();
                assert_eq!(opened.merchant, wechat.merchant);
                let sent = v2::UnifiedOrder::decode(&opened).unwrap();
                assert_eq!(sent.trade_type, TradeType::Native);
                assert_eq!((sent.out_trade_no.as_str(), sent.total_fee), (NUMBER, TOTAL));
                assert_eq!(
                    (sent.body.as_str(), sent.notify_url.as_str()),
                    ("测试 a/b", notify_url)
                );
                assert_eq!(sent.time_expire, Some(order.expires_at));
                assert_eq!(sent.attach.as_deref(), Some("x-1"));
                assert_eq!((sent.openid, sent.sub_openid), (None, None));
            }
            Api::V3 => {
                let opened = v3::open(exchange.request.clone()).unwrap();
                assert_eq!(opened.merchant, wechat.merchant);
                let (sent, _) = v3::Order::decode(&opened).unwrap();
                assert_eq!(sent.trade_type, TradeType::Native);
                assert_eq!((sent.out_trade_no.as_str(), sent.total), (NUMBER, TOTAL));
                assert_eq!(
                    (sent.description.as_str(), sent.notify_url.as_str()),
                    ("测试 a/b", notify_url)
                );
                assert_eq!(sent.time_expire, Some(order.expires_at));
                assert_eq!(sent.attach.as_deref(), Some("x-1"));
                assert_eq!((sent.openid, sent.sub_openid), (None, None));
            }
        }
    }
}

/// The parameters that the protocol's own rules give, by name.
fn params(wechat: &Wechat, is_app: bool) -> Vec<(String, String)> {
    let nonce = stamp().nonce;
    let value = match wechat.api {
        Api::V2 => {
            let key = Secret::new(V2_KEY.to_owned());
            let own = V2Credentials::new(wechat.merchant.clone(), key, SignType::HmacSha256);
            let own = own.unwrap();
            let [jsapi, app] = [
                serde_json::to_value(tongbao_wechat::v2_jsapi(&own, "wx1", &nonce, now())),
                serde_json::to_value(tongbao_wechat::v2_app(&own, "wx1", &nonce, now())),
            ];
            if is_app { app.unwrap() } else { jsapi.unwrap() }
        }
        Api::V3 => {
            let pem = Secret::new(wechat.merchant_key.to_pkcs8_pem().to_string());
            let key = Secret::new(V3_KEY.to_owned());
            let own = V3Credentials::new(wechat.merchant.clone(), SERIAL, &pem, &key).unwrap();
            let [jsapi, app] = [
                serde_json::to_value(tongbao_wechat::v3_jsapi(&own, "wx1", &nonce, now())),
                serde_json::to_value(tongbao_wechat::v3_app(&own, "wx1", &nonce, now())),
            ];
            if is_app { app.unwrap() } else { jsapi.unwrap() }
        }
    };
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

#[test]
fn pages_mini_programs_and_apps_get_signed_parameters() {
    let payer = payer();
    let prepaid = Prepaid::PrepayId("wx1".to_owned());
    for wechat in all() {
        for channel in [Channel::WechatJsapi, Channel::WechatMini] {
            let reply = placed(&wechat, &order(channel, Some(&payer)), &Say::Ordered(&prepaid));
            let action = Action::Jsapi { params: params(&wechat, false) };
            assert_eq!(reply, Reply::Done(Fact::Awaiting(Some(action))), "{channel}");
        }
        let reply = placed(&wechat, &order(Channel::WechatApp, None), &Say::Ordered(&prepaid));
        let action = Action::App { params: params(&wechat, true) };
        assert_eq!(reply, Reply::Done(Fact::Awaiting(Some(action))));
    }
}

#[test]
fn the_payer_is_named_towards_the_app_that_she_is_in() {
    let payer = payer();
    for wechat in all() {
        let exchange = call(&*wechat.adapter, &order(Channel::WechatJsapi, Some(&payer)));
        let ids = match wechat.api {
            Api::V2 => {
                let opened = v2::open(&exchange.request).unwrap();
                let sent = v2::UnifiedOrder::decode(&opened).unwrap();
                (sent.openid, sent.sub_openid)
            }
            Api::V3 => {
                let opened = v3::open(exchange.request).unwrap();
                let (sent, _) = v3::Order::decode(&opened).unwrap();
                (sent.openid, sent.sub_openid)
            }
        };
        let openid = Some(OPENID.to_owned());
        let of_sub_app = wechat.merchant.sub_app_id.is_some();
        assert_eq!(ids, if of_sub_app { (None, openid) } else { (openid, None) });
    }
}

#[test]
fn a_phone_s_browser_is_sent_to_wechat_and_back_to_the_cashier() {
    let prepaid = Prepaid::H5Url { h5_url: H5_URL.to_owned(), prepay_id: Some("wx1".to_owned()) };
    for wechat in both() {
        let reply = placed(&wechat, &order(Channel::WechatH5, None), &Say::Ordered(&prepaid));
        let back = format!("https%3A%2F%2Fpay.example.com%2Fpay%2F{CHARGE}");
        let action = Action::Redirect { url: format!("{H5_URL}&redirect_url={back}") };
        assert_eq!(reply, Reply::Done(Fact::Awaiting(Some(action))));
    }
}

#[test]
fn what_a_channel_needs_and_does_not_get_is_named() {
    for wechat in both() {
        let param = |order: &Order<'_>| match wechat.adapter.place(order, &stamp()) {
            Err(error) => error.param,
            Ok(_) => panic!("{}", order.channel),
        };
        for channel in [Channel::WechatJsapi, Channel::WechatMini] {
            assert_eq!(param(&order(channel, None)), "payer.openid");
        }
        let no_address = Order { client_ip: None, ..order(Channel::WechatH5, None) };
        assert_eq!(param(&no_address), "client_ip");
        assert_eq!(param(&order(Channel::WechatMicropay, None)), "payer.auth_code");
        let of_alipay =
            Payer { auth_code: Some("28763443825664394".to_owned()), ..Payer::default() };
        let scanned = order(Channel::WechatMicropay, Some(&of_alipay));
        assert_eq!(param(&scanned), "payer.auth_code");
    }
}

#[test]
fn a_refused_order_is_final_unless_it_speaks_of_the_order() {
    for wechat in both() {
        let order = order(Channel::WechatNative, None);
        let say = |status, code, words| placed(&wechat, &order, &Say::No(status, code, words));
        let refused = refusal("NOAUTH", "商户未开通");
        assert_eq!(say(403, "NOAUTH", "商户未开通"), Reply::Refused(refused));
        let paid = refusal("ORDERPAID", "该订单已支付");
        assert_eq!(say(400, "ORDERPAID", "该订单已支付"), Reply::AskNow(paid));
        let used = refusal("OUT_TRADE_NO_USED", "商户订单号重复");
        assert_eq!(say(403, "OUT_TRADE_NO_USED", "商户订单号重复"), Reply::AskNow(used));
        assert!(is_unknown(&say(500, "SYSTEMERROR", "系统超时")));
        assert!(is_unknown(&say(429, "FREQUENCY_LIMITED", "频率超限")));
    }
}

#[test]
fn a_query_tells_how_the_order_stands() {
    for wechat in all() {
        let stands = |state| {
            let trade = trade(state);
            queried(&wechat, Channel::WechatNative, &Say::Trade(&trade))
        };
        let paid = Reply::Done(Fact::Paid(seen(payer(), false)));
        assert_eq!(stands(TradeState::Success), paid);
        assert_eq!(stands(TradeState::Refund), paid, "what was refunded was paid");
        assert_eq!(stands(TradeState::NotPay), Reply::Done(Fact::Awaiting(None)));
        assert_eq!(stands(TradeState::UserPaying), Reply::Done(Fact::Awaiting(None)));
        assert_eq!(stands(TradeState::PayError), Reply::Done(Fact::Awaiting(None)));
        assert_eq!(stands(TradeState::Closed), Reply::Done(Fact::Closed));
        assert_eq!(stands(TradeState::Revoked), Reply::Done(Fact::Closed));
        assert!(is_unknown(&stands(TradeState::Unknown("DREAMING".to_owned()))));
        let say = |status, code| {
            queried(&wechat, Channel::WechatNative, &Say::No(status, code, "订单不存在"))
        };
        assert_eq!(say(404, "ORDERNOTEXIST"), Reply::Done(Fact::Absent));
        assert!(is_unknown(&say(500, "SYSTEMERROR")));
        let sign = refusal("SIGNERROR", "订单不存在");
        assert_eq!(say(401, "SIGNERROR"), Reply::Refused(sign));
    }
}

#[test]
fn an_answer_that_is_not_wechat_s_is_not_believed() {
    for wechat in both() {
        let exchange = wechat.adapter.query(order_ref(Channel::WechatNative), &stamp());
        let trade = trade(TradeState::Success);
        let mut response = wechat.answer(&exchange.request, &Say::Trade(&trade));
        let text = String::from_utf8(response.body.to_vec()).unwrap();
        response.body = text.replace("8888", "1").into();
        assert!(is_unknown(&exchange.finish(&response, now())));
        let other = Wechat::new(wechat.api, ordinary());
        if wechat.api == Api::V3 {
            let by_other = other.answer(
                &other.adapter.query(order_ref(Channel::WechatNative), &stamp()).request,
                &Say::Trade(&trade),
            );
            assert!(is_unknown(&exchange.finish(&by_other, now())));
        }
    }
}

#[test]
fn closing_is_done_or_a_reason_to_ask() {
    for wechat in all() {
        let close = |say: &Say<'_>| closed(&wechat, Channel::WechatNative, say);
        assert_eq!(close(&Say::Closed), Reply::Done(Fact::Closed));
        let no = |status, code| close(&Say::No(status, code, "x"));
        assert_eq!(no(404, "ORDERNOTEXIST"), Reply::Done(Fact::Absent));
        assert_eq!(no(400, "ORDERPAID"), Reply::AskNow(refusal("ORDERPAID", "x")));
        assert_eq!(no(400, "ORDERCLOSED"), Reply::AskNow(refusal("ORDERCLOSED", "x")));
        assert!(is_unknown(&no(500, "SYSTEMERROR")));
    }
}

#[test]
fn an_order_that_is_too_young_says_when_it_can_be_closed() {
    for wechat in all() {
        let said = closed(&wechat, Channel::WechatNative, &Say::No(400, "TRADE_STATE_ERROR", "x"));
        let Reply::Refused(said) = said else { panic!("{said:?}") };
        assert_eq!(wechat.adapter.close_wait(&said), Some(Span::from_seconds(300)));
        assert_eq!(wechat.adapter.close_wait(&refusal("NOAUTH", "x")), None);
    }
}

#[test]
fn a_scanned_code_is_paid_pending_unknown_or_refused() {
    let payer_of_code =
        Payer { auth_code: Some("134567890123456789".to_owned()), ..Payer::default() };
    for wechat in all() {
        let order = order(Channel::WechatMicropay, Some(&payer_of_code));
        let paid = trade(TradeState::Success);
        let done = Reply::Done(Fact::Paid(seen(payer(), false)));
        assert_eq!(placed(&wechat, &order, &Say::PaidByCode(&paid)), done);
        let typing = trade(TradeState::UserPaying);
        let waiting = Reply::Done(Fact::Awaiting(None));
        assert_eq!(placed(&wechat, &order, &Say::PaidByCode(&typing)), waiting);
        let no = |status, code| placed(&wechat, &order, &Say::No(status, code, "x"));
        assert_eq!(no(400, "USERPAYING"), waiting);
        assert!(is_unknown(&no(500, "SYSTEMERROR")));
        assert!(is_unknown(&no(400, "BANKERROR")));
        assert!(is_unknown(&no(400, "A_NEW_CODE")));
        assert_eq!(no(400, "ORDERPAID"), Reply::AskNow(refusal("ORDERPAID", "x")));
        for code in ["AUTHCODEEXPIRE", "AUTH_CODE_INVALID", "NOTENOUGH", "ORDERCLOSED"] {
            assert_eq!(no(400, code), Reply::Refused(refusal(code, "x")));
        }
    }
}

#[test]
fn a_scanned_code_is_taken_back_and_not_closed() {
    for wechat in all() {
        let exchange = wechat.adapter.close(order_ref(Channel::WechatMicropay), &stamp());
        assert!(exchange.request.path().contains("reverse"), "{}", exchange.request.path());
        let reverse = |say: &Say<'_>| closed(&wechat, Channel::WechatMicropay, say);
        assert_eq!(reverse(&Say::Reversed(Recall::Done)), Reply::Done(Fact::Closed));
        if wechat.api == Api::V2 {
            assert!(is_unknown(&reverse(&Say::Reversed(Recall::Again))));
        }
        assert!(is_unknown(&reverse(&Say::No(500, "SYSTEMERROR", "x"))));
        let expired = Reply::Refused(refusal("REVERSE_EXPIRE", "x"));
        assert_eq!(reverse(&Say::No(400, "REVERSE_EXPIRE", "x")), expired);
    }
}
