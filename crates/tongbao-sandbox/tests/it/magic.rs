//! What amounts do to answers, notifications and refunds (`magic`). What they do to payers and to
//! the course of a refund is tested beside the world, what they do to bills beside the bills.

use crate::stand::{Listener, Stand};
use crate::wechat_v3::{Shop, order};
use crate::wechat_v3_money::refund_of;
use serde_json::{Value, json};
use tongbao_types::{Fen, HttpRequest};
use tongbao_wechat::WechatError;
use tongbao_wechat::v3;

const NUMBER: &str = "T20261121001";

/// Orders this amount at this address; the code, or what was refused.
async fn ordered(shop: &Shop<'_>, amount: i64, url: &str) -> Result<String, WechatError> {
    let mut wanted = order(NUMBER, url);
    wanted.total = Fen(amount);
    shop.place(&wanted).await
}

async fn paid(shop: &Shop<'_>, amount: i64, url: &str) {
    let code = ordered(shop, amount, url).await.unwrap();
    shop.stand.pay(&code).await;
}

async fn query(shop: &Shop<'_>) -> Result<String, String> {
    let query = v3::OrderQuery::by_out_trade_no(NUMBER);
    let response = shop.stand.send(&query.encode(&shop.merchant, shop.stamp())).await;
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    if response.status == 200 { Ok(text("trade_state")) } else { Err(text("code")) }
}

#[tokio::test]
async fn notifications_get_lost_for_ever_or_once() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let listener = Listener::start(204, "").await;
    paid(&shop, 77_701, &listener.url).await;
    stand.advance("2d").await;
    assert_eq!(stand.tried(16).await["delivered"], json!(false));
    assert!(!listener.has_more());

    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(204, "").await;
    paid(&shop, 77_702, &listener.url).await;
    stand.tried(1).await;
    assert!(!listener.has_more());
    stand.advance("15s").await;
    assert_eq!(shop.payment(&listener.next().await).trade.out_trade_no, NUMBER);
}

#[tokio::test]
async fn a_notification_comes_three_times_or_late() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(204, "").await;
    paid(&shop, 77_703, &listener.url).await;
    let mut ids = Vec::new();
    for _copy in 0..3 {
        ids.push(shop.payment(&listener.next().await).id);
    }
    assert!(ids.iter().all(|id| *id == ids[0]));
    stand.tried(3).await;
    assert!(!listener.has_more());

    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(204, "").await;
    paid(&shop, 77_704, &listener.url).await;
    stand.advance("29s").await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!listener.has_more());
    stand.advance("1s").await;
    listener.next().await;
}

#[tokio::test]
async fn a_notification_overtakes_the_answer_to_the_order() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(204, "").await;
    ordered(&shop, 77_705, &listener.url).await.unwrap();
    assert!(listener.has_more(), "it was there before the answer");
    assert_eq!(shop.payment(&listener.next().await).trade.out_trade_no, NUMBER);
}

#[tokio::test]
async fn notifications_lie() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(204, "").await;
    paid(&shop, 77_706, &listener.url).await;
    let told = shop.payment(&listener.next().await).trade.paid.unwrap();
    assert_eq!(told.total, Fen(77_705));

    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(500, "").await;
    paid(&shop, 77_707, &listener.url).await;
    let believed =
        |notice: &HttpRequest| v3::receive(&shop.merchant, &shop.keys, notice, stand.now()).is_ok();
    assert!(!believed(&listener.next().await), "the first one is forged");
    stand.tried(1).await;
    stand.advance("15s").await;
    assert!(believed(&listener.next().await));

    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(204, "").await;
    paid(&shop, 77_708, &listener.url).await;
    let notice = listener.next().await;
    let error = v3::receive(&shop.merchant, &shop.keys, &notice, stand.now()).unwrap_err();
    assert!(error.to_string().contains("wx0000000000000000"), "{error}");
}

