//! What happens when no notification comes: looks, and at the end closing.

use crate::world::{World, eventually, out_trade_no};
use serde_json::{Value, json};
use tongbao_types::Timestamp;

const ACCOUNTS: [(&str, &str); 3] = [
    ("wechat.native", "dev_wechat_v3"),
    ("wechat.native", "dev_wechat_v2"),
    ("alipay.qr", "dev_alipay_open"),
];

#[tokio::test]
async fn a_lost_notification_is_made_good_by_polling() {
    let world = World::with(&["polling.delay=60s"]).await;
    world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
    for (channel, account) in ACCOUNTS {
        let charge = world.order_with(json!({"channel": channel, "account": account})).await;
        world.pay(&charge).await.expect(200);
        world.advance("61s").await;
        let paid = world.until(&charge, "succeeded").await;
        assert!(paid["provider_trade_no"].is_string());
        let notices = world.notices(&charge).await;
        assert!(notices.iter().all(|notice| notice["delivered"] == false), "{notices:?}");
        let kinds = world.events(&charge).await;
        assert!(kinds.contains(&"poll.complete".to_owned()), "{kinds:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn an_order_that_nobody_pays_is_closed_at_the_provider_first() {
    let world = World::with(&["polling.delay=60s", "polling.attempts=2"]).await;
    for (channel, account) in ACCOUNTS {
        let charge = world.order_with(json!({"channel": channel, "account": account})).await;
        world.advance("61s").await;
        let look = async || {
            let kinds = world.events(&charge).await;
            kinds.contains(&"poll.failed".to_owned()).then_some(())
        };
        eventually("the first look has found nothing", look).await;
        world.advance("10m").await;
        let closed = world.until(&charge, "closed").await;
        let here: Timestamp = closed["closed_at"].as_str().unwrap().parse().unwrap();
        let requests = world.requests(&charge).await;
        let is_close = |one: &&Value| one["operation"].as_str().unwrap().contains("close");
        let close = requests.iter().find(is_close);
        let there = close.unwrap_or_else(|| panic!("{account}: no close at the provider"));
        let there: Timestamp = there["at"].as_str().unwrap().parse().unwrap();
        assert!(there <= here, "{account}: there {there}, here {here}");
        let kinds = world.events(&charge).await;
        assert_eq!(kinds.last().map(String::as_str), Some("charge.closed"), "{kinds:?}");
    }
    world.finish().await;
}

/// The payer wins the race: the order is paid between the last look and the close.
#[tokio::test]
async fn a_payment_just_before_the_close_is_kept() {
    let world = World::with(&["polling.delay=60s", "polling.attempts=1"]).await;
    world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
    let charge = world.order("wechat.native").await;
    let blind = json!({"provider": "wechat", "path": format!("/v3/pay/transactions/out-trade-no/{}",
        out_trade_no(&charge)), "status": 500, "times": 1});
    world.control("faults", blind).await.expect(200);
    world.pay(&charge).await.expect(200);
    world.advance("61s").await;
    eventually("the blind look is over", async || {
        let kinds = world.events(&charge).await;
        kinds.contains(&"poll.failed".to_owned()).then_some(())
    })
    .await;
    world.advance("10m").await;
    assert_eq!(world.until(&charge, "succeeded").await["paid"], true);
    world.finish().await;
}
