//! What belongs to one app or mode is not there for another.

use crate::world::{World, id};
use serde_json::{Value, json};

#[tokio::test]
async fn another_app_and_live_keys_see_nothing() {
    let world = World::start().await;
    let charge = world.order("wechat.native").await;
    let events = world.get("/v1/events").await;
    let event = id(&events["data"][0]).to_owned();
    let endpoint = json!({"url": "http://127.0.0.1:1/"});
    let endpoint = world.post("/v1/webhook_endpoints", endpoint).await.expect(201);
    for key in ["other_secret_key", "live_secret_key"] {
        let authorization = format!("Bearer {}", world.key(key));
        let call = async |method: &str, path: String, body: Option<Value>| {
            let headers = [("authorization", authorization.as_str())];
            world.try_call(method, &path, body, &headers).await.unwrap()
        };
        let hidden = [
            ("GET", format!("/v1/charges/{}", id(&charge)), None),
            ("POST", format!("/v1/charges/{}/close", id(&charge)), Some(json!({}))),
            ("POST", format!("/v1/charges/{}/sync", id(&charge)), Some(json!({}))),
            ("GET", format!("/v1/charges/{}/qr.svg", id(&charge)), None),
            ("GET", format!("/v1/events/{event}"), None),
            ("GET", format!("/v1/webhook_endpoints/{}", id(&endpoint)), None),
            ("PATCH", format!("/v1/webhook_endpoints/{}", id(&endpoint)), Some(json!({}))),
            ("DELETE", format!("/v1/webhook_endpoints/{}", id(&endpoint)), None),
        ];
        for (method, path, body) in hidden {
            assert_eq!(call(method, path.clone(), body).await.problem(404), "not_found", "{path}");
        }
        for list in ["charges", "events", "webhook_endpoints", "deliveries"] {
            let list = call("GET", format!("/v1/{list}"), None).await.expect(200);
            assert_eq!(list["data"], json!([]), "{key}");
        }
    }
    assert_eq!(world.charge(&charge).await["status"], "pending");
    world.finish().await;
}

/// Live keys never reach the sandbox: the app has no live account.
#[tokio::test]
async fn a_live_key_does_not_reach_the_sandbox() {
    let world = World::start().await;
    let body = json!({"amount": 1, "subject": "x", "channel": "wechat.native"});
    let authorization = format!("Bearer {}", world.key("live_secret_key"));
    let headers = [("authorization", authorization.as_str())];
    let answer = world.try_call("POST", "/v1/charges", Some(body), &headers).await.unwrap();
    assert_eq!(answer.problem(400), "account_missing");
    assert!(world.shown("requests").await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn no_key_and_wrong_keys_are_told_apart() {
    let world = World::start().await;
    let cases = [
        ("", "authentication_required"),
        ("Basic eDp5", "authentication_required"),
        ("Bearer sk_test_nothing", "invalid_key"),
    ];
    for (value, code) in cases {
        let headers = [("authorization", value)];
        let answer = world.try_call("GET", "/v1/charges", None, &headers).await.unwrap();
        assert_eq!(answer.problem(401), code, "{value}");
    }
    world.finish().await;
}
