//! More channels for a charge: by the merchant, by the payer at the cashier.

use crate::gateway::{Answer, Gateway};
use crate::pretended::{CODE_URL, PAGE_URL};
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

const OPEN: &str = r#"{"amount": 1200, "subject": "tea", "order_no": "20261121-0001"}"#;

async fn open(gateway: &Gateway) -> (Value, String) {
    let charge = gateway.post("/v1/charges", OPEN).await.json();
    let path = format!("/pay/{}", charge["id"].as_str().unwrap());
    (charge, path)
}

/// What a button of the page sends.
async fn choose(gateway: &Gateway, path: &str, form: &str) -> Answer {
    let request = Request::post(format!("{path}/choose"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("Accept-Language", "en");
    gateway.send(request.body(Body::from(form.to_owned())).unwrap()).await
}

#[tokio::test]
async fn a_merchant_offers_another_channel() {
    let gateway = Gateway::start().await;
    let (charge, _) = open(&gateway).await;
    let path = format!("/v1/charges/{}/attempts", charge["id"].as_str().unwrap());
    let first = gateway.post(&path, r#"{"channel": "wechat.native"}"#).await;
    assert_eq!(first.status, 201, "{}", first.text());
    assert_eq!(first.json()["action"], json!({"type": "qr_code", "code_url": CODE_URL}));
    let second =
        gateway.post(&path, r#"{"channel": "alipay.page", "client_ip": "::1"}"#).await.json();
    assert_eq!(second["action"], json!({"type": "redirect", "url": PAGE_URL}));
    assert_eq!(second["attempts"].as_array().unwrap().len(), 2);
    let again = gateway.post(&path, r#"{"channel": "wechat.native"}"#).await.json();
    assert_eq!(
        (&again["channel"], &again["attempts"]),
        (&json!("wechat.native"), &second["attempts"])
    );
    for (body, code, param) in [
        ("{}", "missing_parameter", "channel"),
        (r#"{"channel": "wechat.telepathy"}"#, "invalid_parameter", "channel"),
        (r#"{"channel": "wechat.native", "amount": 1}"#, "unknown_parameter", "amount"),
        (r#"{"channel": "wechat.native", "account": "nobody"}"#, "account_missing", "account"),
        (r#"{"channel": "wechat.native", "payer": {}}"#, "invalid_parameter", "payer"),
        (r#"{"channel": "alipay.legacy_page"}"#, "account_missing", "channel"),
    ] {
        let answer = gateway.post(&path, body).await;
        assert_eq!((answer.problem().1.as_str(), answer.problem().2.as_str()), (code, param));
    }
    gateway.post(&path.replace("attempts", "close"), "").await;
    let ended = gateway.post(&path, r#"{"channel": "wechat.native"}"#).await;
    assert_eq!(ended.problem().1, "charge_not_pending");
    assert_eq!(ended.json()["money_moved"], "no");
}

#[tokio::test]
async fn the_payer_chooses_with_a_form_and_may_choose_again() {
    let gateway = Gateway::start().await;
    let (_, path) = open(&gateway).await;
    let page = gateway.public(Method::GET, &path, "").await;
    assert!(page.header("content-security-policy").contains("form-action 'self'"));
    let html = page.text();
    for part in ["Choose how to pay", "value=\"wechat.native\"", "value=\"alipay.page\""] {
        assert!(html.contains(part), "{part}");
    }
    assert!(!html.contains("wechat.h5"), "no account serves it");
    let chosen = choose(&gateway, &path, "channel=wechat.native&lang=en").await;
    let shown = format!("{path}?channel=wechat.native&lang=en");
    assert_eq!((chosen.status.as_u16(), chosen.header("location")), (303, shown.as_str()));
    let html = gateway.public(Method::GET, &shown, "").await.text();
    assert!(html.contains("Scan with WeChat to pay") && html.contains("value=\"alipay.page\""));
    let chosen = choose(&gateway, &path, "channel=alipay.page").await;
    assert_eq!(chosen.header("location"), format!("{path}?channel=alipay.page"));
    // The first order waits still: its address goes on showing it.
    let html = gateway.public(Method::GET, &shown, "").await.text();
    assert!(html.contains("Scan with WeChat to pay"));
    let query = "?channel=wechat.native";
    let status = gateway.public(Method::GET, &format!("{path}/status{query}"), "").await.json();
    assert_eq!(status["stage"], "scan");
    assert_eq!(
        gateway.public(Method::GET, &format!("{path}/status"), "").await.json()["stage"],
        "go"
    );
    let picture = gateway.public(Method::GET, &format!("{path}/qr.png{query}"), "").await;
    assert!(picture.body.starts_with(b"\x89PNG"));
    let go = gateway.public(Method::GET, &format!("{path}/go?channel=alipay.page"), "").await;
    assert_eq!(go.header("location"), PAGE_URL);
    gateway.public(Method::POST, "/notify/wechat/shop-wechat", "20261121-0001 1200").await;
    let html = gateway.public(Method::GET, &shown, "").await.text();
    assert!(html.contains("<h1>Paid</h1>") && !html.contains("<button"));
    let late = choose(&gateway, &path, "channel=alipay.page").await;
    assert_eq!((late.status.as_u16(), late.header("location")), (303, path.as_str()));
}

#[tokio::test]
async fn what_a_payer_cannot_choose_is_a_page_that_leads_back() {
    let gateway = Gateway::start().await;
    let (charge, path) = open(&gateway).await;
    for form in ["", "channel=wechat.jsapi", "channel=alipay.qr", "channel=x&lang=zh", "\u{0}=%ff"]
    {
        let answer = choose(&gateway, &path, form).await;
        assert_eq!(answer.status, 409, "{form}");
        assert!(answer.text().contains(&format!("href=\"{path}\"")), "{form}");
    }
    let fixed = gateway.charge("wechat.native", "20261121-0002").await;
    let fixed = format!("/pay/{}", fixed["id"].as_str().unwrap());
    assert!(!gateway.public(Method::GET, &fixed, "").await.text().contains("<button"));
    assert_eq!(choose(&gateway, &fixed, "channel=alipay.page").await.status, 409);
    for path in ["/pay/ch_00000000000000000000000000", "/pay/nonsense"] {
        assert_eq!(choose(&gateway, path, "channel=alipay.page").await.status, 404);
    }
    let long = choose(&gateway, &path, &"x".repeat(2000)).await;
    assert_eq!(long.status, 409);
    let path = format!("/v1/charges/{}", charge["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.json()["attempts"], json!([]));
}

#[tokio::test]
async fn channels_are_listed_with_the_reason_why_not() {
    let gateway = Gateway::start().await;
    let list = gateway.get("/v1/channels").await.json();
    let all = list["data"].as_array().unwrap();
    assert_eq!(all.len(), 13);
    let find = |name: &str| all.iter().find(|one| one["channel"] == name).unwrap();
    let native = find("wechat.native");
    assert_eq!((&native["available"], &native["reason"]), (&json!(true), &Value::Null));
    assert_eq!(native["accounts"], json!(["shop-wechat"]));
    let legacy = find("alipay.legacy_page");
    assert_eq!((&legacy["available"], &legacy["accounts"]), (&json!(false), &json!([])));
    assert!(legacy["reason"].as_str().unwrap().contains("None of the alipay accounts"));
    assert_eq!(gateway.get("/v1/channels?limit=1").await.problem().1, "unknown_parameter");
}
