//! The wallet and the cashier, as a browser without scripts uses them.

use crate::stand::Stand;
use crate::wechat_v3::{self, Shop};
use serde_json::json;

async fn page(stand: &Stand, path: &str, language: &str) -> String {
    let request = stand.client.get(format!("{}{path}", stand.base));
    let response = request.header("Accept-Language", language).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_wallet_lists_pays_and_shows_the_traffic_in_two_languages() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let code = shop.place(&wechat_v3::order("T20261121001", "http://127.0.0.1:9/n")).await.unwrap();
    let english = page(&stand, "/", "en-US,en").await;
    assert!(english.contains("Orders to pay") && english.contains("T20261121001"));
    assert!(english.contains("¥12.00") && english.contains("signature: good"), "{english}");
    assert!(page(&stand, "/", "zh-CN").await.contains("待付款订单"));
    assert!(page(&stand, "/?lang=zh-CN", "en").await.contains("待付款订单"));
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("code", &code).finish();
    assert!(page(&stand, &format!("/?{query}"), "en").await.contains("order big"));

    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("code", &code)
        .append_pair("outcome", "success")
        .append_pair("lang", "en")
        .finish();
    let url = format!("{}/_sandbox/wallet", stand.base);
    let request = stand.client.post(url).body(form);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 303);
    let to = response.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(to, "/?lang=en&said=success");
    assert!(page(&stand, &to, "zh").await.contains("role=\"status\">Paid</p>"));
    assert_eq!(stand.list("trades").await[0]["state"], json!("SUCCESS"));
}

#[tokio::test]
async fn pages_have_no_inline_script_and_escape_what_merchants_wrote() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut order = wechat_v3::order("T20261121001", "http://127.0.0.1:9/n");
    order.description = "<script>alert(1)</script>".to_owned();
    shop.place(&order).await.unwrap();
    let html = page(&stand, "/", "en").await;
    assert!(!html.contains("<script>") && !html.contains("onclick"), "{html}");
    assert!(html.contains("&#60;script&#62;alert(1)"), "{html}");
    for (asset, kind) in
        [("wallet.css", "text/css; charset=utf-8"), ("wallet.js", "text/javascript; charset=utf-8")]
    {
        let url = format!("{}/_sandbox/assets/{asset}", stand.base);
        let response = stand.client.get(url).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &kind.parse().unwrap())
        );
    }
    let url = format!("{}/_sandbox/assets/..%2fCargo.toml", stand.base);
    assert_eq!(stand.client.get(url).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_browser_that_opens_a_code_lands_in_the_wallet() {
    let stand = Stand::start().await;
    let response = stand.client.get(format!("{}/bax123", stand.base)).send().await.unwrap();
    assert_eq!(response.status(), 303);
    let to = response.headers()["location"].to_str().unwrap();
    assert_eq!(to, "/?code=https%3A%2F%2Fqr.alipay.com%2Fbax123");
}
