//! An order is placed, paid, noticed and told, once.

use crate::provider::{Kind, Op, Said};
use crate::world::{AMOUNT, ORDER_NO, World, id, number, shop};
use std::sync::Arc;
use tongbao_engine::Clock;
use tongbao_types::{Provider, Span};

async fn check_a_payment_by_notice(kind: Kind) {
    let world = World::of(kind);
    let endpoint = world.endpoint(&[]).await;
    let charge = world.order().await;
    assert_eq!(charge["status"], "pending", "{kind:?}");
    assert_eq!(charge["attempts"][0]["status"], "pending", "{kind:?}");
    assert_eq!(charge["attempts"][0]["out_trade_no"], ORDER_NO);
    assert_eq!(charge["action"]["type"], "qr_code");
    assert_eq!(charge["action"]["code_url"], world.provider().trade(ORDER_NO).code);
    assert_eq!(world.provider().trade(ORDER_NO).attach.as_deref(), Some("table 7"));

    world.clock.advance(Span::from_seconds(2));
    world.pay(&charge);
    assert!(world.notify(&charge).await, "{kind:?}");
    let paid = world.now(&charge).await;
    assert_eq!(paid["status"], "succeeded", "{kind:?}");
    assert_eq!(paid["paid_at"], world.clock.now().to_string());
    assert_eq!(paid["provider_trade_no"], format!("42{ORDER_NO}"));
    assert!(paid["payer"].is_object(), "{kind:?}");
    assert!(paid["action"].is_null() && paid["failure"].is_null());

    world.until_nothing_is_left().await;
    let mut told = world.net.told();
    told.sort_by_key(|one| one.body()["sequence"].as_i64());
    let kinds: Vec<String> = told.iter().map(|one| one.kind()).collect();
    assert_eq!(kinds, ["charge.created", "charge.attempted", "charge.succeeded"], "{kind:?}");
    let secret = endpoint.secret.unwrap().expose().clone();
    assert!(told.iter().all(|one| one.is_signed_with(&secret)));
    assert_eq!(told[2].body()["data"]["object"]["status"], "succeeded");
    assert_eq!(world.n_calls(Op::Query), 0, "nobody needed to ask");
}

#[tokio::test(start_paused = true)]
async fn an_order_is_paid_noticed_and_told_once_in_every_protocol_and_key_mode() {
    for kind in Kind::ALL {
        check_a_payment_by_notice(kind).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_notices_have_one_effect() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        world.endpoint(&["charge.succeeded"]).await;
        let charge = world.order().await;
        world.pay(&charge);
        for _ in 0..100 {
            assert!(world.notify(&charge).await);
        }
        world.until_nothing_is_left().await;
        assert_eq!(world.count(&charge, "charge.succeeded").await, 1);
        assert_eq!(world.net.told().len(), 1);
        assert!(world.now(&charge).await["refused_notices"].as_array().unwrap().is_empty());
    }
}

