//! Webhooks: signed, repeated until they are accepted, sent again on request.

use crate::merchant::Merchant;
use crate::world::{World, eventually, id};
use serde_json::json;

#[tokio::test]
async fn a_merchant_is_told_with_a_signature_that_verifies() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.succeeded"]).await;
    let charge = world.order("wechat.native").await;
    world.pay(&charge).await.expect(200);
    let told = merchant.until(&charge, "charge.succeeded", 1).await;
    assert!(merchant.believes(&told[0]));
    let mut forged = told[0].clone();
    forged.raw[20] ^= 1;
    assert!(!merchant.believes(&forged));
    assert_eq!(told[0].event["data"]["object"]["status"], "succeeded");
    assert_eq!(told[0].event["data"]["object"]["client_secret"], json!(null));
    assert_eq!(merchant.received().len(), 1, "only what the endpoint asks for");
    world.finish().await;
}

#[tokio::test]
async fn a_webhook_is_repeated_until_it_is_accepted() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.created"]).await;
    merchant.will_answer(&[500, 302, 404]);
    let charge = world.order("wechat.native").await;
    for count in 1..=4 {
        let told = merchant.until(&charge, "charge.created", count).await;
        assert!(told.iter().all(|one| merchant.believes(one)));
        assert!(told.iter().all(|one| one.id == told[0].id), "one id for all tries");
        let tried = async || {
            let list = world.get("/v1/deliveries").await;
            (list["data"][0]["n_tries"] == count).then_some(())
        };
        eventually("the try is recorded", tried).await;
        world.advance("9m").await;
        world.advance("5h").await;
    }
    let list = world.get("/v1/deliveries").await;
    assert_eq!(list["data"][0]["status"], "succeeded", "{list}");
    assert_eq!(merchant.received().len(), 4);
    let statuses = list["data"][0]["tries"].as_array().unwrap().iter();
    let statuses: Vec<u64> = statuses.map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [500, 302, 404, 204]);
    world.finish().await;
}

#[tokio::test]
async fn a_delivery_is_sent_again_on_request() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.created"]).await;
    let charge = world.order("wechat.native").await;
    merchant.until(&charge, "charge.created", 1).await;
    let delivery = eventually("the delivery is recorded", async || {
        let list = world.get("/v1/deliveries").await;
        (list["data"][0]["status"] == "succeeded").then(|| list["data"][0].clone())
    })
    .await;
    world.post(&format!("/v1/deliveries/{}/resend", id(&delivery)), json!({})).await.expect(200);
    let told = merchant.until(&charge, "charge.created", 2).await;
    assert_eq!(told[0].id, told[1].id);
    eventually("the second try is recorded", async || {
        let list = world.get("/v1/deliveries").await;
        (list["data"][0]["status"] == "succeeded").then_some(())
    })
    .await;
    world.finish().await;
}

/// `dev` opens loopback and nothing else inside.
#[tokio::test]
async fn addresses_inside_are_refused() {
    let world = World::start().await;
    let inside = ["http://10.0.0.1/", "http://169.254.169.254/x", "http://[fe80::1]/", "ftp://x/"];
    for url in inside {
        let answer = world.post("/v1/webhook_endpoints", json!({"url": url})).await;
        assert_eq!(answer.body["param"], "url");
        assert_eq!(answer.problem(400), "url_forbidden", "{url}");
    }
    let loopback = json!({"url": "http://127.0.0.1:1/"});
    world.post("/v1/webhook_endpoints", loopback).await.expect(201);
    world.finish().await;
}
