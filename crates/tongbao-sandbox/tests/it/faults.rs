//! Faults of answers and of notifications, before and after the effect, in each provider's shape.

use crate::stand::{Listener, Stand};
use crate::wechat_v3::Shop;
use crate::{alipay, wechat_v2, wechat_v3};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tongbao_types::HttpRequest;
use tongbao_wechat::{Fields, SignType, v2, v3};

const NOWHERE: &str = "http://127.0.0.1:9/n";

fn order_v3(shop: &Shop<'_>, number: &str) -> HttpRequest {
    wechat_v3::order(number, NOWHERE).encode(&shop.merchant, shop.stamp())
}

#[tokio::test]
async fn a_cut_connection_comes_before_or_after_the_effect() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    stand.fault(json!({"provider": "wechat", "drop": true, "times": 1})).await;
    assert!(stand.try_send(&order_v3(&shop, "T20261121001")).await.is_err());
    assert_eq!(stand.list("trades").await.len(), 0);
    let path = "/v3/pay/transactions/native";
    stand.fault(json!({"path": path, "when": "after", "drop": true, "times": 1})).await;
    assert!(stand.try_send(&order_v3(&shop, "T20261121001")).await.is_err());
    assert_eq!(stand.list("trades").await.len(), 1);
    assert!(stand.try_send(&order_v3(&shop, "T20261121001")).await.is_ok());
    let log = stand.list("requests").await;
    assert_eq!(log[0]["answer"], Value::Null);
    assert_eq!((&log[0]["faults"], &log[2]["faults"]), (&json!([1]), &json!([])));
}

#[tokio::test]
async fn an_error_code_comes_in_the_shape_of_each_provider() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    stand.fault(json!({"provider": "wechat", "error_code": "SYSTEMERROR"})).await;
    stand.fault(json!({"provider": "alipay", "error_code": "ACQ.SYSTEM_ERROR"})).await;

    let merchant = wechat_v2::merchant(&stand, SignType::Md5);
    let order = wechat_v2::order("T20261121001", NOWHERE);
    let error = wechat_v2::place(&stand, &merchant, &order).await.unwrap_err();
    assert!(error.is_unknown() && error.is("SYSTEMERROR"), "{error}");
    let error = shop.place(&wechat_v3::order("T20261121001", NOWHERE)).await.unwrap_err();
    assert!(error.is_unknown() && error.level == tongbao_wechat::Level::Http(500), "{error}");
    let merchant = alipay::merchant(&stand);
    let error = alipay::precreate(&stand, &merchant, "T1", None).await.unwrap_err();
    assert!(error.is_unknown() && error.signed, "{error}");
    assert_eq!(stand.list("trades").await.len(), 0);
}

#[tokio::test]
async fn statuses_delays_and_faults_by_method_add_up_until_they_are_deleted() {
    let stand = Stand::start().await;
    let merchant = alipay::merchant(&stand);
    stand.fault(json!({"path": "alipay.trade.precreate", "delay_ms": 60})).await;
    stand.fault(json!({"path": "alipay.trade.precreate", "delay_ms": 60, "when": "after"})).await;
    let before = Instant::now();
    alipay::precreate(&stand, &merchant, "T1", None).await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(120));
    stand.fault(json!({"path": "/gateway.do", "status": 502})).await;
    let page = stand.client.get(format!("{}/gateway.do", stand.base)).send().await.unwrap();
    assert_eq!(page.status(), 502);
    assert_eq!(stand.list("faults").await.len(), 3);
    let url = format!("{}/_sandbox/faults", stand.base);
    assert_eq!(stand.client.delete(url).send().await.unwrap().status(), 204);
    alipay::precreate(&stand, &merchant, "T1", None).await.unwrap();
}

