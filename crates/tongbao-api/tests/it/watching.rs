//! Server-sent events about one charge, for the merchant and for the payer.

use crate::gateway::Gateway;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::Value;
use std::time::Duration;

/// The next event's data; nothing once the stream has ended.
async fn next(body: &mut Body) -> Option<Value> {
    let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
    let bytes = frame.expect("nothing came").map(|frame| frame.unwrap().into_data().unwrap())?;
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let data = text.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
    Some(serde_json::from_str(data).unwrap())
}

fn without_key(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_watcher_sees_the_charge_now_and_its_end() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let path = format!("/v1/charges/{}/watch", charge["id"].as_str().unwrap());
    let (parts, mut body) = gateway.open(gateway.request(Method::GET, &path, "")).await;
    assert_eq!(parts.headers["content-type"], "text/event-stream");
    assert_eq!(next(&mut body).await.unwrap(), charge);
    gateway.public(Method::POST, "/notify/wechat/shop-wechat", "20261121-0001 1200").await;
    let paid = next(&mut body).await.unwrap();
    assert_eq!((paid["status"].as_str(), &paid["id"]), (Some("succeeded"), &charge["id"]));
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn a_payer_with_the_client_secret_sees_less_and_from_any_site() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let path = format!("/v1/charges/{}/watch", charge["id"].as_str().unwrap());
    let secret = charge["client_secret"].as_str().unwrap();
    let request = without_key(&format!("{path}?client_secret={secret}"));
    let (parts, mut body) = gateway.open(request).await;
    assert_eq!(parts.headers["access-control-allow-origin"], "*");
    let seen = next(&mut body).await.unwrap();
    assert_eq!((&seen["status"], &seen["action"]), (&charge["status"], &charge["action"]));
    for hidden in ["client_secret", "metadata", "attempts", "payer", "app", "refused_notices"] {
        assert!(seen.get(hidden).is_none(), "{hidden} is shown");
    }
    let other = gateway.charge("wechat.native", "20261121-0002").await;
    let foreign = other["client_secret"].as_str().unwrap();
    for query in ["", "?client_secret=", &format!("?client_secret={foreign}"), "?secret=1"] {
        let answer = gateway.send(without_key(&format!("{path}{query}"))).await;
        assert!(answer.status.is_client_error(), "{query}");
    }
}

#[tokio::test]
async fn the_server_can_stop_while_somebody_watches() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let id = charge["id"].as_str().unwrap();
    let (_, mut body) = gateway.open(without_key(&format!("/pay/{id}/events"))).await;
    assert_eq!(next(&mut body).await.unwrap()["stage"], "scan");
    gateway.stop.now.cancel();
    assert_eq!(next(&mut body).await, None);
}

#[tokio::test]
async fn the_cashiers_page_hears_of_the_payment_and_of_nothing_private() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let id = charge["id"].as_str().unwrap();
    let (_, mut body) = gateway.open(without_key(&format!("/pay/{id}/events"))).await;
    let first = next(&mut body).await.unwrap();
    let names: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(names, ["seconds_left", "stage", "status"]);
    gateway.public(Method::POST, "/notify/wechat/shop-wechat", "20261121-0001 1200").await;
    assert_eq!(next(&mut body).await.unwrap()["stage"], "paid");
    assert_eq!(next(&mut body).await, None);
    let status = gateway.public(Method::GET, &format!("/pay/{id}/status"), "").await;
    assert_eq!(status.json()["stage"], "paid");
}
