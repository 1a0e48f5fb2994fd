//! Pages for people: the cashier, small pages, the reference; and health for machines.

use crate::gateway::Gateway;
use crate::pretended::PAGE_URL;
use axum::body::Body;
use http::{Method, Request};

#[tokio::test]
async fn the_cashier_speaks_the_payers_language_and_shows_the_code() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let path = format!("/pay/{}", charge["id"].as_str().unwrap());
    let english = gateway.public(Method::GET, &path, "").await;
    assert_eq!((english.status.as_u16(), english.header("cache-control")), (200, "no-store"));
    assert!(!english.header("content-security-policy").contains("unsafe"));
    let html = english.text();
    for part in ["Scan with WeChat to pay", "12.00", "<svg", "tea", "http-equiv=\"refresh\""] {
        assert!(html.contains(part), "{part}");
    }
    for hidden in [charge["client_secret"].as_str().unwrap(), "cart", "shop.example"] {
        assert!(!html.contains(hidden), "{hidden}");
    }
    let chinese = gateway.public(Method::GET, &format!("{path}?lang=zh&from=mail"), "").await;
    assert!(chinese.text().contains("请用微信扫码付款"));
    let png = gateway.public(Method::GET, &format!("{path}/qr.png"), "").await;
    assert!(png.body.starts_with(b"\x89PNG"));
    gateway.public(Method::POST, "/notify/wechat/shop-wechat", "20261121-0001 1200").await;
    let paid = gateway.public(Method::GET, &path, "").await.text();
    assert!(paid.contains("<h1>Paid</h1>") && paid.contains("https://shop.example/done"));
    assert!(!paid.contains("http-equiv"));
}

#[tokio::test]
async fn the_button_leads_to_the_provider_while_there_is_something_to_pay() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("alipay.page", "20261121-0001").await;
    let path = format!("/pay/{}", charge["id"].as_str().unwrap());
    let html = gateway.public(Method::GET, &path, "").await.text();
    assert!(html.contains(&format!("{path}/go")) && html.contains("Continue to Alipay"));
    let go = gateway.public(Method::GET, &format!("{path}/go"), "").await;
    assert_eq!((go.status.as_u16(), go.header("location")), (303, PAGE_URL));
    gateway.post(&format!("/v1/charges/{}/close", charge["id"].as_str().unwrap()), "").await;
    let go = gateway.public(Method::GET, &format!("{path}/go"), "").await;
    assert_eq!((go.status.as_u16(), go.header("location")), (303, path.as_str()));
    let html = gateway.public(Method::GET, &path, "").await.text();
    assert!(html.contains("This order is closed"));
}

#[tokio::test]
async fn what_is_not_there_is_a_page_for_people_and_a_problem_for_programs() {
    let gateway = Gateway::start().await;
    for path in ["/pay/ch_00000000000000000000000000", "/pay/nonsense", "/pay/nonsense/go"] {
        let answer = gateway.public(Method::GET, path, "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text().contains("There is no such order"), "{path}");
    }
    let page = gateway.public(Method::GET, "/nowhere", "").await;
    assert_eq!(page.status, 404);
    assert!(page.text().contains("There is nothing here"));
    let program = Request::get("/nowhere").body(Body::empty()).unwrap();
    assert_eq!(gateway.send(program).await.problem().1, "not_found");
    let under_v1 = gateway.public(Method::GET, "/v1/nowhere", "").await;
    assert_eq!(under_v1.problem().1, "not_found");
}

#[tokio::test]
async fn the_reference_is_served_from_here_alone() {
    let gateway = Gateway::start().await;
    let docs = gateway.public(Method::GET, "/docs", "").await;
    assert_eq!(docs.status, 200);
    assert!(docs.header("content-security-policy").contains("script-src 'self';"));
    assert!(!docs.text().contains("https://"), "{}", docs.text());
    for asset in docs.text().split('"').filter(|part| part.starts_with("/assets/")) {
        let answer = gateway.public(Method::GET, asset, "").await;
        assert_eq!(answer.status, 200, "{asset}");
        let tagged = Request::get(asset).header("If-None-Match", answer.header("etag"));
        assert_eq!(gateway.send(tagged.body(Body::empty()).unwrap()).await.status, 304);
    }
    let viewer = gateway.public(Method::GET, "/assets/scalar.js", "").await;
    assert_eq!(viewer.header("content-encoding"), "gzip");
    assert!(viewer.body.starts_with(b"\x1f\x8b"));
    let missing = gateway.public(Method::GET, "/assets/..%2FCargo.toml", "").await;
    assert_eq!(missing.status, 404);
    let document = gateway.public(Method::GET, "/openapi.json", "").await;
    assert_eq!(document.text(), tongbao_api::document());
}

#[tokio::test]
async fn health_answers_without_a_key() {
    let gateway = Gateway::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = gateway.public(Method::GET, path, "").await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, r#"{"status":"ok"}"#));
    }
}

#[tokio::test]
async fn an_instance_that_will_stop_is_alive_and_not_ready() {
    let gateway = Gateway::start().await;
    gateway.stop.soon.cancel();
    assert_eq!(gateway.public(Method::GET, "/healthz", "").await.status, 200);
    let answer = gateway.public(Method::GET, "/readyz", "").await;
    assert_eq!(answer.status, 503);
    let problem = answer.json();
    assert_eq!(problem["code"], "unavailable");
    assert!(problem["detail"].as_str().unwrap().contains("stopping"), "{problem}");
}
