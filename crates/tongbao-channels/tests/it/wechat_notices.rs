//! What WeChat tells by itself, and the certificates that are fetched to believe it.

use crate::alipay_certificates::Authority;
use crate::wechat_provider::{
    Api, SERIAL, Say, V2_KEY, V3_KEY, Wechat, all, both, ordinary, payer, refund, trade, v3_keys,
};
use crate::world::{
    NUMBER, PART, made, now, number, order_ref, paid_at, refund_number, seen, stamp,
};
use tongbao_channels::{Acknowledgement, Doubt, Keys, Notice, Reply};
use tongbao_core::{Fact, RefundFact};
use tongbao_crypt::{Certificate, RsaPrivateKey};
use tongbao_types::{Channel, Code, HttpRequest, Secret};
use tongbao_wechat::{RefundState, SignType, TradeState, v2, v3};

const TARGET: &str = "/notify/wechat/shop";

fn v2_key() -> Secret<String> {
    Secret::new(V2_KEY.to_owned())
}

fn v3_key() -> Secret<[u8; 32]> {
    Secret::new(V3_KEY.as_bytes().try_into().unwrap())
}

fn paid_notice(wechat: &Wechat) -> HttpRequest {
    let trade = &trade(TradeState::Success);
    let merchant = &wechat.merchant;
    match wechat.api {
        Api::V2 => {
            let sign_type = SignType::HmacSha256;
            let notice = v2::Notice { merchant, trade, sign_type, nonce: "n" };
            v2::encode_notice(&notice, TARGET, &v2_key())
        }
        Api::V3 => {
            let (id, created_at, api_v3_key, nonce) = ("EV-1", now(), &v3_key(), [7; 6]);
            let notice = v3::Notice { id, created_at, merchant, trade, api_v3_key, nonce };
            v3::encode_notice(&notice, TARGET, &wechat.replier())
        }
    }
}

fn refund_notice(wechat: &Wechat, state: RefundState) -> HttpRequest {
    let (merchant, refund) = (&wechat.merchant, &refund(state));
    match wechat.api {
        Api::V2 => {
            let notice = v2::RefundNotice { merchant, refund, nonce: "n" };
            v2::encode_refund_notice(&notice, TARGET, &v2_key())
        }
        Api::V3 => {
            let (id, created_at, api_v3_key, nonce) = ("EV-2", now(), &v3_key(), [7; 6]);
            let notice = v3::RefundNotice { id, created_at, merchant, refund, api_v3_key, nonce };
            v3::encode_refund_notice(&notice, TARGET, &wechat.replier()).unwrap()
        }
    }
}

#[test]
fn a_payment_is_told() {
    for wechat in all() {
        let notice = wechat.adapter.read_notice(&paid_notice(&wechat), now()).unwrap();
        let fact = Fact::Paid(seen(payer(), false));
        assert_eq!(notice, Notice::Order { number: number(), fact });
    }
}

#[test]
fn a_refund_is_told_by_v3_and_hinted_by_v2() {
    let provider_no = || Some("50000000382019052709732678859".to_owned());
    let success = RefundFact::Succeeded {
        provider_no: provider_no(),
        amount: Some(PART),
        at: Some(paid_at()),
    };
    for wechat in all() {
        for (state, fact) in [
            (RefundState::Success, success.clone()),
            (RefundState::Abnormal, RefundFact::Abnormal { provider_no: provider_no() }),
            (RefundState::Closed, RefundFact::Closed),
        ] {
            let read = wechat.adapter.read_notice(&refund_notice(&wechat, state), now());
            let fact = (wechat.api == Api::V3).then_some(fact);
            let (number, out_refund_no) = (number(), refund_number());
            assert_eq!(read, Ok(Notice::Refund { number, out_refund_no, fact }));
        }
    }
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    for wechat in both() {
        let mut request = paid_notice(&wechat);
        let text = String::from_utf8(request.body.to_vec()).unwrap();
        let (from, to) = match wechat.api {
            Api::V2 => ("8888", "1"),
            Api::V3 => ("EV-1", "EV-2"),
        };
        assert!(text.contains(from));
        request.body = text.replace(from, to).into();
        let refusal = wechat.adapter.read_notice(&request, now()).unwrap_err();
        assert_eq!(refusal.code, Code::SignatureMismatch);
        assert_eq!(refusal.claims, Some(number()), "the refusal is filed at the order it names");
        assert!(!refusal.keys_may_help);
    }
}