#[tokio::test]
async fn corrupt_signatures_of_answers_are_not_believed() {
    let stand = Stand::start().await;
    stand.fault(json!({"corrupt_signature": true})).await;
    let shop = Shop::by_certificate(&stand);
    let response = stand.send(&order_v3(&shop, "T20261121001")).await;
    assert_eq!(response.status, 200);
    assert!(response.header("Wechatpay-Signature").unwrap().starts_with("WECHATPAY/SIGNTEST/"));

    let merchant = wechat_v2::merchant(&stand, SignType::Md5);
    let order = wechat_v2::order("T20261121002", NOWHERE);
    let response = stand.send(&order.encode(&merchant, "nonce")).await;
    assert!(order.decode_reply(&merchant, &response).is_err());
    let merchant = alipay::merchant(&stand);
    let asked = tongbao_alipay::open::precreate::Precreate { order: alipay::order("T1", "") };
    let response = stand.send(&asked.encode(&merchant, &alipay::call(&stand, None))).await;
    assert!(asked.decode(&merchant, &response).is_err());
}

#[tokio::test]
async fn a_lost_notification_comes_by_the_timetable() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "").await;
    let shop = Shop::by_certificate(&stand);
    stand.fault(json!({"notify": {"drop": true}, "times": 1})).await;
    let code = shop.place(&wechat_v3::order("T20261121001", &listener.url)).await.unwrap();
    stand.pay(&code).await;
    let notice = stand.tried(1).await;
    assert_eq!(
        (&notice["delivered"], &notice["tries"][0]["status"]),
        (&json!(false), &Value::Null)
    );
    assert!(!listener.has_more());
    stand.advance("15s").await;
    listener.next().await;
    assert_eq!(stand.tried(2).await["delivered"], json!(true));
}

#[tokio::test]
async fn a_probe_is_refused_and_the_genuine_notification_follows() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(401, "{}").await;
    let shop = Shop::by_certificate(&stand);
    stand.fault(json!({"notify": {"corrupt_signature": true}, "times": 1})).await;
    let code = shop.place(&wechat_v3::order("T20261121001", &listener.url)).await.unwrap();
    stand.pay(&code).await;
    let probe = listener.next().await;
    assert!(v3::receive(&shop.merchant, &shop.keys, &probe, stand.now()).is_err());
    stand.tried(1).await;
    listener.answer(200, "");
    stand.advance("15s").await;
    let genuine = listener.next().await;
    assert!(v3::receive(&shop.merchant, &shop.keys, &genuine, stand.now()).is_ok());
}

#[tokio::test]
async fn notifications_are_doubled_and_lie_about_amount_and_app() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, wechat_v2::RECEIPT).await;
    let merchant = wechat_v2::merchant(&stand, SignType::Md5);
    let lie = json!({"duplicate": 2, "amount": 1, "app_id": "wx0000000000000000"});
    stand.fault(json!({"provider": "wechat", "notify": lie, "times": 1})).await;
    let order = wechat_v2::order("T20261121001", &listener.url);
    let code = wechat_v2::place(&stand, &merchant, &order).await.unwrap();
    stand.pay(&code).await;
    for _copy in 0..3 {
        let notice = listener.next().await;
        let fields = Fields::parse(&notice.body).unwrap();
        assert_eq!(fields.text("total_fee"), Some("1"));
        assert_eq!(fields.text("appid"), Some("wx0000000000000000"));
        assert_eq!(v2::verify(&fields, merchant.key(), SignType::Md5), Ok(()));
    }
    assert_eq!(stand.tried(3).await["delivered"], json!(true));
}

#[tokio::test]
async fn a_later_notification_overtakes() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "").await;
    let shop = Shop::by_certificate(&stand);
    stand.fault(json!({"notify": {"reorder": true}, "times": 1})).await;
    for number in ["T20261121001", "T20261121002"] {
        let code = shop.place(&wechat_v3::order(number, &listener.url)).await.unwrap();
        stand.pay(&code).await;
        if number == "T20261121001" {
            // The fault must have taken the first before the second is there.
            while !stand.list("faults").await.is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    let mut numbers = Vec::new();
    for _notice in 0..2 {
        let notice = listener.next().await;
        numbers.push(shop.payment(&notice).trade.out_trade_no);
    }
    assert_eq!(numbers, ["T20261121002", "T20261121001"]);
}
