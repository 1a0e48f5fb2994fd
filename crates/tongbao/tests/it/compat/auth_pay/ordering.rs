//! Ordering at either provider: nobody pays, somebody pays at once, somebody pays after the end.
//! The old service's `payStatus` was 2, 1, and a closed order.

use super::Old;
use crate::world::{World, eventually, id, out_trade_no};
use serde_json::{Value, json};
use tongbao_types::Timestamp;

/// First look after five seconds, another after five more, and then the end.
const QUEUE: [&str; 3] = ["polling.delay=5s", "polling.attempts=2", "polling.backoff=fixed"];

/// The queue's stages, as they were told.
async fn stages(world: &World, charge: &Value) -> Vec<String> {
    let mut kinds = world.events(charge).await;
    kinds.retain(|kind| kind.starts_with("poll."));
    kinds
}

async fn until_stages(world: &World, charge: &Value, wanted: &[&str]) {
    let what = format!("the stages are {wanted:?}");
    eventually(&what, async || (stages(world, charge).await == wanted).then_some(())).await;
}

async fn is_told(world: &World, charge: &Value, kind: &str, count: usize) {
    eventually(kind, async || (world.count(charge, kind).await == count).then_some(())).await;
}

/// An order, what its payer scans, and its charge.
async fn ordered(old: &Old<'_>, provider: &str) -> (String, Value) {
    let (code, number) = match provider {
        "wechat" => {
            let order = old.code().await;
            let text = |name: &str| order[name].as_str().unwrap().to_owned();
            (text("code_url"), text("out_trade_no"))
        }
        _ => old.page().await,
    };
    (code, old.charge(&number).await)
}

#[tokio::test]
async fn nobody_pays_and_the_order_is_closed_there_first() {
    for provider in ["wechat", "alipay"] {
        let world = World::with(&QUEUE).await;
        let old = Old(&world);
        world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
        let (code, charge) = ordered(&old, provider).await;
        old.payer(&code, "scanned").await;
        until_stages(&world, &charge, &["poll.delayed"]).await;
        world.advance("5s").await;
        is_told(&world, &charge, "poll.failed", 1).await;
        world.advance("6s").await;
        let closed = world.until(&charge, "closed").await;
        let stages = stages(&world, &charge).await;
        assert_eq!(stages.first().map(String::as_str), Some("poll.delayed"), "{stages:?}");
        assert_eq!(stages.last().map(String::as_str), Some("poll.finished"), "{stages:?}");
        let looks = stages[1..stages.len() - 1].chunks(2);
        assert!(looks.clone().all(|look| look == ["poll.active", "poll.failed"]), "{stages:?}");
        let kinds = world.events(&charge).await;
        assert_eq!(kinds.last().map(String::as_str), Some("charge.closed"), "{kinds:?}");
        let requests = world.requests(&charge).await;
        let is_close = |one: &&Value| one["operation"].as_str().unwrap().contains("close");
        let moment = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        match requests.iter().find(is_close) {
            Some(there) => assert!(moment(&there["at"]) <= moment(&closed["closed_at"])),
            // Alipay knows the order's end and has closed it by itself.
            None => assert_eq!(provider, "alipay"),
        }
        let there = world.trade(out_trade_no(&charge)).await;
        assert!(there["state"].as_str().unwrap().ends_with("CLOSED"), "{there}");

        // Somebody scanned the code in time and comes to pay now.
        let late = json!({"provider": provider, "out_trade_no": out_trade_no(&charge)});
        let refused = world.control("pay", late).await;
        assert_eq!((refused.status, &refused.body["code"]), (409, &json!("closed")));
        assert_eq!(world.charge(&charge).await["status"], "closed");
        world.finish().await;
    }
}

