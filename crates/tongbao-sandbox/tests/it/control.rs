//! The control paths: what they show and how they refuse.

use crate::stand::Stand;
use crate::wechat_v3::{self, Shop};
use serde_json::{Value, json};

#[tokio::test]
async fn the_wallet_shows_the_codes_that_a_merchant_can_scan() {
    let stand = Stand::start().await;
    let url = format!("{}/_sandbox/auth_codes", stand.base);
    let codes = stand.client.get(url).send().await.unwrap().bytes().await.unwrap();
    let codes: serde_json::Value = serde_json::from_slice(&codes).unwrap();
    let page = stand.client.get(&stand.base).send().await.unwrap().text().await.unwrap();
    for provider in ["wechat", "alipay"] {
        let code = codes[provider]["auth_code"].as_str().unwrap();
        assert_eq!(code.len(), 18);
        assert!(page.contains(code), "{page}");
    }
    stand.stop().await;
}

#[tokio::test]
async fn credentials_have_all_members() {
    let stand = Stand::start().await;
    let url = format!("{}/_sandbox/credentials", stand.base);
    let body = stand.client.get(url).send().await.unwrap().bytes().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let names = |group: &str| body[group].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut wechat = names("wechat");
    wechat.sort();
    assert_eq!(
        wechat,
        [
            "api_key",
            "api_v3_key",
            "app_id",
            "app_secret",
            "mch_id",
            "merchant_certificate",
            "merchant_private_key",
            "merchant_serial",
            "p12_base64",
            "p12_passphrase",
            "platform_certificate",
            "platform_public_key",
            "platform_public_key_id",
            "platform_serial",
            "sub_app_id",
            "sub_mch_id",
        ]
    );
    let mut alipay = names("alipay");
    alipay.sort();
    assert_eq!(
        alipay,
        [
            "aes_key",
            "alipay_cert",
            "alipay_public_key",
            "alipay_root_cert",
            "app_cert",
            "app_id",
            "app_private_key",
            "app_public_key",
            "legacy_md5_key",
            "legacy_partner",
            "seller_email",
            "seller_id",
        ]
    );
    let all = body["wechat"]
        .as_object()
        .unwrap()
        .values()
        .chain(body["alipay"].as_object().unwrap().values());
    assert!(all.into_iter().all(|value| value.as_str().is_some_and(|text| !text.is_empty())));
}

#[tokio::test]
async fn senseless_requests_are_refused_with_a_sentence() {
    let stand = Stand::start().await;
    let cases = [
        ("pay", json!({})),
        ("pay", json!({"code": "x", "provider": "wechat"})),
        ("pay", json!({"cod": "x"})),
        ("pay", json!({"provider": "paypal", "out_trade_no": "T1"})),
        ("pay", json!({"provider": "wechat", "out_trade_no": "T1", "outcome": "maybe"})),
        ("faults", json!({})),
        ("faults", json!({"drop": true, "tims": 1})),
        ("faults", json!({"notify": {"lose": true}})),
        ("clock", json!({"advance": "-2h"})),
        ("clock", json!({"advance": 7200})),
        ("rules", json!({"wechat_key": "both"})),
        ("rules", json!([])),
    ];
    for (path, body) in cases {
        let (status, answer) = stand.control(path, body.clone()).await;
        assert_eq!((status, &answer["code"]), (400, &json!("invalid_request")), "{path} {body}");
        assert!(answer["message"].as_str().is_some_and(|text| text.len() > 10), "{answer}");
    }
    for code in ["weixin://wxpay/bizpayurl?pr=nothing", "hello"] {
        let (status, answer) = stand.control("pay", json!({"code": code})).await;
        assert_eq!((status, &answer["code"]), (404, &json!("not_found")));
    }
    let (status, _) =
        stand.control("pay", json!({"provider": "alipay", "out_trade_no": "T1"})).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_payer_who_fails_or_gives_up_leaves_the_order_waiting() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let code = shop.place(&wechat_v3::order("T20261121001", "http://127.0.0.1:9/n")).await.unwrap();
    for (outcome, state) in
        [("cancelled", "NOTPAY"), ("NOTENOUGH", "NOTPAY"), ("user_paying", "USERPAYING")]
    {
        let (status, body) = stand.control("pay", json!({"code": code, "outcome": outcome})).await;
        assert_eq!((status, &body["state"]), (200, &json!(state)), "{outcome}");
    }
    let (_, body) = stand.control("pay", json!({"code": code, "openid": "oOther"})).await;
    assert_eq!(body["state"], json!("SUCCESS"));
    let trades = stand.list("trades").await;
    assert_eq!(trades[0]["amount"], json!(1200));
    assert!(trades[0]["paid_at"].as_str().is_some_and(|at| at.ends_with('Z')));
}

#[tokio::test]
async fn the_clock_shows_how_far_it_is_ahead() {
    let stand = Stand::start().await;
    let mut moves = stand.clock.on_advance();
    stand.advance("2h").await;
    moves.changed().await.unwrap();
    let url = format!("{}/_sandbox/clock", stand.base);
    let body = stand.client.get(url).send().await.unwrap().bytes().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["offset_ms"], json!(7_200_000));
}
