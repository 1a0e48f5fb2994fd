//! Bills from outside: the day's lines of each account, in the provider's form and as JSON lines.

use crate::world::{World, out_trade_no};
use serde_json::{Value, json};
use tongbao_types::{Span, Timestamp};

/// Today in China, where a bill's day begins eight hours before it does in UTC.
async fn today(world: &World) -> String {
    let clock = world.fetch(&format!("{}/_sandbox/clock", world.sandbox())).await.expect(200);
    let now: Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
    let there = now + Span::from_seconds(8 * 3600);
    there.to_string()[..10].to_owned()
}

#[tokio::test]
async fn a_days_bill_has_its_orders_and_is_kept_once_it_was_fetched() {
    let world = World::start().await;
    let day = today(&world).await;
    let mut orders = Vec::new();
    for (channel, account, provider) in [
        ("wechat.native", "dev_wechat_v3", "wechat"),
        ("wechat.native", "dev_wechat_v2", "wechat"),
        ("alipay.qr", "dev_alipay_open", "alipay"),
    ] {
        let order = json!({"channel": channel, "account": account, "subject": "茶, `tea"});
        let charge = world.order_with(order).await;
        world.pay(&charge).await.expect(200);
        world.until(&charge, "succeeded").await;
        orders.push((account, provider, charge));
    }
    let path = |provider: &str, account: &str, more: &str| {
        format!("/v1/bills/{provider}/{day}?account={account}{more}")
    };
    let (account, provider, _) = &orders[0];
    let early = world.call("GET", &path(provider, account, ""), None).await;
    assert_eq!(early.problem(409), "bill_not_ready");
    world.advance("36h").await;
    for (account, provider, charge) in &orders {
        for kind in ["trade", "fund_flow"] {
            let lines = path(provider, account, &format!("&type={kind}&format=jsonl"));
            let text = world.call("GET", &lines, None).await.expect(200);
            let lines: Vec<Value> = match &text {
                Value::String(text) => {
                    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
                }
                one => vec![one.clone()],
            };
            let own = lines.iter().find(|line| line["out_trade_no"] == out_trade_no(charge));
            let own = own.unwrap_or_else(|| panic!("{account} {kind}: {text}"));
            assert_eq!((&own["kind"], &own["amount"]), (&json!("payment"), &charge["amount"]));
        }
    }
    // It is kept: the provider need not answer once more.
    let original = path(provider, account, "");
    let first = world.call("GET", &original, None).await.expect(200);
    world.control("faults", json!({"status": 500})).await.expect(200);
    assert_eq!(world.call("GET", &original, None).await.expect(200), first);
    let missing = format!("/v1/bills/wechat/2026-01-01?account={account}");
    world.clear_faults().await;
    assert_eq!(world.call("GET", &missing, None).await.problem(404), "bill_missing");
    world.finish().await;
}
