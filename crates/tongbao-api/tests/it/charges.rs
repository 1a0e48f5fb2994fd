//! Charges from creation to their end, through HTTP.

use crate::gateway::Gateway;
use crate::pretended::CODE_URL;
use http::{Method, Request};
use serde_json::json;

#[tokio::test]
async fn a_charge_is_made_read_found_and_closed() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    assert_eq!(charge["action"], json!({"type": "qr_code", "code_url": CODE_URL}));
    assert_eq!(charge["amount"], 1200);
    assert_eq!(charge["metadata"], json!({"cart": "7"}));
    assert_eq!(charge["attempts"][0]["out_trade_no"], "20261121-0001");
    let path = format!("/v1/charges/{}", charge["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.json(), charge);
    for query in [
        "order_no=20261121-0001",
        "status=pending&channel=wechat.native",
        "created_after=2020-01-01T00:00:00Z&created_before=2030-01-01T00:00:00Z",
    ] {
        let list = gateway.get(&format!("/v1/charges?{query}")).await.json();
        assert_eq!(list, json!({"object": "list", "data": [charge], "has_more": false}), "{query}");
    }
    let none = gateway.get("/v1/charges?status=succeeded").await.json();
    assert_eq!(none["data"], json!([]));
    let synced = gateway.post(&format!("{path}/sync"), "").await;
    assert_eq!((synced.status.as_u16(), &synced.json()["status"]), (200, &json!("pending")));
    let closed = gateway.post(&format!("{path}/close"), "{}").await;
    assert_eq!((closed.status.as_u16(), &closed.json()["status"]), (200, &json!("closed")));
    assert_eq!(closed.json()["close_reason"], "requested");
    let unknown = gateway.post(&format!("{path}/close"), "{\"now\": true}").await;
    assert_eq!(unknown.problem().1, "unknown_parameter");
}

#[tokio::test]
async fn nothing_crosses_apps_and_modes() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let path = format!("/v1/charges/{}", charge["id"].as_str().unwrap());
    for key in [&gateway.other_key, &gateway.live_key] {
        for (method, path) in [
            (Method::GET, path.clone()),
            (Method::POST, format!("{path}/close")),
            (Method::POST, format!("{path}/sync")),
            (Method::GET, format!("{path}/qr.svg")),
            (Method::GET, format!("{path}/watch")),
        ] {
            let request = Request::builder().method(method).uri(&path);
            let request = request.header("Authorization", format!("Bearer {key}"));
            let answer = gateway.send(request.body(axum::body::Body::empty()).unwrap()).await;
            assert_eq!(answer.problem().1, "not_found", "{path}");
        }
    }
    assert_eq!(gateway.get(&path).await.json()["status"], "pending");
}

#[tokio::test]
async fn an_order_no_is_used_once() {
    let gateway = Gateway::start().await;
    gateway.charge("wechat.native", "20261121-0001").await;
    let body = r#"{"amount": 5, "subject": "again", "order_no": "20261121-0001"}"#;
    let answer = gateway.post("/v1/charges", body).await;
    assert_eq!(answer.problem(), (409, "order_no_in_use".to_owned(), "order_no".to_owned()));
}

#[tokio::test]
async fn the_providers_no_is_shown_in_its_own_words() {
    let gateway = Gateway::start().await;
    let body = r#"{"amount": 5, "subject": "refuse", "channel": "wechat.native"}"#;
    let answer = gateway.post("/v1/charges", body).await;
    assert_eq!(answer.problem().0, 402);
    let json = answer.json();
    assert_eq!(json["code"], "provider_refused");
    let said = &json["provider"];
    assert_eq!((&said["name"], &said["code"]), (&json!("wechat"), &json!("NOAUTH")));
    assert_eq!(said["message"], "商户无此接口权限");
    assert!(said["fix"].as_str().unwrap().starts_with("Open the product"));
    assert!(said["fix_zh"].as_str().unwrap().contains("商户平台"));
    assert_eq!((&json["money_moved"], &json["retry"]), (&json!("no"), &json!("never")));
    let id = json["charge"].as_str().unwrap();
    assert_eq!(gateway.get(&format!("/v1/charges/{id}")).await.json()["status"], "failed");
}

