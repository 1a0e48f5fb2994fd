//! `kill -9` at any moment: what was acknowledged is there after the restart, and what was begun
//! goes on.
//!
//! Orders are placed, paid and closed by several clients at once while the process is killed twenty
//! times at random moments. The seed is printed; `TONGBAO_RECOVERY_SEED` repeats its choices.

use crate::merchant::Merchant;
use crate::world::{World, eventually, id, out_trade_no};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const KILLS: u32 = 20;
const CLIENTS: u64 = 4;

/// What the program acknowledged, by order number.
#[derive(Default)]
struct Ledger {
    /// Charges that were answered with 201, with the Idempotency-Key and the whole reply.
    charges: Mutex<BTreeMap<String, Value>>,
    count: AtomicU32,
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_under_load_lose_nothing() {
    let seed = std::env::var("TONGBAO_RECOVERY_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("repeat with TONGBAO_RECOVERY_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let settings = ["polling.delay=1s", "polling.attempts=600", "polling.backoff=fixed"];
    let mut world = World::with(&settings).await;
    let merchant = Merchant::open(&world, &["charge.succeeded"]).await;
    let ledger = Ledger::default();
    for round in 0..KILLS {
        let life = Duration::from_millis(random.random_range(20..400));
        let clients: Vec<u64> = (0..CLIENTS).map(|_| random.random()).collect();
        let killed = async {
            tokio::time::sleep(life).await;
            world.signal("-KILL");
        };
        // The clients go on until the process is gone.
        tokio::join!(load(&world, &ledger, &clients), killed);
        world.kill();
        world.run().await;
        eprintln!("round {round}: killed after {life:?}");
    }
    check(&world, &merchant, &ledger).await;
    world.finish().await;
}

/// Several clients at once, until the process is gone.
async fn load(world: &World, ledger: &Ledger, seeds: &[u64]) {
    let clients = seeds.iter().map(|seed| client(world, ledger, StdRng::seed_from_u64(*seed)));
    futures_util::future::join_all(clients).await;
}

/// Orders, and then mostly pays, until something is not answered any more.
async fn client(world: &World, ledger: &Ledger, mut random: StdRng) {
    let routes = [
        ("wechat.native", "dev_wechat_v3"),
        ("wechat.native", "dev_wechat_v2"),
        ("alipay.qr", "dev_alipay_open"),
    ];
    loop {
        let (channel, account) = routes[random.random_range(0..routes.len())];
        let number = format!("KILL{:06}", ledger.count.fetch_add(1, Ordering::Relaxed));
        let body = json!({"amount": 100, "subject": "Tea", "channel": channel,
            "account": account, "order_no": number});
        let headers = [("idempotency-key", number.as_str())];
        let Ok(answer) = world.try_call("POST", "/v1/charges", Some(body), &headers).await else {
            return;
        };
        let charge = answer.expect(201);
        ledger.charges.lock().unwrap().insert(number, charge.clone());
        if random.random_bool(0.7) && charge["action"]["code_url"].is_string() {
            let code = json!({"code": charge["action"]["code_url"]});
            if world.try_control("pay", code).await.is_err() {
                return;
            }
        }
    }
}

async fn check(world: &World, merchant: &Merchant, ledger: &Ledger) {
    let charges = ledger.charges.lock().unwrap().clone();
    eprintln!("{} charges were acknowledged", charges.len());
    assert!(charges.len() >= 20, "there was hardly any load: {}", charges.len());
    for (number, acknowledged) in &charges {
        same_reply(world, number, acknowledged).await;
    }
    check_notices(world).await;
    let trades = world.shown("trades").await;
    let (mut paid, mut open) = (0, None);
    for trade in &trades {
        let number = trade["out_trade_no"].as_str().unwrap();
        let list = world.get(&format!("/v1/charges?order_no={number}")).await;
        let charge =
            list["data"].get(0).unwrap_or_else(|| panic!("{number} is at the provider only"));
        if trade["paid_at"].is_null() {
            open = Some(charge.clone());
            continue;
        }
        paid += 1;
        let settled = world.until(charge, "succeeded").await;
        assert_eq!(settled["provider_trade_no"], trade["trade_no"]);
        let kinds = world.events(&settled).await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "charge.succeeded").count(), 1, "{kinds:?}");
        let told = merchant.until(&settled, "charge.succeeded", 1).await;
        assert!(told.iter().all(|one| merchant.believes(one) && one.id == told[0].id));
    }
    eprintln!("{paid} of {} trades were paid", trades.len());
    assert!(paid > 0);
    polls_go_on(world, &open.expect("some charge was not paid")).await;
    eventually("all deliveries are over", async || {
        let list = world.get("/v1/deliveries?status=pending").await;
        list["data"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
}

/// The charge is there, and its reply comes again for its key.
async fn same_reply(world: &World, number: &str, acknowledged: &Value) {
    let now = world.charge(acknowledged).await;
    assert_eq!(out_trade_no(&now), number);
    let account = acknowledged["attempts"][0]["account"].clone();
    let body = json!({"amount": 100, "subject": "Tea",
        "channel": acknowledged["attempts"][0]["channel"], "account": account, "order_no": number});
    let headers = [("idempotency-key", number)];
    let again = world.try_call("POST", "/v1/charges", Some(body), &headers).await.unwrap();
    assert_eq!(again.expect(201), *acknowledged);
}

/// A notice that was answered as accepted had its effect.
async fn check_notices(world: &World) {
    for notice in world.shown("notifications").await {
        if notice["delivered"] == true {
            let number = notice["out_trade_no"].as_str().unwrap();
            let list = world.get(&format!("/v1/charges?order_no={number}")).await;
            assert_eq!(list["data"][0]["status"], "succeeded", "{notice}");
        }
    }
}

/// A charge that nobody paid is still looked after.
async fn polls_go_on(world: &World, charge: &Value) {
    let path = format!("/v1/events?charge={}&limit=1", id(charge));
    let told = async || world.get(&path).await["data"][0]["sequence"].as_i64().unwrap();
    let before = told().await;
    eventually("somebody looks again", async || (told().await > before + 1).then_some(())).await;
}
