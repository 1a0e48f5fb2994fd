//! Refunds through WeChat: every state, every kind of refusal.

use crate::wechat_provider::{Api, Say, Wechat, all, both, ordinary, refund, v2_keys};
use crate::world::{NUMBER, PART, REFUND_NUMBER, TOTAL, made, now, paid_at, refund_order, stamp};
use tongbao_channels::{Doubt, Keys, Reply};
use tongbao_core::RefundFact;
use tongbao_types::Channel;
use tongbao_wechat::{RefundState, TradeKey, v2, v3};

fn refunded(wechat: &Wechat, say: &Say<'_>) -> Reply<RefundFact> {
    let exchange = wechat.adapter.refund(&refund_order(Channel::WechatNative), &stamp());
    exchange.finish(&wechat.answer(&exchange.request, say), now())
}

fn asked(wechat: &Wechat, say: &Say<'_>) -> Reply<RefundFact> {
    let exchange = wechat.adapter.query_refund(&refund_order(Channel::WechatNative), &stamp());
    exchange.finish(&wechat.answer(&exchange.request, say), now())
}

fn fact(state: &RefundState) -> Option<RefundFact> {
    let provider_no = Some("50000000382019052709732678859".to_owned());
    Some(match state {
        RefundState::Processing => RefundFact::Processing { provider_no },
        RefundState::Success => {
            let (amount, at) = (Some(PART), Some(paid_at()));
            RefundFact::Succeeded { provider_no, amount, at }
        }
        RefundState::Abnormal => RefundFact::Abnormal { provider_no },
        RefundState::Closed => RefundFact::Closed,
        RefundState::Other(_) => return None,
    })
}

const STATES: [RefundState; 4] =
    [RefundState::Processing, RefundState::Success, RefundState::Abnormal, RefundState::Closed];

#[test]
fn a_refund_is_sent_under_its_number_and_for_its_amount() {
    for wechat in all() {
        let exchange = wechat.adapter.refund(&refund_order(Channel::WechatNative), &stamp());
        let notify_url = Some("https://pay.example.com/notify/wechat/shop".to_owned());
        let key = TradeKey::OutTradeNo(NUMBER.to_owned());
        match wechat.api {
            Api::V2 => {
                let opened = v2::open(&exchange.request).unwrap();
                assert_eq!(opened.merchant, wechat.merchant);
                assert!(v2::needs_certificate(exchange.request.path()));
                let sent = v2::RefundOrder::decode(&opened).unwrap();
                assert_eq!((sent.key, sent.notify_url), (key, notify_url));
                assert_eq!(sent.out_refund_no, REFUND_NUMBER);
                assert_eq!((sent.refund_fee, sent.total_fee), (PART, TOTAL));
                assert_eq!(sent.refund_desc.as_deref(), Some("茶凉了"));
            }
            Api::V3 => {
                let opened = v3::open(exchange.request).unwrap();
                let sent = v3::RefundOrder::decode(&opened).unwrap();
                assert_eq!((sent.key, sent.notify_url), (key, notify_url));
                assert_eq!(sent.out_refund_no, REFUND_NUMBER);
                assert_eq!((sent.refund, sent.total), (PART, TOTAL));
                assert_eq!(sent.reason.as_deref(), Some("茶凉了"));
            }
        }
    }
}

#[test]
fn accepted_is_not_refunded() {
    for wechat in all() {
        let accepted = refund(RefundState::Processing);
        let reply = refunded(&wechat, &Say::Refunded(&accepted));
        let provider_no = Some("50000000382019052709732678859".to_owned());
        assert_eq!(reply, Reply::Done(RefundFact::Processing { provider_no }));
    }
}

#[test]
fn every_state_of_a_refund_is_told() {
    for wechat in all() {
        for state in STATES {
            let told = refund(state.clone());
            let wanted = Reply::Done(fact(&state).unwrap());
            assert_eq!(asked(&wechat, &Say::RefundQueried(&told)), wanted, "{state:?}");
        }
        let strange = refund(RefundState::Other("SOON".to_owned()));
        let reply = asked(&wechat, &Say::RefundQueried(&strange));
        assert!(matches!(reply, Reply::Unknown(Doubt { keys_may_help: false, .. })), "{reply:?}");
    }
}

#[test]
fn a_refusal_is_final_or_for_later_or_leaves_it_open() {
    for wechat in both() {
        let no = |status, code, words| refunded(&wechat, &Say::No(status, code, words));
        for (status, code) in
            [(500, "SYSTEMERROR"), (429, "FREQUENCY_LIMITED"), (400, "BIZERR_NEED_RETRY")]
        {
            assert!(matches!(no(status, code, "x"), Reply::Unknown(_)), "{code}");
        }
        assert!(matches!(no(400, "A_NEW_CODE", "x"), Reply::Unknown(_)));
        let (code, message) = ("NOTENOUGH".to_owned(), "余额不足".to_owned());
        let later = Reply::Done(RefundFact::NotNow { code, message });
        assert_eq!(no(403, "NOTENOUGH", "余额不足"), later);
        for code in ["TRADE_OVERDUE", "USER_ACCOUNT_ABNORMAL", "INVALID_REQUEST"] {
            let refused = RefundFact::Refused { code: code.to_owned(), message: "x".to_owned() };
            assert_eq!(no(400, code, "x"), Reply::Done(refused));
        }
    }
}

#[test]
fn a_refund_that_wechat_does_not_know_may_be_sent_again() {
    for wechat in both() {
        let code = if wechat.api == Api::V2 { "REFUNDNOTEXIST" } else { "RESOURCE_NOT_EXISTS" };
        let reply = asked(&wechat, &Say::No(404, code, "x"));
        assert_eq!(reply, Reply::Done(RefundFact::Absent));
        let reply = asked(&wechat, &Say::No(500, "SYSTEMERROR", "x"));
        assert!(matches!(reply, Reply::Unknown(_)));
    }
}

#[test]
fn api_v2_refunds_with_its_certificate_or_says_what_is_missing() {
    let adapter = made(Keys::WechatV2(v2_keys(&ordinary())));
    let hindrance = adapter.refund_hindrance().unwrap();
    assert!(hindrance.contains("p12_file") && hindrance.contains("apiclient_cert.p12"));
    // Without TLS, as in a sandbox on the same machine, there is no certificate to show.
    assert_eq!(Wechat::v2_at("http://127.0.0.1:9010").refund_hindrance(), None);
    assert!(Wechat::v2_at("https://sandbox.example.com").refund_hindrance().is_some());
    let [_, v3] = both();
    assert_eq!(v3.adapter.refund_hindrance(), None);
}
