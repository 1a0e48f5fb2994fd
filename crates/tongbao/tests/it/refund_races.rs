//! Many refunds of one payment at once: never more goes back than was paid, on each database.
//!
//! The servers are named by `TONGBAO_TEST_POSTGRES_URL` and `TONGBAO_TEST_MYSQL_URL`, as for the
//! tests of the store; a test whose server is not named says so and ends.

use crate::payments::each_account;
use crate::world::World;
use futures_util::future::join_all;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, raw_sql};

const CLIENTS: usize = 64;
const SETTINGS: [&str; 2] = ["polling.delay=10m", "polling.backoff=fixed"];

/// 64 refunds of 60 % of a payment at once, at each account: one of them is accepted.
async fn race(set: &[&str]) {
    let world = World::with(set).await;
    for at in each_account() {
        let charge = world.paid(at, 1200).await;
        let refunds = (0..CLIENTS).map(|_| world.refund(&charge, json!({"amount": 720})));
        let answers = join_all(refunds).await;
        let (accepted, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 201);
        let mut codes: Vec<String> = refused.into_iter().map(|a| a.problem(400)).collect();
        codes.retain(|code| code == "refund_too_large");
        assert_eq!((accepted.len(), codes.len()), (1, CLIENTS - 1));
        world.advance("6s").await;
        let done = world.until_refund(&accepted[0].body, "succeeded").await;
        let sent = world.sent_back(&charge).await;
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(sent[0]["out_refund_no"], done["out_refund_no"]);
        assert_eq!(world.charge(&charge).await["amount_refunded"], 720);
        assert_eq!(world.refunds(&charge).await.len(), 1, "what is refused leaves nothing");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_refunds_wins_on_sqlite() {
    race(&SETTINGS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_refunds_wins_on_postgres() {
    on_server("TONGBAO_TEST_POSTGRES_URL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_refunds_wins_on_mysql() {
    on_server("TONGBAO_TEST_MYSQL_URL").await;
}

/// Over a database of the test's own on a server.
async fn on_server(variable: &str) {
    let Ok(admin) = std::env::var(variable) else {
        eprintln!("skipped: {variable} is not set");
        return;
    };
    let name = format!("tongbao_race_{:016x}", rand::random::<u64>());
    say(&admin, &format!("create database {name}")).await;
    let mut url: url::Url = admin.parse().unwrap();
    url.set_path(&name);
    let database = format!("database.url={url}");
    race(&[SETTINGS[0], SETTINGS[1], &database]).await;
    say(&admin, &format!("drop database {name}")).await;
}

async fn say(url: &str, sql: &str) {
    let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
    } else {
        let mut connection = MySqlConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
    }
}
