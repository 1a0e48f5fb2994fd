//! The timetables, in sandbox time, and what ends them.

use crate::stand::{Listener, Stand};
use crate::wechat_v3::{self, Shop};
use crate::{alipay, wechat_v2};
use serde_json::json;
use tongbao_alipay::open::notify;
use tongbao_types::HttpRequest;
use tongbao_wechat::{SignType, v3};

#[tokio::test]
async fn wechat_tries_again_after_fifteen_seconds_and_stops_when_received() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(500, "").await;
    let shop = Shop::by_certificate(&stand);
    let code = shop.place(&wechat_v3::order("T20261121001", &listener.url)).await.unwrap();
    stand.pay(&code).await;
    let mut ids = Vec::new();
    for (count, pause) in [(1, "15s"), (2, "15s"), (3, "30s")] {
        let notice: HttpRequest = listener.next().await;
        ids.push(shop.payment(&notice).id);
        let listed = stand.tried(count).await;
        assert_eq!(listed["tries"][count - 1]["status"], json!(500));
        assert!(!listener.has_more());
        if count == 3 {
            listener.answer(200, "");
        }
        stand.advance(pause).await;
    }
    listener.next().await;
    let listed = stand.tried(4).await;
    assert_eq!((&listed["delivered"], listed["next_try_at"].is_null()), (&json!(true), true));
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    stand.advance("2d").await;
    assert_eq!(stand.tried(4).await["tries"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_day_moved_at_once_makes_all_the_tries_of_the_day() {
    let stand = Stand::start().await;
    let listener = Listener::start(500, "").await;
    let shop = Shop::by_certificate(&stand);
    let code = shop.place(&wechat_v3::order("T20261121001", &listener.url)).await.unwrap();
    stand.pay(&code).await;
    stand.tried(1).await;
    stand.advance("25h").await;
    let listed = stand.tried(16).await;
    assert_eq!((&listed["delivered"], listed["next_try_at"].is_null()), (&json!(false), true));
}

#[tokio::test]
async fn alipay_wants_exactly_success_and_comes_again_after_four_minutes() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "SUCCESS").await;
    let merchant = alipay::merchant(&stand);
    let qr = alipay::precreate(&stand, &merchant, "T1", Some(&listener.url)).await.unwrap();
    stand.pay(&qr).await;
    let first = notify::verify(&merchant, &listener.next().await).unwrap().into_inner();
    assert_eq!(stand.tried(1).await["tries"][0]["body"], json!("SUCCESS"));
    listener.answer(200, "success");
    stand.advance("239s").await;
    assert!(!listener.has_more());
    stand.advance("1s").await;
    let second = notify::verify(&merchant, &listener.next().await).unwrap().into_inner();
    assert_eq!(first.notify_id, second.notify_id);
    assert_eq!(stand.tried(2).await["delivered"], json!(true));
}

#[tokio::test]
async fn v2_wants_its_xml_and_not_only_a_status() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let merchant = wechat_v2::merchant(&stand, SignType::Md5);
    let order = wechat_v2::order("T20261121001", &listener.url);
    let code = wechat_v2::place(&stand, &merchant, &order).await.unwrap();
    stand.pay(&code).await;
    listener.next().await;
    assert_eq!(stand.tried(1).await["delivered"], json!(false));
    listener.answer(200, wechat_v2::RECEIPT);
    stand.advance("15s").await;
    listener.next().await;
    assert_eq!(stand.tried(2).await["delivered"], json!(true));
}

#[tokio::test]
async fn a_listed_notification_can_be_replayed() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(204, "").await;
    let shop = Shop::by_certificate(&stand);
    let code = shop.place(&wechat_v3::order("T20261121001", &listener.url)).await.unwrap();
    stand.pay(&code).await;
    let sent = listener.next().await;
    let listed = stand.tried(1).await;
    assert_eq!(listed["url"], json!(listener.url));
    assert_eq!(listed["kind"], json!("payment"));
    let mut headers = Vec::new();
    for (name, value) in listed["headers"].as_object().unwrap() {
        headers.push((name.clone(), value.as_str().unwrap().to_owned()));
    }
    let body = listed["body"].as_str().unwrap().to_owned().into();
    let replayed = HttpRequest { headers, body, ..sent };
    assert!(v3::receive(&shop.merchant, &shop.keys, &replayed, stand.now()).is_ok());
}

/// Whoever reaches a sandbox reads what was answered to its notifications.
#[tokio::test]
async fn a_clouds_secrets_are_not_fetched_for_whoever_orders() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let url = "http://169.254.169.254/latest/meta-data/iam/security-credentials/";
    let code = shop.place(&wechat_v3::order("T20261121001", url)).await.unwrap();
    stand.pay(&code).await;
    let listed = stand.tried(1).await;
    assert_eq!((&listed["url"], &listed["delivered"]), (&json!(url), &json!(false)));
    let tried = &listed["tries"][0];
    assert!(tried["status"].is_null(), "{tried}");
    assert!(tried["body"].as_str().unwrap().starts_with("not sent: 169.254.169.254"), "{tried}");
}
