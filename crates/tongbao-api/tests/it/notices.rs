//! Providers tell, browsers come back.

use crate::gateway::Gateway;
use http::Method;

#[tokio::test]
async fn a_notice_reaches_the_engine_raw_and_its_answer_goes_out_as_it_is() {
    let gateway = Gateway::start().await;
    let charge = gateway.charge("wechat.native", "20261121-0001").await;
    let path = format!("/v1/charges/{}", charge["id"].as_str().unwrap());
    let notify = async |path: &str, body: &str| gateway.public(Method::POST, path, body).await;
    let account = "/notify/wechat/shop-wechat";
    let refused = notify(account, "20261121-0001 1199").await;
    assert_eq!((refused.status.as_u16(), refused.text().as_str()), (401, "failure"));
    assert_eq!(gateway.get(&path).await.json()["paid"], false);
    let notices = gateway.get(&path).await.json()["refused_notices"].clone();
    assert_eq!(notices[0]["code"], "amount_mismatch");
    for _ in 0..3 {
        let accepted = notify(account, "20261121-0001 1200").await;
        assert_eq!((accepted.status.as_u16(), accepted.text().as_str()), (200, "success"));
    }
    let paid = gateway.get(&path).await.json();
    assert_eq!((paid["status"].as_str(), paid["paid"].as_bool()), (Some("succeeded"), Some(true)));
    let events = gateway.get("/v1/events?type=charge.succeeded").await.json();
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_no_notice_is_refused_before_the_engine() {
    let gateway = Gateway::start().await;
    let long = "x".repeat(65_537);
    let answer = gateway.public(Method::POST, "/notify/wechat/shop-wechat", &long).await;
    assert_eq!(answer.problem().1, "body_too_large");
    let fits = gateway.public(Method::POST, "/notify/wechat/shop-wechat", &long[..65_536]).await;
    assert_eq!(fits.text(), "failure");
    for path in ["/notify/wechat/nobody", "/notify/alipay/shop-wechat", "/notify/wechat/%ff"] {
        assert_eq!(gateway.public(Method::POST, path, "a 1").await.status, 404, "{path}");
    }
    for method in [Method::GET, Method::PUT] {
        let answer = gateway.public(method, "/notify/alipay/shop-alipay", "").await;
        assert_eq!(answer.problem().1, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_browser_that_comes_back_goes_on_to_the_shop_or_to_the_cashier() {
    let gateway = Gateway::start().await;
    gateway.charge("alipay.page", "20261121-0001").await;
    let path = "/return/alipay/shop-alipay?out_trade_no=20261121-0001";
    let answer = gateway.public(Method::GET, path, "").await;
    let wanted = (303, "https://shop.example/done");
    assert_eq!((answer.status.as_u16(), answer.header("location")), wanted);
    let body = r#"{"amount": 5, "subject": "tea", "channel": "alipay.page", "order_no": "bare-1"}"#;
    let bare = gateway.post("/v1/charges", body).await.json();
    let path = "/return/alipay/shop-alipay?out_trade_no=bare-1";
    let answer = gateway.public(Method::GET, path, "").await;
    let cashier = format!("/pay/{}", bare["id"].as_str().unwrap());
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, cashier.as_str()));
    for path in ["/return/alipay/shop-alipay?out_trade_no=nothing-1", "/return/alipay/nobody?a=1"] {
        let answer = gateway.public(Method::GET, path, "").await;
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains("There is no such order"), "{}", answer.text());
    }
}
