//! More orders than can be carried: they are made or turned away, and the notices of those who
//! have paid come through.

use crate::world::{World, eventually, id, out_trade_no};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tongbao_evidence::{record, times};

/// Providers wait so long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the callers of a flood were answered.
#[derive(Default)]
struct Flood {
    made: Mutex<Vec<Value>>,
    turned_away: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
    is_over: AtomicBool,
}

impl Flood {
    /// Orders without a pause until it is over.
    async fn order(&self, world: &World, caller: u64) {
        let mut n = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            n += 1;
            let order_no = format!("flood{caller:04}n{n:06}");
            let channel = if n % 2 == 0 { "wechat.native" } else { "alipay.qr" };
            let body = json!({"amount": 1200, "subject": "Tea", "channel": channel,
                "order_no": order_no});
            let began = Instant::now();
            let answer = world.post("/v1/charges", body).await;
            self.took(began.elapsed());
            match answer.status {
                201 => self.made.lock().unwrap().push(answer.body),
                _ => {
                    assert!(answer.headers.contains_key("retry-after"));
                    assert_eq!(answer.body["money_moved"], "no");
                    assert_eq!(answer.problem(503), "unavailable");
                    self.turned_away.lock().unwrap().push(order_no);
                    // A caller that does not wait at all measures this test and not the gateway.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
}

impl Flood {
    fn took(&self, duration: Duration) {
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = duration.max(*slowest);
    }
}

/// Charges that are paid while their notices are lost, and those notices.
async fn paid(world: &World, count: u64) -> (Vec<Value>, Vec<Value>) {
    world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
    let mut charges = Vec::new();
    for n in 0..count {
        let channel = if n % 2 == 0 { "wechat.native" } else { "alipay.qr" };
        let charge = world.order(channel).await;
        world.pay(&charge).await.expect(200);
        charges.push(charge);
    }
    let sent = async || {
        let mut notices = world.shown("notifications").await;
        notices.retain(|notice| notice["body"] != "");
        let is_sent = |charge: &Value| {
            notices.iter().any(|notice| notice["out_trade_no"] == out_trade_no(charge))
        };
        charges.iter().all(is_sent).then_some(notices.clone())
    };
    let notices = eventually("all notices are sent and lost", sent).await;
    world.clear_faults().await;
    (charges, notices)
}

/// Sends a notice as the provider did, and says how long its answer took.
async fn tell(world: &World, notice: &Value) -> Duration {
    let headers = notice["headers"].as_object().unwrap().iter();
    let headers: Vec<(String, String)> =
        headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().into())).collect();
    let body = notice["body"].as_str().unwrap();
    let began = Instant::now();
    let answer = world.raw(notice["url"].as_str().unwrap(), &headers, body.to_owned()).await;
    let took = began.elapsed();
    let text = answer.body.to_string().to_lowercase();
    assert!(answer.status < 300 && !text.contains("fail"), "{} {text}", answer.status);
    took
}

/// A flood of orders from many callers: each is made or told to come later, none fails otherwise,
/// what was turned away has left nothing behind, and every notice is believed within a provider's
/// patience.
#[tokio::test(flavor = "multi_thread")]
async fn notices_come_first_under_overload() {
    let room = "limits.orders_under_way=16";
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed", room]).await;
    let (charges, notices) = paid(&world, times(20, 300)).await;
    let callers = times(96, 512);
    let flood = Flood::default();
    let orders = (0..callers).map(|caller| flood.order(&world, caller));
    let notifying = async {
        eventually("orders are turned away", async || {
            (flood.turned_away.lock().unwrap().len() > 100).then_some(())
        })
        .await;
        let mut slowest = Duration::ZERO;
        for some in notices.chunks(10) {
            let told = some.iter().map(|notice| tell(&world, notice));
            let took = futures_util::future::join_all(told).await;
            slowest = took.into_iter().fold(slowest, Duration::max);
        }
        flood.is_over.store(true, Ordering::Relaxed);
        slowest
    };
    let (slowest, _) = tokio::join!(notifying, futures_util::future::join_all(orders));
    assert!(slowest < PATIENCE, "a notice took {slowest:?}");
    for charge in &charges {
        assert_eq!(world.charge(charge).await["status"], "succeeded");
    }
    let (made, away) = (flood.made.into_inner().unwrap(), flood.turned_away.into_inner().unwrap());
    assert!(!made.is_empty(), "no order came through");
    for charge in made.iter().take(50) {
        assert_eq!(
            world.get(&format!("/v1/charges/{}", id(charge))).await["order_no"],
            charge["order_no"]
        );
        assert!(charge["action"].is_object(), "{charge}");
    }
    for order_no in away.iter().take(50) {
        let found = world.get(&format!("/v1/charges?order_no={order_no}")).await;
        assert_eq!(found["data"], json!([]), "{order_no} was turned away and is there");
    }
    let slowest_order = flood.slowest.into_inner().unwrap();
    world.finish().await;
    record(
        "notices_come_first_under_overload",
        "Orders from many callers at once without a pause, while providers notify.",
        &[
            ("callers", callers.to_string()),
            ("orders made", made.len().to_string()),
            ("orders turned away", away.len().to_string()),
            ("slowest order, ms", slowest_order.as_millis().to_string()),
            ("notices", notices.len().to_string()),
            ("notices believed", charges.len().to_string()),
            ("slowest notice, ms", slowest.as_millis().to_string()),
        ],
    );
}
