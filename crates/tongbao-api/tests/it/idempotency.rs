//! `Idempotency-Key`: the same request gets the first reply, another request is refused.

use crate::gateway::{Answer, Gateway};
use http::{HeaderValue, Method};

const BODY: &str = r#"{"amount": 5, "subject": "tea", "channel": "wechat.native"}"#;

async fn post(gateway: &Gateway, path: &str, body: &str, key: &str) -> Answer {
    let mut request = gateway.request(Method::POST, path, body);
    request.headers_mut().insert("idempotency-key", HeaderValue::from_str(key).unwrap());
    gateway.send(request).await
}

#[tokio::test]
async fn the_same_request_gets_the_first_reply_again() {
    let gateway = Gateway::start().await;
    let first = post(&gateway, "/v1/charges", BODY, "k1").await;
    let again = post(&gateway, "/v1/charges", BODY, "k1").await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_ne!(first.header("request-id"), again.header("request-id"));
    let list = gateway.get("/v1/charges").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() {
    let gateway = Gateway::start().await;
    let charge = post(&gateway, "/v1/charges", BODY, "k1").await.json();
    let other = post(&gateway, "/v1/charges", &BODY.replace('5', "6"), "k1").await;
    assert_eq!(other.problem().1, "idempotency_key_reused");
    let path = format!("/v1/charges/{}/close", charge["id"].as_str().unwrap());
    assert_eq!(post(&gateway, &path, "", "k1").await.problem().1, "idempotency_key_reused");
    assert_eq!(post(&gateway, "/v1/charges", BODY, "k2").await.status, 201);
}

#[tokio::test]
async fn a_refusal_by_the_provider_is_repeated_too() {
    let gateway = Gateway::start().await;
    let body = BODY.replace("tea", "refuse");
    let first = post(&gateway, "/v1/charges", &body, "k1").await;
    let again = post(&gateway, "/v1/charges", &body, "k1").await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (402, 402));
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("content-type"), "application/problem+json");
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn every_post_takes_a_key_and_a_bad_one_is_refused() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let path = format!("/v1/charges/{}", charge["id"].as_str().unwrap());
    for path in [format!("{path}/sync"), format!("{path}/close")] {
        let first = post(&gateway, &path, "", &path).await;
        let again = post(&gateway, &path, "", &path).await;
        assert_eq!(first.status, 200, "{}", first.text());
        assert_eq!((first.body, again.header("idempotent-replayed")), (again.body.clone(), "true"));
    }
    let long = post(&gateway, "/v1/charges", BODY, &"k".repeat(256)).await;
    assert_eq!(long.problem(), (400, "invalid_parameter".into(), "Idempotency-Key".into()));
    assert_eq!(post(&gateway, "/v1/charges", BODY, &"k".repeat(255)).await.status, 201);
}