#[tokio::test]
async fn silence_of_the_provider_is_a_pending_charge_without_an_action() {
    let gateway = Gateway::start().await;
    let body = r#"{"amount": 5, "subject": "silence", "channel": "wechat.native"}"#;
    let answer = gateway.post("/v1/charges", body).await;
    assert_eq!(answer.status, 201);
    let charge = answer.json();
    assert_eq!((&charge["status"], &charge["action"]), (&json!("pending"), &json!(null)));
}

#[tokio::test]
async fn pages_of_a_list_join_without_gap_or_overlap() {
    let gateway = Gateway::start().await;
    for n in 0..5 {
        gateway.charge("wechat.native", &format!("order-{n}")).await;
    }
    let page = async |query: &str| {
        let list = gateway.get(&format!("/v1/charges?limit=2{query}")).await.json();
        let orders: Vec<String> = list["data"].as_array().unwrap().iter().map(order_no).collect();
        let ends = [list["data"][0]["id"].clone(), list["data"][1]["id"].clone()];
        (orders.join(" "), list["has_more"].as_bool().unwrap(), ends)
    };
    let (first, more, ends) = page("").await;
    assert_eq!((first.as_str(), more), ("order-4 order-3", true));
    let after = format!("&starting_after={}", ends[1].as_str().unwrap());
    let (second, more, ends) = page(&after).await;
    assert_eq!((second.as_str(), more), ("order-2 order-1", true));
    let after = format!("&starting_after={}", ends[1].as_str().unwrap());
    let (third, more, _) = page(&after).await;
    assert_eq!((third.as_str(), more), ("order-0", false));
    let before = format!("&ending_before={}", ends[0].as_str().unwrap());
    let (back, more, _) = page(&before).await;
    assert_eq!((back.as_str(), more), ("order-4 order-3", false));
    let both = format!("{after}{before}");
    let answer = gateway.get(&format!("/v1/charges?limit=2{both}")).await;
    assert_eq!(answer.problem().2, "ending_before");
}

fn order_no(charge: &serde_json::Value) -> String {
    charge["order_no"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn expiry_is_said_in_seconds_in_words_or_as_a_moment() {
    let gateway = Gateway::start().await;
    for value in ["600", "\"10m\"", "\"2026-11-30T00:00:00Z\""] {
        let name = if value.contains('T') { "expires_at" } else { "expires_in" };
        gateway.clock.advance(tongbao_types::Span::from_seconds(86_400));
        let body = format!(r#"{{"amount": 5, "subject": "tea", "{name}": {value}}}"#);
        let answer = gateway.post("/v1/charges", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
}

#[tokio::test]
async fn the_code_is_a_picture_for_key_and_client_secret_alone() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let id = charge["id"].as_str().unwrap();
    let secret = charge["client_secret"].as_str().unwrap();
    let svg = gateway.get(&format!("/v1/charges/{id}/qr.svg")).await;
    assert_eq!((svg.status.as_u16(), svg.header("content-type")), (200, "image/svg+xml"));
    let png = format!("/v1/charges/{id}/qr.png");
    let shown = gateway.public(Method::GET, &format!("{png}?client_secret={secret}"), "").await;
    assert_eq!((shown.status.as_u16(), shown.header("content-type")), (200, "image/png"));
    assert!(shown.body.starts_with(b"\x89PNG"));
    let wrong = gateway.public(Method::GET, &format!("{png}?client_secret=x"), "").await;
    assert_eq!(wrong.problem().1, "not_found");
    assert_eq!(gateway.public(Method::GET, &png, "").await.problem().0, 401);
    gateway.post(&format!("/v1/charges/{id}/close"), "").await;
    assert_eq!(gateway.get(&png).await.problem().1, "charge_not_pending");
    let page = gateway.charge("alipay.page", "20261121-0002").await;
    let path = format!("/v1/charges/{}/qr.svg", page["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.problem().1, "not_found");
}