#[tokio::test]
async fn the_first_order_call_fails_with_or_without_effect() {
    // The amount, what the caller sees, and whether the order is there.
    let cases = [
        (77_710, Some("SYSTEM_ERROR"), true),
        (77_711, Some("SYSTEM_ERROR"), false),
        (77_713, None, true),
        (77_714, Some("500"), false),
        (77_715, Some("FREQUENCY_LIMITED"), false),
    ];
    for (amount, seen, there) in cases {
        let stand = Stand::start().await;
        let shop = Shop::by_certificate(&stand);
        let mut wanted = order(NUMBER, "http://127.0.0.1:9/n");
        wanted.total = Fen(amount);
        let request = wanted.encode(&shop.merchant, shop.stamp());
        let answer = stand.try_send(&request).await.ok();
        let code = answer.map(|answer| {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            body["code"].as_str().map_or(answer.status.to_string(), str::to_owned)
        });
        assert_eq!(code.as_deref(), seen, "{amount}");
        assert_eq!(stand.list("trades").await.len(), usize::from(there), "{amount}");
        let code = ordered(&shop, amount, "http://127.0.0.1:9/n").await.unwrap();
        stand.pay(&code).await;
    }
}

#[tokio::test]
async fn an_order_is_refused_for_good() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    for _call in 0..2 {
        let refused = ordered(&shop, 77_712, "http://127.0.0.1:9/n").await.unwrap_err();
        assert_eq!(refused.code, "NO_AUTH");
    }
}

#[tokio::test]
async fn the_first_query_and_the_first_close_fail() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    ordered(&shop, 77_717, "http://127.0.0.1:9/n").await.unwrap();
    assert_eq!(query(&shop).await, Err("SYSTEM_ERROR".to_owned()));
    assert_eq!(query(&shop).await, Ok("NOTPAY".to_owned()));

    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    ordered(&shop, 77_720, "http://127.0.0.1:9/n").await.unwrap();
    let close = v3::CloseOrder { out_trade_no: NUMBER.to_owned() };
    for status in [500, 204] {
        let response = stand.send(&close.encode(&shop.merchant, shop.stamp())).await;
        assert_eq!(response.status, status);
    }
}

#[tokio::test]
async fn scanned_payers_are_poor_or_show_an_old_code() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    for (amount, code) in [(77_725, "NOT_ENOUGH"), (77_726, "AUTHCODEEXPIRE")] {
        let refused = shop.scan(NUMBER, "134567890123456789", amount).await.unwrap_err();
        assert_eq!(refused.code, code);
    }
    assert!(stand.list("trades").await.is_empty());
}

#[tokio::test]
async fn the_first_refund_call_fails_with_or_without_effect() {
    for (amount, there) in [(77_730, true), (77_731, false)] {
        let stand = Stand::start().await;
        let shop = Shop::by_certificate(&stand);
        shop.paid(NUMBER, 100_000).await;
        let refund = refund_of(NUMBER, "R1", amount, 100_000);
        assert_eq!(shop.refund(&refund).await.unwrap_err().code, "SYSTEM_ERROR");
        assert_eq!(shop.refund_query("R1").await.is_ok(), there, "{amount}");
        let again = shop.refund(&refund).await.unwrap();
        assert_eq!(shop.refund_query("R1").await.unwrap().refund_id, again.refund_id);
    }
}

#[tokio::test]
async fn a_refund_lacks_money_or_its_notification_gets_lost() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    shop.paid(NUMBER, 200_000).await;
    for _call in 0..2 {
        let refused = shop.refund(&refund_of(NUMBER, "R1", 77_732, 200_000)).await.unwrap_err();
        assert_eq!(refused.code, "NOT_ENOUGH");
    }
    let listener = Listener::start(204, "").await;
    let mut refund = refund_of(NUMBER, "R2", 77_733, 200_000);
    refund.notify_url = Some(listener.url.clone());
    shop.refund(&refund).await.unwrap();
    stand.advance("2d").await;
    let tries = async {
        loop {
            let notices = stand.list("notifications").await;
            let mine = notices.iter().find(|one| one["kind"] == json!("refund"));
            if mine.is_some_and(|one| one["tries"].as_array().is_some_and(|t| t.len() == 16)) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(8), tries).await.unwrap();
    assert!(!listener.has_more());
    assert!(shop.refund_query("R2").await.unwrap().success_time.is_some());
}
