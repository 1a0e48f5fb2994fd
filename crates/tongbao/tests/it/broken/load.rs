//! Merchants and payers at work: orders over three accounts, payments, refunds, closes, looks.

use super::client::Client;
use super::ledger::{Acknowledged, Ledger};
use crate::world::id;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What a client does when a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It sends the same request with the same key until it is answered.
    Repeats,
    /// It goes on with the next order.
    GoesOn,
}

/// The channels and accounts of a field's app.
pub(crate) const ROUTES: [(&str, &str); 3] = [
    ("wechat.native", "shop_wechat_v3"),
    ("wechat.native", "shop_wechat_v2"),
    ("alipay.qr", "shop_alipay_open"),
];

/// So long is one request repeated.
const REPEATED_FOR: Duration = Duration::from_secs(30);
/// Between two tries, and after a failure.
const BREATH: Duration = Duration::from_millis(20);
/// One in so many orders is left as it is.
const LEFT_OPEN: u32 = 20;

/// Clients at work until they are stopped.
pub(crate) struct Load {
    stop: CancellationToken,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts one client for each manner. What they choose follows from the seed.
    pub(crate) fn start(
        client: &Client,
        ledger: &Arc<Ledger>,
        seed: u64,
        manners: &[Manner],
    ) -> Load {
        let stop = CancellationToken::new();
        let start = |(idx, manner): (usize, &Manner)| {
            let random = StdRng::seed_from_u64(seed.wrapping_add(idx as u64));
            let (client, ledger, stop) = (client.clone(), Arc::clone(ledger), stop.clone());
            let shop = Shop { client, ledger, stop, random, manner: *manner };
            tokio::spawn(shop.run())
        };
        let clients = manners.iter().enumerate().map(start).collect();
        Load { stop, clients }
    }

    /// Each client finishes the request that it is at. A client that fell fails the test.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        for client in self.clients {
            client.await.unwrap();
        }
    }
}

struct Shop {
    client: Client,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    random: StdRng,
    manner: Manner,
}

impl Shop {
    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let number = self.ledger.number();
            let Some(charge) = self.order(number).await else { continue };
            self.ledger.count("charges");
            match self.random.random_range(0..10) {
                _ if number.is_multiple_of(LEFT_OPEN) => {}
                0..7 => self.sell(&charge).await,
                _ => self.close(&charge).await,
            }
        }
    }

    async fn order(&mut self, number: u32) -> Option<Value> {
        let (channel, account) = ROUTES[self.random.random_range(0..ROUTES.len())];
        let amount = self.random.random_range(100..10_000);
        let body = json!({"amount": amount, "subject": "Tea", "channel": channel,
            "account": account, "order_no": format!("LOAD{number:08}")});
        self.post("/v1/charges", body).await
    }

    /// The payer pays; mostly the merchant sees it soon, and sometimes sends money back.
    async fn sell(&mut self, charge: &Value) {
        let code = &charge["action"]["code_url"];
        if !code.is_string() {
            return self.ledger.count("charges without a code");
        }
        let paid = self.client.control("pay", json!({"code": code})).await;
        assert_eq!(paid.status, 200, "the sandbox takes no money: {}", paid.body);
        self.ledger.count("payments");
        if self.random.random_bool(0.5) && self.looks_paid(charge).await {
            let whole = charge["amount"].as_i64().unwrap();
            for _ in 0..self.random.random_range(0..3) {
                let amount = self.random.random_range(1..=whole);
                self.refund(charge, amount).await;
            }
        }
    }

    /// Looks at the charge a few times.
    async fn looks_paid(&self, charge: &Value) -> bool {
        for _ in 0..10 {
            let path = format!("/v1/charges/{}", id(charge));
            if let Ok(answer) = self.client.try_call("GET", &path, None, None).await {
                match answer.status {
                    200 => self.ledger.see(answer.body.clone()),
                    status => self.ledger.fail(format!("GET {path}: {status} {}", answer.body)),
                }
                if answer.body["status"] == "succeeded" {
                    return true;
                }
            }
            tokio::time::sleep(BREATH).await;
        }
        false
    }

    /// Two refunds may sum up to more than was paid; then the second one is refused.
    async fn refund(&mut self, charge: &Value, amount: i64) {
        let body = json!({"charge": id(charge), "amount": amount});
        if self.post("/v1/refunds", body).await.is_some() {
            self.ledger.count("refunds");
        }
    }

    async fn close(&mut self, charge: &Value) {
        let path = format!("/v1/charges/{}/close", id(charge));
        if self.post(&path, json!({})).await.is_some() {
            self.ledger.count("closes");
        }
    }

    /// A request with a key of its own; the reply if it was done.
    async fn post(&mut self, path: &str, body: Value) -> Option<Value> {
        let key = format!("key-{:032x}", self.random.random::<u128>());
        let began = Instant::now();
        loop {
            match self.try_post(path, &body, &key).await {
                Told::Done(reply) => return Some(reply),
                Told::Refused => return None,
                Told::Nothing => tokio::time::sleep(BREATH).await,
            }
            let goes_on = self.manner == Manner::GoesOn || began.elapsed() > REPEATED_FOR;
            if goes_on || self.stop.is_cancelled() {
                return None;
            }
            self.ledger.count("repeated requests");
        }
    }

    async fn try_post(&self, path: &str, body: &Value, key: &str) -> Told {
        let answer = match self.client.try_call("POST", path, Some(body), Some(key)).await {
            Ok(answer) => answer,
            Err(error) => {
                self.ledger.fail(format!("POST {path}: {error:?}"));
                return Told::Nothing;
            }
        };
        let status = answer.status;
        match status {
            200..300 => {
                let (path, key) = (path.to_owned(), key.to_owned());
                let (body, reply) = (body.clone(), answer.body.clone());
                self.ledger.acknowledge(Acknowledged { path, body, key, status, reply });
                Told::Done(answer.body)
            }
            500.. => {
                self.ledger.fail(format!("POST {path}: {status} {}", answer.body));
                Told::Nothing
            }
            _ => {
                let code = answer.body["code"].as_str().unwrap_or("no code");
                self.ledger.count(&format!("refused, {status} {code}"));
                Told::Refused
            }
        }
    }
}

/// What came of one try.
enum Told {
    Done(Value),
    Refused,
    Nothing,
}