#[tokio::test]
async fn somebody_pays_and_the_first_look_finds_it() {
    for provider in ["wechat", "alipay"] {
        let world = World::with(&QUEUE).await;
        let old = Old(&world);
        world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
        let (code, charge) = ordered(&old, provider).await;
        old.payer(&code, "success").await;
        world.advance("5s").await;
        let paid = world.until(&charge, "succeeded").await;
        assert_eq!((&paid["amount"], &paid["paid"]), (&json!(1), &json!(true)));
        let stages = stages(&world, &charge).await;
        assert_eq!(stages, ["poll.delayed", "poll.active", "poll.complete"]);
        world.finish().await;
    }
}

/// The payer comes in the instant in which the order is given up: it is paid, not failed.
#[tokio::test]
async fn a_payment_in_the_instant_of_the_close_counts() {
    for (provider, query) in [("wechat", "/pay/orderquery"), ("alipay", "alipay.trade.query")] {
        let world = World::with(&["polling.delay=5s", "polling.attempts=1"]).await;
        let old = Old(&world);
        world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
        let (code, charge) = ordered(&old, provider).await;
        old.payer(&code, "success").await;
        // The last look is blind.
        let blind = json!({"path": query, "status": 500, "times": 1});
        world.control("faults", blind).await.expect(200);
        world.advance("6s").await;
        world.until(&charge, "succeeded").await;
        let stages = stages(&world, &charge).await;
        assert!(stages.contains(&"poll.failed".to_owned()), "{stages:?}");
        world.finish().await;
    }
}

/// What the caller of wx2.0 gets: the provider's fields, and a number of its own each time.
#[tokio::test]
async fn an_order_has_the_providers_fields_and_a_number_of_its_own() {
    let world = World::start().await;
    let old = Old(&world);
    let (first, second) = (old.code().await, old.code().await);
    let wanted = ["appid", "code_url", "mch_id", "nonce_str", "out_trade_no", "prepay_id"];
    let more = ["result_code", "return_code", "return_msg", "sign", "trade_type"];
    let names: Vec<&String> = first.as_object().unwrap().keys().collect();
    assert_eq!(names, [&wanted[..], &more[..]].concat());
    for name in ["out_trade_no", "nonce_str", "code_url"] {
        assert_ne!(first[name], second[name], "r_one_shared_nonce_and_order_number");
    }
    let number = first["out_trade_no"].as_str().unwrap();
    assert!(number.len() == 24 && number.bytes().all(|b| b.is_ascii_digit()), "{number}");
    let charge = old.charge(number).await;
    let there = charge["created_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let there = there + tongbao_types::Span::from_seconds(8 * 3600);
    let digits: String = there.to_string().chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits[..12], number[..12], "date and time in China");
    assert_eq!(charge["attempts"][0]["out_trade_no"], number);
    assert_eq!((&charge["subject"], &charge["amount"]), (&json!("茶"), &json!(1)));

    // A charge like any other: listed, refundable through /v1, with events.
    old.payer(first["code_url"].as_str().unwrap(), "success").await;
    old.until(number, "succeeded").await;
    world.refund(&charge, json!({"amount": 1})).await.expect(201);
    world.advance("1m").await;
    super::until_refunded(&world, &charge).await;
    let kinds = world.events(&charge).await;
    for kind in ["charge.created", "charge.succeeded", "refund.created", "refund.succeeded"] {
        assert!(kinds.contains(&kind.to_owned()), "{kinds:?}");
    }
    let listed = world.get("/v1/charges?status=succeeded").await;
    assert_eq!(id(&listed["data"][0]), id(&charge));
    // The old service's callers see that refund, too, although its number is another.
    let seen = old.call("wechat refund_query", number).await.expect(200);
    assert_eq!((&seen["refund_count"], &seen["refund_fee_0"]), (&json!("1"), &json!("1")));
    world.finish().await;
}

/// The oldest route, with the older name of the amount, as a form.
#[tokio::test]
async fn the_oldest_route_orders_too() {
    let world = World::start().await;
    let url = format!("{}/auth/pay/wx", world.gateway());
    let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let order = world.raw(&url, &form, "total_fee=7&body=%E8%8C%B6").await.expect(200);
    let charge = Old(&world).charge(order["out_trade_no"].as_str().unwrap()).await;
    assert_eq!(charge["amount"], 7);
    world.finish().await;
}
