//! The stand-in for WeChat's login, and the page that an H5 address leads to.

use crate::stand::Stand;
use crate::wechat_v2::{merchant, order};
use serde_json::{Value, json};
use tongbao_wechat::v2::UnifiedOrder;
use tongbao_wechat::{Answer, Prepaid, SignType, TradeType, h5_redirect};

async fn get(stand: &Stand, path: &str, query: &[(&str, &str)]) -> (u16, String, String) {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    let url = format!("{}{path}?{query}", stand.base);
    let response = stand.client.get(url).send().await.unwrap();
    let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    (response.status().as_u16(), to.unwrap_or_default(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_login_gives_the_payers_openid_once() {
    let stand = Stand::start().await;
    let wechat = &stand.keys.wechat;
    let back = "https://shop.example.com/back?a=1";
    let asked = [
        ("appid", wechat.app_id.as_str()),
        ("redirect_uri", back),
        ("response_type", "code"),
        ("scope", "snsapi_base"),
        ("state", "s&1"),
    ];
    let (status, to, _) = get(&stand, "/connect/oauth2/authorize", &asked).await;
    assert_eq!(status, 303);
    let to = url::Url::parse(&to).unwrap();
    let found: std::collections::HashMap<_, _> = to.query_pairs().into_owned().collect();
    assert!(to.as_str().starts_with(back) && found["state"] == "s&1");
    let token = async |secret: &str| -> Value {
        let asked = [
            ("appid", wechat.app_id.as_str()),
            ("secret", secret),
            ("code", found["code"].as_str()),
            ("grant_type", "authorization_code"),
        ];
        let (_, _, body) = get(&stand, "/sns/oauth2/access_token", &asked).await;
        serde_json::from_str(&body).unwrap()
    };
    assert_eq!(token("wrong").await["errcode"], json!(40125));
    let given = token(&wechat.app_secret).await;
    let openid = given["openid"].as_str().unwrap();
    assert_eq!((openid.len(), &openid[..1]), (28, "o"));
    assert_eq!(token(&wechat.app_secret).await["errcode"], json!(40029), "a code is good once");

    let mut wrong = asked;
    wrong[1].1 = "javascript:alert(1)";
    assert_eq!(get(&stand, "/connect/oauth2/authorize", &wrong).await.0, 400);
    wrong = asked;
    wrong[0].1 = "wx0000000000000000";
    assert_eq!(get(&stand, "/connect/oauth2/authorize", &wrong).await.0, 400);
    let asked = [
        ("appid", wechat.app_id.as_str()),
        ("secret", wechat.app_secret.as_str()),
        ("js_code", "any"),
        ("grant_type", "authorization_code"),
    ];
    let (_, _, body) = get(&stand, "/sns/jscode2session", &asked).await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["openid"], json!(openid));
}

#[tokio::test]
async fn the_page_of_an_h5_address_pays_and_goes_back() {
    let stand = Stand::start().await;
    let to = merchant(&stand, SignType::Md5);
    let order = UnifiedOrder {
        trade_type: TradeType::Mweb,
        scene_info: Some(r#"{"h5_info":{"type":"Wap"}}"#.to_owned()),
        ..order("T20261121001", "http://127.0.0.1:9/n")
    };
    let request = order.encode(&to, "5K8264ILTKCH16CQ2502SI8ZNMTM67VS");
    let answer = order.decode_reply(&to, &stand.send(&request).await).unwrap();
    let Answer::Done(Prepaid::H5Url { h5_url, prepay_id }) = answer else { panic!("{answer:?}") };
    let page = stand.client.get(h5_redirect(&h5_url, "https://shop.example.com/done"));
    let page = page.header("Accept-Language", "en").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("¥1.01") && page.contains("https://shop.example.com/done"), "{page}");

    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("prepay_id", &prepay_id.unwrap())
        .append_pair("redirect_url", "https://shop.example.com/done")
        .append_pair("outcome", "success")
        .finish();
    let url = format!("{}/cgi-bin/mmpayweb-bin/checkmweb", stand.base);
    let request = stand.client.post(url).body(form);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["location"], "https://shop.example.com/done");
    assert_eq!(stand.list("trades").await[0]["state"], json!("SUCCESS"));
}

#[tokio::test]
async fn the_page_of_an_h5_address_expires_after_five_minutes() {
    let stand = Stand::start().await;
    let to = merchant(&stand, SignType::Md5);
    let order = UnifiedOrder {
        trade_type: TradeType::Mweb,
        scene_info: Some(r#"{"h5_info":{"type":"Wap"}}"#.to_owned()),
        ..order("T20261121001", "http://127.0.0.1:9/n")
    };
    let request = order.encode(&to, "5K8264ILTKCH16CQ2502SI8ZNMTM67VS");
    let answer = order.decode_reply(&to, &stand.send(&request).await).unwrap();
    let Answer::Done(Prepaid::H5Url { h5_url, .. }) = answer else { panic!("{answer:?}") };
    stand.advance("5m").await;
    let page = stand.client.get(h5_url).send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("value=\"success\""), "{page}");
    stand.stop().await;
}
