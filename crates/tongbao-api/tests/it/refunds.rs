//! Refunds through HTTP.

use crate::gateway::{Answer, Gateway};
use http::{HeaderValue, Method};
use serde_json::{Value, json};

fn of(charge: &Value, more: &str) -> String {
    format!(r#"{{"charge": {}{more}}}"#, charge["id"])
}

async fn post(gateway: &Gateway, body: &str, key: &str) -> Answer {
    let mut request = gateway.request(Method::POST, "/v1/refunds", body);
    request.headers_mut().insert("idempotency-key", HeaderValue::from_str(key).unwrap());
    gateway.send(request).await
}

#[tokio::test]
async fn a_refund_is_made_read_and_found() {
    let gateway = Gateway::start().await;
    let charge = gateway.paid("20261121-0001").await;
    let more =
        r#", "amount": 500, "reason": "damaged", "refund_no": "R-1", "metadata": {"a": "b"}"#;
    let first = post(&gateway, &of(&charge, more), "k1").await;
    assert_eq!(first.status, 201, "{}", first.text());
    let refund = first.json();
    assert_eq!((&refund["object"], &refund["amount"]), (&json!("refund"), &json!(500)));
    assert_eq!((&refund["status"], &refund["refund_no"]), (&json!("succeeded"), &json!("R-1")));
    assert_eq!((&refund["reason"], &refund["metadata"]), (&json!("damaged"), &json!({"a": "b"})));
    let again = post(&gateway, &of(&charge, more), "k1").await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, first.body);
    let path = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.json(), refund);
    let id = charge["id"].as_str().unwrap();
    for query in [
        format!("charge={id}"),
        "refund_no=R-1".to_owned(),
        "status=succeeded&created_after=2020-01-01T00:00:00Z".to_owned(),
    ] {
        let list = gateway.get(&format!("/v1/refunds?{query}")).await.json();
        assert_eq!(list, json!({"object": "list", "data": [refund], "has_more": false}), "{query}");
    }
    let none = gateway.get("/v1/refunds?status=failed").await.json();
    assert_eq!(none["data"], json!([]));
    let rest = gateway.post("/v1/refunds", &of(&charge, "")).await.json();
    assert_eq!(rest["amount"], 700);
    let charge = gateway.get(&format!("/v1/charges/{id}")).await.json();
    assert_eq!((&charge["amount_paid"], &charge["amount_refunded"]), (&json!(1200), &json!(1200)));
    let events = gateway.get("/v1/events?type=refund.succeeded").await.json();
    assert_eq!(events["data"][1]["data"]["object"], refund);
}

#[tokio::test]
async fn what_cannot_go_back_is_said_with_a_code_and_whether_money_moved() {
    let gateway = Gateway::start().await;
    let charge = gateway.paid("20261121-0001").await;
    let open = gateway.charge("wechat.native", "20261121-0002").await;
    let missing = json!({"id": "ch_00000000000000000000000000"});
    let post =
        async |charge: &Value, more: &str| gateway.post("/v1/refunds", &of(charge, more)).await;
    let check = |answer: Answer, wanted: (u16, &str, &str)| {
        let (status, code, param) = answer.problem();
        assert_eq!((status, code.as_str(), param.as_str()), wanted);
        let body = answer.json();
        assert_eq!((&body["money_moved"], &body["retry"]), (&json!("no"), &json!("never")));
        body
    };
    check(post(&charge, r#", "amount": 1201"#).await, (400, "refund_too_large", "amount"));
    check(post(&charge, r#", "amount": 0"#).await, (400, "amount_too_small", "amount"));
    check(post(&charge, r#", "amount": "5""#).await, (400, "invalid_parameter", "amount"));
    check(post(&charge, r#", "reason": "a\nb""#).await, (400, "invalid_parameter", "reason"));
    check(post(&charge, r#", "refund_no": "a b""#).await, (400, "invalid_parameter", "refund_no"));
    check(post(&charge, r#", "attempt": "at_1""#).await, (400, "invalid_parameter", "attempt"));
    check(post(&charge, r#", "currency": "CNY""#).await, (400, "unknown_parameter", "currency"));
    check(post(&open, "").await, (400, "nothing_to_refund", "charge"));
    check(post(&missing, "").await, (404, "not_found", "charge"));
    let refused = post(&charge, r#", "reason": "refuse", "amount": 100"#).await;
    let refused = check(refused, (402, "provider_refused", ""));
    assert_eq!(refused["provider"]["code"], "NOTENOUGH");
    let path = format!("/v1/refunds/{}", refused["refund"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.json()["status"], "failed");
    let silent = post(&charge, r#", "reason": "silence", "refund_no": "S""#).await;
    assert_eq!((silent.status.as_u16(), &silent.json()["status"]), (201, &json!("pending")));
    check(post(&charge, r#", "amount": 1"#).await, (400, "refund_too_large", "amount"));
    for (query, param) in [("status=paid", "status"), ("charge=ch_1", "charge"), ("x=1", "x")] {
        let answer = gateway.get(&format!("/v1/refunds?{query}")).await;
        assert_eq!((answer.problem().0, answer.problem().2.as_str()), (400, param));
    }
}

#[tokio::test]
async fn another_app_sees_no_refund() {
    let gateway = Gateway::start().await;
    let charge = gateway.paid("20261121-0001").await;
    let refund = gateway.post("/v1/refunds", &of(&charge, "")).await.json();
    let path = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
    for key in [&gateway.other_key, &gateway.live_key] {
        let with = |method, path: &str, body: &str| {
            let mut request = gateway.request(method, path, body);
            let bearer = HeaderValue::from_str(&format!("Bearer {key}")).unwrap();
            request.headers_mut().insert("authorization", bearer);
            request
        };
        assert_eq!(gateway.send(with(Method::GET, &path, "")).await.status, 404);
        let list = gateway.send(with(Method::GET, "/v1/refunds", "")).await.json();
        assert_eq!(list["data"], json!([]));
        let made = gateway.send(with(Method::POST, "/v1/refunds", &of(&charge, ""))).await;
        assert_eq!(made.problem().1, "not_found");
    }
}
