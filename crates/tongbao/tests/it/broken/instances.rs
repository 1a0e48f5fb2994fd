//! Two instances over one database: one is stopped and wakes late, both are restarted by turns, and
//! whoever watches a charge at one hears what the other one learnt.

use super::client::Client;
use super::field::{Field, Plan, slowest_ms};
use super::load::Manner;
use super::twins::{Twins, a_moment, end};
use crate::databases::{Database, MYSQL, POSTGRES};
use crate::world::{eventually, http_client, id};
use serde_json::json;
use std::time::{Duration, Instant};

const LEASE: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_instance_wakes_late_on_postgres() {
    a_stopped_instance_wakes_late("a_stopped_instance_wakes_late_on_postgres", POSTGRES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_instance_wakes_late_on_mariadb() {
    a_stopped_instance_wakes_late("a_stopped_instance_wakes_late_on_mariadb", MYSQL).await;
}

/// Whatever it was at when it stopped, the other one has done meanwhile; what it still wants to
/// write about that is refused.
async fn a_stopped_instance_wakes_late(run: &str, server: &str) {
    let Some(database) = Database::on_server(server).await else { return };
    let lease = format!("database.lease={}s", LEASE.as_secs());
    let twins = Twins::start(&database.url, &[&lease], Manner::Repeats).await;
    let rounds = tongbao_evidence::times(1, 10);
    for round in 0..rounds {
        twins.until_at_work(15).await;
        a_moment(0..200).await;
        let instance = &twins.field.instances[usize::from(round % 2 == 1)];
        instance.signal("-STOP");
        tokio::time::sleep(LEASE * 3).await;
        instance.signal("-CONT");
    }
    twins.until_at_work(15).await;
    let mut counts = vec![("stops of three leases", rounds.to_string())];
    counts.extend(twins.end(database).await);
    let broken = "Of two instances one was stopped for three leases under load, and let go.";
    tongbao_evidence::record(run, broken, &counts);
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restarts_fail_no_request_on_postgres() {
    rolling_restarts_fail_no_request("rolling_restarts_fail_no_request_on_postgres", POSTGRES)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_restarts_fail_no_request_on_mariadb() {
    rolling_restarts_fail_no_request("rolling_restarts_fail_no_request_on_mariadb", MYSQL).await;
}

/// The balancer looks at `/readyz` now and then, as they do, and tries another instance only where
/// the connection was refused.
async fn rolling_restarts_fail_no_request(run: &str, server: &str) {
    let Some(database) = Database::on_server(server).await else { return };
    let mut twins = Twins::start(&database.url, &["server.drain=500ms"], Manner::GoesOn).await;
    let rounds = tongbao_evidence::times(1, 10);
    let mut ends = Vec::new();
    for _ in 0..rounds {
        for idx in 0..2 {
            ends.push(restart(&mut twins.field, idx).await);
            a_moment(50..300).await;
        }
    }
    assert_eq!(twins.ledger.failures(), [""; 0]);
    let mut counts =
        vec![("restarts", ends.len().to_string()), ("slowest end, ms", slowest_ms(&ends))];
    counts.extend(twins.end(database).await);
    let broken = "Two instances were restarted by turns (SIGTERM) under load.";
    tongbao_evidence::record(run, broken, &counts);
}

/// Ends an instance by a word and starts it again, while the balancer looks at it; how long the end
/// took.
async fn restart(field: &mut Field, idx: usize) -> Duration {
    let http = http_client();
    let Field { instances, balancer, .. } = field;
    let (instance, balancer) = (&mut instances[idx], balancer.as_ref().unwrap());
    let told = Instant::now();
    instance.signal("-TERM");
    let mut gone = false;
    while !gone {
        let status = instance.readiness(&http).await.map(|answer| answer.status);
        // The first look after the word finds it out.
        assert!(status != Some(200) || told.elapsed() < Duration::from_millis(200));
        balancer.take_out(idx, status != Some(200));
        gone = status.is_none();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ended = instance.ended().await;
    let took = told.elapsed();
    assert!(ended.success(), "it did not end cleanly: {ended}");
    instance.start().await;
    balancer.take_out(idx, false);
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_hear_the_other_instance_on_postgres() {
    watchers_hear_the_other_instance("watchers_hear_the_other_instance_on_postgres", POSTGRES)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_hear_the_other_instance_on_mariadb() {
    watchers_hear_the_other_instance("watchers_hear_the_other_instance_on_mariadb", MYSQL).await;
}

/// How late a watcher may hear.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// The first instance gets neither notices nor orders, and looks at no order by itself; it has
/// only watchers.
async fn watchers_hear_the_other_instance(run: &str, server: &str) {
    let Some(database) = Database::on_server(server).await else { return };
    let mut plan = Plan { instances: 2, ..Plan::over(&database.url) };
    plan.set = vec!["polling.delay=10m".to_owned()];
    let field = Field::open(plan).await;
    let merchant = field.merchant(&["charge.succeeded"]).await;
    field.balancer.as_ref().unwrap().take_out(0, true);
    let count = tongbao_evidence::times(3, 50);
    let (mut watches, mut webhooks) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let body = json!({"amount": 100, "subject": "Tea", "channel": "wechat.native"});
        let charge = field.client.post("/v1/charges", body).await.expect(201);
        let watch = format!("/v1/charges/{}/watch", id(&charge));
        let cashier = format!("/pay/{}/events", id(&charge));
        let watchers = [watch, cashier].map(|path| {
            let url = format!("http://{}{path}", field.instances[0].address);
            tokio::spawn(until_paid(field.client.clone(), url))
        });
        let code = json!({"code": charge["action"]["code_url"]});
        field.client.control("pay", code).await.expect(200);
        let paid = eventually("the other instance has the notice", async || {
            let now = field.client.get(&format!("/v1/charges/{}", id(&charge))).await;
            (now["status"] == "succeeded").then(Instant::now)
        });
        let paid = paid.await;
        for watcher in watchers {
            let late = watcher.await.unwrap().saturating_duration_since(paid);
            assert!(late < HEARD_WITHIN, "a watcher heard {late:?} later");
            watches.push(late);
        }
        merchant.until(&charge, "charge.succeeded", 1).await;
        webhooks.push(paid.elapsed());
    }
    end(field).await;
    database.end().await;
    let counts = [
        ("payments", count.to_string()),
        ("watchers", watches.len().to_string()),
        ("latest news of a watcher, ms", slowest_ms(&watches)),
        ("latest webhook, ms", slowest_ms(&webhooks)),
    ];
    let broken = "Nothing: one instance got the notices, and the watchers were at the other one.";
    tongbao_evidence::record(run, broken, &counts);
}

/// Reads server-sent events until one says that the charge is paid; when that came.
async fn until_paid(client: Client, url: String) -> Instant {
    let mut events = client.http.get(&url).bearer_auth(&client.key).send().await.unwrap();
    assert_eq!(events.status(), 200, "{url}");
    let mut text = String::new();
    loop {
        let piece = events.chunk().await.unwrap();
        let piece = piece.unwrap_or_else(|| panic!("{url} ended before the payment: {text}"));
        text.push_str(&String::from_utf8_lossy(&piece));
        if text.contains(r#""status":"succeeded""#) {
            return Instant::now();
        }
    }
}
