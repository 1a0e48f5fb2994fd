//! Two instances, and what becomes of them when their database breaks: it crashes and comes back,
//! or connections end in the middle of a commit.

use super::field::slowest_ms;
use super::load::Manner;
use super::twins::{Twins, a_moment, until_all_say};
use crate::databases::{Database, MYSQL, POSTGRES};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tongbao_servers::{CommitCutter, Server, mariadb, postgres};

/// Ready again so soon after the database is.
const READY_MAX: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn the_database_restarts_postgres() {
    the_database_restarts("the_database_restarts_postgres", POSTGRES, postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_restarts_mariadb() {
    the_database_restarts("the_database_restarts_mariadb", MYSQL, mariadb).await;
}

/// A server of the test's own, where the servers of the test run are.
async fn the_database_restarts(run: &str, variable: &str, start: fn() -> anyhow::Result<Server>) {
    if std::env::var_os(variable).is_none() {
        return eprintln!("skipped: {variable} is not set");
    }
    let mut server = start().unwrap();
    let database = Database::at(&server.address).await;
    let twins = Twins::start(&database.url, &[], Manner::Repeats).await;
    let rounds = tongbao_evidence::times(1, 10);
    let (mut ready, mut served) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        twins.until_at_work(15).await;
        a_moment(0..200).await;
        server.crash().unwrap();
        refused_in_words(&twins).await;
        server.start_again().unwrap();
        let back = Instant::now();
        ready.push(until_all_say(&twins.field, 200, READY_MAX).await);
        until_written(&twins).await;
        served.push(back.elapsed());
    }
    twins.until_at_work(15).await;
    for failure in twins.ledger.failures() {
        assert!(failure.contains(": 503 "), "{failure}");
    }
    let mut counts = vec![
        ("crashes", rounds.to_string()),
        ("slowest until ready again, ms", slowest_ms(&ready)),
        ("slowest until something was written again, ms", slowest_ms(&served)),
    ];
    counts.extend(twins.end(database).await);
    let broken = "The database under two instances was ended at once (PostgreSQL: `-m immediate`, \
                  MariaDB: `kill -9`) under load and started again.";
    tongbao_evidence::record(run, broken, &counts);
}

/// While the database is away, each caller is told so in a while, and when to come again.
async fn refused_in_words(twins: &Twins) {
    let all_say = until_all_say(&twins.field, 503, Duration::from_secs(10));
    let (answer, _) = tokio::join!(twins.field.client.post("/v1/charges", order()), all_say);
    let retry_after = answer.headers.get("retry-after").cloned();
    assert_eq!(answer.problem(503), "unavailable");
    assert!(retry_after.is_some());
}

fn order() -> Value {
    json!({"amount": 100, "subject": "Tea", "channel": "wechat.native"})
}

async fn until_written(twins: &Twins) {
    let began = Instant::now();
    loop {
        let answer = twins.field.client.post("/v1/charges", order()).await;
        if answer.status == 201 {
            return;
        }
        assert!(began.elapsed() < READY_MAX, "nothing is written yet: {}", answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_cut_on_postgres() {
    commits_are_cut("commits_are_cut_on_postgres", POSTGRES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_are_cut_on_mariadb() {
    commits_are_cut("commits_are_cut_on_mariadb", MYSQL).await;
}

/// Of those that were carried out only the answer is lost. No caller learns of any of it.
async fn commits_are_cut(run: &str, variable: &str) {
    let Some(database) = Database::on_server(variable).await else { return };
    let mut url: url::Url = database.url.parse().unwrap();
    let target = (url.host_str().unwrap(), url.port().unwrap());
    let target = tokio::net::lookup_host(target).await.unwrap().next().unwrap();
    let cutter = CommitCutter::start(target).unwrap();
    url.set_port(Some(cutter.address.port())).unwrap();
    let twins = Twins::start(url.as_str(), &["database.lease=10m"], Manner::GoesOn).await;
    cutter.cut_every(7);
    tokio::time::sleep(Duration::from_secs(tongbao_evidence::times(3, 60))).await;
    cutter.cut_every(0);
    assert_eq!(twins.ledger.failures(), [""; 0]);
    let (after, before) = cutter.cut();
    assert!(after >= 5 && before >= 5, "hardly any commit was cut: {after}, {before}");
    let mut counts = vec![
        ("commits carried out whose answer was lost", after.to_string()),
        ("commits that never arrived", before.to_string()),
    ];
    counts.extend(twins.end(database).await);
    let broken = "Connections to the database under two instances were cut right after COMMIT was \
                  sent, some when it had been carried out and some before it arrived.";
    tongbao_evidence::record(run, broken, &counts);
}
