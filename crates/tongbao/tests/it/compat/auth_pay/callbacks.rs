//! Alipay's notification and the payer's browser at the addresses of the old service.

use super::Old;
use crate::merchant::Merchant;
use crate::world::{Answer, World, eventually};
use serde_json::{Value, json};

/// A payment whose notification was lost, and what it said.
async fn lost(world: &World) -> (Value, String) {
    world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
    let old = Old(world);
    let (page, number) = old.page().await;
    old.payer(&page, "success").await;
    let charge = old.charge(&number).await;
    let sent = async || world.notices(&charge).await.into_iter().find(|one| one["body"] != "");
    let notice = eventually("the notification is sent and lost", sent).await;
    (charge, notice["body"].as_str().unwrap().to_owned())
}

async fn notify(world: &World, body: &str) -> Answer {
    let headers = [(
        "content-type".to_owned(),
        "application/x-www-form-urlencoded; charset=utf-8".to_owned(),
    )];
    let url = format!("{}/auth/zfb/callback/notify", world.gateway());
    world.raw(&url, &headers, body).await
}

#[tokio::test]
async fn a_notification_is_believed_once_and_told_to_the_shop() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.succeeded"]).await;
    let (charge, body) = lost(&world).await;
    for _ in 0..2 {
        assert_eq!(notify(&world, &body).await.expect(200), "success");
    }
    let paid = world.charge(&charge).await;
    assert_eq!((&paid["status"], &paid["paid"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(world.count(&charge, "charge.succeeded").await, 1);
    let told = merchant.until(&charge, "charge.succeeded", 1).await;
    assert!(merchant.believes(&told[0]));
    world.finish().await;
}

#[tokio::test]
async fn r_unverified_notices_change_nothing() {
    let world = World::start().await;
    let (charge, body) = lost(&world).await;
    let swap = |from: &str, to: &str| {
        assert!(body.contains(from), "{from} is not in {body}");
        body.replacen(from, to, 1)
    };
    let forged = [
        swap("total_amount=0.01", "total_amount=0.02"),
        swap("trade_status=TRADE_SUCCESS", "trade_status=TRADE_FINISHED"),
        swap("out_trade_no=2", "out_trade_no=3"),
        body.split('&').filter(|part| !part.starts_with("sign=")).collect::<Vec<_>>().join("&"),
        String::new(),
    ];
    for message in &forged {
        let answer = notify(&world, message).await;
        assert_eq!(answer.body, "fail", "{message}");
        assert_eq!(world.charge(&charge).await["status"], "pending", "{message}");
    }
    // It was the changes that were refused.
    assert_eq!(notify(&world, &body).await.expect(200), "success");
    assert_eq!(world.charge(&charge).await["status"], "succeeded");
    world.finish().await;
}

/// Signed as it should be, and about another amount or app than the order's.
#[tokio::test]
async fn a_signed_notice_that_contradicts_the_order_is_refused() {
    for change in [json!({"amount": 2}), json!({"app_id": "2021000000000001"})] {
        let world = World::start().await;
        let mut drop = change.clone();
        drop["drop"] = json!(true);
        world.control("faults", json!({"notify": drop})).await.expect(200);
        let (charge, body) = lost(&world).await;
        // What the provider says when asked would be believed; here it cannot be asked.
        world.fault(json!({"path": "alipay.trade.query", "status": 500})).await;
        assert_eq!(notify(&world, &body).await.body, "fail", "{change}");
        assert_eq!(world.charge(&charge).await["status"], "pending", "{change}");
        world.clear_faults().await;
        world.finish().await;
    }
}

/// Alipay's redirect proves nothing, whoever wrote it: a look is what finds the payment.
#[tokio::test]
async fn a_browser_that_comes_back_starts_a_look_and_sees_the_result() {
    let world = World::start().await;
    let old = Old(&world);
    let (_, number) = old.page().await;
    let path = format!("/auth/zfb/callback/return?out_trade_no={number}&total_amount=0.01");
    let charge = old.charge(&number).await;
    let cashier = format!("/pay/{}", charge["id"].as_str().unwrap());
    let come_back = async |path: &str| {
        let answer = old.get(path).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        assert_eq!(answer.headers["location"], cashier.as_str());
    };
    come_back(&path).await;
    assert_eq!(world.charge(&charge).await["status"], "pending");
    let (charge, _) = lost(&world).await;
    let number = charge["order_no"].as_str().unwrap();
    let path = format!("/auth/zfb/callback/return/?out_trade_no={number}");
    let answer = old.get(&path).await;
    assert_eq!(answer.status, 303);
    assert_eq!(world.charge(&charge).await["status"], "succeeded");
    let page = old.get(answer.headers["location"].to_str().unwrap()).await;
    assert_eq!(page.status, 200);
    for nobody in ["?out_trade_no=20180821386906123", "", "?out_trade_no=%00", "?a=1&a=2"] {
        let answer = old.get(&format!("/auth/zfb/callback/return{nobody}")).await;
        assert_eq!(answer.status, 404, "{nobody}");
    }
    world.finish().await;
}