/// Both load the charge before either writes.
#[tokio::test(start_paused = true)]
async fn notices_at_the_same_instant_have_one_effect() {
    let mut world = World::v2();
    world.endpoint(&["charge.succeeded"]).await;
    let charge = world.order().await;
    world.pay(&charge);
    // A new process remembers no endpoints, so each decision waits for them at the store.
    world.restart();
    let world = Arc::new(world);
    let turn = world.store.endpoints_turn.lock().await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (world, charge) = (Arc::clone(&world), charge.clone());
            tokio::spawn(async move { world.notify(&charge).await })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    drop(turn);
    for task in tasks {
        assert!(task.await.unwrap());
    }
    world.until_nothing_is_left().await;
    assert_eq!(world.count(&charge, "charge.succeeded").await, 1);
    assert_eq!(world.net.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_wanting_endpoint_is_told_once() {
    let world = World::v2();
    for (url, events) in [
        ("https://a.test/hook", &["*"][..]),
        ("https://b.test/hook?shop=1", &["charge.succeeded"]),
        ("https://c.test/", &["charge.closed"]),
    ] {
        world.endpoint_at(url, events).await;
    }
    let charge = world.order().await;
    world.pay(&charge);
    world.notify(&charge).await;
    world.until_nothing_is_left().await;
    let told = world.net.told();
    let paid: Vec<&str> = told
        .iter()
        .filter(|one| one.kind() == "charge.succeeded")
        .map(|one| one.url.as_str())
        .collect();
    let count = |url: &str| paid.iter().filter(|seen| **seen == url).count();
    assert_eq!(paid.len(), 2, "{paid:?}");
    assert_eq!((count("https://a.test/hook"), count("https://b.test/hook?shop=1")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_second_trade_under_the_same_order_is_not_believed() {
    let world = World::v2();
    let charge = world.order().await;
    world.pay(&charge);
    assert!(world.notify(&charge).await);
    let said = Said { trade_no: Some("4200000000000000000000000002"), ..Said::default() };
    let answer = world.receive(world.notice(&charge, &said)).await;
    assert!(world.kind.protocol().is_refused(&answer));
    let now = world.now(&charge).await;
    assert_eq!(now["provider_trade_no"], format!("42{ORDER_NO}"));
    assert_eq!(now["refused_notices"][0]["code"], "trade_no_mismatch");
}

/// The provider does not know the order before the payer comes with the page's address.
#[tokio::test(start_paused = true)]
async fn an_alipay_page_is_a_redirect_and_the_way_back_starts_a_look() {
    let world = World::of(Kind::AlipayKey);
    let mut new = world.new_charge();
    new.channel = Some(tongbao_types::Channel::AlipayPage);
    let charge = world.create(new).await.expect(201);
    assert_eq!(charge["action"]["type"], "redirect");
    let url = charge["action"]["url"].as_str().unwrap();
    assert!(url.starts_with("https://alipay-key.test/gateway.do?"), "{url}");
    assert_eq!(world.n_calls(Op::Place), 0);

    let back = crate::provider::returned(&number(&charge), world.clock.wall());
    assert_eq!(world.engine.returned("alipay-key", back.clone()).await, Some(id(&charge)));
    assert_eq!(world.now(&charge).await["status"], "pending", "a return proves nothing");
    world.provider().pay_page(&number(&charge), AMOUNT, world.clock.now());
    assert_eq!(world.engine.returned("alipay-key", back.clone()).await, Some(id(&charge)));
    assert_eq!(world.now(&charge).await["status"], "succeeded");
    let looks = world.n_calls(Op::Query);
    world.engine.returned("alipay-key", back.clone()).await;
    assert_eq!(world.n_calls(Op::Query), looks, "a paid charge is not looked at again");

    let mut forged = back;
    forged.target = forged.target.replace(ORDER_NO, "ORDER0002");
    assert_eq!(world.engine.returned("alipay-key", forged).await, None);
}

#[tokio::test(start_paused = true)]
async fn sync_asks_now_and_finds_the_payment() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        let view = world.engine.sync_charge(&shop(), id(&charge)).await.unwrap();
        assert_eq!(view.status, "pending");
        world.pay(&charge);
        let view = world.engine.sync_charge(&shop(), id(&charge)).await.unwrap();
        assert_eq!(view.status, "succeeded", "{kind:?}");
        assert!(world.notify(&charge).await);
        assert_eq!(world.count(&charge, "charge.succeeded").await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_sees_the_payment_and_then_the_end() {
    let world = World::v2();
    let charge = world.order().await;
    let mut watching = world.engine.watch(id(&charge)).await.unwrap();
    assert_eq!(watching.next().await.unwrap().status, "pending");
    world.pay(&charge);
    world.notify(&charge).await;
    let before = tokio::time::Instant::now();
    assert_eq!(watching.next().await.unwrap().status, "succeeded");
    assert_eq!(before.elapsed(), std::time::Duration::ZERO, "it was told at once");
    assert!(watching.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_order_no_that_the_provider_would_not_take_gets_another_number_there() {
    let world = World::v2();
    let charge = world.order_numbered("A/2026#1").await;
    assert_eq!(charge["order_no"], "A/2026#1");
    assert_ne!(number(&charge), "A/2026#1");
    world.pay(&charge);
    assert!(world.notify(&charge).await);
    assert_eq!(world.now(&charge).await["status"], "succeeded");
}

#[tokio::test(start_paused = true)]
async fn an_event_does_not_carry_the_secret_that_lets_a_browser_watch() {
    let world = World::v2();
    world.endpoint(&[]).await;
    let charge = world.order().await;
    let secret = charge["client_secret"].as_str().unwrap();
    assert!(world.engine.charge_for_client(id(&charge), secret).await.is_ok());
    assert!(world.engine.charge_for_client(id(&charge), "x").await.is_err());
    world.run_due().await;
    let told = world.net.told();
    assert!(!told.is_empty());
    for one in told {
        assert!(!String::from_utf8(one.raw).unwrap().contains(secret));
    }
}

#[tokio::test(start_paused = true)]
async fn a_notice_for_an_account_that_is_not_here_is_not_found() {
    let world = World::v2();
    let charge = world.order().await;
    world.pay(&charge);
    let notice = world.notice(&charge, &Said::default());
    for (provider, account) in
        [(Provider::Wechat, "nobody"), (Provider::Wechat, "No Name!"), (Provider::Alipay, "v2-md5")]
    {
        let answer = world.engine.receive_notice(provider, account, notice.clone()).await;
        assert_eq!(answer.status, 404);
    }
    assert_eq!(world.now(&charge).await["status"], "pending");
}
