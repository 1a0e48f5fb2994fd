//! Webhook endpoints and deliveries, through HTTP.

use crate::gateway::Gateway;
use http::Method;
use serde_json::json;

const PATH: &str = "/v1/webhook_endpoints";

#[tokio::test]
async fn an_endpoint_shows_its_secret_once_and_changes_as_asked() {
    let gateway = Gateway::start().await;
    let body = r#"{"url": "https://shop.example/hooks", "description": "main"}"#;
    let made = gateway.post(PATH, body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let mut endpoint = made.json();
    let secret = endpoint.as_object_mut().unwrap().remove("secret").unwrap();
    assert!(secret.as_str().unwrap().starts_with("whsec_"));
    assert_eq!((&endpoint["events"], &endpoint["enabled"]), (&json!(["*"]), &json!(true)));
    let path = format!("{PATH}/{}", endpoint["id"].as_str().unwrap());
    assert_eq!(gateway.get(&path).await.json(), endpoint);
    assert_eq!(gateway.get(PATH).await.json()["data"], json!([endpoint]));
    let patch = r#"{"enabled": false, "description": null, "events": ["charge.*"]}"#;
    let changed = gateway.send(gateway.request(Method::PATCH, &path, patch)).await.json();
    assert_eq!((&changed["enabled"], &changed["description"]), (&json!(false), &json!(null)));
    let kept = gateway.send(gateway.request(Method::PATCH, &path, "{}")).await.json();
    assert_eq!(kept, changed);
    let nothing = gateway.send(gateway.request(Method::PATCH, &path, "")).await;
    assert_eq!(nothing.problem().1, "invalid_json");
    let rotated = gateway.post(&format!("{path}/rotate_secret"), "").await.json();
    assert_ne!(rotated["secret"], secret);
    let deleted = gateway.send(gateway.request(Method::DELETE, &path, "")).await.json();
    assert_eq!(deleted["deleted"], true);
    assert_eq!(gateway.get(&path).await.status, 404);
}

#[tokio::test]
async fn bad_endpoints_are_refused_and_not_kept() {
    let gateway = Gateway::start().await;
    let long = format!(r#"{{"url": "https://a.example", "description": "{}"}}"#, "x".repeat(201));
    for (body, code, param) in [
        ("{}", "missing_parameter", "url"),
        (r#"{"url": "shop"}"#, "invalid_parameter", "url"),
        (r#"{"url": "http://127.0.0.1/x"}"#, "url_forbidden", "url"),
        (r#"{"url": "http://169.254.169.254/latest"}"#, "url_forbidden", "url"),
        (
            r#"{"url": "https://a.example", "events": ["charge.exploded"]}"#,
            "invalid_parameter",
            "events",
        ),
        (r#"{"url": "https://a.example", "events": []}"#, "invalid_parameter", "events"),
        (r#"{"url": "https://a.example", "events": "*"}"#, "invalid_parameter", "events"),
        (r#"{"url": "https://a.example", "events": [1]}"#, "invalid_parameter", "events[0]"),
        (r#"{"url": "https://a.example", "enabled": "yes"}"#, "invalid_parameter", "enabled"),
        (r#"{"url": "https://a.example", "secret": "mine"}"#, "unknown_parameter", "secret"),
        (long.as_str(), "invalid_parameter", "description"),
    ] {
        let answer = gateway.post(PATH, body).await;
        assert_eq!(answer.problem(), (400, code.to_owned(), param.to_owned()), "{body}");
    }
    assert_eq!(gateway.stored().await, 0);
}

#[tokio::test]
async fn a_delivery_can_be_read_found_and_sent_again() {
    let gateway = Gateway::start().await;
    let body = r#"{"url": "https://shop.example/hooks"}"#;
    let endpoint = gateway.post(PATH, body).await.json();
    gateway.charge("wechat.native", "20261121-0001").await;
    let list = gateway.get("/v1/deliveries?status=pending").await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "{list}");
    let delivery = &list["data"][0];
    let path = format!("/v1/deliveries/{}", delivery["id"].as_str().unwrap());
    assert_eq!(&gateway.get(&path).await.json(), delivery);
    let of_event = format!("/v1/deliveries?event={}", delivery["event"].as_str().unwrap());
    assert_eq!(gateway.get(&of_event).await.json()["data"], json!([delivery]));
    let to = format!("/v1/deliveries?endpoint={}", endpoint["id"].as_str().unwrap());
    assert_eq!(gateway.get(&to).await.json(), list);
    let again = gateway.post(&format!("{path}/resend"), "").await;
    assert_eq!((again.status.as_u16(), &again.json()["status"]), (200, &json!("pending")));
}
