//! The demo shop of `tongbao dev`, and what a shop's page may ask of the gateway. The page itself
//! is looked at in a browser by `cargo xtask clients`.

use crate::world::{Answer, World, eventually};
use serde_json::{Value, json};

async fn order(world: &World, body: Value) -> Answer {
    let url = format!("{}/orders", world.dev["shop"].as_str().unwrap());
    world.raw(&url, &[], body.to_string()).await
}

async fn read(world: &World, order: &Value) -> Value {
    let (shop, id) = (world.dev["shop"].as_str().unwrap(), order["id"].as_str().unwrap());
    world.fetch(&format!("{shop}/orders/{id}")).await.expect(200)
}

fn tea() -> Value {
    json!({"tea": "longjing", "channel": "wechat.native", "language": "en"})
}

async fn pay(world: &World, order: &Value) {
    let id = order["charge"]["id"].as_str().unwrap();
    let charge = world.get(&format!("/v1/charges/{id}")).await;
    assert_eq!(charge["subject"], "West Lake Longjing");
    assert_eq!(charge["amount"], 12_800);
    world.pay(&charge).await.expect(200);
}

async fn until_paid(world: &World, order: &Value) {
    let paid = async || (read(world, order).await["paid"] == true).then_some(());
    eventually("the shop says that the order is paid", paid).await;
}

/// The price is the menu's, and a webhook makes the order paid.
#[tokio::test]
async fn an_order_is_paid_by_the_webhook() {
    let world = World::start().await;
    let made = order(
        &world,
        json!({"tea": "longjing", "channel": "wechat.native", "language": "en",
        "amount": 1}),
    )
    .await
    .expect(201);
    assert_eq!((&made["amount"], &made["paid"]), (&json!(12_800), &json!(false)));
    assert!(!made.to_string().contains("sk_test_"), "{made}");
    pay(&world, &made).await;
    until_paid(&world, &made).await;
    world.finish().await;
}

/// Whoever never looks at the shop finds nothing of it; afterwards one endpoint serves all starts.
#[tokio::test]
async fn the_shop_asks_to_be_told_at_its_first_order_and_once() {
    let mut world = World::start().await;
    let endpoints = async |world: &World| {
        world.get("/v1/webhook_endpoints").await["data"].as_array().unwrap().clone()
    };
    assert!(endpoints(&world).await.is_empty());
    order(&world, tea()).await.expect(201);
    order(&world, tea()).await.expect(201);
    let before = endpoints(&world).await;
    assert_eq!(before.len(), 1);
    assert_eq!(before[0]["events"], json!(["charge.succeeded"]));
    world.kill();
    world.run().await;
    let made = order(&world, tea()).await.expect(201);
    assert_eq!(endpoints(&world).await.len(), 1);
    pay(&world, &made).await;
    until_paid(&world, &made).await;
    world.finish().await;
}

/// An order of before a restart is found again and hears of its payment. The secret has gone with
/// the process: the first webhook is not believed, its repetition is.
#[tokio::test]
async fn an_order_survives_a_restart() {
    let mut world = World::start().await;
    let made = order(&world, tea()).await.expect(201);
    world.kill();
    world.run().await;
    assert_eq!(read(&world, &made).await, made);
    pay(&world, &made).await;
    until_paid(&world, &made).await;
    let tries = async |count: usize| {
        let made = async || {
            let list = world.get("/v1/deliveries").await;
            let delivery = list["data"][0].clone();
            (delivery["n_tries"] == count).then(|| delivery["status"].clone())
        };
        eventually("the try is recorded", made).await
    };
    assert_eq!(tries(1).await, "pending");
    world.advance("9m").await;
    assert_eq!(tries(2).await, "succeeded");
    world.finish().await;
}

/// Wishes that the shop cannot fulfil, and webhooks that nobody signed.
#[tokio::test]
async fn what_is_wrong_is_refused_in_words() {
    let world = World::start().await;
    let shop = world.dev["shop"].as_str().unwrap().to_owned();
    let error = |answer: Answer, status: u16| answer.expect(status)["error"].clone();
    let wrong = [
        (json!({"tea": "gold", "channel": "wechat.native"}), "There is no such tea."),
        (json!({"tea": "sample", "channel": "wechat.jsapi"}), "This shop cannot be paid that way."),
        (json!("tea"), "Send JSON with a tea and a channel, both texts."),
    ];
    for (body, words) in wrong {
        assert_eq!(error(order(&world, body).await, 400), words);
    }
    for path in ["/orders/tea-0000000000000000", "/orders/x", "/nothing.js", "/sdk/index.d.ts"] {
        world.fetch(&format!("{shop}{path}")).await.expect(404);
    }
    let made = order(&world, tea()).await.expect(201);
    let forged = json!({"type": "charge.succeeded", "data": {"object": {"order_no": made["id"]}}});
    let headers =
        [("webhook-id", "evt_1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let refused = world.raw(&format!("{shop}/webhooks"), &headers, forged.to_string()).await;
    assert_eq!(error(refused, 401), "This is not signed as it should be.");
    assert_eq!(read(&world, &made).await["paid"], false);
    world.finish().await;
}

/// The page may ask the gateway and nobody else, and its scripts are files.
#[tokio::test]
async fn the_page_has_a_strict_policy() {
    let world = World::start().await;
    let shop = world.dev["shop"].as_str().unwrap();
    let page = world.fetch(&format!("{shop}/")).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains(&format!("connect-src 'self' {};", world.gateway())), "{policy}");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    page.expect(200);
    let sdk = world.fetch(&format!("{shop}/sdk/index.js")).await;
    assert_eq!(sdk.headers["content-type"], "text/javascript; charset=utf-8");
    sdk.expect(200);
    world.finish().await;
}

/// Pages of any site may watch with the client secret: how much time is left by the gateway's
/// clock, and, if they may not, why not.
#[tokio::test]
async fn a_page_may_watch_a_charge_or_read_why_not() {
    let world = World::start().await;
    let asked =
        json!({"amount": 1, "subject": "Tea", "channel": "wechat.native", "expires_in": "10m"});
    let charge = world.post("/v1/charges", asked).await.expect(201);
    world.pay(&charge).await.expect(200);
    world.until(&charge, "succeeded").await;
    let url = format!("{}/v1/charges/{}/watch", world.gateway(), charge["id"].as_str().unwrap());
    let watch = async |secret: &str| {
        let answer = world.fetch(&format!("{url}?client_secret={secret}")).await;
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        answer
    };
    let seconds_left = async || {
        let events = watch(charge["client_secret"].as_str().unwrap()).await.expect(200);
        let data = events.as_str().unwrap().split("data: ").nth(1).unwrap().lines().next();
        let shown: Value = serde_json::from_str(data.unwrap()).unwrap();
        shown["seconds_left"].as_i64().unwrap()
    };
    let before = seconds_left().await;
    assert!((540..=600).contains(&before), "{before}");
    world.advance("5m").await;
    let after = seconds_left().await;
    assert!((240..=300).contains(&after), "{after}");
    assert_eq!(watch("wrong").await.problem(404), "not_found");
    let without = world.fetch(&url).await;
    assert!(!without.headers.contains_key("access-control-allow-origin"));
    without.problem(401);
    world.finish().await;
}