#[test]
fn a_refund_notice_of_v2_under_another_key_is_refused() {
    let [wechat, _] = both();
    let refund = &refund(RefundState::Success);
    let notice = v2::RefundNotice { merchant: &wechat.merchant, refund, nonce: "n" };
    let other = Secret::new("another-key-of-api-v2-0123456789".to_owned());
    let request = v2::encode_refund_notice(&notice, TARGET, &other);
    let refusal = wechat.adapter.read_notice(&request, now()).unwrap_err();
    assert_eq!(refusal.code, Code::NoticeUndecryptable);
}

#[test]
fn answers_end_the_repeats_or_ask_for_more() {
    for wechat in both() {
        let answer = |outcome| wechat.adapter.acknowledge(outcome);
        let is_accepted = |response: &_| match wechat.api {
            Api::V2 => v2::is_accepted(response),
            Api::V3 => v3::is_accepted(response),
        };
        assert!(is_accepted(&answer(Acknowledgement::Accepted)));
        assert!(!is_accepted(&answer(Acknowledgement::Unavailable)));
        let refused = Acknowledgement::Refused(Code::SignatureMismatch, "no");
        assert!(!is_accepted(&answer(refused)));
    }
}

#[test]
fn a_certificate_that_is_not_known_is_fetched_once_and_believed_then() {
    let merchant_key = RsaPrivateKey::generate();
    let platform_key = RsaPrivateKey::generate();
    let pem = Authority::root("wechat").certify("platform", &platform_key);
    let certificate = Certificate::from_pem(&pem).unwrap();
    let serial = certificate.serial_hex();
    let adapter = made(Keys::WechatV3(v3_keys(&ordinary(), &merchant_key)));
    assert!(adapter.needs_keys());
    let replier = v3::Replier {
        key: &platform_key,
        serial: &serial,
        now: now(),
        nonce: "n",
        request_id: "R1",
    };
    let query = adapter.query(order_ref(Channel::WechatNative), &stamp());
    let trade = trade(TradeState::NotPay);
    let answer = v3::OrderQuery::encode_reply(&trade, &ordinary(), &replier);
    let reply = query.finish(&answer, now());
    assert!(matches!(reply, Reply::Unknown(Doubt { keys_may_help: true, .. })), "{reply:?}");
    let request = adapter.keys_request(&stamp()).unwrap();
    let opened = v3::open(request).unwrap();
    opened.verify(&merchant_key.public(), SERIAL, now()).unwrap();
    assert_eq!(v3::CertificatesQuery::decode(&opened), Ok(v3::CertificatesQuery));
    let sealed = v3::SealedCertificate::seal(&certificate, &v3_key(), [7; 6]);
    let response = v3::CertificatesQuery::encode_reply(vec![sealed], &replier);
    adapter.learn_keys(&response, now()).unwrap();
    assert!(!adapter.needs_keys());
    assert_eq!(query.finish(&answer, now()), Reply::Done(Fact::Awaiting(None)));
}

#[test]
fn a_certificate_that_somebody_else_seals_is_not_taken() {
    let merchant_key = RsaPrivateKey::generate();
    let platform_key = RsaPrivateKey::generate();
    let pem = Authority::root("wechat").certify("platform", &platform_key);
    let certificate = Certificate::from_pem(&pem).unwrap();
    let serial = certificate.serial_hex();
    let adapter = made(Keys::WechatV3(v3_keys(&ordinary(), &merchant_key)));
    let sealed = v3::SealedCertificate::seal(&certificate, &Secret::new([1; 32]), [7; 6]);
    let (key, now, nonce, request_id) = (&platform_key, now(), "n", "R1");
    let replier = v3::Replier { key, serial: &serial, now, nonce, request_id };
    let response = v3::CertificatesQuery::encode_reply(vec![sealed], &replier);
    assert!(adapter.learn_keys(&response, now).is_err());
    assert!(adapter.needs_keys());
}

#[test]
fn an_order_that_is_another_s_is_not_told() {
    for wechat in both() {
        let exchange = wechat.adapter.query(order_ref(Channel::WechatNative), &stamp());
        let mut other = trade(TradeState::Success);
        other.out_trade_no = format!("{NUMBER}X");
        let response = wechat.answer(&exchange.request, &Say::Trade(&other));
        let reply = exchange.finish(&response, now());
        assert!(matches!(reply, Reply::Unknown(_)), "{reply:?}");
    }
}
